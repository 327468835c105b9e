"""People and their enrolments, as the database keeps them.

What is None in a person's tailoring follows the clinic or the course; `way()` puts that in.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    Connection,
    RowMapping,
    Select,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from scheduler.ledger.tables import enrolment, subscriber
from scheduler.material import Material
from scheduler.plan.enrolment import Enrolment, Hold, Status


@dataclass(frozen=True)
class Person:
    """A subscriber with the enrolment that is under way. `enrolment_id` is random and opaque."""

    id: str
    email: str
    name: str
    consent: date
    first_appointment: date
    enrolled_at: datetime
    enrolment_id: str
    start: date | None = None
    send_at: time | None = None
    timezone: ZoneInfo | None = None
    pace: int | None = None
    hold: tuple[Hold, ...] = ()
    skip: tuple[str, ...] = ()
    owed: tuple[str, ...] = ()
    physiotherapist: str | None = None
    note: str | None = None
    status: Status = "active"

    def __repr__(self) -> str:
        """Never a name or an address: a person may stand in a traceback."""
        return f"Person({self.enrolment_id})"

    def way(self, material: Material) -> Enrolment:
        """The enrolment as the plan takes it."""
        return Enrolment(
            first_appointment=self.first_appointment,
            enrolled_at=self.enrolled_at,
            send_at=self.send_at or material.clinic.send_at,
            zone=self.timezone or material.clinic.timezone,
            pace=self.pace or material.course.pace,
            start=self.start,
            holds=self.hold,
            skips=frozenset(self.skip),
            owed=frozenset(self.owed),
            status=self.status,
        )


def new_id() -> str:
    """A random name that says nothing: 128 bits."""
    return secrets.token_hex(16)


def everyone(db: Connection) -> list[Person]:
    """All people in the order of their ids."""
    return [from_row(row) for row in db.execute(joined().order_by(subscriber.c.id)).mappings()]


def find(db: Connection, who: str) -> Person | None:
    """Somebody by the subscriber's id."""
    row = db.execute(joined().where(subscriber.c.id == who)).mappings().first()
    return from_row(row) if row else None


def at_address(db: Connection, address: str) -> list[Person]:
    """Everybody who has an address."""
    query = joined().where(func.lower(subscriber.c.email) == address.lower())
    return [from_row(row) for row in db.execute(query).mappings()]


def applied(db: Connection) -> dict[str, Mapping[str, Any]]:
    """What the roster file last said of each person, by id."""
    query = select(enrolment.c.subscriber_id, enrolment.c.applied).where(CURRENT)
    return {row.subscriber_id: row.applied for row in db.execute(query)}


def add(db: Connection, new: Sequence[tuple[Person, datetime | None]]) -> None:
    """Enrol people who are new, each with the plan's next instant (D1)."""
    if new:
        db.execute(insert(subscriber), [_subscriber_row(person) for person, _ in new])
        enrol(db, new)


def enrol(db: Connection, new: Sequence[tuple[Person, datetime | None]]) -> None:
    """Add enrolments of people who are known."""
    rows = [_enrolment_row(person) | {"applied": {}, "next_due_at": due} for person, due in new]
    db.execute(insert(enrolment), rows)


def change(db: Connection, changed: Sequence[tuple[Person, datetime | None]]) -> None:
    """Write people's new tailoring and the next instants that follow from it (D1)."""
    if not changed:
        return
    each = update(subscriber).where(subscriber.c.id == bindparam("b_id"))
    rows = [_subscriber_row(person) for person, _ in changed]
    db.execute(each, [{"b_id": row.pop("id"), **row} for row in rows])
    way = update(enrolment).where(enrolment.c.id == bindparam("b_id"))
    ways = [_enrolment_row(person) | {"next_due_at": due} for person, due in changed]
    db.execute(way, [{"b_id": row.pop("id"), **row} for row in ways])


