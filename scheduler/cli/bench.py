"""bench: what this machine does in a second, with ratios measured in the same run."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from functools import partial
from pathlib import Path
from time import perf_counter

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


@click.command()
@click.option("--people", "number", default=1000, show_default=True, help="How many to invent.")
def bench(number: int) -> None:
    """Measure filling, writing and planning; nothing real is touched."""
    desk = Desk()
    now = datetime(2026, 11, 24, 9, 31, tzinfo=UTC)
    crowd = [_invented(each, now) for each in range(number)]
    edition = desk.press.edition(desk.material.course.lessons[1].slug, False)
    following = desk.planner.coming(crowd[0], {}, now)
    values = merge_values(crowd[0], following, desk.keys, desk.material.clinic.name)
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
        ("plan a person", _rate(lambda: desk.planner.plan(crowd[0], {}, now), 2_000), ""),
        ("a round: claim, fill, write, record", _round(desk, crowd, now), f"{number} due letters"),
    ]
    told = [(what, f"{rate:,.0f}", ratio) for what, rate, ratio in rows]
    print_table(("what", "a second", ""), told)


def _rate(work: Callable[[], object], times: int) -> float:
    """How often a second, at the best of three."""
    best = 0.0
    for _ in range(3):
        began = perf_counter()
        for _ in range(times):
            work()
        best = max(best, times / (perf_counter() - began))
    return best


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
        with database.write() as db:
            planner = desk.planner
            people.add(db, [(person, planner.next_due(person, {}, now)) for person in crowd])
        desk.press.all()
        service = Round(database, desk.planner, desk.press, desk.keys)
        began = perf_counter()
        with Folder(Path(folder) / "outbox") as channel:
            report = service.run(channel, partial(datetime.fromtimestamp, now.timestamp(), UTC))
        seconds = perf_counter() - began
        database.close()
    if report.letters["accepted"] != len(crowd):
        raise AssertionError(report)
    return len(crowd) / seconds


def _invented(number: int, now: datetime) -> Person:
    return replace(
        SOMEBODY,
        id=f"p{number}",
        email=f"person{number}@example.org",
        enrolled_at=now - timedelta(days=1),
        enrolment_id=new_id(),
    )
