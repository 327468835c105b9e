"""move, hold, resume, skip, pace, at, note, correct, end, reenrol, undo: a physiotherapist's verbs.

Each shows the old dates beside the new ones and asks before it does anything.
"""

from collections.abc import Callable
from datetime import date, datetime, time
from functools import partial, wraps
from typing import Any

import click

from scheduler import tailoring
from scheduler.cli.desk import DATE, Desk, Parsed, me, now_option, print_table
from scheduler.findings import wrong
from scheduler.ledger.evidence import Evidence
from scheduler.ledger.suppressions import lift
from scheduler.material import Material
from scheduler.material.fields import clean, parse_address, parse_time
from scheduler.plan.reasons import dated
from scheduler.plan.rules import PlannedLetter
from scheduler.roster.batch import BATCH
from scheduler.roster.proposal import Proposal

CLOCK = Parsed("HH:MM", parse_time)
ADDRESS = Parsed("ADDRESS", parse_address)
SHOWN = 5  # people whose letters are laid out


def asking(function: Callable[..., list[Proposal]], done: str) -> click.Command:
    """A command of the function's name, which shows what that proposes, asks, and does it."""

    @wraps(function)
    def run(who: str, now: datetime, *, dry_run: bool, yes: bool, **words: Any) -> None:
        desk = Desk()
        if not dry_run:
            desk.planner.refresh(desk.database, now)
        proposed = function(who=who, desk=desk, now=now, **words)
        for each in proposed[:SHOWN]:
            show(each, desk.material)
        if len(proposed) > SHOWN:
            click.echo(f"and {len(proposed) - SHOWN} people more")
        if dry_run:
            click.echo("nothing was changed")
            return
        if not yes:
            click.confirm("Do it?", abort=True)
        tailoring.commit(desk.database, desk.planner, proposed, now, me(), keys=desk.keys)
        click.echo(done.format(who=who))

    command = click.option("--yes", is_flag=True, help="Do not ask.")(now_option(run))
    shows = "Show the dates and change nothing."
    return click.command(click.option("--dry-run", is_flag=True, help=shows)(command))


def verb(function: Callable[..., tailoring.Verb]) -> click.Command:
    """A command whose function gives the verb that it stands for."""

    @wraps(function)
    def propose(who: str, desk: Desk, now: datetime, **words: Any) -> list[Proposal]:
        change = function(desk=desk, now=now, **words)
        return [tailoring.propose(desk.database, desk.planner, who, change, now)]

    named = click.argument("who", metavar="ID")(propose)
    return asking(named, "done; physiopost undo {who} takes it back")


@verb
@click.option("--start", type=DATE, help="The day that the course counts from.")
@click.option("--appointment", type=DATE, help="The day of the first appointment.")
def move(start: date | None, appointment: date | None, **_: Any) -> tailoring.Verb:
    """Move the start of a course, or the first appointment; what was sent stays sent."""
    if not (start or appointment):
        raise click.UsageError("say --start DATE or --appointment DATE")
    return lambda person: tailoring.move(person, start=start, appointment=appointment)


@verb
@click.option(
    "--from", "first", type=DATE, help="The first day without letters; today if left out."
)
@click.option("--until", type=DATE, help="The first day after the hold; without it, no end.")
@click.option("--reason", default="", help="A few words for staff, as in: on holiday.")
def hold(
    first: date | None, until: date | None, reason: str, desk: Desk, now: datetime
) -> tailoring.Verb:
    """Hold the letters for a while; the rest of the course moves along and never bunches."""
    today = desk.today(now)
    return lambda person: tailoring.hold(person, first or today, until, clean(reason), today)


@verb
def now(desk: Desk, now: datetime) -> tailoring.Verb:
    """Send the next letter at once; those after it keep their own dates."""
    return lambda person: tailoring.at_once(person, now, desk.today(now))


@verb
def resume(desk: Desk, now: datetime) -> tailoring.Verb:
    """End the hold that is under way; with none under way, take off the next one."""
    return lambda person: tailoring.resume(person, desk.today(now))


@verb
@click.argument("lesson")
@click.option("--back", is_flag=True, help="Send it after all.")
def skip(lesson: str, desk: Desk, *, back: bool, **_: Any) -> tailoring.Verb:
    """Leave a lesson out, for example one that was covered in the room; the rest close up."""
    change = tailoring.keep if back else tailoring.skip
    return lambda person: change(person, lesson, desk.material.course)


