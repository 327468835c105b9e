"""The audit's trail: who did what to whom, when, from where; never a patient's name or words.

1. A line about a patient holds the enrolment's opaque id; a line about staff holds none.
2. A look at a patient is a line too, one for each thing that somebody looks at in ten minutes. It
   stands in the audit only, not among the changes of a person.
3. Whoever acts says who they are and where in one value, `rosa@example.org · 10.0.0.7`; the line
   keeps the two apart.
4. The database itself refuses to change or delete a line.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, case, func, insert, or_, select

from scheduler.ledger import people
from scheduler.ledger.people import Person
from scheduler.ledger.tables import audit, enrolment

READ = "read"
AT = " · "  # between who acts and from where
AGAIN = timedelta(minutes=10)  # after which a second look is told again


@dataclass(frozen=True)
class Line:
    """A line of the audit: what was done (UTC), by whom, to the person with which id, if to one.

    `place` is from where: a network address, a file, the command line; empty if nobody said.
    """

    at: datetime
    by: str
    who: str
    action: str
    words: str
    batch: str | None
    number: int = 0
    enrolment: str | None = None
    place: str = ""


@dataclass(frozen=True)
class Wanted:
    """Which lines: each part left empty asks for all; `until` is the first instant after them.

    `by` is a part of who did it, or of the place.
    """

    by: str = ""
    action: str = ""
    who: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None


def newest(db: Connection, who: str | None, most: int) -> list[Line]:
    """The newest changes, of one person or of all, oldest first."""
    changed = audit.c.enrolment_id.is_not(None), audit.c.action != READ
    query = _LINES.where(*changed).limit(most)
    if who:
        query = query.where(enrolment.c.subscriber_id == who)
    return [*_lines(db, query)][::-1]


def lines(db: Connection, wanted: Wanted, most: int | None = None) -> Iterator[Line]:
    """All kinds of lines, the newest first."""
    query, asked = _LINES.limit(most), wanted
    if asked.by:
        told = (each.icontains(asked.by, autoescape=True) for each in (audit.c.by, audit.c.place))
        query = query.where(or_(*told))
    if asked.action:
        query = query.where(audit.c.action == asked.action)
    if asked.who:
        query = query.where(enrolment.c.subscriber_id == asked.who)
    if asked.since:
        query = query.where(audit.c.at >= asked.since)
    if asked.until:
        query = query.where(audit.c.at < asked.until)
    if asked.before:
        query = query.where(audit.c.id < asked.before)
    return _lines(db, query)


def actions(db: Connection) -> list[str]:
    """Every action that the audit knows."""
    return [*db.scalars(select(audit.c.action).distinct().order_by(audit.c.action))]


_LINES = (
    select(audit, enrolment.c.subscriber_id)
    .outerjoin(enrolment, enrolment.c.id == audit.c.enrolment_id)
    .order_by(audit.c.id.desc())
)


def _lines(db: Connection, query: Select[Any]) -> Iterator[Line]:
    gone = "somebody no longer known"
    for row in db.execute(query.execution_options(yield_per=1000)):
        who = row.subscriber_id or (gone if row.enrolment_id else "")
        more = row.batch, row.id, row.enrolment_id, row.place or ""
        yield Line(row.at, row.by, who, row.action, row.words, *more)


@dataclass(frozen=True)
class Import:
    """What was written under one batch: how many people were new, how many known ones changed."""

    name: str
    at: datetime
    by: str
    new: int
    changed: int


def imports(db: Connection, most: int, name: str | None = None) -> list[Import]:
    """The imports, or the one of a name, the newest first."""
    new = func.sum(case((audit.c.action == "enrol", 1), else_=0))
    about = audit.c.batch, func.min(audit.c.at), func.min(audit.c.by), new, func.count()
    query = select(*about).where(audit.c.batch == name if name else audit.c.batch.is_not(None))
    rows = db.execute(
        query.group_by(audit.c.batch).order_by(func.min(audit.c.id).desc()).limit(most)
    )
    return [Import(name, at, by, new, every - new) for name, at, by, new, every in rows]


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


def whence(by: str) -> dict[str, str]:
    """Who acts, and from where, as a line keeps them."""
    who, _, place = by.partition(AT)
    return {"by": who, "place": place}


def tell(
    db: Connection, enrolment_id: str | None, action: str, words: str, *, at: datetime, by: str
) -> None:
    """Write a line about something that changes no field of a person, or is about none."""
    row = {"at": at, "action": action, "enrolment_id": enrolment_id, "words": words}
    db.execute(insert(audit).values(row | whence(by)))


def looked(db: Connection, enrolment_id: str, words: str, *, at: datetime, by: str) -> bool:
    """Whether a look at the same is told already, from the last ten minutes."""
    actor = (audit.c[name] == value for name, value in whence(by).items())
    same = audit.c.enrolment_id == enrolment_id, audit.c.words == words
    query = select(audit.c.id).where(*same, *actor, audit.c.action == READ, audit.c.at > at - AGAIN)
    return db.execute(query.limit(1)).first() is not None
