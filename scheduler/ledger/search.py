"""Finding people by what somebody types: part of a name, an address or a number."""

import unicodedata
from functools import lru_cache

from sqlalchemy import Column, ColumnElement, Connection, or_, select

from scheduler.ledger.people import Person, from_row, joined
from scheduler.ledger.tables import subscriber


def search(db: Connection, words: str, most: int) -> tuple[list[Person], int]:
    """The first people whose name, address or id holds each word, and how many there are.

    Accents and capitals do not count: chloe is Chloé. The database leaves out whom it can; where
    there are accents it cannot say. What follows the @ counts when it is asked for.
    """
    name, email, who = subscriber.c.name, subscriber.c.email, subscriber.c.id
    wanted = folded(words).split()
    other, than = ("GLOB", "*[^ -~]*") if db.dialect.name == "sqlite" else ("~", "[^ -~]")
    query = select(who, name, email)
    for word in wanted:
        like = f"%{word.translate(LITERAL)}%"
        home = like if "@" in word else f"{like}@%"
        holds = (_like(db, name, like), _like(db, email, home), _like(db, who, like))
        query = query.where(or_(*holds, name.op(other)(than)))
    found = [
        (row[1], row[0])
        for row in db.execute(query)
        if row[1].isascii() or all(word in folded(" ".join(row)) for word in wanted)
    ]
    first = [which for _, which in sorted(found)[:most]]
    rows = db.execute(joined().where(who.in_(first)).order_by(name, who)).mappings()
    return [from_row(row) for row in rows], len(found)


def _like(db: Connection, column: Column[str], pattern: str) -> ColumnElement[bool]:
    """Capitals or not; SQLite's LIKE is that way by itself, and quicker."""
    held = column.like if db.dialect.name == "sqlite" else column.ilike
    return held(pattern, "\\")


LITERAL = str.maketrans({sign: f"\\{sign}" for sign in "\\%_"})  # in a pattern of LIKE


@lru_cache(maxsize=20_000)
def folded(text: str) -> str:
    """A text as it is compared: small letters without accents.

    Kept, since every search comes past all names with accents.
    """
    if text.isascii():
        return text.lower()
    whole = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in whole if not unicodedata.combining(character))
