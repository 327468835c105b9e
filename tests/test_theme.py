"""What a clinic owns of its letters: a colour, a logo, the words of the frame."""

import json
import struct
import zlib
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
from conftest import Clinic
from hypothesis import given
from hypothesis import strategies as st

from scheduler.checks import browser, contrast, markup, wording
from scheduler.checks.markup import SAMPLE
from scheduler.letters import theme
from scheduler.letters.editions import Edition, Press
from scheduler.letters.fill import Envelope, fill, on_screen
from scheduler.letters.mime import serialise
from scheduler.material import Material, read_material
from scheduler.material.clinic import Picture, Wording
from scheduler.settings import Settings

COLOURS = st.integers(0, 0xFFFFFF).map("#{:06x}".format)
AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
LOGO = "logo:\n  file: ours.png\n  alt: Harbour Physio, an anchor\n"


def png(width: int = 480, height: int = 120, more: bytes = b"") -> bytes:
    rows = zlib.compress((b"\0" + b"\x0b\x3c\x6e" * width) * height)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"tEXt", more), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def material_of(clinic: Clinic, more: str = "") -> Material:
    path = clinic.folder / "clinic.yaml"
    path.write_text(path.read_text() + more)
    return read_material(Settings.from_environment({"PHYSIOPOST_COURSE": "course"}))


def press_of(clinic: Clinic, more: str = "") -> Press:
    return Press(material_of(clinic, more), clinic.folder / "templates")


@pytest.fixture
def owned(clinic: Clinic) -> Press:
    """A clinic with a logo."""
    (clinic.folder / "ours.png").write_bytes(png())
    return press_of(clinic, LOGO)


# The colour


@pytest.mark.parametrize(
    "words",
    [
        *(["render", "--to", "out"], ["send"], ["send", "--dry-run"], ["run", "--no-web"]),
        *(["simulate", "--to", "out"], ["demo"], ["check"]),
    ],
)
def test_no_command_that_makes_letters_starts_with_a_colour_that_nobody_can_read(
    clinic: Clinic, words: list[str]
) -> None:
    clinic.replace("clinic.yaml", '"#0b6e69"', '"#F2C14E"')
    lines = (clinic.folder / "clinic.yaml").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if text.startswith("brand"))
    said = clinic.physiopost(*words)
    assert said.code == 2
    assert said.err == (
        f"clinic.yaml:{line}: brand #F2C14E on #ffffff has 1.68 : 1 where 4.5 is needed; "
        f'take "{theme.suggestion("#f2c14e", "#ffffff", 4.5)}", for instance\n'
    )


@given(COLOURS, COLOURS)
def test_what_is_suggested_can_be_read(colour: str, ground: str) -> None:
    assert theme.ratio(theme.suggestion(colour, ground, 4.5), ground) >= 4.5


@given(COLOURS)
def test_what_can_be_read_is_left_as_it_is(colour: str) -> None:
    better = theme.suggestion(colour, "#ffffff", 4.5)
    assert theme.suggestion(better, "#ffffff", 4.5) == better
    assert (better == colour) == (theme.ratio(colour, "#ffffff") >= 4.5)


@given(COLOURS)
def test_what_is_suggested_is_near(colour: str) -> None:
    """No shade between the two can be read, and what has a hue keeps it."""
    red, green, blue = (abs(a - b) for a, b in zip(*map(theme.channels, (colour, "#ffffff"))))  # noqa: B905
    better = theme.suggestion(colour, "#ffffff", 4.5)
    if better != colour:
        assert theme.ratio(better, "#ffffff") < 4.9
        order = [at for _, at in sorted(zip(theme.channels(colour), "rgb", strict=True))]
        again = dict(zip("rgb", theme.channels(better), strict=True))
        assert [again[at] for at in order] == sorted(again.values())
    assert max(red, green, blue) <= 1


@given(COLOURS)
def test_all_that_follows_a_colour_can_be_read_in_light_and_dark(colour: str) -> None:
    brand = theme.suggestion(colour, "#ffffff", 4.5)
    for palette in theme.palettes(brand):
        for ink, ground in (("brand", "paper"), ("ink", "tint")):
            assert theme.ratio(palette[ink], palette[ground]) >= 4.5


@pytest.mark.parametrize("colour", ["#8a1c8a", "#1a1aff", "#000000", "#767676", "#a05000"])
def test_a_letter_in_any_colour_passes_every_check(
    root: Path, material: Material, colour: str
) -> None:
    clinic = material.clinic.model_copy(update={"brand": colour})
    press = Press(replace(material, clinic=clinic), root / "templates")
    mails = list(markup.mails(press.material, press))[:2]
    assert [str(each) for each in contrast.findings(mails)] == []


# The logo


def message_of(edition: Edition) -> tuple[EmailMessage, bytes]:
    octets = serialise(edition, Envelope("0123abcd", "sam@example.org", AT, SAMPLE))
    message = message_from_bytes(octets, policy=default)
    assert isinstance(message, EmailMessage)
    return message, octets


