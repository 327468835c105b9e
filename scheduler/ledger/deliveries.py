"""Deliveries as they are read: what went to whom and when, and what became of it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select

from scheduler.ledger.bulk import named
from scheduler.ledger.tables import delivery, edition, enrolment
from scheduler.letters.editions import Edition


def sent(
    db: Connection, enrolments: Collection[str] | None = None
) -> dict[str, dict[str, datetime]]:
    """For each of these enrolments, or for all, the lessons that must not go again, as they went.

    One that was deferred is due again; every other state stands.
    """
    query = (
        select(delivery.c.enrolment_id, delivery.c.lesson, delivery.c.planned_for)
        .where(delivery.c.state != "deferred")
        .order_by(delivery.c.claimed_at, delivery.c.planned_for)
    )
    if enrolments is not None:
        query = query.where(named(db, delivery.c.enrolment_id, enrolments))
    gone: dict[str, dict[str, datetime]] = defaultdict(dict)
    for row in db.execute(query).all():
        gone[row.enrolment_id][row.lesson] = row.planned_for
    return gone


def any_of(db: Connection, enrolment_id: str) -> bool:
    """Whether anything was ever claimed for an enrolment."""
    query = select(delivery.c.id).where(delivery.c.enrolment_id == enrolment_id).limit(1)
    return db.execute(query).first() is not None


def next_due(db: Connection) -> datetime | None:
    """When the next letter of all is due (UTC), or None when there is none."""
    return db.execute(select(func.min(enrolment.c.next_due_at))).scalar()


def editions(db: Connection, hashes: Iterable[str]) -> dict[str, Edition]:
    """Stored editions by their hashes."""
    query = select(edition).where(edition.c.hash.in_(set(hashes)))
    return {row.hash: Edition.from_json(row.content) for row in db.execute(query)}


def history(db: Connection) -> list[Mapping[str, Any]]:
    """Every delivery with its person's id, in the order they were planned."""
    query = (
        select(delivery, enrolment.c.subscriber_id)
        .join(enrolment, enrolment.c.id == delivery.c.enrolment_id)
        .order_by(delivery.c.planned_for, enrolment.c.subscriber_id)
    )
    return [dict(row) for row in db.execute(query).mappings()]


def of_person(db: Connection, who: str) -> list[Mapping[str, Any]]:
    """Every delivery of somebody by the subscriber's id, earlier courses too, the oldest first."""
    mine = select(enrolment.c.id).where(enrolment.c.subscriber_id == who)
    query = select(delivery).where(delivery.c.enrolment_id.in_(mine))
    return [dict(row) for row in db.execute(query.order_by(delivery.c.claimed_at)).mappings()]


def troubled(db: Connection, since: datetime) -> list[Mapping[str, Any]]:
    """Letters that nobody knows the end of, or that were refused since, the oldest first."""
    refused = and_(delivery.c.state == "refused", delivery.c.lease_until >= since)
    query = select(delivery).where(or_(delivery.c.state == "unknown", refused))
    return [dict(row) for row in db.execute(query.order_by(delivery.c.claimed_at)).mappings()]


def went(db: Connection, since: datetime) -> int:
    """How many letters were taken since an instant."""
    lately = and_(delivery.c.state == "accepted", delivery.c.lease_until >= since)
    query = select(func.count()).where(lately, delivery.c.claimed_at >= since)
    return db.execute(query).scalar_one()
