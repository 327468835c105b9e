"""What the plan promises, on examples that a physiotherapist can check against a wall calendar."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest

from scheduler.material import Material
from scheduler.material.lessons import Course
from scheduler.plan.calendar import Calendar, calendar_of
from scheduler.plan.enrolment import Enrolment, Hold, Sent, Status
from scheduler.plan.reasons import MONTHS, on
from scheduler.plan.rules import PlannedLetter, next_letter, plan

LONDON = ZoneInfo("Europe/London")
NEW_YORK = ZoneInfo("America/New_York")


@dataclass(frozen=True)
class Desk:
    """The shipped course and England's calendar (without Christmas Eve), and whom to ask about."""

    course: Course
    calendar: Calendar

    def plan(
        self, enrolment: Enrolment, went: Sequence[str] = (), now: str = ""
    ) -> list[PlannedLetter]:
        """The plan at `now` (noon of the first appointment), letters 0, 1 … gone on `went`."""
        moment = at(now) if now else enrolment.enrolled_at
        return plan(self.course, enrolment, self.calendar, self.sent(*went), moment)

    def sent(self, *went: str) -> Sent:
        """Letters 0, 1 … went at 09:33 on these days."""
        slugs = [lesson.slug for lesson in self.course.lessons]
        return {slug: at(f"{day} 09:33") for slug, day in zip(slugs, went, strict=False)}

    def with_lessons(self, *weeks: int | str) -> "Desk":
        """The course with its lessons in this order; a name is a lesson that is new."""
        old = self.course.lessons
        lessons = [
            old[each] if isinstance(each, int) else replace(old[0], slug=each) for each in weeks
        ]
        ordered = tuple(replace(lesson, week=week) for week, lesson in enumerate(lessons))
        return replace(self, course=replace(self.course, lessons=ordered))

    def open_always(self) -> "Desk":
        """A clinic that never closes."""
        return replace(self, calendar=Calendar((0, 1, 2, 3, 4, 5, 6), (), {}))


@pytest.fixture(scope="module")
def desk(material: Material) -> Desk:
    clinic = material.clinic.model_copy(update={"closed": ()})
    return Desk(material.course, calendar_of(clinic, material.country))


def day(text: str) -> date:
    """`8 Dec 2026`."""
    number, month, year = text.split()
    return date(int(year), MONTHS.index(month) + 1, int(number))


def at(text: str) -> datetime:
    """`8 Dec 2026 09:30`, in London."""
    words, clock = text.rsplit(" ", 1)
    return datetime.combine(day(words), time.fromisoformat(clock), LONDON).astimezone(UTC)


def person(first_appointment: str, **tailoring: Any) -> Enrolment:
    """Someone who was enrolled at noon on the day of their first appointment."""
    ways: dict[str, Any] = {"send_at": time(9, 30), "zone": LONDON, "pace": 7}
    ways["enrolled_at"] = at(f"{first_appointment} 12:00")
    return Enrolment(first_appointment=day(first_appointment), **(ways | tailoring))


def hold(first: str, until: str = "", reason: str = "") -> Hold:
    return Hold(day(first), day(until) if until else None, reason)


def held(first_appointment: str, *holds: Hold) -> Enrolment:
    return person(first_appointment, holds=holds)


def dates(letters: Sequence[PlannedLetter]) -> str:
    """The planned letters' days, as in `Fri 4 Dec, Fri 11 Dec`."""
    return ", ".join(on(each.local.date()) for each in letters if each.local and planned(each))


def planned(letter: PlannedLetter) -> bool:
    return letter.state == "planned"


def states(letters: Sequence[PlannedLetter]) -> list[str]:
    return [letter.state for letter in letters]


@dataclass(frozen=True)
class Example:
    """One line of the design's worked examples."""

    name: str
    person: Enrolment
    dates: str
    went: tuple[str, ...] = ()
    now: str = ""

    def __str__(self) -> str:
        return self.name


