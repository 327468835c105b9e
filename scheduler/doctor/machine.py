"""The machine and the installation: versions, files, the disk, zones."""

import platform
import shutil
from importlib.metadata import version
from pathlib import Path
from zoneinfo import TZPATH

from scheduler import __version__
from scheduler.doctor.check import Unseen, Unwell, Ward
from scheduler.findings import shown

ROOM = 500  # megabytes that are to be free
OTHERS = 0o077  # what a file's mode lets others do
OLD = 2  # years after which zone data has missed too much


def versions(ward: Ward) -> str:
    """What runs here."""
    database = f", {ward.database.kind}" if ward.database else ""
    return f"Physiopost {__version__}, Python {platform.python_version()}{database}"


def files(ward: Ward) -> str:
    """Nobody else on the machine may read who is a patient."""
    kept = [ward.settings.outbox, ward.settings.journal, ward.settings.subscribers]
    if file := ward.settings.file:
        kept += [file.with_name(f"{file.name}{end}") for end in ("", "-wal", "-shm")]
    open_to_others = [path for path in kept if path.exists() and path.stat().st_mode & OTHERS]
    if open_to_others:
        words = f"others on this machine can read {len(open_to_others)} of our files or folders"
        modes = ((700 if path.is_dir() else 600, shown(path)) for path in open_to_others)
        raise Unwell(words, "; ".join(f"chmod {mode} {name}" for mode, name in modes))
    return "only their owner can read them"


def disk(ward: Ward) -> str:
    """A full disk stops everything."""
    file = ward.settings.file
    if file is None:
        raise Unseen("the database is on a machine of its own")
    folder = next((each for each in file.absolute().parents if each.exists()), Path("/"))
    free = shutil.disk_usage(folder).free // 1_000_000
    words = f"{free:,} MB are free beside the database"
    if free < ROOM:
        raise Unwell(f"only {words}", f"make room: {ROOM} MB or more")
    return words


def zones(ward: Ward) -> str:
    """Clock changes are announced late, so the data must not be old."""
    which = _zone_version()
    year = int(which[:4]) if which[:4].isdigit() else 0
    if year <= ward.now.year - OLD:
        words = f"the zone data is of {which or 'an unknown version'}"
        raise Unwell(words, "pip install -U tzdata, and the system's own package")
    return f"zone data {which}"


def _zone_version() -> str:
    """The system's, which Python takes first, else that of the package."""
    for folder in map(Path, TZPATH):
        if (listed := folder / "tzdata.zi").exists():
            with listed.open(encoding="utf-8") as text:
                return text.readline().removeprefix("# version ").strip()
        if folder.exists():
            break
    return version("tzdata")