def test_the_logo_travels_inside_the_letter(owned: Press) -> None:
    for edition in owned.all():
        message, octets = message_of(edition)
        kinds = [part.get_content_type() for part in message.walk()]
        assert kinds == [
            *("multipart/alternative", "text/plain"),
            *("multipart/related", "text/html", "image/png"),
        ]
        assert not any(part.defects for part in message.walk())
        assert max(map(len, octets.split(b"\r\n"))) <= 998
        *_, image = message.walk()
        assert image.get_content() == png()
        assert image["Content-ID"] == "<logo>"
        assert image.get_content_disposition() == "inline"
        html = message.get_body(("html",))
        assert html
        letter = fill(edition, SAMPLE)
        assert html.get_content().replace("\r\n", "\n") == letter.html
        assert letter.html.count("cid:logo") == 1
        assert "http" not in letter.html.partition("cid:logo")[2].partition(">")[0]


def test_a_letter_with_a_logo_passes_every_check(clinic: Clinic, owned: Press) -> None:
    assert owned.material.logo
    said = clinic.physiopost("check")
    assert (said.code, said.out.splitlines()[-1].endswith("no findings")) == (0, True)


@pytest.mark.browser
def test_a_letter_with_a_logo_passes_axe(owned: Press, needs: Callable[[str], str]) -> None:
    needs("chromium")
    edition = owned.edition("scans", True)
    letter = on_screen(fill(edition, SAMPLE).html, edition.logo)
    assert "data:image/png" in letter
    assert list(browser.findings({"scans": letter})) == []


def test_where_there_are_no_parts_the_logo_stands_in_the_page(clinic: Clinic, owned: Press) -> None:
    assert owned.material.logo
    assert clinic.physiopost("render", "--to", "out", "--lesson", "scans").code == 0
    page = (clinic.folder / "out" / "scans.html").read_text()
    assert "cid:" not in page
    shown = page.partition('src="data:image/png;base64,')[2].partition('"')[0]
    assert b64decode(shown) == png()


def test_a_patient_who_writes_cid_is_left_alone() -> None:
    logo = Picture("logo", "image/png", "AAAA")
    assert on_screen('cid:logo src=&quot;cid:logo&quot; <img src="cid:logo">', logo) == (
        'cid:logo src=&quot;cid:logo&quot; <img src="data:image/png;base64,AAAA">'
    )


def test_an_edition_keeps_its_logo_and_one_without_is_stored_as_ever(
    owned: Press, material: Material, root: Path
) -> None:
    edition = owned.edition("scans", False)
    again = Edition.from_json(edition.as_json())
    assert (again, again.hash) == (edition, edition.hash)
    assert edition.hash != replace(edition, logo=None).hash
    plain = Press(material, root / "templates").edition("scans", False)
    assert "logo" not in json.loads(plain.as_json())
    assert Edition.from_json(plain.as_json()) == plain


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read; give its path as seen from clinic.yaml"),
        (b"", "is neither PNG nor JPEG; save it as one of them"),
        (b"GIF89a" + bytes(40), "is neither PNG nor JPEG; save it as one of them"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is neither PNG nor JPEG; save it as one"),
        (png()[:7], "is neither PNG nor JPEG; save it as one of them"),
        (png(more=bytes(50_000)), "is larger than 50 KB; save it smaller"),
    ],
)
def test_a_logo_that_cannot_go_into_a_letter_is_refused_in_its_line(
    clinic: Clinic, content: bytes | None, told: str
) -> None:
    if content is not None:
        (clinic.folder / "ours.png").write_bytes(content)
    path = clinic.folder / "clinic.yaml"
    line = len(path.read_text().splitlines()) + 2
    path.write_text(path.read_text() + LOGO)
    said = clinic.physiopost("render", "--to", "out")
    assert said.code == 2
    assert said.err.startswith(f'clinic.yaml:{line}: logo.file "ours.png" {told}')


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("  alt: Harbour Physio, an anchor\n", "", "logo.alt is missing"),
        ("Harbour Physio, an anchor", '""', "logo.alt is empty"),
        ("  alt:", "  width: 400\n  alt:", 'logo.width "400" cannot be used; give how wide'),
        ("  alt:", "  href: x\n  alt:", '"href" is not a field here; known are file, alt, width'),
    ],
)
def test_a_logo_is_written_in_full(clinic: Clinic, old: str, new: str, told: str) -> None:
    (clinic.folder / "ours.png").write_bytes(png())
    path = clinic.folder / "clinic.yaml"
    path.write_text(path.read_text() + LOGO.replace(old, new))
    said = clinic.physiopost("render", "--to", "out")
    assert said.code == 2
    assert told in said.err


def test_a_jpeg_is_a_logo(clinic: Clinic) -> None:
    jpeg = b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(90)
    (clinic.folder / "ours.png").write_bytes(jpeg)
    logo = press_of(clinic, LOGO).edition("welcome", False).logo
    assert logo
    assert (logo.media_type, b64decode(logo.content)) == ("image/jpeg", jpeg)


