"""Who is behind: a letter should have gone and has not, with the reason.

A silence has to be noticed, so each round leaves a heartbeat, and its absence is a reason too.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Self

from sqlalchemy import Connection

from scheduler.ledger import facts
from scheduler.ledger.people import Person
from scheduler.material.signoff import Standing
from scheduler.plan.rules import PlannedLetter

FACT = "round"
SILENCE = timedelta(minutes=10)  # a round comes every minute
STUCK = {
    "undecided": "may have arrived: ask, and say so with physiopost settle",
    "sending": "was being sent when the service stopped; the next round finds out",
    "refused": "did not go",
}


@dataclass(frozen=True)
class Heartbeat:
    """The last round: when it ended (UTC), and why the channel was down, if it was."""

    at: datetime
    down: str | None

    @classmethod
    def last(cls, db: Connection) -> Self | None:
        """The newest one, or None before the first round."""
        if not (kept := facts.get(db, FACT)):
            return None
        stored = json.loads(kept)
        return cls(datetime.fromisoformat(stored["at"]), stored["down"])

    def keep(self, db: Connection) -> None:
        """Write it in place of the one before."""
        facts.put(db, FACT, json.dumps(asdict(self) | {"at": self.at.isoformat()}))


@dataclass(frozen=True)
class Behind:
    """A person's letter that should have gone on a day (local), and why it has not."""

    id: str
    lesson: str
    since: date
    why: str


def behind(
    timelines: Iterable[tuple[Person, list[PlannedLetter]]],
    barred: Mapping[str, tuple[Standing, ...]],
    last: Heartbeat | None,
    now: datetime,
) -> list[Behind]:
    """Everybody under way who is behind, the longest first; `barred` is what may not be sent."""
    found = []
    for person, letters in timelines:
        for letter in letters if person.status == "active" else ():
            if letter.state in STUCK and letter.local:
                why = "; ".join(filter(None, [STUCK[letter.state], letter.outcome]))
                found.append(Behind(person.id, letter.lesson, letter.local.date(), why))
            elif letter.overdue:
                why = _why(letter, barred.get(letter.lesson, ()), last, now)
                found.append(Behind(person.id, letter.lesson, letter.overdue, why))
                break  # the others wait for this one
    return sorted(found, key=lambda each: (each.since, each.id))


def _why(
    letter: PlannedLetter, signs: Iterable[Standing], last: Heartbeat | None, now: datetime
) -> str:
    if unsigned := "; ".join(f"{each.what}: {each.words}" for each in signs):
        return unsigned
    if letter.outcome:
        return f"put off: {letter.outcome}"
    if last is None or now - last.at > SILENCE:
        since = f"since {last.at:%Y-%m-%d %H:%M} UTC" if last else "yet"
        return f"no round has run {since}: start physiopost run"
    if last.down:
        return f"the channel is down: {last.down}"
    goes = f"{letter.local:%Y-%m-%d %H:%M}" if letter.local else ""
    return f"overdue, goes at the next send time: {goes}"
