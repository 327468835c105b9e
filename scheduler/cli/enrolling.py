"""enrol: people from the roster file, or from the files of a practice system."""

from collections.abc import Sequence
from datetime import date, datetime
from functools import partial
from pathlib import Path

import click

from scheduler.cli.desk import DATE, PATH, Desk, me, now_option, progress
from scheduler.cli.people import first_letter
from scheduler.findings import shown
from scheduler.plan.reasons import on
from scheduler.plan.rules import PlannedLetter
from scheduler.roster import batch
from scheduler.roster.entries import Roster
from scheduler.roster.export import Choices, Export, wrong_rows
from scheduler.roster.merge import Merge, all_or_nothing, apply, hold_back, merge
from scheduler.roster.proposal import Proposal, proposed
from scheduler.roster.table import Sheet, write_file
from scheduler.roster.watch import applied

TABLES = (".csv", ".tsv", ".txt")
SHOWN, NAMED = 40, 12  # people, and lines, that are named one by one
MANY = 1000  # people for whom it takes long enough to show progress


@click.command()
@click.argument("files", type=PATH, nargs=-1)
@click.option("--dry-run", is_flag=True, help="Say what would change and change nothing.")
@click.option("--yes-many", is_flag=True, help="Even if it moves more than a fifth of the roster.")
@click.option("--consent", type=DATE, help="CSV: the day on which these people agreed.")
@click.option("--column", "columns", multiple=True, help='CSV: as in --column email="E-mail".')
@click.option("--day-first/--month-first", default=None, help="CSV: how to read 03/04/2026.")
@click.option("--wrong-rows", "rows_to", type=PATH, help="CSV: where to write them.")
@now_option
def enrol(
    files: tuple[Path, ...],
    now: datetime,
    columns: tuple[str, ...],
    consent: date | None,
    rows_to: Path | None,
    *,
    dry_run: bool,
    yes_many: bool,
    day_first: bool | None,
) -> None:
    """Enrol the people of FILES and apply what they change: all or nothing.

    FILES is a roster (subscribers.yaml when left out), or the CSV file of a practice system, or
    its two: appointments and patients. Nobody is removed, and what staff changed since a file was
    last applied stays.
    """
    desk = Desk(subscribers=files[0] if files else None)
    if not any(file.suffix.casefold() in TABLES for file in files):
        if len(files) > 1:
            raise click.UsageError("name one roster file")
        _enrol(desk, desk.roster(desk.today(now)), now, dry_run=dry_run, yes_many=yes_many)
        return
    if rows_to and rows_to.exists():
        raise click.BadParameter("name a file that is not there yet", param_hint="--wrong-rows")
    if consent and consent > desk.today(now):
        raise click.BadParameter(f"{consent} is in the future", param_hint="--consent")
    said = dict(_pair(each) for each in columns)
    choices = Choices(consent, day_first, said, desk.material.clinic.timezone)
    sheets = [Sheet(file) for file in files]
    with desk.database.read() as db:
        export = batch.read(db, sheets, desk.material.course, desk.today(now), choices)
    click.echo(f"{shown(export.path)}: an export of {export.system}")
    merged, name = _enrol(desk, export, now, dry_run=dry_run, yes_many=yes_many)
    _left_out(desk, export)
    _wrong(export, rows_to)
    if name:
        click.echo(f"physiopost undo {name} takes it back, until its first letter has gone")
    if export.wrong or merged.conflicts:
        raise click.exceptions.Exit(1)


def _pair(text: str) -> tuple[str, str]:
    field, equals, header = text.partition("=")
    if not equals:
        raise click.BadParameter(f'"{text}" is not FIELD=HEADER', param_hint="--column")
    return field.strip(), header.strip()


