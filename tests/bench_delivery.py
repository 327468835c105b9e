"""How fast letters go, against the stand-ins: `make bench`, or `python tests/bench_delivery.py`.

1. Invent people whose first letter is due, and write them into a new database.
2. Drain it with whole rounds (claim, fill, send, record), commits as durable as in service. Each
   measurement is a process of its own, and so is the server that it sends to.
3. Ratios are between rows of one run, so they hold on other machines; the rates do not.

--full adds what takes minutes: a million enrolments. --only WORD runs the rows that hold the word.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from io import StringIO
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import postgres
from conftest import signed
from rich.console import Console
from rich.table import Table
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import Content, Mail
from smtp_sink import sink

from scheduler.cli import main as physiopost
from scheduler.delivery.channels.sendgrid import SendGrid
from scheduler.delivery.channels.smtp import Smtp
from scheduler.delivery.round import Round, merge_values
from scheduler.keys import Keys
from scheduler.ledger import people
from scheduler.ledger.database import Database
from scheduler.ledger.people import Person, new_id
from scheduler.ledger.planner import Planner
from scheduler.letters.editions import Press
from scheduler.letters.fill import fill
from scheduler.material import read_material
from scheduler.settings import MailServer, Settings

ROOT = Path(__file__).parent.parent
NOW = datetime(2026, 11, 24, 9, 31, tzinfo=UTC)  # a minute after the first letters are due
KEY = "SG.standin"
MANY, CHUNK = 100_000, 10_000

Way = Literal["sendgrid", "smtp"]
Row = tuple[str, str, str]


@dataclass(frozen=True)
class Drained:
    """What a process measured: letters, seconds, and its greatest memory in megabytes."""

    letters: int
    seconds: float
    memory: float

    @property
    def rate(self) -> float:
        return self.letters / self.seconds


class Service:
    """The parts of a round, with the shipped course as if it were signed."""

    def __init__(self, url: str) -> None:
        settings = Settings.from_environment({"PHYSIOPOST_CLINIC": str(ROOT / "clinic.yaml")})
        self.material = signed(read_material(settings))
        self.planner = Planner(self.material)
        self.press = Press(self.material, settings.templates)
        self.keys = Keys(["a secret of the bench"], "https://letters.example.org")
        self.press.all()
        self.database = Database(url)
        self.round = Round(self.database, self.planner, self.press, self.keys)


def invented(number: int) -> Person:
    """One of ten has a note; all had their first appointment the day before."""
    return Person(
        id=f"p{number:07}",
        email=f"person{number}@example.org",
        name=f"Person{number} Example",
        consent=NOW.date() - timedelta(days=1),
        first_appointment=NOW.date() - timedelta(days=1),
        enrolled_at=NOW - timedelta(days=1),
        enrolment_id=new_id(),
        physiotherapist="Tom Ellis",
        note=None if number % 10 else "Well done on the walking.",
    )


# What runs in a process of its own


def enrolled(url: str, number: int, due: int | None = None) -> None:
    """Invent people: the letters of the first `due` of them are due, the others' in a week."""
    service = Service(url)
    soon = service.planner.next_due(invented(0), {}, NOW - timedelta(days=1))
    assert soon
    crowd = map(invented, range(number))
    done = 0
    while some := list(islice(crowd, CHUNK)):
        with service.database.write() as db:
            late = [
                soon if due is None or done + place < due else soon + timedelta(days=7)
                for place in range(len(some))
            ]
            people.add(db, list(zip(some, late, strict=True)))
        done += len(some)


def drained(url: str, way: Way, at: str, batch: int) -> Drained:
    """Send what is due."""
    service = Service(url)
    with channel(way, at, batch) as opened:
        began = perf_counter()
        report = service.round.run(opened, lambda: NOW)
        seconds = perf_counter() - began
    assert report.letters.keys() <= {"accepted"}, report
    return Drained(report.letters["accepted"], seconds, memory())


def channel(way: Way, at: str, batch: int) -> SendGrid | Smtp:
    if way == "sendgrid":
        return SendGrid(KEY, at, batch)
    notes = Path(tempfile.mkdtemp())
    return Smtp(MailServer("127.0.0.1", int(at), "none"), notes, connections=batch)


