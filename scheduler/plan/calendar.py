"""Which days a clinic is open (P4), and when a wall-clock time in a zone comes (P3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from scheduler.findings import wrong
from scheduler.material.clinic import DAYS, Clinic
from scheduler.material.countries import Country

DAY = timedelta(days=1)
LONGEST_CLOSURE = 400  # days; a clinic closed for longer than this is not open at all


@dataclass(frozen=True)
class Calendar:
    """The clinic's open days. Dates are local dates of whoever the letter goes to."""

    weekdays: tuple[int, ...]
    closures: tuple[tuple[date, date, str], ...]
    holidays: Mapping[date, str]
    known: dict[date, str | None] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    def closed(self, day: date) -> str | None:
        """Why the clinic is closed on a day, in words, or None when it is open."""
        if day not in self.known:
            self.known[day] = self._closed(day)
        return self.known[day]

    def _closed(self, day: date) -> str | None:
        for first, last, reason in self.closures:
            if first <= day <= last:
                return reason
        if holiday := self.holidays.get(day):
            return f"public holiday ({holiday})"
        return None if day.weekday() in self.weekdays else f"closed on {DAYS[day.weekday()]}"

    def open_from(self, day: date) -> tuple[date, list[tuple[date, str]]]:
        """The first open day from `day` on, and the closed days passed over with their reasons.

        Raises:
            WrongInput: no open day in more than a year: the listed closures never end.

        """
        passed: list[tuple[date, str]] = []
        while reason := self.closed(day):
            passed.append((day, reason))
            if len(passed) > LONGEST_CLOSURE:
                cure = "correct open: and closed:"
                raise wrong("clinic.yaml", None, "the clinic is closed for over a year", cure)
            day += DAY
        return day, passed


def calendar_of(clinic: Clinic, country: Country) -> Calendar:
    """The calendar of a clinic: its weekdays, its closures, its region's public holidays.

    Raises:
        WrongInput: the region is not known, or the listed closures never end.

    """
    nation, *part = country.holidays
    subdivision = clinic.subdivision or (part[0] if part else None)
    closures = tuple((closure.first, closure.last, closure.reason) for closure in clinic.closed)
    weekdays = tuple(map(DAYS.index, clinic.open))
    calendar = Calendar(weekdays, closures, _holidays(nation, subdivision))
    for first, _, _ in closures:
        calendar.open_from(first)
    return calendar


@lru_cache
def _holidays(nation: str, subdivision: str | None) -> Mapping[date, str]:
    """Public holidays by date; the years are filled in as they are asked for."""
    import holidays  # noqa: PLC0415 - 40 ms that `--help` need not wait for

    try:
        return holidays.country_holidays(nation, subdiv=subdivision)
    except NotImplementedError as error:
        cure = "use the region codes of ISO 3166-2, as in subdivision: CA"
        raise wrong("clinic.yaml", None, str(error).rstrip("."), cure) from None


@lru_cache(maxsize=4096)
def instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The UTC instant of a wall-clock time in a zone.

    A time that a clock change skips moves forward by the gap; of one that comes twice the first
    is meant (P3). Both are what fold=0 says in PEP 495.
    """
    return datetime.combine(day, at, zone).astimezone(UTC)


@lru_cache(maxsize=4096)
def first_slot(moment: datetime, at: time, zone: ZoneInfo) -> date:
    """The first local date whose `at` comes at `moment` (UTC) or later."""
    day = moment.astimezone(zone).date()
    return day if instant(day, at, zone) >= moment else day + DAY
