"""roster, plan, impact and audit: what is known about the people, with the reasons."""

from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.markup import escape
from rich.table import Table

from scheduler.cli.desk import (
    DATE,
    PATH,
    Desk,
    Timelines,
    console,
    json_option,
    now_option,
    print_json,
    print_table,
)
from scheduler.delivery.behind import Heartbeat, behind
from scheduler.findings import closest, shown, writing, wrong
from scheduler.ledger import people, trail
from scheduler.ledger.impact import impact as impact_of
from scheduler.ledger.people import Person
from scheduler.material import Material
from scheduler.plan.reasons import on, timed
from scheduler.plan.rules import PlannedLetter, next_letter
from scheduler.roster.entries import entry_of, written

TOLD = ("lesson", "week", "local", "utc", "state", "reasons")  # of a letter, to a program


@click.group(invoke_without_command=True)
@json_option
@now_option
@click.pass_context
def roster(context: click.Context, now: datetime, *, as_json: bool) -> None:
    """List the people who are enrolled, with their next letter."""
    if context.invoked_subcommand:
        return
    timelines = Desk().enrolled(now)
    if as_json:
        print_json([_summary(person, letters) for person, letters in timelines])
        return
    rows = []
    for person, letters in timelines:
        sent = f"{_summary(person, letters)['sent']}"
        rows.append((person.id, person.name, person.status, sent, _next(letters)))
    print_table(("id", "name", "status", "sent", "next letter"), rows)


@roster.command()
@click.option("--to", "file", type=PATH, help="A new file; else printed.")
def export(file: Path | None) -> None:
    """Write the roster as it stands in the database; to enrol it changes nothing."""
    desk = Desk()
    with desk.database.read() as db:
        text = written(entry_of(person) for person in people.everyone(db))
    if file is None:
        click.echo(text, nl=False)
        return
    cure = "name a file that is not there yet"
    with writing(file, cure), file.open("x", encoding="utf-8") as new:
        new.write(text)
    click.echo(f"wrote {shown(file)}")


@click.command()
@click.argument("who", metavar="[ID]", required=False)
@click.option("--why", help="One letter of ID, with the whole chain of its reasons.")
@click.option("--on", "day", type=DATE, help="The post of one day, at the clinic.")
@click.option("--behind", "late", is_flag=True, help="Whose letter should have gone, and why not.")
@json_option
@now_option
def plan(
    who: str | None, why: str | None, day: date | None, now: datetime, *, late: bool, as_json: bool
) -> None:
    """Print the dates of a person's letters with the reasons, or everybody's.

    People of the roster file who are not enrolled yet are planned as if they were enrolled now.
    """
    desk = Desk()
    if late:
        _print_behind(desk, now, as_json=as_json)
        return
    if why and not who:
        raise click.UsageError("--why LESSON needs an ID")
    timelines = [desk.timeline(who, now)] if who else desk.timelines(now)
    if why:
        timelines = [(person, [_only(letters, why)]) for person, letters in timelines]
    if day:
        timelines = _post(timelines, day, desk.material.clinic.timezone)
    if as_json:
        print_json([planned(person, letters) for person, letters in timelines])
    elif why:
        click.echo(chain(timelines[0][1][0]))
    elif day:
        _print_post(timelines, desk.material)
    else:
        print_timelines(timelines, desk.material)


@click.command()
@json_option
@now_option
def impact(now: datetime, *, as_json: bool) -> None:
    """Say what the course on disk would change for the people inside, before it is used.

    The service, send and enrol use it from then on.
    """
    desk = Desk()
    with desk.database.read() as db:
        found = impact_of(db, desk.material, now)
    if as_json:
        print_json(found)
        return
    rows = []
    for each in found.effects:
        instead = "; ".join(f"{number} get {words}" for words, number in each.instead.items())
        numbers = (str(number) for number in (each.before, each.waiting, each.past))
        rows.append((each.lesson, each.edit, *numbers, instead))
    if rows:
        print_table(("lesson", "edit", "before it", "at it", "past it", ""), rows)
    else:
        click.echo("no lesson was put in, taken out, moved or renamed")
    some = f"{found.letters} dates of {found.moved} of them change"
    click.echo(f"{found.people} people are inside; {some if found.moved else 'no date changes'}")