@verb
@click.argument("days", type=int, required=False)
def pace(days: int | None, **_: Any) -> tailoring.Verb:
    """Set the days between letters, 3 to 28; without DAYS the course's own pace."""
    return lambda person: tailoring.pace(person, days)


@verb
@click.argument("clock", type=CLOCK, required=False, metavar="[HH:MM]")
def at(clock: time | None, **_: Any) -> tailoring.Verb:
    """Set the time of day at which letters come; without HH:MM the clinic's."""
    return lambda person: tailoring.at(person, clock)


@verb
@click.argument("words", required=False)
def note(words: str | None, **_: Any) -> tailoring.Verb:
    """Write a note that stands in every letter from now on; without WORDS no note."""
    return lambda person: tailoring.note(person, clean(words) if words else None)


@verb
@click.option("--email", type=ADDRESS, default="", help="The new address.")
@click.option("--name", default="", help="The name, as letters should greet them.")
@click.option("--physiotherapist", default="", help="Whose name signs a note.")
def correct(email: str, name: str, physiotherapist: str, **_: Any) -> tailoring.Verb:
    """Correct a person's address, name or physiotherapist; bounced letters then go on."""
    given = {"email": email, "name": clean(name), "physiotherapist": clean(physiotherapist)}
    if not any(given.values()):
        raise click.UsageError("say --email ADDRESS, --name NAME or --physiotherapist NAME")
    return lambda person: tailoring.correct(person, **given)


@verb
@click.option("--reason", type=click.Choice(tailoring.ENDINGS), required=True, help="Why.")
def end(reason: tailoring.Ending, **_: Any) -> tailoring.Verb:
    """End a course: nothing more is sent."""
    return lambda person: tailoring.end(person, reason)


@verb
@click.option("--appointment", type=DATE, required=True, help="The new first appointment.")
@click.option("--consent", type=DATE, required=True, help="The day on which the person agreed.")
def reenrol(appointment: date, consent: date, desk: Desk, now: datetime) -> tailoring.Verb:
    """Begin the course anew for somebody whose course has ended: a new episode."""
    if consent > desk.today(now):
        raise click.BadParameter(f"{consent} is in the future", param_hint="--consent")
    return lambda person: tailoring.reenrol(person, appointment, consent, now)


@partial(asking, done="taken back")
@click.argument("who", metavar="ID|IMPORT")
def undo(who: str, desk: Desk, now: datetime) -> list[Proposal]:
    """Take back the last change of a person, or a whole import before its first letter went."""
    parts = desk.database, desk.planner, who, now
    return tailoring.undo_batch(*parts) if who.startswith(BATCH) else [tailoring.undo(*parts)]


@click.command()
@click.argument("address", type=ADDRESS)
@now_option
def suppress(address: str, now: datetime) -> None:
    """Write to an address no more; the courses of those who have it end."""
    desk = Desk()
    with desk.database.write() as db:
        Evidence(desk.keys, desk.planner).leave_alone(db, address, "stopped", now, by=me())
    click.echo("it is not written to any more; physiopost allow ADDRESS lifts that")


@click.command()
@click.argument("address", type=ADDRESS)
def allow(address: str) -> None:
    """Let an address be written to again, because its owner asked for it."""
    desk = Desk()
    with desk.database.write() as db:
        if not lift(db, desk.keys, address):
            raise wrong("ADDRESS", None, "is not on the list of those not to be written to")
    click.echo("it may be written to again; physiopost reenrol ID begins a course anew")


def show(proposal: Proposal, material: Material) -> None:
    """A person's old dates beside the new ones, and what is done in a line."""
    click.echo(f"{proposal.change.person.id}: {proposal.change.words}")
    rows = []
    for row in proposal.all_rows:
        lesson = material.course.by_slug[row.lesson]
        dates = _date(row.was), _date(row.becomes)
        rows.append((str(lesson.week), lesson.title, *dates, row.why))
    print_table(("week", "letter", "was", "becomes", ""), rows)
    if not proposal.moves:
        click.echo("no letter's date changes")


def _date(letter: PlannedLetter | None) -> str:
    if letter is None or letter.local is None:
        return letter.state if letter else ""
    return f"{dated(letter.local.date())} {letter.local:%H:%M}"
