"""What every command begins with: the settings, the material, the clock, the shape of output."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cached_property
from getpass import getuser
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from scheduler.delivery.round import Round
from scheduler.findings import closest, wrong
from scheduler.keeping import Keeping
from scheduler.keys import Keys
from scheduler.ledger.database import Database
from scheduler.ledger.people import Person
from scheduler.ledger.planner import Planner
from scheduler.letters.editions import Press
from scheduler.material import Material, read_material
from scheduler.material.fields import FIRST_YEAR, LAST_YEAR, clean, filled, parse_date
from scheduler.material.yamlfile import Unusable
from scheduler.plan.rules import PlannedLetter
from scheduler.roster.entries import Roster, read_roster
from scheduler.roster.merge import merge
from scheduler.settings import Settings


class Parsed(click.ParamType[Any]):
    """A value that is written as in our files, with the same check and cure."""

    def __init__(self, name: str, parse: Callable[[Any], Any]) -> None:
        self.name, self.parse = name, parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self.parse(value)
        except Unusable as error:
            self.fail(f"{error}; {error.cure}", param, ctx)


def parse_instant(value: Any) -> datetime:
    """An ISO 8601 instant; one without its offset from UTC is a time of nowhere."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Unusable(f'"{value}" is not an instant', "write one as in 2026-11-24T09:30Z")
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        cure = f"write a year from {FIRST_YEAR} to {LAST_YEAR}"
        raise Unusable(f'"{value}" is too far away', cure)
    return moment.astimezone(UTC)


Timelines = list[tuple[Person, list[PlannedLetter]]]
DATE = Parsed("YYYY-MM-DD", parse_date)
INSTANT = Parsed("instant", parse_instant)
NAME = Parsed("NAME", lambda typed: filled(clean(typed)))
PATH = click.Path(path_type=Path)


def me() -> str:
    """Who types, and where, for the audit."""
    return f"terminal ({getuser()}) · the command line"


now_option = click.option(
    "--now",
    type=INSTANT,
    default=lambda: datetime.now(UTC),
    show_default="this moment",
    help="Act as if it were this instant, as in 2026-11-24T09:30Z.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")


class Desk:
    """The parts of the service, each made when it is first asked for."""

    def __init__(self, subscribers: Path | None = None) -> None:
        """Read the settings; a file named on the command line goes before the setting."""
        settings = Settings.from_environment(os.environ)
        self.settings = replace(settings, subscribers=subscribers or settings.subscribers)

    @cached_property
    def material(self) -> Material:
        return read_material(self.settings)

    @cached_property
    def planner(self) -> Planner:
        return Planner(self.material)

    @cached_property
    def press(self) -> Press:
        return Press(self.material, self.settings.templates)

    @cached_property
    def database(self) -> Database:
        """The ledger, migrated."""
        return Database(self.settings.database)

    @cached_property
    def round(self) -> Round:
        """The round, with a ledger whose dates are up to date."""
        return Round(self.database, self.planner, self.press, self.keys)

    @cached_property
    def keys(self) -> Keys:
        return Keys(self.settings.secrets, self.settings.url)

    @cached_property
    def keeping(self) -> Keeping:
        return Keeping(self.database, self.keys, self.settings, self.material)

    def roster(self, today: date) -> Roster:
        """The roster file; nobody in it may have agreed later than `today`."""
        return read_roster(self.settings.subscribers, self.material.course, today)

    def today(self, now: datetime) -> date:
        return self.material.clinic.today(now)

    def enrolled(self, now: datetime) -> Timelines:
        """Everybody enrolled, with their letters."""
        with self.database.read() as db:
            return self.planner.timelines(db, now)

    def timelines(self, now: datetime) -> Timelines:
        """Everybody enrolled, and after them the file's people who are not, as if enrolled now."""
        timelines = self.enrolled(now)
        if not self.settings.subscribers.exists():
            return timelines
        with self.database.read() as db:
            new = [change.person for change in merge(db, self.roster(date.max), self.keys, now).new]
        return timelines + [(person, self.planner.plan(person, {}, now)) for person in new]

    def timeline(self, who: str, now: datetime) -> tuple[Person, list[PlannedLetter]]:
        """Somebody by id, with their letters; the file is only read for who is not enrolled."""
        for look in (self.enrolled, self.timelines):
            found = {person.id: (person, letters) for person, letters in look(now)}
            if who in found:
                return found[who]
        cure = closest(who, found, "see physiopost roster")
        raise wrong("ID", None, f'nobody has the id "{who}"', cure)


def print_json(value: Any) -> None:
    """For a program; dates and times as ISO 8601 writes them."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """For a person; nothing in the rows is taken for markup."""
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(escape, row))
    console().print(table)


def console() -> Console:
    """A terminal that does not guess what is a link or a number."""
    return Console(highlight=False, soft_wrap=False)


def progress(*, shown: bool = True) -> Progress:
    """A bar with a word before it and numbers behind."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    return Progress(*columns, console=console(), disable=not shown)
