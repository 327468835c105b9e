"""The evidence page: claim, source and sentence side by side, as HTML and as Markdown."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from conftest import Clinic
from markdown_it import MarkdownIt

from scheduler.checks.dossier import Place, quotes_in
from scheduler.checks.prose import texts
from scheduler.material import Material

HOSTILE = (
    "</dd><script>alert(1)</script> <img src=//evil.example/x onerror=alert(1)> "
    "[x](https://evil.example) <https://evil.example> ![y](//evil.example) "
    "**b** `c` | d | &lt;i&gt; \\\\ {{ 7 * 7 }}"
)
VERDICTS = {
    "ok": "supported",
    "soften": "true, in exact words only",
    "fix": "the original article’s source does not support it",
}
CITED = re.compile(r"([^.!?:\n]+(?:: [^.!?\n]+)?[.!?])((?:\s*\[@[A-Za-z0-9_-]+\])+)")
WORDS = {"{{ profession }}": "physiotherapist", "{{ doctor }}": "GP"}

both = pytest.mark.parametrize("ending", ["html", "md"])


class Page(HTMLParser):
    """The words of a page, all of them and by article, and its tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words, self.part = "", ""
        self.parts: dict[str, str] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.silent = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.silent = tag == "style" or self.silent
        if tag in ("article", "h2", "h3"):
            self.part = (dict(attrs).get("id") or "") if tag != "h3" or not self.part else self.part

    def handle_endtag(self, tag: str) -> None:
        self.silent = self.silent and tag != "style"

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.words += data
            self.parts[self.part] = self.parts.get(self.part, "") + data


def folded(text: str) -> str:
    return " ".join(text.split())


def written(clinic: Clinic, ending: str, *more: str) -> str:
    said = clinic.physiopost("evidence", "--to", f"new/folder/page.{ending}", *more)
    assert said.code == 0, said.err
    assert said.out.strip() == f"62 claims, 15 sources, 9 lessons in new/folder/page.{ending}"
    return (clinic.folder / f"new/folder/page.{ending}").read_text()


def parts(page: str, ending: str) -> dict[str, str]:
    """The words under each claim and each source."""
    if ending == "html":
        return {part: folded(words) for part, words in Page(page).parts.items()}
    plain = re.sub(r"\\(.)", r"\1", page).replace("**", "")
    heads = re.split(r"^#{2,3} (\w+)", plain, flags=re.MULTILINE)
    return {head: folded(words) for head, words in zip(heads[1::2], heads[2::2], strict=True)}


@both
def test_every_claim_stands_there_with_its_verdict_and_a_place_that_teaches_it(
    clinic: Clinic, material: Material, ending: str
) -> None:
    found = parts(written(clinic, ending), ending)
    assert len(material.claims.entries) == 62
    for claim in material.claims.entries.values():
        part = found[claim.id]
        for words in (claim.claim, claim.found, claim.wording, VERDICTS[claim.verdict]):
            assert words in part
        taught = [p for p in material.course.passages() if claim.id in p.claims]
        assert taught
        assert all(f"{p.path.parent.name}/{p.path.name}" in part for p in taught)
        assert all(key in part for key in claim.sources)


@both
def test_every_source_stands_there_in_full_beside_each_claim_that_names_it(
    clinic: Clinic, material: Material, ending: str
) -> None:
    found = parts(written(clinic, ending), ending)
    koes = (
        "Koes, van Tulder and Peul. Diagnosis and treatment of sciatica. "
        "BMJ, 2007, volume 334, pages 1313–1317. DOI 10.1136/bmj.39223.428495.BE"
    )
    assert koes in found["koes2007"]
    for key, source in material.references.entries.items():
        naming = [claim.id for claim in material.claims.entries.values() if key in claim.sources]
        for part in (key, *naming):
            assert source.title in found[part]
            assert str(source.DOI or source.PMID or source.number) in found[part]
            assert all(author.shown in found[part] for author in source.author)
        assert ", ".join(naming) in found[key]


@both
def test_every_sentence_before_a_citation_stands_beside_its_source_and_its_claims(
    clinic: Clinic, material: Material, ending: str
) -> None:
    found = parts(written(clinic, ending), ending)
    seen = set()
    for passage in material.course.passages():
        body = passage.body
        for field, word in WORDS.items():
            body = body.replace(field, word)
        for sentence, marks in CITED.findall(body):
            for key in re.findall(r"@([\w-]+)", marks):
                seen.add((passage.path, key))
                words = folded(sentence.lstrip("- "))
                assert words in found[key]
                for claim in passage.claims:
                    if key in material.claims.entries[claim].sources:
                        assert words in found[claim]
    assert seen == {(p.path, key) for p in material.course.passages() for key in p.citations}


def test_a_sentence_is_whole_wherever_its_citation_stands(material: Material) -> None:
    body = (
        "You can. As one trial [@a] **found**, it varies! [@b] [@c] More.\n\n"
        'Hear this. Many say:\n- It lasts. [@a]\n- It is "no sign." [@b] It goes.\n'
    )
    lesson = replace(material.course.lessons[0], body=body)
    course = replace(material.course, lessons=(lesson,))
    text = texts(replace(material, course=course))[0]
    quotes = [(quote.lead, quote.sentence, quote.cites) for quote in quotes_in(text, Place("", ""))]
    assert quotes == [
        ("You can.", "As one trial found, it varies!", ("a", "b", "c")),
        ("Many say:", "It lasts.", ("a",)),
        ("Many say:", 'It is "no sign."', ("b",)),
    ]