def one_by_one(at: str, number: int) -> Drained:
    """The package as its own pages show it: a Mail and a call for each letter, nothing recorded."""
    service = Service("sqlite://")
    somebody = invented(1)
    edition = service.press.edition("welcome", False)
    following = service.planner.coming(somebody, {}, NOW)
    values = merge_values(somebody, following, service.keys, "Clinic")
    api = SendGridAPIClient(KEY, host=at)
    began = perf_counter()
    for each in range(number):
        letter = fill(edition, values)
        text, html = Content("text/plain", letter.text), Content("text/html", letter.html)
        to = f"person{each}@example.org"
        api.send(Mail(edition.from_email, to, letter.subject, [text, html]))
    return Drained(number, perf_counter() - began, memory())


def idle(url: str) -> Drained:
    """Rounds in which nothing is due."""
    service = Service(url)
    with SendGrid(KEY, "http://127.0.0.1:9", 1000) as opened:
        before = NOW - timedelta(hours=3)
        service.round.run(opened, lambda: before)
        began = perf_counter()
        for _ in range(100):
            service.round.run(opened, lambda: before)
    return Drained(100, perf_counter() - began, memory())


def planned(number: int) -> Drained:
    """Every letter of so many people."""
    service = Service("sqlite://")
    crowd = [invented(each) for each in range(number)]
    began = perf_counter()
    for each in crowd:
        service.planner.plan(each, {}, NOW)
    return Drained(number, perf_counter() - began, memory())


def imported(folder: str, number: int) -> Drained:
    """`physiopost enrol` of the two files that a practice system exports."""
    files = exported(Path(folder), number)
    os.environ |= {
        "PHYSIOPOST_DATABASE": f"sqlite:///{folder}/enrol.db",
        "PHYSIOPOST_CLINIC": str(ROOT / "clinic.yaml"),
    }
    sys.argv = ["physiopost", "enrol", *files, "--consent", "2026-11-16"]
    sys.argv += ["--now", "2026-11-16T12:00Z"]
    began = perf_counter()
    said = StringIO()
    with redirect_stdout(said):
        try:
            physiopost()
        except SystemExit as left:
            assert not left.code, said.getvalue()
    assert f"{number} new" in said.getvalue(), said.getvalue()
    return Drained(number, perf_counter() - began, memory())


def exported(folder: Path, number: int) -> list[str]:
    """Jane's appointments and patients, of invented people."""
    files = [folder / "appointments.csv", folder / "patients.csv"]
    shown = [ROOT / "tests" / "data" / f"jane-{path.name}" for path in files]
    for path, like in zip(files, shown, strict=True):
        with like.open(newline="") as example, path.open("w", newline="") as file:
            names, first = islice(csv.reader(example), 2)
            pattern = dict(zip(names, first, strict=True))
            rows = csv.DictWriter(file, names)
            rows.writeheader()
            for each in range(number):
                rows.writerow(pattern | _own(each, names))
    return [str(path) for path in files]


def _own(number: int, names: list[str]) -> dict[str, str]:
    own = {
        "id": f"{number}",
        "patient_guid": f"g-{number}",
        "patient_number": f"{number}",
        "patient_last_name": f"Adeyemi{number}",
        "Patient Number": f"{number}",
        "Last Name": f"Adeyemi{number}",
        "Email": f"person{number}@example.org",
    }
    return {name: own[name] for name in names if name in own}


def memory() -> float:
    """The most that this process has held, in megabytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


# The rows


class Bench:
    """Measures a row at a time and prints it at once."""

    def __init__(self, folder: Path, *, full: bool) -> None:
        self.folder, self.full = folder, full
        self.spawn = get_context("spawn")

    def apart(self, work: Callable[..., Any], *given: Any) -> Any:
        """Call in a process of its own."""
        with self.spawn.Pool(1) as pool:
            return pool.apply(work, given)

    def sqlite(self, number: int, due: int | None = None) -> str:
        url = f"sqlite:///{self.folder / new_id()}.db"
        self.apart(enrolled, url, number, due)
        return url

    def by_sendgrid(self, url: str, batch: int) -> Drained:
        with standin() as at:
            done: Drained = self.apart(drained, url, "sendgrid", at, batch)
        return done


@contextmanager
def standin() -> Iterator[str]:
    """The stand-in, in a process of its own."""
    command = [sys.executable, str(ROOT / "tests" / "sendgrid_standin.py"), "--light"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin
        assert server.stdout
        try:
            yield server.stdout.readline().strip()
        finally:
            server.stdin.close()
