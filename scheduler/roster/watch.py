"""The roster file while the service runs: applied when it changes, as `enrol` would.

1. Nothing happens unless it was this file that somebody enrolled from last.
2. A file that has changed since it was last applied is read, merged and written, all or nothing.
3. One that cannot be used, or that would move or end more than a fifth of the roster, waits for a
   person. The log says so once, and again when it changes; the database says so, for the pages,
   until it is applied or is as before. Neither tells what stands in the file, only where.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter
from sqlalchemy import Connection

from scheduler.findings import Finding, WrongInput, shown
from scheduler.keys import Keys
from scheduler.ledger import facts
from scheduler.ledger.database import Database
from scheduler.ledger.planner import Planner
from scheduler.ledger.trail import AT
from scheduler.roster.entries import read_roster
from scheduler.roster.merge import BY, TooMany, all_or_nothing, apply, hold_back, merge
from scheduler.roster.proposal import proposed

FACT, WAITS = "roster_file", "roster_waits"
TOLD = 8  # faults of one file


@dataclass(frozen=True)
class Waiting:
    """A file that waits for a person: its first faults, and how many there are.

    `many` is why, where nothing is wrong and it would move or end the courses of too many.
    """

    file: str
    faults: tuple[Finding, ...] = ()
    number: int = 0
    many: str = ""

    @property
    def lines(self) -> Sequence[str]:
        """For the log."""
        rest = self.number - len(self.faults)
        more = [f"and {rest} more: physiopost enrol --dry-run names them"] if rest else []
        told = [self.many] if self.many else [*map(str, self.faults), *more]
        return f"{self.file} was not applied", *told


AS_JSON: TypeAdapter[Waiting] = TypeAdapter(Waiting)


def waiting(db: Connection) -> Waiting | None:
    """The file that waits for a person, if it does."""
    kept = facts.get(db, WAITS)
    return AS_JSON.validate_json(kept) if kept else None


def digest(path: Path) -> str:
    """What the file holds, in short; empty when there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def applied(db: Connection, path: Path) -> None:
    """Remember that the file was applied as it is."""
    facts.put(db, FACT, f"{digest(path)} {path.resolve()}")
    facts.put(db, WAITS, "")


class Watch:
    """Looks at the file before each round."""

    def __init__(self, path: Path) -> None:
        """Take the file; nothing is read yet."""
        self.path, self.told = path, ""

    def look(
        self, database: Database, planner: Planner, keys: Keys, now: datetime
    ) -> Sequence[str]:
        """What was done about the file, or what keeps it from being applied, a line each."""
        found = digest(self.path)
        with database.read() as db:
            last, _, place = (facts.get(db, FACT) or "").partition(" ")
            waits = waiting(db)
        if place != str(self.path.resolve()):
            return ()
        if found in (last, ""):
            self.told = ""
            if waits:
                _keep(database, None)
            return ()
        if found == self.told:
            return ()
        try:
            return self._apply(database, planner, keys, now)
        except WrongInput as error:
            first = tuple(fault.discreet for fault in error.findings[:TOLD])
            waits = Waiting(shown(self.path), first, len(error.findings))
        except TooMany as error:
            waits = Waiting(shown(self.path), many=str(error))
        _keep(database, waits)
        self.told = found
        return waits.lines

    def _apply(
        self, database: Database, planner: Planner, keys: Keys, now: datetime
    ) -> Sequence[str]:
        material = planner.material
        roster = read_roster(self.path, material.course, material.clinic.today(now))
        with database.write() as db:
            merged = merge(db, roster, keys, now)
            all_or_nothing(merged)
            hold_back(merged, proposed(db, merged.changed, planner, now))
            apply(db, merged, planner, now, f"{BY}{AT}{self.path.name}")
            applied(db, self.path)
        numbers = f"{len(merged.new)} new, {len(merged.changed)} changed"
        return (f"{shown(self.path)} was applied: {numbers}",)


def _keep(database: Database, waits: Waiting | None) -> None:
    with database.write() as db:
        facts.put(db, WAITS, AS_JSON.dump_json(waits).decode() if waits else "")
