"""`kill -9` at a step of a round into SendGrid, while SendGrid is in trouble; then what is left.

1. Three letters are due. A child of this process is killed at its n-th step (see reaper.py), while
   one of its requests meets a fault, whose letters are taken or not.
2. Other rounds follow on a simulated clock, within the dead process's lease, after it, for two
   days. One of them may be killed as well. Two others' letters go in between, so that SendGrid's
   logs can prove something: not being found means nothing until a later letter is seen.
3. What SendGrid took is held against what the ledger says: lost, twice, or held for a person.
"""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from types import SimpleNamespace
from unittest.mock import patch
from urllib.request import urlopen

import sendgrid_standin
from reaper import NEVER, dies_at, steps_of
from sendgrid_standin import StandIn, Trouble
from sqlalchemy import Connection

from scheduler.delivery.behind import behind
from scheduler.delivery.channels.sendgrid import SendGrid
from scheduler.delivery.channels.sendgrid_logs import LookUp, Suppression
from scheduler.delivery.events import parse
from scheduler.delivery.round import Outcomes, Report, Round
from scheduler.keys import Keys
from scheduler.ledger import deliveries, doubts, people
from scheduler.ledger.claims import Claim, Outcome
from scheduler.ledger.database import Database
from scheduler.ledger.evidence import Evidence
from scheduler.ledger.people import Person
from scheduler.ledger.planner import Planner
from scheduler.ledger.tables import audit, metadata
from scheduler.letters.editions import Press

KEY = "SG.test-key"
KEYS = Keys(["a secret of the tests"], "https://letters.example.org")
DUE = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
THREE = ("amy", "ben", "chloe")
LATER = {"dev": timedelta(minutes=30), "eve": timedelta(days=1)}
EVERYONE = (*THREE, *LATER)
DAY = 24 * 60
MINUTES = (1, 12, 30, 45, 100, 101, DAY, DAY + 6, DAY + 75, DAY + 90, 2 * DAY, 2 * DAY + 75)
EARLY = 6  # so many of them may be killed

FAULTS: dict[str, Trouble | None] = {
    "none": None,
    **{
        f"{name}, {'taken' if taken else 'not taken'}": Trouble(kind, status=status, taken=taken)  # type: ignore[arg-type]
        for (name, kind, status), taken in product(
            (
                ("hangs up", "close", 0),
                ("says nothing", "hang", 0),
                ("half an answer", "cut", 0),
                ("fails (503)", "answer", 503),
            ),
            (True, False),
        )
    },
    "refuses (400)": Trouble("answer", status=400),
    "wrong key (401)": Trouble("answer", status=401),
    "may not (403)": Trouble("answer", status=403),
    "too large (413)": Trouble("answer", status=413),
    "wait (429)": Trouble("answer", status=429),
    "nobody listens": None,
}
REFUSALS = ("refuses (400)", "too large (413)")
EVIDENCE = ("logs", "webhook", "nothing")
TWICE_KILLED = 0.3  # of the kills


@dataclass(frozen=True)
class Case:
    """How many letters in a request, what goes wrong, and what can be learnt afterwards."""

    batch: int
    fault: str
    evidence: str


@dataclass(frozen=True)
class Kill:
    """A case, the step at which the process dies, and where a later round dies too."""

    case: Case
    step: int
    again: tuple[int, int] | None = None  # after so many rounds, at such a step


@dataclass(frozen=True)
class Verdict:
    """Of five letters."""

    lost: int = 0
    twice: int = 0
    held: int = 0
    refused: int = 0
    untrue: int = 0  # the ledger says what is not so, or a letter in doubt is not listed
    kills: int = 0  # processes that died; some live on because the round was over before

    @property
    def kept(self) -> bool:
        """Whether nothing was lost and nothing went twice."""
        return not (self.lost or self.twice or self.untrue)


class Deaf(SendGrid):
    """A SendGrid whose logs the key may not read."""

    def look_up(self, _: Sequence[Claim]) -> LookUp:
        return LookUp({}, frozenset(), None, "SendGrid's Email Logs cannot be read (403)")

    def suppressions(self, _: datetime) -> Iterator[Suppression]:
        return iter(())


