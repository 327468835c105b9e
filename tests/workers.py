"""Several processes on one PostgreSQL: workers that are killed and stopped, and two services.

A storm: four workers send the same due letters into a SendGrid that has its own troubles. Again and
again one of them is killed (another takes its place) or stopped for longer than its lease. The
clock runs 600 times as fast, so that a lease of ten minutes is a second. After the storm one
service goes on alone; then SendGrid's list of what it took is held against the ledger.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn
from unittest.mock import patch

import sendgrid_standin
from kill_matrix import DUE, KEY, KEYS, person
from sendgrid_standin import StandIn

from scheduler.delivery.channels.sendgrid import SendGrid
from scheduler.delivery.round import Report, Round
from scheduler.findings import NotDone
from scheduler.ledger import deliveries, people
from scheduler.ledger.database import Database
from scheduler.ledger.planner import Planner
from scheduler.letters.editions import Press

SPEED = 600
WORKERS = 4
BATCH = 2
ODDS = 0.03  # of trouble, for each request
PAUSES = (1.2, 3.0)  # seconds that a stopped worker is stopped; a lease is one
STORM = 10.0  # seconds at most: after twelve, what is left would wait for the next day
SIGNED = ("all", "--name", "Rosa Example", "--registration", "PH123456", "--yes")
DAY_BEFORE = "2026-11-23"
AT_DUE = """
import datetime, time_machine
at = datetime.datetime(2026, 11, 24, 9, 31, tzinfo=datetime.UTC)
time_machine.travel(at, tick=True).start()
from scheduler.cli import main
main()
"""
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Result:
    """What a storm did, and what it could not do."""

    letters: int
    kills: int
    stops: int
    lost: int
    twice: int
    held: int


class Rushing:
    """A clock that begins when the letters are due; a test may set it forward."""

    def __init__(self) -> None:
        self.began, self.now = time.monotonic(), DUE

    def __call__(self) -> datetime:
        rushed = DUE + timedelta(seconds=(time.monotonic() - self.began) * SPEED)
        return max(self.now, rushed)


def storm(url: str, press: Press, number: int, seed: int, seconds: float = STORM) -> Result:
    """Let the workers send so many letters, and the reaper do what it can."""
    chance = random.Random(seed)  # noqa: S311 - to be repeated
    planner, channels = Planner(press.material), "scheduler.delivery.channels"
    crowd = [person(f"p{each}", DUE) for each in range(number)]
    crowd += [person(f"later{days}", DUE + timedelta(days=days)) for days in (1, 2, 3)]
    database = Database(url)
    with database.write() as db:
        people.add(db, [(each, planner.next_due(each, {}, each.enrolled_at)) for each in crowd])
    database.close()
    clock = Rushing()
    with (
        StandIn(KEY) as sendgrid,
        patch.object(sendgrid_standin, "time", SimpleNamespace(time=lambda: clock().timestamp())),
        patch(f"{channels}.sendgrid_http.TIMEOUT", 0.1),
        patch(f"{channels}.sendgrid.PATIENCE", 0.15),
        patch(f"{channels}.sendgrid.sleep", lambda _: time.sleep(0.01)),
        patch.object(sendgrid_standin._Server, "handle_error"),  # noqa: SLF001 - half a request
    ):
        sendgrid.by_chance(seed, ODDS)
        end = time.monotonic() + seconds
        kills, stops = _reap(
            partial(_fork, url, press, sendgrid.url, clock),
            lambda: len(sendgrid.letters) >= number or time.monotonic() > end,
            chance,
        )
        sendgrid.by_chance(seed, 0)
        _settle(url, press, sendgrid, clock)
        return _result(url, sendgrid, len(crowd), kills, stops)


def _reap(
    fork: Callable[[], int], over: Callable[[], bool], chance: random.Random
) -> tuple[int, int]:
    """Kill and stop workers until the storm is over; how many of each."""
    workers = [fork() for _ in range(WORKERS)]
    asleep: dict[int, float] = {}  # stopped workers, and when they go on
    kills = stops = 0
    while not over():
        time.sleep(chance.uniform(0.02, 0.15))
        for each in [each for each, until in asleep.items() if until < time.monotonic()]:
            os.kill(each, signal.SIGCONT)
            del asleep[each]
        place = chance.randrange(WORKERS)
        if workers[place] in asleep:
            continue
        if chance.random() < 0.25:
            os.kill(workers[place], signal.SIGSTOP)
            asleep[workers[place]] = time.monotonic() + chance.uniform(*PAUSES)
            stops += 1
        else:
            _end(workers[place])
            workers[place] = fork()
            kills += 1
    for each, until in asleep.items():
        time.sleep(max(0, until - time.monotonic()))
        os.kill(each, signal.SIGCONT)
    time.sleep(0.3)  # who was stopped in the middle of a request finishes it
    for each in workers:
        _end(each)
    return kills, stops


def _fork(url: str, press: Press, sendgrid: str, clock: Rushing) -> int:
    child = os.fork()
    if child == 0:
        try:
            _work(url, press, sendgrid, clock)
        finally:
            os._exit(70)
    return child


def _work(url: str, press: Press, sendgrid: str, clock: Rushing) -> NoReturn:
    """Round after round, as `physiopost run` would."""
    rounds = Round(Database(url), Planner(press.material), press, KEYS)
    with SendGrid(KEY, sendgrid, BATCH) as channel:
        while True:
            try:
                rounds.run(channel, clock)
            except NotDone as error:
                print(error, file=sys.stderr)  # noqa: T201 - a log line
            time.sleep(0.02)


def _end(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def _settle(url: str, press: Press, sendgrid: StandIn, clock: Rushing) -> None:
    """One service goes on for three days."""
    database = Database(url)
    rounds = Round(database, Planner(press.material), press, KEYS)
    ended = clock()
    moments = [ended + timedelta(minutes=minutes) for minutes in (12, 75)]
    moments += [
        DUE + timedelta(days=days, minutes=minutes) for days in (1, 2, 3) for minutes in (0, 75, 76)
    ]
    for moment in moments:
        clock.now = max(clock.now, moment)
        report = Report(undecided=1)
        for _ in range(20):  # a round looks up twenty letters
            if report.undecided:
                with SendGrid(KEY, sendgrid.url, 100) as channel:
                    report = rounds.run(channel, clock)
    database.close()


def _result(url: str, sendgrid: StandIn, number: int, kills: int, stops: int) -> Result:
    database = Database(url)
    with database.read() as db:
        states = Counter(row["state"] for row in deliveries.history(db))
    database.close()
    taken = Counter(letter.to for letter in sendgrid.letters)
    return Result(
        letters=number,
        kills=kills,
        stops=stops,
        lost=number - len(taken),
        twice=sum(times - 1 for times in taken.values()),
        held=sum(states.values()) - states["accepted"],
    )


def two_services(folder: Path, url: str, number: int, patience: float) -> Counter[str]:
    """`physiopost run` twice at once on one database; how often each address got its letter.

    Their clock shows a time at which all letters are due.
    """
    for name in ("course", "templates"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "clinic.yaml", folder)
    (folder / "subscribers.yaml").write_text(
        "".join(
            f"- {{id: p{each}, email: p{each}@example.org, name: P {each}, "
            f"first_appointment: {DAY_BEFORE}, consent: {DAY_BEFORE}}}\n"
            for each in range(number)
        )
    )
    with StandIn(KEY, light=True, idle=60) as sendgrid:
        environ = os.environ | {
            "PYTHONPATH": str(ROOT),
            "PHYSIOPOST_COURSE": "course",
            "PHYSIOPOST_TEMPLATES": "templates",
            "PHYSIOPOST_DATABASE": url,
            "PHYSIOPOST_CHANNEL": "sendgrid",
            "PHYSIOPOST_SENDGRID_HOST": sendgrid.url,
            "PHYSIOPOST_SECRET": "a-secret-of-the-tests-that-is-long-enough",
            "PHYSIOPOST_URL": "https://letters.example.org",
            "SENDGRID_API_KEY": KEY,
        }
        with _command(folder, environ, "sign", *SIGNED) as signing:
            assert signing.wait() == 0
        with _command(folder, environ, "enrol", "--now", f"{DAY_BEFORE}T15:00Z") as enrolling:
            assert enrolling.wait() == 0
        with (
            _command(folder, environ, "run", "--no-web") as one,
            _command(folder, environ, "run", "--no-web") as other,
        ):
            end = time.monotonic() + patience
            while len(sendgrid.letters) < number and time.monotonic() < end:
                time.sleep(0.1)
            for service in (one, other):
                service.send_signal(signal.SIGTERM)
            ended = [service.wait(timeout=60) for service in (one, other)]
            assert set(ended) <= {0, -signal.SIGTERM}  # the latter before it has begun
        return Counter(letter.to for letter in sendgrid.letters)


@contextmanager
def _command(
    folder: Path, environ: Mapping[str, str], *words: str
) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", AT_DUE, *words]
    process = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
