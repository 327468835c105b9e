"""The machine and the network fail: nothing is lost, nothing goes twice, the reason is to be seen.

And nobody has to do anything: once it can, the service goes on by itself.
"""

import os
import signal
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
import sendgrid_standin
from conftest import signed
from kill_matrix import KEY, Case, stage
from postgres import Server, programs, server
from sendgrid_standin import StandIn
from sqlalchemy import event
from test_round import KEYS, WELCOME, Service, Told

from scheduler.delivery.behind import Heartbeat, behind
from scheduler.delivery.channels import Outcome
from scheduler.delivery.channels.folder import Folder
from scheduler.delivery.channels.sendgrid import SendGrid
from scheduler.delivery.merge import merge_values
from scheduler.delivery.round import Report
from scheduler.findings import NotDone
from scheduler.ledger.claims import Claim
from scheduler.letters.editions import Edition, Press
from scheduler.letters.fill import Envelope
from scheduler.material import Material
from scheduler.worker import work

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
HONEST = Case(100, "none", "logs")
BOTH = {"amy@example.org": 1, "ben@example.org": 1}


@pytest.fixture(scope="module")
def press(root: Path, material: Material) -> Press:
    press = Press(signed(material), root / "templates")
    press.all()
    return press


@pytest.fixture
def service(material: Material, press: Press, tmp_path: Path) -> Iterator[Service]:
    service = Service(signed(material), press, f"sqlite:///{tmp_path / 'ledger.db'}")
    yield service
    service.database.close()


