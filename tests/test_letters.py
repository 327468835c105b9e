"""What editions and letters promise: whole, sound, discreet, and the same words in both parts."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import parsedate_to_datetime
from functools import partial
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import time_machine
from conftest import Clinic

from scheduler.checks import contrast, markup
from scheduler.findings import WrongInput
from scheduler.letters.editions import Edition, Press
from scheduler.letters.fill import Envelope, fill, first_name, in_words
from scheduler.letters.mime import serialise
from scheduler.letters.tokens import FIELDS, TOKEN, TOKENS
from scheduler.material import Material
from scheduler.material.countries import read_countries

SLUGS = [
    *("welcome", "what-it-is", "what-you-may-feel", "rest-or-move", "movement"),
    *("scans", "your-assessment", "flare-ups", "what-next"),
]
COUNTRIES = ("GB-ENG", "GB-SCT", "GB-WLS", "GB-NIR", "IE", "US", "CA", "AU", "NZ")
EVERY = [(slug, noted) for slug, noted in product(SLUGS, (False, True))]
AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
STOP = "https://letters.example.org/stop/0123456789abcdef"
VALUES = {
    "first_name": "Kestrel",
    "next_letter": "Your next letter comes on Tuesday 1 December.",
    "stop_url": STOP,
    "note": "Well done on the wheelbarrow.",
    "note_by": "Priya Shah, Harbour Physio",
}
TELLTALE = re.compile(
    r"sciatic|\bleg|\bback\b|nerve|\bpain|\bspin|\bdisc|scan|\bnumb\b|weak|diagnos|treat|exercise"
    r"|condition|symptom|flare|physiotherap|physical therap|cauda|patient",
    re.IGNORECASE,
)

every_letter = pytest.mark.parametrize(
    ("slug", "noted"), EVERY, ids=[f"{slug}{' noted' * noted}" for slug, noted in EVERY]
)


@pytest.fixture(scope="module")
def press(material: Material, root: Path) -> Press:
    return Press(material, root / "templates")


@pytest.fixture(scope="module")
def presses(material: Material, root: Path) -> dict[str, Press]:
    """A press for the clinic in each country."""
    countries = read_countries(root / "course")
    assert set(countries) == set(COUNTRIES)
    return {
        code: Press(replace(material, country=countries[code]), root / "templates")
        for code in COUNTRIES
    }


class Page(HTMLParser):
    """What a reader sees of a page, its tags, and where its links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("head", "style", "title"):
            self.open.append(tag)
        if tag == "a":
            self.seen.append(f" ({dict(attrs)['href']}) ")

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
        if tag not in ("strong", "em", "a", "span"):
            self.seen.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.open:
            self.seen.append(data)

    @property
    def text(self) -> str:
        return "".join(self.seen)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def words(text: str) -> set[str]:
    return set(re.findall(r"[\w'’&@/:.-]*\w", text.lower()))


def letter_of(edition: Edition, **values: str) -> EmailMessage:
    envelope = Envelope("0123abcd", "kestrel@example.org", AT, VALUES | values)
    octets = serialise(edition, envelope)
    head, _, body = octets.partition(b"\r\n\r\n")
    assert head.isascii()
    assert max(map(len, body.split(b"\r\n"))) <= 78
    assert max(map(len, head.split(b"\r\n"))) <= 998
    message = message_from_bytes(octets, policy=default)
    assert isinstance(message, EmailMessage)
    assert not any(part.defects for part in message.walk())
    assert not any(value.defects for part in message.walk() for value in part.values())
    return message


def test_these_are_the_lessons(material: Material) -> None:
    assert list(material.course.by_slug) == SLUGS


# Editions


@every_letter
def test_an_edition_compiles_and_holds_its_merge_fields(
    press: Press, slug: str, noted: bool
) -> None:
    edition = press.edition(slug, noted)
    expected = set(FIELDS) if noted else set(FIELDS) - {"note", "note_by"}
    for parts in (edition.html_parts, edition.text_parts):
        assert set(parts[1::2]) == expected
    assert not TOKEN.search(edition.subject)
    for content in (edition.html, edition.text, edition.subject):
        assert not re.search(r"\{\{|\{%|\{#|\[@|<mj-|Undefined", content)


