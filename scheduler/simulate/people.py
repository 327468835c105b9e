"""Invented people: a roster file like any other, the same for the same seed.

Most have the clinic's hours and a plain course. The others live in zones whose clocks change on
another day or at another hour than the clinic's, want their letters early or late in the day, have
a pace, a start, a hold or a skipped lesson of their own, or are enrolled late or ahead of time.
"""

import json
from datetime import date, time
from random import Random
from typing import Any

from scheduler.ledger.planner import Planner
from scheduler.plan.calendar import DAY

HOMES = (
    ("America/New_York", None),
    ("America/Santiago", None),
    ("Africa/Casablanca", "12:00"),  # back for Ramadan, and forward after it
    ("Africa/Cairo", "00:30"),  # at midnight before a Friday, a working day: 00:30 does not come
    ("Australia/Lord_Howe", "20:45"),  # by half an hour
    ("Pacific/Auckland", None),
    ("Asia/Kathmandu", "07:00"),  # never, and 5 hours 45 minutes from London's winter
)
"""Zones, each with the hour for letters there: who all get theirs at one instant share a round."""
HOURS = (time(7), time(18, 15))
REASONS = ("on holiday", "flare-up", "")


def invented(number: int, rng: Random, planner: Planner, begin: date, weeks: int) -> str:
    """A roster file of `number` people; first appointments in the first quarter of the weeks."""
    entries = [_entry(each, rng, planner, begin, weeks) for each in range(1, number + 1)]
    lines = "".join(f"- {json.dumps(entry)}\n" for entry in entries)
    return f"# {number} people who do not exist, invented by physiopost simulate.\n{lines}"


def _entry(number: int, rng: Random, planner: Planner, begin: date, weeks: int) -> dict[str, Any]:
    day, _ = planner.calendar.open_from(begin + rng.randrange(max(1, weeks * 7 // 4)) * DAY)
    early, late = _one_in(rng, 10), _one_in(rng, 8)
    appointment = day - rng.randint(1, 60) * DAY if late else day + 14 * early * DAY
    first, _ = planner.calendar.open_from(appointment)
    entry = {
        "id": f"person{number}",
        "email": f"person{number}@example.org",
        "name": f"Person {number}",
        "first_appointment": str(first),
        "consent": str(day),
    }
    zone, hour = rng.choice(HOMES) if _one_in(rng, 3) else (None, None)
    if zone is None and _one_in(rng, 5):
        hour = f"{rng.choice(HOURS):%H:%M}"
    entry |= {"timezone": zone} if zone else {}
    entry |= {"send_at": hour} if hour else {}
    return entry | _tailoring(rng, planner, first)


def _tailoring(rng: Random, planner: Planner, first: date) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if _one_in(rng, 5):
        entry |= {"pace": rng.randint(3, 14)}
    if _one_in(rng, 7):
        entry |= {"start": str(first + rng.randint(1, 21) * DAY)}
    if _one_in(rng, 7):
        away = first + rng.randint(3, 40) * DAY
        until = away + rng.randint(2, 21) * DAY
        entry |= {"hold": [{"from": str(away), "until": str(until), "reason": _reason(rng)}]}
    if _one_in(rng, 7):
        entry |= {"skip": rng.sample(list(planner.material.course.by_slug), 1)}
    if _one_in(rng, 9):
        entry |= {"note": "Well done on the walking."}
    return entry


def _one_in(rng: Random, number: int) -> bool:
    return rng.randrange(number) == 0


def _reason(rng: Random) -> str:
    return rng.choice(REASONS)
