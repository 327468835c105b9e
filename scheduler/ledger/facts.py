"""Single facts that the service remembers between two runs."""

from sqlalchemy import Connection, delete, insert, select

from scheduler.ledger.tables import fact


def get(db: Connection, name: str) -> str | None:
    """What was put under a name."""
    return db.execute(select(fact.c.value).where(fact.c.name == name)).scalar()


def put(db: Connection, name: str, value: str) -> None:
    """Remember a fact in place of the one before."""
    db.execute(delete(fact).where(fact.c.name == name))
    db.execute(insert(fact).values(name=name, value=value))
