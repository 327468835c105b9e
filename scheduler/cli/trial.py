"""simulate and demo: the whole service in seconds, nothing real touched."""

import sys
from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import click
from rich.table import Column, Table

from scheduler.cli.desk import DATE, PATH, Desk, console, print_table, progress
from scheduler.cli.people import print_timelines
from scheduler.findings import shown
from scheduler.material.clinic import DAYS
from scheduler.plan.calendar import DAY, Calendar
from scheduler.plan.reasons import dated, days, on, timed
from scheduler.simulate.simulation import Simulated, almanac
from scheduler.simulate.simulation import simulate as run_simulation
from scheduler.simulate.world import Trial

BARS = " ▁▂▃▄▅▆▇█"
MOST_FAULTS = 20


@click.command()
@click.option(
    "--from",
    "begin",
    type=DATE,
    help="The first day, as in 2026-11-23; the first consent if left out.",
)
@click.option(
    "--weeks", type=click.IntRange(1, 520), help="How long; until all is sent if left out."
)
@click.option(
    "--scale", type=click.IntRange(1, 50_000), help="Invent so many people instead of the roster."
)
@click.option(
    "--seed",
    type=int,
    help="Chance: outages, and changes by staff; the same number gives the same. "
    "[default: none, with --scale 1]",
)
@click.option(
    "--to", "folder", type=PATH, default="var/simulation", show_default=True, help="Where to."
)
def simulate(
    begin: date | None, weeks: int | None, scale: int | None, seed: int | None, folder: Path
) -> None:
    """Run the roster, or invented people, through months on a simulated clock.

    Shows the letters a day and why some moved, and holds all of them against what was promised.
    """
    desk = Desk()
    trial = Trial(begin, weeks, scale, 1 if scale and seed is None else seed)
    done = _simulate(desk, folder, trial)
    calendar = desk.planner.calendar
    _chart(done.verdict.days, calendar)
    _told(done, desk)
    picture = folder / "almanac.svg"
    svg = almanac(done.verdict.days, calendar, desk.settings.templates)
    picture.write_text(svg, encoding="utf-8")
    click.echo(f"The post as a calendar: {shown(picture)}")
    for fault in done.verdict.faults[:MOST_FAULTS]:
        click.echo(f"{fault.kind}: {fault.lesson} to {fault.who}, {fault.at:%Y-%m-%dT%H:%MZ}")
    click.echo(f"\n{done.verdict.line}")
    sys.exit(bool(done.verdict.faults))


@click.command()
def demo() -> None:
    """Show the whole course: the example people, nine weeks of letters, in seconds."""
    _simulate(Desk(), Path("var/demo"), Trial())


def _simulate(desk: Desk, folder: Path, trial: Trial) -> Simulated:
    with progress() as bar:
        task = bar.add_task("letters", total=None)

        def tell(sent: int, total: int) -> None:
            bar.update(task, completed=sent, total=total)

        done = run_simulation(desk.settings, desk.material, folder, trial, tell)
    print_timelines(done.timelines, desk.material)
    span = f"{dated(done.world.began.date())} to {dated(done.world.now.date())}"
    people = trial.scale or len(done.timelines)
    click.echo(f"\n{len(done.posted)} letters to {people} people, {span}, on a simulated clock.")
    if done.index:
        click.echo(f"Leaf through them: {shown(done.index)}")
    return done


def _chart(letters: Mapping[date, int], calendar: Calendar) -> None:
    """A row a week: each day with a bar and its number, by the patients' own dates."""
    columns = (Column(name, justify="right") for name in (*DAYS, "week"))
    table = Table("week of", *columns, box=None, pad_edge=False)
    monday = min(letters, default=date.max)
    monday -= monday.weekday() * DAY
    while letters and monday <= max(letters):
        week = [monday + number * DAY for number in range(7)]
        most, total = max(letters.values()), sum(letters.get(day, 0) for day in week)
        cells = [_cell(letters.get(day, 0), most, calendar.closed(day)) for day in week]
        table.add_row(f"{monday:%d} {on(monday)[-3:]} {monday.year}", *cells, f"{total:,}")
        monday += 7 * DAY
    click.echo()
    console().print(table)


def _cell(number: int, most: int, closed: str | None) -> str:
    if closed and not number:
        return "closed"
    return f"{BARS[-(-8 * number // most)]} {number:,}"


def _told(done: Simulated, desk: Desk) -> None:
    """The busiest minute, what happened, and why letters moved."""
    world, zone = done.world, desk.material.clinic.timezone
    minutes = Counter(letter.at.replace(second=0, microsecond=0) for letter in done.posted)
    if minutes:
        busiest = min(minutes, key=lambda minute: (-minutes[minute], minute))
        when = f"{timed(busiest.astimezone(zone))} ({busiest:%H:%M} UTC)"
        click.echo(f"\nBusiest minute: {when}, {minutes[busiest]:,} letters.")
    if world.away:
        longest = max(back - gone for gone, back in world.away)
        click.echo(f"The service was away {len(world.away)} times, up to {_length(longest)}.")
    if world.changed:
        number = sum(world.changed.values())
        counts = ", ".join(f"{word} {world.changed[word]}" for word in sorted(world.changed))
        click.echo(f"Changes by staff and patients: {number:,} ({counts}).")
    if done.verdict.clocks:
        click.echo(f"Clocks were changed between two letters of {done.verdict.clocks} people.")
    click.echo()
    moved = sorted(done.moved.items(), key=lambda each: (-each[1], each[0]))
    print_table(("letters", "moved, and why"), [(f"{number:,}", words) for words, number in moved])
    click.echo()


def _length(span: timedelta) -> str:
    hours = span.seconds // 3600
    return f"{days(span.days)} and {hours} h" if span.days else f"{hours} h"
