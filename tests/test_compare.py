"""The figures of docs/compare.md, measured: each probe that the peers were given, on Physiopost.

The course is the peers': four weekly letters, the first on day 0, every day open, a round a day.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Barrier, Thread

import pytest
import time_machine
from conftest import signed
from sendgrid_standin import StandIn
from smtp_sink import sink
from test_round import KEYS, Told

from scheduler import tailoring
from scheduler.delivery.channels import Channel, Outcome
from scheduler.delivery.channels.folder import Folder
from scheduler.delivery.channels.sendgrid import SendGrid
from scheduler.delivery.channels.smtp import Smtp
from scheduler.delivery.round import Report, Round
from scheduler.ledger import claims, people
from scheduler.ledger.database import Database
from scheduler.ledger.people import Person
from scheduler.ledger.planner import Planner
from scheduler.letters.editions import Edition, Press
from scheduler.letters.fill import Envelope
from scheduler.material import Material
from scheduler.material.clinic import DAYS
from scheduler.settings import MailServer

BEGAN = date(2027, 1, 4)  # no public holiday and no clock change follow for eleven weeks
CROWD = 200
MINUTE = timedelta(minutes=1)
KEY = "SG.test-key"
ALIKE = "by folder, SMTP and SendGrid alike"


def at(day: int) -> datetime:
    """Half past nine on a day of the course."""
    return datetime(BEGAN.year, BEGAN.month, BEGAN.day, 9, 30, tzinfo=UTC) + timedelta(days=day)


def course_of(material: Material, letters: int) -> Material:
    course = replace(material.course, lessons=material.course.lessons[:letters], begins_after=0)
    clinic = material.clinic.model_copy(update={"open": DAYS, "closed": ()})
    return signed(replace(material, course=course, clinic=clinic))


class Service:
    """A course of so many letters, and people whose first letter is due on day 0."""

    def __init__(
        self, material: Material, press: Press, folder: Path, *, letters: int = 4, crowd: int = 1
    ) -> None:
        self.material, self.press = material, press
        self.database = Database(f"sqlite:///{folder / 'physiopost.db'}")
        self.use(letters)
        self.days: list[int] = []
        for number in range(crowd):
            self._enrol(number)

    def use(self, letters: int) -> None:
        """Begin to use a course of so many letters."""
        self.planner = Planner(course_of(self.material, letters))
        self.round = Round(self.database, self.planner, self.press, KEYS)

    def _enrol(self, number: int) -> None:
        person = Person(
            id=f"p{number}",
            email=f"p{number}@example.org",
            name="Pat Example",
            consent=BEGAN,
            first_appointment=BEGAN,
            enrolled_at=at(0) - timedelta(hours=1),
            enrolment_id=f"enrolment-of-p{number}",
        )
        with self.database.write() as db:
            due = self.planner.next_due(person, {}, person.enrolled_at)
            people.add(db, [(person, due)])

    def run(self, channel: Channel, now: datetime) -> Report:
        self.planner.refresh(self.database, now)
        return self.round.run(channel, lambda: now)

    def daily(self, days: Iterable[int]) -> list[int]:
        """A round a day; gives all days up to now on which a letter went."""
        channel = Told()
        for day in days:
            before = len(channel.letters)
            self.run(channel, at(day))
            self.days += [day] * (len(channel.letters) - before)
        return self.days


@pytest.fixture(scope="module")
def press(root: Path, material: Material) -> Press:
    return Press(material, root / "templates")


@pytest.fixture
def service(material: Material, press: Press, tmp_path: Path) -> Iterator[Service]:
    service = Service(material, press, tmp_path)
    yield service
    service.database.close()


@pytest.fixture(scope="module")
def table(root: Path) -> dict[str, str]:
    """The page's rows: the probe's letter, and what stands under Physiopost."""
    page = (root / "docs" / "compare.md").read_text()
    rows = re.findall(r"^\| ([A-Z]) \|[^|]*\| ([^|]*) \|", page, re.MULTILINE)
    assert len(dict(rows)) == len(rows)
    return dict(rows)


def on(days: Sequence[int]) -> str:
    return "day " + ", ".join(map(str, days))


def test_a_round_a_day_sends_each_letter_on_its_day(
    service: Service, table: Mapping[str, str]
) -> None:
    days = service.daily(range(31))
    assert days == [0, 7, 14, 21]
    assert table["A"] == on(days)


def test_a_missed_day_makes_one_letter_a_day_late_and_loses_none(
    service: Service, table: Mapping[str, str]
) -> None:
    days = service.daily(day for day in range(31) if day != 14)
    assert days == [0, 7, 15, 21]
    assert table["B"] == on(days)


def test_after_eighteen_days_off_nobody_gets_a_burst_and_nothing_is_lost(
    service: Service, table: Mapping[str, str]
) -> None:
    days = service.daily(day for day in range(60) if not 5 <= day <= 22)
    assert len(days) == 4
    assert min(later - day for day, later in pairwise(days)) >= 3
    assert table["C"] == on(days)


def test_a_longer_course_comes_back_to_its_own_dates_after_eighteen_days_off(
    material: Material, press: Press, tmp_path: Path, table: Mapping[str, str]
) -> None:
    service = Service(material, press, tmp_path, letters=9)
    days = service.daily(day for day in range(90) if not 5 <= day <= 22)
    assert len(days) == 9
    own = [7 * week for week in range(9)]
    back = next(week for week in range(2, 9) if days[week] == own[week])
    assert days[back:] == own[back:]
    assert table["D"] == f"{on(days)}; from day {own[back]} on they are its own dates"
    service.database.close()


def test_when_the_appointment_moves_the_rest_follows_and_nothing_comes_twice(
    service: Service, table: Mapping[str, str]
) -> None:
    service.daily(range(10))
    to = BEGAN + timedelta(days=20)
    change = tailoring.propose(
        service.database,
        service.planner,
        "p0",
        lambda person: tailoring.move(person, appointment=to),
        at(10),
    )
    tailoring.commit(service.database, service.planner, [change], at(10), "a test")
    days = service.daily(range(10, 60))
    assert days == [0, 7, 20 + 14, 20 + 21]
    assert table["E"] == on(days)


def test_when_the_record_fails_after_the_letter_was_sent_it_is_not_sent_again(
    service: Service, tmp_path: Path, table: Mapping[str, str]
) -> None:
    with Folder(tmp_path / "outbox") as channel:
        fails_to_record(service, channel)
        service.run(channel, at(0) + MINUTE)
    files = list((tmp_path / "outbox" / "new").iterdir())
    assert table["F"] == f"{len(files)} letter, {ALIKE}"
    assert len(files) == 1


def test_nor_does_smtp_send_it_again(
    service: Service, tmp_path: Path, table: Mapping[str, str]
) -> None:
    with sink() as server, smtp(server.port, tmp_path) as channel:
        fails_to_record(service, channel)
        assert service.run(channel, at(0) + 2 * Smtp.lease).letters == {"accepted": 1}
        assert service.run(channel, at(0) + 3 * Smtp.lease).well
    assert table["F"] == f"{server.letters} letter, {ALIKE}"
    assert server.letters == 1


def test_nor_does_sendgrid_once_its_logs_have_said_that_it_was_taken(
    service: Service, table: Mapping[str, str]
) -> None:
    with time_machine.travel(at(0)), StandIn(KEY) as sendgrid, SendGrid(KEY, sendgrid.url) as way:
        fails_to_record(service, way)
        assert service.run(way, at(0) + 2 * SendGrid.lease).undecided == 0
        assert service.run(way, at(0) + 3 * SendGrid.lease).well
        assert table["F"] == f"{len(sendgrid.letters)} letter, {ALIKE}"
        assert len(sendgrid.letters) == 1


def test_two_rounds_at_once_send_each_letter_once_and_both_live_to_the_end(
    material: Material, press: Press, tmp_path: Path, table: Mapping[str, str]
) -> None:
    service = Service(material, press, tmp_path, crowd=CROWD)
    both = [Meeting(meet := Barrier(2, timeout=20)), Meeting(meet)]
    reports: list[Report] = []
    rounds = [
        Thread(target=lambda channel=each: reports.append(service.run(channel, at(0))))
        for each in both
    ]
    for each in rounds:
        each.start()
    for each in rounds:
        each.join()
    assert all(each.letters for each in both), "both were in the middle of it at once"
    assert [report.well for report in reports] == [True, True]
    got = Counter(to for channel in both for to, _ in channel.letters)
    doubled = sum(number - 1 for number in got.values())
    assert (len(got), doubled) == (CROWD, 0)
    assert table["G"] == f"{got.total()} letters, {doubled} doubled"
    service.database.close()


def test_a_letter_that_is_added_while_people_are_inside_comes_on_its_own_day(
    service: Service, table: Mapping[str, str]
) -> None:
    service.daily(range(10))
    service.use(5)
    days = service.daily(range(10, 60))
    assert days == [0, 7, 14, 21, 28]
    assert table["H"] == on(days[-1:])


def test_every_probe_of_the_page_is_measured_here(table: Mapping[str, str]) -> None:
    assert list(table) == list("ABCDEFGH")


class Meeting(Told):
    """Waits with its first letters until another round has claimed its first ones too."""

    def __init__(self, meet: Barrier) -> None:
        super().__init__()
        self.meet = meet

    def post(
        self, edition: Edition, envelopes: Sequence[Envelope]
    ) -> Iterator[tuple[Envelope, Outcome]]:
        if not self.letters:
            self.meet.wait()
        yield from super().post(edition, envelopes)


def smtp(port: int, folder: Path) -> AbstractContextManager[Smtp]:
    return Smtp(MailServer("127.0.0.1", port, "none"), folder / "sending", connections=1)


def fails_to_record(service: Service, channel: Channel) -> None:
    """A round whose letter goes, and whose record of it fails once."""

    def fails(*_: object) -> None:
        raise OSError("the disk is full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims, "record", fails)
        with pytest.raises(OSError, match="full"):
            service.run(channel, at(0))
