"""The almanac: a calendar of the outgoing post as an SVG, by the patients' own dates.

A month is a block, a week a row. A day with letters is tinted by their number and says it; a closed
day is hatched. The colours are two sets, for light and for dark; nothing in it runs.
"""

from calendar import Calendar as Weeks
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from scheduler.letters.fill import MONTHS
from scheduler.letters.passages import blame
from scheduler.plan.calendar import DAY, Calendar
from scheduler.plan.reasons import on


def write_almanac(
    path: Path, days: Mapping[date, int], calendar: Calendar, templates: Path
) -> None:
    """Write the picture of all months in which letters went.

    Raises:
        WrongInput: the template cannot be used.

    """
    folder = templates / "pages"
    jinja = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
    months = [min(days).replace(day=1)] if days else []
    while months and (following := (months[-1] + 31 * DAY).replace(day=1)) <= max(days):
        months.append(following)
    values = {
        "days": days,
        "months": [(f"{MONTHS[each.month - 1]} {each.year}", each) for each in months],
        "weeks": Weeks().monthdatescalendar,
        "closed": calendar.closed,
        "on": on,
    }
    try:
        path.write_text(jinja.get_template("almanac.svg.j2").render(values), encoding="utf-8")
    except Exception as error:  # noqa: BLE001 - a template can fail in any way
        raise blame(error, folder / "almanac.svg.j2", 0, values, str(folder)) from None
