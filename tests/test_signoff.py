"""What a signature promises: patients get the words that a physiotherapist read, or nothing."""

import io
import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

import pytest
import time_machine
from aiosmtpd.controller import Controller
from conftest import SIGN, Clinic
from test_kill import Inbox, free_port

from scheduler.material import read_material, signoff
from scheduler.material.signoff import BLOCKS, read_signatures, standing
from scheduler.settings import Settings

ROSA = SIGN[2:]
WELCOME = "course/lessons/00-welcome.md"
BOX = "course/blocks/same-day.md"
COUNTRIES = "course/countries.yaml"
CLAIMS = "course/claims.yaml"
SIGNOFF = "course/signoff.yaml"
DAY = date(2026, 11, 24)
NOW = ("--now", "2026-11-24T10:00Z")
LESSONS = {
    *("welcome", "what-it-is", "what-you-may-feel", "rest-or-move", "movement", "scans"),
    *("your-assessment", "flare-ups", "what-next"),
}

PERSON = """\
- {{id: {0}, email: {0}@example.org, name: {0} Example, first_appointment: {1}, consent: {1}}}
"""


def states(clinic: Clinic, day: date = DAY) -> dict[str, str]:
    """How everything stands, where it does not stand signed."""
    os.chdir(clinic.folder)
    material = read_material(Settings.from_environment(os.environ))
    return {
        what: each.state for what, each in standing(material, day).items() if each.state != "signed"
    }


