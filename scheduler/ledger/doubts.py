"""Deliveries whose end is not known, or was never heard of: who must be asked about (D5, D8)."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, or_, select, update

from scheduler.ledger.claims import Claim, claim_of
from scheduler.ledger.tables import delivery


def over(db: Connection, now: datetime) -> list[Claim]:
    """Claims whose lease has ended without a record: their process died, or lost its network."""
    return _claims(db, delivery.c.state == "claimed", delivery.c.lease_until <= now)


def unknown(db: Connection) -> list[Claim]:
    """Letters that may have arrived and that nobody has decided about (D5)."""
    return _claims(db, delivery.c.state == "unknown")


def to_look_up(db: Connection, first: datetime, again: datetime, most: int) -> list[Claim]:
    """Letters in doubt that were claimed before `first` and not looked up since `again`."""
    unseen = or_(delivery.c.looked_at.is_(None), delivery.c.looked_at <= again)
    asked = delivery.c.state == "unknown", delivery.c.claimed_at <= first, unseen
    return _claims(db, *asked, most=most)


def silent(db: Connection, since: datetime, until: datetime, most: int) -> list[Claim]:
    """Letters accepted between two instants, the later first, of which nothing was heard (D8)."""
    taken = delivery.c.state == "accepted", delivery.c.settled_at.between(until, since)
    unheard = delivery.c.reference.is_not(None), delivery.c.fate.is_(None)
    return _claims(db, *taken, *unheard, most=most)


def _claims(db: Connection, *asked: ColumnElement[bool], most: int | None = None) -> list[Claim]:
    """The oldest first."""
    query = select(delivery).where(*asked).order_by(delivery.c.claimed_at).limit(most)
    return [claim_of(row) for row in db.execute(query).mappings()]


def looked(db: Connection, delivery_id: str, now: datetime) -> None:
    """Note that a letter in doubt was looked for in vain."""
    query = update(delivery).where(delivery.c.id == delivery_id)
    db.execute(query.values(looks=delivery.c.looks + 1, looked_at=now))


def set_fate(db: Connection, delivery_id: str, fate: str) -> None:
    """Note what became of a letter after it was accepted."""
    db.execute(update(delivery).where(delivery.c.id == delivery_id).values(fate=fate))
