"""What the plan promises to everybody. Hypothesis looks for the person or outage that breaks it.

A `Life` is a person's way so far: somebody was enrolled, a service walked through days, outages and
the changes that a physiotherapist made, and sent what the plan said was due. The letters that went
are therefore never invented: each one was the plan's own answer at its moment.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from scheduler.material.lessons import Course, Lesson, Passage
from scheduler.plan.calendar import DAY, Calendar, first_slot, instant
from scheduler.plan.enrolment import Enrolment, Hold
from scheduler.plan.rules import GRACE, PlannedLetter, coming, next_letter, plan

ZONES = (
    "Europe/London",
    "America/New_York",
    "America/Havana",  # changes at midnight
    "America/Nuuk",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Antarctica/Troll",  # by two hours
    "Asia/Kathmandu",
    "Australia/Lord_Howe",  # by half an hour
    "Pacific/Auckland",
    "Pacific/Kiritimati",
    "UTC",
)
MINUTE = timedelta(minutes=1)

ordinary = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Turn:
    """What came between two letters: an outage, a round that was late, changes by staff."""

    down: timedelta
    late: timedelta
    changes: Mapping[str, Any]


PROMPT = Turn(timedelta(0), MINUTE, {})


@dataclass(frozen=True)
class Life:
    """One person at one moment."""

    course: Course
    calendar: Calendar
    enrolment: Enrolment
    sent: Mapping[str, datetime]
    now: datetime

    def plan(self) -> list[PlannedLetter]:
        return plan(self.course, self.enrolment, self.calendar, self.sent, self.now)

    def coming(self) -> Iterator[PlannedLetter]:
        return coming(self.course, self.enrolment, self.calendar, self.sent, self.now)

    def due(self) -> PlannedLetter | None:
        return next_letter(self.plan())

    def last_sent(self) -> date | None:
        """The local date of the letter that went last."""
        went = list(self.sent.values())
        return went[-1].astimezone(self.enrolment.zone).date() if went else None

    def own_date(self, place: int) -> date:
        """P2."""
        start = self.enrolment.start or self.enrolment.first_appointment
        return start + (self.course.begins_after + place * self.enrolment.pace) * DAY


@dataclass(frozen=True)
class Walk:
    """A life from its beginning, and all that will happen to it."""

    begin: Life
    turns: tuple[Turn, ...]

    def moments(self) -> Iterator[tuple[Life, PlannedLetter | None]]:
        """Every moment at which the service looked, with the letter that it then sent, if any."""
        life = self.begin
        turns = iter(self.turns)
        while True:
            turn = next(turns, PROMPT)
            enrolment = replace(life.enrolment, **turn.changes)
            life = replace(life, enrolment=enrolment, now=life.now + turn.down)
            letter = life.due()
            if letter is None:
                yield life, None
                return
            life = replace(life, now=max(life.now, utc(letter)) + turn.late)
            letter = life.due()  # the round asks again; it may be too late for this one by now
            due = letter is not None and utc(letter) <= life.now
            yield life, letter if due else None
            if letter and due:
                life = replace(life, sent={**life.sent, letter.lesson: life.now})


# Who lives: strategies


def lesson(number: int) -> Lesson:
    return Lesson(
        path=Path(f"{number}.md"),
        title="",
        body="",
        claims=(),
        review_by=date.max,
        lines={},
        slug=f"lesson-{number}",
        week=number,
        subject="",
        preheader="",
        action="",
    )


BLOCK = Passage(Path("block.md"), "", "", (), date.max, {})
LESSONS = tuple(lesson(number) for number in range(9))
HOLIDAYS: tuple[Mapping[date, str], ...] = (
    {},
    holidays.country_holidays("GB", subdiv="ENG"),
    holidays.country_holidays("GB", subdiv="SCT"),
    holidays.country_holidays("US"),
    holidays.country_holidays("AU", subdiv="VIC"),
)

# Strategies are made once and draw days that count from the first appointment: Hypothesis spends
# more time on new strategies than on drawing from them.

appointments = st.dates(date(2026, 1, 1), date(2029, 12, 31))
few_days = st.integers(0, 30)
minutes_late = st.integers(0, 150)

courses = st.builds(
    Course,
    title=st.just(""),
    purpose=st.just(""),
    begins_after=st.integers(0, 28) | st.just(1),
    pace=st.just(7),
    min_gap=st.integers(1, 28) | st.just(3),
    lessons=st.integers(1, 9).map(lambda number: LESSONS[:number]),
    emergency=st.just(BLOCK),
    same_day=st.just(BLOCK),
)
openings = st.tuples(
    st.just((0, 1, 2, 3, 4)) | st.sets(st.integers(0, 6), min_size=1).map(sorted).map(tuple),
    st.lists(st.tuples(st.integers(-20, 200), few_days), max_size=3),
    st.sampled_from(HOLIDAYS),
)
# A letter that goes two hours after 20:59 still goes on its day, whatever the clocks do.
times = st.builds(time, st.integers(0, 20), st.sampled_from((0, 30, 59)))


def tailoring(*, ending: bool) -> dict[str, st.SearchStrategy[Any]]:
    """What a physiotherapist may set, and set again on the way.

    Up to four holds: apart, adjacent, overlapping, and open-ended unless all must end.
    """
    lengths = st.integers(1, 40) if ending else st.integers(1, 40) | st.none()
    return {
        "start": st.none() | few_days,
        "holds": st.lists(st.tuples(st.integers(-20, 150), lengths), max_size=4),
        "skips": st.frozensets(st.sampled_from([each.slug for each in LESSONS]), max_size=3),
        "pace": st.integers(3, 28) | st.just(7),
    }


def dated(around: date, ways: Mapping[str, Any]) -> dict[str, Any]:
    """A tailoring with dates for days."""
    ways = dict(ways)
    if ways.get("start") is not None:
        ways["start"] = around + ways["start"] * DAY
    if "holds" in ways:
        firsts = [(around + at * DAY, length) for at, length in ways["holds"]]
        ways["holds"] = tuple(
            Hold(first, first + length * DAY if length else None) for first, length in firsts
        )
    return ways


@cache
def walks(*, ending: bool = False, retailored: bool = True) -> st.SearchStrategy[Walk]:
    may_set = tailoring(ending=ending)
    changes = st.fixed_dictionaries({}, optional=may_set) if retailored else st.just({})
    turn = st.tuples(st.just(0) | st.integers(0, 60 * 1440), minutes_late, st.just({}) | changes)
    return st.builds(
        walk,
        first=appointments,
        zone=st.sampled_from(ZONES).map(ZoneInfo),
        enrolled=st.integers(-30 * 1440, 60 * 1440) | st.just(0),
        at=times,
        ways=st.fixed_dictionaries(may_set),
        course=courses,
        opening=openings,
        turns=st.lists(turn, max_size=6),
    )


def walk(
    *,
    first: date,
    zone: ZoneInfo,
    enrolled: int,
    at: time,
    ways: Mapping[str, Any],
    course: Course,
    opening: tuple[tuple[int, ...], list[tuple[int, int]], Mapping[date, str]],
    turns: list[tuple[int, int, Mapping[str, Any]]],
) -> Walk:
    now = datetime.combine(first, time(12), zone).astimezone(UTC) + enrolled * MINUTE
    weekdays, spans, days_off = opening
    closures = tuple((first + at * DAY, first + (at + more) * DAY, "away") for at, more in spans)
    way = Enrolment(
        first_appointment=first, enrolled_at=now, send_at=at, zone=zone, **dated(first, ways)
    )
    life = Life(course, Calendar(weekdays, closures, days_off), way, {}, now)
    return Walk(
        life,
        tuple(
            Turn(down * MINUTE, late * MINUTE, dated(first, changes))
            for down, late, changes in turns
        ),
    )


@st.composite
def lives(draw: st.DrawFn, *, ending: bool = False) -> Life:
    """Somebody at any moment: nothing sent yet, in the middle, just after an outage, at the end."""
    moments = [life for life, _ in draw(walks(ending=ending)).moments()]
    return draw(st.sampled_from(moments))


def utc(letter: PlannedLetter) -> datetime:
    assert letter.utc is not None
    return letter.utc


def day(letter: PlannedLetter) -> date:
    """The local date."""
    assert letter.local is not None
    return letter.local.date()


def planned(life: Life) -> list[PlannedLetter]:
    return [letter for letter in life.plan() if letter.state == "planned"]


def days(life: Life) -> dict[str, date]:
    return {letter.lesson: day(letter) for letter in planned(life)}


def never_earlier(before: Life, after: Life) -> bool:
    """Whether each letter of the second life has the first life's day, a later one or none."""
    earliest = days(before)
    return all(each >= earliest[lesson] for lesson, each in days(after).items())