class RetryAtOnce(Round):
    """What must not be built: a letter in doubt is sent again."""

    def _write_down(
        self, db: Connection, outcomes: Outcomes, now: datetime, report: Report
    ) -> None:
        eager = [
            (claim, Outcome("deferred", each.reason) if each.result == "unknown" else each)
            for claim, each in outcomes
        ]
        super()._write_down(db, eager, now, report)


@dataclass
class Stage:
    """A database, a SendGrid of our own, and a clock."""

    url: str
    sendgrid: StandIn
    press: Press
    kind: type[Round] = Round
    now: datetime = DUE
    crowd: list[tuple[Person, datetime | None]] = field(init=False)

    def __post_init__(self) -> None:
        planner = Planner(self.press.material)
        dues = dict.fromkeys(THREE, DUE) | {name: DUE + after for name, after in LATER.items()}
        everyone = [person(name, due) for name, due in dues.items()]
        self.crowd = [(each, planner.next_due(each, {}, each.enrolled_at)) for each in everyone]

    @contextmanager
    def service(self) -> Iterator[Round]:
        """A round as a new process would have it."""
        database = Database(self.url)
        try:
            yield self.kind(database, Planner(self.press.material), self.press, KEYS)
        finally:
            database.close()

    def round(self, rounds: Round, case: Case) -> Report:
        kind = SendGrid if case.evidence == "logs" else Deaf
        with kind(KEY, self.sendgrid.url, case.batch) as channel:
            return rounds.run(channel, lambda: self.now)

    def first(self, case: Case) -> None:
        with self.service() as rounds:
            self.round(rounds, case)

    def reset(self, case: Case) -> None:
        """Nobody has had a letter; one request is to meet the fault."""
        self.now = DUE
        with self.service() as rounds, rounds.database.write() as db:
            for table in reversed(metadata.sorted_tables):
                if table is not audit:  # it only grows
                    db.execute(table.delete())
            people.add(db, self.crowd)
        sendgrid, fault = self.sendgrid, FAULTS[case.fault]
        sendgrid.letters.clear()
        sendgrid.bodies.clear()
        sendgrid.requests = sendgrid.told = 0
        sendgrid.numbered = {2 if case.batch == 1 else 1: fault} if fault else {}

    def play(self, kill: Kill) -> Verdict:
        """Kill, go on, and look."""
        case = kill.case
        self.reset(case)
        with self.sendgrid.away() if case.fault == "nobody listens" else nullcontext():
            kills = int(not dies_at(kill.step, lambda: self.first(case)))
        self.quiet()
        done = 0
        if kill.again:
            done, step = kill.again
            with self.service() as rounds:
                self.go_on(rounds, MINUTES[:done], case)
            self.now = DUE + timedelta(minutes=MINUTES[done])
            kills += not dies_at(step, lambda: self.first(case))
            self.quiet()
        with self.service() as rounds:
            self.go_on(rounds, MINUTES[done:], case)
            return replace(self.verdict(rounds, case), kills=kills)

    def go_on(self, rounds: Round, moments: Sequence[int], case: Case) -> None:
        """Rounds at these minutes."""
        for minutes in moments:
            self.now = DUE + timedelta(minutes=minutes)
            self.round(rounds, case)
            if case.evidence == "webhook":
                self.hear(rounds)

    def steps(self, case: Case) -> int:
        """How many steps the first round takes."""
        self.reset(case)
        with self.sendgrid.away() if case.fault == "nobody listens" else nullcontext():
            steps = steps_of(lambda: self.first(case))
        self.quiet()
        return steps

    def quiet(self) -> None:
        """Wait until the stand-in has seen the end of every connection; no fault is left."""
        sendgrid = self.sendgrid
        urlopen(f"{sendgrid.url}/standin").close()  # noqa: S310 - those before it have been accepted now
        sendgrid.closing.set()
        while sendgrid.server.lines:
            time.sleep(0.001)
        sendgrid.closing.clear()
        sendgrid.numbered = {}

    def hear(self, rounds: Round) -> None:
        """The Event Webhook: in any order, some events twice."""
        events = parse(json.dumps(self.sendgrid.news(twice=0.5)).encode())
        with rounds.database.write() as db:
            Evidence(KEYS, rounds.planner).take(db, events, self.now)

    def verdict(self, rounds: Round, case: Case) -> Verdict:
        """SendGrid's own list of what it took, against the ledger."""
        taken = Counter(letter.to.partition("@")[0] for letter in self.sendgrid.letters)
        with rounds.database.read() as db:
            rows = {row["subscriber_id"]: row for row in deliveries.history(db)}
            unsure = {claim.delivery for claim in doubts.unknown(db)}
            late = behind(rounds.planner.timelines(db, self.now), {}, None, self.now)
        listed = {each.id for each in late if each.lesson == "welcome"}
        states = {name: rows[name]["state"] if name in rows else "" for name in EVERYONE}
        held = {name for name, state in states.items() if state == "unknown"}
        refused = {name for name, state in states.items() if state == "refused"}
        silent = held - listed | {name for name in held if rows[name]["id"] not in unsure}
        wrong = {name for name, state in states.items() if state == "accepted" and not taken[name]}
        wrong |= {name for name in refused if taken[name] or case.fault not in REFUSALS}
        missing = {name for name in states if not taken[name]} - refused
        allowed = set() if case.evidence == "logs" else held
        return Verdict(
            lost=len(missing - allowed),
            twice=sum(times > 1 for times in taken.values()),
            held=len(held),
            refused=len(refused),
            untrue=len(silent | wrong),
        )


