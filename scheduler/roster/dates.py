"""Dates as practice systems write them: 2026-11-23 09:30, 23/11/2026, 23 Nov 2026, Nov 23, 2026.

23/11/2026 says by itself which number is the day; 03/11/2026 does not. So the order is settled for
all dates of an import at once: one number above 12 decides, and where none does, a person is asked.
An instant with its offset from UTC is a day in the clinic's zone.
"""

import re
from calendar import month_name
from collections.abc import Iterable
from datetime import date, datetime, tzinfo
from pathlib import Path

from scheduler.findings import Finding, Question, shown, wrong
from scheduler.material.fields import parse_date
from scheduler.material.yamlfile import Unusable
from scheduler.plan.reasons import dated

_TIME = r"(?P<time>\d{1,2}:\d\d(?::\d\d)?)(?:\.\d+)?"
_AFTER = rf"(?:[T ,]+(?:at )?{_TIME} ?(?:[ap]\.?m\.?|(?P<offset>Z|UTC|[+-]\d\d:?\d\d))?)?"
_SHAPES = [
    re.compile(rf"(?:[a-z]{{3,9}},? )?{shape}{_AFTER}", re.IGNORECASE | re.ASCII)
    for shape in (
        r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})",
        r"(?P<one>\d{1,2})[-/.](?P<two>\d{1,2})[-/.](?P<year>\d{4}|\d\d)",
        r"(?P<day>\d{1,2})(?:st|nd|rd|th)?[ -](?P<name>[a-z]{3,9})\.?,?[ -](?P<year>\d{4}|\d\d)",
        r"(?P<name>[a-z]{3,9})\.? (?P<day>\d{1,2})(?:st|nd|rd|th)?,? (?P<year>\d{4})",
    )
]
MONTHS = 12
Cell = tuple[Path, int, str]
"""A file, a line, and what stands there."""
CURE = "write year-month-day, as in 2026-11-23"


def read_date(text: str, *, day_first: bool, zone: tzinfo | None) -> date:
    """The day that a cell means; Unusable if it means none."""
    found = _shape(text)
    if not found:
        raise Unusable("is not a date", CURE)
    part = found.groupdict()
    one, two = part.get("one"), part.get("two")
    month = part.get("month") or (two if day_first else one) or _month(part["name"])
    day = part.get("day") or (one if day_first else two) or ""
    year = f"20{part['year']}"[-4:]
    meant = parse_date(f"{year}-{month:0>2}-{day:0>2}")
    if zone and part["offset"] and part["time"]:
        time = "0" * (part["time"][1] == ":") + part["time"]
        offset = part["offset"].upper().replace("UTC", "Z")
        try:
            instant = datetime.fromisoformat(f"{meant}T{time}{offset}")
            return instant.astimezone(zone).date()
        except (ValueError, OverflowError):
            raise Unusable("has a time that does not exist", CURE) from None
    return meant


def settle_order(dates: Iterable[Cell], asked: bool | None, zone: tzinfo | None) -> bool:
    """Whether the day comes before the month in these.

    Raises:
        Question: nobody can know.
        WrongInput: the dates disagree, or they disagree with what was said.

    """
    proofs: dict[bool, Cell] = {}
    open_question: Cell | None = None
    for path, line, text in dates:
        found = _shape(text)
        if not found or not (numbers := found.groupdict()).get("one"):
            continue
        one, two = int(numbers["one"]), int(numbers["two"])
        if (one > MONTHS) is not (two > MONTHS):
            proofs.setdefault(one > two, (path, line, text))
        elif one != two and not open_question:
            open_question = path, line, text
    if asked is not None and (not asked) in proofs:
        path, line, text = proofs[not asked]
        words = f'"{text}" does not have the {"day" if asked else "month"} first'
        raise wrong(path, line, words, f"say --{'month' if asked else 'day'}-first")
    if True in proofs and False in proofs:
        path, line, text = proofs[False]
        words = f'"{text}" has the month first, line {proofs[True][1]} has the day first'
        raise wrong(path, line, words, "export the dates in one order")
    if asked is None and not proofs and open_question:
        path, line, text = open_question
        try:
            both = [read_date(text, day_first=first, zone=zone) for first in (True, False)]
        except Unusable as error:
            raise wrong(path, line, str(error), error.cure) from None
        words = f'is "{text}" {dated(both[0])}, or {dated(both[1])}?'
        asked_about = Finding(shown(path), line, words, "say --day-first or --month-first")
        raise Question(asked_about, asks={"day_first": None})
    return asked if asked is not None else False not in proofs


def _shape(text: str) -> re.Match[str] | None:
    return next((found for shape in _SHAPES if (found := shape.fullmatch(text))), None)


def _month(name: str) -> str:
    for number in range(1, MONTHS + 1):
        if month_name[number].lower().startswith(name.lower()):
            return str(number)
    raise Unusable("names no month", CURE)