# Each plan


@ordinary
@given(lives())
def test_no_letter_comes_before_the_first_appointment(life: Life) -> None:
    assert all(day(letter) >= life.enrolment.first_appointment for letter in planned(life))


@ordinary
@given(lives())
def test_no_letter_comes_on_a_closed_day(life: Life) -> None:
    assert not any(life.calendar.closed(day(letter)) for letter in planned(life))


@ordinary
@given(lives())
def test_no_letter_comes_inside_a_hold(life: Life) -> None:
    inside = [hold.covers(day(letter)) for hold in life.enrolment.holds for letter in planned(life)]
    assert not any(inside)


@ordinary
@given(lives())
def test_no_two_letters_come_within_the_gap(life: Life) -> None:
    last = life.last_sent()
    every = [*([last] if last else []), *map(day, planned(life))]
    gaps = [later - earlier for earlier, later in pairwise(every)]
    assert all(gap >= life.course.min_gap * DAY for gap in gaps)


@ordinary
@given(lives())
def test_letters_come_in_order_none_twice_and_none_that_is_skipped(life: Life) -> None:
    letters = life.plan()
    assert [letter.lesson for letter in letters] == [each.slug for each in life.course.lessons]
    coming = [letter for letter in letters if letter.state in ("planned", "held")]
    assert not {letter.lesson for letter in coming} & {*life.sent, *life.enrolment.skips}
    last = max((each.week for each in life.course.lessons if each.slug in life.sent), default=-1)
    assert all(letter.week > last for letter in coming)
    assert "planned" not in [letter.state for letter in coming][len(planned(life)) :]


