"""The technician's guide says what is printed: each fault in its table is had, and read off.

A round of `physiopost send` by SendGrid (the stand-in) or SMTP, on the morning when five welcomes
are due. The guide's addresses stand for those of this machine.
"""

import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path

import pytest
import time_machine
from aiosmtpd.smtp import AuthResult
from conftest import SIGN, Clinic, Said
from sendgrid_standin import StandIn
from test_kill import free_port
from test_smtp import Answer, Inbox, OnAnyPort, take_and_hang_up

from scheduler.cli import cli
from scheduler.cli.desk import Desk
from scheduler.cli.sending import STATES
from scheduler.letters.editions import Press
from scheduler.settings import Settings

MORNING = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
Table = Mapping[str, tuple[str, str]]
KEY = "SG.test-key"
ALWAYS = 20  # requests: more than a round makes
FRAME = "the channel is down: ", "; letters that are due stay due"
EVERYDAY = re.compile(r"\d+ undecided in all: .*|see who with .*|nothing is due")
SETTINGS = {
    "PHYSIOPOST_SECRET": "0123456789abcdef" * 2,
    "PHYSIOPOST_URL": "https://letters.example.org",
}
PLACES = {
    re.compile(r"http://127\.0\.0\.1:\d+"): "https://api.sendgrid.com",
    re.compile(r"127\.0\.0\.1:\d+"): "mail.example.org:587",
}


def until(seconds: int) -> Mapping[str, str]:
    """SendGrid's headers of 429; it is 10:05 there."""
    theirs = 1_795_428_300
    reset = str(theirs + seconds)
    return {"X-RateLimit-Reset": reset, "Date": formatdate(theirs, usegmt=True)}


def always(standin: StandIn, status: int, **how: object) -> None:
    for _ in range(ALWAYS):
        standin.next_fault("answer", status=status, **how)


def other_key(standin: StandIn) -> None:
    standin.key = "SG.another"


def one_bad(standin: StandIn) -> None:
    standin.refuses = lambda address: address.startswith("ben.")


SENDGRID: dict[str, Callable[[StandIn], None]] = {
    "refuses the key": other_key,
    "the key may not send": lambda it: it.next_fault("answer", status=403),
    "refuses the sender": lambda it: it.next_fault("answer", status=400, blames="from.email"),
    "another address": lambda it: it.next_fault("answer", status=404),
    "asks us to wait": lambda it: always(it, 429, headers=until(300)),
    "asks us to wait, without a time": lambda it: always(it, 429),
    "refuses an address": one_bad,
    "the letter is too large": lambda it: always(it, 413),
    "an error of its own": lambda it: it.next_fault("answer", status=503),
    "no answer": lambda it: it.next_fault("hang"),
    "hangs up before an answer": lambda it: it.next_fault("close"),
    "half an answer": lambda it: it.next_fault("cut", taken=True),
}
SMTP: dict[str, Mapping[str, Answer]] = {
    "refuses our sender": {"MAIL": "550 5.7.1 no"},
    "closes": {"MAIL": "421 4.3.2 closing"},
    "the mailbox is full": {"RCPT": "452 4.2.2 full"},
    "no such mailbox": {"RCPT": "550 5.1.1 no"},
    "refuses the letter": {"text": "554 5.7.1 no"},
    "breaks off": {"text": take_and_hang_up},
    "breaks off, with `resend`": {"text": take_and_hang_up},
    "an answer that is none": {"text": "999 ok"},
}
OTHERS = [
    *("SendGrid is away", "Email Logs closed to the key", "suppression lists closed to the key"),
    *("the mail server is away", "an unknown name", "a wrong password", "no TLS"),
]


@pytest.fixture(scope="module")
def guide(root: Path) -> str:
    return (root / "docs" / "guide-technician.md").read_text()


@pytest.fixture(scope="module")
def table(guide: str) -> Table:
    """By fault, the line of the screen, and how what happens by itself begins: its state."""
    rows = re.findall(r"^\| ([^|]+?) \| `([^|`]+)` \| ([a-z ]+)", guide, re.MULTILINE)
    assert len({fault for fault, _, _ in rows}) == len(rows)
    return {fault: (line, state.strip()) for fault, line, state in rows}


@pytest.fixture(scope="module")
def prepared(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Press]:
    """A clinic that has signed, enrolled, and run its first round today; and its letters."""
    folder = tmp_path_factory.mktemp("prepared")
    shutil.copytree(root / "course", folder / "course")
    for name in ("clinic.yaml", "subscribers.yaml"):
        shutil.copy(root / name, folder / name)
    with pytest.MonkeyPatch.context() as patch, StandIn(KEY) as standin:
        patch.chdir(folder)
        patch.setenv("PHYSIOPOST_COURSE", "course")
        for name, value in (SETTINGS | by_sendgrid(standin.url)).items():
            patch.setenv(name, value)
        with time_machine.travel(MORNING - HOUR):
            for words in (SIGN, ("enrol",), ("send",)):
                cli(list(words), standalone_mode=False)
        press = Desk().press
        press.all()
    return folder, press