@both
def test_a_source_that_no_sentence_of_the_lesson_cites_says_so(clinic: Clinic, ending: str) -> None:
    clinic.replace("course/claims.yaml", "sources: [dove2023]", "sources: [dove2023, ng59]")
    found = parts(written(clinic, ending), ending)["C2"]
    assert "No sentence where this is taught cites it." in found
    assert "common, though studies disagree on how common it is." in found


@both
def test_it_says_first_that_nobody_who_may_sign_has_signed(clinic: Clinic, ending: str) -> None:
    page = folded(written(clinic, ending, "--now", "2027-02-01T09:00Z"))
    head = page[: page.index("How to read this page")]
    assert "literature check by people who are not clinicians" in head
    assert "unsigned until a physiotherapist signs it" in head
    assert "It promises no effect on pain" in head
    assert "Monday 1 February 2027" in head


@both
def test_it_lists_the_countries_that_nobody_has_reviewed(clinic: Clinic, ending: str) -> None:
    record = "  holidays: [NZ]\n  reviewer: "
    clinic.replace("course/countries.yaml", record + "null", record + "A. Nurse, 2026-11-20")
    page = written(clinic, ending)
    assert "New Zealand" not in page
    assert "Northern Ireland" in page


@both
def test_it_speaks_the_words_of_the_clinics_country(clinic: Clinic, ending: str) -> None:
    clinic.replace("clinic.yaml", "country: GB-ENG", "country: US")
    page = written(clinic, ending)
    assert "people sent early to a physical therapist" in folded(page)
    assert not re.search(r"\{\{|\{%|\[@|⟦|⟧|Undefined", page)


def test_both_formats_hold_the_same_claims_in_the_same_order(clinic: Clinic) -> None:
    html, markdown = written(clinic, "html"), written(clinic, "md")
    articles = re.findall(r'<article id="(\w+)"', html)
    assert articles == re.findall(r"^### (\w+)", markdown, flags=re.MULTILINE)
    assert len(articles) == len(set(articles)) == 62 + 15
    assert articles[:3] == ["C1", "C2", "C3"]
    order = [id_ for id_ in articles if id_ in ("C4", "C6", "C62")]
    assert order == ["C6", "C4", "C62"]  # in the order of the letters that teach them


@both
def test_hostile_words_do_nothing(clinic: Clinic, ending: str) -> None:
    clinic.replace("course/claims.yaml", "Pain that travels down the leg", HOSTILE)
    clinic.replace("clinic.yaml", "name: Harbour Physio", "name: '<b>Har|bour</b> *x* [y](//z)'")
    page = written(clinic, ending)
    if ending == "md":
        page = MarkdownIt("commonmark", {"html": True}).enable("table").render(page)
    shown = Page(page)
    kinds = {tag for tag, _ in shown.tags}
    assert not kinds & {"script", "img", "b" if ending == "md" else "i", "em", "code"}
    assert all(attributes["href"].startswith("#") for tag, attributes in shown.tags if tag == "a")  # type: ignore[union-attr]
    assert (
        shown.words.count(HOSTILE.replace("\\\\", "\\")) == 2
    )  # beside its sources, and by number
    assert "<b>Har|bour</b> *x* [y](//z)" in shown.words
    cells = sum(tag == "td" for tag, _ in shown.tags)
    assert cells == 62 * 2 + 9 * 3 if ending == "html" else cells == 62 * 3


def test_the_page_fetches_nothing_and_every_link_leads_somewhere(clinic: Clinic) -> None:
    page = written(clinic, "html")
    assert not re.search(r"https?:|//|url\(|@import|javascript:| on\w+=", page)
    tags = Page(page).tags
    assert not {tag for tag, _ in tags} & {"script", "link", "img", "iframe", "form", "object"}
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["href"] for tag, a in tags if tag == "a"} <= {f"#{id_}" for id_ in ids}


def test_the_page_is_built_so_that_it_can_be_heard(clinic: Clinic) -> None:
    tags = Page(written(clinic, "html")).tags
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(attributes.get("scope") for tag, attributes in tags if tag == "th")
    kinds = [tag for tag, _ in tags]
    assert kinds.count("table") == kinds.count("caption")
    assert ("html", {"lang": "en-GB"}) in tags


@pytest.mark.parametrize("name", ["page.pdf", "page", "out/", ""])
def test_another_ending_is_refused_and_nothing_is_written(clinic: Clinic, name: str) -> None:
    before = sorted(clinic.folder.iterdir())
    said = clinic.physiopost("evidence", "--to", name)
    assert said.code == 2
    assert len(said.err.splitlines()) == 1
    assert "ends neither in .html nor in .md" in said.err
    assert sorted(clinic.folder.iterdir()) == before


@pytest.mark.parametrize("name", ["clinic.yaml/page.md", "folder.html"])
def test_a_place_that_cannot_be_written_to_is_named_in_a_line(clinic: Clinic, name: str) -> None:
    (clinic.folder / "folder.html").mkdir()
    said = clinic.physiopost("evidence", "--to", name)
    assert said.code == 2
    assert said.err.startswith(f"{name}: ")
    assert len(said.err.splitlines()) == 1


def test_a_clinics_own_templates_folder_needs_no_evidence_page(clinic: Clinic) -> None:
    for template in (clinic.folder / "templates" / "pages").glob("evidence.*"):
        template.unlink()
    assert "C62" in written(clinic, "md")


def test_a_fault_in_the_template_is_named_with_its_line(clinic: Clinic) -> None:
    clinic.replace("templates/pages/evidence.md.j2", "{{ course.purpose }}", "{{ corse.purpose }}")
    said = clinic.physiopost("evidence", "--to", "page.md")
    assert said.code == 2
    assert re.match(r"templates/pages/evidence\.md\.j2:\d+: .*\"corse\"", said.err)