@click.command()
@click.argument("who", metavar="[ID]", required=False)
@click.option("--last", "most", default=50, show_default=True, help="So many, the newest last.")
@json_option
def audit(who: str | None, most: int, *, as_json: bool) -> None:
    """List who changed what, when and from where, of one person or of all."""
    desk = Desk()
    with desk.database.read() as db:
        if who:
            people.known(db, who)
        lines = trail.newest(db, who, most)
    if as_json:
        print_json(lines)
        return
    for line in lines:
        imported = f" ({line.batch})" if line.batch else ""
        told = f"{line.who}  {line.action}: {line.words}"
        actor = ", ".join(filter(None, (line.by, line.place)))
        click.echo(f"{line.at:%Y-%m-%d %H:%M}Z  {actor}  {told}{imported}")


def planned(person: Person, letters: Iterable[PlannedLetter]) -> dict[str, object]:
    """A person's plan for a program."""
    told = [{name: getattr(letter, name) for name in TOLD} for letter in letters]
    return {"id": person.id, "status": person.status, "letters": told}


def chain(letter: PlannedLetter) -> str:
    """Why one letter has its date, step by step."""
    ends = f"{'goes' if letter.state == 'planned' else letter.state} {when(letter)}".strip()
    return f"week {letter.week}: " + "\n  ".join(dict.fromkeys([*letter.reasons, ends]))


def print_timelines(timelines: Timelines, material: Material) -> None:
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
            table.add_row(str(letter.week), letter.state, when(letter), words)
        out.print(table)


def when(letter: PlannedLetter) -> str:
    """`Tue 24 Nov 2026 09:30 GMT`; nothing for a letter without a date."""
    return timed(letter.local) if letter.local else ""


def first_letter(desk: Desk, person: Person, now: datetime) -> str:
    """When somebody new gets the first letter, in words."""
    letter = desk.planner.coming(person, {}, now)
    return f"first letter {when(letter) or letter.state}" if letter else person.status


def _only(letters: Iterable[PlannedLetter], lesson: str) -> PlannedLetter:
    by_slug = {letter.lesson: letter for letter in letters}
    if lesson not in by_slug:
        raise wrong("--why", None, f'"{lesson}" is not a lesson', closest(lesson, by_slug))
    return by_slug[lesson]


def _post(timelines: Timelines, day: date, zone: ZoneInfo) -> Timelines:
    """What goes or went on one day of the clinic's, of those who have something on it."""
    found = [
        (person, [each for each in letters if each.utc and each.utc.astimezone(zone).date() == day])
        for person, letters in timelines
    ]
    return [(person, letters) for person, letters in found if letters]


def _print_post(timelines: Timelines, material: Material) -> None:
    post = [(letter.utc, person, letter) for person, letters in timelines for letter in letters]
    rows = []
    for _, person, letter in sorted(post, key=lambda row: (row[0], row[1].id)):
        title = material.course.by_slug[letter.lesson].title
        rows.append((when(letter), person.id, person.name, letter.state, title))
    print_table(("when", "id", "name", "state", "letter"), rows)
    click.echo(f"{len(post)} letters")


def _print_behind(desk: Desk, now: datetime, *, as_json: bool) -> None:
    """Whose letter should have gone; exit 1 if there is any."""
    barred = desk.round.barred(now) if desk.settings.channel != "folder" else {}
    with desk.database.read() as db:
        last = Heartbeat.last(db)
    found = behind(desk.enrolled(now), barred, last, now)
    if as_json:
        print_json(found)
    else:
        for each in found:
            click.echo(f"{each.id}  {each.lesson}  since {on(each.since)}: {each.why}")
        click.echo(f"{len(found)} behind" if found else "nobody is behind")
    if found:
        raise click.exceptions.Exit(1)


def _next(letters: list[PlannedLetter]) -> str:
    """When the next letter goes, or why none does."""
    if following := next_letter(letters):
        return when(following)
    held = next((letter for letter in letters if letter.state == "held"), None)
    return "; ".join(held.reasons) if held else "none"


def _summary(person: Person, letters: list[PlannedLetter]) -> dict[str, Any]:
    following = next_letter(letters)
    return {
        "id": person.id,
        "status": person.status,
        "sent": sum(letter.state == "sent" for letter in letters),
        "undecided": sum(letter.state == "undecided" for letter in letters),
        "next": following.local if following else None,
    }
