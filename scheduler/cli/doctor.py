"""doctor: everything that can be amiss, with the cure; for a person, or for what watches."""

from datetime import datetime

import click

from scheduler.cli.desk import Desk, json_option, now_option, print_json, print_table
from scheduler.doctor import Check, Ward, examine
from scheduler.findings import NotDone, WrongInput
from scheduler.ledger.database import Database
from scheduler.material import Material

SIGNS = {True: "✓", False: "✕", None: "–"}


@click.command()
@json_option
@now_option
def doctor(now: datetime, *, as_json: bool) -> None:
    """Look at everything that can be amiss, and say what to do. Changes and sends nothing.

    Asks the mail server or SendGrid whether they take the login, and the name server about the
    sender. Names nobody. Exit code 1 if anything is not well.
    """
    checks = examine(_ward(Desk(), now))
    if as_json:
        print_json(checks)
    else:
        print_table(("", "what", "how it stands, and what to do"), map(_row, checks))
        number = sum(each.well is False for each in checks)
        click.echo(f"{number} not well" if number else "all is well")
    if any(each.well is False for each in checks):
        raise click.exceptions.Exit(1)


def _row(check: Check) -> tuple[str, str, str]:
    words = check.words if check.well is not None else f"not looked at: {check.words}"
    return SIGNS[check.well], check.name, f"{words}\n→ {check.cure}" if check.cure else words


def _ward(desk: Desk, now: datetime) -> Ward:
    """What can be opened; of the rest, why not."""
    faults: dict[str, str] = {}
    material: Material | None = None
    database: Database | None = None
    try:
        material = desk.material
    except WrongInput as error:
        faults["course"] = str(error.findings[0])
    try:
        if (file := desk.settings.file) is None or file.exists():
            database = Database(desk.settings.database, migrate=False)
        else:
            faults["database"] = "there is none yet"
    except (NotDone, WrongInput) as error:
        faults["database"] = str(error)
    return Ward(desk.settings, material, database, faults, now, outside=True)
