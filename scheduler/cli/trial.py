"""simulate and demo: the whole service in seconds, nothing real touched.

`demo --serve` runs the service for a clinic that does not exist, in a folder of its own:

1. Twelve weeks pass on a simulated clock, up to noon of the last open day before today.
2. At three that afternoon some letters meet trouble; nothing has run since, so some are late.
3. Staff do what they do, today. Then the pages open, and letters go on into the folder.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from scheduler import tailoring
from scheduler.cli.desk import Desk
from scheduler.cli.people import console, print_timelines
from scheduler.cli.service import serve as run_service
from scheduler.cli.staff import invited
from scheduler.delivery.channels import Outcome
from scheduler.delivery.channels.folder import Folder
from scheduler.findings import WrongInput, shown
from scheduler.ledger import people
from scheduler.ledger.evidence import Event, Evidence
from scheduler.ledger.staff import Role
from scheduler.letters.editions import Edition
from scheduler.letters.fill import Envelope
from scheduler.material.clinic import DAYS
from scheduler.material.fields import FIRST_YEAR, LAST_YEAR
from scheduler.plan.calendar import DAY, Calendar, instant
from scheduler.plan.reasons import days, on
from scheduler.roster.merge import apply, merge
from scheduler.simulate.almanac import write_almanac
from scheduler.simulate.simulation import Simulated
from scheduler.simulate.simulation import simulate as run_simulation

BARS = " ▁▂▃▄▅▆▇█"
MOST_FAULTS = 20

STAGE, WEEKS = Path("var/serve"), 12
STAFF: tuple[tuple[str, Role], ...] = (
    ("Alex Reed", "admin"),
    ("Priya Shah", "physiotherapist"),
    ("Tom Ellis", "physiotherapist"),
    ("Jordan Blake", "technician"),
)
CAST: dict[str, tuple[int, dict[str, Any]]] = {
    "Amy Okafor": (37, {}),
    "Ben Hughes": (16, {"note": "Well done on the walking."}),
    "Chloe Martin": (11, {"pace": 10}),
    "Dev Patel": (30, {}),
    "Elif Kaya": (19, {}),
    "Frank Weber": (12, {"timezone": "America/New_York", "send_at": "18:15"}),
    "Grace Lin": (45, {"consent": 6}),
    "Hana Novak": (80, {}),
    "Ivan Petrov": (8, {"start": 1, "send_at": "15:00"}),
    "Jo Quinn": (8, {"start": 1, "send_at": "15:00"}),
    "Kofi Mensah": (24, {}),
    "Lena Fischer": (33, {}),
    "Maya Rossi": (0, {"consent": -1}),
    "Noor Ali": (18, {}),
    "Omar Haddad": (8, {"start": 1, "send_at": "15:00"}),
    "Pia Berg": (-10, {"consent": -1}),
    "Ruth Cohen": (8, {"start": 1, "send_at": "16:00"}),
}
"""Who was seen how many days ago, and what the roster says besides, days ago as well."""
DATES = ("start", "consent")
BOUNCES = "ivan@example.org"
TROUBLE = {
    "jo@example.org": Outcome("unknown", "the connection broke while the letter was under way"),
    "omar@example.org": Outcome("refused", "the mail server takes no letter for this address"),
}


@click.command()
@click.option(
    "--from",
    "begin",
    type=click.DateTime(["%Y-%m-%d"]),
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
    "--to",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("var/simulation"),
    show_default=True,
    help="Where to.",
)
def simulate(
    begin: datetime | None, weeks: int | None, scale: int | None, seed: int | None, folder: Path
) -> None:
    """Run the roster, or invented people, through months on a simulated clock.

    Shows the letters a day and why some moved, and holds all of them against what was promised.
    """
    if begin and not FIRST_YEAR <= begin.year <= LAST_YEAR:
        raise click.BadParameter(f"{begin.date()} is too far away", param_hint="--from")
    seed = 1 if scale and seed is None else seed
    desk = Desk()
    first = begin.date() if begin else None
    done = _simulate(desk, folder, begin=first, weeks=weeks, scale=scale, seed=seed)
    calendar = desk.planner.calendar
    _chart(done.verdict.days, calendar)
    _told(done, desk)
    almanac = folder / "almanac.svg"
    write_almanac(almanac, done.verdict.days, calendar, desk.settings.templates)
    click.echo(f"The post as a calendar: {shown(almanac)}")
    for fault in done.verdict.faults[:MOST_FAULTS]:
        click.echo(f"{fault.kind}: {fault.lesson} to {fault.who}, {fault.at:%Y-%m-%dT%H:%MZ}")
    click.echo(f"\n{done.verdict.line}")
    sys.exit(1 if done.verdict.faults else 0)


@click.command()
@click.option("--serve", is_flag=True, help="Serve the pages of a clinic with invented people.")
def demo(*, serve: bool) -> None:
    """Show the whole course: the example people, nine weeks of letters, in seconds.

    With --serve the pages and the worker, in var/serve, which is made anew each time.
    """
    if not serve:
        _simulate(Desk(), Path("var/demo"))
        return
    desk, now = Desk(), datetime.now(UTC)
    given = desk.settings
    desk.settings = replace(
        given,
        database=f"sqlite:///{STAGE / 'physiopost.db'}",
        channel="folder",
        outbox=STAGE,
        subscribers=STAGE.with_suffix(".yaml"),
        url=f"http://{given.host}:{given.port}",
        webhook_key="",
        ping="",
    )
    _stage(desk, now)
    click.echo(f"{len(CAST)} invented people, in {STAGE}; no letter leaves that folder")
    click.echo("Each link lets one of the staff in, once; they choose a password there:")
    for name, role in STAFF:
        email = f"{name.split()[0].lower()}@harbour-physio.example.org"
        click.echo(f"  {role:16} {name:14} {invited(desk, email, name, role, now)}")
    run_service(desk)


def _stage(desk: Desk, now: datetime) -> None:
    """The clinic that does not exist, as it stands now."""
    today = desk.today(now)
    last = today - DAY
    while desk.planner.calendar.closed(last):
        last -= DAY
    file = desk.settings.subscribers
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"- {json.dumps(each)}\n" for each in _cast(desk, last, today)))
    begin = last - 7 * WEEKS * DAY
    run_simulation(desk.settings, desk.material, STAGE, begin=begin, weeks=WEEKS)
    then = instant(last, time(15), desk.material.clinic.timezone)
    with _Trouble(STAGE) as channel:
        desk.round.run(channel, lambda: then)
    evidence = Evidence(desk.keys, desk.planner)
    with desk.database.write() as db:
        apply(db, merge(db, desk.roster(today), desk.keys, now), desk.planner, now)
        gone = channel.posted.get(BOUNCES)
        evidence.take(db, [Event("demo", "bounce", gone, "", now, "5.1.1", BOUNCES)], now)
        if kofi := people.find(db, "kofi"):
            evidence.stop(db, kofi, now)
    course = desk.material.course
    verbs: dict[str, tailoring.Verb] = {
        "dev": lambda who: tailoring.hold(who, today, today + 14 * DAY, "on holiday", today),
        "noor": lambda who: tailoring.hold(who, today, None, "flare-up", today),
        "elif": lambda who: tailoring.skip(who, course.lessons[-1].slug, course),
        "lena": lambda who: tailoring.end(who, "discharged"),
    }
    parts = desk.database, desk.planner
    for who, verb in verbs.items():
        with suppress(WrongInput):  # in a clinic's own, shorter course it may be over by now
            moved = tailoring.propose(*parts, who, verb, now)
            tailoring.commit(*parts, [moved], now, "Priya Shah", keys=desk.keys)


def _cast(desk: Desk, last: date, today: date) -> Iterator[dict[str, Any]]:
    """The roster's entries; whatever is a number of days becomes a date."""
    for number, (name, (ago, more)) in enumerate(CAST.items()):
        seen, _ = desk.planner.calendar.open_from(last - ago * DAY)
        who = name.split()[0].lower()
        dates = {
            key: str(min(last - value * DAY, today)) for key, value in more.items() if key in DATES
        }
        entry = {"id": who, "email": f"{who}@example.org", "name": name}
        entry |= {"first_appointment": str(seen), "consent": str(min(seen, last))}
        yield entry | {"physiotherapist": STAFF[1 + number % 2][0]} | more | dates


