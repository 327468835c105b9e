"""Readers and a flood of events while a round goes out: what `make load` runs.

1. Invent people, and send each the welcome, by a SendGrid of our own.
2. A week later, all at once: a worker sends the second letter, 50 patients read their pages, and
   SendGrid tells 1,000 events a second of the welcomes, signed. Pages, worker, SendGrid and readers
   are processes of their own, as in service.
3. Count: each letter taken once, each event written down, no answer but 200 and 204, and how long
   the answers took.

A reader looks at the next page a second after the last one came (--pause). It ends with a table,
and with exit code 1 if something was lost, went wrong or took too long.
"""

import argparse
import json
import logging
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from http.client import HTTPConnection, HTTPException
from itertools import count
from multiprocessing import get_context
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from bench_delivery import KEY, NOW, ROOT, Service, enrolled, standin
from sendgrid_standin import StandIn
from sqlalchemy import func, select

from scheduler.delivery.channels.sendgrid import SendGrid
from scheduler.delivery.events import ARGUMENT
from scheduler.ledger.tables import delivery, enrolment, event
from scheduler.settings import Settings
from scheduler.web.app import create
from scheduler.web.gate import Office
from scheduler.web.server import served

WEEK = timedelta(days=7)
LIMIT = 0.5  # seconds, of 95 answers in 100
FLOODS, BODY = 4, 100  # SendGrid's connections, and the events in a request
OK, TAKEN = 200, 204
KINDS = ("processed", "deferred", "delivered")
Answers = list[tuple[float, str]]
"""How long each took, and what was wrong with it, if anything."""


def pages(url: str, key: str, ready: "Queue[str]", over: Event) -> None:
    """Serve the pages, as `physiopost run --only-web` does."""
    service, begun = Service(url), time.monotonic()
    places = {"PHYSIOPOST_CLINIC": str(ROOT / "clinic.yaml"), "PHYSIOPOST_WEBHOOK_KEY": key}
    settings = Settings.from_environment(places)
    parts = service.database, service.planner, service.press, service.keys, settings
    office = Office(*parts, lambda: NOW + WEEK + timedelta(seconds=time.monotonic() - begun))
    logging.getLogger("waitress").setLevel(logging.ERROR)  # it says how many requests wait
    with served(create(office), "127.0.0.1", 0) as at:
        ready.put(at)
        over.wait()


def worker(url: str, at: str, ready: "Queue[str]", begin: Event, done: "Queue[float]") -> None:
    """Send what is due a week later, in one round."""
    service = Service(url)
    ready.put("worker")
    begin.wait()
    begun = time.perf_counter()
    with SendGrid(KEY, at) as channel:
        assert service.round.run(channel, lambda: NOW + WEEK).well
    done.put(time.perf_counter() - begun)


