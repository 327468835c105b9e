"""Addresses that must not be written to, known by keyed marks only: the list outlives them (D7)."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, select

from scheduler.keys import Keys
from scheduler.ledger.bulk import named
from scheduler.ledger.tables import insert_new, suppression
from scheduler.ledger.trail import whence


def suppress(
    db: Connection, keys: Keys, address: str, *, reason: str, at: datetime, by: str
) -> None:
    """Write to an address no more; the first reason stays."""
    row = {"mark": keys.marks(address)[0], "reason": reason, "at": at, "by": whence(by)["by"]}
    insert_new(db, suppression, [row])


def lift(db: Connection, keys: Keys, address: str) -> bool:
    """Write to an address again: its owner asked for it; False when it was never left alone."""
    query = delete(suppression).where(suppression.c.mark.in_(keys.marks(address)))
    return db.execute(query).rowcount > 0


def among(db: Connection, keys: Keys, addresses: Iterable[str]) -> dict[str, str]:
    """Which of these must not be written to, and why."""
    marks = {mark: address for address in addresses for mark in keys.marks(address)}
    query = select(suppression.c.mark, suppression.c.reason)
    found = db.execute(query.where(named(db, suppression.c.mark, marks)))
    return {marks[row.mark]: row.reason for row in found}
