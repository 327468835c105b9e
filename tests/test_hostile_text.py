"""What people type arrives as they typed it, and does nothing: no markup, no header, no code."""

import re
import unicodedata
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from conftest import Clinic
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scheduler.letters.editions import Edition, Press
from scheduler.letters.fill import Envelope, fill, first_name
from scheduler.letters.mime import serialise
from scheduler.letters.tokens import TOKENS
from scheduler.material import Material
from scheduler.material.fields import clean

NOW = "2026-11-24T10:00Z"
BRIEF = '<b>{{ 7*7 }}</b> O\'Neil, "Zoë"\r\nBcc: x@example.org'

HOSTILE = {
    "markup, a header and template syntax": BRIEF,
    "one word of markup": "<b>{{7*7}}</b>",
    "a script": '"><script>alert(7*7)</script>',
    "an image": "<img/src=https://evil.example/x.png/onerror=alert(1)>",
    "a comment": "--><!--[if mso]>x<![endif]--><!--",
    "a link in Markdown": "[tap](https://evil.example) **now**",
    "a template block": "{%for(x)in(range(49))%}x{%endfor%}{#note#}",
    "entities": "&lt;b&gt;&#60;i&#62;&amp;amp;",
    "our own tokens": " ".join(TOKENS.values()),
    "a token in the first word": f"{TOKENS['stop_url']}x",
    "bidi overrides": "\u202eeoZ\u202c \u2066Amy\u2069 \u200fBo",
    "zero-width": "Z\u200bo\u200de\ufeff\u00ad \u2060Amy",
    "NUL and other controls": "Z\0o\x07e\x1b[31m \x85A\x9b2Jmy",
    "lines and paragraphs": "Zoe\u2028To: x@example.org\u2029\r\n\r\n<p>hi",
    "a MIME boundary": "\r\n--=_0000\r\nContent-Type: text/html\r\n\r\n<b>49</b>",
    "the end of mail": "Zoe\r\n.\r\nQUIT\r\n",
    "300 characters in one word": "Zo" * 150,
    "300 characters that are not ASCII": "é" * 300,
    "300 letters of three octets": "語" * 300,
    "emoji": "👩🏽\u200d🚒 🇬🇧 😀",
    "quoted-printable": "=3Cb=3E=0D=0ABcc:=20x =",
    "an encoded word": "=?utf-8?q?Bcc=3A_x=40example=2Eorg?=",
    "letters with marks": "Z̸̢o̴͓e̷ İ ﷽ Ꜳ",
    "terminal markup": "[bold red]Zoe[/bold red] [/] [link=https://evil.example]x[/link]",
    "a format": "%s {0} {first_name} ${x} %(x)s",
    "dots and spaces at the ends": "  . .Zoe.  .  ",
    "SQL": "'; DROP TABLE subscriber; --",
}

LIVE = re.compile(r"<(?:script|img|i|b|svg)[\s/>]", re.IGNORECASE)


class Words(HTMLParser):
    """The text of a page, and the tags in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def seen(text: str) -> str:
    """What stays of a typed text when it is one line of visible characters."""
    text = unicodedata.normalize("NFC", text)
    kept = (" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    hidden = ("Cf", "Cs", "Co")
    shown = (c for c in kept if unicodedata.category(c) not in hidden or c in "\u200c\u200d")
    return " ".join("".join(shown).split())


def parsed(octets: bytes) -> EmailMessage:
    """A letter as a mail program reads it, sound to the letter of the standards."""
    message = message_from_bytes(octets, policy=default)
    assert isinstance(message, EmailMessage)
    for part in message.walk():
        assert not part.defects
        for value in part.values():
            assert not value.defects
    for name in ("To", "From", "Subject", "Date", "Message-ID", "Reply-To"):
        assert len(message.get_all(name, [])) == 1
    assert not {"bcc", "cc", "resent-to"} & {name.lower() for name in message}
    assert message.get_content_type() == "multipart/alternative"
    kinds = [part.get_content_type() for part in message.iter_parts()]
    assert kinds == ["text/plain", "text/html"]
    head, _, body = octets.partition(b"\r\n\r\n")
    assert head.isascii()
    assert b"\n" not in octets.replace(b"\r\n", b"")
    assert b"\r" not in octets.replace(b"\r\n", b"")
    assert all(len(line) <= 998 for line in head.split(b"\r\n"))
    assert all(len(line) <= 78 for line in body.split(b"\r\n"))
    return message


def contents(message: EmailMessage) -> tuple[str, str]:
    """The text part and the HTML part, with the line ends of this machine."""
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text
    assert html
    plain, page = str(text.get_content()), str(html.get_content())
    return plain.replace("\r\n", "\n"), page.replace("\r\n", "\n")


def quoted(text: str) -> str:
    """As YAML holds it in double quotes."""
    return yaml.safe_dump(text, default_style='"', width=10**6, allow_unicode=False).strip()


def enrolled(clinic: Clinic, typed: str) -> None:
    """Somebody for whom every free field holds the typed text."""
    roster = f"""\