EXAMPLES = [
    Example(
        "plain",
        person("23 Nov 2026"),
        "Tue 24 Nov, Tue 1 Dec, Tue 8 Dec, Tue 15 Dec, Tue 22 Dec, Tue 29 Dec, "
        "Tue 5 Jan, Tue 12 Jan, Tue 19 Jan",
    ),
    Example(
        "holidays",
        person("3 Dec 2026"),
        "Fri 4 Dec, Fri 11 Dec, Fri 18 Dec, Tue 29 Dec, Mon 4 Jan, Fri 8 Jan, "
        "Fri 15 Jan, Fri 22 Jan, Fri 29 Jan",
    ),
    Example(
        "hold",
        held("16 Nov 2026", hold("8 Dec 2026", "22 Dec 2026")),
        "Tue 22 Dec, Tue 29 Dec, Tue 5 Jan, Tue 12 Jan, Tue 19 Jan, Tue 26 Jan",
        went=("17 Nov 2026", "24 Nov 2026", "1 Dec 2026"),
        now="2 Dec 2026 12:00",
    ),
    Example(
        "late",
        person("12 Oct 2026", enrolled_at=at("23 Nov 2026 15:00")),
        "Tue 24 Nov, Tue 1 Dec, Tue 8 Dec, Tue 15 Dec, Tue 22 Dec, Tue 29 Dec, "
        "Tue 5 Jan, Tue 12 Jan, Tue 19 Jan",
    ),
    Example(
        "outage",
        person("2 Nov 2026"),
        "Wed 25 Nov, Mon 30 Nov, Thu 3 Dec, Mon 7 Dec, Thu 10 Dec, Tue 15 Dec, "
        "Tue 22 Dec, Tue 29 Dec",
        went=("3 Nov 2026",),
        now="25 Nov 2026 08:00",
    ),
    Example(
        "moved",
        person("2 Nov 2026", start=day("30 Nov 2026")),
        "Tue 15 Dec, Tue 22 Dec, Tue 29 Dec, Tue 5 Jan, Tue 12 Jan, Tue 19 Jan, Tue 26 Jan",
        went=("3 Nov 2026", "10 Nov 2026"),
        now="11 Nov 2026 12:00",
    ),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_the_worked_examples_of_the_design(desk: Desk, example: Example) -> None:
    assert dates(desk.plan(example.person, example.went, example.now)) == example.dates


# P1, P2 own dates


def test_the_first_letter_comes_the_day_after_the_first_appointment(desk: Desk) -> None:
    first = desk.plan(person("23 Nov 2026"))[0]
    assert first.local == datetime(2026, 11, 24, 9, 30, tzinfo=LONDON)
    assert first.reasons == ("own date Tue 24 Nov: 1 day after the first appointment, Mon 23 Nov",)


def test_a_start_that_was_set_counts_in_place_of_the_first_appointment(desk: Desk) -> None:
    letters = desk.plan(person("23 Nov 2026", start=day("30 Nov 2026")))
    assert dates(letters).startswith("Tue 1 Dec, Tue 8 Dec, Tue 15 Dec")
    assert letters[1].reasons == (
        "own date Tue 8 Dec: 8 days after the start that was set, Mon 30 Nov",
    )


def test_a_person_may_have_a_pace_of_their_own(desk: Desk) -> None:
    letters = desk.plan(person("4 Jan 2027", pace=10))
    assert dates(letters).startswith("Tue 5 Jan, Fri 15 Jan, Mon 25 Jan, Thu 4 Feb, Mon 15 Feb")
    assert letters[4].reasons[1] == ("moved from Sun 14 Feb: closed on Sun")


# P3 wall-clock time in the person's zone


@pytest.mark.parametrize(
    ("zone", "utc"),
    [
        ("Europe/London", "2027-03-29 08:30"),  # the day after summer time began
        ("America/New_York", "2027-03-29 13:30"),
        ("Asia/Kathmandu", "2027-03-29 03:45"),
        ("Pacific/Auckland", "2027-03-28 20:30"),  # still Sunday in England
    ],
)
def test_a_letter_comes_at_its_time_where_the_person_lives(desk: Desk, zone: str, utc: str) -> None:
    way = person("28 Mar 2027", zone=ZoneInfo(zone), enrolled_at=at("20 Mar 2027 12:00"))
    first = desk.open_always().plan(way)[0]
    assert first.utc == datetime.fromisoformat(f"{utc}+00:00")


def test_a_time_that_the_clock_change_skips_moves_forward_by_the_gap(desk: Desk) -> None:
    way = person("13 Mar 2027", zone=NEW_YORK, send_at=time(2, 30))
    first = desk.open_always().plan(way)[0]
    assert f"{first.local:%a %d %b %H:%M %Z}" == "Sun 14 Mar 03:30 EDT"
    assert first.utc == datetime(2027, 3, 14, 7, 30, tzinfo=UTC)


def test_of_a_time_that_comes_twice_the_first_is_meant(desk: Desk) -> None:
    way = person("31 Oct 2026", zone=NEW_YORK, send_at=time(1, 30))
    first = desk.open_always().plan(way)[0]
    assert f"{first.local:%a %d %b %H:%M %Z}" == "Sun 01 Nov 01:30 EDT"
    assert first.utc == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)


