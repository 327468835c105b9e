"""Opening the database: pragmas, transactions, migrations.

SQLite runs with a write-ahead log and synchronous=FULL: what is committed survives a power cut. A
writing transaction begins with BEGIN IMMEDIATE, so that two processes queue instead of failing
half way. On PostgreSQL any number of processes work at once: rows are locked as they are claimed,
and migrations run under an advisory lock.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, create_engine, event, exc, inspect, make_url, text

from scheduler.findings import NotDone, wrong
from scheduler.ledger.tables import HEAD, metadata

WAIT = 30  # seconds for another writer to finish
CHECKPOINT = "wal_autocheckpoint=10000"  # pages of 4 kB: a big round tidies up less often
MIGRATING = 729_202_611  # the number of the lock; any will do that nobody else uses


WAYS: Mapping[str, Any] = {
    "hide_parameters": True,
    "json_serializer": lambda value: orjson.dumps(value).decode(),
    "json_deserializer": orjson.loads,
}


class Database:
    """One database, with the newest tables; `version` is theirs."""

    def __init__(self, url: str, *, migrate: bool = True) -> None:
        """Open and migrate.

        Raises:
            WrongInput: the address cannot be used.
            NotDone: the database cannot be opened, or is newer than this program.

        """
        try:
            self.engine = _engine(url)
            snapshot = {"isolation_level": "REPEATABLE READ"}
            self.reading = {} if self.engine.name == "sqlite" else snapshot
            self.version = _version(self.engine)
            if migrate and self.version != HEAD:
                _migrate(self.engine, self.version)
                self.version = HEAD
        except (exc.ArgumentError, exc.NoSuchModuleError, ModuleNotFoundError, ValueError):
            cure = "set sqlite:///FILE or postgresql+psycopg://…"
            raise wrong("PHYSIOPOST_DATABASE", None, "cannot be used", cure) from None
        except exc.DatabaseError as error:
            words = str(error.orig).splitlines()[0]
            raise NotDone(f"the database cannot be opened: {words}") from None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent look."""
        with _in_words(), self.engine.connect() as connection:
            reading = connection.execution_options(**self.reading)
            with reading.begin():
                yield reading

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, durable when it is left without an exception."""
        with _in_words(), self.engine.connect() as connection:
            writing = connection.execution_options(physiopost_write=True)
            with writing.begin():
                yield writing

    @contextmanager
    def rebuild(self, version: str, fill: Callable[[Connection], object]) -> Iterator[Connection]:
        """One transaction: a version's tables in place of all, filled, brought up to today's."""
        with _in_words(), _altering(self.engine) as altering:
            metadata.drop_all(altering)
            altering.execute(text("DROP TABLE alembic_version"))
            if self.engine.name == "postgresql":
                altering.execute(text("DROP FUNCTION IF EXISTS audit_grows"))
            _migrate_to(altering, version)
            fill(altering)
            _migrate_to(altering, "head")
            yield altering

    def flush(self) -> None:
        """Carry SQLite's log over into the file and empty it: what was erased is in neither."""
        if self.engine.name == "sqlite":
            connection = self.engine.raw_connection()
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()

    @property
    def kind(self) -> str:
        """Which database this is, and its version: `SQLite 3.46.1`."""
        with self.read():
            version = self.engine.dialect.server_version_info or ()
        name = "SQLite" if self.engine.name == "sqlite" else "PostgreSQL"
        return f"{name} {'.'.join(map(str, version))}"

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()


@contextmanager
def _in_words() -> Iterator[None]:
    """A database that is locked, full or gone, as one line; never the values of a statement."""
    try:
        yield
    except exc.IntegrityError:  # its words hold values
        raise NotDone("the database: somebody else wrote the same just now; try again") from None
    except exc.OperationalError as error:
        raise NotDone(f"the database: {str(error.orig).splitlines()[0]}") from None


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True, **WAYS)
    if parsed.database and parsed.database != ":memory:":
        folder = Path(parsed.database).parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or "cannot be made").lower()
            raise NotDone(f"the database's folder {folder}: {reason}") from None
        with suppress(OSError):  # what is wrong is said when it is opened
            Path(parsed.database).touch(mode=0o600)  # -wal and -shm follow it
    engine = create_engine(parsed, connect_args={"timeout": WAIT}, **WAYS)
    event.listen(engine, "connect", _pragmas)
    event.listen(engine, "begin", _begin)
    return engine


def _pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", CHECKPOINT):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("physiopost_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _version(engine: Engine) -> str | None:
    with engine.connect() as connection:
        known = inspect(connection).has_table("alembic_version")
        query = text("SELECT version_num FROM alembic_version")
        return connection.execute(query).scalar() if known else None


def _migrate(engine: Engine, version: str | None) -> None:
    """Bring the tables to HEAD; alembic is only loaded when there is something to do."""
    try:
        with _altering(engine) as altering:
            _migrate_to(altering, "head")
    except NoSuchVersion:
        words = f"the database is of a newer version ({version}) than this program ({HEAD})"
        raise NotDone(f"{words}; install the newer program") from None


@contextmanager
def _altering(engine: Engine) -> Iterator[Connection]:
    """One transaction that may make a table anew though rows of others point to it.

    SQLite looks at such rows in between, unless it is told not to before the transaction begins.
    """
    with engine.connect().execution_options(physiopost_write=True) as connection:
        ask = connection.connection.cursor().execute
        try:
            if engine.name == "sqlite":
                ask("PRAGMA foreign_keys=OFF")
            with connection.begin():
                yield connection
        finally:
            if engine.name == "sqlite":
                ask("PRAGMA foreign_keys=ON")


class NoSuchVersion(ValueError):
    """No migration of this program has that number."""


def _migrate_to(connection: Connection, version: str) -> None:
    """Bring the tables up to a version, within the caller's transaction.

    Raises:
        NoSuchVersion: it is not known here.

    """
    from alembic import command  # noqa: PLC0415 - a tenth of a second, once in a version
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATING})"))
    try:
        command.upgrade(config, version)
    except CommandError:
        raise NoSuchVersion from None
