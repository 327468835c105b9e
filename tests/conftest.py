"""What every test may ask for."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import NoReturn

import pytest
from postgres import Server, programs, server
from sqlalchemy import Engine

from scheduler.cli import main
from scheduler.ledger import database
from scheduler.material import Material, read_material
from scheduler.material.signoff import BLOCKS, Signature, content_hash
from scheduler.settings import Settings

SIGN = ("sign", "all", "--name", "Rosa Example", "--registration", "PH123456", "--yes")


def signed(material: Material) -> Material:
    """The material as if a physiotherapist had signed all of it."""
    signatures = {
        what: Signature(
            what=what,
            sha256=content_hash(material, what),
            name="Rosa Example",
            registration="PH123456",
            signed_on=date(2026, 11, 1),
        )
        for what in (*material.course.by_slug, BLOCKS)
    }
    return replace(material, signatures=signatures)


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


class Clinic:
    """A folder with a course, a clinic and a roster of its own, and the command run inside it."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capture = folder, capture

    def physiopost(self, *words: str) -> Said:
        """Type a command; the environment is whatever the test has set."""
        self.capture.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", ["physiopost", *words])
            with pytest.raises(SystemExit) as exited:
                main()
        out, err = self.capture.readouterr()
        return Said(int(exited.value.code or 0), out, err)

    def write(self, name: str, text: str) -> Path:
        """Put a file in place of the one that is there."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def replace(self, name: str, old: str, new: str) -> None:
        """Edit a file as a person would."""
        text = (self.folder / name).read_text(encoding="utf-8")
        assert old in text, f"{name} has no {old!r}"
        self.write(name, text.replace(old, new, 1))

    def environment(self, root: Path) -> dict[str, str]:
        """For a command in a process of its own."""
        return os.environ | {"PYTHONPATH": str(root)}

    def letters(self) -> list[Path]:
        """What lies in the outbox."""
        return sorted((self.folder / "var" / "outbox" / "new").glob("*.eml"))


@pytest.fixture
def clinic(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Clinic:
    """The shipped example, copied, with nothing of this machine's settings."""
    for name in ("course", "templates"):
        shutil.copytree(root / name, tmp_path / name)
    for name in ("clinic.yaml", "subscribers.yaml"):
        shutil.copy(root / name, tmp_path / name)
        (tmp_path / name).chmod(0o600)
    for name in [name for name in os.environ if name.startswith(("PHYSIOPOST_", "SENDGRID_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PHYSIOPOST_COURSE", "course")
    monkeypatch.setenv("PHYSIOPOST_TEMPLATES", "templates")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    return Clinic(tmp_path, capsys)


@pytest.fixture(scope="session")
def material(root: Path) -> Material:
    """The shipped course and clinic."""
    places = {"PHYSIOPOST_CLINIC": str(root / "clinic.yaml")}
    return read_material(Settings.from_environment(places))


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the checkout."""
    return Path(__file__).parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests go first, so that none of them runs on alone at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A new SQLite database begins as a copy of one that was migrated, in a tenth of the time.

    The migrations themselves are held to their word by test_upgrade.py and the tests that start
    processes.
    """
    migrated = tmp_path_factory.mktemp("tables") / "new.db"
    database.Database(f"sqlite:///{migrated}").close()
    migrate = database._migrate  # noqa: SLF001 - what a new database would go through

    def copy(engine: Engine, version: str | None) -> None:
        if version or engine.name != "sqlite":
            migrate(engine, version)
            return
        with closing(engine.raw_connection()) as new, closing(sqlite3.connect(migrated)) as old:
            assert isinstance(new.driver_connection, sqlite3.Connection)
            old.backup(new.driver_connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_migrate", copy)
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server; `postgres.database()` is the address of a new database."""
    if (found := programs()) is None:
        _skip_or_fail("PostgreSQL is not installed here")
    with server(found) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a new database, once of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    running: Server = request.getfixturevalue("postgres")
    return running.database()


@pytest.fixture(scope="session")
def skip_or_fail() -> Callable[[str], NoReturn]:
    """Skip with the reason; under CI, where nothing may go untested, fail with it."""
    return _skip_or_fail


@pytest.fixture(scope="session")
def needs() -> Callable[[str], str]:
    """`needs("chromium")` is the program's path; without the program the test does not run."""

    def path_of(program: str) -> str:
        path = shutil.which(program)
        if path is None:
            _skip_or_fail(f"{program} is not installed here")
        return path

    return path_of


def _skip_or_fail(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (with CI=true this is a failure)")
    pytest.skip(reason)
