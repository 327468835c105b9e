"""The almanac: a calendar of the outgoing post as an SVG, by the patients' own dates.

A month is a block, a week a row. A day with letters is tinted by their number and says it; a closed
day is hatched. The colours are two sets, for light and for dark; nothing in it runs.
"""

from calendar import Calendar as Weeks
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from scheduler.findings import wrong
from scheduler.letters.fill import MONTHS
from scheduler.plan.calendar import Calendar
from scheduler.plan.reasons import on

TINTS = 4


@dataclass(frozen=True)
class Day:
    """One day: its place in the block, its letters, how dark it is, why it is closed."""

    date: date
    column: int
    row: int
    letters: int
    tint: int
    closed: str | None

    @property
    def words(self) -> str:
        """For who points at it."""
        told = f"{on(self.date)} {self.date.year}: {self.letters:,} letters"
        return f"{told}, {self.closed}" if self.closed else told


def write_almanac(
    path: Path, days: Mapping[date, int], calendar: Calendar, templates: Path
) -> None:
    """Write the picture of all months in which letters went.

    Raises:
        WrongInput: the template cannot be used.

    """
    jinja = Environment(
        loader=FileSystemLoader(templates / "pages"), autoescape=True, undefined=StrictUndefined
    )
    most = max(days.values(), default=0)
    first, last = min(days, default=None), max(days, default=None)
    blocks = []
    for number in range(_number(first), _number(last) + 1) if first and last else ():
        year, month = divmod(number, 12)
        blocks.append((f"{MONTHS[month]} {year}", _days(year, month + 1, days, most, calendar)))
    values = {"blocks": blocks, "most": most, "letters": sum(days.values())}
    told = {"first": first, "last": last, "on": on}
    try:
        page = jinja.get_template("almanac.svg.j2")
        path.write_text(page.render(**values, **told), "utf-8")
    except Exception as error:  # noqa: BLE001 - a template can fail in any way
        place = templates / "pages" / "almanac.svg.j2"
        raise wrong(place, None, f"template: {error}", "check the braces") from None


def _number(day: date) -> int:
    """Months since the year 0."""
    return day.year * 12 + day.month - 1


def _days(
    year: int, month: int, days: Mapping[date, int], most: int, calendar: Calendar
) -> list[Day]:
    """The days of a month, each in its week."""
    return [
        Day(
            date=day,
            column=column,
            row=row,
            letters=days.get(day, 0),
            tint=-(-TINTS * days.get(day, 0) // most),
            closed=calendar.closed(day),
        )
        for row, week in enumerate(Weeks().monthdatescalendar(year, month))
        for column, day in enumerate(week)
        if day.month == month
    ]
