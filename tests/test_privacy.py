"""docs/privacy.md and the files on the disk: everything is explained, and for its owner only."""

import os
import re
import stat
from email import message_from_bytes
from pathlib import Path

import pytest
from conftest import Clinic
from sqlalchemy import select
from test_round import WELCOME

from scheduler.keys import PROOF, Keys
from scheduler.ledger import staff
from scheduler.ledger.database import Database
from scheduler.ledger.suppressions import suppress
from scheduler.ledger.tables import metadata

THIEF = ("yes", "no", "opaque")
OTHERS = stat.S_IRWXG | stat.S_IRWXO


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "privacy.md").read_text()


def chapters(page: str) -> dict[str, str]:
    """What stands below the heading of each table."""
    every = page.partition("## Every column")[2]
    return {part.split("\n")[0].strip(): part for part in every.split("\n### ")[1:]}


def entries(chapter: str) -> dict[str, list[str]]:
    found = re.findall(r"^\| `(\w+)` \|(.+)\|$", chapter, re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split(" | ")] for name, rest in found}


def test_every_column_of_every_table_is_explained_and_nothing_else_is(page: str) -> None:
    told = {table: list(entries(chapter)) for table, chapter in chapters(page).items()}
    kept = {table.name: [column.name for column in table.c] for table in metadata.sorted_tables}
    assert told == kept


def test_each_says_what_it_holds_and_whether_a_thief_reads_it(page: str) -> None:
    for table, chapter in chapters(page).items():
        assert re.search(r"^Whose: .+ Kept: .+\.$", chapter, re.MULTILINE), table
        for name, (holds, thief) in entries(chapter).items():
            assert len(holds) > 3, name
            assert thief.startswith(THIEF), name


def test_an_entry_that_is_missing_or_too_many_would_be_noticed(page: str) -> None:
    less = page.replace("| `note` |", "| note |", 1)
    assert "note" not in entries(chapters(less)["enrolment"])
    assert entries(chapters(page)["enrolment"])["note"][1] == "yes"


def test_what_no_thief_reads_stands_in_no_row_as_it_is(tmp_path: Path, page: str) -> None:
    """The columns that the page says `no` of, filled by the code that fills them."""
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    keys = Keys(["a secret of the tests"], "https://letters.example.org")
    with database.write() as db:
        suppress(db, keys, "carl@example.org", reason="stopped", at=WELCOME, by="staff")
        invitation = staff.invite(db, "priya@example.org", "Priya", "admin", WELCOME)
        member = staff.invited(db, invitation, WELCOME)
        assert member
        token = staff.open_session(db, member, WELCOME)
        staff.fail(db, keys.marks("who:carl@example.org")[0], WELCOME)
    with database.read() as db:
        rows = {
            table.name: repr(db.execute(select(table)).all()) for table in metadata.sorted_tables
        }
    for table, chapter in chapters(page).items():
        if any(thief == "no" for _, thief in entries(chapter).values()):
            for word in ("carl", invitation, token):
                assert word not in rows[table], table
    database.close()


def test_a_copy_of_the_database_opens_no_patients_page_and_still_shows_what_was_received(
    clinic: Clinic,
) -> None:
    clinic.physiopost("enrol", "--now", "2026-11-23T15:00Z")
    clinic.physiopost("send", "--now", "2026-11-24T09:30Z")
    message = message_from_bytes(clinic.letters()[0].read_bytes())
    proof = message["List-Unsubscribe"].strip("<>")[-PROOF:].encode()
    for file in (clinic.folder / "var").glob("physiopost.db*"):
        assert proof not in file.read_bytes()
    clinic.physiopost("export", "amy", "--to", "amy")
    kept = [file.read_bytes() for file in (clinic.folder / "amy" / "letters").glob("*.eml")]
    assert kept == [file.read_bytes() for file in clinic.letters() if b"amy" in file.read_bytes()]


# Files


def open_to_others(*places: Path) -> list[str]:
    """Which of these others on the machine may look into."""
    return [each.name for each in places if each.stat().st_mode & OTHERS]


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_whatever_holds_patients_is_made_for_its_owners_eyes_only(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, umask: int
) -> None:
    before = os.umask(umask)
    monkeypatch.setenv("PHYSIOPOST_SECRET", "0123456789abcdef" * 2)
    try:
        clinic.physiopost("enrol", "--now", "2026-11-23T15:00Z")
        clinic.physiopost("send", "--now", "2026-11-24T09:30Z")
        clinic.physiopost("backup")
        clinic.physiopost("export", "amy", "--to", "amy")
        Database("sqlite:///deep/down/a.db").close()
    finally:
        os.umask(before)
    var, amy = clinic.folder / "var", clinic.folder / "amy"
    backups = list((var / "backups").iterdir())
    assert backups
    assert clinic.letters()
    made = [var / "outbox", *clinic.letters(), var / "backups", *backups, amy, amy / "letters"]
    made += [*var.glob("physiopost.db*"), clinic.folder / "deep" / "down" / "a.db"]
    assert open_to_others(*made) == []
