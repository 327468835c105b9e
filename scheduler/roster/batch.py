"""An import: the files of a practice system, put in under one name and taken back under it.

1. The columns are those that somebody named for such a header before, unless they name others now.
2. The people are written in one transaction, and what was said of the columns is kept with them.
"""

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Literal

from sqlalchemy import Connection

from scheduler.ledger import facts, people
from scheduler.ledger.people import Person
from scheduler.ledger.planner import Planner
from scheduler.material.lessons import Course
from scheduler.roster.export import Choices, Export, LeftOut, read_export
from scheduler.roster.merge import Merge, apply
from scheduler.roster.source import header_signature
from scheduler.roster.table import Sheet, read_table

BATCH = "import-"  # what an import's name begins with
ENDINGS: dict[str, Literal["died", "discharged"]] = {
    "deceased": "died",
    "discharged": "discharged",
    "archived": "discharged",
}


def read(
    db: Connection, sheets: Sequence[Sheet], course: Course, today: date, choices: Choices
) -> Export:
    """The files, with the columns that were named for such a header before, unless as nothing now.

    Raises:
        Question: a person has to say something first.
        WrongInput: a file cannot be read.

    """
    tables = [read_table(sheet) for sheet in sheets]
    known = facts.get(db, _fact(header_signature(tables)))
    named = {**(json.loads(known) if known else {}), **choices.columns}
    columns = {field: name for field, name in named.items() if name}
    return read_export(tables, course, today, replace(choices, columns=columns))


def put_in(
    db: Connection,
    export: Export,
    merged: Merge,
    planner: Planner,
    now: datetime,
    *,
    by: str,
    progress: Callable[[int], object] = lambda _: None,
) -> str:
    """Write what the files change, within the caller's transaction; the import's name."""
    batch = f"{BATCH}{now:%Y%m%d}-{secrets.token_hex(2)}"
    apply(db, merged, planner, now, by, batch=batch, progress=progress)
    facts.put(db, _fact(export.signature), json.dumps(export.columns))
    return batch


def leaving(db: Connection, export: Export) -> list[tuple[LeftOut, Person]]:
    """Who gets letters and has left or died, as the files say; nobody's course ends by itself."""
    gone = {row.id: row for row in export.left_out if row.id and row.reason in ENDINGS}
    whose = people.everyone(db) if gone else []
    return [(gone[who.id], who) for who in whose if who.status == "active" and who.id in gone]


def _fact(signature: str) -> str:
    return f"csv:{signature}"
