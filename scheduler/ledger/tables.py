"""The tables. Every instant is UTC and says so; every date is a local date of the patient's."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.dialects import postgresql, sqlite

HEAD = "0005"
"""The newest migration; tests hold it against ledger/migrations."""


class Stamp(sqlite.DATETIME):
    """`2026-11-24 09:30:00.000000`: what SQLAlchemy writes too, in a fifth of the time."""

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], str | None]:  # noqa: ARG002
        """Leave out the zone, which is UTC."""
        return lambda at: at.isoformat(" ", "microseconds")[:26] if at else None


class Utc(TypeDecorator[datetime]):
    """An aware UTC instant. SQLite keeps no zone, so it is put back on the way out."""

    impl = DateTime(timezone=True).with_variant(Stamp(), "sqlite")  # type: ignore[no-untyped-call]
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Refuse an instant without a zone."""
        if value is not None and value.tzinfo is None:
            raise ValueError("an instant without a zone")
        return value.astimezone(UTC) if value and value.tzinfo is not UTC else value

    def process_result_value(self, value: Any, _dialect: Dialect) -> datetime | None:
        """UTC again."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


metadata = MetaData()


def insert_new(db: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, except those that another process has put there before."""
    insert = sqlite.insert if db.dialect.name == "sqlite" else postgresql.insert
    if rows:
        db.execute(insert(table).on_conflict_do_nothing(), rows)


subscriber = Table(
    "subscriber",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("email", String(320), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("consent", Date, nullable=False),
    Column("agreed_to", String(40)),
)

enrolment = Table(
    "enrolment",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("subscriber_id", ForeignKey("subscriber.id"), nullable=False, index=True),
    Column("enrolled_at", Utc, nullable=False),
    Column("status", String(20), nullable=False),
    Column("first_appointment", Date, nullable=False),
    Column("start", Date),
    Column("send_at", String(5)),
    Column("timezone", String(64)),
    Column("pace", Integer),
    Column("hold", JSON, nullable=False),
    Column("skip", JSON, nullable=False),
    Column("owed", JSON, nullable=False),
    Column("anchor", JSON),
    Column("physiotherapist", Text),
    Column("note", Text),
    Column("applied", JSON, nullable=False),
    Column("next_due_at", Utc, index=True),
    Column("replaced_at", Utc),
    Column("style", String(10)),
    Column("call_asked_at", Utc),
    Column("at_once", Utc),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("enrolment_id", ForeignKey("enrolment.id"), nullable=False),
    Column("lesson", String(80), nullable=False),
    Column("state", String(10), nullable=False),
    Column("edition", ForeignKey("edition.hash"), nullable=False),
    Column("merge", JSON, nullable=False),
    Column("address", String(320), nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("planned_for", Utc, nullable=False),
    Column("claimed_at", Utc, nullable=False),
    Column("lease_until", Utc, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("settled_at", Utc),
    Column("reference", Text),
    Column("outcome", Text, nullable=False),
    Column("looks", Integer, nullable=False),
    Column("looked_at", Utc),
    Column("fate", String(20)),
    UniqueConstraint("enrolment_id", "lesson"),
    Index("ix_delivery_lease", "state", "lease_until"),
    Index("ix_delivery_reference", "reference"),
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("delivery_id", String(32), nullable=False, index=True),
    Column("fence", Integer, nullable=False),
    Column("began_at", Utc, nullable=False),
    Column("ended_at", Utc, nullable=False),
    Column("result", String(10), nullable=False),
    Column("reason", Text, nullable=False),
)

event = Table(
    "event",
    metadata,
    Column("id", String(100), primary_key=True),
    Column("delivery_id", String(32), index=True),
    Column("kind", String(40), nullable=False),
    Column("at", Utc),
    Column("taken_at", Utc, nullable=False),
    Column("reason", Text, nullable=False),
)

suppression = Table(
    "suppression",
    metadata,
    Column("mark", String(32), primary_key=True),
    Column("reason", String(20), nullable=False),
    Column("at", Utc, nullable=False),
    Column("by", Text, nullable=False),
)

edition = Table(
    "edition",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("content", Text, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Utc, nullable=False),
    Column("by", Text, nullable=False),
    Column("action", String(20), nullable=False),
    Column("enrolment_id", String(32), index=True),
    Column("batch", String(32), index=True),
    Column("words", Text, nullable=False),
    Column("place", Text),
)

undo = Table(
    "undo",
    metadata,
    Column("audit_id", ForeignKey("audit.id"), primary_key=True),
    Column("before", JSON),
)

fact = Table(
    "fact",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)

staff = Table(
    "staff",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("email", String(320), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("role", String(20), nullable=False),
    Column("password", Text, nullable=False),
    Column("invite", String(64)),
    Column("invited_at", Utc),
    Column("ended_at", Utc),
    Column("totp", Text),
    Column("totp_used", Integer),
)

session = Table(
    "session",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("staff_id", ForeignKey("staff.id"), nullable=False, index=True),
    Column("began_at", Utc, nullable=False),
    Column("seen_at", Utc, nullable=False),
)

failure = Table(
    "failure",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("mark", String(32), nullable=False, index=True),
    Column("at", Utc, nullable=False),
)
