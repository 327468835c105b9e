"""What a round promises, on a real database and with channels that do as they are told."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import Clinic
from sqlalchemy import Engine, event

from scheduler.delivery.channels import Channel, ChannelDown, Outcome
from scheduler.delivery.channels.folder import Folder
from scheduler.delivery.round import TRIES, Report, Round
from scheduler.findings import WrongInput
from scheduler.keys import Keys
from scheduler.ledger import changes, claims, deliveries, people
from scheduler.ledger.changes import Change
from scheduler.ledger.database import Database
from scheduler.ledger.people import Person
from scheduler.ledger.planner import Planner
from scheduler.letters.editions import Edition, Press
from scheduler.letters.fill import Envelope
from scheduler.letters.mime import serialise
from scheduler.material import Material
from scheduler.plan.enrolment import Hold

WELCOME = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
WEEK = timedelta(days=7)
KEYS = Keys(["a secret of the tests"], "https://letters.example.org")


class Told:
    """A channel that answers as the test says, by address; else it accepts."""

    name = "told"
    lease = timedelta(minutes=1)
    drafts = True

    def __init__(self, batch: int = 10) -> None:
        self.batch = batch
        self.answers: dict[str, Outcome] = {}
        self.down = False
        self.letters: list[tuple[str, str]] = []

    def post(
        self, edition: Edition, envelopes: Sequence[Envelope]
    ) -> Iterator[tuple[Envelope, Outcome]]:
        for envelope in envelopes:
            if self.down:
                raise ChannelDown("the server is away")
            answer = self.answers.get(envelope.to, Outcome("accepted"))
            if answer.result in ("accepted", "unknown"):
                self.letters.append((envelope.to, edition.lesson))
            yield envelope, answer

    def claimed(self, deliveries: Mapping[str, int]) -> None:
        pass

    def evidence(self, deliveries: Mapping[str, int]) -> dict[str, Outcome]:  # noqa: ARG002
        return {}


class Service:
    """A database with the people amy and ben, whose first letters are due on Tue 24 Nov, 09:30."""

    def __init__(self, material: Material, press: Press, ledger: str) -> None:
        self.database = Database(ledger)
        self.planner = Planner(material)
        self.round = Round(self.database, self.planner, press, KEYS)
        self.people = [self.enrol(name) for name in ("amy", "ben")]

    def enrol(self, name: str) -> Person:
        person = Person(
            id=name,
            email=f"{name}@example.org",
            name=f"{name.title()} Example",
            consent=WELCOME.date() - timedelta(days=1),
            first_appointment=WELCOME.date() - timedelta(days=1),
            enrolled_at=WELCOME - timedelta(days=1),
            enrolment_id=f"enrolment-of-{name}",
        )
        with self.database.write() as db:
            people.add(db, [(person, self.planner.next_due(person, {}, person.enrolled_at))])
        return person

    def change(self, name: str, **fields: Any) -> None:
        """What a physiotherapist would do, with the dates that follow."""
        with self.database.write() as db:
            person = next(each for each in people.everyone(db) if each.id == name)
            change = Change("test", person, replace(person, **fields))
            changes.write(db, self.planner, [change], WELCOME, "a test")

    def run(self, channel: Channel, now: datetime) -> Report:
        return self.round.run(channel, lambda: now)

    def states(self, name: str, now: datetime = WELCOME) -> list[str]:
        with self.database.read() as db:
            timelines = {who.id: letters for who, letters in self.planner.timelines(db, now)}
        return [letter.state for letter in timelines[name]]

    def status(self, name: str) -> str:
        with self.database.read() as db:
            return next(each.status for each in people.everyone(db) if each.id == name)


@pytest.fixture(scope="module")
def press(root: Path, material: Material) -> Press:
    return Press(material, root / "templates")


@pytest.fixture
def service(material: Material, press: Press, ledger: str) -> Iterator[Service]:
    """On SQLite and on PostgreSQL."""
    service = Service(material, press, ledger)
    yield service
    service.database.close()


def test_nothing_goes_before_its_time(service: Service) -> None:
    channel = Told()
    assert service.run(channel, WELCOME - timedelta(seconds=1)).well
    assert channel.letters == []


def test_what_is_due_goes_once_however_often_a_round_runs(service: Service) -> None:
    channel = Told()
    for minutes in range(5):
        service.run(channel, WELCOME + timedelta(minutes=minutes))
    assert sorted(channel.letters) == [
        ("amy@example.org", "welcome"),
        ("ben@example.org", "welcome"),
    ]


def test_a_round_with_nothing_due_asks_the_database_little(service: Service) -> None:
    statements: list[str] = []
    service.run(Told(), WELCOME - WEEK)
    event.listen(Engine, "before_cursor_execute", lambda *a: statements.append(str(a[2])))
    service.run(Told(), WELCOME - WEEK)
    assert len([each for each in statements if each.startswith("SELECT")]) <= 3


def test_everybody_who_is_due_is_looked_at_however_many_a_look_lists(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "LISTED", 2)
    for name in ("chloe", "dev", "eve"):
        service.enrol(name)
    channel = Told(batch=3)
    service.run(channel, WELCOME)
    assert sorted(to.partition("@")[0] for to, _ in channel.letters) == [
        *("amy", "ben", "chloe", "dev", "eve")
    ]


@pytest.mark.parametrize("ledger", ["sqlite"], indirect=True)  # it takes its time
def test_ten_days_off_bring_no_burst_and_keep_the_order(service: Service) -> None:
    channel = Told()
    hour = timedelta(hours=1)
    moments = [WELCOME + hour * n for n in range(24 * 100)]
    off = (WELCOME + timedelta(days=6), WELCOME + timedelta(days=16))
    days: list[tuple[datetime, str]] = []
    for now in moments:
        if not off[0] < now < off[1]:
            before = len(channel.letters)
            service.run(channel, now)
            days += [(now, lesson) for to, lesson in channel.letters[before:] if to[:3] == "amy"]
    dates = [now.date() for now, _ in days]
    assert [lesson for _, lesson in days] == list(service.planner.material.course.by_slug)
    assert min(b - a for a, b in pairwise(dates)) >= timedelta(days=3)
    assert dates[-1] == (WELCOME + 8 * WEEK).date()  # it has caught up with its calendar


def test_a_hold_entered_after_the_date_was_planned_keeps_the_letter_back(service: Service) -> None:
    channel = Told()
    service.change("amy", hold=(Hold(WELCOME.date(), WELCOME.date() + WEEK),))
    service.run(channel, WELCOME)
    assert [to for to, _ in channel.letters] == ["ben@example.org"]
    service.run(channel, WELCOME + WEEK)
    assert ("amy@example.org", "welcome") in channel.letters


def test_a_stopped_patient_gets_nothing_more(service: Service) -> None:
    channel = Told()
    service.change("amy", status="stopped")
    service.run(channel, WELCOME)
    assert [to for to, _ in channel.letters] == ["ben@example.org"]
    assert service.states("amy") == ["ended"] * 9


def test_a_channel_that_is_down_leaves_every_letter_due(service: Service) -> None:
    channel = Told()
    channel.down = True
    report = service.run(channel, WELCOME)
    assert (report.down, report.well) == ("the server is away", False)
    channel.down = False
    assert service.run(channel, WELCOME).letters == {"accepted": 2}
    assert len(set(channel.letters)) == len(channel.letters) == 2


def test_a_round_that_is_to_end_finishes_its_batch_and_leaves_nothing_claimed(
    service: Service,
) -> None:
    channel = Told()
    channel.batch = 1
    report = service.round.run(channel, lambda: WELCOME, lambda: bool(channel.letters))
    assert [report.letters["accepted"], len(channel.letters)] == [1, 1]
    assert sorted(service.states(name)[0] for name in ("amy", "ben")) == ["planned", "sent"]
    service.run(channel, WELCOME)
    assert sorted(to for to, _ in channel.letters) == ["amy@example.org", "ben@example.org"]


def test_a_letter_put_off_comes_again_later_and_later(service: Service) -> None:
    channel = Told()
    channel.answers["amy@example.org"] = Outcome("deferred", "busy (451)")
    tries = []
    for minute in range(120):
        now = WELCOME + timedelta(minutes=minute)
        if service.run(channel, now).letters["deferred"]:
            tries.append(minute)
    assert tries == [0, 5, 15, 35, 75]


@pytest.mark.parametrize("ledger", ["sqlite"], indirect=True)  # it takes its time
def test_a_letter_put_off_too_often_is_given_up_and_the_course_goes_on(service: Service) -> None:
    channel = Told()
    channel.answers["amy@example.org"] = Outcome("deferred", "mailbox full (452)")
    now, tries = WELCOME, 0
    while service.states("amy", now)[0] != "refused":
        report = service.run(channel, now)
        tries += report.letters["deferred"] + report.letters["refused"]
        now += timedelta(minutes=30)
        assert now < WELCOME + 8 * WEEK
    channel.answers.clear()
    for day in range(40):
        service.run(channel, now + timedelta(days=day))
    assert ("amy@example.org", "what-it-is") in channel.letters
    assert tries == TRIES


def test_a_refused_letter_is_not_tried_again(service: Service) -> None:
    channel = Told()
    channel.answers["amy@example.org"] = Outcome("refused", "no such mailbox (550 5.1.1)")
    assert service.run(channel, WELCOME).reasons == {"refused: no such mailbox (550 5.1.1)": 1}
    channel.answers.clear()
    service.run(channel, WELCOME + timedelta(hours=1))
    assert channel.letters == [("ben@example.org", "welcome")]
    assert service.states("amy")[0] == "refused"


def test_a_letter_in_doubt_is_never_sent_again_by_itself_and_the_next_one_goes(
    service: Service,
) -> None:
    channel = Told()
    channel.answers["amy@example.org"] = Outcome("unknown", "broke off")
    assert service.run(channel, WELCOME).undecided == 1
    channel.answers.clear()
    assert not service.run(channel, WELCOME + timedelta(hours=1)).well
    service.run(channel, WELCOME + WEEK)
    mine = [lesson for to, lesson in channel.letters if to == "amy@example.org"]
    assert mine == ["welcome", "what-it-is"]


@pytest.mark.parametrize(("arrived", "letters"), [(True, 1), (False, 2)])
def test_a_person_decides_about_a_letter_in_doubt(
    service: Service, arrived: bool, letters: int
) -> None:
    channel = Told()
    channel.answers["amy@example.org"] = Outcome("unknown", "broke off")
    service.run(channel, WELCOME)
    channel.answers.clear()
    amy = service.people[0].enrolment_id
    assert service.round.settle(amy, "welcome", arrived=arrived, now=WELCOME, by="a test")
    assert service.run(channel, WELCOME + timedelta(minutes=1)).well
    assert channel.letters.count(("amy@example.org", "welcome")) == letters
    assert not service.round.settle(amy, "welcome", arrived=arrived, now=WELCOME, by="a test")


def test_of_two_letters_in_doubt_the_last_one_is_decided_first_so_that_none_is_lost(
    service: Service,
) -> None:
    channel, after = Told(), WELCOME + WEEK
    channel.answers["amy@example.org"] = Outcome("unknown", "broke off")
    for now in (WELCOME, after):
        service.run(channel, now)
    channel.answers.clear()
    again = partial(
        service.round.settle, service.people[0].enrolment_id, arrived=False, by="a test"
    )
    with pytest.raises(WrongInput, match="a later letter, what-it-is, is in doubt as well"):
        again("welcome", now=after)
    assert again("what-it-is", now=after)
    assert again("welcome", now=after)
    service.run(channel, after)
    assert channel.letters[-1] == ("amy@example.org", "welcome")


def test_one_person_whose_plan_fails_does_not_stop_the_others(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    whole = service.round._decide  # noqa: SLF001 - where a fault of ours would strike

    def breaks(person: Person, *more: object) -> claims.Decision:
        if person.id == "amy":
            raise RuntimeError(person.name)
        return whole(person, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(service.round, "_decide", breaks)
    channel = Told()
    service.run(channel, WELCOME)
    assert [to for to, _ in channel.letters] == ["ben@example.org"]
    assert "enrolment-of-amy" in caplog.text
    assert "Amy" not in caplog.text
    monkeypatch.undo()
    service.run(channel, WELCOME + timedelta(hours=1))
    assert len(channel.letters) == 2


def test_the_course_is_finished_when_its_last_letter_has_gone(service: Service) -> None:
    channel = Told()
    for week in range(9):
        assert service.status("amy") == "active"
        service.run(channel, WELCOME + week * WEEK + timedelta(hours=1))
    service.run(channel, WELCOME + 9 * WEEK)
    assert (service.status("amy"), len(channel.letters)) == ("finished", 18)


def test_a_course_on_hold_without_an_end_is_not_finished(service: Service) -> None:
    service.change("amy", hold=(Hold(WELCOME.date() + WEEK),))
    service.run(Told(), WELCOME)
    assert service.status("amy") == "active"
    assert service.states("amy") == ["sent"] + ["held"] * 8


def test_a_quicker_pace_in_the_course_moves_the_dates_that_were_already_planned(
    service: Service, material: Material
) -> None:
    service.run(Told(), WELCOME)
    quicker = Planner(replace(material, course=replace(material.course, pace=4)))
    service.planner.refresh(service.database, WELCOME)
    quicker.refresh(service.database, WELCOME)
    with service.database.read() as db:
        assert deliveries.next_due(db) == WELCOME + timedelta(days=6)  # Sat and Sun are closed


def test_what_a_patient_received_can_be_shown_again_to_the_byte(
    service: Service, tmp_path: Path
) -> None:
    with Folder(tmp_path / "outbox") as channel:
        service.run(channel, WELCOME)
    with service.database.read() as db:
        rows = deliveries.history(db)
        editions = deliveries.editions(db, [row["edition"] for row in rows])
    for row in rows:
        values = KEYS.proven(row["merge"])
        envelope = Envelope(row["id"], row["address"], row["claimed_at"], values)
        file = tmp_path / "outbox" / "new" / f"{row['id']}.eml"
        assert serialise(editions[row["edition"]], envelope) == file.read_bytes()


def test_two_rounds_at_once_send_each_letter_once(clinic: Clinic, root: Path) -> None:
    crowd = "".join(
        f"- {{id: p{n}, email: p{n}@example.org, name: P {n}, "
        "first_appointment: 2026-11-23, consent: 2026-11-23}\n"
        for n in range(200)
    )
    clinic.write("subscribers.yaml", crowd)
    assert clinic.physiopost("enrol", "--now", "2026-11-23T15:00Z").code == 0
    command = [sys.executable, "-m", "scheduler", "send", "--now", WELCOME.isoformat()]
    both = [
        subprocess.Popen(command, env=clinic.environment(root), stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for child in both:
        child.communicate(timeout=60)
        assert child.returncode == 0
    to = [
        line
        for path in clinic.letters()
        for line in path.read_text().split("\n")
        if line[:4] == "To: "
    ]
    assert len(to) == len(set(to)) == 200
