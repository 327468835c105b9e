"""The post of a day: what went is in the deliveries, what would go is in the plan (P14).

For the days to come everybody is planned by the code that the rounds use, as if nothing changes
until then. Each one's dates are kept with their mark: when the next letter is due, which every try
to send changes, and the newest line of the audit, which every change of a patient writes. Whose
mark is another now is planned again; after an edit of the course or the calendar, everybody is.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from threading import Lock
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, func, select

from scheduler.ledger import deliveries, people
from scheduler.ledger.people import CURRENT
from scheduler.ledger.planner import Planner
from scheduler.ledger.tables import audit, delivery, enrolment
from scheduler.plan.rules import GRACE

WENT = ("accepted", "unknown", "claimed", "refused")
LEASE = timedelta(hours=3)  # more than any channel's
SOME = 5_000  # people that are planned at a time


class Item(NamedTuple):
    """A letter that would go at an instant (UTC)."""

    at: datetime
    week: int
    enrolment: str
    lesson: str


Mark = tuple[datetime, int | None, datetime | None]
"""Somebody's next due date, the newest line about them, and the minute if they are overdue."""
Days = Mapping[date, Sequence[Item]]
"""What goes on each of the clinic's days, by the time and the week."""


@dataclass(frozen=True)
class Group:
    """So many letters of one lesson, planned for one instant (UTC)."""

    at: datetime
    lesson: str
    number: int


def groups(db: Connection, first: datetime, until: datetime) -> list[Group]:
    """What went from an instant on and before another, in numbers."""
    at, lesson = delivery.c.planned_for, delivery.c.lesson
    query = select(at, lesson, func.count()).where(_between(first, until)).group_by(at, lesson)
    return [Group(*row) for row in db.execute(query.order_by(at, lesson))]


def claimed(db: Connection, first: datetime, until: datetime) -> dict[datetime, int]:
    """How many letters were claimed at each instant from one on and before another."""
    at = delivery.c.claimed_at
    query = select(at, func.count()).where(_between(first, until)).group_by(at)
    return {row[0]: row[1] for row in db.execute(query)}


def went(
    db: Connection, first: datetime, until: datetime, *, skip: int, most: int
) -> list[Mapping[str, Any]]:
    """The deliveries of these groups, in their order."""
    order = delivery.c.planned_for, delivery.c.lesson, delivery.c.enrolment_id
    query = select(delivery).where(_between(first, until)).order_by(*order)
    return [dict(row) for row in db.execute(query.offset(skip).limit(most)).mappings()]


def _between(first: datetime, until: datetime) -> ColumnElement[bool]:
    """By the lease, which has an index, and then by when it was claimed."""
    lease, claimed = delivery.c.lease_until, delivery.c.claimed_at
    near = and_(delivery.c.state.in_(WENT), lease >= first, lease < until + LEASE)
    return and_(near, claimed >= first, claimed < until)


class Outlook:
    """Everybody's letters to come, by the clinic's day. The pages of a process share one."""

    def __init__(self) -> None:
        """Nobody is planned yet."""
        self._lock = Lock()
        self._rests_on = ""
        self._marks: Mapping[str, Mark] = {}
        self._days: Days = {}
        self._where: dict[str, set[date]] = {}

    def days(self, db: Connection, planner: Planner, now: datetime) -> Days:
        """What would go on each day."""
        with self._lock:
            if planner.fingerprint != self._rests_on:
                self._marks, self._days, self._where = {}, {}, {}
                self._rests_on = planner.fingerprint
            marks = _marks(db, now)
            gone = self._marks.keys() - marks.keys()
            stale = [who for who, mark in marks.items() if mark != self._marks.get(who)]
            if gone or stale:
                self._days = self._renewed({*gone, *stale}, _planned(db, planner, stale, now))
                self._marks = marks
            return self._days

    def _renewed(self, out: Collection[str], fresh: Days) -> Days:
        """The days with some people's letters as they are now."""
        days = dict(self._days)
        for day in {*fresh, *(day for who in out for day in self._where.pop(who, ()))}:
            kept = [each for each in days.pop(day, ()) if each.enrolment not in out]
            if items := sorted([*kept, *fresh.get(day, ())]):
                days[day] = items
        for day, new in fresh.items():
            for each in new:
                self._where.setdefault(each.enrolment, set()).add(day)
        return days


def _marks(db: Connection, now: datetime) -> Mapping[str, Mark]:
    """What each one's dates rest on; of who is overdue they go with the clock."""
    line = select(func.max(audit.c.id)).where(audit.c.enrolment_id == enrolment.c.id)
    query = select(enrolment.c.id, enrolment.c.next_due_at, line.scalar_subquery())
    active = CURRENT, enrolment.c.status == "active", enrolment.c.next_due_at.is_not(None)
    minute, late = now.replace(second=0, microsecond=0), now - GRACE
    rows = db.execute(query.where(*active))
    return {who: (due, line, minute if due < late else None) for who, due, line in rows}


def _planned(db: Connection, planner: Planner, who: Sequence[str], now: datetime) -> Days:
    zone = planner.material.clinic.timezone
    days: dict[date, list[Item]] = defaultdict(list)
    for at in range(0, len(who), SOME):
        some = who[at : at + SOME]
        gone = deliveries.sent(db, some)
        for enrolled, each in people.of_enrolments(db, some).items():
            for letter in planner.ahead(each, gone.get(enrolled, {}), now):
                if letter.utc:
                    item = Item(letter.utc, letter.week, enrolled, letter.lesson)
                    days[letter.utc.astimezone(zone).date()].append(item)
    return days