def _enrol(
    desk: Desk, listing: Roster | Export, now: datetime, *, dry_run: bool, yes_many: bool
) -> tuple[Merge, str]:
    """Say what the file changes, and do it; with the name of an import that changed anything."""
    name = ""
    if not dry_run:
        desk.planner.refresh(desk.database, now)
    with desk.database.write() as db:
        merged = merge(db, listing, desk.keys, now)
        if isinstance(listing, Roster):
            all_or_nothing(merged)
        moves = proposed(db, merged.changed, desk.planner, now)
        _tell(desk, merged, moves, now)
        for each in (*merged.conflicts, *merged.refused):
            click.echo(each, err=True)
        if not yes_many:
            hold_back(merged, moves)
        todo = len(merged.new) + len(merged.changed)
        if not dry_run:
            with progress(shown=todo >= MANY) as bar:
                task = bar.add_task("writing", total=todo)
                step = partial(bar.advance, task)
                if isinstance(listing, Roster):
                    apply(db, merged, desk.planner, now, me(), progress=step)
                    applied(db, listing.path)
                elif todo:
                    parts = (db, listing, merged, desk.planner, now)
                    name = batch.put_in(*parts, by=me(), progress=step)
    numbers = f"{len(merged.new)} new, {len(merged.changed)} changed, {len(merged.same)} unchanged"
    note = " (nothing was applied)" if dry_run else "" if todo else ": nothing to change"
    click.echo(f"{numbers}{note}")
    return merged, name


def _tell(desk: Desk, merged: Merge, moves: Sequence[Proposal], now: datetime) -> None:
    """Who is new with the first letter, who changes how, with the dates that move."""
    for change in merged.new[:SHOWN]:
        click.echo(f"new      {change.person.id}  {first_letter(desk, change.person, now)}")
    _more(merged.new)
    for each in moves[:SHOWN]:
        click.echo(f"changed  {each.change.person.id}  {each.change.words}")
        click.echo(f"         {_dates(each)}")
    _more(moves)


def _more(listed: Sequence[object]) -> None:
    if len(listed) > SHOWN:
        click.echo(f"         and {len(listed) - SHOWN} more")


def _dates(proposal: Proposal) -> str:
    """`4 letters move: next Tue 8 Dec → Tue 22 Dec, last Tue 19 Jan → Tue 2 Feb`."""
    both = proposal.before, proposal.after
    was, becomes = ([each for each in letters if each.state == "planned"] for letters in both)
    if not proposal.moves:
        return "no letter's date changes"
    if not becomes:
        return f"{len(was)} letters do not go any more"
    number = len({(each.lesson, each.utc) for each in becomes} - {(e.lesson, e.utc) for e in was})
    first, last = (f"{_day(was, place)} → {_day(becomes, place)}" for place in (0, -1))
    return f"{number} letters move: next {first}, last {last}"


def _day(letters: Sequence[PlannedLetter], place: int) -> str:
    local = letters[place].local if letters else None
    return on(local.date()) if local else "none"


def _left_out(desk: Desk, export: Export) -> None:
    """Why rows enrol nobody, and who of them is under way and may have to be ended."""
    for reason, where in export.reasons.items():
        named = ", ".join(map(str, where[:NAMED])) + (" …" if len(where) > NAMED else "")
        click.echo(f"{len(where):6} left out: {reason} (line {named})")
    with desk.database.read() as db:
        leaving = batch.leaving(db, export)
    for row, who in leaving:
        cure = f"physiopost end {who.id} --reason {batch.ENDINGS[row.reason]}"
        click.echo(f"       {who.id} gets letters and is {row.reason} there; if so: {cure}")


def _wrong(export: Export, file: Path | None) -> None:
    """Name the wrong rows, and write them with their reasons."""
    for row in export.wrong[:SHOWN]:
        click.echo(row.finding, err=True)
    _more(export.wrong)
    if export.wrong:
        click.echo(f"{len(export.wrong):6} wrong rows; the others are not affected", err=True)
        if file:
            write_file(file, wrong_rows(export))
            click.echo(f"       they are in {shown(file)}, to be mended and enrolled", err=True)
        else:
            click.echo("       --wrong-rows FILE.csv writes them with their reasons", err=True)
