"""The audit's trail: who did what to whom, and when. It names nobody and quotes nobody."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from scheduler.ledger import people
from scheduler.ledger.people import Person
from scheduler.ledger.tables import audit, enrolment


@dataclass(frozen=True)
class Line:
    """A line of the audit: what was done (UTC), by whom, to the person with which id."""

    at: datetime
    by: str
    who: str
    action: str
    words: str
    batch: str | None


def newest(db: Connection, who: str | None, most: int) -> list[Line]:
    """The newest lines, of one person or of all, oldest first."""
    query = (
        select(audit, enrolment.c.subscriber_id)
        .outerjoin(enrolment, enrolment.c.id == audit.c.enrolment_id)
        .order_by(audit.c.id.desc())
        .limit(most)
    )
    if who:
        query = query.where(enrolment.c.subscriber_id == who)
    rows = db.execute(query).all()[::-1]
    gone = "somebody no longer known"
    return [
        Line(row.at, row.by, row.subscriber_id or gone, row.action, row.words, row.batch)
        for row in rows
    ]


def lost(db: Connection, since: datetime) -> list[tuple[Person, datetime]]:
    """Whose letters came back or were called spam, and when that ended the course; newest first."""
    ended = audit.c.action == enrolment.c.status
    query = (
        people.joined().add_columns(audit.c.at).join(audit, audit.c.enrolment_id == enrolment.c.id)
    )
    query = query.where(
        enrolment.c.status.in_(("bounced", "complained")), ended, audit.c.at >= since
    )
    rows = db.execute(query.order_by(audit.c.id.desc())).mappings()
    return [(people.from_row(row), row["at"]) for row in rows]


def tell(
    db: Connection, enrolment_id: str, action: str, words: str, *, at: datetime, by: str
) -> None:
    """Write a line about something that changes no field of a person."""
    row = {"at": at, "by": by, "action": action, "enrolment_id": enrolment_id, "words": words}
    db.execute(insert(audit).values(row))
