"""The roster file while the service runs: applied when it changes, as `enrol` would.

1. Nothing happens unless it was this file that somebody enrolled from last.
2. A file that has changed since it was last applied is read, merged and written, all or nothing.
3. One that cannot be used, or that would move or end more than a fifth of the roster, waits for a
   person; that is said once, and again when it changes.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from scheduler.findings import NotDone, WrongInput, shown
from scheduler.keys import Keys
from scheduler.ledger import facts
from scheduler.ledger.database import Database
from scheduler.ledger.planner import Planner
from scheduler.roster.entries import read_roster
from scheduler.roster.merge import all_or_nothing, apply, hold_back, merge
from scheduler.roster.proposal import proposed

FACT = "roster_file"


def digest(path: Path) -> str:
    """What the file holds, in short; empty when there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def applied(db: Connection, path: Path) -> None:
    """Remember that the file was applied as it is."""
    facts.put(db, FACT, f"{digest(path)} {path.resolve()}")


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
        if place != str(self.path.resolve()) or found in (last, self.told, ""):
            return ()
        self.told = found
        try:
            return self._apply(database, planner, keys, now)
        except (WrongInput, NotDone) as error:
            return f"{shown(self.path)} was not applied", *str(error).splitlines()

    def _apply(
        self, database: Database, planner: Planner, keys: Keys, now: datetime
    ) -> Sequence[str]:
        material = planner.material
        roster = read_roster(self.path, material.course, material.clinic.today(now))
        with database.write() as db:
            merged = merge(db, roster, keys, now)
            all_or_nothing(merged)
            hold_back(merged, proposed(db, merged.changed, planner, now))
            apply(db, merged, planner, now)
            applied(db, self.path)
        numbers = f"{len(merged.new)} new, {len(merged.changed)} changed"
        return (f"{shown(self.path)} was applied: {numbers}",)
