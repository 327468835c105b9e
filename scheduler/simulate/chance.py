"""Chance: when the service is away, and what staff and patients change; seeded.

Changes come at any second, one in four at a full quarter of an hour, where letters go as well.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from random import Random

from scheduler import tailoring
from scheduler.ledger.changes import Change
from scheduler.ledger.people import Person
from scheduler.material.lessons import Course
from scheduler.plan.calendar import DAY
from scheduler.simulate.checker import Away

HOUR = 3600  # seconds
HOURS = (time(7), time(18, 15))  # of the day, for letters


def outages(rng: Random, begin: datetime, end: datetime) -> list[Away]:
    """About one in two weeks, from an hour to ten days, none touching another."""
    found: list[Away] = []
    back = begin
    while (gone := back + timedelta(seconds=rng.randrange(24 * HOUR, 600 * HOUR))) < end:
        longest = 240 if rng.randrange(3) == 0 else 12
        back = gone + timedelta(seconds=rng.randrange(HOUR, longest * HOUR))
        found.append((gone, back))
    return found


def moments(
    rng: Random, who: Sequence[str], begin: datetime, end: datetime
) -> list[tuple[datetime, str]]:
    """When something is changed about somebody (an id): up to three times, in the order of time."""
    seconds = int((end - begin).total_seconds())
    found = []
    for each in who:
        for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
            at = begin + timedelta(seconds=rng.randrange(seconds))
            if rng.randrange(4) == 0:
                at = at.replace(minute=at.minute // 15 * 15, second=0)
            found.append((at, each))
    return sorted(found)


def change(rng: Random, person: Person, course: Course, today: date, now: datetime) -> Change:
    """What staff do about a person, or the patient themselves; WrongInput if it cannot be done."""
    if person.status != "active" and rng.randrange(3) == 0:
        return tailoring.reenrol(person, today, today, now)
    held = any(hold.until is None and hold.first <= today for hold in person.hold)
    lesson = rng.choice(list(course.by_slug))
    first = today + rng.randint(0, 14) * DAY
    until = first + rng.randint(1, 28) * DAY if rng.randrange(4) else None
    verbs: dict[str, tuple[int, Callable[[], Change]]] = {
        "hold": (6, lambda: tailoring.hold(person, first, until, "away", today)),
        "resume": (4, lambda: tailoring.resume(person, today)),
        "move": (4, lambda: tailoring.move(person, start=first - rng.randint(0, 14) * DAY)),
        "skip": (3, lambda: tailoring.skip(person, lesson, course)),
        "keep": (1, lambda: tailoring.keep(person, lesson, course)),
        "pace": (3, lambda: tailoring.pace(person, rng.choice((None, 3, 5, 10, 14)))),
        "at": (2, lambda: tailoring.at(person, rng.choice((None, *HOURS)))),
        "end": (1, lambda: tailoring.end(person, rng.choice(tailoring.ENDINGS))),
    }
    often = [often for often, _ in verbs.values()]
    name = "resume" if held else rng.choices(list(verbs), often)[0]
    return verbs[name][1]()
