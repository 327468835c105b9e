"""A round: one pass that sends what is due.

1. Claims whose lease is over without a record: ask the channel what became of them. Arrived:
   accepted. Surely not: due again. No evidence: unknown, until the channel's own records say more
   (see reconcile.py) or a person decides (D5).
2. List the people whose next due date has come, and claim their letters, durably, a batch at a
   time (D2). The plan is asked again: a hold, a skip or an outage since then moves the letter. One
   that no physiotherapist has signed stays due, unless the channel carries drafts.
3. Fill and send outside the transaction, grouped by edition (D3).
4. Record each outcome under its fence (D4), in the transaction that claims the next batch. A letter
   that was put off comes again, later each time.
5. Go on until everybody was looked at. A channel that is down ends the round; its letters stay due.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy import Connection

from scheduler.delivery.channels import Channel, ChannelDown, Outcome
from scheduler.delivery.merge import envelope, merge_values
from scheduler.delivery.reconcile import Witness, pull_suppressions, reconcile
from scheduler.findings import wrong
from scheduler.keys import Keys
from scheduler.ledger import claims, deliveries, doubts, people, trail
from scheduler.ledger.claims import Claim, Decision, Place
from scheduler.ledger.database import Database
from scheduler.ledger.evidence import Evidence
from scheduler.ledger.people import Person
from scheduler.ledger.planner import NEXT_TWO, Planner
from scheduler.letters.editions import Edition, Press
from scheduler.material.signoff import Standing
from scheduler.plan.enrolment import Sent
from scheduler.plan.rules import PlannedLetter

log = logging.getLogger(__name__)

FIRST_PAUSE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(hours=4)
TRIES = 12
PASSED = Outcome("refused", "it did not arrive, and a later letter has gone since")
TROUBLE = timedelta(hours=1)  # how long a person whose plan fails is left alone

Clock = Callable[[], datetime]
Stopped = Callable[[], bool]
Outcomes = Sequence[tuple[Claim, Outcome]]
Barred = Mapping[str, tuple[Standing, ...]]


@dataclass
class Report:
    """What a round did: letters by outcome, and why it stopped early if it did.

    `unread` says why the channel's records of letters in doubt could not be read. `waiting` says
    for each enrolment what is to be signed before its letter goes; `barred` the same for each
    lesson that this channel would not send, whether somebody waits for it yet or not.
    """

    letters: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    down: str | None = None
    unread: str = ""
    undecided: int = 0
    waiting: dict[str, tuple[Standing, ...]] = field(default_factory=dict)
    barred: Barred = field(default_factory=dict)

    @property
    def unsigned(self) -> Counter[Standing]:
        """What is to be signed, and how many letters wait for it."""
        return Counter(each for standings in self.waiting.values() for each in standings)

    @property
    def well(self) -> bool:
        """Whether every due letter was taken and nothing waits for a person."""
        troubles = sum(self.letters.values()) - self.letters["accepted"]
        return not (troubles or self.down or self.undecided or self.waiting or self.barred)


def never() -> bool:
    """Nobody stops it."""
    return False


class Round:
    """Everything that a round needs, so that the worker, `send` and the simulator run the same."""

    def __init__(self, database: Database, planner: Planner, press: Press, keys: Keys) -> None:
        """Take the parts; the keys are for stop links and for addresses not to be written to."""
        self.database, self.planner, self.press, self.keys = database, planner, press, keys
        self.editions: dict[str, Edition] = {}

    def run(self, channel: Channel, clock: Clock, stopped: Stopped = never) -> Report:
        """One pass. `clock` gives UTC instants; once `stopped`, no further batch is claimed."""
        report = Report()
        self._recover(channel, clock, report)
        if isinstance(channel, Witness):
            self._reconcile(channel, clock(), report)
        faulty = self.barred(clock())
        report.barred = {} if channel.drafts else faulty
        outcomes: Outcomes = []
        try:
            for some in self._due(clock, channel.batch):
                claimed, outcomes = self._turn(channel, outcomes, some, clock(), report), []
                if claimed:
                    outcomes = self._send(channel, claimed, clock, faulty, report)
                if report.down or stopped():
                    break
        finally:
            self._record(outcomes, clock(), report)
        with self.database.read() as db:
            report.undecided = len(doubts.unknown(db))
        return report

    def due(self, now: datetime) -> list[tuple[Person, PlannedLetter]]:
        """Whose letters a round at `now` would claim; nothing is changed."""
        with self.database.read() as db:
            everyone = [each for each in people.everyone(db) if each.status == "active"]
            gone = deliveries.sent(db)
        due = []
        for person in everyone:
            letter = self.planner.coming(person, gone.get(person.enrolment_id, {}), now)
            if letter and letter.utc and letter.utc <= now:
                due.append((person, letter))
        return due

    def barred(self, now: datetime) -> dict[str, tuple[Standing, ...]]:
        """The lessons that are not fit for a patient at `now`, with what stands in their way."""
        zone = self.planner.material.clinic.timezone
        return self.planner.barred(now.astimezone(zone).date())

    def settle(self, enrolment: str, lesson: str, *, arrived: bool, now: datetime, by: str) -> bool:
        """Write down what a person found out about an unknown letter; False if there is none.

        One that did not arrive is due again, unless a later lesson has gone since (P12).

        Raises:
            WrongInput: it is to go again, and nobody knows whether a later one has gone.

        """
        with self.database.read() as db:
            theirs = {c.lesson: c for c in doubts.unknown(db) if c.enrolment == enrolment}
        outcome = Outcome("accepted" if arrived else "deferred")
        mine = [theirs[lesson]] if lesson in theirs else []
        last = max(theirs, key=self._week, default=lesson)
        if mine and not arrived and last != lesson:
            words = f"a later letter, {last}, is in doubt as well"
            raise wrong("settle", None, words, "say what became of the last one first")
        found = self._unless_passed([(claim, outcome) for claim in mine])
        self._record(found, now, Report())
        words = f"{lesson} {'arrived' if arrived else 'is to go again'}"
        with self.database.write() as db:
            for claim in mine:
                trail.tell(db, claim.enrolment, "settle", words, at=now, by=by)
        return bool(mine)

    def _unless_passed(
        self, outcomes: Sequence[tuple[Claim, Outcome]]
    ) -> list[tuple[Claim, Outcome]]:
        """Refuse what would be due again though a later letter has gone: it cannot go now (P12)."""
        with self.database.read() as db:
            gone = deliveries.sent(db, [claim.enrolment for claim, _ in outcomes])
        found = []
        for claim, outcome in outcomes:
            last = max(map(self._week, gone[claim.enrolment]), default=-1)
            passed = outcome.result == "deferred" and last > self._week(claim.lesson)
            found.append((claim, PASSED if passed else outcome))
        return found

    def _week(self, slug: str) -> int:
        """The week of a lesson; one that the course has no more comes before all."""
        lesson = self.planner.material.course.by_slug.get(slug)
        return lesson.week if lesson else -1

    def _recover(self, channel: Channel, clock: Clock, report: Report) -> None:
        with self.database.read() as db:
            lost = doubts.over(db, clock())
        if not lost:
            return
        known = channel.evidence({claim.delivery: claim.fence for claim in lost})
        doubt = Outcome("unknown", "the sending process stopped before it could write this down")
        found = [(claim, known.get(claim.delivery, doubt)) for claim in lost]
        recovered = Report()
        self._record(found, clock(), recovered)
        del recovered.letters["deferred"]  # they are claimed again below
        report.letters += recovered.letters
        report.reasons += recovered.reasons

    def _reconcile(self, witness: Witness, now: datetime, report: Report) -> None:
        """Hear what the channel's own records say, a little each round."""
        known, report.unread = reconcile(self.database, witness, now)
        if known:
            self._record(self._unless_passed(known), now, Report())
        evidence = Evidence(self.keys, self.planner)
        report.unread = report.unread or pull_suppressions(self.database, witness, evidence, now)

    def _due(self, clock: Clock, batch: int) -> Iterator[list[str]]:
        """The enrolments whose next due date has come, each once, a batch at a time."""
        last: Place | None = None
        listed = claims.LISTED
        while listed == claims.LISTED:
            with self.database.read() as db:
                due = claims.due(db, clock(), after=last)
            listed, last = len(due), due[-1] if due else None
            for at in range(0, listed, batch):
                yield [enrolment for _, enrolment in due[at : at + batch]]

    def _turn(
        self,
        channel: Channel,
        outcomes: Outcomes,
        enrolments: Sequence[str],
        now: datetime,
        report: Report,
    ) -> list[Claim]:
        """One transaction: what became of the last batch is written down, the next is claimed."""

        def decide(person: Person, sent: Sent) -> Decision:
            try:
                decision = self._decide(person, sent, now)
            except Exception as error:  # noqa: BLE001 - one person never stops a round
                log.error("enrolment %s: %s", person.enrolment_id, type(error).__name__)  # noqa: TRY400 - a traceback may hold names
                return Decision(next_due=now + TROUBLE)
            if decision.lesson not in report.barred:
                return decision
            report.waiting[person.enrolment_id] = report.barred[decision.lesson]
            return Decision(next_due=decision.planned_for)

        with self.database.write() as db:
            self._write_down(db, outcomes, now, report)
            until = now + channel.lease
            return claims.claim(db, self.keys, now, enrolments, lease_until=until, decide=decide)

    def _decide(self, person: Person, sent: Sent, now: datetime) -> Decision:
        """Whether a letter goes now, which one, with what words, and when to look again."""
        ahead = iter(self.planner.ahead(person, sent, now, NEXT_TWO))
        letter = next(ahead, None)
        if letter is None or letter.utc is None or letter.utc > now:
            return Decision(next_due=letter.utc if letter else None)
        following = next(ahead, None)  # what the plan will say once this one has gone
        clinic = self.planner.material.clinic.name
        return Decision(
            next_due=following.utc if following else None,
            lesson=letter.lesson,
            edition=self.press.edition(letter.lesson, bool(person.note), person.style),
            planned_for=letter.utc,
            merge=merge_values(person, following, self.keys, clinic),
            reasons=letter.reasons,
        )

    def _send(
        self,
        channel: Channel,
        claims: Sequence[Claim],
        clock: Clock,
        faulty: Barred,
        report: Report,
    ) -> Outcomes:
        """Send a batch, an edition at a time; gives what became of each letter.

        An edition is only begun in the first third of the lease, by the clock on the wall: while a
        machine slept, somebody else may have found that these letters did not go.
        """
        waiting = {claim.delivery: claim for claim in claims}
        outcomes: list[tuple[Claim, Outcome]] = []
        try:
            channel.claimed({claim.delivery: claim.fence for claim in claims})
            self._fetch({claim.edition for claim in claims})
            for key, group in groupby(sorted(claims, key=_edition), key=_edition):
                if channel.lease and clock() > claims[0].claimed_at + channel.lease / 3:
                    break
                envelopes = [envelope(claim, self.keys, faulty) for claim in group]
                for letter, outcome in channel.post(self.editions[key], envelopes):
                    outcomes.append((waiting.pop(letter.delivery), outcome))
        except ChannelDown as down:
            report.down = str(down)
        stay = Outcome("deferred")
        return outcomes + [(claim, stay) for claim in waiting.values()]

    def _fetch(self, hashes: set[str]) -> None:
        """The stored editions, each read once."""
        if missing := hashes - self.editions.keys():
            with self.database.read() as db:
                self.editions |= deliveries.editions(db, missing)

    def _record(self, outcomes: Outcomes, now: datetime, report: Report) -> None:
        if outcomes:
            with self.database.write() as db:
                self._write_down(db, outcomes, now, report)

    def _write_down(
        self, db: Connection, outcomes: Outcomes, now: datetime, report: Report
    ) -> None:
        """The deliveries' states, when to try again, whose course is finished.

        What was put off for a reason waits a while; what was not begun is due at once.
        """
        if not outcomes:
            return
        given = [(claim, _patience_ends(claim, outcome)) for claim, outcome in outcomes]
        written = claims.record(db, given, now)
        alike: dict[Outcome, list[Claim]] = defaultdict(list)
        for claim, outcome in written:
            alike[outcome].append(claim)
        for outcome, some in alike.items():
            report.letters[outcome.result] += len(some)
            if outcome.result != "accepted":
                for claim in some:
                    words, which = f"{outcome.result}: {outcome.reason}", claim.delivery
                    log.debug("%s", words, extra={"delivery": which})
            if outcome.reason:
                report.reasons[f"{outcome.result}: {outcome.reason}"] += len(some)
            if outcome.result == "accepted":
                self.planner.finish(db, [claim.enrolment for claim in some], now)
            elif outcome.result == "deferred":
                for pause, waiting in _by_pause(some, outcome).items():
                    claims.due_again(db, waiting, now + pause)


def _edition(claim: Claim) -> str:
    return claim.edition


def _by_pause(put_off: Sequence[Claim], outcome: Outcome) -> dict[timedelta, list[str]]:
    """5 minutes, then twice as long each time, up to 4 hours."""
    pauses: dict[timedelta, list[str]] = defaultdict(list)
    for claim in put_off:
        longer = min(FIRST_PAUSE * (1 << min(claim.tries, 10)), LONGEST_PAUSE)
        pauses[longer if outcome.reason else timedelta()].append(claim.enrolment)
    return pauses


def _patience_ends(claim: Claim, outcome: Outcome) -> Outcome:
    """A letter that was put off too often is given up, so that the course goes on."""
    if outcome.result == "deferred" and claim.tries + 1 >= TRIES:
        return Outcome("refused", f"given up after {TRIES} tries: {outcome.reason}")
    return outcome
