"""A database of each earlier version opens with today's program, and the course goes on.

data/upgrade/ holds one of each, as it was: Amy's first appointment is on Mon 16 Nov 2026, her
welcome went the next morning at a quarter past ten, and she skips the scans.
"""

import json
import sqlite3
from pathlib import Path

import pytest
from conftest import Clinic
from sqlalchemy import Connection, text

from scheduler.ledger.database import Database
from scheduler.ledger.tables import HEAD
from scheduler.letters.editions import Press
from scheduler.material import Material

OLD = sorted((Path(__file__).parent / "data" / "upgrade").glob("*.sql"))
DUE = "2026-11-24T10:15Z"
TOO_SOON = "2026-11-24T10:14Z"


def old_database(dump: Path, url: str) -> None:
    """The dump as a file of its own, or its rows in PostgreSQL's tables of that version."""
    words = dump.read_text()
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as db:
            db.executescript(words)
        db.close()
        return
    rows = [line for line in words.splitlines() if line.startswith("INSERT")]

    def fill(db: Connection) -> None:
        db.execute(text("SET LOCAL TIME ZONE 'UTC'"))
        db.execute(text("SET LOCAL session_replication_role = replica"))  # rows in any order
        for row in rows:
            if "alembic_version" not in row:
                db.exec_driver_sql(row)

    database = Database(url)
    with database.rebuild(dump.stem, fill):
        pass
    database.close()


def test_there_is_a_database_of_every_version(root: Path) -> None:
    versions = (root / "scheduler" / "ledger" / "migrations" / "versions").glob("m0*.py")
    assert [dump.stem for dump in OLD] == sorted(path.name[1:5] for path in versions)
    assert OLD[-1].stem == HEAD


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
