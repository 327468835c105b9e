"""enrol: people from the roster file, or from the files of a practice system."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from scheduler.cli.desk import DATE, Desk, me, now_option
from scheduler.cli.people import console, first_letter
from scheduler.cli.tailoring import BATCH
from scheduler.findings import WrongInput, shown
from scheduler.ledger import facts, people
from scheduler.plan.reasons import on
from scheduler.plan.rules import PlannedLetter
from scheduler.roster.entries import Roster
from scheduler.roster.export import Choices, Export, read_export, signature_of, write_wrong_rows
from scheduler.roster.merge import Merge, Moved, apply, hold_back, merge, moved
from scheduler.roster.watch import applied

TABLES = (".csv", ".tsv", ".txt")
SHOWN, NAMED = 40, 12  # people, and lines, that are named one by one
MANY = 1000  # people for whom it takes long enough to show progress
COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
ENDINGS = {"deceased": "died", "discharged": "discharged", "archived": "discharged"}


@click.command()
@click.argument("files", type=click.Path(path_type=Path), nargs=-1)
@click.option("--dry-run", is_flag=True, help="Say what would change and change nothing.")
@click.option("--yes-many", is_flag=True, help="Even if it moves more than a fifth of the roster.")
@click.option("--consent", type=DATE, help="CSV: the day on which these people agreed.")
@click.option("--column", "columns", multiple=True, help='CSV: as in --column email="E-mail".')
@click.option("--day-first/--month-first", default=None, help="CSV: how to read 03/04/2026.")
@click.option("--wrong-rows", type=click.Path(path_type=Path), help="CSV: where to write them.")
@now_option
def enrol(
    files: tuple[Path, ...],
    now: datetime,
    columns: tuple[str, ...],
    consent: date | None,
    wrong_rows: Path | None,
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
        listing = desk.roster(desk.today(now))
        _enrol(desk, listing, now, dry_run=dry_run, yes_many=yes_many)
        return
    if wrong_rows and wrong_rows.exists():
        raise click.BadParameter("name a file that is not there yet", param_hint="--wrong-rows")
    if consent and consent > desk.today(now):
        raise click.BadParameter(f"{consent} is in the future", param_hint="--consent")
    said = dict(_pair(each) for each in columns)
    export = _read(
        desk, files, Choices(consent, day_first, said, desk.material.clinic.timezone), now
    )
    click.echo(f"{shown(export.path)}: an export of {export.system}")
    batch = f"{BATCH}{now:%Y%m%d}-{secrets.token_hex(2)}"
    done = _enrol(desk, export, now, dry_run=dry_run, yes_many=yes_many, batch=batch)
    _left_out(desk, export)
    _wrong(export, wrong_rows)
    if done and not dry_run:
        with desk.database.write() as db:
            facts.put(db, f"csv:{export.signature}", json.dumps(dict(export.columns)))
        click.echo(f"physiopost undo {batch} takes it back, until its first letter has gone")
    if export.wrong:
        raise click.exceptions.Exit(1)


def _read(desk: Desk, files: tuple[Path, ...], choices: Choices, now: datetime) -> Export:
    """The files, with the mapping that was given for such a header before."""
    with desk.database.read() as db:
        known = facts.get(db, f"csv:{signature_of(files)}")
    columns = {**(json.loads(known) if known else {}), **choices.columns}
    today = desk.today(now)
    return read_export(files, desk.material.course, today, replace(choices, columns=columns))


def _pair(text: str) -> tuple[str, str]:
    field, equals, header = text.partition("=")
    if not equals:
        raise click.BadParameter(f'"{text}" is not FIELD=HEADER', param_hint="--column")
    return field.strip(), header.strip()


def _enrol(
    desk: Desk,
    listing: Roster | Export,
    now: datetime,
    *,
    dry_run: bool,
    yes_many: bool,
    batch: str | None = None,
) -> bool:
    """Say what the file changes, and do it; whether there was anything to do."""
    if not dry_run:
        desk.planner.refresh(desk.database, now)
    with desk.database.write() as db:
        merged = merge(db, listing, desk.keys, now)
        if merged.refused and not batch:
            raise WrongInput(*merged.refused)
        moves = moved(db, merged.changed, desk.planner, now)
        _tell(desk, merged, moves, now)
        for each in merged.refused:
            click.echo(each, err=True)
        if not yes_many:
            hold_back(merged, moves)
        if not dry_run:
            todo = len(merged.new) + len(merged.changed)
            with Progress(*COLUMNS, console=console(), disable=todo < MANY) as bar:
                task = bar.add_task("writing", total=todo)
                step = partial(bar.advance, task)
                apply(db, merged, desk.planner, now, me(), batch=batch, progress=step)
            if not batch:
                applied(db, listing.path)
    numbers = f"{len(merged.new)} new, {len(merged.changed)} changed, {len(merged.same)} unchanged"
    anything = bool(merged.new or merged.changed)
    note = " (nothing was applied)" if dry_run else "" if anything else ": nothing to change"
    click.echo(f"{numbers}{note}")
    return anything


def _tell(desk: Desk, merged: Merge, moves: Sequence[Moved], now: datetime) -> None:
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


def _dates(moved: Moved) -> str:
    """`4 letters move: next Tue 8 Dec → Tue 22 Dec, last Tue 19 Jan → Tue 2 Feb`."""
    was, becomes = _coming(moved.before), _coming(moved.after)
    if not moved.moves:
        return "no letter's date changes"
    if not becomes:
        return f"{len(was)} letters do not go any more"
    number = len({(each.lesson, each.utc) for each in becomes} - {(e.lesson, e.utc) for e in was})
    ends = ", ".join(
        f"{name} {_day(was, place)} → {_day(becomes, place)}"
        for name, place in (("next", 0), ("last", -1))
    )
    return f"{number} letters move: {ends}"


def _coming(letters: Sequence[PlannedLetter]) -> list[PlannedLetter]:
    return [letter for letter in letters if letter.state == "planned"]


def _day(letters: Sequence[PlannedLetter], place: int) -> str:
    local = letters[place].local if letters else None
    return on(local.date()) if local else "none"


def _left_out(desk: Desk, export: Export) -> None:
    """Why rows enrol nobody, and who of them is under way and may have to be ended."""
    lines: dict[str, list[int]] = {}
    for row in export.left_out:
        lines.setdefault(row.reason, []).append(row.line)
    for reason, where in sorted(lines.items(), key=lambda item: -len(item[1])):
        named = ", ".join(map(str, where[:NAMED])) + (" …" if len(where) > NAMED else "")
        click.echo(f"{len(where):6} left out: {reason} (line {named})")
    with desk.database.read() as db:
        active = {each.id for each in people.everyone(db) if each.status == "active"}
    for row in export.left_out:
        if row.id in active and row.reason in ENDINGS:
            cure = f"physiopost end {row.id} --reason {ENDINGS[row.reason]}"
            click.echo(f"       {row.id} gets letters and is {row.reason} there; if so: {cure}")


def _wrong(export: Export, file: Path | None) -> None:
    """Name the wrong rows, and write them with their reasons."""
    for row in export.wrong[:SHOWN]:
        click.echo(row.finding, err=True)
    _more(export.wrong)
    if export.wrong:
        click.echo(f"{len(export.wrong):6} wrong rows; the others are not affected", err=True)
        if file:
            write_wrong_rows(export, file)
            click.echo(f"       they are in {shown(file)}, to be mended and enrolled", err=True)
        else:
            click.echo("       --wrong-rows FILE.csv writes them with their reasons", err=True)
