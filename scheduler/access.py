"""Everything that is kept about one person, as they may ask for it: to read, and for a program.

1. about.txt says it in words, table by table, as far as words help.
2. data.json holds every row as it stands.
3. letters/ holds each letter as it was received, as a page, as text and as the message itself; of
   letters whose words are no longer kept, about.txt says when they went.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from scheduler.keys import Keys
from scheduler.ledger import deliveries, facts
from scheduler.ledger.database import Database
from scheduler.ledger.holdings import Rows
from scheduler.letters.editions import Edition
from scheduler.letters.fill import Envelope, fill, on_screen
from scheduler.letters.mime import serialise
from scheduler.material import Material
from scheduler.plan.reasons import dated, timed

HEADINGS = {
    "subscriber": "The person",
    "consent": "What they agreed to",
    "enrolment": "The course, as it was set for them",
    "delivery": "Letters",
    "attempt": "Each try to send one",
    "event": "What mail services told us of them",
    "audit": "Who looked and who changed what",
    "undo": "What stood there before a change",
}
UNTOLD = {
    *("merge", "edition", "applied", "fence", "lease_until", "tries", "looks", "looked_at"),
    *("id", "subscriber_id", "enrolment_id", "delivery_id", "audit_id"),
}
"""What letters/ shows, or only a program can read; data.json has it."""


def files(
    database: Database, material: Material, keys: Keys, rows: Rows, now: datetime
) -> dict[str, bytes]:
    """What goes into the folder, by name."""
    with database.read() as db:
        agreed = facts.get(db, f"{facts.CONSENT}{rows['subscriber'][0]['agreed_to']}")
        used = deliveries.editions(db, {row["edition"] for row in rows["delivery"] if row["merge"]})
    rows = {**rows, "consent": [{"words": agreed}] if agreed else []}
    made = {"about.txt": _about(material, rows, now).encode()}
    plainly = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS  # SQLAlchemy's names are more than str
    made["data.json"] = orjson.dumps(rows, option=plainly)
    for number, row in enumerate(rows["delivery"], 1):
        if row["merge"]:
            own = row["id"], row["address"], row["claimed_at"], keys.proven(row["merge"])
            name = f"letters/{number:02}-{row['lesson']}"
            made |= as_files(name, used[row["edition"]], Envelope(*own))
    return made


def as_files(name: str, edition: Edition, envelope: Envelope) -> dict[str, bytes]:
    """A letter as a page, as text and as the message itself."""
    letter = fill(edition, envelope.values)
    return {
        f"{name}.html": on_screen(letter.html, edition.logo).encode(),
        f"{name}.txt": letter.text.encode(),
        f"{name}.eml": serialise(edition, envelope),
    }


def _about(material: Material, rows: Rows, now: datetime) -> str:
    """The rows in words."""
    zone, name = material.clinic.timezone, rows["subscriber"][0]["name"]
    lines = [f"What {material.clinic.name} keeps about {name}", _shown(now, zone), ""]
    for table, heading in HEADINGS.items():
        if rows[table]:
            lines += [heading, "=" * len(heading), ""]
        told = [list(_fields(row, zone)) for row in rows[table]]
        lines += [line for fields in told if fields for line in (*fields, "")]
    return "\n".join(lines)


def _fields(row: Mapping[str, Any], zone: ZoneInfo) -> Iterator[str]:
    for name, value in row.items():
        if value not in (None, "", [], {}) and name not in UNTOLD:
            yield f"{name.replace('_', ' ')}: {_shown(value, zone)}"


def _shown(value: Any, zone: ZoneInfo) -> str:
    """A value as people read it: `Tue 24 Nov 2026 09:30 GMT`."""
    match value:
        case datetime(hour=_):
            return timed(value.astimezone(zone))
        case date():
            return dated(value)
        case [str(), *_]:
            return "; ".join(value)
        case list() | dict():
            return json.dumps(value, ensure_ascii=False)
    return str(value)