@pytest.fixture
def ready(clinic: Clinic, prepared: tuple[Path, Press], monkeypatch: pytest.MonkeyPatch) -> Clinic:
    folder, press = prepared
    shutil.copytree(folder, clinic.folder, dirs_exist_ok=True)
    monkeypatch.setattr(
        "scheduler.cli.desk.Press", lambda *_: press
    )  # slow, and the same each time
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    channels = "scheduler.delivery.channels"
    for waits in ("sendgrid_http.TIMEOUT", "smtp_session.TIMEOUT", "smtp_session.ANSWER"):
        monkeypatch.setattr(f"{channels}.{waits}", 0.3)
    monkeypatch.setattr(f"{channels}.sendgrid.sleep", lambda _: None)
    return clinic


@pytest.fixture
def sendgrid(ready: Clinic, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:  # noqa: ARG001
    with StandIn(KEY) as standin:
        for name, value in by_sendgrid(standin.url).items():
            monkeypatch.setenv(name, value)
        yield standin


@pytest.fixture
def mail(ready: Clinic, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:  # noqa: ARG001
    server = OnAnyPort(
        Inbox(),
        "127.0.0.1",
        0,
        authenticator=lambda *_: AuthResult(success=False, handled=False),
        auth_require_tls=False,
    )
    server.start()
    by_smtp(monkeypatch, f"smtp://127.0.0.1:{server.port}")
    yield server.handler
    with suppress(RuntimeError):
        server.stop()


def by_sendgrid(url: str) -> dict[str, str]:
    return {
        "PHYSIOPOST_CHANNEL": "sendgrid",
        "SENDGRID_API_KEY": KEY,
        "PHYSIOPOST_SENDGRID_HOST": url,
    }


def by_smtp(patch: pytest.MonkeyPatch, server: str) -> None:
    patch.setenv("PHYSIOPOST_CHANNEL", "smtp")
    patch.setenv("PHYSIOPOST_SMTP", server)
    patch.setenv("PHYSIOPOST_SMTP_CONNECTIONS", "1")


def send(clinic: Clinic, now: datetime = MORNING) -> Said:
    with time_machine.travel(now):
        return clinic.physiopost("send")


def read(said: Said) -> tuple[str, str]:
    """The line that says why, with the guide's addresses, and what became of those letters."""
    assert said.err == ""
    text = said.out
    for place, name in PLACES.items():
        text = place.sub(name, text)
    printed = [each for each in text.splitlines() if not EVERYDAY.fullmatch(each)]
    states = [words for each in printed for words in STATES.values() if each.endswith(f" {words}")]
    [line] = [each for each in printed if not each.endswith(tuple(STATES.values()))]
    if line.startswith(FRAME[0]):
        line = line.removeprefix(FRAME[0]).removesuffix(FRAME[1])
    state = next((words for words in states if words != "accepted"), "")
    return re.sub(r"^  \d+ ", "", line), state.partition(":")[0]


def mend(standin: StandIn) -> None:
    standin.troubles.clear()
    standin.key, standin.refuses = KEY, lambda _: False


@pytest.mark.parametrize("fault", SENDGRID)
def test_what_the_guide_says_of_sendgrid_is_what_is_printed_and_what_happens(
    fault: str, ready: Clinic, sendgrid: StandIn, table: Table
) -> None:
    SENDGRID[fault](sendgrid)
    said = send(ready)
    assert (*read(said), said.code) == (*table[fault], 1)
    mend(sendgrid)
    after = send(ready, MORNING + MINUTE).out
    match table[fault][1]:
        case "put off":
            assert after == "5 accepted\n"
            assert sendgrid.counted()["letters"] == 5
        case "refused":
            assert after == "nothing is due\n"
        case "in doubt":
            assert after.startswith("5 undecided in all: ")
            assert sendgrid.counted()["twice"] == 0


def test_while_sendgrid_is_away_everything_waits_and_then_goes(
    ready: Clinic, sendgrid: StandIn, table: Table
) -> None:
    with sendgrid.away():
        said = send(ready)
    assert (*read(said), said.code) == (*table["SendGrid is away"], 1)
    assert send(ready, MORNING + MINUTE).out == "5 accepted\n"


def test_letters_in_doubt_that_the_logs_show_are_settled_by_themselves(
    ready: Clinic, sendgrid: StandIn
) -> None:
    sendgrid.next_fault("cut", taken=True)
    with time_machine.travel(MORNING, tick=False):
        ready.physiopost("send")
    later = send(ready, MORNING + 6 * MINUTE)
    assert (later.code, later.out) == (0, "nothing is due\n")
    assert sendgrid.counted() | {"requests": 0} == {"letters": 5, "twice": 0, "requests": 0}


def test_letters_in_doubt_that_the_logs_do_not_show_go_again_once_a_later_letter_is_seen(
    ready: Clinic, sendgrid: StandIn
) -> None:
    sendgrid.next_fault("close")
    send(ready)
    after = [send(ready, MORNING + hours * HOUR).out for hours in (1, 3)]
    assert all(out.startswith("5 undecided in all: ") for out in after)
    assert send(ready, MORNING + 14 * HOUR).out.startswith("1 accepted\n")  # somebody else's
    assert send(ready, MORNING + 15 * HOUR).out == "nothing is due\n"
    assert send(ready, MORNING + DAY).out == "5 accepted\n"
    assert sendgrid.counted()["twice"] == 0


def test_logs_closed_to_the_key_are_said_and_the_letters_stay_in_doubt(
    ready: Clinic, sendgrid: StandIn, table: Table
) -> None:
    sendgrid.next_fault("cut", taken=True)
    send(ready)
    sendgrid.next_fault("answer", status=403)
    said = send(ready, MORNING + 6 * MINUTE)
    assert (*read(said), said.code) == (table["Email Logs closed to the key"][0], "", 1)
    assert "5 undecided in all: " in said.out


def test_suppression_lists_closed_to_the_key_are_said_and_are_no_failure(
    ready: Clinic, sendgrid: StandIn, table: Table
) -> None:
    sendgrid.next_fault("answer", status=403)
    said = send(ready, MORNING + DAY)
    assert (*read(said), said.code) == (table["suppression lists closed to the key"][0], "", 0)
    assert "5 accepted\n" in said.out


def test_while_the_channel_is_down_nothing_is_said_of_its_records(
    ready: Clinic, sendgrid: StandIn, table: Table
) -> None:
    other_key(sendgrid)
    assert read(send(ready, MORNING + DAY)) == table["refuses the key"]


@pytest.mark.parametrize("fault", SMTP)
def test_what_the_guide_says_of_smtp_is_what_is_printed_and_what_happens(
    fault: str, ready: Clinic, mail: Inbox, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "resend" in fault:
        monkeypatch.setenv("PHYSIOPOST_SMTP_ON_UNKNOWN", "resend")
    for verb, answer in SMTP[fault].items():
        mail.answers[verb] = [answer] * (ALWAYS if verb == "MAIL" else 1)
    said = send(ready)
    assert (*read(said), said.code) == (*table[fault], 1)
    mail.answers.clear()
    after = send(ready, MORNING + 6 * MINUTE).out
    match table[fault][1]:
        case "put off":
            assert re.fullmatch(r"[15] accepted\n", after)
        case "refused":
            assert after == "nothing is due\n"
        case "in doubt":
            assert after.startswith("1 undecided in all: ")


def test_a_wrong_password_and_a_server_without_tls_are_named(
    ready: Clinic, mail: Inbox, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = os.environ["PHYSIOPOST_SMTP"].removeprefix("smtp://")
    by_smtp(monkeypatch, f"smtp://clinic:wrong@{server}")
    assert read(send(ready)) == table["a wrong password"]
    by_smtp(monkeypatch, f"smtps://{server}")
    assert read(send(ready)) == table["no TLS"]
    assert mail.letters == []


def test_a_mail_server_that_is_away_or_unknown_is_named(
    ready: Clinic, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_smtp(monkeypatch, f"smtp://127.0.0.1:{free_port()}")
    assert read(send(ready)) == table["the mail server is away"]

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    by_smtp(monkeypatch, "smtp://mail.example.org")
    assert read(send(ready)) == table["an unknown name"]


def test_every_fault_of_the_guide_is_had_here(table: Table) -> None:
    assert set(table) == {*SENDGRID, *SMTP, *OTHERS}


def test_the_guide_says_what_stands_around_the_line(guide: str) -> None:
    assert f"`{FRAME[0]}…{FRAME[1]}`" in guide
    for words in STATES.values():
        assert f"`5 {words}`" in guide


def test_every_setting_in_the_guide_is_one(guide: str, root: Path) -> None:
    named = set(re.findall(r"(?:PHYSIOPOST|SENDGRID)_[A-Z_]+", guide))
    code = (root / "scheduler" / "settings.py").read_text()
    assert len(named) > 12
    assert {each for each in named if f'"{each.removesuffix("_FILE")}"' not in code} == set()


def test_the_settings_that_the_guide_shows_start_the_service(guide: str) -> None:
    shown = re.findall(r"^    ((?:PHYSIOPOST|SENDGRID)_[A-Z_]+)=(\S+)", guide, re.MULTILINE)
    secret = {"PHYSIOPOST_SECRET": SETTINGS["PHYSIOPOST_SECRET"]}
    given = {name: value for name, value in shown if not name.endswith("_FILE")} | secret
    for channel in ("smtp", "sendgrid"):
        secrets = {"PHYSIOPOST_SMTP": "smtp://u:p@mail.example.org", "SENDGRID_API_KEY": "SG.x"}
        read = Settings.from_environment(given | secrets | {"PHYSIOPOST_CHANNEL": channel})
        assert read.channel == channel