@every_letter
def test_every_merge_field_is_filled(press: Press, slug: str, noted: bool) -> None:
    letter = fill(press.edition(slug, noted), VALUES)
    for part in (letter.html, letter.text):
        assert "zqfield" not in part
        for field, value in VALUES.items():
            assert (value in part) == (noted or not field.startswith("note")), field
    assert "Dear Kestrel," in letter.text
    assert ">Dear Kestrel,<" in letter.html


@pytest.mark.parametrize("field", VALUES)
def test_a_field_without_a_value_is_named(press: Press, field: str) -> None:
    values = {name: value for name, value in VALUES.items() if name != field}
    with pytest.raises(KeyError, match=f"^'{field}'$"):
        fill(press.edition("scans", True), values)


@every_letter
def test_the_same_edition_compiled_twice_is_equal(
    press: Press, material: Material, root: Path, slug: str, noted: bool
) -> None:
    again = Press(material, root / "templates").edition(slug, noted)
    first = press.edition(slug, noted)
    assert again is not first
    assert again == first
    assert again.hash == first.hash


def test_every_edition_has_a_hash_of_its_own(press: Press) -> None:
    assert len({edition.hash for edition in press.all()}) == 18


def test_any_change_of_content_changes_the_hash(press: Press) -> None:
    edition = press.edition("scans", False)
    other: Any = "x"
    others = [replace(edition, **{field: other}) for field in edition.__dataclass_fields__]
    assert edition.hash not in {other.hash for other in others}


@every_letter
def test_an_edition_comes_back_from_its_json(press: Press, slug: str, noted: bool) -> None:
    edition = press.edition(slug, noted)
    stored = Edition.from_json(edition.as_json())
    assert stored == edition
    assert stored.hash == edition.hash
    assert fill(stored, VALUES) == fill(edition, VALUES)


@pytest.mark.parametrize("field", FIELDS)
def test_a_lost_token_stops_the_compile_by_name(
    clinic: Clinic, material: Material, field: str
) -> None:
    clinic.replace("templates/letters/letter.mjml.j2", 'width="62%"', f'width="{{{{ {field} }}}}"')
    with pytest.raises(WrongInput) as error:
        Press(material, clinic.folder / "templates").all()
    (finding,) = error.value.findings
    assert finding.place == "templates/letters/letter.mjml.j2"
    assert f'"{field}"' in finding.words
    assert finding.cure


def test_a_field_in_the_subject_stops_the_compile(clinic: Clinic) -> None:
    """A subject is read on a locked screen: it never holds a patient's words."""
    clinic.replace("course/lessons/05-scans.md", "week {{ week }}", "week for {{ first_name }}")
    said = clinic.physiopost("render", "--to", "out")
    assert said.code == 2
    assert '"first_name"' in said.err


# Both parts


@every_letter
def test_both_parts_hold_the_same_words(press: Press, slug: str, noted: bool) -> None:
    letter = fill(press.edition(slug, noted), VALUES)
    preheader = press.material.course.by_slug[slug].preheader
    html = words(Page(letter.html).text.replace(preheader, ""))
    text = words(letter.text)
    assert len(html & text) >= 0.95 * len(html), html - text
    assert len(html & text) >= 0.95 * len(text), text - html


@every_letter
def test_the_addresses_of_links_stand_in_the_text(press: Press, slug: str, noted: bool) -> None:
    letter = fill(press.edition(slug, noted), VALUES)
    links = [link["href"] for link in Page(letter.html).all("a")]
    assert STOP in links
    for link in links:
        assert f"({link})" in letter.text