def test_the_time_of_day_stays_when_the_clocks_change(desk: Desk) -> None:
    letters = desk.plan(person("15 Mar 2027"))
    assert {f"{each.local:%H:%M}" for each in letters} == {"09:30"}
    assert [f"{each.utc:%H:%M}" for each in letters[:4]] == ["09:30", "09:30", "08:30", "08:30"]


# P4, P5 closed days and the gap


def test_a_closed_day_moves_one_letter_and_no_other(desk: Desk) -> None:
    letters = desk.plan(person("3 Dec 2026"))
    own, moved = letters[3].reasons
    assert own == "own date Fri 25 Dec: 22 days after the first appointment, Thu 3 Dec"
    assert moved.startswith(
        "moved from Fri 25 Dec: public holiday (Christmas Day); also Sat 26 Dec public holiday"
        " (Boxing Day), Sun 27 Dec closed on Sun, Mon 28 Dec public holiday (Boxing Day"
    )
    assert [len(letter.reasons) for letter in letters] == [1, 1, 1, 2, 2, 1, 1, 1, 1]


def test_the_clinics_own_closures_are_closed_days(desk: Desk) -> None:
    training = (day("8 Dec 2026"), day("9 Dec 2026"), "staff training")
    closed = replace(desk.calendar, closures=(training,))
    letters = replace(desk, calendar=closed).plan(person("23 Nov 2026"))
    assert dates(letters[1:4]) == "Tue 1 Dec, Thu 10 Dec, Tue 15 Dec"
    assert letters[2].reasons[1] == (
        "moved from Tue 8 Dec: staff training; also Wed 9 Dec staff training"
    )


def test_two_letters_are_never_closer_than_the_gap(desk: Desk) -> None:
    # the own dates are Fri 25, Mon 28 and Thu 31 Dec; the first two are closed, as are 1 to 3 Jan
    letters = desk.plan(person("21 Dec 2026", pace=3))
    assert dates(letters[:4]) == "Tue 22 Dec, Tue 29 Dec, Mon 4 Jan, Thu 7 Jan"
    assert letters[3].reasons[-1] == "moved: at least 3 days after the letter of Mon 4 Jan"


# P6 holds


