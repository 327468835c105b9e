"""simulate and demo: the whole course in seconds, nothing real touched."""

from datetime import date, datetime
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from scheduler.cli.desk import Desk
from scheduler.cli.people import console, print_timelines
from scheduler.findings import shown
from scheduler.material.fields import FIRST_YEAR, LAST_YEAR
from scheduler.plan.reasons import on
from scheduler.simulate import simulate as run_simulation


@click.command()
@click.option(
    "--from", "begin", type=click.DateTime(["%Y-%m-%d"]), help="The first day, as in 2026-11-23."
)
@click.option(
    "--weeks", type=click.IntRange(1, 520), help="How long; until all is sent if left out."
)
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("var/simulation"),
    show_default=True,
    help="Where to.",
)
def simulate(begin: datetime | None, weeks: int | None, folder: Path) -> None:
    """Run the roster through a simulated clock into a folder of letters."""
    if begin and not FIRST_YEAR <= begin.year <= LAST_YEAR:
        raise click.BadParameter(f"{begin.date()} is too far away", param_hint="--from")
    _simulate(Desk(), folder, begin.date() if begin else None, weeks)


@click.command()
def demo() -> None:
    """Show the whole course: the example people, nine weeks of letters, in seconds."""
    _simulate(Desk(), Path("var/demo"), None, None)


def _simulate(desk: Desk, folder: Path, begin: date | None, weeks: int | None) -> None:
    columns = (TextColumn("letters"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console()) as bar:
        task = bar.add_task("letters", total=None)
        done = run_simulation(
            desk.settings,
            desk.material,
            folder,
            begin=begin,
            weeks=weeks,
            progress=lambda sent, total: bar.update(task, completed=sent, total=total),
        )
    print_timelines(done.timelines, desk.material)
    first, last = done.began.date(), done.ended.date()
    click.echo(
        f"\n{done.sent} letters to {len(done.timelines)} people, "
        f"{on(first)} {first.year} to {on(last)} {last.year}, on a simulated clock."
    )
    click.echo(f"Leaf through them: {shown(done.index)}")
