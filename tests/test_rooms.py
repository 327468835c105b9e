"""The house of scheduler/: a room imports only from the floors below it."""

import ast
from pathlib import Path

import pytest

FLOORS = (
    *("findings", "settings", "keys", "material", "plan", "letters", "checks", "ledger", "roster"),
    *("delivery", "tailoring", "access", "keeping", "vault", "backup", "doctor", "simulate"),
    *("worker", "web", "cli"),
)
ACTS = {"sqlite3", "socket", "smtplib", "urllib", "sqlalchemy", "sendgrid", "os", "time"}


def imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def rooms(root: Path) -> list[tuple[Path, str]]:
    files = (root / "scheduler").rglob("*.py")
    named = [
        (file, file.relative_to(root / "scheduler").parts[0].removesuffix(".py")) for file in files
    ]
    return [(file, room) for file, room in named if room not in ("__init__", "__main__")]


def test_imports_run_one_way_from_what_acts_to_what_decides(root: Path) -> None:
    upwards = [
        f"{file.relative_to(root)} imports {name}"
        for file, room in rooms(root)
        for name in imports(file)
        if name.startswith("scheduler.") and FLOORS.index(name.split(".")[1]) > FLOORS.index(room)
    ]
    assert upwards == []


@pytest.mark.parametrize("room", ["plan", "letters"])
def test_what_decides_opens_no_database_and_no_socket(root: Path, room: str) -> None:
    used = {
        name.split(".")[0] for file, its in rooms(root) if its == room for name in imports(file)
    }
    assert used & ACTS == set()


def test_only_what_acts_reads_a_clock(root: Path) -> None:
    readers = {
        room
        for file, room in rooms(root)
        if ".now(" in file.read_text() or "time()" in file.read_text()
    }
    assert readers <= {"cli", "simulate"}


def test_only_the_ledger_knows_sql(root: Path) -> None:
    others = {
        (room, name)
        for file, room in rooms(root)
        for name in imports(file)
        if name.startswith(("sqlalchemy", "alembic")) and room != "ledger"
    }
    typed = ("delivery", "roster", "tailoring", "web")  # they pass a Connection on
    assert others <= {(room, "sqlalchemy") for room in typed}


def test_a_module_stays_one_noun_long(root: Path) -> None:
    long = {
        str(file.relative_to(root)): lines
        for file, _ in rooms(root)
        if (lines := len(file.read_text().splitlines())) > 350
    }
    assert long == {}
