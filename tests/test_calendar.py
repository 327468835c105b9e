"""Which days a clinic is open, and when a time of day comes."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from scheduler.findings import WrongInput
from scheduler.material import Material
from scheduler.material.clinic import Closure
from scheduler.plan.calendar import LONGEST_CLOSURE, Calendar, calendar_of, first_slot, instant

LONDON = ZoneInfo("Europe/London")
NEW_YORK = ZoneInfo("America/New_York")
WEEKDAYS = (0, 1, 2, 3, 4)


@pytest.fixture(scope="module")
def harbour(material: Material) -> Calendar:
    """The shipped clinic: England, Monday to Friday, closed on Christmas Eve 2026."""
    return calendar_of(material.clinic, material.country)


def nation(material: Material, code: str) -> Calendar:
    clinic = material.clinic.model_copy(update={"closed": ()})
    return calendar_of(clinic, material.countries[code])


@pytest.mark.parametrize(
    ("day", "why"),
    [
        (date(2026, 12, 23), None),
        (date(2026, 12, 24), "Christmas Eve"),
        (date(2026, 12, 25), "public holiday (Christmas Day)"),
        (date(2026, 12, 27), "closed on Sun"),
        (date(2026, 12, 29), None),
        (date(2027, 12, 24), None),  # the closure was for one year
        (date(2031, 12, 25), "public holiday (Christmas Day)"),  # nobody has to list the years
    ],
)
def test_a_closed_day_says_why_in_words(harbour: Calendar, day: date, why: str | None) -> None:
    assert harbour.closed(day) == why


def test_a_closure_says_more_than_the_holiday_or_the_weekday_it_falls_on() -> None:
    christmas = date(2026, 12, 25)
    closure = (date(2026, 12, 21), date(2026, 12, 27), "moving house")
    calendar = Calendar(WEEKDAYS, (closure,), {christmas: "Christmas Day"})
    assert {calendar.closed(date(2026, 12, 21 + n)) for n in range(7)} == {"moving house"}
    assert calendar.closed(date(2026, 12, 20)) == "closed on Sun"
    assert calendar.closed(date(2026, 12, 28)) is None


def test_the_next_open_day_comes_with_every_closed_day_passed_over(harbour: Calendar) -> None:
    opened, passed = harbour.open_from(date(2026, 12, 24))
    assert opened == date(2026, 12, 29)
    assert [day.day for day, _ in passed] == [24, 25, 26, 27, 28]
    assert passed[0][1] == "Christmas Eve"
    assert all(why == harbour.closed(day) for day, why in passed)


def test_an_open_day_is_its_own_next_open_day(harbour: Calendar) -> None:
    assert harbour.open_from(date(2026, 12, 23)) == (date(2026, 12, 23), [])


def test_a_clinic_that_opens_at_the_weekend_opens_on_a_saturday(material: Material) -> None:
    clinic = material.clinic.model_copy(update={"open": ("Sat",)})
    calendar = calendar_of(clinic, material.country)
    assert calendar.open_from(date(2026, 11, 23))[0] == date(2026, 11, 28)
    assert calendar.open_from(date(2026, 12, 26))[0] == date(2027, 1, 2)  # Boxing Day


@pytest.mark.parametrize(
    ("day", "england", "scotland"),
    [
        (date(2026, 11, 30), True, False),  # St Andrew's Day
        (date(2027, 1, 4), True, False),  # 2 January falls on a Saturday
        (date(2027, 3, 29), False, True),  # Easter Monday
        (date(2027, 8, 2), True, False),  # Scotland's summer bank holiday
        (date(2027, 8, 30), False, True),  # England's
        (date(2026, 12, 25), False, False),
    ],
)
def test_england_and_scotland_have_their_own_holidays(
    material: Material, day: date, *, england: bool, scotland: bool
) -> None:
    assert (nation(material, "GB-ENG").closed(day) is None) is england
    assert (nation(material, "GB-SCT").closed(day) is None) is scotland


def test_a_clinic_may_name_the_part_of_its_country_it_is_in(material: Material) -> None:
    clinic = material.clinic.model_copy(update={"closed": (), "subdivision": "SCT"})
    calendar = calendar_of(clinic, material.countries["GB-ENG"])
    assert calendar.closed(date(2026, 11, 30)) == "public holiday (Saint Andrew's Day)"


def test_every_country_that_is_shipped_has_a_calendar(material: Material) -> None:
    for code in material.countries:
        assert nation(material, code).closed(date(2026, 12, 25)), code


def test_a_part_of_a_country_that_is_not_known_is_refused(material: Material) -> None:
    clinic = material.clinic.model_copy(update={"subdivision": "Atlantis"})
    with pytest.raises(WrongInput, match=r"clinic\.yaml: .*Atlantis.*; use the region codes"):
        calendar_of(clinic, material.country)


def test_a_clinic_closed_for_over_a_year_is_refused_and_not_searched_for_ever(
    material: Material,
) -> None:
    closure = Closure.model_validate({"from": "2026-12-01", "to": "2999-12-31"})
    clinic = material.clinic.model_copy(update={"closed": (closure,)})
    with pytest.raises(WrongInput, match="closed for over a year; correct open: and closed:"):
        calendar_of(clinic, material.country)
    calendar = Calendar(WEEKDAYS, ((closure.first, closure.last, "closed"),), {})
    assert calendar.open_from(date(2026, 11, 30))[0] == date(2026, 11, 30)
    with pytest.raises(WrongInput, match="closed for over a year"):
        calendar.open_from(date(2026, 12, 1))


def test_a_clinic_closed_for_just_under_the_limit_opens_again() -> None:
    first = date(2026, 1, 1)
    last = first + timedelta(days=LONGEST_CLOSURE - 1)
    calendar = Calendar((0, 1, 2, 3, 4, 5, 6), ((first, last, "rebuilding"),), {})
    opened, passed = calendar.open_from(first)
    assert opened == last + timedelta(days=1)
    assert len(passed) == LONGEST_CLOSURE


@pytest.mark.parametrize(
    ("moment", "slot"),
    [
        ("2026-11-24 09:29:59", date(2026, 11, 24)),
        ("2026-11-24 09:30:00", date(2026, 11, 24)),  # the very second is not too late
        ("2026-11-24 09:30:01", date(2026, 11, 25)),
        ("2026-11-24 23:59:59", date(2026, 11, 25)),
        ("2026-12-31 09:31:00", date(2027, 1, 1)),
    ],
)
def test_the_first_slot_is_today_until_the_time_has_passed(moment: str, slot: date) -> None:
    utc = datetime.fromisoformat(f"{moment}+00:00")
    assert first_slot(utc, time(9, 30), LONDON) == slot


def test_the_first_slot_is_a_date_where_the_person_lives() -> None:
    evening = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)  # Tue 24 Nov, 09:00 in Auckland
    assert first_slot(evening, time(9, 30), ZoneInfo("Pacific/Auckland")) == date(2026, 11, 24)
    assert first_slot(evening, time(9, 30), LONDON) == date(2026, 11, 24)
    assert first_slot(evening, time(16, 0), NEW_YORK) == date(2026, 11, 23)


def test_the_first_slot_of_a_time_that_is_skipped_comes_after_the_gap() -> None:
    change = datetime(2027, 3, 14, 7, 0, tzinfo=UTC)  # 02:00 becomes 03:00; 02:30 is meant at 03:30
    assert first_slot(change + timedelta(minutes=30), time(2, 30), NEW_YORK) == date(2027, 3, 14)
    assert first_slot(change + timedelta(minutes=31), time(2, 30), NEW_YORK) == date(2027, 3, 15)


def test_the_first_slot_of_a_time_that_comes_twice_is_the_first() -> None:
    once = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)  # 01:30 EDT; 01:30 EST is an hour later
    assert first_slot(once, time(1, 30), NEW_YORK) == date(2026, 11, 1)
    assert first_slot(once + timedelta(minutes=1), time(1, 30), NEW_YORK) == date(2026, 11, 2)
    assert instant(date(2026, 11, 1), time(1, 30), NEW_YORK) == once
