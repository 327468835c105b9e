"""How fast letters go, against the stand-ins: `make bench`, or `python tests/bench_delivery.py`.

1. Invent people whose first letter is due, and write them into a new database.
2. Drain it with whole rounds (claim, fill, send, record), commits as durable as in service. Each
   measurement is a process of its own, and so is the server that it sends to.
3. Ratios are between rows of one run, so they hold on other machines; the rates do not.

--full adds a million enrolments. --only NAME runs one group of rows.
"""

import argparse
import csv
import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Literal

import postgres
from conftest import signed
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import Mail
from smtp_sink import sink

from scheduler.cli import NEW_OBJECTS
from scheduler.cli import main as physiopost
from scheduler.delivery.channels.sendgrid import SendGrid
from scheduler.delivery.channels.smtp import Smtp
from scheduler.delivery.merge import merge_values
from scheduler.delivery.round import Round
from scheduler.keys import Keys
from scheduler.ledger import people
from scheduler.ledger.database import Database
from scheduler.ledger.people import Person, new_id
from scheduler.ledger.planner import Planner
from scheduler.letters.editions import Press
from scheduler.letters.fill import fill
from scheduler.material import read_material
from scheduler.plan.rules import plan
from scheduler.settings import MailServer, Settings

ROOT = Path(__file__).parent.parent
NOW = datetime(2026, 11, 24, 9, 31, tzinfo=UTC)  # a minute after the first letters are due
KEY = "SG.standin"
MANY, CHUNK = 100_000, 10_000
FAR = 0.05  # seconds; from a clinic to SendGrid and back, TLS and its own work included, is no less

Way = Literal["sendgrid", "smtp"]
Row = tuple[str, str, str]


@dataclass(frozen=True)
class Done:
    """What a process did: how much, from when to when, on a core, and its greatest memory in MB."""

    number: int
    began: float
    ended: float
    cpu: float
    memory: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def rate(self) -> float:
        return self.number / self.seconds

    @property
    def each(self) -> str:
        """Of a busy machine the second figure is the truer one."""
        wall, cpu = 1e6 / self.rate, 1e6 * self.cpu / self.number
        return f"{wall:.0f} µs each, {cpu:.0f} on a core"


class Watch:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self.began, self.cpu = perf_counter(), process_time()

    def done(self, number: int) -> Done:
        ended = perf_counter()  # the same clock in all processes of a machine
        status = Path("/proc/self/status").read_text()
        memory = int(status.partition("VmHWM:")[2].split()[0]) / 1000
        return Done(number, self.began, ended, process_time() - self.cpu, memory)


class Service:
    """The parts of a round, with the shipped course as if it were signed."""

    def __init__(self, url: str) -> None:
        gc.set_threshold(NEW_OBJECTS)
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


def enrolled(url: str, number: int, due: int | None) -> Done:
    """Invent people. The first `due` of them have a letter due, or all; the others in a week."""
    service, watch = Service(url), Watch()
    soon = service.planner.next_due(invented(0), {}, NOW - timedelta(days=1))
    assert soon
    later = soon + timedelta(days=7)
    crowd = enumerate(map(invented, range(number)))
    while some := list(islice(crowd, CHUNK)):
        with service.database.write() as db:
            people.add(
                db, [(each, soon if due is None or at < due else later) for at, each in some]
            )
    return watch.done(number)


def drained(url: str, way: Way, at: str, batch: int) -> Done:
    """Send what is due."""
    service = Service(url)
    with channel(way, at, batch) as opened:
        watch = Watch()
        report = service.round.run(opened, lambda: NOW)
        drained = watch.done(report.letters["accepted"])
    assert report.well, report
    return drained


def channel(way: Way, at: str, batch: int) -> SendGrid | Smtp:
    if way == "sendgrid":
        return SendGrid(KEY, at, batch)
    notes = Path(tempfile.mkdtemp())
    return Smtp(MailServer("127.0.0.1", int(at), "none"), notes, connections=batch)