def remember(db: Connection, said: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Note what the file says of enrolments."""
    if said:
        query = update(enrolment).where(enrolment.c.id == bindparam("b_id"))
        db.execute(query, [{"b_id": each, "applied": dict(entry)} for each, entry in said])


def said(db: Connection, enrolment_id: str) -> Mapping[str, Any]:
    """What the file last said of an enrolment."""
    query = select(enrolment.c.applied).where(enrolment.c.id == enrolment_id)
    entry: Mapping[str, Any] = db.execute(query).scalar_one()
    return entry


def knows(db: Connection, enrolment_id: str) -> bool:
    """Whether there is such an enrolment."""
    query = select(enrolment.c.id).where(enrolment.c.id == enrolment_id)
    return db.execute(query).first() is not None


def replaced(db: Connection, enrolment_id: str, at: datetime | None) -> None:
    """Mark an enrolment as followed by a newer one of the same person, or, with None, as not."""
    db.execute(update(enrolment).where(enrolment.c.id == enrolment_id).values(replaced_at=at))


def remove(db: Connection, enrolment_id: str) -> None:
    """Take an enrolment away to which nothing was ever sent, and its person if it was the only."""
    query = select(enrolment.c.subscriber_id).where(enrolment.c.id == enrolment_id)
    who = db.execute(query).scalar_one()
    db.execute(delete(enrolment).where(enrolment.c.id == enrolment_id))
    others = select(enrolment.c.id).where(enrolment.c.subscriber_id == who)
    if db.execute(others).first() is None:
        db.execute(delete(subscriber).where(subscriber.c.id == who))


def finish(db: Connection, enrolment_ids: Iterable[str]) -> None:
    """Mark courses as finished: nothing is left to come (P11)."""
    query = update(enrolment).where(enrolment.c.id.in_(list(enrolment_ids)))
    db.execute(query.values(status="finished", next_due_at=None))


CURRENT = enrolment.c.replaced_at.is_(None)


def joined() -> Select[Any]:
    """Everybody's newest enrolment with its person."""
    columns = (enrolment, subscriber.c.email, subscriber.c.name, subscriber.c.consent)
    same = subscriber.c.id == enrolment.c.subscriber_id
    return select(*columns).join(subscriber, same).where(CURRENT)


def from_row(row: RowMapping) -> Person:
    """The person of a row of joined()."""
    return Person(
        id=row["subscriber_id"],
        email=row["email"],
        name=row["name"],
        consent=row["consent"],
        first_appointment=row["first_appointment"],
        enrolled_at=row["enrolled_at"],
        enrolment_id=row["id"],
        start=row["start"],
        send_at=time.fromisoformat(row["send_at"]) if row["send_at"] else None,
        timezone=ZoneInfo(row["timezone"]) if row["timezone"] else None,
        pace=row["pace"],
        hold=tuple(_hold(hold) for hold in row["hold"]),
        skip=tuple(row["skip"]),
        owed=tuple(row["owed"]),
        physiotherapist=row["physiotherapist"],
        note=row["note"],
        status=row["status"],
    )


def _hold(stored: Mapping[str, str | None]) -> Hold:
    until = stored["until"]
    return Hold(
        date.fromisoformat(str(stored["from"])),
        date.fromisoformat(until) if until else None,
        stored["reason"] or "",
    )


def _subscriber_row(person: Person) -> dict[str, Any]:
    return {
        "id": person.id,
        "email": person.email,
        "name": person.name,
        "consent": person.consent,
    }


def _enrolment_row(person: Person) -> dict[str, Any]:
    return {
        "id": person.enrolment_id,
        "subscriber_id": person.id,
        "enrolled_at": person.enrolled_at,
        "status": person.status,
        "first_appointment": person.first_appointment,
        "start": person.start,
        "send_at": person.send_at.strftime("%H:%M") if person.send_at else None,
        "timezone": str(person.timezone) if person.timezone else None,
        "pace": person.pace,
        "hold": [
            {
                "from": hold.first.isoformat(),
                "until": hold.until.isoformat() if hold.until else None,
                "reason": hold.reason,
            }
            for hold in person.hold
        ],
        "skip": list(person.skip),
        "owed": list(person.owed),
        "physiotherapist": person.physiotherapist,
        "note": person.note,
    }


def of_enrolment(db: Connection, enrolment_id: str) -> Person | None:
    """Whose enrolment this is or was, with the newest one."""
    query = select(enrolment.c.subscriber_id).where(enrolment.c.id == enrolment_id)
    who = db.execute(query).scalar()
    return find(db, who) if who else None