@pytest.mark.parametrize("code", COUNTRIES)
def test_the_emergency_box_is_in_both_parts_of_every_letter(
    presses: dict[str, Press], code: str
) -> None:
    press = presses[code]
    country, emergency = press.material.country, press.material.course.emergency
    title = f"Emergency: call {country.emergency} or go to {country.hospital} now if:"
    signs = [line.removeprefix("- ") for line in emergency.body.splitlines() if line]
    assert len(signs) >= 7
    for edition in press.all():
        letter = fill(edition, VALUES)
        page = Page(letter.html)
        for shown in (page.text, letter.text):
            assert title in shown
            at = [shown.index(sign) for sign in signs]
            assert at == sorted(at)
            assert shown.index(title) < at[0]
        assert edition.language == country.language


@pytest.mark.parametrize("code", COUNTRIES)
def test_the_same_day_box_is_in_both_parts_of_every_letter(
    presses: dict[str, Press], code: str
) -> None:
    press = presses[code]
    country, clinic = press.material.country, press.material.clinic
    advice = f" or call {country.advice}" if country.advice else ""
    closed = f"If we are closed, ask for {country.urgent_doctor}{advice}."
    body = press.material.course.same_day.body
    signs = [line.removeprefix("- ") for line in body.splitlines() if line.startswith("- ")]
    for edition in press.all():
        letter = fill(edition, VALUES)
        for shown in (Page(letter.html).text, letter.text):
            assert f"{clinic.name}: {clinic.phone}." in shown
            assert closed in shown
            assert all(sign in shown for sign in signs)


@pytest.mark.parametrize("code", COUNTRIES)
def test_a_letter_uses_the_words_of_its_country(presses: dict[str, Press], code: str) -> None:
    country = presses[code].material.country
    for edition in presses[code].all():
        letter = fill(edition, VALUES)
        if country.profession != "physiotherapist":
            assert "physiotherapist" not in letter.text
            assert "physiotherapist" not in letter.html
        for other in {"999", "911", "000", "112"} - set(re.findall(r"\d+", country.emergency)):
            assert not re.search(rf"(?<![\d#]){other}(?!\d)", Page(letter.html).text)


# Headers


@every_letter
def test_the_headers_are_right(press: Press, slug: str, noted: bool) -> None:
    edition, lesson = press.edition(slug, noted), press.material.course.by_slug[slug]
    message = letter_of(edition)
    week = f"your week {lesson.week} information" if lesson.week else "your welcome letter"
    assert message["From"] == "Harbour Physio <letters@harbour-physio.example.org>"
    assert message["Reply-To"] == "reception@harbour-physio.example.org"
    assert message["To"] == "kestrel@example.org"
    assert parsedate_to_datetime(str(message["Date"])) == AT
    assert message["Message-ID"] == "<0123abcd@harbour-physio.example.org>"
    assert message["List-Unsubscribe"] == f"<{STOP}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "en-GB"
    assert message["Subject"] == f"Harbour Physio: {week}"
    assert message["MIME-Version"] == "1.0"
    assert len(message.keys()) == len({name.lower() for name in message}) == 12


@every_letter
def test_the_envelope_names_no_condition_and_no_patient(
    press: Press, slug: str, noted: bool
) -> None:
    message = letter_of(press.edition(slug, noted), note="Kestrel's leg")
    for name, value in message.items():
        assert not TELLTALE.search(f"{name}: {value}"), name
        if name != "To":
            assert "kestrel" not in str(value).lower()
    preheader = press.material.course.by_slug[slug].preheader
    assert not TELLTALE.search(preheader)
    assert 40 <= len(preheader) <= 130


@every_letter
def test_the_preheader_is_what_an_inbox_shows_first(press: Press, slug: str, noted: bool) -> None:
    letter = fill(press.edition(slug, noted), VALUES)
    preheader = press.material.course.by_slug[slug].preheader
    assert Page(letter.html).text.strip().startswith(preheader)


