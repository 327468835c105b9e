"""Backups: the whole ledger in one sealed file, taken while the service runs, and put back.

1. make() reads every row in one consistent look, writes the file under another name, opens it
   again, counts the rows, and gives it its name: a file of that name is whole.
2. restore() reads a file to its end before it touches anything. Then, in one transaction, it makes
   the tables anew as the backup had them, fills them, brings them up to today's, and puts in doubt
   what may have gone since (see ledger/aftermath.py). The addresses that were not to be written to
   until now stay so, whatever the backup says.

The file says nothing of the database it came from: one of SQLite goes into PostgreSQL and back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from scheduler import vault
from scheduler.findings import NotDone, wrong
from scheduler.ledger import aftermath, dump, facts
from scheduler.ledger.aftermath import Gap
from scheduler.ledger.database import Database
from scheduler.ledger.planner import Planner
from scheduler.ledger.tables import HEAD

FACT = "backed_up_at"


@dataclass(frozen=True)
class Backup:
    """What a file holds: the version of its tables, when it was made (UTC), rows by table."""

    schema: str
    at: datetime
    rows: dict[str, int]


def make(database: Database, path: Path, key: str, now: datetime) -> Backup:
    """Write a backup, and note when; WrongInput if the file is there or cannot be written."""
    if path.exists():
        raise wrong(path, None, "is there already", "name a new file")
    draft = path.with_name(f"{path.name}.part")
    draft.unlink(missing_ok=True)
    try:
        with database.read() as db:
            vault.write(draft, key, dump.lines(db, now))
        made = look(draft, [key])
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
    with database.write() as db:
        facts.put(db, FACT, now.isoformat())
    return made


def look(path: Path, keys: Sequence[str]) -> Backup:
    """Read a file to its end; WrongInput if it is no backup, not whole, or no key opens it."""
    lines = vault.read(path, keys)
    try:
        schema, at = dump.head(next(lines))
        if schema <= HEAD:
            return Backup(schema, at, dump.counted(lines))
    except (ValueError, KeyError, StopIteration):
        raise wrong(path, None, "is not whole", "take another backup") from None
    words = f"is of a newer version ({schema}) than this program ({HEAD})"
    raise wrong(path, None, words, "install the newer program")


def restore(
    database: Database,
    planner: Planner,
    path: Path,
    keys: Sequence[str],
    *,
    until: datetime,
    now: datetime,
    replace: bool,
) -> tuple[Backup, int]:
    """Put a backup in place of what is there; how many letters wait for a person after it.

    `until` is when the service, as it was, last sent anything. WrongInput if the file cannot be
    used, NotDone if there are people who were not to be replaced.
    """
    found = look(path, keys)
    with database.read() as db:
        marks = dump.marks(db)
        if dump.holds_people(db) and not replace:
            raise NotDone("the database holds people; --replace puts the backup in their place")
    lines = vault.read(path, keys)
    next(lines)
    with database.rebuild(found.schema, lambda db: dump.load(db, lines)) as db:
        dump.add_marks(db, marks)
        facts.put(db, FACT, found.at.isoformat())
        held = aftermath.hold_everybody(db, planner, Gap(found.at, until), now)
    return found, held