def test_a_hold_shifts_the_rest_and_never_bunches(desk: Desk) -> None:
    letters = desk.plan(held("16 Nov 2026", hold("8 Dec 2026", "22 Dec 2026", "travelling")))
    assert dates(letters[2:6]) == "Tue 1 Dec, Tue 22 Dec, Tue 29 Dec, Tue 5 Jan"
    assert letters[3].reasons == (
        "own date Tue 8 Dec: 22 days after the first appointment, Mon 16 Nov",
        "held until Tue 22 Dec (travelling)",
    )
    assert letters[4].reasons == (
        "own date Tue 15 Dec: 29 days after the first appointment, Mon 16 Nov",
        "14 days later: held until Tue 22 Dec (travelling)",
    )


def test_a_letter_asked_for_at_once_goes_then_and_the_others_keep_their_dates_and_distance(
    desk: Desk,
) -> None:
    went, asked = ("24 Nov 2026", "1 Dec 2026"), at("5 Dec 2026 11:07")  # a Saturday
    amy = person("23 Nov 2026")
    usual, soon = desk.plan(amy, went), desk.plan(replace(amy, at_once=asked), went)
    assert (soon[2].utc, soon[2].reasons) == (asked, ("at once, as staff asked",))
    assert dates(usual[3:]) == dates(soon[3:])
    close = desk.plan(replace(amy, at_once=at("14 Dec 2026 11:07")), went)
    assert dates(close[2:4]) == "Mon 14 Dec, Thu 17 Dec"  # three days at least


def test_what_was_asked_for_at_once_is_one_letter_and_no_more(desk: Desk) -> None:
    asked = at("5 Dec 2026 11:07")
    amy = person("23 Nov 2026", at_once=asked)
    slugs = [lesson.slug for lesson in desk.course.lessons]
    sent = {slugs[0]: at("24 Nov 2026 09:30"), slugs[1]: asked}
    letters = plan(desk.course, amy, desk.calendar, sent, asked)
    usual = plan(desk.course, replace(amy, at_once=None), desk.calendar, sent, asked)
    assert letters == usual


def test_a_hold_that_touches_no_letter_moves_nothing(desk: Desk) -> None:
    without = desk.plan(person("23 Nov 2026"))
    assert desk.plan(held("23 Nov 2026", hold("2 Dec 2026", "8 Dec 2026"))) == without
    # a closed day is no letter's day: Christmas is held, the letter is on Tue 29 Dec anyway
    friday = desk.plan(person("3 Dec 2026"))
    assert desk.plan(held("3 Dec 2026", hold("19 Dec 2026", "29 Dec 2026"))) == friday


def test_a_hold_that_ends_on_a_closed_day_ends_on_the_next_open_one(desk: Desk) -> None:
    letters = desk.plan(held("23 Nov 2026", hold("8 Dec 2026", "12 Dec 2026")))
    assert dates(letters[1:4]) == "Tue 1 Dec, Mon 14 Dec, Mon 21 Dec"
    assert letters[2].reasons[1:] == (
        "held until Sat 12 Dec",
        "moved from Sat 12 Dec: closed on Sat; also Sun 13 Dec closed on Sun",
    )


def test_holds_may_follow_each_other(desk: Desk) -> None:
    first, second = hold("8 Dec 2026", "10 Dec 2026"), hold("10 Dec 2026", "16 Dec 2026")
    letters = desk.plan(held("23 Nov 2026", first, second))
    assert dates(letters[1:4]) == "Tue 1 Dec, Wed 16 Dec, Wed 23 Dec"
    assert letters[3].reasons[1] == "8 days later: held until Thu 10 Dec; held until Wed 16 Dec"
    in_one = desk.plan(held("23 Nov 2026", hold("8 Dec 2026", "16 Dec 2026")))
    assert dates(in_one) == dates(letters)


def test_two_holds_apart_add_up(desk: Desk) -> None:
    first, second = hold("1 Dec 2026", "4 Dec 2026"), hold("11 Dec 2026", "15 Dec 2026")
    letters = desk.plan(held("23 Nov 2026", first, second))
    assert dates(letters[:4]) == "Tue 24 Nov, Fri 4 Dec, Tue 15 Dec, Tue 22 Dec"
    assert letters[3].reasons[1] == "7 days later: held until Fri 4 Dec; held until Tue 15 Dec"