@pytest.fixture
def sendgrid(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    monkeypatch.setattr("scheduler.delivery.channels.sendgrid_http.TIMEOUT", 0.2)
    with StandIn(KEY) as standin:
        yield standin


class Meanwhile(Folder):
    """A folder, and something that happens while the letters are being written."""

    happens: Callable[[], None]

    def post(
        self, edition: Edition, envelopes: Sequence[Envelope]
    ) -> Iterator[tuple[Envelope, Outcome]]:
        yield from super().post(edition, envelopes)
        self.happens()


def letters(outbox: Path) -> Counter[str]:
    """Who has how many letters."""
    files = [file.read_text() for file in (outbox / "new").glob("*.eml")]
    lines = [line for file in files for line in file.split("\n")]
    return Counter(line[4:].strip() for line in lines if line.startswith("To: "))


def taken(sendgrid: StandIn) -> Counter[str]:
    return Counter(letter.to for letter in sendgrid.letters)


def reasons(service: Service, report: Report, now: datetime) -> dict[str, str]:
    """What `plan --behind` says after a round."""
    with service.database.read() as db:
        timelines = service.planner.timelines(db, now)
    return {each.id: each.why for each in behind(timelines, {}, Heartbeat(now, report.down), now)}


def impatient(service: Service) -> None:
    """Wait for the database for a tenth of a second only."""
    service.database.close()
    wait = "PRAGMA busy_timeout=100"
    event.listen(service.database.engine, "connect", lambda line, _: line.execute(wait) and None)


def hold(holder: sqlite3.Connection) -> None:
    holder.execute("BEGIN IMMEDIATE")


def envelope(service: Service, number: int) -> Envelope:
    planner, person = service.planner, service.people[0]
    values = KEYS.proven(merge_values(person, None, KEYS, planner.material.clinic.name))
    return Envelope(f"delivery-{number}", f"p{number}@example.org", WELCOME, values)


def at(now: datetime) -> SimpleNamespace:
    """The stand-in's clock."""
    return SimpleNamespace(time=now.timestamp)


def full(service: Service, *, pages: int | None) -> None:
    """Let SQLite's file grow no more, as on a full disk; None: as far as it likes."""
    service.database.close()

    def limit(connection: Any, _record: Any) -> None:
        used = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(
            f"PRAGMA max_page_count={used + pages if pages is not None else 1 << 30}"
        )

    event.listen(service.database.engine, "connect", limit)


# The disk


def test_on_a_full_disk_nothing_is_claimed_so_nothing_is_sent_until_there_is_room(
    service: Service, tmp_path: Path
) -> None:
    full(service, pages=0)
    with Folder(tmp_path / "outbox") as channel:
        with pytest.raises(NotDone, match="the database: database or disk is full"):
            service.run(channel, WELCOME)
        assert letters(channel.outbox) == {}
        full(service, pages=None)
        assert service.run(channel, WELCOME + MINUTE).well
        assert len(letters(channel.outbox)) == 2


def test_a_disk_that_fills_up_while_letters_go_leaves_them_to_be_found(
    service: Service, tmp_path: Path
) -> None:
    for number in range(100):
        service.enrol(f"p{number}")
    with Meanwhile(tmp_path / "outbox") as channel:
        channel.happens = lambda: full(service, pages=0)
        with pytest.raises(NotDone, match="full"):
            service.run(channel, WELCOME)
        channel.happens = lambda: None
        full(service, pages=None)
        report = service.run(channel, WELCOME + MINUTE)
        assert (report.letters["accepted"], report.well) == (102, True)
        assert set(letters(channel.outbox).values()) == {1}
        assert len(letters(channel.outbox)) == 102


# The database


def test_while_another_program_holds_the_database_nothing_goes_and_the_log_says_why(
    service: Service,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    holder = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    impatient(service)
    channel = Told()

    def a_round(_stopped: Callable[[], bool]) -> str:
        if "database is locked" in caplog.text:
            holder.execute("ROLLBACK")
        service.run(channel, WELCOME)
        os.kill(os.getpid(), signal.SIGTERM)
        return ""

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    work(a_round, every=0.2)
    for number, handler in before.items():
        signal.signal(number, handler)
    assert "the database: database is locked" in caplog.text
    assert Counter(to for to, _ in channel.letters) == BOTH


def test_a_database_that_is_locked_when_the_outcome_is_written_leaves_the_letters_to_be_found(
    service: Service, tmp_path: Path
) -> None:
    holder = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    impatient(service)
    with Meanwhile(tmp_path / "outbox") as channel:
        channel.happens = partial(hold, holder)
        with pytest.raises(NotDone, match="locked"):
            service.run(channel, WELCOME)
        holder.execute("ROLLBACK")
        channel.happens = lambda: None
        assert service.run(channel, WELCOME + MINUTE).well
        assert set(letters(channel.outbox).values()) == {1}


class Stopping(SendGrid):
    """A SendGrid while whose answer is on its way the database stops."""

    database: Server

    def post(
        self, edition: Edition, envelopes: Sequence[Envelope]
    ) -> Iterator[tuple[Envelope, Outcome]]:
        yield from super().post(edition, envelopes)
        self.database.stop()


@pytest.fixture
def frail(skip_or_fail: Callable[[str], NoReturn]) -> Iterator[Server]:
    """A PostgreSQL of the test's own, to be stopped and started."""
    if (found := programs()) is None:
        skip_or_fail("PostgreSQL is not installed here")
    with server(found) as running:
        yield running


def test_a_postgresql_that_breaks_down_while_letters_go_loses_and_repeats_none(
    frail: Server, press: Press
) -> None:
    with stage(frail.database(), press) as scene:
        scene.reset(HONEST)
        with scene.service() as rounds:
            with Stopping(KEY, scene.sendgrid.url) as channel:
                channel.database = frail
                for _ in range(2):
                    with pytest.raises(NotDone, match="the database: "):
                        rounds.run(channel, lambda: scene.now)
            frail.start()
            for minutes in (1, 12, 30, 75, 76, 24 * 60):
                scene.now = WELCOME + minutes * MINUTE
                report = scene.round(rounds, HONEST)
            assert report.undecided == 0
            assert scene.verdict(rounds, HONEST).kept


# The network and the provider


def test_without_a_name_service_nothing_goes_and_everything_does_once_it_is_back(
    service: Service, sendgrid: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody_knows(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    with SendGrid(KEY, sendgrid.url) as channel, monkeypatch.context() as gone:
        gone.setattr(socket, "getaddrinfo", nobody_knows)
        report = service.run(channel, WELCOME)
        assert "Temporary failure in name resolution" in str(report.down)
        assert "Temporary failure" in reasons(service, report, WELCOME + 3 * HOUR)["amy"]
    with SendGrid(KEY, sendgrid.url) as channel:
        service.run(channel, WELCOME + MINUTE)
    assert taken(sendgrid) == BOTH


def test_a_provider_that_is_down_for_a_day_is_asked_again_until_it_is_there(
    service: Service, sendgrid: StandIn
) -> None:
    with SendGrid(KEY, sendgrid.url) as channel:
        with sendgrid.away():
            reports = [service.run(channel, WELCOME + hours * HOUR) for hours in range(24)]
        assert "cannot be reached" in str(reports[0].down)
        assert "the channel is down: " in reasons(service, reports[2], WELCOME + 3 * HOUR)["amy"]
        # too late for today, so it is not even tried; nobody is forgotten
        why = reasons(service, reports[-1], WELCOME + 23 * HOUR)
        assert why["ben"] == "overdue, goes at the next send time: 2026-11-25 09:30"
        assert service.run(channel, WELCOME + DAY).well
    assert taken(sendgrid) == BOTH


def test_a_provider_that_fails_all_day_gets_few_letters_and_none_twice(
    service: Service, sendgrid: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        service.enrol(f"p{number:02}")
    sendgrid.by_chance(1, 0.0)
    for _ in range(24):
        sendgrid.next_fault("answer", status=503, taken=True)
    with SendGrid(KEY, sendgrid.url) as channel:
        for hours in range(24):
            monkeypatch.setattr(sendgrid_standin, "time", at(WELCOME + hours * HOUR))
            service.run(channel, WELCOME + hours * HOUR)
        sendgrid.troubles.clear()
        for hours in range(24, 80):
            monkeypatch.setattr(sendgrid_standin, "time", at(WELCOME + hours * HOUR))
            report = service.run(channel, WELCOME + hours * HOUR)
    assert set(taken(sendgrid).values()) == {1}
    assert len(taken(sendgrid)) == 32
    assert report.undecided == 0


# The clock


def test_a_machine_that_slept_for_a_week_in_the_middle_begins_no_request_afterwards(
    service: Service, sendgrid: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker may have sent the rest; the sleeping machine's own count stood still."""
    asleep = [0.0]
    on_the_wall = "scheduler.delivery.channels.sendgrid._awake_or_not"
    monkeypatch.setattr(on_the_wall, lambda: time.time() + asleep[0])
    with SendGrid(KEY, sendgrid.url, batch=1) as channel:
        channel.batch = 10  # ten are claimed together, and go one by one
        welcome = service.round.press.edition("welcome", False)
        given = channel.post(welcome, [envelope(service, number) for number in range(10)])
        next(given)
        asleep[0] = 7 * DAY.total_seconds()
        assert list(given) == []
    assert len(sendgrid.letters) == 1


def test_a_second_edition_is_not_begun_when_the_first_took_too_long(
    service: Service,
) -> None:
    """A batch may hold letters of many weeks: each is a post, and all have one lease."""
    service.change("ben", note="Well done.")
    now = [WELCOME]

    class Slow(Told):
        def post(
            self, edition: Edition, envelopes: Sequence[Envelope]
        ) -> Iterator[tuple[Envelope, Outcome]]:
            now[0] += DAY
            yield from super().post(edition, envelopes)

    channel = Slow()
    report = service.round.run(channel, lambda: now[0])
    assert (len(channel.letters), report.letters) == (1, {"accepted": 1, "deferred": 1})
    for _ in range(3):
        service.round.run(channel, lambda: now[0])
    assert Counter(to for to, _ in channel.letters) == BOTH


def test_a_clock_that_was_an_hour_ahead_and_is_put_right_repeats_nothing(
    service: Service,
) -> None:
    channel = Told()
    service.run(channel, WELCOME)
    for minutes in range(-60, 60, 5):
        service.run(channel, WELCOME + minutes * MINUTE)
    assert Counter(to for to, _ in channel.letters) == BOTH


@pytest.mark.parametrize("wrong", [-20 * HOUR, -HOUR, HOUR, 20 * HOUR])
def test_a_letter_is_found_in_the_logs_though_our_clock_was_wrong(
    service: Service, sendgrid: StandIn, wrong: timedelta
) -> None:
    with SendGrid(KEY, sendgrid.url) as channel:
        one = envelope(service, 1)
        list(channel.post(service.round.press.edition("welcome", False), [one]))
        claimed = datetime.now(UTC) + wrong
        looked = channel.look_up([Claim(one.delivery, "", "", 1, 0, "", {}, one.to, claimed)])
    assert set(looked.found) == {one.delivery}
