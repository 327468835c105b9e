"""The machine and the installation: versions, the secret, files, the disk, zones."""

import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from zoneinfo import TZPATH

from scheduler import __version__
from scheduler.doctor.check import Check, Unseen, Ward
from scheduler.findings import shown
from scheduler.settings import NO_SECRET

ROOM = 500  # megabytes that are to be free
OTHERS = 0o077  # what a file's mode lets others do
OLD = 2  # years after which zone data has missed too much


def versions(ward: Ward) -> Check:
    """What runs here."""
    database = f", {ward.database.kind}" if ward.database else ""
    words = f"Physiopost {__version__}, Python {platform.python_version()}{database}"
    return Check("versions", well=True, words=words)


def secret(ward: Ward) -> Check:
    """Whether there is one; a bad one stops every start, this command's too."""
    first, *older = ward.settings.secrets
    if first == NO_SECRET:
        raise Unseen("nothing leaves this machine, so none is needed")
    words = f"there, with {len(older)} older behind it" if older else "there, and long enough"
    return Check("secret", True, words)


def files(ward: Ward) -> Check:
    """Nobody else on the machine may read who is a patient."""
    open_to_others = [
        f"chmod {'700' if path.is_dir() else '600'} {shown(path)}"
        for path in _kept(ward)
        if path.stat().st_mode & OTHERS
    ]
    if open_to_others:
        words = f"others on this machine can read {len(open_to_others)} of our files or folders"
        return Check("files", False, words, "; ".join(open_to_others))
    return Check("files", True, "only their owner can read them")


def _kept(ward: Ward) -> Iterator[Path]:
    """The database's files, the outbox, the notes of what is being sent; as far as they exist."""
    settings = ward.settings
    base = [settings.file] if settings.file else []
    beside = [base[0].with_name(base[0].name + end) for end in ("-wal", "-shm")] if base else []
    yield from (
        path for path in [*base, *beside, settings.outbox, settings.journal] if path.exists()
    )


def disk(ward: Ward) -> Check:
    """A full disk stops everything."""
    file = ward.settings.file
    if file is None:
        raise Unseen("the database is on a machine of its own")
    folder = next((each for each in file.absolute().parents if each.exists()), Path("/"))
    free = shutil.disk_usage(folder).free // 1_000_000
    words = f"{free:,} MB are free beside the database"
    if free < ROOM:
        return Check("disk", False, f"only {words}", f"make room: {ROOM} MB or more")
    return Check("disk", True, words)


def zones(ward: Ward) -> Check:
    """Clock changes are announced late, so the data must not be old."""
    which = _zone_version()
    year = int(which[:4]) if which[:4].isdigit() else 0
    if year <= ward.now.year - OLD:
        words = f"the zone data is of {which or 'an unknown version'}"
        return Check("zones", False, words, "pip install -U tzdata, and the system's own package")
    return Check("zones", True, f"zone data {which}")


def _zone_version() -> str:
    """The system's, which Python takes first, else that of the package."""
    for folder in map(Path, TZPATH):
        if (listed := folder / "tzdata.zi").exists():
            with listed.open(encoding="utf-8") as text:
                return text.readline().removeprefix("# version ").strip()
        if folder.exists():
            break
    return version("tzdata")