def test_an_open_ended_hold_plans_nothing_from_it_on(desk: Desk) -> None:
    letters = desk.plan(held("23 Nov 2026", hold("8 Dec 2026", reason="appointment cancelled")))
    assert states(letters) == ["planned"] * 2 + ["held"] * 7
    assert {letter.reasons for letter in letters[2:]} == {
        ("held, with no end set (appointment cancelled)",)
    }
    assert {(letter.utc, letter.local) for letter in letters[2:]} == {(None, None)}


def test_a_letter_held_with_no_end_says_so_and_not_when_an_earlier_hold_ended(desk: Desk) -> None:
    # from Thu 10 Dec on letter 1 is free, but letter 0 went late: Sat 12 Dec at the soonest
    holds = hold("1 Dec 2026", "10 Dec 2026"), hold("11 Dec 2026", reason="in hospital")
    letters = desk.plan(held("23 Nov 2026", *holds), ["9 Dec 2026"], "9 Dec 2026 12:00")
    assert states(letters) == ["sent"] + ["held"] * 8
    assert letters[1].reasons == ("held, with no end set (in hospital)",)


def test_a_hold_entered_after_a_letter_went_moves_the_next_one(desk: Desk) -> None:
    way = held("23 Nov 2026", hold("30 Nov 2026", "10 Dec 2026"))
    letters = desk.plan(way, ["24 Nov 2026", "1 Dec 2026"], "2 Dec 2026 12:00")
    assert dates(letters) == (
        "Thu 10 Dec, Thu 17 Dec, Thu 24 Dec, Thu 31 Dec, Thu 7 Jan, Thu 14 Jan, Thu 21 Jan"
    )


def test_the_plan_is_the_same_after_a_held_letter_was_sent(desk: Desk) -> None:
    way = held("23 Nov 2026", hold("5 Dec 2026", "10 Dec 2026"), hold("17 Dec 2026", "30 Dec 2026"))
    went = ["24 Nov 2026", "1 Dec 2026", "10 Dec 2026", "30 Dec 2026"]
    before = desk.plan(way)
    for number in range(1, 5):
        after = desk.plan(way, went[:number], f"{went[number - 1]} 12:00")
        assert dates(after) == dates(before[number:])
        assert [each.reasons for each in after[number:]] == [
            each.reasons for each in before[number:]
        ]


# P7 skips


def test_a_skipped_lesson_is_left_out_and_the_rest_close_up(desk: Desk) -> None:
    scans = desk.course.lessons[5]
    letters = desk.plan(person("23 Nov 2026", skips=frozenset({scans.slug})))
    assert states(letters) == ["planned"] * 5 + ["skipped"] + ["planned"] * 3
    assert letters[5].reasons == ("skipped",)
    assert dates(letters[4:]) == "Tue 22 Dec, Tue 29 Dec, Tue 5 Jan, Tue 12 Jan"


def test_skipping_a_letter_that_went_changes_nothing(desk: Desk) -> None:
    went, now = ["24 Nov 2026"], "25 Nov 2026 12:00"
    welcome = frozenset({desk.course.lessons[0].slug})
    without = desk.plan(person("23 Nov 2026"), went, now)
    assert desk.plan(person("23 Nov 2026", skips=welcome), went, now) == without


# P8 enrolled late


def test_someone_enrolled_late_gets_a_letter_a_week_and_never_a_burst(desk: Desk) -> None:
    letters = desk.plan(person("12 Oct 2026", enrolled_at=at("23 Nov 2026 15:00")))
    assert letters[0].reasons == (
        "own date Tue 13 Oct: 1 day after the first appointment, Mon 12 Oct",
        "42 days later: enrolled after the first letter's own date",
    )