def one_by_one(at: str, number: int) -> Done:
    """The package as its own pages show it: a Mail and a call for each letter, nothing recorded."""
    service = Service("sqlite://")
    somebody = invented(1)
    edition = service.press.edition("welcome", False)
    following = service.planner.coming(somebody, {}, NOW)
    values = service.keys.proven(merge_values(somebody, following, service.keys, "Clinic"))
    api = SendGridAPIClient(KEY, host=at)
    watch = Watch()
    for each in range(number):
        letter = fill(edition, values)
        to = f"person{each}@example.org"
        api.send(Mail(edition.from_email, to, letter.subject, letter.text, letter.html))
    return watch.done(number)


def idle(url: str, at: str) -> Done:
    """Rounds in which nothing is due."""
    service = Service(url)
    with SendGrid(KEY, at, 1000) as opened:
        before = NOW - timedelta(hours=3)
        service.round.run(opened, lambda: before)
        watch = Watch()
        for _ in range(100):
            service.round.run(opened, lambda: before)
        return watch.done(100)


def planned(number: int) -> Done:
    """Every letter of so many people, worked out for each as if nobody shared a plan."""
    service = Service("sqlite://")
    crowd = [invented(each) for each in range(number)]
    course, calendar = service.material.course, service.planner.calendar
    watch = Watch()
    for each in crowd:
        plan(course, each.way(service.material), calendar, {}, NOW)
    return watch.done(number)


def imported(folder: str, number: int) -> Done:
    """`physiopost enrol` of the two files that a practice system exports."""
    files = exported(Path(folder), number)
    os.environ |= {
        "PHYSIOPOST_DATABASE": f"sqlite:///{folder}/enrol.db",
        "PHYSIOPOST_CLINIC": str(ROOT / "clinic.yaml"),
    }
    sys.argv = ["physiopost", "enrol", *files, "--consent", "2026-11-16"]
    sys.argv += ["--now", "2026-11-16T12:00Z"]
    watch = Watch()
    said = StringIO()
    with redirect_stdout(said), suppress(SystemExit):
        physiopost()
    assert f"{number} new" in said.getvalue(), said.getvalue()
    return watch.done(number)


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


# The rows

Made = Callable[..., Done]


