"""Invented people: a roster file like any other, the same for the same seed.

Most have the clinic's hours and a plain course. The others live in zones whose clocks change on
another day or at another hour than the clinic's, want their letters early or late in the day, have
a pace, a start, a hold or a skipped lesson of their own, or are enrolled late or ahead of time.
"""

import json
from datetime import date
from random import Random
from typing import Any

from scheduler.ledger.planner import Planner
from scheduler.plan.calendar import DAY
from scheduler.simulate.chance import HOURS
from scheduler.simulate.world import WEEKS, Trial

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
FIRST_DAY = date(2027, 2, 15)  # clock changes, Easter and a bank holiday follow


def invented(trial: Trial, planner: Planner) -> str:
    """A roster file of `trial.scale` people, first seen in the first quarter of the weeks."""
    rng = Random(trial.seed)  # noqa: S311 - it is to be repeated
    begin, span = trial.begin or FIRST_DAY, max(1, (trial.weeks or WEEKS) * 7 // 4)
    lines = [f"# {trial.scale} people who do not exist, invented by physiopost simulate.\n"]
    for number in range(1, (trial.scale or 0) + 1):
        consent, _ = planner.calendar.open_from(begin + rng.randrange(span) * DAY)
        entry = {"id": f"person{number}", "email": f"person{number}@example.org"}
        entry |= {"name": f"Person {number}", "consent": str(consent)}
        lines.append(f"- {json.dumps(entry | _course(rng, planner, consent))}\n")
    return "".join(lines)


def _course(rng: Random, planner: Planner, consent: date) -> dict[str, Any]:
    """When somebody was seen first, and what the roster says besides."""

    def one_in(number: int) -> bool:
        return rng.randrange(number) == 0

    early, late = one_in(10), one_in(8)
    seen = consent - rng.randint(1, 60) * DAY if late else consent + 14 * early * DAY
    first, _ = planner.calendar.open_from(seen)
    entry: dict[str, Any] = {"first_appointment": str(first)}
    zone, hour = rng.choice(HOMES) if one_in(3) else (None, None)
    if zone:
        entry["timezone"] = zone
    elif one_in(5):
        hour = f"{rng.choice(HOURS):%H:%M}"
    if hour:
        entry["send_at"] = hour
    if one_in(5):
        entry["pace"] = rng.randint(3, 14)
    if one_in(7):
        entry["start"] = str(first + rng.randint(1, 21) * DAY)
    if one_in(7):
        away = first + rng.randint(3, 40) * DAY
        until = away + rng.randint(2, 21) * DAY
        reason = rng.choice(("on holiday", "flare-up", ""))
        entry["hold"] = [{"from": str(away), "until": str(until), "reason": reason}]
    if one_in(7):
        entry["skip"] = rng.sample(list(planner.material.course.by_slug), 1)
    if one_in(9):
        entry["note"] = "Well done on the walking."
    return entry