def test_a_real_letter_s_ids_say_nothing(clinic: Clinic) -> None:
    clinic.physiopost("enrol", "--now", "2026-11-23T10:00Z")
    clinic.physiopost("send", "--now", "2026-11-24T10:00Z")
    assert clinic.letters()
    for path in clinic.letters():
        message = message_from_bytes(path.read_bytes(), policy=default)
        assert re.fullmatch(r"<[0-9a-f]{32}@harbour-physio\.example\.org>", message["Message-ID"])
        assert re.fullmatch(
            r"<http://127\.0\.0\.1:8000/stop/[0-9a-f]{64}>", message["List-Unsubscribe"]
        )
        assert message["Message-ID"][1:33] not in message["List-Unsubscribe"]
        name = str(message["To"]).partition(".")[0]
        others = [str(value) for header, value in message.items() if header != "To"]
        assert name not in " ".join(others).lower()


# The page


@every_letter
def test_nothing_is_fetched_from_anywhere(press: Press, slug: str, noted: bool) -> None:
    letter = fill(press.edition(slug, noted), VALUES)
    page = Page(letter.html)
    for tag in ("img", "link", "script", "iframe", "object", "video", "audio", "source", "form"):
        assert not page.all(tag)
    assert not re.search(r"url\(|@import|@font-face|src=|background=|fonts\.g", letter.html)
    address = re.compile(r"https?://[^\s\"'<>)]+")
    outside = {link for link in address.findall(letter.html) if "www.w3.org" not in link}
    own = {STOP, STOP.replace("/stop/", "/letters/")}
    assert outside == own
    assert set(address.findall(letter.text)) == own


@every_letter
def test_a_reader_program_is_told_language_and_direction(
    press: Press, slug: str, noted: bool
) -> None:
    html = fill(press.edition(slug, noted), VALUES).html
    page = Page(html)
    assert page.all("html")[0]["lang"] == "en-GB"
    assert page.all("html")[0]["dir"] == "ltr"
    body = [tag for tag, _ in page.tags].index("body")
    child = page.tags[body + 1][1]  # some mail programs throw html and body away
    assert (child["lang"], child["dir"]) == ("en-GB", "ltr")
    assert html.endswith("</div></body></html>")
    titles = [tag for tag, _ in page.tags if tag in ("h1", "h2", "h3")]
    assert titles[0] == "h1"
    assert titles.count("h1") == 1
    assert all(table["role"] == "presentation" for table in page.all("table"))


@every_letter
def test_a_letter_is_small(press: Press, slug: str, noted: bool) -> None:
    """Gmail cuts a letter off at 102 KB, and with it the emergency box."""
    letter = fill(press.edition(slug, noted), VALUES | {"note": "語" * 800})
    assert len(letter.html.encode()) < 60_000
    assert len(letter.text.encode()) < 20_000


def test_words_for_a_person() -> None:
    assert in_words(datetime(2026, 12, 22, tzinfo=UTC).date()) == "Tuesday 22 December"
    assert first_name("Amy Okafor") == "Amy"
    assert first_name("Amy") == "Amy"
    assert first_name("  Amy   Okafor ") == "Amy"
    assert first_name("") == ""


# render


