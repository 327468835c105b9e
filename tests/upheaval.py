"""Whatever happens in whatever order, as a machine that Hypothesis turns: see Upheaval.

The provider takes letters on its own true clock; ours may be an hour ahead and be put right. What
the provider took is never forgotten, and each letter is judged as it is taken.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from scheduler import tailoring
from scheduler.delivery.channels import ChannelDown, Outcome
from scheduler.delivery.channels.sendgrid_logs import (
    AROUND,
    Found,
    LookUp,
    Suppression,
)
from scheduler.delivery.reconcile import AGAIN
from scheduler.delivery.round import Round
from scheduler.findings import NotDone, WrongInput
from scheduler.keys import Keys
from scheduler.ledger import claims, deliveries, doubts, people
from scheduler.ledger.claims import Claim
from scheduler.ledger.database import Database
from scheduler.ledger.evidence import USED_UP, Event, Evidence
from scheduler.ledger.people import Person
from scheduler.ledger.planner import Planner
from scheduler.ledger.tables import audit, metadata
from scheduler.letters.editions import Edition, Press
from scheduler.letters.fill import Envelope
from scheduler.plan.calendar import DAY

KEYS = Keys(["a secret of the tests"], "https://letters.example.org")
MONDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ADDRESSES = ("one@example.org", "two@example.org", "three@example.org")  # shared, as couples do
CROWD = 5

LEGAL = {
    None: {"claimed", "accepted", "refused", "deferred", "unknown"},
    "claimed": {"accepted", "refused", "deferred", "unknown"},
    "deferred": {"claimed", "accepted", "refused", "unknown"},
    "unknown": {"accepted", "deferred", "claimed", "refused"},
    "accepted": {"deferred", "claimed", "unknown", "refused"},  # only what the provider dropped
    "refused": set(),
}
"""From one look at the ledger to the next; a round may take several steps."""

TAKEN = {
    "honest": Outcome("accepted"),
    "taken, no answer": Outcome("unknown", "broke off"),
    "quota used up": Outcome("accepted"),
}
TURNED_AWAY = {
    "lost, no answer": Outcome("unknown", "broke off"),
    "busy": Outcome("deferred", "busy (429)"),
    "refused": Outcome("refused", "no such mailbox"),
}
ENDINGS = ("down", "dies", "dies after taking", "sleeps", "sleeps a week")
MOODS = (*TAKEN, *TURNED_AWAY, *ENDINGS)


class Died(BaseException):
    """The process is gone: nothing more is written down."""


@dataclass(frozen=True)
class Taken:
    """A letter that the provider took; `dropped`: it says so itself, and that it never went."""

    enrolment: str
    lesson: str
    delivery: str
    address: str
    at: datetime
    day: date
    dropped: bool


class Provider:
    """A channel and a witness of its own records."""

    name = "provider"
    lease = timedelta(minutes=10)
    batch = 2
    drafts = True

    def __init__(self, world: "Upheaval") -> None:
        self.world = world
        self.moods: deque[str] = deque()
        self.taken: list[Taken] = []
        self.news: list[Event] = []
        self.lag = timedelta(0)
        self.readable = True

    def claimed(self, _: Mapping[str, int]) -> None:
        if self.moods and self.moods[0] == "dies":
            self.moods.popleft()
            raise Died

    def evidence(self, _: Mapping[str, int]) -> dict[str, Outcome]:
        return {}

    def post(
        self, edition: Edition, envelopes: Sequence[Envelope]
    ) -> Iterator[tuple[Envelope, Outcome]]:
        for envelope in envelopes:
            mood = self.moods.popleft() if self.moods else "honest"
            self.world.true += timedelta(seconds=1)
            match mood:
                case "down":
                    raise ChannelDown("the provider is away")
                case "dies":
                    raise Died
                case "dies after taking":
                    self.take(edition, envelope)
                    raise Died
                case "sleeps":  # in the middle of a request, which ends well
                    self.world.meanwhile(AGAIN * 0.8)
                    self.take(edition, envelope)
                    yield envelope, self.outcome("honest")
                    return
                case "sleeps a week":  # and finds that its time is over: nothing was begun
                    self.world.meanwhile(7 * DAY)
                    return
                case "honest" | "taken, no answer" | "quota used up":
                    self.take(edition, envelope, dropped=mood == "quota used up")
                    yield envelope, self.outcome(mood)
                case _:
                    yield envelope, TURNED_AWAY[mood]

    def outcome(self, mood: str) -> Outcome:
        return replace(TAKEN[mood], reference=f"m{len(self.taken)}")

    def take(self, edition: Edition, envelope: Envelope, *, dropped: bool = False) -> None:
        token = envelope.values["stop_url"].rpartition("/")[2]
        whose = KEYS.enrolment(token) or ""
        went = Taken(
            *(whose, edition.lesson, envelope.delivery, envelope.to),
            *(self.world.true, self.world.now().date(), dropped),
        )
        self.world.judge(went)
        self.taken.append(went)
        number = len(self.taken)
        kinds = [("dropped", USED_UP)] if dropped else [("processed", ""), ("delivered", "")]
        self.news += [
            Event(f"{kind}-{number}", kind, went.delivery, f"m{number}", went.at, reason)
            for kind, reason in kinds
        ]

    def look_up(self, unsure: Sequence[Claim]) -> LookUp:
        if not self.readable:
            return LookUp({}, frozenset(), None, "the records cannot be read (403)")
        shown = [each for each in self.taken if each.at + self.lag <= self.world.true]
        found = {
            doubt.delivery: Found(f"m{number}", "not_delivered" if each.dropped else "processed")
            for doubt in unsure
            for number, each in enumerate(shown, start=1)
            if each.delivery == doubt.delivery and abs(each.at - doubt.claimed_at) <= AROUND
        }
        missing = frozenset(doubt.delivery for doubt in unsure) - found.keys()
        return LookUp(found, missing, max((each.at for each in shown), default=None))

    def suppressions(self, _: datetime) -> Iterator[Suppression]:
        return iter(())


class Upheaval(RuleBasedStateMachine):
    """The rules are what staff, patients, the provider and the machine room do."""

    press: ClassVar[Press]
    database: ClassVar[Database]

    @classmethod
    def on(cls, press: Press) -> type["Upheaval"]:
        """The machine with a database in memory and the letters compiled."""
        cls.press, cls.database = press, Database("sqlite:///:memory:")
        return cls

    @initialize()
    def begin(self) -> None:
        with self.database.write() as db:
            for table in reversed(metadata.sorted_tables):
                if table is not audit:  # it only grows
                    db.execute(table.delete())
        self.true, self.ahead = MONDAY, timedelta(0)
        self.planner = Planner(self.press.material)
        self.evidence = Evidence(KEYS, self.planner)
        self.provider = Provider(self)
        self.suppressed: set[str] = set()
        self.ended: set[str] = set()
        self.faults: list[str] = []
        self.states: dict[str, str] = {}
        self.heard: list[Event] = []
        for address in ADDRESSES:
            self.enrol(address, 0)

    def now(self) -> datetime:
        """What our own clock shows."""
        return self.true + self.ahead

    # What staff and patients do

    @rule(address=st.sampled_from(ADDRESSES), days=st.integers(-10, 10))
    def enrol(self, address: str, days: int) -> None:
        number = len(self.everyone())
        if number >= CROWD or address in self.suppressed:
            return
        today = self.now().date()
        person = Person(
            id=f"p{number}",
            email=address,
            name="P Example",
            consent=today,
            first_appointment=today + days * DAY,
            enrolled_at=self.now(),
            enrolment_id=f"enrolment-{number}",
        )
        with self.database.write() as db:
            people.add(db, [(person, self.planner.next_due(person, {}, self.now()))])

    @rule(who=st.integers(0, CROWD - 1), days=st.integers(0, 20))
    def move(self, who: int, days: int) -> None:
        start = self.now().date() + days * DAY
        self.tailor(who, partial(tailoring.move, start=start))

    @rule(who=st.integers(0, CROWD - 1), days=st.integers(-2, 9), length=st.integers(0, 20))
    def hold(self, who: int, days: int, length: int) -> None:
        today = self.now().date()
        first = today + days * DAY
        until = first + length * DAY if length else None
        self.tailor(who, partial(tailoring.hold, first=first, until=until, reason="", today=today))

    @rule(who=st.integers(0, CROWD - 1))
    def resume(self, who: int) -> None:
        self.tailor(who, partial(tailoring.resume, today=self.now().date()))

    @rule(who=st.integers(0, CROWD - 1), week=st.integers(0, 8))
    def skip(self, who: int, week: int) -> None:
        course = self.planner.material.course
        self.tailor(who, partial(tailoring.skip, lesson=course.lessons[week].slug, course=course))

    @precondition(lambda self: len(self.real()) > 4)
    @rule(who=st.integers(0, CROWD - 1))
    def stop(self, who: int) -> None:
        if who >= len(everyone := self.everyone()):
            return
        person = everyone[who]
        with self.database.write() as db:
            self.evidence.stop(db, person, self.now())
        self.ended.add(person.enrolment_id)
        others = [each for each in everyone if each.email == person.email and each != person]
        if not any(each.status == "active" for each in others):
            self.suppressed.add(person.email)

    @precondition(lambda self: self.unsure())
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        """A person asks the patient, and says what is so."""
        claim = data.draw(st.sampled_from(self.unsure()))
        arrived = any(each.delivery == claim.delivery for each in self.provider.taken)
        with suppress(WrongInput):  # of several in doubt the last one comes first
            self.service().settle(
                claim.enrolment, claim.lesson, arrived=arrived, now=self.now(), by="staff"
            )

    # What the machine room does

    @rule(moods=st.lists(st.sampled_from(MOODS), max_size=4))
    def round(self, moods: list[str]) -> None:
        self.provider.moods.extend(moods)
        with suppress(Died):
            self.service().run(self.provider, self.now)
        self.provider.moods.clear()

    @rule(hours=st.integers(1, 80), moods=st.lists(st.sampled_from(MOODS), max_size=4))
    def later(self, hours: int, moods: list[str]) -> None:
        self.true += hours * HOUR
        self.round(moods)

    @rule(
        moods=st.lists(st.lists(st.sampled_from(MOODS), max_size=3), min_size=1, max_size=6),
    )
    def when_due(self, moods: list[list[str]]) -> None:
        """To when the next letter is due, several times."""
        for some in moods:
            with self.database.read() as db:
                due = deliveries.next_due(db)
            if due:
                self.true = max(self.true, due - self.ahead)
            self.round(some)
            self.the_ledger_is_true()

    @rule(minutes=st.integers(1, 70))
    def soon(self, minutes: int) -> None:
        self.true += minutes * MINUTE
        self.round([])

    @rule()
    def clock_runs_ahead(self) -> None:
        self.ahead = HOUR

    @rule()
    def clock_is_put_back_an_hour(self) -> None:
        self.ahead = timedelta(0)

    def meanwhile(self, length: timedelta) -> None:
        """While one process sleeps, another goes on."""
        moods = self.provider.moods.copy()
        self.provider.moods.clear()
        end = self.true + length
        for pause in (11 * MINUTE, 20 * MINUTE, HOUR, 5 * HOUR, DAY, 2 * DAY, 3 * DAY, 7 * DAY):
            if self.true + pause > end:
                break
            self.true += pause
            self.service().run(self.provider, self.now)
        self.true = max(self.true, end)
        self.provider.moods.extend(moods)

    # What the provider tells

    @precondition(lambda self: self.provider.news)
    @rule(data=st.data())
    def events(self, data: st.DataObject) -> None:
        """In any order, some twice, some of them old."""
        news = self.provider.news
        some = data.draw(st.lists(st.sampled_from(news), max_size=2 * len(news)))
        self.hear([*some, *some[:1]])

    @precondition(lambda self: len(self.real()) > 4)
    @rule(data=st.data(), kind=st.sampled_from(("bounce", "spamreport", "unsubscribe")))
    def goodbye(self, data: st.DataObject, kind: str) -> None:
        taken = data.draw(st.sampled_from(self.real()))
        self.hear([Event(f"{kind}-{taken.delivery}", kind, taken.delivery, "", self.true)])
        self.suppressed.add(taken.address)
        self.ended |= {each.enrolment_id for each in self.everyone() if each.email == taken.address}

    @rule(minutes=st.integers(0, 50), readable=st.booleans())
    def logs(self, minutes: int, readable: bool) -> None:
        self.provider.lag, self.provider.readable = minutes * MINUTE, readable

    def hear(self, events: Sequence[Event]) -> None:
        with self.database.write() as db:
            self.evidence.take(db, events, self.now())

    # What must always hold

    def judge(self, letter: Taken) -> None:
        """As the provider takes it."""
        person = next(each for each in self.everyone() if each.enrolment_id == letter.enrolment)
        way, course = person.way(self.planner.material), self.planner.material.course
        mine = [each for each in self.real() if each.enrolment == letter.enrolment]
        before = {each.lesson for each in mine} - {letter.lesson}
        start = way.start or way.first_appointment
        checks = {
            "twice": letter.lesson in {each.lesson for each in mine},
            "to a suppressed address": letter.address in self.suppressed,
            "after the end": person.status != "active" or letter.enrolment in self.ended,
            "to another's address": letter.address != person.email,
            "early": letter.day < start + (course.begins_after + len(before) * way.pace) * DAY
            or self.now().astimezone(way.zone).time() < way.send_at,
            "inside a hold": any(hold.covers(letter.day) for hold in way.holds),
            "on a closed day": bool(self.planner.calendar.closed(letter.day)),
            "too soon after another": any(
                (letter.day - each.day).days < course.min_gap for each in mine
            ),
            "a skipped lesson": letter.lesson in way.skips,
            "out of order": any(
                course.by_slug[each.lesson].week > course.by_slug[letter.lesson].week
                for each in mine
            ),
        }
        self.faults += [f"{fault}: {letter}" for fault, is_so in checks.items() if is_so]

    @invariant()
    def every_letter_was_right(self) -> None:
        assert not self.faults, self.faults

    @invariant()
    def the_ledger_is_true(self) -> None:
        """Each delivery goes from one legal state to another, and its state is so."""
        taken = {each.delivery for each in self.provider.taken}
        real = {each.delivery for each in self.real()}
        with self.database.read() as db:
            rows = deliveries.history(db)
        for row in rows:
            state, before = row["state"], self.states.get(row["id"])
            assert state == before or state in LEGAL[before], (before, state)
            if before == "accepted" and state != before:
                assert row["id"] not in real, "taken back although it went"
            assert state != "accepted" or row["id"] in taken, "accepted by nobody"
            assert state not in ("deferred", "refused") or row["id"] not in real, f"{state}, taken"
            self.states[row["id"]] = state

    def teardown(self) -> None:
        """Trouble ends, weeks go by: whatever did not go is listed for a person."""
        if not hasattr(self, "provider"):
            return
        self.ahead = self.provider.lag = timedelta(0)
        self.provider.readable = True
        for _ in range(150):
            self.hear(self.provider.news)
            with self.database.read() as db:
                due = deliveries.next_due(db)
            if due is None and not self.unsure() and "claimed" not in self.states.values():
                break
            wait = 61 * MINUTE if self.unsure() or due is None else timedelta(0)
            self.true = max(self.true + MINUTE + wait, min(due or self.true, self.true + 7 * DAY))
            self.round([])
            self.the_ledger_is_true()
        self.every_letter_was_right()
        self.nothing_was_lost()

    def nothing_was_lost(self) -> None:
        went = {(each.enrolment, each.lesson) for each in self.real()}
        with self.database.read() as db:
            timelines = self.planner.timelines(db, self.now())
        for person, letters in timelines:
            for letter in letters:
                if (person.enrolment_id, letter.lesson) in went:
                    assert letter.state == "sent", letter
                else:
                    assert letter.state in NOT_GONE, letter

    # How the world stands

    def service(self) -> Round:
        """As a process that has just started."""
        return Round(self.database, self.planner, self.press, KEYS)

    def everyone(self) -> list[Person]:
        with self.database.read() as db:
            return people.everyone(db)

    def unsure(self) -> list[claims.Claim]:
        with self.database.read() as db:
            return doubts.unknown(db)

    def real(self) -> list[Taken]:
        """What was taken and not dropped."""
        return [each for each in self.provider.taken if not each.dropped]

    def tailor(self, who: int, verb: tailoring.Verb) -> None:
        with suppress(WrongInput, NotDone):
            moved = tailoring.propose(self.database, self.planner, f"p{who}", verb, self.now())
            tailoring.commit(self.database, self.planner, [moved], self.now(), "staff")


NOT_GONE = ("skipped", "held", "ended", "undecided", "refused")
"""Staff's will, the patient's will, or listed for a person (`plan --behind`)."""
