"""A PostgreSQL server of the tests' own: started in a folder, reached by a socket, stopped.

It does not wait for the disk (fsync=off): the tests kill processes, and never the machine.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path

from psycopg import connect
from psycopg.sql import SQL, Identifier

from scheduler.ledger.database import Database

NUMBERS = count()
OPTIONS = "-c listen_addresses='' -c fsync=off -c max_connections=50"


def programs() -> Path | None:
    """Where initdb and postgres are: on the path, or where Debian puts them."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


class Server:
    """A running server; each database is new, with today's tables and no rows."""

    def __init__(self, folder: Path, bin_: Path, user: str | None) -> None:
        self.folder, self.bin, self.user = folder, bin_, user

    def run(self, program: str, *words: str) -> None:
        subprocess.run(
            [self.bin / program, *words],
            user=self.user,
            cwd=self.folder,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def database(self) -> str:
        """The address of a new database, a copy of the one that was migrated."""
        return self._create(f"test{next(NUMBERS)}", self.migrated)

    @cached_property
    def migrated(self) -> str:
        Database(self._create("migrated", "template1")).close()
        return "migrated"

    def _create(self, name: str, like: str) -> str:
        with closing(connect(f"host={self.folder} user=postgres", autocommit=True)) as asking:
            asking.execute(
                SQL("CREATE DATABASE {} TEMPLATE {}").format(*map(Identifier, (name, like)))
            )
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def start(self) -> None:
        options = f"{OPTIONS} -c unix_socket_directories={self.folder}"
        log = str(self.folder / "log")
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        """As a crash would: every connection breaks, and nothing is tidied up."""
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")


@contextmanager
def server(bin_: Path) -> Iterator[Server]:
    """Root may not run PostgreSQL, so for root it runs as its own user, in a folder of its own."""
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder = Path(name)
        if user:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        made = Server(folder, bin_, user)
        data = str(folder / "data")
        made.run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")
        made.start()
        try:
            yield made
        finally:
            made.stop()