@ordinary
@given(lives())
def test_no_letter_is_planned_for_a_time_that_has_passed(life: Life) -> None:
    assert all(utc(letter) >= life.now - GRACE for letter in planned(life))


@ordinary
@given(lives())
def test_the_same_input_gives_the_same_plan(life: Life) -> None:
    backwards = replace(life.enrolment, holds=life.enrolment.holds[::-1])
    assert life.plan() == replace(life).plan()
    assert days(life) == days(replace(life, enrolment=backwards))


@ordinary
@given(lives())
def test_a_letter_has_one_reason_on_its_own_date_and_more_when_it_was_moved(life: Life) -> None:
    assert all(all(letter.reasons) and letter.reasons for letter in life.plan())
    for place, letter in enumerate(planned(life), start=len(life.sent)):
        assert (len(letter.reasons) == 1) == (day(letter) == life.own_date(place)), letter


@ordinary
@given(lives())
def test_a_letter_that_is_held_says_that_no_end_is_set(life: Life) -> None:
    held = [letter for letter in life.plan() if letter.state == "held"]
    assert {letter.reasons for letter in held} <= {("held, with no end set",)}


@ordinary
@given(lives())
def test_the_instant_is_the_local_time_that_was_promised(life: Life) -> None:
    for letter in planned(life):
        wall = datetime.combine(day(letter), life.enrolment.send_at)
        assert utc(letter) == promised(wall, life.enrolment.zone)
        assert letter.local == utc(letter)


# Two plans compared


