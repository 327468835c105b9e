"""`kill -9` at every step of a round into a folder or over SMTP, then another round.

A child is forked, told to kill itself at its n-th step (see reaper.py), and runs a round; n goes up
until a child lives to the end. For SendGrid see test_kill_matrix.py.
"""

import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from ssl import PROTOCOL_TLS_CLIENT, SSLContext

import pytest
from aiosmtpd.controller import Controller
from conftest import Clinic, signed
from reaper import dies_at

from scheduler.delivery.channels.folder import Folder
from scheduler.delivery.channels.smtp import Smtp
from scheduler.delivery.round import Report, Round
from scheduler.keys import Keys
from scheduler.ledger.database import Database
from scheduler.ledger.planner import Planner
from scheduler.letters.editions import Press
from scheduler.material import Material
from scheduler.settings import MailServer

DUE = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
PEOPLE = {"amy", "ben", "chloe"}  # three of the roster, all due then
KEYS = Keys(["a secret of the tests"], "https://letters.example.org")
IN_DOUBT = 1  # after a kill over SMTP: what one connection had begun


@pytest.fixture
def enrolled(clinic: Clinic) -> Clinic:
    roster = (clinic.folder / "subscribers.yaml").read_text()
    clinic.write("subscribers.yaml", roster[: roster.index("- id: dev")])
    clinic.replace("subscribers.yaml", "start: 2026-11-30", "start: 2026-11-16")
    assert clinic.physiopost("enrol", "--now", "2026-11-23T10:00Z").code == 0
    return clinic


@pytest.fixture(scope="module")
def press(root: Path, material: Material) -> Press:
    press = Press(material, root / "templates")
    press.all()
    return press


@pytest.mark.slow
def test_a_kill_at_any_step_then_a_round_gives_every_letter_exactly_once(
    enrolled: Clinic, press: Press, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Folder, "batch", 2)  # several batches, so that some are done and some not

    def run(now: datetime) -> Report:
        with Folder(Path("var/outbox")) as channel, service(press) as rounds:
            return rounds.run(channel, lambda: now)

    kills = 0
    for step in range(1, 1000):
        with restored(enrolled.folder):
            survived = dies_at(step, lambda: run(DUE))
            assert run(DUE).well
            assert addressees(enrolled) == dict.fromkeys(PEOPLE, 1), f"killed at step {step}"
            assert all(map(is_marked_a_draft, enrolled.letters())), f"killed at step {step}"
            assert not run(DUE + timedelta(minutes=15)).letters
        if survived:
            break
        kills += 1
    assert kills > 30


def test_a_kill_at_any_moment_of_the_real_command_gives_every_letter_exactly_once(
    enrolled: Clinic, root: Path
) -> None:
    at = DUE.isoformat()
    command = [sys.executable, "-m", "scheduler", "send", "--now", at]
    for moment in range(10):
        with restored(enrolled.folder):
            child = subprocess.Popen(
                command, env=enrolled.environment(root), stdout=subprocess.DEVNULL
            )
            time.sleep(0.3 + moment * 0.06)
            child.kill()
            child.wait()
            assert enrolled.physiopost("send", "--now", at).code == 0
            assert addressees(enrolled) == dict.fromkeys(PEOPLE, 1)


def test_over_smtp_a_kill_at_any_step_sends_nothing_twice_and_leaves_one_letter_in_doubt_at_most(
    enrolled: Clinic, root: Path, material: Material
) -> None:
    press = Press(signed(material), root / "templates")
    press.all()
    inbox = Inbox()
    server = Controller(inbox, hostname="127.0.0.1", port=free_port())
    server.start()

    at, nobody = MailServer("127.0.0.1", server.port, "none"), SSLContext(PROTOCOL_TLS_CLIENT)

    def run(now: datetime) -> Report:
        with (
            Smtp(at, Path("var/sending"), connections=1, trust=nobody) as channel,
            service(press) as rounds,
        ):
            return rounds.run(channel, lambda: now)

    doubts = 0
    try:
        for step in range(1, 1000):
            with restored(enrolled.folder):
                inbox.got.clear()
                survived = dies_at(step, lambda: run(DUE))
                run(DUE)  # the dead process's lease still holds
                report = run(DUE + 2 * Smtp.lease)
                assert max(inbox.got.values(), default=0) <= 1, f"killed at step {step}"
                assert report.undecided <= IN_DOUBT, f"killed at step {step}"
                assert len(inbox.got) + report.undecided >= len(PEOPLE)
                doubts += report.undecided
            if survived:
                break
    finally:
        server.stop()
    assert doubts > 0


class Inbox:
    """Counts who got how many letters."""

    def __init__(self) -> None:
        self.got: Counter[str] = Counter()

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:  # noqa: ARG002, N802 - aiosmtpd's
        self.got.update(getattr(envelope, "rcpt_tos", []))
        return "250 taken"


@contextmanager
def service(press: Press) -> Iterator[Round]:
    """A round on the folder's database, opened anew as a new process would."""
    database = Database("sqlite:///var/physiopost.db")
    yield Round(database, Planner(press.material), press, KEYS)
    database.close()


@contextmanager
def restored(folder: Path) -> Iterator[None]:
    """Put var/ back to what it was."""
    var, kept = folder / "var", folder / "kept"
    shutil.copytree(var, kept)
    try:
        yield
    finally:
        shutil.rmtree(var)
        kept.rename(var)


def addressees(clinic: Clinic) -> dict[str, int]:
    """Who has how many whole letters in the outbox."""
    messages = [
        message_from_bytes(path.read_bytes(), policy=policy.default) for path in clinic.letters()
    ]
    assert not [message.defects for message in messages if message.defects]
    assert all(message.get_body(("html",)) and message.get_body(("plain",)) for message in messages)
    return dict(Counter(str(message["To"]).partition(".")[0] for message in messages))


def is_marked_a_draft(letter: Path) -> bool:
    """The course ships unsigned, and no kill may hide that."""
    return (letter.parent.parent / "drafts" / f"{letter.stem}.txt").exists()


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
