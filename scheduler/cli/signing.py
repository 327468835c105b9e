"""sign: a physiotherapist puts a name under what patients will read."""

import sys
from datetime import UTC, date, datetime

import click

from scheduler.cli.desk import DATE, NAME, Desk, Parsed
from scheduler.findings import closest, shown, wrong
from scheduler.material import Material, signoff
from scheduler.material.lessons import CITATION
from scheduler.material.signoff import ALL, BLOCKS, parse_registration, passages, standing

NUMBER = Parsed("NUMBER", parse_registration)


@click.command()
@click.argument("what")
@click.option("--name", "by", type=NAME, required=True, help="The physiotherapist's name.")
@click.option(
    "--registration", "number", type=NUMBER, required=True, help="Their number, as in PH123456."
)
@click.option("--on", "day", type=DATE, help="The day of signing; today if left out.")
@click.option("--yes", is_flag=True, help="Do not ask whether it has been read.")
def sign(what: str, by: str, number: str, day: date | None, *, yes: bool) -> None:
    """Sign WHAT: a lesson's slug, `blocks` (the two warning boxes), or `all`.

    For a registered physiotherapist who has read the text as patients get it (see render) against
    its sources (see evidence). The signature goes into signoff.yaml in the course folder and holds
    until the text is edited. By SMTP or SendGrid only signed letters go.

    Nobody checks here whether the name and the number stand in a register: whoever signs says so.
    """
    desk = Desk()
    folder, material = desk.settings.course, desk.material
    today = desk.today(datetime.now(UTC))
    things = _things(what, material)
    if (on := day or today) > today:
        raise wrong("--on", None, f"{on} is still to come", "write the day on which it was read")
    signoff.refuse_shipped(folder)
    for each in things:
        click.echo(_described(material, each))
    if not (yes or _confirmed(material, by, number)):
        click.echo("nothing was signed")
        raise click.exceptions.Exit(1)
    path = signoff.sign(folder, material, things, by, number, on=on)
    click.echo(f"signed by {by} ({number}) on {on}, in {shown(path)}")
    stands = standing(Desk().material, today).values()
    if left := [each.what for each in stands if each.state in ("unsigned", "void")]:
        click.echo(f"not signed yet: {', '.join(left)}")
    for late in (each for each in stands if each.state == "past review"):
        click.echo(f"{late.what} still does not go: {late.words}")


def _things(what: str, material: Material) -> list[str]:
    known = [*material.course.by_slug, BLOCKS]
    if what == ALL:
        return known
    if what not in known:
        cure = closest(what, known, f"known are {', '.join(known)} and {ALL}")
        raise wrong("WHAT", None, f'there is no "{what}" to sign', cure)
    return [what]


def _described(material: Material, what: str) -> str:
    """What is signed: its name, heading, length and files."""
    read = passages(material, what)
    words = sum(len(CITATION.sub("", passage.body).split()) for passage in read)
    files = ", ".join(shown(passage.path) for passage in read)
    boxes = f"the two warning boxes, with the numbers of {material.country.name}"
    title = boxes if what == BLOCKS else read[0].title
    return f"{what}  {title}  {words} words  {files}"


def _confirmed(material: Material, name: str, number: str) -> bool:
    """Ask; without a terminal there is nobody to ask."""
    if not sys.stdin.isatty():
        words = "there is no terminal to ask whether this has been read"
        raise wrong("sign", None, words, "add --yes once the physiotherapist has read it")
    says = f"I am {name}, a registered {material.country.profession} ({number}), and have read this"
    return click.confirm(f"{says}.")