class _Trouble(Folder):
    """The folder, where some letters do not go as they should; `posted` is each one's delivery."""

    def __init__(self, outbox: Path) -> None:
        super().__init__(outbox)
        self.posted: dict[str, str] = {}

    def post(
        self, edition: Edition, envelopes: Sequence[Envelope]
    ) -> Iterator[tuple[Envelope, Outcome]]:
        for envelope, outcome in super().post(edition, envelopes):
            self.posted[envelope.to] = envelope.delivery
            yield envelope, TROUBLE.get(envelope.to, outcome)


def _simulate(
    desk: Desk,
    folder: Path,
    *,
    begin: date | None = None,
    weeks: int | None = None,
    scale: int | None = None,
    seed: int | None = None,
) -> Simulated:
    columns = (TextColumn("letters"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console()) as bar:
        task = bar.add_task("letters", total=None)
        done = run_simulation(
            desk.settings,
            desk.material,
            folder,
            begin=begin,
            weeks=weeks,
            scale=scale,
            seed=seed,
            progress=lambda sent, total: bar.update(task, completed=sent, total=total),
        )
    print_timelines(done.timelines, desk.material)
    first, last = done.world.began.date(), done.world.now.date()
    click.echo(
        f"\n{len(done.posted)} letters to {scale or len(done.timelines)} people, "
        f"{on(first)} {first.year} to {on(last)} {last.year}, on a simulated clock."
    )
    if done.index:
        click.echo(f"Leaf through them: {shown(done.index)}")
    return done


def _chart(letters: Mapping[date, int], calendar: Calendar) -> None:
    """A row a week: each day with a bar and its number, by the patients' own dates."""
    table = Table("week of", *DAYS, "week", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    most = max(letters.values(), default=1)
    for monday in _mondays(letters):
        week = [monday + number * DAY for number in range(7)]
        cells = [_cell(letters.get(day, 0), most, calendar.closed(day)) for day in week]
        total = sum(letters.get(day, 0) for day in week)
        table.add_row(f"{monday:%d} {on(monday)[-3:]} {monday.year}", *cells, f"{total:,}")
    click.echo()
    console().print(table)


def _mondays(letters: Mapping[date, int]) -> Iterator[date]:
    monday = min(letters, default=date.min) - min(letters, default=date.min).weekday() * DAY
    while letters and monday <= max(letters):
        yield monday
        monday += 7 * DAY


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
        local = busiest.astimezone(zone)
        click.echo(
            f"\nBusiest minute: {on(local.date())} {local:%Y %H:%M %Z} ({busiest:%H:%M} UTC), "
            f"{minutes[busiest]:,} letters."
        )
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
    table = Table("letters", "moved, and why", box=None, pad_edge=False)
    for words, number in sorted(done.moved.items(), key=lambda each: (-each[1], each[0])):
        table.add_row(f"{number:,}", escape(words))
    console().print(table)
    click.echo()


def _length(span: timedelta) -> str:
    hours = span.seconds // 3600
    return f"{days(span.days)} and {hours} h" if span.days else f"{hours} h"