@contextmanager
def stage(url: str, press: Press, kind: type[Round] = Round) -> Iterator[Stage]:
    """A stage whose SendGrid lives on the stage's clock and is not waited for."""
    channels = "scheduler.delivery.channels"
    with StandIn(KEY) as sendgrid:
        made = Stage(url, sendgrid, press, kind)
        clock = SimpleNamespace(time=lambda: made.now.timestamp())  # noqa: PLW0108 - now changes
        with (
            patch.object(sendgrid_standin, "time", clock),
            patch(f"{channels}.sendgrid_http.TIMEOUT", 0.1),
            patch(f"{channels}.sendgrid.sleep", lambda _: None),
            patch.object(sendgrid_standin._Server, "handle_error"),  # noqa: SLF001 - half a request
        ):
            yield made


def every_kill(stage: Stage, chance: random.Random) -> list[Kill]:
    """Every step of every fault; what can be learnt and whether a later round dies is drawn."""
    drawn = []
    for batch, fault in product((1, 100), FAULTS):
        for step in (*range(1, stage.steps(Case(batch, fault, "logs")) + 1), NEVER):
            again = (chance.randrange(EARLY), chance.randrange(1, 60))
            case = Case(batch, fault, chance.choice(EVIDENCE))
            drawn.append(Kill(case, step, again if chance.random() < TWICE_KILLED else None))
    return drawn


def some_kills(stage: Stage, chance: random.Random, each: int, *, alive: bool = True) -> list[Kill]:
    """A few steps of each fault, and with `alive` each fault without a kill."""
    drawn = []
    for fault in FAULTS:
        case = Case(chance.choice((1, 100)), fault, chance.choice(EVIDENCE))
        steps = [chance.randrange(1, stage.steps(case)) for _ in range(each)]
        drawn += [Kill(case, step) for step in (*steps, *[NEVER] * alive)]
    return drawn


def person(name: str, due: datetime) -> Person:
    day = due.date() - timedelta(days=1)
    return Person(
        id=name,
        email=f"{name}@example.org",
        name=f"{name.title()} Example",
        consent=day,
        first_appointment=day,
        enrolled_at=DUE - timedelta(days=1),
        enrolment_id=f"enrolment-of-{name}",
        send_at=due.time(),
    )