@pytest.mark.slow
@ordinary
@given(lives(), st.data())
def test_a_hold_never_brings_a_letter_forward(life: Life, data: st.DataObject) -> None:
    """True of holds against none, and of a hold that comes after all others have ended.

    It is not true of a hold put in before another one: P6 counts a move from the own date to the
    day that the letter goes on, closed days after the hold included. A letter that an earlier hold
    carries past the second one, onto a closed day, is moved by P4 only, and P4 moves no others.
    Appointment Mon 30 Nov 2026, held from 22 until 25 Dec: letters on 29 Dec (7 days later), 5 Jan.
    Held from 15 until 18 Dec as well: own date 25 Dec, on 29 Dec (closed days), then Mon 4 Jan.
    """
    without = replace(life, enrolment=replace(life.enrolment, holds=()))
    assert never_earlier(without, life)
    ends = [hold.until for hold in life.enrolment.holds if hold.until]
    assume(len(ends) == len(life.enrolment.holds))
    first = max(ends, default=life.enrolment.first_appointment) + data.draw(few_days) * DAY
    last = Hold(first, first + data.draw(st.integers(1, 40)) * DAY)
    held = replace(life.enrolment, holds=(*life.enrolment.holds, last))
    assert never_earlier(life, replace(life, enrolment=held))


@ordinary
@given(lives(ending=True), st.integers(1, 20))
def test_a_hold_in_two_parts_is_one_hold(life: Life, length: int) -> None:
    def parts(hold: Hold) -> Iterator[Hold]:
        cut = min(hold.first + length * DAY, hold.until or date.max)
        yield Hold(hold.first, cut)
        if cut != hold.until:
            yield Hold(cut, hold.until)

    # A hold that was entered and not yet over when a letter went has not moved that letter, but
    # its first part has if that was over: so this is a promise for those to whom nothing went.
    life = replace(life, sent={})
    cut = tuple(part for hold in life.enrolment.holds for part in parts(hold))
    assert days(life) == days(replace(life, enrolment=replace(life.enrolment, holds=cut)))


@ordinary
@given(lives())
def test_skipping_a_lesson_is_as_if_the_course_had_never_had_it(life: Life) -> None:
    skipped = life.enrolment.skips - set(life.sent)
    kept = [each for each in life.course.lessons if each.slug not in skipped]
    lessons = tuple(replace(each, week=week) for week, each in enumerate(kept))
    assert days(replace(life, course=replace(life.course, lessons=lessons))) == days(life)


@ordinary
@given(lives(), st.integers(1, 90 * 1440))
def test_more_downtime_never_brings_a_letter_forward(life: Life, minutes: int) -> None:
    assert never_earlier(life, replace(life, now=life.now + minutes * MINUTE))


@ordinary
@given(lives(), st.integers(0, 60 * 1440))
def test_planning_again_changes_no_date_while_nothing_is_overdue(life: Life, minutes: int) -> None:
    coming = life.due()
    latest = max(utc(coming) + GRACE if coming else life.now, life.now)
    later = min(life.now + minutes * MINUTE, latest)
    assert days(replace(life, now=later)) == days(life)


@ordinary
@given(lives(), st.integers(0, 120))
def test_sending_a_letter_on_its_day_changes_no_other_date(life: Life, minutes: int) -> None:
    coming = life.due()
    assume(coming is not None)
    assert coming is not None
    when = min(max(life.now, utc(coming)) + minutes * MINUTE, utc(coming) + GRACE)
    after = replace(life, sent={**life.sent, coming.lesson: when}, now=when)
    assert days(after) | {coming.lesson: day(coming)} == days(life)


@ordinary
@given(lives(), st.integers(0, 120))
def test_the_letter_after_the_next_is_the_same_once_the_next_has_gone(
    life: Life, minutes: int
) -> None:
    due = life.due()
    assume(due is not None)
    assert due is not None
    life = replace(life, now=max(life.now, utc(due)) + minutes * MINUTE)
    ahead = life.coming()
    goes = next(ahead)
    assume(goes.utc is not None and goes.utc <= life.now)
    gone = replace(life, sent={**life.sent, goes.lesson: utc(goes)})
    assert next(gone.coming(), None) == next(ahead, None)


# A whole course, day by day


@ordinary
@given(walks())
def test_over_a_whole_course_nothing_goes_twice_too_soon_or_on_a_day_when_it_may_not(
    walk: Walk,
) -> None:
    for life, letter in walk.moments():
        if letter is None:
            continue
        today = life.now.astimezone(life.enrolment.zone).date()
        last = life.last_sent()
        assert letter.lesson not in life.sent
        assert letter.lesson not in life.enrolment.skips
        assert life.calendar.closed(today) is None
        assert not any(hold.covers(today) for hold in life.enrolment.holds)
        assert last is None or today - last >= life.course.min_gap * DAY
        assert today >= life.enrolment.first_appointment