@dataclass(frozen=True)
class Crowd:
    """So many people, each of whom reads page after page."""

    at: str
    tokens: Sequence[str]
    number: int
    pause: float

    def read(self, ready: "Queue[str]", begin: Event, over: Event, done: "Queue[Answers]") -> None:
        """Read until it is over."""
        ready.put("readers")
        begin.wait()
        answers: Answers = []
        work = partial(self._read, over, answers)
        people = [Thread(target=work, args=(seed,)) for seed in range(self.number)]
        for each in people:
            each.start()
        for each in people:
            each.join()
        done.put(answers)

    def _read(self, over: Event, answers: Answers, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - to be repeated
        line = HTTPConnection(urlsplit(self.at).netloc, timeout=30)
        over.wait(chance.random() * self.pause)
        while not over.is_set():
            path = f"/letters/{chance.choice(self.tokens)}"
            answers.append(_timed(line, partial(line.request, "GET", path), OK))
            over.wait(self.pause)


def _timed(line: HTTPConnection, ask: Callable[[], None], right: int) -> tuple[float, str]:
    """How long the answer took, and what was wrong with it, on a connection that is kept."""
    begun = time.perf_counter()
    try:
        ask()
        answer = line.getresponse()
        answer.read()
        wrong = "" if answer.status == right else f"{answer.status}"
    except (OSError, HTTPException) as error:
        line.close()
        wrong = type(error).__name__
    return time.perf_counter() - begun, wrong


class Flood:
    """SendGrid's news of the welcomes, so many events a second over a few connections."""

    def __init__(self, sendgrid: StandIn, deliveries: Sequence[str], rate: int) -> None:
        self.sendgrid, self.deliveries, self.rate = sendgrid, deliveries, rate
        self.answers: Answers = []
        self.numbers = count()

    def run(self, at: str, over: Event) -> list[Thread]:
        """Begin; gives what runs."""
        lines = [Thread(target=self._post, args=(at, over)) for _ in range(FLOODS)]
        for each in lines:
            each.start()
        return lines

    def _post(self, at: str, over: Event) -> None:
        line, every = HTTPConnection(urlsplit(at).netloc, timeout=30), FLOODS * BODY / self.rate
        following = time.monotonic()
        while not over.is_set():
            body = json.dumps([self._event() for _ in range(BODY)]).encode()
            told = "POST", "/events/sendgrid", body, self.sendgrid.sign(body)
            self.answers.append(_timed(line, partial(line.request, *told), TAKEN))
            following += every
            over.wait(max(0.0, following - time.monotonic()))

    def _event(self) -> dict[str, object]:
        number = next(self.numbers)
        turn, place = divmod(number, len(self.deliveries))
        return {
            "email": "somebody@example.org",
            "timestamp": int((NOW + WEEK).timestamp()),
            "event": KINDS[turn % len(KINDS)],
            "sg_event_id": f"load-{number}",
            "sg_message_id": f"load-{place}.filter",
            ARGUMENT: self.deliveries[place],
        }


def first_week(url: str, number: int, at: str) -> tuple[list[str], list[str]]:
    """Everybody has had the welcome: the tokens of their pages, and the deliveries' ids."""
    enrolled(url, number, None)
    service = Service(url)
    with SendGrid(KEY, at, 1000) as channel:
        assert service.round.run(channel, lambda: NOW).letters["accepted"] == number
    with service.database.read() as db:
        ids = db.execute(select(enrolment.c.id)).scalars()
        tokens = [service.keys.stop_url(each).rpartition("/")[2] for each in ids]
        sent = list(db.execute(select(delivery.c.id)).scalars())
    service.database.close()
    return tokens, sent


def counted(url: str) -> tuple[int, int]:
    """How many second letters were accepted, and how many events were written down."""
    service = Service(url)
    second = service.material.course.lessons[1].slug
    taken = delivery.c.lesson == second, delivery.c.state == "accepted"
    with service.database.read() as db:
        letters = db.execute(select(func.count()).select_from(delivery).where(*taken)).scalar_one()
        events = db.execute(select(func.count()).select_from(event)).scalar_one()
    service.database.close()
    return letters, events


def told(what: str, answers: Answers, seconds: float, each: int = 1) -> str:
    """A line of the table."""
    took = sorted(one for one, _ in answers)
    marks = [f"{1000 * took[int(part * (len(took) - 1))]:.0f}" for part in (0.5, 0.95, 1)]
    wrong = sum(bool(words) for _, words in answers)
    cells = (what, f"{len(answers) * each:,}", f"{len(answers) * each / seconds:,.0f}", *marks)
    return f"| {' | '.join(cells)} | {wrong} |"


def faults(answers: Answers) -> Iterator[str]:
    """What is wrong with the answers."""
    took = sorted(one for one, _ in answers)
    yield from sorted({f"an answer was {words}" for _, words in answers if words})
    if took[int(0.95 * (len(took) - 1))] > LIMIT:
        yield f"of 100 answers more than 5 took over {LIMIT} s"


def main() -> None:
    """Run it, print the table and what went wrong."""
    read = argparse.ArgumentParser(description=main.__doc__)
    read.add_argument("--people", type=int, default=10_000)
    read.add_argument("--readers", type=int, default=50)
    read.add_argument("--pause", type=float, default=1.0, help="seconds between a reader's pages")
    read.add_argument("--events", type=int, default=1000, help="a second")
    read.add_argument("--seconds", type=float, default=30, help="at least; and until all are sent")
    given = read.parse_args()
    spawn, sendgrid = get_context("spawn"), StandIn("")
    ready, sent, seen = spawn.Queue(), spawn.Queue(), spawn.Queue()
    begin, over = spawn.Event(), spawn.Event()
    with tempfile.TemporaryDirectory() as folder, standin() as provider:
        url = f"sqlite:///{Path(folder) / 'load.db'}"
        tokens, deliveries = first_week(url, given.people, provider)
        web = spawn.Process(target=pages, args=(url, sendgrid.webhook_key, ready, over))
        web.start()
        at = ready.get()
        sender = spawn.Process(target=worker, args=(url, provider, ready, begin, sent))
        sender.start()
        crowd = Crowd(at, tokens, given.readers, given.pause)
        patients = spawn.Process(target=crowd.read, args=(ready, begin, over, seen))
        patients.start()
        for _ in (sender, patients):
            ready.get()
        flood, begun = Flood(sendgrid, deliveries, given.events), time.perf_counter()
        lines = flood.run(at, over)
        begin.set()
        round_took = sent.get()
        over.wait(max(0.0, given.seconds - (time.perf_counter() - begun)))
        over.set()
        pages_read = seen.get()
        for line in lines:
            line.join()
        for process in (sender, patients, web):
            process.join()
        seconds = time.perf_counter() - begun
        letters, events = counted(url)
    print("| what | number | a second | median, ms | 95 in 100, ms | slowest, ms | wrong |")  # noqa: T201
    print("| --- | --- | --- | --- | --- | --- | --- |")  # noqa: T201
    print(told(f"{given.readers} readers, pages", pages_read, seconds))  # noqa: T201
    print(told(f"events, {BODY} in a request", flood.answers, seconds, BODY))  # noqa: T201
    rate = letters / round_took
    print(f"| letters of one round | {letters:,} | {rate:,.0f} | | | | {given.people - letters} |")  # noqa: T201
    wrong = [*faults(pages_read), *faults(flood.answers)]
    if letters != given.people:
        wrong.append(f"{given.people - letters} letters did not go")
    if events != (told_of := sum(not words for _, words in flood.answers) * BODY):
        wrong.append(f"{told_of} events were answered with 204, and {events} written down")
    sys.exit("; ".join(wrong) or 0)


if __name__ == "__main__":
    main()
