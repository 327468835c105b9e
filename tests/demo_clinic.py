"""A clinic that does not exist, at work, with its pages: `make serve`.

The real service, in var/serve, which is made anew each time; no letter leaves it.

1. Twelve weeks pass on a simulated clock, up to noon of the last open day before today.
2. At three that afternoon some letters meet trouble; nothing has run since, so some are late.
3. Staff and patients do what they do, today; somebody mistypes a date in the roster file. Then the
   pages open, and letters go on into the folder.

Who they are stands in data/demo_clinic.yaml.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import click

from scheduler import backup, tailoring
from scheduler.cli import main
from scheduler.cli.desk import Desk
from scheduler.cli.service import serve
from scheduler.cli.staff import invited
from scheduler.delivery.channels import Outcome
from scheduler.delivery.channels.folder import Folder
from scheduler.findings import WrongInput
from scheduler.ledger import deliveries, people
from scheduler.ledger.changes import Change
from scheduler.ledger.evidence import PATIENT, Event, Evidence
from scheduler.ledger.people import Person
from scheduler.letters.editions import Edition
from scheduler.letters.fill import Envelope
from scheduler.material.yamlfile import read_yaml
from scheduler.plan.calendar import DAY, instant
from scheduler.roster import batch
from scheduler.roster.merge import apply, merge
from scheduler.roster.table import Sheet, as_text
from scheduler.roster.visits import Choices
from scheduler.roster.watch import applied
from scheduler.simulate.simulation import simulate
from scheduler.simulate.world import Trial
from scheduler.web.wishes import Wishes

STAGE, WEEKS = Path("var/serve"), 12
CAST: dict[str, Any] = read_yaml(Path(__file__).parent / "data" / "demo_clinic.yaml").value
DATES = ("start", "consent")
MISTYPED = {"id": "zoe", "email": "zoe@example.org", "name": "Zoe Adler", "consent": "today"}


@click.command()
def clinic() -> None:
    """Set the stage, print a link for each of the staff, and serve until Ctrl-C."""
    os.umask(0o077)  # as for a clinic's own files
    desk, now = Desk(), datetime.now(UTC)
    given = desk.settings
    desk.settings = replace(
        given,
        course=_own_course(given.course),
        database=f"sqlite:///{STAGE / 'physiopost.db'}",
        channel="folder",
        outbox=STAGE,
        subscribers=STAGE.with_suffix(".yaml"),
        url=f"http://{given.host}:{given.port}",
        webhook_key="",
        ping="",
    )
    _set(desk, now)
    number = len(CAST["people"]) + len(CAST["imported"])
    click.echo(f"{number} invented people, in {STAGE}; no letter leaves that folder")
    click.echo("Each link lets one of the staff in, once; they choose a password there:")
    for name, role in CAST["staff"].items():
        email = f"{name.split()[0].lower()}@harbour-physio.example.org"
        click.echo(f"  {role:16} {name:14} {invited(desk, email, name, role, now)}")
    with desk.database.read() as db:
        sofia = people.find(db, "sofia")
    if sofia:
        page = desk.keys.stop_url(sofia.enrolment_id).replace("/stop/", "/letters/")
        click.echo(f"The page of one patient, as the foot of each letter links to it:\n  {page}")
    click.echo("So that commands, such as physiopost doctor, are about this clinic:")
    for name in ("database", "outbox", "subscribers", "course"):
        click.echo(f"  export PHYSIOPOST_{name.upper()}={getattr(desk.settings, name)}")
    serve(desk)


def _own_course(shipped: Path) -> Path:
    """A copy: what is signed on the page must not sign the shipped course."""
    course = STAGE.with_suffix(".course")
    shutil.rmtree(course, ignore_errors=True)
    return Path(shutil.copytree(shipped, course))


def _set(desk: Desk, now: datetime) -> None:
    """The clinic as it stands now."""
    today = desk.today(now)
    last = today - DAY
    while desk.planner.calendar.closed(last):
        last -= DAY
    file = desk.settings.subscribers
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"- {json.dumps(each)}\n" for each in _roster(desk, last, today)))
    trial = Trial(begin=last - 7 * WEEKS * DAY, weeks=WEEKS)
    simulate(desk.settings, desk.material, STAGE, trial)
    then = instant(last, time(15), desk.material.clinic.timezone)
    with _Trouble(STAGE) as channel:
        desk.round.run(channel, lambda: then)
    evidence, bounces = Evidence(desk.keys, desk.planner), CAST["bounces"]
    with desk.database.write() as db:
        apply(db, merge(db, desk.roster(today), desk.keys, now), desk.planner, now)
        applied(db, file)
        gone = channel.posted.get(bounces)
        evidence.take(db, [Event("demo", "bounce", gone, "", now, "5.1.1", bounces)], now)
        if kofi := people.find(db, "kofi"):
            evidence.stop(db, kofi, now)
    course = desk.material.course
    verbs: dict[str, tailoring.Verb] = {
        "dev": lambda who: tailoring.hold(who, today, today + 14 * DAY, "on holiday", today),
        "noor": lambda who: tailoring.hold(who, today, None, "flare-up", today),
        "elif": lambda who: tailoring.skip(who, course.lessons[-1].slug, course),
        "lena": lambda who: tailoring.end(who, "discharged"),
    }
    for who, verb in verbs.items():
        _do(desk, who, verb, now, "Priya Shah")
    with desk.database.read() as db:
        sent = deliveries.sent(db)
    for who, wish, value in CAST["wishes"]:

        def wished(person: Person, wish: str = wish, value: str = value) -> Change:
            wishes = Wishes(person, desk.planner, sent[person.enrolment_id], now)
            return wishes.verb(wish, {wish: value})(person)

        _do(desk, who, wished, now, PATIENT)
    _import(desk, today, now)
    with file.open("a") as roster:
        roster.write(f"- {json.dumps(MISTYPED)}\n")


def _do(desk: Desk, who: str, verb: tailoring.Verb, now: datetime, by: str) -> None:
    parts = desk.database, desk.planner
    with suppress(WrongInput):  # in a clinic's own, shorter course it may be over by now
        moved = tailoring.propose(*parts, who, verb, now)
        tailoring.commit(*parts, [moved], now, f"{by} · 10.0.0.12", keys=desk.keys)


def _import(desk: Desk, today: date, now: datetime) -> None:
    """A file of people who have had no letter yet, so that it can be taken back."""
    columns = {name: name for name in ("name", "email", "first_appointment")}
    rows = [
        (name, f"{name.split()[0].lower()}@example.org", str(today + days * DAY))
        for name, days in CAST["imported"].items()
    ]
    sheet = Sheet(Path("people.csv"), as_text([[*columns], *rows]).encode())
    with desk.database.write() as db:
        told = Choices(consent=today, columns=columns)
        export = batch.read(db, [sheet], desk.material.course, today, told)
        merged = merge(db, export, desk.keys, now)
        batch.put_in(db, export, merged, desk.planner, now, by="Alex Reed · 10.0.0.11")
    backup.make(desk.database, STAGE / "clinic.backup", desk.keys.seals("backups")[0], now)


def _roster(desk: Desk, last: date, today: date) -> Iterator[dict[str, Any]]:
    """The roster's entries; whatever is a number of days becomes a date."""
    physiotherapists = [name for name, role in CAST["staff"].items() if role == "physiotherapist"]
    for number, (name, told) in enumerate(CAST["people"].items()):
        seen, _ = desk.planner.calendar.open_from(last - told["seen"] * DAY)
        who = name.split()[0].lower()
        entry = {"id": who, "email": f"{who}@example.org", "name": name}
        entry |= {"first_appointment": str(seen), "consent": str(min(seen, last))}
        entry |= {"physiotherapist": physiotherapists[number % 2]}
        more = {
            key: str(min(last - value * DAY, today)) if key in DATES else value
            for key, value in told.items()
            if key != "seen"
        }
        yield entry | more


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
            trouble = CAST["trouble"].get(envelope.to)
            yield envelope, Outcome(**trouble) if trouble else outcome


if __name__ == "__main__":
    main(clinic)
