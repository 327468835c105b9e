"""What is kept about one person: every row of every table, to be shown to them or removed.

1. of() reads the rows. Whoever reads them in order to write keeps rounds away from this person.
2. remove() deletes them. The audit's lines stay: they name nobody, and the database lets none go.
   Beside them stay two numbers (how many people and letters were removed), and whatever marks of
   addresses the caller makes.
3. ended() finds the courses that are long over, strip() takes from their letters what made them
   somebody's: the values that filled them, and the address.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, delete, exists, select, update

from scheduler.ledger import facts, trail
from scheduler.ledger.bulk import named
from scheduler.ledger.tables import attempt, audit, delivery, enrolment, event, subscriber, undo

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
"""The rows by the names of their tables."""

REMOVED = (undo, event, attempt, delivery, enrolment, subscriber)
"""In this order, so that no row ever points to one that has gone."""

COUNTS = "erased"  # the fact that keeps the numbers
UNDER_WAY = ("claimed", "unknown")  # letters of which it is not known yet what becomes of them


def of(db: Connection, who: str) -> Rows:
    """Everything about the person with an id; empty lists for nobody."""

    def rows(table: Table, name: str, values: Iterable[Any]) -> list[dict[str, Any]]:
        query = select(table).where(table.c[name].in_(list(values)))
        if table is enrolment and db.get_execution_options().get("physiopost_write"):
            query = query.with_for_update()
        order = query.order_by(*table.primary_key.columns)
        return [dict(row) for row in db.execute(order).mappings()]

    held = {"subscriber": rows(subscriber, "id", [who])}
    held["enrolment"] = rows(enrolment, "subscriber_id", [who])
    courses = [row["id"] for row in held["enrolment"]]
    held["delivery"] = rows(delivery, "enrolment_id", courses)
    letters = [row["id"] for row in held["delivery"]]
    held["attempt"] = rows(attempt, "delivery_id", letters)
    held["event"] = rows(event, "delivery_id", letters)
    held["audit"] = rows(audit, "enrolment_id", courses)
    held["undo"] = rows(undo, "audit_id", [row["id"] for row in held["audit"]])
    return held


def addresses(rows: Rows) -> set[str]:
    """Every address that a person has had here, in small letters."""
    known = [row["email"] for row in rows["subscriber"]]
    known += [row["address"] for row in rows["delivery"]]
    known += [row["applied"].get("email", "") for row in rows["enrolment"]]
    return {address.casefold() for address in known if address}


def remove(db: Connection, rows: Rows) -> None:
    """Delete what of() gave, and count it."""
    _overwrite(db)
    for table in REMOVED:
        key = table.primary_key.columns[0]
        gone = [row[key.name] for row in rows[table.name]]
        db.execute(delete(table).where(key.in_(gone)))
    before, letters = counts(db)
    numbers = {"people": before + 1, "letters": letters + len(rows["delivery"])}
    facts.put(db, COUNTS, json.dumps(numbers))


def counts(db: Connection) -> tuple[int, int]:
    """How many people and letters were removed until now."""
    kept = json.loads(facts.get(db, COUNTS) or "{}")
    return kept.get("people", 0), kept.get("letters", 0)


def ended(db: Connection, before: datetime) -> dict[str, str]:
    """Whose courses ended before an instant, with nothing sent or changed since: enrolment, id."""
    same = enrolment.c.id == delivery.c.enrolment_id
    letters = exists().where(same, delivery.c.claimed_at >= before)
    changed = enrolment.c.id == audit.c.enrolment_id, audit.c.action != trail.READ
    lines = exists().where(*changed, audit.c.at >= before)
    query = select(enrolment.c.id, enrolment.c.subscriber_id).where(
        enrolment.c.status != "active", enrolment.c.enrolled_at < before, ~letters, ~lines
    )
    return {row.id: row.subscriber_id for row in db.execute(query)}


def others(db: Connection, enrolments: Collection[str]) -> set[str]:
    """The ids of all people who have an enrolment that is not one of these."""
    query = select(enrolment.c.subscriber_id).where(~named(db, enrolment.c.id, enrolments))
    return set(db.scalars(query))


def full(db: Connection, enrolments: Collection[str]) -> dict[str, list[str]]:
    """By enrolment the letters that can still be shown as they were received."""
    query = select(delivery.c.id, delivery.c.enrolment_id, delivery.c.merge).where(
        named(db, delivery.c.enrolment_id, enrolments), delivery.c.state.not_in(UNDER_WAY)
    )
    found: dict[str, list[str]] = {}
    for row in db.execute(query):
        if row.merge:
            found.setdefault(row.enrolment_id, []).append(row.id)
    return found


def strip(db: Connection, enrolments: Collection[str], letters: Collection[str]) -> None:
    """Empty letters of what was their reader's, and let no change of these enrolments be undone."""
    _overwrite(db)
    query = update(delivery).where(named(db, delivery.c.id, letters))
    db.execute(query.values(merge={}, address=""))
    lines = select(audit.c.id).where(named(db, audit.c.enrolment_id, enrolments))
    db.execute(delete(undo).where(undo.c.audit_id.in_(lines)))


def _overwrite(db: Connection) -> None:
    """Let SQLite write zeros over what goes, instead of only letting go of it."""
    if db.dialect.name == "sqlite":
        db.exec_driver_sql("PRAGMA secure_delete=ON")
