"""plan(): the dates of a person's letters and the reasons for each; pure (P14).

1. Sort the lessons: sent, skipped (P7), put in too early to be sent (P12), still to come.
2. Walk over the sent and the coming ones in order. Each has its own date: start + `begins_after`
   + its place × pace (P1, P2), later by what a late enrolment (P8) and earlier holds have moved.
3. From its own date a letter goes to the next open day (P4) and past the holds that cover it (P6);
   the days that a hold moved it move all after it. A sent letter was moved by the holds that had
   ended by its day, so that the same days are counted after it was sent as before.
4. Then, without moving the others: not before `min_gap` (P5), not in the past (P9), open, not held.
5. The date becomes an instant at the send time in the person's zone (P3). Only a letter that staff
   asked for at once keeps to no date; those after it keep their own, and their distance to it.

A letter is overdue when its time passed more than GRACE ago. Until then it is due: a round that
takes an hour still sends its last letter on the promised day.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from scheduler.material.lessons import Course, Lesson
from scheduler.plan import reasons
from scheduler.plan.calendar import DAY, Calendar, first_slot, instant
from scheduler.plan.enrolment import Enrolment, Hold, Sent

GRACE = timedelta(hours=2)

State = Literal[
    "planned", "held", "skipped", "passed", "ended", "sent", "sending", "undecided", "refused"
]
"""The first five are the plan's; the others say what became of a letter that went."""


@dataclass(frozen=True)
class PlannedLetter:
    """One lesson of one person: when it goes or went (UTC and local time), or why it does not.

    `overdue` is the local date on which it should have gone, when that has passed (P9); `outcome`
    says what became of it or of the last try, where that is not simply that it went; `own` is its
    own date (P2), with what holds and a late enrolment have moved it.
    """

    lesson: str
    week: int
    state: State
    utc: datetime | None
    local: datetime | None
    reasons: tuple[str, ...]
    overdue: date | None = None
    outcome: str = ""
    own: date | None = None


def plan(
    course: Course, enrolment: Enrolment, calendar: Calendar, sent: Sent, now: datetime
) -> list[PlannedLetter]:
    """Every lesson of the course in order, with its date or the reason why it has none.

    `sent` holds the lessons that are not to go again, in the order they went; `now` is UTC.
    """
    return whole(course, enrolment, sent, coming(course, enrolment, calendar, sent, now))


def whole(
    course: Course, enrolment: Enrolment, sent: Sent, ahead: Iterable[PlannedLetter]
) -> list[PlannedLetter]:
    """Every lesson, where the letters to come are known."""
    to_come = {letter.lesson: letter for letter in ahead}
    return [
        to_come.get(lesson.slug) or _settled(lesson, enrolment, sent) for lesson in course.lessons
    ]


def next_letter(letters: Iterable[PlannedLetter]) -> PlannedLetter | None:
    """The first letter that still has a date."""
    return next((letter for letter in letters if letter.state == "planned"), None)


def _settled(lesson: Lesson, enrolment: Enrolment, sent: Sent) -> PlannedLetter:
    """A letter that the plan has no more to say about."""
    if went := sent.get(lesson.slug):
        local = went.astimezone(enrolment.zone)
        return PlannedLetter(lesson.slug, lesson.week, "sent", went, local, (reasons.SENT,))
    state: State = "passed"
    why: str = reasons.PASSED
    if enrolment.status != "active":
        state, why = "ended", enrolment.status
    elif lesson.slug in enrolment.skips:
        state, why = "skipped", reasons.SKIPPED
    return PlannedLetter(lesson.slug, lesson.week, state, None, None, (why,))


def _to_come(course: Course, enrolment: Enrolment, sent: Sent) -> Iterator[Lesson]:
    """What is left: after the last one sent (P12), not skipped (P7), nothing once ended (P11)."""
    if enrolment.status != "active":
        return
    last = max((lesson.week for lesson in course.lessons if lesson.slug in sent), default=-1)
    for lesson in course.lessons:
        left = lesson.week > last or lesson.slug in enrolment.owed
        if left and lesson.slug not in sent and lesson.slug not in enrolment.skips:
            yield lesson


