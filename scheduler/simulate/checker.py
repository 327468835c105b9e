"""The checker: what was posted, held against what staff had set and the plan had promised.

It reads the tally of what left, and every person as they stood from each change on; never the
ledger. So it can judge any channel, and a service that was killed.

1. A letter's own stop link says whose it is; at another address it is astray.
2. Each person's letters and changes are walked in the order of time. Rules that need no plan are
   held against what stood then: the course's order, the wall clock, open days, holds, the distance
   to the letter before, the letter's own date (P2), the end of the course.
3. From each of these events to the next the service owes what the plan promised at the first: a
   letter before its promise is early, one after it late, one that never came is lost. While the
   service was away nothing can go; what was promised then is promised anew at its return.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from operator import attrgetter
from typing import Literal, get_args

from scheduler.ledger.people import Person
from scheduler.ledger.planner import Planner
from scheduler.plan.calendar import DAY, instant
from scheduler.plan.enrolment import Enrolment
from scheduler.plan.rules import GRACE
from scheduler.simulate.tally import Posted

Kind = Literal[
    "early",
    "twice",
    "within the minimum gap",
    "lost",
    "late",
    "out of order",
    "skipped",
    "on a closed day",
    "inside a hold",
    "after the end",
    "astray",
]
Away = tuple[datetime, datetime]
"""When the service went away and when it was back (UTC)."""
Version = tuple[datetime, Person]
"""A person as they stood from an instant on."""


@dataclass(frozen=True)
class Fault:
    """One broken promise: which, to whom (an id), about which lesson, and when."""

    kind: Kind
    who: str
    lesson: str
    at: datetime


@dataclass
class Verdict:
    """What was found; on the way the letters were counted by their patients' own dates."""

    planned: int = 0
    sent: int = 0
    faults: list[Fault] = field(default_factory=list)
    days: Counter[date] = field(default_factory=Counter)
    clocks: int = 0  # people whose clock was changed between two of their letters

    @property
    def line(self) -> str:
        """`9,000 letters planned = 9,000 letters sent, 0 early, 0 twice, …`."""
        number = Counter(fault.kind for fault in self.faults)
        counts = ", ".join(f"{number[kind]} {kind}" for kind in get_args(Kind))
        sign = "=" if self.planned == self.sent else "≠"
        return f"{self.planned:,} letters planned {sign} {self.sent:,} letters sent, {counts}"


@dataclass(frozen=True)
class Checker:
    """The promises: the plan's, when none could be kept, and until when is judged.

    `tick` is how long after its time a letter may go: what lies between two rounds.
    """

    planner: Planner
    away: Sequence[Away]
    end: datetime
    tick: timedelta = timedelta(minutes=1)

    def verdict(self, posted: Iterable[Posted], history: Iterable[Version]) -> Verdict:
        """Judge all letters of all people; `history` is in the order of time."""
        found = Verdict()
        lives: dict[str, list[Version]] = {}
        letters: dict[str, list[Posted]] = {}
        for at, person in history:
            lives.setdefault(person.enrolment_id, []).append((at, person))
        for each in sorted(posted, key=attrgetter("at")):
            found.sent += 1
            if each.stop in lives:
                letters.setdefault(each.stop, []).append(each)
            else:
                found.faults.append(Fault("astray", "nobody", each.lesson, each.at))
        for stop, versions in lives.items():
            _Life(self, found, versions, letters.get(stop, [])).walk()
        found.faults.sort(key=lambda fault: (fault.at, fault.who, fault.lesson, fault.kind))
        return found


