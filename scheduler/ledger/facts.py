"""Single facts that the service remembers between two runs."""

from sqlalchemy import Connection, select, update

from scheduler.ledger.tables import fact, insert_new

CONSENT = "consent "  # then a version: the words that somebody agreed to


def get(db: Connection, name: str) -> str | None:
    """What was put under a name."""
    return db.execute(select(fact.c.value).where(fact.c.name == name)).scalar()


def put(db: Connection, name: str, value: str) -> None:
    """Remember a fact in place of the one before."""
    if not db.execute(update(fact).where(fact.c.name == name).values(value=value)).rowcount:
        insert_new(db, fact, [{"name": name, "value": value}])
