"""staff: who may sign in to the pages. An invitation is a link that is good once, for three days.

There is no account to begin with: whoever can run commands here invites the first administrator.
"""

from datetime import datetime

import click
from rich.markup import escape
from rich.table import Table

from scheduler.cli.desk import Desk, json_option, now_option, print_json
from scheduler.cli.people import console
from scheduler.cli.tailoring import ADDRESS
from scheduler.findings import closest, wrong
from scheduler.ledger import staff as ledger
from scheduler.ledger.staff import Role
from scheduler.material.fields import clean
from scheduler.plan.reasons import on


@click.group()
def staff() -> None:
    """Invite staff to the pages, list them, or let one in no more."""


@staff.command()
@click.argument("email", type=ADDRESS)
@click.option("--name", required=True, help="As colleagues know them.")
@click.option("--role", type=click.Choice(ledger.ROLES), required=True, help="What they may do.")
@now_option
def invite(email: str, name: str, role: Role, now: datetime) -> None:
    """Ask somebody in, or let somebody choose a new password; prints a link, sends nothing."""
    if not (called := clean(name)):
        raise click.BadParameter("is empty", param_hint="--name")
    desk = Desk()
    click.echo(invited(desk, email, called, role, now))
    ends = (now + ledger.INVITED).astimezone(desk.material.clinic.timezone)
    click.echo(f"good once, until {on(ends.date())} {ends:%Y %H:%M %Z}; give it to nobody else")


@staff.command("list")
@json_option
def list_staff(*, as_json: bool) -> None:
    """List who may sign in, and who was asked in."""
    desk = Desk()
    with desk.database.read() as db:
        found = ledger.everyone(db)
    if as_json:
        rows = [
            {"email": each.email, "name": each.name, "role": each.role, "joined": each.joined}
            for each in found
        ]
        print_json(rows)
        return
    table = Table("e-mail", "name", "role", "", box=None, pad_edge=False)
    for each in found:
        table.add_row(each.email, escape(each.name), each.role, "" if each.joined else "invited")
    console().print(table)


@staff.command()
@click.argument("email", type=ADDRESS)
@now_option
def end(email: str, now: datetime) -> None:
    """Let somebody in no more; they are signed out at once, everywhere."""
    desk = Desk()
    with desk.database.write() as db:
        if not ledger.end(db, email, now):
            known = [each.email for each in ledger.everyone(db)]
            cure = closest(email, known, "see physiopost staff list")
            raise wrong("EMAIL", None, "nobody has this address", cure)
    click.echo("let in no more")


def invited(desk: Desk, email: str, name: str, role: Role, now: datetime) -> str:
    """Ask somebody in; the link with which they choose their password."""
    with desk.database.write() as db:
        token = ledger.invite(db, email, name, role, now)
    return f"{desk.settings.url}/welcome/{token}"
