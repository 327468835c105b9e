"""staff: who may sign in to the pages. An invitation is a link that is good once, for three days.

There is no account to begin with: whoever can run commands here invites the first administrator.
"""

from collections.abc import Callable
from datetime import datetime

import click

from scheduler.cli.desk import NAME, Desk, json_option, me, now_option, print_json, print_table
from scheduler.cli.tailoring import ADDRESS
from scheduler.findings import closest, wrong
from scheduler.ledger import staff as ledger
from scheduler.ledger import trail
from scheduler.ledger.staff import Role
from scheduler.plan.reasons import timed


@click.group()
def staff() -> None:
    """Invite staff to the pages, list them, or let one in no more."""


@staff.command()
@click.argument("email", type=ADDRESS)
@click.option("--name", type=NAME, required=True, help="As colleagues know them.")
@click.option("--role", type=click.Choice(ledger.ROLES), required=True, help="What they may do.")
@now_option
def invite(email: str, name: str, role: Role, now: datetime) -> None:
    """Ask somebody in, or let somebody choose a new password; prints a link, sends nothing."""
    desk = Desk()
    click.echo(invited(desk, email, name, role, now))
    ends = (now + ledger.INVITED).astimezone(desk.material.clinic.timezone)
    click.echo(f"good once, until {timed(ends)}; give it to nobody else")


@staff.command("list")
@json_option
def list_staff(*, as_json: bool) -> None:
    """List who may sign in, and who was asked in."""
    desk = Desk()
    with desk.database.read() as db:
        found = ledger.everyone(db)
    if as_json:
        names = ("email", "name", "role", "joined")
        print_json([{name: getattr(each, name) for name in names} for each in found])
        return
    told = [(each.email, each.name, each.role, "" if each.joined else "invited") for each in found]
    print_table(("e-mail", "name", "role", ""), told)


@staff.command()
@click.argument("email", type=ADDRESS)
@now_option
def end(email: str, now: datetime) -> None:
    """Let somebody in no more; they are signed out at once, everywhere."""
    _change(email, "let in no more", now, lambda db, member: ledger.end(db, member.email, now))
    click.echo("let in no more")


@staff.command()
@click.argument("email", type=ADDRESS)
@now_option
def reset(email: str, now: datetime) -> None:
    """Take somebody's second factor away, when the phone is lost; they are signed out."""
    _change(email, "reset the second factor", now, ledger.reset)
    click.echo("the password alone is enough now, until a new app is set up")


def _change(email: str, what: str, now: datetime, act: Callable[..., object]) -> None:
    """Do something to the member who has this address, and note it."""
    with Desk().database.write() as db:
        known = {each.email: each for each in ledger.everyone(db)}
        if not (member := known.get(email.casefold())):
            cure = closest(email, known, "see physiopost staff list")
            raise wrong("EMAIL", None, "nobody has this address", cure)
        act(db, member)
        trail.tell(db, None, "staff", f"{what}: {member.email}", at=now, by=me())


def invited(desk: Desk, email: str, name: str, role: Role, now: datetime) -> str:
    """Ask somebody in; the link with which they choose their password."""
    with desk.database.write() as db:
        token = ledger.invite(db, email, name, role, now)
        trail.tell(db, None, "invite", f"{email.casefold()} as {role}", at=now, by=me())
    return f"{desk.settings.url}/welcome/{token}"