@pytest.fixture
def post(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    """A real mail server, and a clinic that sends through it and has enrolled its people."""
    assert clinic.physiopost("enrol", "--now", "2026-11-23T10:00Z").code == 0
    inbox = Inbox()
    server = Controller(inbox, hostname="127.0.0.1", port=free_port())
    server.start()
    monkeypatch.setenv("PHYSIOPOST_CHANNEL", "smtp")
    monkeypatch.setenv("PHYSIOPOST_URL", "https://letters.example.org")
    monkeypatch.setenv("PHYSIOPOST_SECRET", "0123456789abcdef" * 2)
    monkeypatch.setenv("PHYSIOPOST_SMTP", f"smtp://127.0.0.1:{server.port}")
    yield inbox
    server.stop()


# What a signature covers


def test_the_course_ships_unsigned(clinic: Clinic) -> None:
    assert states(clinic) == dict.fromkeys(LESSONS | {BLOCKS}, "unsigned")


def test_a_course_without_the_file_is_unsigned(clinic: Clinic) -> None:
    (clinic.folder / SIGNOFF).unlink()
    assert states(clinic) == dict.fromkeys(LESSONS | {BLOCKS}, "unsigned")
    assert clinic.physiopost("sign", "welcome", *ROSA).code == 0
    assert set(states(clinic)) == LESSONS - {"welcome"} | {BLOCKS}


Edit = Callable[[Clinic], None]


def changed(name: str, pattern: str, new: str) -> Edit:
    """An edit of the first place that looks like this."""

    def edit(clinic: Clinic) -> None:
        text = (clinic.folder / name).read_text(encoding="utf-8")
        edited = re.sub(pattern, new, text, count=1, flags=re.MULTILINE | re.DOTALL)
        assert edited != text
        clinic.write(name, edited)

    return edit


def renamed(clinic: Clinic) -> None:
    (clinic.folder / WELCOME).rename(clinic.folder / "course/lessons/hello.md")
    clinic.replace("course/course.yaml", "00-welcome.md", "hello.md")


def padded(clinic: Clinic) -> None:
    front, body = (clinic.folder / WELCOME).read_text(encoding="utf-8").rsplit("---\n", 1)
    clinic.write(WELCOME, f"{front}---\n" + body.replace("\n", " \t\n") + "\n\n")


@pytest.mark.parametrize(
    ("edit", "void"),
    [
        pytest.param(changed(WELCOME, r"\Z", "One word.\n"), {"welcome"}, id="a word"),
        pytest.param(changed(WELCOME, "^title: ", "title: Oh, "), {"welcome"}, id="title"),
        pytest.param(changed(WELCOME, '^action: "', 'action: "Please '), {"welcome"}, id="action"),
        pytest.param(changed(WELCOME, r"C1, ", "C1, C4, "), {"welcome"}, id="claims"),
        pytest.param(changed(CLAIMS, "verdict: ok", "verdict: fix"), {"welcome"}, id="verdict"),
        pytest.param(changed(BOX, r"\Z", "One word.\n"), {BLOCKS}, id="a box's word"),
        pytest.param(changed(COUNTRIES, '"999"', '"112"'), {BLOCKS}, id="emergency number"),
        pytest.param(changed(COUNTRIES, "111 on 111", "111 on 112"), {BLOCKS}, id="advice line"),
        pytest.param(changed(COUNTRIES, '"911"', '"112"'), set(), id="another country's number"),
        pytest.param(changed("clinic.yaml", "GB-ENG", "US"), {BLOCKS}, id="country"),
        pytest.param(padded, set(), id="white space at line ends"),
        pytest.param(renamed, set(), id="file name"),
        pytest.param(changed(WELCOME, "review_by: 2027", "review_by: 2028"), set(), id="review"),
    ],
)
def test_an_edit_makes_the_signature_of_what_was_read_void(
    clinic: Clinic, edit: Edit, void: set[str]
) -> None:
    assert clinic.physiopost(*SIGN).code == 0
    assert states(clinic) == {}
    edit(clinic)
    assert states(clinic) == dict.fromkeys(void, "void")


def test_what_was_signed_is_not_sent_past_its_review_date(clinic: Clinic) -> None:
    clinic.physiopost(*SIGN)
    changed(WELCOME, r"review_by: [\d-]+", "review_by: 2026-11-24")(clinic)
    assert states(clinic, date(2026, 11, 24)) == {}
    assert states(clinic, date(2026, 11, 25)) == {"welcome": "past review"}
    changed(BOX, r"review_by: [\d-]+", "review_by: 2026-11-23")(clinic)
    assert states(clinic) == {BLOCKS: "past review"}


# What goes


def test_a_mail_server_gets_nothing_that_is_unsigned_and_everything_once_when_it_is(
    clinic: Clinic, post: Inbox
) -> None:
    for _ in range(2):
        said = clinic.physiopost("send", *NOW)
        assert said.code == 1
        assert "5 wait for welcome: not signed yet; a registered physiotherapist must " in said.out
        assert "physiopost sign welcome --name" in said.out
        assert "5 wait for blocks: " in said.out
    assert not post.got
    assert clinic.physiopost(*SIGN).code == 0
    assert clinic.physiopost("send", *NOW).out == "5 accepted\n"
    assert clinic.physiopost("send", *NOW).out == "nothing is due\n"
    assert sorted(post.got.values()) == [1] * 5


def test_a_dry_run_says_what_would_wait(clinic: Clinic, post: Inbox) -> None:
    said = clinic.physiopost("send", "--dry-run", *NOW)
    assert "5 letters are due; nothing was sent\n5 wait for blocks: not signed yet" in said.out
    assert not post.got


def test_a_letter_that_waited_for_days_goes_at_the_next_send_time_and_is_not_lost(
    clinic: Clinic, post: Inbox
) -> None:
    for now in ("2026-11-24T09:30Z", "2026-11-24T15:00Z", "2026-11-25T09:31Z"):
        said = clinic.physiopost("send", "--now", now)
    assert "\n5 wait for welcome: " in said.out  # each person once, though their dates moved
    clinic.physiopost(*SIGN)
    assert clinic.physiopost("send", "--now", "2026-11-25T15:00Z").out == "nothing is due\n"
    assert not post.got
    clinic.physiopost("send", "--now", "2026-11-26T09:30Z")
    assert post.got["amy.okafor@example.org"] == 1


def test_each_waiting_letter_is_counted_once_though_its_date_moves(
    clinic: Clinic, post: Inbox
) -> None:
    said = clinic.physiopost("send", "--now", "2026-11-25T09:31Z")
    assert "\n5 wait for welcome: " in said.out
    assert not post.got


def test_send_says_what_would_not_go_before_anybody_waits_for_it(
    clinic: Clinic, post: Inbox
) -> None:
    said = clinic.physiopost("send", "--now", "2026-11-23T10:00Z")
    assert said.code == 1
    assert "nothing is due\nwould not go as they stand: blocks, " in said.out
    assert "welcome" in said.out
    assert clinic.physiopost(*SIGN).code == 0
    assert clinic.physiopost("send", "--now", "2026-11-23T10:00Z").code == 0
    assert not post.got


def test_an_edited_lesson_waits_alone(clinic: Clinic, post: Inbox) -> None:
    people = {"bea": "2026-11-16", "cid": "2026-11-23"}
    for name, day in people.items():
        clinic.write("subscribers.yaml", PERSON.format(name, day))
        clinic.physiopost("enrol", "--now", f"{day}T08:00Z")
    clinic.physiopost(*SIGN)
    clinic.physiopost("send", "--now", "2026-11-17T09:30Z")
    before = post.got.copy()
    changed(WELCOME, r"\Z", "One word.\n")(clinic)
    said = clinic.physiopost("send", *NOW)
    assert said.code == 1
    assert "wait for welcome: edited since Rosa Example signed on " in said.out
    assert "blocks" not in said.out
    assert post.got - before == {"bea@example.org": 1}
    assert clinic.physiopost("sign", "welcome", *ROSA).code == 0
    assert clinic.physiopost("send", *NOW).code == 0
    assert post.got["cid@example.org"] == 1


def test_the_running_service_says_once_what_is_missing_and_goes_on_once_it_is_signed(
    clinic: Clinic, post: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = []

    def minutes(tick: Callable[[], str]) -> None:
        lines.extend([tick(), tick()])
        changed(WELCOME, r"\Z", "One word.\n")(clinic)
        clinic.physiopost(*SIGN)
        lines.extend([tick(), tick()])

    monkeypatch.setattr("scheduler.cli.service.work", minutes)
    with time_machine.travel(datetime(2026, 11, 24, 9, 31, tzinfo=UTC), tick=False):
        assert clinic.physiopost("run", "--no-web").code == 0
    assert lines[0].startswith("5 wait for blocks: not signed yet")
    assert lines[1:] == ["", "5 accepted", ""]
    assert sorted(post.got.values()) == [1] * 5


def test_a_folder_gets_drafts_that_say_so_until_somebody_signs(clinic: Clinic) -> None:
    clinic.physiopost("enrol", "--now", "2026-11-23T10:00Z")
    outbox = clinic.folder / "var" / "outbox"
    assert clinic.physiopost("send", *NOW).out == "5 accepted\n"
    drafts = {letter.stem for letter in clinic.letters()}
    assert drafts_among(clinic) == drafts
    assert (outbox / "index.html").read_text().count('<span class="draft">DRAFT</span>') == 6
    assert not [letter for letter in clinic.letters() if b"draft" in letter.read_bytes().lower()]
    clinic.physiopost(*SIGN)
    clinic.physiopost("send", "--now", "2026-12-01T10:00Z")
    assert len(clinic.letters()) > len(drafts)
    assert drafts_among(clinic) == drafts  # what was not signed when it went stays a draft


def drafts_among(clinic: Clinic) -> set[str]:
    """The letters above which the gallery says DRAFT, with the reason, in both of their pages."""
    words = "DRAFT, not for patients.", "welcome: not signed yet; blocks: not signed yet"
    pages = [*(clinic.folder / "var" / "outbox" / "letters").iterdir()]
    found = [page.stem for page in pages if all(word in page.read_text() for word in words)]
    assert all(found.count(stem) == 2 for stem in found)
    return set(found)


# signoff.yaml, and who may write it


def test_signing_keeps_the_head_of_the_file_and_the_other_signatures(clinic: Clinic) -> None:
    head = (clinic.folder / SIGNOFF).read_text().removesuffix("[]\n")
    assert head.startswith("#")
    clinic.physiopost("sign", "welcome", *ROSA)
    clinic.physiopost("sign", "scans", *ROSA)
    before = read_signatures(clinic.folder / "course")
    tom = ("--name", 'Tom "Zoë" Ellis', "--registration", "0012345", "--on", "2026-01-31", "--yes")
    assert clinic.physiopost("sign", "welcome", *tom).code == 0
    assert (clinic.folder / SIGNOFF).read_text().startswith(head + "- what: welcome\n")
    after = read_signatures(clinic.folder / "course")
    assert list(after) == ["welcome", "scans"]
    assert after["scans"] == before["scans"]
    now = after["welcome"]
    assert (now.name, now.registration) == ('Tom "Zoë" Ellis', "0012345")
    assert now.signed_on == date(2026, 1, 31)
    assert set(states(clinic)) == LESSONS - {"welcome", "scans"} | {BLOCKS}


ENTRY = f"""\
- what: welcome
  sha256: {"0" * 64}
  name: Rosa Example
  registration: PH123456
  signed_on: 2026-11-23
"""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("what: welcome\n", ":1: is not a list; begin each signature with a dash"),
        (ENTRY + ENTRY, ':6: "welcome" is signed twice; keep the newer'),
        (ENTRY.replace("PH123456", "yes"), ':4: registration "yes" is no registration number;'),
        (ENTRY.replace("-23", "-31"), ':5: signed_on "2026-11-31" is a date that does not exist'),
        (ENTRY.replace("0000", "00g0"), ":2: sha256 "),
        (ENTRY.replace("name", "nam"), ":3: "),
        (ENTRY.replace("  name: Rosa Example\n", ""), ":1: name is missing; add the physio"),
        ("- what: [\n", ":2: not YAML"),
    ],
)
def test_a_file_of_signatures_that_cannot_be_used_is_named_with_its_line(
    clinic: Clinic, text: str, says: str
) -> None:
    clinic.write(SIGNOFF, text)
    for words in (("check",), SIGN):
        said = clinic.physiopost(*words)
        assert said.code == 2
        assert said.err.startswith(f"{SIGNOFF}{says}") or f"\n{SIGNOFF}{says}" in said.err
        assert (clinic.folder / SIGNOFF).read_text() == text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["sign", "welcom", *ROSA], 'WHAT: there is no "welcom" to sign; did you mean welcome?'),
        (["sign", "nothing-like-it", *ROSA], "known are welcome, what-it-is, "),
        (["sign", *ROSA], "'WHAT'"),
        (["sign", "all", "--name", "Rosa"], "'--registration'"),
        ([*SIGN[:3], " ", *SIGN[4:]], "'--name': is empty"),
        ([*SIGN[:5], "yes", "--yes"], '"yes" is no registration number; write it'),
        ([*SIGN[:5], "a;b123", "--yes"], "'--registration': "),
        ([*SIGN, "--on", "2999-01-01"], "--on: 2999-01-01 is still to come; write the day"),
        ([*SIGN, "--on", "yesterday"], '"yesterday" is not a date; write year-month-day'),
        (SIGN[:-1], "sign: there is no terminal to ask whether this has been read; add --yes"),
    ],
)
def test_a_signature_that_cannot_be_is_refused(clinic: Clinic, words: list[str], says: str) -> None:
    before = (clinic.folder / SIGNOFF).read_text()
    said = clinic.physiopost(*words)
    assert said.code == 2
    assert says in said.err.splitlines()[-1]
    assert (clinic.folder / SIGNOFF).read_text() == before


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_on_a_terminal_it_shows_what_is_signed_and_asks(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal(answer))
    said = clinic.physiopost("sign", "welcome", *ROSA[:-1])
    assert said.code == code
    shown = r"welcome  Welcome to your weekly letters  \d+ words  course/lessons/00-welcome.md\n"
    assert re.match(shown, said.out)
    assert "I am Rosa Example, a registered physiotherapist (PH123456), and have read" in said.out
    assert ("welcome" in states(clinic)) == bool(code)


def test_the_course_inside_the_installed_program_stays_unsigned(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signoff, "PACKAGE", clinic.folder)
    said = clinic.physiopost(*SIGN)
    assert said.code == 2
    assert said.err.startswith("course: is part of the installed program and stays unsigned; copy")
    assert "PHYSIOPOST_COURSE" in said.err


def test_a_folder_that_cannot_be_written_to_keeps_its_signatures(clinic: Clinic) -> None:
    (clinic.folder / "course" / f".signoff.yaml.{os.getpid()}").mkdir()
    before = (clinic.folder / SIGNOFF).read_text()
    said = clinic.physiopost(*SIGN)
    assert (said.code, said.err.startswith(f"{SIGNOFF}: is a directory; mend")) == (2, True)
    assert (clinic.folder / SIGNOFF).read_text() == before


@pytest.mark.parametrize("slug", ["all", "blocks"])
def test_no_lesson_is_called_what_means_something_else(clinic: Clinic, slug: str) -> None:
    clinic.replace(WELCOME, "slug: welcome", f"slug: {slug}")
    said = clinic.physiopost("check")
    assert said.code == 2
    assert said.err.startswith(f'{WELCOME}:2: slug "{slug}" has a meaning of its own')
