"""The database: its migrations make its tables, and it keeps a lesson from going twice."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Executable, delete, insert, text, update
from sqlalchemy.exc import DatabaseError, StatementError

from scheduler.findings import NotDone, WrongInput
from scheduler.ledger import facts, trail
from scheduler.ledger.database import Database
from scheduler.ledger.tables import HEAD, audit, delivery, enrolment, metadata


@pytest.fixture
def database(ledger: str) -> Iterator[Database]:
    """On SQLite and on PostgreSQL."""
    opened = Database(ledger)
    yield opened
    opened.close()


def test_the_migrations_make_exactly_the_tables_that_the_code_uses(database: Database) -> None:
    with database.read() as db:
        assert compare_metadata(MigrationContext.configure(db), metadata) == []


def test_the_newest_migration_is_the_one_that_the_code_expects(root: Path) -> None:
    scripts = ScriptDirectory(str(root / "scheduler" / "ledger" / "migrations"))
    assert scripts.get_current_head() == HEAD


def test_a_database_that_is_opened_again_keeps_what_it_has(database: Database, ledger: str) -> None:
    with database.write() as db:
        facts.put(db, "kept", "yes")
    again = Database(ledger)
    with again.read() as db:
        assert facts.get(db, "kept") == "yes"


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    def half_done() -> None:
        with database.write() as db:
            facts.put(db, "half", "done")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half_done()
    with database.read() as db:
        assert facts.get(db, "half") is None


@pytest.mark.parametrize("statement", [delete(audit), update(audit).values(by="nobody")])
def test_the_database_itself_lets_no_line_of_the_audit_be_changed(
    database: Database, statement: Executable
) -> None:
    with database.write() as db:
        trail.tell(db, "e1", "move", "the start", at=datetime.now(UTC), by="priya@example.org")

    def tamper() -> None:
        with database.engine.begin() as db:
            db.execute(statement)

    with pytest.raises(DatabaseError, match="the audit only grows"):
        tamper()


def test_a_newer_database_is_left_alone(database: Database, ledger: str) -> None:
    with database.write() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NotDone, match=r"newer version \(9999\)"):
        Database(ledger)


@pytest.mark.parametrize("url", ["sqlite:////proc/nowhere/x.db", "sqlite:////etc/passwd/x.db"])
def test_a_database_that_cannot_be_opened_is_said_in_a_line(url: str) -> None:
    with pytest.raises(NotDone, match="the database"):
        Database(url)


def test_a_database_of_a_kind_that_is_not_installed_is_wrong_input() -> None:
    with pytest.raises(WrongInput, match="PHYSIOPOST_DATABASE"):
        Database("oracle://nowhere/x")


def test_an_instant_without_a_zone_is_refused(database: Database) -> None:
    naive = datetime(2026, 11, 23, 9, 30)  # noqa: DTZ001 - that is the point
    with pytest.raises(StatementError), database.read() as db:
        db.execute(enrolment.select().where(enrolment.c.next_due_at < naive))


def test_the_same_lesson_cannot_be_claimed_twice_for_one_enrolment(database: Database) -> None:
    now = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
    row = {
        "enrolment_id": "e",
        "lesson": "welcome",
        "state": "claimed",
        "edition": "h",
        "merge": {},
        "address": "a@example.org",
        "reasons": [],
        "outcome": "",
        "planned_for": now,
        "claimed_at": now,
        "lease_until": now,
        "fence": 1,
        "tries": 0,
        "looks": 0,
    }
    with database.write() as db:
        db.execute(text("INSERT INTO edition VALUES ('h', '{}')"))
        db.execute(text("INSERT INTO subscriber VALUES ('s', 's@x.org', 'S', '2026-11-23', '')"))
        db.execute(
            insert(enrolment).values(
                id="e",
                subscriber_id="s",
                enrolled_at=now,
                status="active",
                first_appointment=now.date(),
                hold=[],
                skip=[],
                owed=[],
                applied={},
            )
        )
        db.execute(insert(delivery).values(id="first", **row))
    with pytest.raises(NotDone, match="somebody else wrote the same"), database.write() as db:
        db.execute(insert(delivery).values(id="second", **row))
