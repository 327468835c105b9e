"""export, forget, backup, restore: what is known, handed over, removed, put away, put back."""

import zipfile
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path

import click

from scheduler import access
from scheduler import backup as backups
from scheduler.cli.desk import INSTANT, PATH, Desk, me, now_option
from scheduler.findings import WrongInput, private, shown, writing, wrong
from scheduler.ledger import trail
from scheduler.ledger.holdings import Rows
from scheduler.plan.reasons import timed
from scheduler.settings import NO_SECRET

FOLDER = Path("var/backups")
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
    rows = desk.keeping.held(who)
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
    if who:
        _tell(desk, who)
        if _go_on(dry_run=dry_run, yes=yes):
            desk.keeping.forget(who, now, me())
            click.echo("removed; backups made before today still hold them until you delete those")
        return
    over = desk.keeping.due(now)
    if not (over.letters or over.people):
        click.echo("nothing is older than clinic.yaml allows (retention)")
        return
    click.echo("\n  ".join([f"older than clinic.yaml allows: {over.words}", *over.people]))
    if _go_on(dry_run=dry_run, yes=yes):
        desk.keeping.purge(now, me())


@click.command()
@click.option("--to", "file", type=PATH, help="A new file; else by the time.")
@now_option
def backup(file: Path | None, now: datetime) -> None:
    """Write all that is known into one sealed file, while the service runs; keep it elsewhere.

    It is sealed with PHYSIOPOST_BACKUP_KEY, or with PHYSIOPOST_SECRET. Without that key nobody
    opens it, so keep the key elsewhere too.
    """
    desk = Desk()
    if file is None:
        FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = FOLDER / f"{now:%Y%m%d-%H%M%S}.backup"
    rows = backups.make(desk.database, file, _keys(desk)[0], now).rows
    click.echo(f"{shown(file)}: {rows['subscriber']} people, {rows['delivery']} letters; checked")


@click.command()
@click.argument("file", type=PATH)
@click.option("--replace", is_flag=True, help="Even over people; what is there now is lost.")
@click.option("--until", type=INSTANT, help="When the service last ran; now if left out.")
@now_option
def restore(file: Path, now: datetime, until: datetime | None, *, replace: bool) -> None:
    """Put a backup in place of the database; stop the service first.

    Letters that may have gone after the backup was made do not go again by themselves: they are in
    doubt, and wait for a person. A shorter --until leaves fewer of them.
    """
    desk = Desk()
    parts = desk.database, desk.planner, file, _keys(desk)
    found, held = backups.restore(*parts, until=until or now, now=now, replace=replace)
    with desk.database.write() as db:
        trail.tell(db, None, "restore", f"as of {found.at:%Y-%m-%d %H:%M} UTC", at=now, by=me())
    erased = desk.keeping.forget_again(now, me())
    since, rows = timed(found.at.astimezone(desk.material.clinic.timezone)), found.rows
    click.echo(f"{rows['subscriber']} people and {rows['delivery']} letters, as of {since}")
    if erased:
        click.echo(f"{erased} of them had been forgotten since, and are forgotten again")
    if held:
        click.echo(f"{held} letters may have gone since: they wait for a person, and go only then")
        click.echo("see who with physiopost plan --behind; of one person settle the last one first")
    click.echo("what was changed since is lost: who is new, who stopped, who was moved or held")
    click.echo("enrol who is new (physiopost enrol), and make the changes again before you start")


def _keys(desk: Desk) -> list[str]:
    """What backups are sealed with: the first seals a new one, any may open an old one."""
    secrets = [] if desk.settings.secrets == (NO_SECRET,) else desk.keys.seals("backups")
    if known := [*desk.settings.backup_keys, *secrets]:
        return known
    cure = "set PHYSIOPOST_SECRET or this, to 32 random characters (openssl rand -hex 32)"
    raise wrong("PHYSIOPOST_BACKUP_KEY", None, "is not set", cure)


def _tell(desk: Desk, who: str) -> None:
    """What would go, what stays, and what is left for a person to do."""
    rows = desk.keeping.held(who)
    parts = [f"{words}: {len(rows[table])}" for table, words in WORDS.items() if rows[table]]
    click.echo(f"everything about {who} goes ({', '.join(parts)})")
    click.echo("the lines of the audit stay, and say no more whose they were")
    lines = _lines(desk, rows)
    if desk.keeping.shared(who):
        click.echo("somebody else gets letters at the same address, so it is not marked")
        if lines:
            words = "then this entry would enrol the person again"
            raise wrong(lines, None, words, "take it out first, and type the same again")
    else:
        click.echo("the address is marked: no file and nobody on the pages enrols it again")
    if lines:
        click.echo(f"{lines}: take this entry out; until then the file is refused")


def _lines(desk: Desk, rows: Rows) -> str:
    """Where the roster file has the person: `subscribers.yaml:14`; empty when it has not."""
    if not (path := desk.settings.subscribers).exists():
        return ""
    ids = {rows["subscriber"][0]["id"], *(row["applied"].get("id") for row in rows["enrolment"])}
    home = rows["subscriber"][0]["email"].casefold()
    try:
        roster = desk.roster(date.max)
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
    ours = private(place, "name a new file.zip")
    with ours as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in made.items():
            packed.writestr(name, content)
