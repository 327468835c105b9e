"""export and forget: what is known about somebody, handed over or removed."""

import zipfile
from collections.abc import Mapping
from datetime import date, datetime
from io import BytesIO
from pathlib import Path

import click

from scheduler import access
from scheduler.cli.desk import PATH, Desk, me, now_option
from scheduler.findings import WrongInput, shown, writing, wrong
from scheduler.keeping import Keeping
from scheduler.ledger import trail
from scheduler.ledger.holdings import Rows
from scheduler.roster.entries import read_roster

WORDS = {
    "enrolment": "courses",
    "delivery": "letters",
    "attempt": "tries to send them",
    "event": "events",
    "undo": "changes that could be undone",
}


@click.command()
@click.argument("who", metavar="ID")
@click.option(
    "--to", "place", type=PATH, required=True, help="A new folder, or a new file that ends in .zip."
)
@now_option
def export(who: str, place: Path, now: datetime) -> None:
    """Write everything that is kept about a person: to read, and for a program."""
    desk = Desk()
    rows = keeping_of(desk).held(who)
    made = access.files(desk.database, desk.material, desk.keys, rows, now)
    with writing(place, "name a new folder, or a new file.zip"):
        _zip(place, made) if place.suffix == ".zip" else _folder(place, made)
    with desk.database.write() as db:
        for row in rows["enrolment"]:
            trail.tell(db, row["id"], trail.READ, "everything, as an export", at=now, by=me())
    click.echo(f"wrote {len(made)} files: {shown(place)}; they name the person, so keep them safe")


@click.command()
@click.argument("who", metavar="[ID]", required=False)
@click.option("--due", is_flag=True, help="What is older than clinic.yaml allows, instead of ID.")
@click.option("--dry-run", is_flag=True, help="Say what would go and remove nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@now_option
def forget(who: str | None, now: datetime, *, due: bool, dry_run: bool, yes: bool) -> None:
    """Remove everything about a person, for good; no file enrols them again.

    What stays names nobody: the audit's lines, two counts, and a keyed mark of the address.
    """
    if bool(who) == due:
        raise click.UsageError("say ID, or --due")
    desk = Desk()
    keeping = keeping_of(desk)
    if who is None:
        over = keeping.due(now)
        if not (over.letters or over.people):
            click.echo("nothing is older than clinic.yaml allows (retention)")
            return
        click.echo(f"older than clinic.yaml allows: {over.words}")
        for each in over.people:
            click.echo(f"  {each}")
        if _go_on(dry_run=dry_run, yes=yes):
            keeping.purge(now, me())
        return
    _tell(desk, keeping, who)
    if _go_on(dry_run=dry_run, yes=yes):
        keeping.forget(who, now, me())
        click.echo("removed; backups made before today still hold them until you delete those")


def keeping_of(desk: Desk) -> Keeping:
    """What a desk keeps."""
    return Keeping(desk.database, desk.keys, desk.settings, desk.material)


def _tell(desk: Desk, keeping: Keeping, who: str) -> None:
    """What would go, what stays, and what is left for a person to do."""
    rows = keeping.held(who)
    parts = [f"{words}: {len(rows[table])}" for table, words in WORDS.items() if rows[table]]
    click.echo(f"everything about {who} goes ({', '.join(parts)})")
    click.echo("the lines of the audit stay, and say no more whose they were")
    lines = _lines(desk.settings.subscribers, desk, rows)
    if keeping.shared(who):
        click.echo("somebody else gets letters at the same address, so it is not marked")
        if lines:
            words = "then this entry would enrol the person again"
            raise wrong(lines, None, words, "take it out first, and type the same again")
    else:
        click.echo("the address is marked: no file and nobody on the pages enrols it again")
    if lines:
        click.echo(f"{lines}: take this entry out; until then the file is refused")


def _lines(path: Path, desk: Desk, rows: Rows) -> str:
    """Where the roster file has the person: `subscribers.yaml:14`; empty when it has not."""
    if not path.exists():
        return ""
    ids = {rows["subscriber"][0]["id"], *(row["applied"].get("id") for row in rows["enrolment"])}
    home = rows["subscriber"][0]["email"].casefold()
    try:
        roster = read_roster(path, desk.material.course, date.max)
    except WrongInput:
        return shown(path)
    for number, entry in enumerate(roster.entries):
        if entry.id in ids if entry.id else entry.email.casefold() == home:
            return f"{shown(path)}:{roster.line(number)}"
    return ""


def _go_on(*, dry_run: bool, yes: bool) -> bool:
    if dry_run:
        click.echo("nothing was removed")
    elif not yes:
        click.confirm("Remove it? It cannot be taken back.", abort=True)
    return not dry_run


def _folder(place: Path, made: Mapping[str, bytes]) -> None:
    place.mkdir(mode=0o700)
    (place / "letters").mkdir(mode=0o700)
    for name, content in made.items():
        (place / name).write_bytes(content)


def _zip(place: Path, made: Mapping[str, bytes]) -> None:
    whole = BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in made.items():
            packed.writestr(name, content)
    place.touch(mode=0o600, exist_ok=False)
    place.write_bytes(whole.getvalue())
