"""What patients may wish of their letters, each as a verb of tailoring.

1. A hold that staff have set is theirs to end: until it is over, no date can be moved here.
2. A pause makes each letter so many weeks later, so that the day of the week stays. It is a hold
   like any other, known by its reason.
3. Another day of the week moves the start on, as far as it takes; no letter comes sooner than it
   would have.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property, partial
from typing import get_args
from zoneinfo import ZoneInfo

from scheduler import tailoring
from scheduler.findings import wrong
from scheduler.ledger.people import Person, Style
from scheduler.ledger.planner import Planner
from scheduler.plan.calendar import DAY
from scheduler.plan.enrolment import Hold, Sent
from scheduler.plan.rules import PlannedLetter
from scheduler.web.forms import clock_of, style_of

PAUSE = "the patient asked for it"
WEEKS = (2, 4)
STYLES = get_args(Style)
FURTHEST = 200  # days that a start is moved at most, past a hold that has moved letters before


@dataclass(frozen=True)
class Wishes:
    """Somebody at an instant, and what they may wish."""

    person: Person
    planner: Planner
    sent: Sent
    now: datetime

    @property
    def zone(self) -> ZoneInfo:
        """The patient's time zone."""
        return self.person.zone(self.planner.material.clinic)

    @cached_property
    def today(self) -> date:
        """The day where the patient is."""
        return self.now.astimezone(self.zone).date()

    @cached_property
    def coming(self) -> PlannedLetter | None:
        """The letter that comes next, or waits."""
        return self.planner.coming(self.person, self.sent, self.now)

    @cached_property
    def holds(self) -> list[Hold]:
        """Those that are not over."""
        return self.person.holds(self.today)

    @cached_property
    def paused(self) -> bool:
        """Whether what holds the letters is the patient's own wish."""
        return bool(self.holds) and all(each.reason == PAUSE for each in self.holds)

    @cached_property
    def offered(self) -> list[str]:
        """The wishes that make sense."""
        if self.person.status not in ("active", "finished"):
            return []
        if self.coming is None:
            return ["call"]
        more = ["time", "style", "call"]
        if self.holds:
            return ["resume", *more] if self.paused else more
        return ["pause", *(["day"] if self.weekdays else []), *more]

    @cached_property
    def weekdays(self) -> list[int]:
        """The open days to which the letters could move, if all fall on one day of the week."""
        pace = self.person.pace or self.planner.material.course.pace
        if pace % 7 or not (self.coming and self.coming.own):
            return []
        own = self.coming.own.weekday()
        return [day for day in self.planner.calendar.weekdays if day != own]

    def verb(self, wish: str, fields: Mapping[str, str]) -> tailoring.Verb:
        """What a wish comes to; WrongInput if it is not offered now, or a field cannot be used."""
        if wish not in self.offered:
            raise wrong(wish, None, "that cannot be done now", "")
        value = fields.get(wish, "").strip()
        match wish:
            case "pause" if value in map(str, WEEKS):
                return partial(
                    tailoring.hold,
                    first=self.today,
                    until=self._later(7 * int(value)),
                    reason=PAUSE,
                    today=self.today,
                )
            case "resume":
                return partial(tailoring.resume, today=self.today)
            case "day" if value in map(str, self.weekdays):
                return partial(tailoring.move, start=self._start(int(value)))
            case "time":
                return partial(tailoring.at, clock=clock_of(fields, "time"))
            case "style" if not value or value in STYLES:
                return partial(tailoring.style, kind=style_of(fields))
            case "call":
                return partial(tailoring.call, asked_at=self.now if value == "yes" else None)
        raise wrong(wish, None, "choose one of those that stand there", "")

    def _later(self, days: int) -> date:
        """The day on which the next letter comes if all come so many days later."""
        letter = self.coming
        if letter is None or letter.own is None or letter.local is None:
            raise AssertionError(self.person)
        return (letter.local.date() if letter.overdue else letter.own) + days * DAY

    def _start(self, weekday: int) -> date:
        """The first start after today's that puts the next letter on a day of the week."""
        person, plan = self.person, self.planner
        start = person.start or person.first_appointment
        for later in range(1, FURTHEST):
            moved = replace(person, start=start + later * DAY)
            moved = plan.keep_distance(person, moved, self.sent, self.now)
            own = letter.own if (letter := plan.coming(moved, self.sent, self.now)) else None
            was = self.coming.own if self.coming else None
            if own and was and own >= was and own.weekday() == weekday:
                return start + later * DAY
        raise wrong("day", None, "that cannot be done now", "")
