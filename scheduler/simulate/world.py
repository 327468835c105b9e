"""The world around the service: a clock that jumps, who arrives when, what happens in between.

1. The clock starts at the first consent, or at noon of the day that was asked for.
2. Each person is enrolled at noon of the day on which they agreed, through the same merge as
   `enrol`; what chance changes goes through the verbs of tailoring.py, service or no service.
3. If somebody is due and the service is not away, a round runs, the worker's own.
4. The clock jumps to whatever comes first: a due letter (or the service's return), an arrival, a
   change. It ends when nothing is left or the weeks are over.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from itertools import groupby
from operator import attrgetter, itemgetter
from random import Random

from scheduler import tailoring
from scheduler.delivery.channels import Channel
from scheduler.delivery.round import Round
from scheduler.findings import NotDone, WrongInput
from scheduler.keys import Keys
from scheduler.ledger import deliveries
from scheduler.ledger.changes import Change
from scheduler.ledger.database import Database
from scheduler.ledger.planner import Planner
from scheduler.plan.calendar import instant
from scheduler.roster.entries import Entry, Roster
from scheduler.roster.merge import apply, merge, new_person
from scheduler.simulate import chance
from scheduler.simulate.checker import Away, Version

NOON = time(12)
WEEKS = 12  # of chance, if no end is given
UNDONE = 10  # one change in so many takes the last one back

Progress = Callable[[int, int], None]
"""Takes the letters sent so far, and the letters that were expected."""


@dataclass(frozen=True)
class Trial:
    """What is simulated; without more, the roster from the first consent to the last letter.

    `scale` asks for so many invented people instead, `seed` for chance.
    """

    begin: date | None = None
    weeks: int | None = None
    scale: int | None = None
    seed: int | None = None


class World:
    """Called, it tells the time. `history` is everybody as they stood from each instant on."""

    def __init__(
        self, database: Database, planner: Planner, keys: Keys, roster: Roster, trial: Trial
    ) -> None:
        """Fix who arrives when; with a seed also when the service is away and who is changed."""
        self.database, self.planner, self.keys, self.roster = database, planner, keys, roster
        self.zone = planner.material.clinic.timezone

        def noon(entry: Entry) -> datetime:
            return instant(max(entry.consent, trial.begin or entry.consent), NOON, self.zone)

        arriving = sorted(roster.entries, key=attrgetter("consent"))
        self.arrivals = [(at, list(some)) for at, some in groupby(arriving, noon)]
        if trial.begin:
            self.began = instant(trial.begin, NOON, self.zone)
        else:
            self.began = self.arrivals[0][0] if arriving else datetime.now(UTC)
        self.now, self.end = self.began, datetime.max.replace(tzinfo=UTC)
        if trial.weeks:
            self.end = self.began + timedelta(weeks=trial.weeks)
        self.away: list[Away] = []
        self.history: list[Version] = []
        self.changed: Counter[str] = Counter()
        self.rng = Random(trial.seed)  # noqa: S311 - it is to be repeated
        events: list[tuple[datetime, Callable[[], None]]]
        events = [(at, partial(self._arrive, some)) for at, some in self.arrivals]
        if trial.seed is not None:
            arrived = self.arrivals[-1][0] if arriving else self.began
            last = self.end if trial.weeks else arrived + timedelta(weeks=WEEKS)
            ids = [entry.id for entry in roster.entries if entry.id]
            self.away = chance.outages(self.rng, self.began, last)
            moments = chance.moments(self.rng, ids, self.began, last)
            events += [(at, partial(self._change, who)) for at, who in moments]
        self.events = deque(sorted(events, key=itemgetter(0)))

    def __call__(self) -> datetime:
        return self.now

    def run(self, service: Round, channel: Channel, progress: Progress | None) -> None:
        """Go on until the end; NotDone if the channel takes nothing."""
        expected, sent = self._expected(), 0
        while self.now <= self.end:
            while self.events and self.events[0][0] <= self.now:
                _, happens = self.events.popleft()
                happens()
            due = self._due()
            if due and due <= self.now:
                report = service.run(channel, self)
                if report.down is not None:
                    raise NotDone(report.down)
                sent += report.letters["accepted"]
                due = self._due()
            if progress:
                progress(sent, expected)
            coming = [self.events[0][0]] if self.events else []
            coming += [due] if due and due > self.now else []
            if not coming:
                break
            self.now = min(coming)
        self.now = min(self.now, self.end)

    def _expected(self) -> int:
        return sum(
            letter.state == "planned"
            for at, entries in self.arrivals
            for entry in entries
            for letter in self.planner.plan(new_person(entry, at), {}, at)
        )

    def _arrive(self, entries: Sequence[Entry]) -> None:
        """Enrol those whose day has come."""
        some = replace(self.roster, entries=tuple(entries))
        with self.database.write() as db:
            merged = merge(db, some, self.keys, self.now)
            apply(db, merged, self.planner, self.now)
        for change in (*merged.new, *merged.changed):
            self._remember(change)

    def _change(self, who: str) -> None:
        """Do what chance has in mind for somebody at this moment, if it can be done."""
        today, course = self.now.astimezone(self.zone).date(), self.planner.material.course
        verb = partial(chance.change, self.rng, course=course, today=today, now=self.now)
        parts = self.database, self.planner
        try:
            if self.rng.randrange(UNDONE) == 0:
                moved = tailoring.undo(*parts, who, self.now)
            else:
                moved = tailoring.propose(*parts, who, verb, self.now)
            tailoring.commit(*parts, [moved], self.now, "chance")
        except (WrongInput, NotDone):
            return
        self.changed[moved.change.action] += 1
        self._remember(moved.change)

    def _remember(self, change: Change) -> None:
        """Note how somebody stands now; an enrolment that was replaced or taken away has ended."""
        before, after = change.before, change.after
        if before and (after is None or before.enrolment_id != after.enrolment_id):
            self.history.append((self.now, replace(before, status="erased")))
        if after:
            self.history.append((self.now, after))

    def _due(self) -> datetime | None:
        """When a round has something to do: when the next letter is due, or the service is back."""
        with self.database.read() as db:
            due = deliveries.next_due(db)
        if due is None:
            return None
        soonest = max(due, self.now)
        return next((back for gone, back in self.away if gone <= soonest < back), due)
