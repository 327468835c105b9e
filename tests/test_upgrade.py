"""A database of each release opens with today's program, and the course goes on.

data/upgrade/ holds one of each release, as it was (`0.1.0-0005.sql`: release and schema), and one
of each schema before the first release. Amy's first appointment is on Mon 16 Nov 2026, her welcome
went the next morning at a quarter past ten, and she skips the scans.
"""

import json
import re
import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Clinic
from sqlalchemy import Connection, text

from scheduler.ledger.database import Database
from scheduler.ledger.tables import HEAD
from scheduler.letters.editions import Press
from scheduler.material import Material

OLD = sorted((Path(__file__).parent / "data" / "upgrade").glob("*.sql"), key=lambda d: d.stem[-4:])
RELEASED = {dump.stem[:-5]: dump for dump in OLD if "-" in dump.stem}
DUE = "2026-11-24T10:15Z"
TOO_SOON = "2026-11-24T10:14Z"
HEADING = re.compile(r"^## (\d+\.\d+\.\d+) — \d{4}-\d{2}-\d{2}$", re.MULTILINE)


def schema_of(dump: Path) -> str:
    return dump.stem[-4:]


def old_database(dump: Path, url: str) -> None:
    """The dump as a file of its own, or its rows in PostgreSQL's tables of that version."""
    words = dump.read_text()
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as db:
            db.executescript(words)
        return
    rows = [line for line in words.splitlines() if line.startswith("INSERT")]

    def fill(db: Connection) -> None:
        db.execute(text("SET LOCAL TIME ZONE 'UTC'"))
        db.execute(text("SET LOCAL session_replication_role = replica"))  # rows in any order
        for row in rows:
            if "alembic_version" not in row:
                db.exec_driver_sql(row)

    database = Database(url)
    with database.rebuild(schema_of(dump), fill):
        pass
    database.close()


def made(database: sqlite3.Connection | Connection) -> dict[str, str]:
    """What tables, indices and triggers there are, in the words that made them."""
    ask = database.execute if isinstance(database, sqlite3.Connection) else database.exec_driver_sql
    rows = ask("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {name: " ".join(sql.split()) for name, sql in rows}


def test_there_is_a_database_of_every_release(root: Path) -> None:
    changes = (root / "CHANGELOG.md").read_text()
    releases = HEADING.findall(changes)
    assert releases == [*RELEASED][::-1]
    assert releases[0] == tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    assert "## Unreleased" in changes or schema_of(RELEASED[releases[0]]) == HEAD


@pytest.mark.parametrize("release", RELEASED)
def test_no_migration_that_was_released_is_changed(release: str, tmp_path: Path) -> None:
    """A clinic's database has run it already: what is new is a migration of its own."""
    dump = RELEASED[release]
    with closing(sqlite3.connect(":memory:")) as old:
        old.executescript(dump.read_text())
        released = made(old)
    today: dict[str, str] = {}
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    with database.rebuild(schema_of(dump), lambda db: today.update(made(db))):
        pass
    database.close()
    assert today == released


@pytest.fixture(scope="module")
def press(root: Path, material: Material) -> Press:
    """Compiled once: the letters are the same for every version."""
    return Press(material, root / "templates")


@pytest.mark.parametrize("dump", OLD, ids=lambda dump: dump.stem)
def test_a_database_of_an_earlier_version_opens_and_the_next_letter_goes_on_its_date(
    dump: Path, ledger: str, clinic: Clinic, press: Press, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.cli.desk.Press", lambda *_: press)
    old_database(dump, ledger)
    monkeypatch.setenv("PHYSIOPOST_DATABASE", ledger)
    assert clinic.physiopost("send", "--now", TOO_SOON).out == "nothing is due\n"
    assert clinic.physiopost("send", "--now", DUE).out == "1 accepted\n"
    [letter] = clinic.letters()
    assert b"To: amy.jones@example.org" in letter.read_bytes()
    [amy] = json.loads(clinic.physiopost("plan", "amy", "--json", "--now", DUE).out)
    states = {letter["lesson"]: letter["state"] for letter in amy["letters"]}
    assert [lesson for lesson in states if states[lesson] == "sent"] == ["welcome", "what-it-is"]
    assert states["scans"] == "skipped"
