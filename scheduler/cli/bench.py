"""bench: what this machine does in a second, with ratios measured in the same run."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from time import perf_counter
from timeit import repeat

import click
from mjml import mjml2html

from scheduler.cli.desk import Desk, print_table
from scheduler.cli.rendering import SOMEBODY
from scheduler.delivery.channels.folder import Folder
from scheduler.delivery.merge import merge_values
from scheduler.delivery.round import Round
from scheduler.ledger import people
from scheduler.ledger.database import Database
from scheduler.ledger.people import Person, new_id
from scheduler.letters.editions import Edition
from scheduler.letters.fill import Envelope, fill
from scheduler.letters.mime import extra_headers, message_id, serialise
from scheduler.plan.rules import PlannedLetter, plan


@click.command()
@click.option("--people", "number", default=1000, show_default=True, help="How many to invent.")
def bench(number: int) -> None:
    """Measure filling, writing and planning; nothing real is touched."""
    desk = Desk()
    now = datetime(2026, 11, 24, 9, 31, tzinfo=UTC)
    crowd = [_invented(each, now) for each in range(number)]
    edition = desk.press.edition(desk.material.course.lessons[1].slug, False)
    following = desk.planner.coming(crowd[0], {}, now)
    kept = merge_values(crowd[0], following, desk.keys, desk.material.clinic.name)
    values = desk.keys.proven(kept)
    envelope = Envelope(new_id(), crowd[0].email, now, values)
    source = desk.press.source(edition.lesson, noted=False)
    compile_each = _rate(lambda: mjml2html(source, disable_comments=True, fonts={}), 300)
    filled = _rate(lambda: fill(edition, values), 20_000)
    written = _rate(lambda: serialise(edition, envelope), 5_000)
    built = _rate(lambda: _built(edition, envelope), 100)
    rows = [
        ("fill a letter (HTML, text, subject)", filled, f"{filled / compile_each:.0f} x compiling"),
        ("compile its MJML for each person instead", compile_each, "1 x"),
        ("a letter as MIME octets", written, f"{written / built:.0f} x building"),
        ("build its MIME for each person instead", built, "1 x"),
        ("plan a person", _rate(lambda: _planned(desk, crowd[0], now), 2_000), ""),
        ("a round: claim, fill, write, record", _round(desk, crowd, now), f"{number} due letters"),
    ]
    told = [(what, f"{rate:,.0f}", ratio) for what, rate, ratio in rows]
    print_table(("what", "a second", ""), told)


def _planned(desk: Desk, person: Person, now: datetime) -> list[PlannedLetter]:
    """Worked out anew each time, as for somebody who shares the plan with nobody."""
    material = desk.material
    return plan(material.course, person.way(material), desk.planner.calendar, {}, now)


def _rate(work: Callable[[], object], times: int) -> float:
    """How often a second, at the best of three."""
    return times / min(repeat(work, repeat=3, number=times))


def _built(edition: Edition, envelope: Envelope) -> bytes:
    """The same message by the standard library, from nothing."""
    letter = fill(edition, envelope.values)
    message = EmailMessage(SMTP)
    message["From"] = f"{edition.from_name} <{edition.from_email}>"
    message["To"], message["Subject"] = envelope.to, letter.subject
    message["Message-ID"] = message_id(edition, envelope)
    for name, value in extra_headers(edition, envelope).items():
        message[name] = value
    message.set_content(letter.text, cte="quoted-printable")
    message.add_alternative(letter.html, "html", cte="quoted-printable")
    return message.as_bytes()


def _round(desk: Desk, crowd: list[Person], now: datetime) -> float:
    """Letters a second through the folder channel, durable database and files included."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/bench.db")
        service = Round(database, desk.planner, desk.press, desk.keys)
        with database.write() as db:
            people.add(db, [(each, desk.planner.next_due(each, {}, now)) for each in crowd])
        desk.press.all()
        began = perf_counter()
        with Folder(Path(folder) / "outbox") as channel:
            report = service.run(channel, lambda: now)
        seconds = perf_counter() - began
        database.close()
    if report.letters["accepted"] != len(crowd):
        raise AssertionError(report)
    return len(crowd) / seconds


def _invented(number: int, now: datetime) -> Person:
    home, early = f"person{number}@example.org", now - timedelta(days=1)
    return replace(SOMEBODY, id=f"p{number}", email=home, enrolled_at=early, enrolment_id=new_id())