def rendered(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_render_writes_nine_letters_of_each_kind(clinic: Clinic) -> None:
    said = clinic.physiopost("render", "--to", "out/letters")
    assert (said.code, said.out, said.err) == (0, "9 letters in out/letters\n", "")
    folder = clinic.folder / "out" / "letters"
    assert rendered(folder) == {
        f"{slug}.{kind}" for slug in SLUGS for kind in ("html", "txt", "eml")
    }
    for slug in SLUGS:
        octets = (folder / f"{slug}.eml").read_bytes()
        message = message_from_bytes(octets, policy=default)
        assert isinstance(message, EmailMessage)
        assert not any(part.defects for part in message.walk())
        for kind, ending in (("plain", "txt"), ("html", "html")):
            part = message.get_body((kind,))
            assert part
            shown = str(part.get_content()).replace("\r\n", "\n")
            assert shown == (folder / f"{slug}.{ending}").read_text(encoding="utf-8")
    assert not (clinic.folder / "var").exists()


def test_render_gives_one_lesson_with_its_source(clinic: Clinic) -> None:
    said = clinic.physiopost("render", "--to", "out", "--lesson", "scans", "--source")
    assert (said.code, said.out) == (0, "1 letters in out\n") or said.out == "1 letter in out\n"
    assert rendered(clinic.folder / "out") == {
        f"scans.{kind}" for kind in ("html", "txt", "eml", "mjml")
    }
    source = (clinic.folder / "out" / "scans.mjml").read_text(encoding="utf-8")
    assert source.startswith("<mjml")
    assert TOKENS["first_name"] in source


@pytest.mark.parametrize("enrolled", [False, True])
def test_render_for_a_person_says_what_that_person_will_read(
    clinic: Clinic, enrolled: bool
) -> None:
    with time_machine.travel(datetime(2026, 11, 24, 8, tzinfo=UTC), tick=False):
        if enrolled:
            clinic.physiopost("enrol")
        said = clinic.physiopost("render", "--to", "amy", "--for", "amy")
        assert (said.code, said.err) == (0, "")
        assert clinic.physiopost("render", "--to", "chloe", "--for", "chloe").code == 0
        assert not clinic.letters()
    letter = (clinic.folder / "amy" / "scans.eml").read_bytes()
    assert message_from_bytes(letter, policy=default)["To"] == "amy.okafor@example.org"
    text = (clinic.folder / "amy" / "welcome.txt").read_text(encoding="utf-8")
    assert "Dear Amy,\n" in text
    assert "A note for you" not in text
    text = (clinic.folder / "chloe" / "welcome.txt").read_text(encoding="utf-8")
    assert "Dear Chloé,\n" in text
    assert "A note for you\n\nWell done on the walking." in text
    assert "Priya Shah, Harbour Physio" in text


def test_render_again_writes_the_same(clinic: Clinic) -> None:
    with time_machine.travel(datetime(2026, 11, 24, 8, tzinfo=UTC), tick=False):
        for folder in ("one", "two"):
            assert clinic.physiopost("render", "--to", folder).code == 0
    for path in (clinic.folder / "one").iterdir():
        assert path.read_bytes() == (clinic.folder / "two" / path.name).read_bytes()


# Styles


def test_a_plain_letter_is_its_text_and_nothing_else(press: Press) -> None:
    usual, plain = press.edition("scans", True), press.edition("scans", True, "plain")
    beside = letter_of(usual).get_body(("plain",))
    assert beside
    message = letter_of(plain, note="Grüße – 100 % =")
    assert message.get_content_type() == "text/plain"
    assert "Grüße – 100 % =" in message.get_content()
    assert letter_of(plain).get_content() == beside.get_content()
    assert Edition.from_json(plain.as_json()) == plain
    assert plain.hash != usual.hash


def test_large_print_says_the_same_in_letters_of_18_points(press: Press) -> None:
    usual, large = press.edition("scans", True), press.edition("scans", True, "large")
    assert Page(fill(large, VALUES).html).text == Page(fill(usual, VALUES).html).text
    assert large.text == usual.text
    sizes = {int(size) for size in re.findall(r"font-size:(\d+)px", large.html)}
    assert sizes == {0, 1, 21, 24, 25, 27, 40}
    assert not re.search(r"line-height:(1\d|2\d)px", large.html)


def test_the_style_asked_for_last_leaves_the_others_as_they_were(press: Press) -> None:
    before = press.edition("welcome", False).hash
    assert press.edition("welcome", False, "large").hash != before
    assert press.edition("welcome", False, None).hash == before


def test_large_print_passes_the_checks_that_the_usual_letter_passes(
    material: Material, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = Press(material, root / "templates")
    monkeypatch.setattr(large, "edition", partial(large.edition, style="large"))
    mails = [*markup.mails(material, large)]
    assert "font-size:24px" in mails[0].html
    assert [each for mail in mails for each in markup.findings(mail)] == []
    assert [*contrast.findings(mails)] == []