- id: zoe
  email: zoe@example.org
  name: {quoted(typed)}
  first_appointment: 2026-11-20
  consent: 2026-11-20
  physiotherapist: {quoted(typed)}
  note: {quoted(typed)}
  hold:
    - from: 2026-12-08
      until: 2026-12-15
      reason: {quoted(typed)}
"""
    clinic.write("subscribers.yaml", roster)
    said = clinic.physiopost("enrol", "--now", "2026-11-23T10:00Z")
    assert (said.code, said.err) == (0, "")
    assert fit_for_a_terminal(said.out)


def fit_for_a_terminal(printed: str) -> bool:
    """Whether nothing in it moves, colours or reorders what a terminal shows."""
    return all(
        c == "\n" or c in "\u200c\u200d" or unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp")
        for c in printed
    )


@pytest.mark.parametrize("typed", HOSTILE.values(), ids=HOSTILE)
def test_a_letter_holds_hostile_text_as_text(clinic: Clinic, typed: str) -> None:
    enrolled(clinic, typed)
    assert clinic.physiopost("send", "--now", NOW).code == 0
    (letter,) = clinic.letters()
    message = parsed(letter.read_bytes())
    assert message["To"] == "zoe@example.org"
    text, html = contents(message)
    said = seen(typed)
    first = said.split()[0]
    assert f"Dear {first}," in text
    assert f"\n{said}\n{said}, Harbour Physio\n" in text
    assert html.count(f">Dear {escape(first)},<") == 1
    assert html.count(f">{escape(said)}<") == 1
    assert html.count(f">{escape(said)}, Harbour Physio<") == 1
    assert not LIVE.search(html)
    assert "49" not in re.sub(r"Message-ID.*|/(stop|letters)/\w+|range\(49\)|<b>49</b>", "", text)
    assert "zoe" not in str(message["Subject"]).lower()


@pytest.mark.parametrize("typed", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_adds_no_tag_and_no_link(material: Material, root: Path, typed: str) -> None:
    edition = Press(material, root / "templates").edition("scans", noted=True)
    values = merge_values(typed)
    plain = Words(fill(edition, merge_values("Amy")).html)
    hostile = Words(fill(edition, values).html)
    assert hostile.tags == plain.tags
    assert hostile.links == plain.links
    assert clean(typed) in hostile.words


@pytest.mark.parametrize("typed", HOSTILE.values(), ids=HOSTILE)
def test_staff_see_hostile_text_as_text(clinic: Clinic, typed: str) -> None:
    enrolled(clinic, typed)
    for words in (["roster"], ["plan", "zoe"]):
        said = clinic.physiopost(*words, "--now", NOW)
        assert (said.code, said.err) == (0, "")
        assert fit_for_a_terminal(said.out), words
    assert "".join(seen(typed).split()) in "".join(said.out.split())


def test_the_pages_of_the_outbox_hold_no_live_markup(clinic: Clinic) -> None:
    enrolled(clinic, BRIEF)
    clinic.physiopost("send", "--now", NOW)
    pages = list((clinic.folder / "var" / "outbox").rglob("*.html"))
    assert len(pages) == 2
    for page in pages:
        assert not LIVE.search(page.read_text(encoding="utf-8"))


def test_the_same_roster_applied_again_changes_nothing(clinic: Clinic) -> None:
    enrolled(clinic, BRIEF)
    again = clinic.physiopost("enrol", "--now", NOW)
    assert again.out == "0 new, 0 changed, 1 unchanged: nothing to change\n"


def test_a_clinic_with_a_hostile_name_keeps_its_headers(clinic: Clinic) -> None:
    name = 'Zoë & <b>"Sons"</b>, {{ 7*7 }} \r\nBcc: x@example.org'
    clinic.replace("clinic.yaml", "name: Harbour Physio\n", f"name: {quoted(name)}\n")
    clinic.replace("clinic.yaml", "name: Harbour Physio ", f"name: {quoted(name)} ")
    assert clinic.physiopost("render", "--to", "out", "--lesson", "scans").code == 0
    message = parsed((clinic.folder / "out" / "scans.eml").read_bytes())
    (sender,) = message["From"].addresses
    # Python 3.11 keeps the space between two encoded words (RFC 2047, 6.2, says to drop it).
    assert sender.display_name.replace(" ", "") == seen(name).replace(" ", "")
    assert sender.addr_spec == "letters@harbour-physio.example.org"
    assert message["Subject"] == f"{seen(name)}: your week 5 information"
    text, html = contents(message)
    assert seen(name) in text
    assert escape(seen(name), quote=False) in html.replace("&#34;", '"').replace("&quot;", '"')
    assert not LIVE.search(html)


@pytest.mark.parametrize("length", [60, 80, 300, 1200])
@pytest.mark.parametrize("letter", ["A", "é"])
def test_a_sender_with_a_long_name_keeps_its_lines_short(
    clinic: Clinic, letter: str, length: int
) -> None:
    name = letter * length
    clinic.replace("clinic.yaml", "  name: Harbour Physio ", f"  name: {name} ")
    assert clinic.physiopost("render", "--to", "out", "--lesson", "scans").code in (0, 2)
    for path in (clinic.folder / "out").glob("*.eml"):
        (sender,) = parsed(path.read_bytes())["From"].addresses
        assert sender.display_name.replace(" ", "") == name


# Any name at all, at the level of filling and writing

EDITION = Edition(
    lesson="first-week",
    subject="Your first week",
    html=f"<p>Dear {TOKENS['first_name']}, 1 =</p><q>{TOKENS['note']}</q>"
    f'<a href="{TOKENS["stop_url"]}">{TOKENS["note_by"]}</a>\n',
    text=f"Dear {TOKENS['first_name']}, \n.\n\n{TOKENS['note']}\n{TOKENS['note_by']}\n"
    f"Stop: {TOKENS['stop_url']}\n",
    language="en-GB",
    from_name="Harbour Physio",
    from_email="letters@harbour.example.org",
    reply_to="reception@harbour.example.org",
)
TYPED = st.text(st.characters(exclude_categories=["Cs"]), max_size=120) | st.text(
    st.sampled_from("<>&\"'{}%=.,;:\r\n\0 \t?_-[]éß語😀\u202e\u2028\u200d"), max_size=120
)


def merge_values(typed: str) -> dict[str, str]:
    return {
        "first_name": first_name(clean(typed)),
        "next_letter": "Your next letter comes on Tuesday 1 December.",
        "stop_url": "https://letters.example.org/stop/0123456789abcdef",
        "note": clean(typed),
        "note_by": f"{clean(typed)}, Harbour Physio",
    }


def written(values: dict[str, str]) -> EmailMessage:
    at = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
    return parsed(serialise(EDITION, Envelope("d-0001", "zoe@example.org", at, values)))


@settings(max_examples=300, deadline=None)
@given(typed=TYPED)
@example(typed=BRIEF)
@example(typed="=" * 75)
@example(typed=".")
def test_any_name_arrives_as_it_was_typed(typed: str) -> None:
    values = merge_values(typed)
    letter = fill(EDITION, values)
    message = written(values)
    text, html = contents(message)
    assert text == letter.text
    assert html == letter.html
    assert unescape(re.findall("<q>(.*)</q>", html)[0]) == values["note"]
    assert [tag for tag, _ in Words(html).tags] == ["p", "q", "a"]
    assert message["To"] == "zoe@example.org"


@settings(max_examples=150, deadline=None)
@given(typed=TYPED)
@example(typed="a\rb")
@example(typed="a\r\nb\n\rc")
@example(typed="\r\n--=_0000")
def test_even_what_was_never_cleaned_stays_inside_its_part(typed: str) -> None:
    values = merge_values("Amy") | {"first_name": typed, "note": typed, "note_by": typed}
    message = written(values)
    text, html = contents(message)
    letter = fill(EDITION, values)
    assert text.split() == letter.text.split()
    assert html.split() == letter.html.split()


@settings(max_examples=200, deadline=None)
@given(typed=TYPED)
def test_cleaning_twice_is_cleaning_once(typed: str) -> None:
    once = clean(typed)
    assert clean(once) == once == seen(typed)
    assert "\n" not in once


@pytest.mark.parametrize("to", ["a@example.org\r\nBcc: x@example.org", "a b@example.org", "a\t@b"])
def test_an_address_with_white_space_is_never_written(to: str) -> None:
    at = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
    with pytest.raises(ValueError, match="white space"):
        serialise(EDITION, Envelope("d-0001", to, at, merge_values("Amy")))