def coming(
    course: Course, enrolment: Enrolment, calendar: Calendar, sent: Sent, now: datetime
) -> Iterator[PlannedLetter]:
    """The letters of plan() that are planned or held, one after the other, worked out as asked for.

    A round only asks for the first two.
    """
    zone, holds = enrolment.zone, enrolment.holds
    start = enrolment.start or enrolment.first_appointment
    slot = first_slot(now - GRACE, enrolment.send_at, zone)
    gone = [went.astimezone(zone).date() for went in sent.values()]
    origin, base, shift, moved_by = _counted(course, enrolment, calendar, start, gone)
    previous = gone[-1] if gone else None
    stopped: str | None = None
    why: tuple[str, ...]

    for place, lesson in enumerate(_to_come(course, enrolment, sent), start=len(sent)):
        own = base + (place - origin) * enrolment.pace * DAY + shift
        if place == len(sent) and (asked := _asked(enrolment, sent)):
            previous, why = asked.astimezone(zone).date(), (reasons.AT_ONCE,)
            yield PlannedLetter(
                lesson.slug, lesson.week, "planned", asked, asked.astimezone(zone), why, own=own
            )
            continue
        after = (own - shift - start).days
        first = _open_and_free(own, holds, calendar)
        soonest = max(first.day or own, previous + course.min_gap * DAY if previous else own, slot)
        last = first if soonest == first.day else _open_and_free(soonest, holds, calendar)
        if stopped or not (first.day and last.day):
            stopped = stopped or (last if first.day else first).holds[-1]
            why = (stopped,)
            yield PlannedLetter(lesson.slug, lesson.week, "held", None, None, why, own=own)
            continue

        trace = [reasons.own_date(own - shift, after, start, start_was_set=bool(enrolment.start))]
        if shift:
            trace.append(reasons.later(shift.days, moved_by))
        trace += first.trace
        if slot > first.day:
            trace.append(reasons.overdue(first.day))
        if previous and previous + course.min_gap * DAY == soonest > first.day:
            trace.append(reasons.too_close(course.min_gap, previous))
        if last is not first:
            trace += last.trace
        utc = instant(last.day, enrolment.send_at, zone)
        local = utc.astimezone(zone)
        overdue = first.day if slot > first.day else None
        why = tuple(trace)
        yield PlannedLetter(lesson.slug, lesson.week, "planned", utc, local, why, overdue, own=own)
        previous = local.date()
        if first.holds:
            shift += first.day - own
            moved_by += first.holds


def _asked(enrolment: Enrolment, sent: Sent) -> datetime | None:
    """When staff asked that the letter after those sent goes at once; None once one has gone."""
    asked = enrolment.at_once
    return asked if asked and all(went < asked for went in sent.values()) else None


def _counted(
    course: Course, enrolment: Enrolment, calendar: Calendar, start: date, gone: Sequence[date]
) -> tuple[int, date, timedelta, list[str]]:
    """The place that own dates are counted from, its own date, and what has moved them since.

    That is a late enrolment (P8), and the holds that had ended when the letters after it went. All
    that moved the letters before an anchor is in its date.
    """
    origin, base = enrolment.anchor or (0, start + course.begins_after * DAY)
    shift, moved_by = timedelta(0), list[str]()
    if not enrolment.anchor:
        shift, moved_by = _late(base, enrolment, calendar)
    for place, day in enumerate(gone[origin:], start=origin):
        own = base + (place - origin) * enrolment.pace * DAY + shift
        over = [hold for hold in enrolment.holds if hold.until and hold.until <= day]
        step = _open_and_free(own, over, calendar)
        if step.day and step.holds:
            shift += step.day - own
            moved_by += step.holds
    return origin, base, shift, moved_by


def _late(first: date, enrolment: Enrolment, calendar: Calendar) -> tuple[timedelta, list[str]]:
    """How far all own dates move because the first had passed at the enrolment (P8)."""
    at, zone, enrolled = enrolment.send_at, enrolment.zone, enrolment.enrolled_at
    if instant(first, at, zone) >= enrolled:
        return timedelta(0), []
    day, _ = calendar.open_from(first_slot(enrolled, at, zone))
    return day - first, [reasons.LATE]


@dataclass(frozen=True)
class _Step:
    """The day that a date comes to (None: no end is set), the holds that moved it, the trace."""

    day: date | None
    holds: list[str]
    trace: list[str]


def _open_and_free(day: date, holds: Sequence[Hold], calendar: Calendar) -> _Step:
    """The first open day from `day` on that no hold covers (P4, P6)."""
    touched: list[str] = []
    trace: list[str] = []
    while True:
        opened, passed = calendar.open_from(day)
        if passed:
            trace.append(reasons.closed(passed))
        hold = next((hold for hold in holds if hold.covers(opened)), None)
        if hold is None:
            return _Step(opened, touched, trace)
        touched.append(reasons.held(hold.until, hold.reason))
        trace.append(touched[-1])
        if hold.until is None:
            return _Step(None, touched, trace)
        day = hold.until
