"""The whole service on a simulated clock: the roster's people through their courses in seconds.

1. Start an empty database in the folder, and a clock at the first consent.
2. Enrol each person at noon of the day on which they agreed, through the same merge as `enrol`.
3. Run a round, the worker's own, into the folder channel.
4. Set the clock to the next letter or the next arrival, whichever comes first, and go on until
   nothing is left or the weeks are over.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path

from scheduler.delivery.channels.folder import Folder
from scheduler.delivery.gallery import write_gallery
from scheduler.delivery.round import Round
from scheduler.findings import wrong
from scheduler.ledger import deliveries
from scheduler.ledger.database import Database
from scheduler.ledger.people import Person
from scheduler.ledger.planner import Planner
from scheduler.letters.editions import Press
from scheduler.material import Material
from scheduler.plan.calendar import instant
from scheduler.plan.rules import PlannedLetter
from scheduler.roster.entries import Entry, Roster, read_roster
from scheduler.roster.merge import apply, merge, new_person
from scheduler.settings import Settings

MARK = ".physiopost-simulation"
NOON = time(12)


@dataclass(frozen=True)
class Simulated:
    """What came out: everybody's letters at the end, how many went, and the gallery's index."""

    timelines: list[tuple[Person, list[PlannedLetter]]]
    sent: int
    began: datetime
    ended: datetime
    index: Path


def simulate(
    settings: Settings,
    material: Material,
    folder: Path,
    *,
    begin: date | None = None,
    weeks: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Simulated:
    """Run the roster from `begin` (the clinic's date; the first consent if None) into `folder`.

    `progress` is called with the letters sent so far and the letters that were expected.

    Raises:
        WrongInput: the roster cannot be used, or the folder holds something else.

    """
    roster = read_roster(settings.subscribers, material.course, date.max)
    arrivals = _arrivals(roster, material, begin)
    now = min(arrivals, default=datetime.now(UTC)) if begin is None else _noon(begin, material)
    began, end = now, now + timedelta(weeks=weeks) if weeks else datetime.max.replace(tzinfo=UTC)
    planner, press = Planner(material), Press(material, settings.templates)
    expected = _expected(arrivals, planner)
    _empty(folder)
    database = Database(f"sqlite:///{folder / 'physiopost.db'}")
    service = Round(database, planner, press, settings.url)
    sent = 0
    with Folder(folder) as channel:
        while now <= end:
            while arrivals and min(arrivals) <= now:
                at = min(arrivals)
                _enrol(database, planner, roster, arrivals.pop(at), at)
            sent += service.run(channel, partial(_same, now)).letters["accepted"]
            if progress:
                progress(sent, expected)
            with database.read() as db:
                moments = [*arrivals, *filter(None, [deliveries.next_due(db)])]
            if not moments:
                break
            now = max(now, min(moments))
    with database.read() as db:
        timelines = planner.timelines(db, min(now, end))
    database.close()
    index = write_gallery(folder, settings.templates, material.clinic.timezone)
    return Simulated(timelines, sent, began, min(now, end), index)


def _same(moment: datetime) -> datetime:
    """A clock that stands still for the length of a round."""
    return moment


def _noon(day: date, material: Material) -> datetime:
    return instant(day, NOON, material.clinic.timezone)


def _arrivals(
    roster: Roster, material: Material, begin: date | None
) -> dict[datetime, list[Entry]]:
    """Who is enrolled when (UTC): on the day of their consent, not before the simulation."""
    arrivals: dict[datetime, list[Entry]] = {}
    for entry in roster.entries:
        day = max(entry.consent, begin) if begin else entry.consent
        arrivals.setdefault(_noon(day, material), []).append(entry)
    return arrivals


def _expected(arrivals: dict[datetime, list[Entry]], planner: Planner) -> int:
    return sum(
        letter.state == "planned"
        for at, entries in arrivals.items()
        for entry in entries
        for letter in planner.plan(new_person(entry, at), {}, at)
    )


def _enrol(
    database: Database, planner: Planner, roster: Roster, entries: list[Entry], at: datetime
) -> None:
    some = Roster(roster.path, tuple(entries), roster.document)
    with database.write() as db:
        apply(db, merge(db, some, at), planner, at)


def _empty(folder: Path) -> None:
    """Clear away an earlier simulation, and nothing else."""
    try:
        if folder.exists() and any(folder.iterdir()):
            if not (folder / MARK).is_file():
                cure = "name a new or empty folder with --to"
                raise wrong(folder, None, "holds something that is not a simulation", cure)
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).write_text("Made by physiopost; the next simulation clears it away.\n")
    except OSError as error:
        reason = f"cannot be written to ({(error.strerror or '').lower()})"
        raise wrong(folder, None, reason, "name another folder with --to") from None