@dataclass
class _Life:
    """One enrolment's way through its letters and changes."""

    checker: Checker
    found: Verdict
    versions: Sequence[Version]
    letters: Sequence[Posted]
    sent: dict[str, datetime] = field(default_factory=dict)
    previous: date | None = None

    def __post_init__(self) -> None:
        self.course = self.checker.planner.material.course
        self._stands(*self.versions[0])

    def walk(self) -> None:
        """Go through the events; of two at one instant the change comes first."""
        letters = list(self.letters)
        for at, person in self.versions:
            while letters and letters[0].at < at:
                self._judge(letters.pop(0))
            self._collect(at)
            self._stands(at, person)
        for letter in letters:
            self._judge(letter)
        self._collect(self.checker.end)
        offsets = {letter.at.astimezone(self.way.zone).utcoffset() for letter in self.letters}
        self.found.clocks += len(offsets) > 1

    def _stands(self, at: datetime, person: Person) -> None:
        """From now on the person stands like this."""
        self.since, self.person = at, person
        self.way = person.way(self.checker.planner.material)

    def _judge(self, letter: Posted) -> None:
        """Hold a letter against the rules and the promise, and go on from it."""
        day = _day(letter.at, self.way)
        self.found.days[day] += 1
        if letter.lesson in self.sent:
            self._fault("twice", letter.lesson, letter.at)
            return
        came = {each.lesson for each in self.letters}
        week = self.course.by_slug[letter.lesson].week
        for slug in self._to_come():
            if self.course.by_slug[slug].week < week and slug not in came:
                self._lose(slug, letter.at)
        promised, due = self._promise()
        kinds = set(self._broken(letter, day))
        if due and letter.at < due:
            kinds.add("early")
        if due and letter.at > due + self.checker.tick:
            kinds.add("late")
        for kind in kinds:
            self._fault(kind, letter.lesson, letter.at)
        self.found.planned += promised is not None
        self.sent[letter.lesson] = promised or letter.at
        self.previous, self.since = day, letter.at

    def _broken(self, letter: Posted, day: date) -> Iterator[Kind]:
        """The rules that need no plan."""
        person, way, lesson = self.person, self.way, self.course.by_slug[letter.lesson]
        start = way.start or way.first_appointment
        before = max((self.course.by_slug[slug].week for slug in self.sent), default=-1)
        if letter.to != person.email:
            yield "astray"
        if lesson.slug in way.skips:
            yield "skipped"
        if lesson.week < before and lesson.slug not in way.owed:
            yield "out of order"
        place, since = way.anchor or (0, start + self.course.begins_after * DAY)
        if day < since + (len(self.sent) - place) * way.pace * DAY:
            yield "early"
        if letter.at - instant(day, way.send_at, way.zone) > GRACE:
            yield "late" if letter.at.astimezone(way.zone).date() == day else "early"
        if self.checker.planner.calendar.closed(day):
            yield "on a closed day"
        if any(hold.covers(day) for hold in way.holds):
            yield "inside a hold"
        if self.previous and (day - self.previous).days < self.course.min_gap:
            yield "within the minimum gap"
        if way.status != "active":
            yield "after the end"

    def _collect(self, until: datetime) -> None:
        """Name what should have gone before `until` and has not."""
        came = {letter.lesson for letter in self.letters}
        while coming := self._to_come():
            _, due = self._promise()
            if due is None or due + self.checker.tick >= until:
                return
            if coming[0] in came:
                self._fault("late", coming[0], due)
                return
            self._lose(coming[0], due)

    def _promise(self) -> tuple[datetime | None, datetime | None]:
        """What the plan promises since the last event, and when it can be kept at the soonest."""
        since = self.since
        while promised := self.checker.planner.next_due(self.person, self.sent, since):
            due = max(promised, since)
            back = next((back for gone, back in self.checker.away if gone <= due < back), None)
            if back is None:
                return promised, due
            since = back
        return None, None

    def _to_come(self) -> list[str]:
        """The lessons that are left, in order (P7, P12)."""
        last = max((self.course.by_slug[slug].week for slug in self.sent), default=-1)
        left = [each for each in self.course.lessons if each.slug not in self.sent]
        return [
            each.slug
            for each in left
            if (each.week > last or each.slug in self.way.owed) and each.slug not in self.way.skips
        ]

    def _lose(self, slug: str, at: datetime) -> None:
        promised, due = self._promise()
        self._fault("lost", slug, due or at)
        self.found.planned += 1
        self.sent[slug] = promised or at

    def _fault(self, kind: Kind, lesson: str, at: datetime) -> None:
        self.found.faults.append(Fault(kind, self.person.id, lesson, at))


def _day(at: datetime, way: Enrolment) -> date:
    """The date whose letter hour had last come, on the person's own clock."""
    local = at.astimezone(way.zone)
    return local.date() if local.time() >= way.send_at else local.date() - DAY
