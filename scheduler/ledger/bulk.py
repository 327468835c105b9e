"""Many rows at once: names as one parameter, rows in one go.

SQLAlchemy binds each name and each value by itself, which for a thousand letters takes longer than
the database's own work. Values go through the columns' types all the same.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    String,
    Table,
    any_,
    bindparam,
    column,
    func,
    insert,
    literal_column,
    select,
    text,
)

from scheduler.ledger.tables import Utc


def named(db: Connection, held: Column[str], names: Collection[str]) -> ColumnElement[bool]:
    """That a column holds one of these, however many they are."""
    if db.dialect.name == "sqlite":
        listed = func.json_each(bindparam(None, list(names), JSON))
        return held.in_(select(column("value")).select_from(listed))
    return held == any_(bindparam(None, list(names), ARRAY(String)))


def put(db: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that name the same columns."""
    if not rows:
        return
    names = list(rows[0])
    if db.dialect.name != "sqlite":  # PostgreSQL reads them all out of one parameter
        like: ColumnElement[Any] = literal_column(f"NULL::{table.name}")
        source = func.json_populate_recordset(like, bindparam(None, list(rows), JSON))
        read = select(text(", ".join(names))).select_from(source)
        db.execute(insert(table).from_select(names, read))
        return
    query, ways = _insertion(table, tuple(names), db.dialect)
    db.exec_driver_sql(query, [tuple([way(row[name]) for name, way in ways]) for row in rows])


@lru_cache
def _insertion(
    table: Table, names: tuple[str, ...], dialect: Dialect
) -> tuple[str, list[tuple[str, Callable[[Any], Any]]]]:
    """The statement, and each column in its order with how its values go to the driver."""
    query = insert(table).compile(dialect=dialect, column_keys=names)
    return str(query), [(name, _way(table.c[name], dialect)) for name in query.positiontup or ()]


def _way(held: Column[Any], dialect: Dialect) -> Callable[[Any], Any]:
    """The same few instants come in every row."""
    way = held.type.dialect_impl(dialect).bind_processor(dialect) or (lambda value: value)
    return lru_cache(maxsize=1000)(way) if isinstance(held.type, Utc) else way