@pytest.mark.parametrize(
    ("enrolled", "expected"),
    [
        ("24 Nov 2026 09:30", "Tue 24 Nov, Tue 1 Dec, Tue 8 Dec"),  # at the very minute: in time
        ("24 Nov 2026 09:31", "Wed 25 Nov, Wed 2 Dec, Wed 9 Dec"),
        ("28 Nov 2026 08:00", "Mon 30 Nov, Mon 7 Dec, Mon 14 Dec"),  # a Saturday
        ("24 Dec 2026 16:00", "Tue 29 Dec, Tue 5 Jan, Tue 12 Jan"),  # before four closed days
    ],
)
def test_someone_enrolled_late_begins_at_the_next_send_time_on_an_open_day(
    desk: Desk, enrolled: str, expected: str
) -> None:
    letters = desk.plan(person("23 Nov 2026", enrolled_at=at(enrolled)))
    assert dates(letters[:3]) == expected


# P9 late rounds and outages


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("24 Nov 2026 09:30", "Tue 24 Nov"),
        ("24 Nov 2026 10:15", "Tue 24 Nov"),
        ("24 Nov 2026 11:30", "Tue 24 Nov"),
        ("24 Nov 2026 11:31", "Wed 25 Nov"),
        ("24 Nov 2026 12:00", "Wed 25 Nov"),
        ("27 Nov 2026 12:00", "Mon 30 Nov"),  # over the weekend
    ],
)
def test_a_letter_stays_due_for_two_hours_and_then_waits_for_the_next_open_day(
    desk: Desk, now: str, expected: str
) -> None:
    letters = desk.plan(person("23 Nov 2026"), now=now)
    assert dates(letters[:1]) == expected


def test_after_an_outage_the_letters_catch_up_and_say_why(desk: Desk) -> None:
    letters = desk.plan(person("2 Nov 2026"), ["3 Nov 2026"], "25 Nov 2026 08:00")
    assert letters[1].reasons[1:] == ("moved: overdue since Tue 10 Nov",)
    assert letters[2].reasons[1:] == (
        "moved: overdue since Tue 17 Nov",
        "moved: at least 3 days after the letter of Wed 25 Nov",
        "moved from Sat 28 Nov: closed on Sat; also Sun 29 Nov closed on Sun",
    )
    assert letters[6].reasons == (
        "own date Tue 15 Dec: 43 days after the first appointment, Mon 2 Nov",
    )


# P10 moves


def test_moving_the_appointment_moves_what_is_unsent_and_nothing_else(desk: Desk) -> None:
    went, now = ["3 Nov 2026", "10 Nov 2026"], "11 Nov 2026 12:00"
    moved = person("30 Nov 2026", enrolled_at=at("2 Nov 2026 12:00"))
    letters = desk.plan(moved, went, now)
    assert states(letters) == ["sent"] * 2 + ["planned"] * 7
    assert letters[0].utc == at("3 Nov 2026 09:33")
    assert dates(letters[2:4]) == "Tue 15 Dec, Tue 22 Dec"


def test_a_start_moved_back_does_not_bring_a_burst(desk: Desk) -> None:
    way = person("2 Nov 2026", start=day("2 Nov 2026"))
    letters = desk.plan(way, ["24 Nov 2026"], "24 Nov 2026 12:00")
    assert dates(letters[1:5]) == "Fri 27 Nov, Mon 30 Nov, Thu 3 Dec, Mon 7 Dec"


# P11 ended


@pytest.mark.parametrize("status", [each for each in get_args(Status) if each != "active"])
def test_someone_whose_course_has_ended_gets_nothing_more(desk: Desk, status: Status) -> None:
    way = person("23 Nov 2026", status=status, skips=frozenset({desk.course.lessons[3].slug}))
    letters = desk.plan(way, ["24 Nov 2026"], "25 Nov 2026 12:00")
    assert states(letters) == ["sent"] + ["ended"] * 8
    assert {letter.reasons for letter in letters[1:]} == {(status,)}
    assert next_letter(letters) is None