@ordinary
@given(walks(ending=True))
def test_everybody_gets_every_letter_in_the_end(walk: Walk) -> None:
    *_, (life, _) = walk.moments()
    left = {letter.lesson: letter.state for letter in life.plan() if letter.state != "sent"}
    once_skipped = {slug for turn in walk.turns for slug in turn.changes.get("skips", ())}
    assert set(left.values()) <= {"skipped", "passed"}
    assert set(left) <= once_skipped | life.enrolment.skips | walk.begin.enrolment.skips


@ordinary
@given(walks(retailored=False), st.integers(0, 5), st.integers(1, 30 * 1440))
def test_more_downtime_never_gives_more_letters_on_one_day(
    walk: Walk, where: int, minutes: int
) -> None:
    turns = list(walk.turns) or [PROMPT]
    where %= len(turns)
    turns[where] = replace(turns[where], down=turns[where].down + minutes * MINUTE)
    for each in (walk, replace(walk, turns=tuple(turns))):
        *_, (life, _) = each.moments()
        local = [went.astimezone(life.enrolment.zone).date() for went in life.sent.values()]
        assert len(local) == len(set(local))


# Every clock change of every zone


def promised(wall: datetime, zone: ZoneInfo) -> datetime:
    """P3 without PEP 495's help: try both offsets of the days around, and look at the clock."""
    offsets = {
        (wall + aside).replace(tzinfo=UTC).astimezone(zone).utcoffset() or timedelta(0)
        for aside in (-DAY, DAY)
    }
    instants = sorted((wall - offset).replace(tzinfo=UTC) for offset in offsets)
    shown = [each for each in instants if each.astimezone(zone).replace(tzinfo=None) == wall]
    return shown[0] if shown else instants[-1]  # skipped: the offset from before the gap


@cache
def clock_changes() -> list[tuple[ZoneInfo, datetime]]:
    """Every change of offset of every zone of tzdata from 2026 to 2031, to the minute (UTC).

    One that several zones share, Paris with Berlin for instance, is there once.
    """
    names = (files("tzdata") / "zones").read_text(encoding="utf-8").split()
    found: dict[tuple[object, ...], tuple[ZoneInfo, datetime]] = {}
    begin, step = datetime(2026, 1, 1, tzinfo=UTC), 4 * DAY
    moments = [begin + number * step for number in range(6 * 366 // 4)]
    for zone in map(ZoneInfo, names):
        offsets = [moment.astimezone(zone).utcoffset() for moment in moments]
        for number, offsets_around in enumerate(pairwise(offsets)):
            before, after = moments[number], moments[number + 1]
            if offsets_around[0] == offsets_around[1]:
                continue
            while after - before > MINUTE:
                middle = before + (after - before) // 2
                same = middle.astimezone(zone).utcoffset() == offsets_around[0]
                before, after = (middle, after) if same else (before, middle)
            change = after.replace(second=0, microsecond=0)
            found.setdefault((change, *offsets_around), (zone, change))
    return list(found.values())


def test_every_clock_change_of_the_next_years_keeps_the_promised_time() -> None:
    changes = clock_changes()
    assert len(changes) > 300
    for zone, change in changes:
        wall = change.astimezone(zone).replace(tzinfo=None)
        for minutes in range(-180, 181, 15):
            each = wall + minutes * MINUTE
            kept = instant(each.date(), each.time(), zone)
            assert kept == promised(each, zone), (zone, each)


def test_the_first_slot_is_the_first_day_whose_time_is_still_to_come() -> None:
    """But for a time that a change at 23:00 carries over midnight, as once a year in Nuuk."""
    for zone, change in clock_changes():
        for at in (time(0), time(0, 30), time(1, 30), time(2, 30), time(9, 30), time(22, 30)):
            for minutes in (-90, -1, 0, 1, 29, 30, 31, 60, 90):
                moment = change + minutes * MINUTE
                today = moment.astimezone(zone).date()
                nearby = [today + number * DAY for number in (-1, 0, 1)]
                still = [each for each in nearby if instant(each, at, zone) >= moment]
                assert first_slot(moment, at, zone) == still[0], (zone, moment, at)
