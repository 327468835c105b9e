"""A simulation: the world of a folder, run to its end, and what is to be told of it.

Without more, the roster's people, and a gallery of their letters. With a scale the people are
invented, and their letters are made but not kept. With a seed there is chance (chance.py). Nothing
that is told depends on a random id, so the same seed tells the same.
"""

import re
import shutil
from calendar import Calendar as Weeks
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from scheduler.delivery.channels import Channel
from scheduler.delivery.channels.folder import Folder
from scheduler.delivery.gallery import write_gallery
from scheduler.delivery.round import Round
from scheduler.findings import writing, wrong
from scheduler.keys import Keys
from scheduler.ledger import deliveries
from scheduler.ledger.database import Database
from scheduler.ledger.people import Person
from scheduler.ledger.planner import Planner
from scheduler.letters.editions import Press
from scheduler.letters.passages import page
from scheduler.material import Material
from scheduler.plan.calendar import DAY, Calendar
from scheduler.plan.reasons import on
from scheduler.plan.rules import PlannedLetter
from scheduler.roster.entries import read_roster
from scheduler.settings import Settings
from scheduler.simulate.checker import Checker, Verdict
from scheduler.simulate.people import FIRST_DAY, invented
from scheduler.simulate.tally import Nowhere, Posted, Tally
from scheduler.simulate.world import Progress, Trial, World

MARK = ".physiopost-simulation"
DATE = re.compile(r" (?:(from|until|since|of) )?(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d+ [A-Z][a-z]{2}")


@dataclass(frozen=True)
class Simulated:
    """What came out: everybody's letters at the end, what was posted, what the checker says of it.

    `moved` counts in words why letters moved. With invented people there are no timelines and no
    gallery, and `index` is None.
    """

    world: World
    timelines: list[tuple[Person, list[PlannedLetter]]]
    posted: list[Posted]
    moved: Counter[str]
    verdict: Verdict
    index: Path | None


def simulate(
    settings: Settings,
    material: Material,
    folder: Path,
    trial: Trial,
    progress: Progress | None = None,
) -> Simulated:
    """Run a trial into `folder`; WrongInput if that holds other things or the roster is wrong."""
    planner, press = Planner(material), Press(material, settings.templates)
    people = settings.subscribers
    if trial.scale:
        _empty(folder)
        trial, people = replace(trial, begin=trial.begin or FIRST_DAY), folder / "subscribers.yaml"
        people.write_text(invented(trial, planner), encoding="utf-8")
    roster = read_roster(people, material.course, date.max)
    if not trial.scale:
        _empty(folder)
    database = Database(f"sqlite:///{folder / 'physiopost.db'}")
    keys = Keys(settings.secrets, settings.url)
    world = World(database, planner, keys, roster, trial)
    way: AbstractContextManager[Channel] = nullcontext(Nowhere()) if trial.scale else Folder(folder)
    with way as channel:
        tally = Tally(channel, world)
        world.run(Round(database, planner, press, keys), tally, progress)
    with database.read() as db:
        timelines = [] if trial.scale else planner.timelines(db, world.now)
        reasons = [row["reasons"] for row in deliveries.history(db)]
    database.close()
    checker = Checker(planner, world.away, world.now, tick=timedelta(0))
    zone = material.clinic.timezone
    return Simulated(
        world=world,
        timelines=timelines,
        posted=tally.posted,
        moved=Counter(words for each in reasons for words in set(_moves(each))),
        verdict=checker.verdict(tally.posted, world.history),
        index=None if trial.scale else write_gallery(folder, settings.templates, zone),
    )


def almanac(days: Mapping[date, int], calendar: Calendar, templates: Path) -> str:
    """An SVG of the months in which letters went, by the patients' own dates; a week a row."""
    months = [min(days).replace(day=1)] if days else []
    while months and (following := (months[-1] + 31 * DAY).replace(day=1)) <= max(days):
        months.append(following)
    names = {"days": days, "months": months, "weeks": Weeks().monthdatescalendar}
    names |= {"closed": calendar.closed, "on": on}
    return page(templates / "pages" / "almanac.svg.j2", names)


def _moves(reasons: Sequence[str]) -> Iterator[str]:
    """Why a letter is not on its own date, without the dates: `moved: closed on Sat`."""
    for reason in reasons[1:]:  # the first is the own date
        count, later, causes = reason.partition(" later: ")
        if later and count.endswith(("day", "days")):
            yield from (f"later: {_undated(cause)}" for cause in causes.split("; "))
        else:
            yield _undated(reason.partition("; also ")[0])


def _undated(reason: str) -> str:
    return DATE.sub(lambda found: " before" if found[1] == "of" else "", reason)


def _empty(folder: Path) -> None:
    """Clear away an earlier simulation, and nothing else."""
    with writing(folder, "name another folder with --to"):
        if folder.exists() and any(folder.iterdir()):
            if not (folder / MARK).is_file():
                cure = "name a new or empty folder with --to"
                raise wrong(folder, None, "holds something that is not a simulation", cure)
            shutil.rmtree(folder)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / MARK).write_text("Made by physiopost; the next simulation clears it away.\n")