# P12 the course is edited

WENT = ["24 Nov 2026", "1 Dec 2026", "8 Dec 2026"]
NOW = "9 Dec 2026 12:00"
TO_COME = "Tue 15 Dec, Tue 22 Dec, Tue 29 Dec, Tue 5 Jan, Tue 12 Jan, Tue 19 Jan"


def test_a_lesson_put_in_before_the_last_one_sent_is_not_sent(desk: Desk) -> None:
    sent, edited = desk.sent(*WENT), desk.with_lessons(0, 1, "new", 2, 3, 4, 5, 6, 7, 8)
    letters = plan(edited.course, person("23 Nov 2026"), edited.calendar, sent, at(NOW))
    assert states(letters) == ["sent", "sent", "passed", "sent"] + ["planned"] * 6
    assert letters[2].reasons == ("a later letter of the course was already sent",)
    assert dates(letters) == TO_COME


def test_a_lesson_put_in_after_the_last_one_sent_is_sent_in_its_place(desk: Desk) -> None:
    sent, edited = desk.sent(*WENT), desk.with_lessons(0, 1, 2, "new", 3, 4, 5, 6, 7, 8)
    letters = plan(edited.course, person("23 Nov 2026"), edited.calendar, sent, at(NOW))
    assert states(letters) == ["sent"] * 3 + ["planned"] * 7
    assert letters[3].lesson == "new"
    assert dates(letters) == f"{TO_COME}, Tue 26 Jan"


def test_a_lesson_removed_after_it_went_still_counts_as_a_week(desk: Desk) -> None:
    sent, edited = desk.sent(*WENT), desk.with_lessons(0, 2, 3, 4, 5, 6, 7, 8)
    letters = plan(edited.course, person("23 Nov 2026"), edited.calendar, sent, at(NOW))
    assert states(letters) == ["sent"] * 2 + ["planned"] * 6
    assert dates(letters) == TO_COME


def test_a_lesson_removed_before_it_went_closes_up(desk: Desk) -> None:
    sent, edited = desk.sent(*WENT), desk.with_lessons(0, 1, 2, 4, 5, 6, 7, 8)
    letters = plan(edited.course, person("23 Nov 2026"), edited.calendar, sent, at(NOW))
    assert dates(letters) == TO_COME.removesuffix(", Tue 19 Jan")


def test_lessons_that_change_places_are_sent_in_the_new_order_and_none_twice(desk: Desk) -> None:
    sent, edited = desk.sent(*WENT), desk.with_lessons(1, 0, 2, 5, 4, 3, 6, 7, 8)
    letters = plan(edited.course, person("23 Nov 2026"), edited.calendar, sent, at(NOW))
    old = [lesson.slug for lesson in desk.course.lessons]
    assert states(letters) == ["sent"] * 3 + ["planned"] * 6
    assert [letter.lesson for letter in letters[3:6]] == [old[5], old[4], old[3]]
    assert dates(letters) == TO_COME


# P13 reasons


def test_every_letter_of_every_state_says_why(desk: Desk) -> None:
    slugs = [lesson.slug for lesson in desk.course.lessons]
    sent, edited = desk.sent("24 Nov 2026"), desk.with_lessons("new", 0, 1, 2, 3, 4, 5, 6, 7, 8)
    way = held("23 Nov 2026", hold("15 Dec 2026"))
    way = replace(way, skips=frozenset({slugs[2]}))
    now = at("25 Nov 2026 12:00")
    letters = plan(edited.course, way, edited.calendar, sent, now)
    ended = plan(edited.course, replace(way, status="died"), edited.calendar, sent, now)
    every = {letter.state: letter.reasons for letter in [*letters, *ended]}
    assert set(every) == {"passed", "sent", "planned", "skipped", "held", "ended"}
    assert all(all(why) and why for why in every.values())
