"""Why a letter has its date, in words that a receptionist understands (P13)."""

from collections.abc import Sequence
from datetime import date, datetime
from functools import lru_cache

from scheduler.material.clinic import DAYS

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(maxsize=4096)
def on(day: date) -> str:
    """`Fri 25 Dec`: a date always has its weekday."""
    return f"{DAYS[day.weekday()]} {day.day} {MONTHS[day.month - 1]}"


def dated(day: date) -> str:
    """`Fri 25 Dec 2026`, where the year does not stand close by."""
    return f"{on(day)} {day.year}"


def timed(local: datetime) -> str:
    """`Tue 24 Nov 2026 09:30 GMT`."""
    return f"{on(local.date())} {local:%Y %H:%M %Z}"


def count(number: int, one: str, more: str = "") -> str:
    """`1 day`, `8 days`, `3 people`."""
    return f"{number} {one if number == 1 else more or f'{one}s'}"


def days(number: int) -> str:
    """`1 day`, `8 days`."""
    return count(number, "day")


def own_date(own: date, after: int, start: date, *, start_was_set: bool) -> str:
    """P1, P2: where the date comes from."""
    since = "the start that was set" if start_was_set else "the first appointment"
    return f"own date {on(own)}: {days(after)} after {since}, {on(start)}"


def later(shift: int, causes: Sequence[str]) -> str:
    """P6, P8: what has moved the own date before this letter."""
    return f"{days(shift)} later: {'; '.join(dict.fromkeys(causes))}"


def closed(passed: Sequence[tuple[date, str]]) -> str:
    """P4: the first closed day with its reason, and the others after it."""
    (first, reason), *more = passed
    words = f"moved from {on(first)}: {reason}"
    rest = [f"{on(day)} {reason}" for day, reason in more]
    return f"{words}; also {', '.join(rest)}" if rest else words


def too_close(gap: int, previous: date) -> str:
    """P5."""
    return f"moved: at least {days(gap)} after the letter of {on(previous)}"


def held(until: date | None, reason: str) -> str:
    """P6."""
    words = f"held until {on(until)}" if until else "held, with no end set"
    return f"{words} ({reason})" if reason else words


def overdue(since: date) -> str:
    """P9."""
    return f"moved: overdue since {on(since)}"


AT_ONCE = "at once, as staff asked"
LATE = "enrolled after the first letter's own date"
SKIPPED = "skipped"
PASSED = "a later letter of the course was already sent"
SENT = "sent"
