"""enrol, roster and plan: for whoever looks after the people."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scheduler.cli.desk import Desk, json_option, now_option, print_json
from scheduler.ledger.people import Person
from scheduler.material import Material
from scheduler.plan.reasons import on
from scheduler.plan.rules import PlannedLetter, next_letter
from scheduler.roster.merge import apply, merge


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--dry-run", is_flag=True, help="Say what would change and change nothing.")
@now_option
def enrol(file: Path | None, now: datetime, *, dry_run: bool) -> None:
    """Enrol the people of FILE (subscribers.yaml) and apply what the file changes: all or nothing.

    Nobody is removed, and what staff changed since the file was last applied stays.
    """
    desk = Desk(subscribers=file)
    roster = desk.roster(desk.today(now))
    desk.planner.refresh(desk.database, now)
    with desk.database.write() as db:
        changes = merge(db, roster, now)
        if not dry_run:
            apply(db, changes, desk.planner, now)
    for person, _ in changes.new:
        click.echo(f"new      {person.id}  {_first(desk, person, now)}")
    for person, _, fields in changes.changed:
        click.echo(f"changed  {person.id}  {', '.join(fields)}")
    numbers = (
        f"{len(changes.new)} new, {len(changes.changed)} changed, {len(changes.same)} unchanged"
    )
    click.echo(f"{numbers}{' (nothing was applied)' if dry_run else ''}")


@click.command()
@json_option
@now_option
def roster(now: datetime, *, as_json: bool) -> None:
    """List the people who are enrolled, with their next letter."""
    desk = Desk()
    timelines = desk.enrolled(now)
    if as_json:
        print_json([_summary(person, letters) for person, letters in timelines])
        return
    table = Table("id", "name", "status", "sent", "next letter", box=None, pad_edge=False)
    for person, letters in timelines:
        row = _summary(person, letters)
        following = next_letter(letters)
        when = _when(following) if following else _standing(letters)
        table.add_row(person.id, escape(person.name), row["status"], f"{row['sent']}", when)
    console().print(table)


@click.command()
@click.argument("who", metavar="[ID]", required=False)
@json_option
@now_option
def plan(who: str | None, now: datetime, *, as_json: bool) -> None:
    """Print the dates of a person's letters with the reasons, or everybody's.

    People of the roster file who are not enrolled yet are planned as if they were enrolled now.
    """
    desk = Desk()
    timelines = [desk.timeline(who, now)] if who else desk.timelines(now)
    if as_json:
        print_json([planned(person, letters) for person, letters in timelines])
        return
    print_timelines(timelines, desk.material)


def planned(person: Person, letters: Iterable[PlannedLetter]) -> dict[str, object]:
    """A person's plan for a program."""
    return {
        "id": person.id,
        "status": person.status,
        "letters": [
            {
                "lesson": letter.lesson,
                "week": letter.week,
                "local": letter.local.isoformat() if letter.local else None,
                "utc": letter.utc.isoformat() if letter.utc else None,
                "state": letter.state,
                "reasons": list(letter.reasons),
            }
            for letter in letters
        ],
    }


def print_timelines(
    timelines: Iterable[tuple[Person, list[PlannedLetter]]], material: Material
) -> None:
    """Everybody's letters as tables: who, what, when, why."""
    out = console()
    for person, letters in timelines:
        status = "" if person.status == "active" else f", {person.status}"
        out.print(f"\n[bold]{escape(person.name)}[/bold] ({person.id}{status})")
        table = Table("week", "state", "when", "letter, and why then", box=None, pad_edge=False)
        for letter in letters:
            title = material.course.by_slug[letter.lesson].title
            why = escape("; ".join(letter.reasons))
            words = f"{escape(title)}\n[dim]{why}[/dim]"
            table.add_row(str(letter.week), letter.state, _when(letter), words)
        out.print(table)


def console() -> Console:
    """A terminal that does not guess what is a link or a number."""
    return Console(highlight=False, soft_wrap=False)


def _when(letter: PlannedLetter) -> str:
    if letter.local is None:
        return ""
    return f"{on(letter.local.date())} {letter.local:%Y %H:%M %Z}"


def _first(desk: Desk, person: Person, now: datetime) -> str:
    letter = next_letter(desk.planner.plan(person, {}, now))
    return f"first letter {_when(letter)}" if letter else person.status


def _standing(letters: Iterable[PlannedLetter]) -> str:
    held = next((letter for letter in letters if letter.state == "held"), None)
    return "; ".join(held.reasons) if held else "none"


def _summary(person: Person, letters: list[PlannedLetter]) -> dict[str, Any]:
    following = next_letter(letters)
    return {
        "id": person.id,
        "status": person.status,
        "sent": sum(letter.state == "sent" for letter in letters),
        "undecided": sum(letter.state == "undecided" for letter in letters),
        "next": following.local.isoformat() if following and following.local else None,
    }
