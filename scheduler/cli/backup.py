"""backup and restore: the whole ledger in one sealed file, and back."""

from datetime import datetime
from pathlib import Path

import click

from scheduler import backup as backups
from scheduler.cli.desk import INSTANT, Desk, me, now_option
from scheduler.cli.keeping import keeping_of
from scheduler.findings import shown, wrong
from scheduler.ledger import trail
from scheduler.plan.reasons import timed
from scheduler.settings import NO_SECRET

FOLDER = Path("var/backups")


@click.command()
@click.option("--to", "file", type=click.Path(path_type=Path), help="A new file; else by the time.")
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
    made = backups.make(desk.database, file, keys_of(desk)[0], now)
    rows = made.rows
    click.echo(f"{shown(file)}: {rows['subscriber']} people, {rows['delivery']} letters; checked")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Even over people; what is there now is lost.")
@click.option("--until", type=INSTANT, help="When the service last ran; now if left out.")
@now_option
def restore(file: Path, now: datetime, until: datetime | None, *, replace: bool) -> None:
    """Put a backup in place of the database; stop the service first.

    Letters that may have gone after the backup was made do not go again by themselves: they are in
    doubt, and wait for a person. A shorter --until leaves fewer of them.
    """
    desk = Desk()
    found, held = backups.restore(
        desk.database,
        desk.planner,
        file,
        keys_of(desk),
        until=until or now,
        now=now,
        replace=replace,
    )
    with desk.database.write() as db:
        trail.tell(db, None, "restore", f"as of {found.at:%Y-%m-%d %H:%M} UTC", at=now, by=me())
    erased = keeping_of(desk).forget_again(now, me())
    since = timed(found.at.astimezone(desk.material.clinic.timezone))
    rows = found.rows
    click.echo(f"{rows['subscriber']} people and {rows['delivery']} letters, as of {since}")
    if erased:
        click.echo(f"{erased} of them had been forgotten since, and are forgotten again")
    if held:
        click.echo(f"{held} letters may have gone since: they wait for a person, and go only then")
        click.echo("see who with physiopost plan --behind; of one person settle the last one first")
    click.echo("what was changed since is lost: who is new, who stopped, who was moved or held")
    click.echo("enrol who is new (physiopost enrol), and make the changes again before you start")


def keys_of(desk: Desk) -> list[str]:
    """What backups are sealed with: the first seals a new one, any may open an old one.

    Raises:
        WrongInput: there is none that others do not know.

    """
    own = list(desk.settings.backup_keys)
    secrets = [] if desk.settings.secrets == (NO_SECRET,) else desk.keys.seals("backups")
    if not (own or secrets):
        cure = "set PHYSIOPOST_SECRET or this, to 32 random characters (openssl rand -hex 32)"
        raise wrong("PHYSIOPOST_BACKUP_KEY", None, "is not set", cure)
    return own + secrets