class Bench:
    """Every measurement is a process of its own, and its database is new."""

    def __init__(self, folder: Path, *, full: bool) -> None:
        self.folder, self.spawn = folder, get_context("spawn")
        self.sizes = (1000, MANY, 1_000_000) if full else (1000, MANY)

    def rows(self) -> dict[str, Callable[[], Iterator[Row]]]:
        return {
            "sendgrid": self.sendgrid,
            "far": self.far,
            "postgresql": self.postgresql,
            "smtp": self.smtp,
            "idle": self.idle,
            "flat": self.flat,
            "planning": self.planning,
            "enrolling": self.enrolling,
        }

    def apart(self, work: Made, *given: Any) -> Done:
        with self.spawn.Pool(1) as pool:
            return pool.apply(work, given)

    @contextmanager
    def sqlite(self, number: int, due: int | None = None) -> Iterator[str]:
        """A database of so many people."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            url = f"sqlite:///{folder}/bench.db"
            self.apart(enrolled, url, number, due)
            yield url

    def drain(self, url: str, batch: int, workers: int = 1, far: float = 0) -> Done:
        """By SendGrid, from when the first worker begins until the last is done."""
        with standin(far) as at, self.spawn.Pool(workers) as pool:
            each = pool.starmap(drained, [(url, "sendgrid", at, batch)] * workers, chunksize=1)
        return Done(
            sum(one.number for one in each),
            min(one.began for one in each),
            max(one.ended for one in each),
            sum(one.cpu for one in each),
            max(one.memory for one in each),
        )

    def sendgrid(self) -> Iterator[Row]:
        yield from self.compared("", 0, 2000, ((1, 2000), (100, MANY // 2), (1000, MANY)))

    def far(self) -> Iterator[Row]:
        """SendGrid is not on this machine: an answer takes a while, whatever it answers."""
        yield from self.compared(
            f" {1000 * FAR:.0f} ms away", FAR, 200, ((100, 10_000), (1000, MANY // 5))
        )

    def compared(
        self, where: str, far: float, calls: int, rounds: Sequence[tuple[int, int]]
    ) -> Iterator[Row]:
        with standin(far) as at:
            alone = self.apart(one_by_one, at, calls)
        what = f"SendGrid{where}: the package, one call a letter"
        yield what, f"{alone.rate:,.0f} a second", f"1 x; {alone.each}"
        for batch, number in rounds:
            with self.sqlite(number) as url:
                sent = self.drain(url, batch, far=far)
            told = f"{sent.rate / alone.rate:.1f} x; {sent.each}; {sent.memory:.0f} MB"
            what = f"SendGrid{where}: a round, {batch} in a request"
            yield what, f"{sent.rate:,.0f} a second", told

    def postgresql(self) -> Iterator[Row]:
        programs = postgres.programs()
        if programs is None:
            yield "PostgreSQL", "", "not installed here"
            return
        postgres.OPTIONS += " -c fsync=on"  # the last one counts: here it waits for the disk
        with postgres.server(programs) as server:
            first = 0.0
            for workers in (1, 2):
                url = server.database()
                self.apart(enrolled, url, MANY // 2, None)
                sent = self.drain(url, 1000, workers)
                first = first or sent.rate
                what = f"SendGrid: a round on PostgreSQL, workers: {workers}"
                yield what, f"{sent.rate:,.0f} a second", f"{sent.rate / first:.1f} x; {sent.each}"

    def smtp(self) -> Iterator[Row]:
        for connections in (1, 4):
            with self.sqlite(10_000) as url, sink() as server:
                sent = self.apart(drained, url, "smtp", str(server.port), connections)
            yield (
                f"SMTP: a round, connections: {connections}",
                f"{sent.rate:,.0f} a second",
                sent.each,
            )

    def idle(self) -> Iterator[Row]:
        for number in self.sizes:
            with self.sqlite(number, 0) as url, standin() as at:
                rounds = self.apart(idle, url, at)
            what = f"a round with nothing due, enrolled: {number:,}"
            yield what, f"{1000 / rounds.rate:.1f} ms", rounds.each

    def flat(self) -> Iterator[Row]:
        for number, due in ((size, due) for size in self.sizes for due in {1000, size}):
            if due == MANY:
                continue  # that is a row of sendgrid()
            with self.sqlite(number, due) as url:
                sent = self.drain(url, 1000)
            what = f"SendGrid: a round, due: {due:,} of {number:,}"
            told = f"{sent.each}; {sent.memory:.0f} MB"
            yield what, f"{sent.rate:,.0f} a second", told

    def planning(self) -> Iterator[Row]:
        plans = self.apart(planned, MANY)
        yield f"plan every letter of {MANY:,} people", f"{plans.seconds:.1f} s", plans.each

    def enrolling(self) -> Iterator[Row]:
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            new = self.apart(imported, folder, MANY)
        told = f"{new.each}; {new.memory:.0f} MB"
        yield f"enrol {MANY:,} people from CSV", f"{new.seconds:.1f} s", told


@contextmanager
def standin(far: float = 0) -> Iterator[str]:
    """The stand-in, in a process of its own, so many seconds away."""
    script = str(ROOT / "tests" / "sendgrid_standin.py")
    command = [sys.executable, script, "--light", "--far", str(far)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin
        assert server.stdout
        try:
            yield server.stdout.readline().strip()
        finally:
            server.stdin.close()


def main() -> None:
    read = argparse.ArgumentParser(description="How fast letters go, against the stand-ins.")
    read.add_argument("--full", action="store_true", help="with a million enrolments")
    read.add_argument("--only", help="one of the groups, as in smtp")
    given = read.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = Bench(Path(folder), full=given.full).rows()
        if given.only and given.only not in rows:
            read.error(f"the groups are {', '.join(rows)}")
        for group in [given.only] if given.only else rows:
            for what, measured, told in rows[group]():
                print(f"{what:52} {measured:>16}   {told}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
