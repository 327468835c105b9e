"""The numbers that show whether the service is well. None of them is about anybody."""

from datetime import datetime

from sqlalchemy import Connection, func, select

from scheduler.ledger.tables import attempt, audit, delivery, event


def by_state(db: Connection) -> dict[str, int]:
    """How many letters there are in each state."""
    query = select(delivery.c.state, func.count().label("number")).group_by(delivery.c.state)
    return {row.state: row.number for row in db.execute(query)}


def newest(db: Connection) -> datetime | None:
    """When something was written last (UTC)."""
    kept = (select(audit.c.at, audit.c.id), select(attempt.c.ended_at, attempt.c.id))
    last = [db.execute(query.order_by(query.selected_columns[1].desc()).limit(1)) for query in kept]
    return max((row[0] for found in last if (row := found.first())), default=None)


def heard(db: Connection, since: datetime) -> bool:
    """Whether an event about a letter came in since an instant."""
    query = select(event.c.id).where(event.c.taken_at >= since).limit(1)
    return db.execute(query).first() is not None
