"""People and their enrolments, as the database keeps them.

What is None in a person's tailoring follows the clinic or the course; `way()` puts that in.
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, RowMapping, Select, insert, select, update

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
    stop_token: str
    start: date | None = None
    send_at: time | None = None
    timezone: ZoneInfo | None = None
    pace: int | None = None
    hold: tuple[Hold, ...] = ()
    skip: tuple[str, ...] = ()
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
            status=self.status,
        )


def new_id() -> str:
    """A random name that says nothing: 128 bits."""
    return secrets.token_hex(16)


def everyone(db: Connection) -> list[Person]:
    """All people in the order of their ids."""
    return [from_row(row) for row in db.execute(joined().order_by(subscriber.c.id)).mappings()]


def applied(db: Connection) -> dict[str, Mapping[str, Any]]:
    """What the roster file last said of each person, by id."""
    query = select(enrolment.c.subscriber_id, enrolment.c.applied)
    return {row.subscriber_id: row.applied for row in db.execute(query)}


def add(db: Connection, person: Person, entry: Mapping[str, Any], due: datetime | None) -> None:
    """Enrol somebody new. `entry` is what the file says; `due` is the plan's next instant (D1)."""
    db.execute(insert(subscriber).values(_subscriber_row(person)))
    row = _enrolment_row(person)
    db.execute(insert(enrolment).values(**row, applied=dict(entry), next_due_at=due))


def change(db: Connection, person: Person, entry: Mapping[str, Any], due: datetime | None) -> None:
    """Write a person's new tailoring and the next instant that follows from it (D1)."""
    row = _subscriber_row(person)
    db.execute(update(subscriber).where(subscriber.c.id == person.id).values(row))
    values = _enrolment_row(person) | {"applied": dict(entry), "next_due_at": due}
    db.execute(update(enrolment).where(enrolment.c.id == person.enrolment_id).values(values))


def remember(db: Connection, person: Person, entry: Mapping[str, Any]) -> None:
    """Note what the file says of a person for whom nothing changes."""
    query = update(enrolment).where(enrolment.c.id == person.enrolment_id)
    db.execute(query.values(applied=dict(entry)))


def finish(db: Connection, enrolment_ids: Iterable[str]) -> None:
    """Mark courses as finished: nothing is left to come (P11)."""
    query = update(enrolment).where(enrolment.c.id.in_(list(enrolment_ids)))
    db.execute(query.values(status="finished", next_due_at=None))


def joined() -> Select[Any]:
    """Enrolments with their people."""
    return select(enrolment, subscriber.c.email, subscriber.c.name, subscriber.c.consent).join(
        subscriber, subscriber.c.id == enrolment.c.subscriber_id
    )


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
        stop_token=row["stop_token"],
        start=row["start"],
        send_at=time.fromisoformat(row["send_at"]) if row["send_at"] else None,
        timezone=ZoneInfo(row["timezone"]) if row["timezone"] else None,
        pace=row["pace"],
        hold=tuple(_hold(hold) for hold in row["hold"]),
        skip=tuple(row["skip"]),
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
        "physiotherapist": person.physiotherapist,
        "note": person.note,
        "stop_token": person.stop_token,
    }


def by_stop_token(db: Connection, token: str) -> Person | None:
    """Whose stop link this is."""
    row = db.execute(joined().where(enrolment.c.stop_token == token)).mappings().first()
    return from_row(row) if row else None


def stop(db: Connection, token: str) -> bool:
    """End a course at the patient's wish (P11); False when the link is nobody's."""
    if not (person := by_stop_token(db, token)):
        return False
    query = update(enrolment).where(
        enrolment.c.id == person.enrolment_id, enrolment.c.status == "active"
    )
    db.execute(query.values(status="stopped", next_due_at=None))
    return True
