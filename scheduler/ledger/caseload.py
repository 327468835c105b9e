"""Who needs a look: a physiotherapist's people, who asked to be called, whom a file enrolled."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, exists, func, or_, select

from scheduler.ledger.people import CURRENT, Person, from_row, joined
from scheduler.ledger.tables import audit, delivery, enrolment, subscriber

LOST = ("bounced", "complained")
REMEMBERED = timedelta(days=30)  # since the last letter of somebody whose address failed


@dataclass(frozen=True)
class Look:
    """Somebody, and when their next letter is due.

    `trouble` is "undecided" or "refused" where a letter is, else empty; `fresh` is somebody to whom
    nothing has been sent yet.
    """

    person: Person
    due: datetime | None
    trouble: str
    fresh: bool


def of(db: Connection, physiotherapist: str, since: datetime) -> list[Look]:
    """The people of a physiotherapist, the next due first, and those who were lost of late.

    Letters that were refused before `since` trouble nobody any more.
    """
    lately = and_(delivery.c.state == "refused", delivery.c.lease_until >= since)
    doubt, refused = _has(delivery.c.state == "unknown"), _has(lately)
    trouble = case((doubt, "undecided"), (refused, "refused"), else_="")
    lost = and_(enrolment.c.status.in_(LOST), _has(delivery.c.claimed_at >= since - REMEMBERED))
    under_way = or_(enrolment.c.status == "active", lost)
    query = joined().add_columns(
        enrolment.c.next_due_at, trouble.label("trouble"), (~_has()).label("fresh")
    )
    query = query.where(enrolment.c.physiotherapist == physiotherapist, under_way)
    rows = db.execute(query.order_by(enrolment.c.next_due_at, subscriber.c.name)).mappings()
    return [
        Look(from_row(row), row["next_due_at"], row["trouble"], bool(row["fresh"])) for row in rows
    ]


def physiotherapists(db: Connection) -> list[str]:
    """The names under which people are under way."""
    name = enrolment.c.physiotherapist
    named = select(name).where(name.is_not(None), CURRENT, enrolment.c.status == "active")
    return list(db.scalars(named.distinct().order_by(name)))


def asked(db: Connection, most: int) -> tuple[list[Person], int]:
    """The first who asked to be called, whoever waits longest, and how many there are."""
    since = enrolment.c.call_asked_at
    return _first(db, joined().where(since.is_not(None)).order_by(since), most)


def enrolled(db: Connection, by: str, since: datetime, most: int) -> tuple[list[Person], int]:
    """The first whom somebody enrolled since then and who had no letter yet, and how many."""
    at, line = enrolment.c.enrolled_at, audit.c.enrolment_id == enrolment.c.id
    theirs = exists().where(line, audit.c.action == "enrol", audit.c.by.startswith(by))
    query = joined().where(at >= since, enrolment.c.status == "active", ~_has(), theirs)
    return _first(db, query.order_by(at.desc(), subscriber.c.name), most)


def _first(db: Connection, query: Select[Any], most: int) -> tuple[list[Person], int]:
    counted = query.add_columns(func.count().over().label("number")).limit(most)
    rows = db.execute(counted).mappings().all()
    return [from_row(row) for row in rows], rows[0]["number"] if rows else 0


def _has(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(delivery.c.enrolment_id == enrolment.c.id, *conditions)