# The words


OURS = {
    "week": "Letter {{ week }} ({{weeks}})",
    "welcome": "To begin with",
    "greeting": "Hello {{ first_name }}!",
    "action": "Try this",
    "note": "From your visit",
    "sign_off": "All the best from",
    "sources": "Who says so",
    "about": "You get this because you asked for it. Your {{ profession }} reads replies <daily>.",
    "stop": "No more of these",
}
SAID = {
    **OURS,
    "week": "Letter 5 (8)",
    "greeting": "Hello Sam!",
    "about": "You get this because you asked for it. Your physiotherapist reads replies <daily>.",
}


def test_every_word_of_the_frame_that_is_the_clinic_s_stands_in_both_parts(clinic: Clinic) -> None:
    assert OURS.keys() == Wording.model_fields.keys()
    press = press_of(clinic, f"wording: {json.dumps(OURS)}\n")
    for slug, gone in (("scans", "welcome"), ("welcome", "week")):
        letter = fill(press.edition(slug, True), SAMPLE)
        for part in (letter.text, letter.html.replace("&lt;daily&gt;", "<daily>")):
            for name, words in SAID.items():
                assert (words in part) == (name != gone), name
            for words in Wording().model_dump(exclude={"welcome"}).values():
                assert words.partition("{")[0] not in part


@pytest.mark.parametrize(
    ("field", "words", "told"),
    [
        ("greeting", "Dear {{ frist_name }}", 'cannot hold "frist_name"; did you mean first_name?'),
        ("greeting", "Dear {{ note }}", 'cannot hold "note"; it may hold first_name'),
        ("stop", "Stop, {{ first_name }}", 'cannot hold "first_name"; it holds no merge field'),
        ("sign_off", "Yours {", "has a brace too many; write a field as in {{ first_name }}"),
        ("week", "{% if week %}x{% endif %}", "has a brace too many; write a field as in"),
        ("note", "x" * 61, "cannot be used; give the heading of the physiotherapist's note"),
        ("about", "Without an end", "cannot be used; give sentences: why they get it, who reads"),
        ("action", "", "is empty; write something or leave the field out"),
        ("signoff", "Yours", '"signoff" is not a field here; did you mean sign_off?'),
    ],
)
def test_a_word_that_cannot_stand_in_the_frame_is_refused_in_its_line(
    clinic: Clinic, field: str, words: str, told: str
) -> None:
    path = clinic.folder / "clinic.yaml"
    line = len(path.read_text().splitlines()) + 2
    path.write_text(path.read_text() + f"wording:\n  {field}: {json.dumps(words)}\n")
    said = clinic.physiopost("render", "--to", "out")
    assert (said.code, said.err.startswith(f"clinic.yaml:{line}: ")) == (2, True)
    assert told in said.err


@pytest.mark.parametrize(
    ("field", "words", "rule"),
    [
        ("action", "For your damaged disc", "frightening"),
        ("action", "For your damaged disc", "indiscreet"),
        ("sign_off", "Book now with", "marketing"),
        ("about", "You don't have to answer.", "contraction"),
        ("about", "Our clinicians read replies.", "hard-word"),
        ("stop", "Click here", "vague-link"),
        ("greeting", "Dear patient,", "indiscreet"),
    ],
)
def test_the_clinic_s_words_are_held_to_the_course_s_rules_in_their_line(
    clinic: Clinic, field: str, words: str, rule: str
) -> None:
    path = clinic.folder / "clinic.yaml"
    line = len(path.read_text().splitlines()) + 2
    path.write_text(path.read_text() + f"wording:\n  {field}: {json.dumps(words)}\n")
    said = clinic.physiopost("check", "--json")
    found = [each for each in json.loads(said.out)["findings"] if each["rule"] == rule]
    assert said.code == 1
    assert {(each["place"], each["line"]) for each in found} == {("clinic.yaml", line)}
    assert all(each["cure"] for each in found)


def test_the_words_for_a_logo_are_held_to_them_too(clinic: Clinic) -> None:
    (clinic.folder / "ours.png").write_bytes(png())
    press = press_of(clinic, LOGO.replace("an anchor", "sciatica.png"))
    faults = list(wording.frame_findings(press.material))
    assert [(each.place, each.rule) for each in faults] == [("clinic.yaml", "indiscreet")]


def test_what_we_ship_as_the_frame_s_words_passes_as_well(clinic: Clinic) -> None:
    ours = Wording().model_dump()
    assert list(wording.frame_findings(material_of(clinic, f"wording: {json.dumps(ours)}"))) == []


def test_the_example_shows_every_phrase_as_it_is(root: Path) -> None:
    phrases = (root / "clinic.yaml").read_text().partition("#wording:\n")[2].partition("\n\n")[0]
    lines = phrases.splitlines()
    shown = dict(line.removeprefix("#  ").split(": ", 1) for line in lines)
    assert shown == Wording().model_dump()
