"""The whole ledger as lines of JSON, the same for SQLite and PostgreSQL, and back.

    {"schema": "0005", "at": "2026-11-24T02:00:00+00:00"}
    {"table": "subscriber", "columns": ["id", …]}
    ["amy", …]
    …
    {"rows": {"subscriber": 1, …}}

Who is signed in and who mistyped a password stays out: after a restore everybody signs in anew.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import Column, Connection, Date, Table, func, select, text

from scheduler.ledger.bulk import put
from scheduler.ledger.tables import HEAD, Utc, failure, insert_new, metadata, session, suppression

LEFT_OUT = (session, failure)
PART = 1000  # rows that are held in memory


def lines(db: Connection, at: datetime) -> Iterator[bytes]:
    """Every row of one consistent look that began at an instant (UTC) or after it."""
    yield orjson.dumps({"schema": HEAD, "at": at})
    counts: dict[str, int] = {}
    for table in metadata.sorted_tables:
        if table in LEFT_OUT:
            continue
        name = f"{table.name}"  # a plain str: JSON takes no other for a key
        yield orjson.dumps({"table": name, "columns": [column.name for column in table.c]})
        counts[name] = 0
        for row in db.execute(select(table).execution_options(yield_per=PART)):
            yield orjson.dumps(tuple(row))
            counts[name] += 1
    yield orjson.dumps({"rows": counts})


def head(first: bytes) -> tuple[str, datetime]:
    """The schema that the first line names, and when the look began."""
    said = orjson.loads(first)
    return said["schema"], datetime.fromisoformat(said["at"])


def counted(rest: Iterable[bytes]) -> dict[str, int]:
    """How many rows of each table there are; ValueError unless the last line says the same."""
    return _tally(rest, lambda *_: None)


def load(db: Connection, rest: Iterable[bytes]) -> dict[str, int]:
    """Put the rows into empty tables; ValueError as counted()."""
    counts = _tally(rest, lambda table, rows: put(db, table, rows))
    if db.dialect.name == "postgresql":  # where the next number comes from
        for table in (metadata.tables[name] for name in counts):
            for key in table.primary_key.columns:
                if key.autoincrement is True or key is table.autoincrement_column:
                    last = select(func.max(key)).scalar_subquery()
                    place = func.pg_get_serial_sequence(table.name, key.name)
                    db.execute(select(func.setval(place, last)).where(last.is_not(None)))
    return counts


def holds_people(db: Connection) -> bool:
    """Whether there is anybody in this ledger."""
    return db.execute(text("SELECT 1 FROM subscriber LIMIT 1")).first() is not None


def marks(db: Connection) -> list[Mapping[str, Any]]:
    """The addresses that must not be written to, by their marks."""
    return [dict(row) for row in db.execute(select(suppression)).mappings()]


def add_marks(db: Connection, known: list[Mapping[str, Any]]) -> None:
    """Go on leaving these alone."""
    insert_new(db, suppression, known)


def _tally(
    rest: Iterable[bytes], take: Callable[[Table, list[dict[str, Any]]], None]
) -> dict[str, int]:
    """Hand the rows over, a part at a time, and count them."""
    counts: dict[str, int] = {}
    table, columns = metadata.tables["subscriber"], list[str]()
    part: list[dict[str, Any]] = []
    for line in rest:
        said = orjson.loads(line)
        if isinstance(said, list):
            values = zip(columns, said, strict=True)
            part.append({name: _value(table.c[name], value) for name, value in values})
        if part and (len(part) == PART or isinstance(said, dict)):
            take(table, part)
            counts[table.name] += len(part)
            part = []
        if isinstance(said, dict) and "table" in said:
            table, columns = metadata.tables[said["table"]], said["columns"]
            counts[table.name] = 0
        elif isinstance(said, dict):
            if said["rows"] != counts:
                break
            return counts
    raise ValueError("rows are missing")


def _value(column: Column[Any], value: Any) -> Any:
    """What JSON holds, as the column takes it."""
    match column.type:
        case Utc():
            return value and datetime.fromisoformat(value)
        case Date():
            return value and date.fromisoformat(value)
    return value
