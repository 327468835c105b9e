"""Letters through the clinic's own mail server, over a few connections at once.

1. The round hands over a batch, and its deliveries are noted in a journal.
2. `post` connects once, and only when the server has welcomed that connection opens the others, so
   that a wrong password is refused once. Each connection has a thread and is kept for the next
   letters. One that the server has no room for is done without until the next batch.
3. A thread takes the next letter, waits for its turn if the clinic set a pace (so many a minute,
   over all connections and rounds), notes that it is begun, sends it, notes the outcome.
4. In the first third of the lease letters are begun. What is left over was not begun, and the round
   gives it back unharmed; the longest dialogue ends before the lease does.

What is promised: nothing is sent twice by itself, since a letter that may have been taken is
unknown, and only a person or the clinic's own rule sends it again, with the same Message-ID. After
a kill one letter a connection may be in doubt; after a power cut, the batch (see `journal`).
"""

import ssl
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock, Thread
from time import monotonic
from typing import Self

from scheduler.delivery.channels import Channel, ChannelDown, Outcome
from scheduler.delivery.channels.journal import Journal
from scheduler.delivery.channels.smtp_session import Session
from scheduler.letters.editions import Edition
from scheduler.letters.fill import Envelope
from scheduler.letters.mime import serialise
from scheduler.settings import MailServer

BATCH = 100
AGAIN = Outcome("deferred", "may have arrived; by the clinic's choice it goes again")
Answer = tuple[Envelope, Outcome] | Exception | None  # from a thread; None: it has ended


class Smtp(Channel):
    """A mail server. Its connections are closed when the context is left."""

    name = "smtp"
    lease = timedelta(minutes=30)
    drafts = False

    def __init__(
        self,
        server: MailServer,
        journal: Path,
        *,
        connections: int = 4,
        per_minute: int = 0,
        resend: bool = False,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """Open nothing yet; 0 is no limit, and `trust` replaces the system's authorities."""
        self.server, self.trust = server, trust or ssl.create_default_context()
        self.connections = self.room = connections
        self.resend = resend
        self.batch = min(BATCH, per_minute or BATCH)
        self.pace = Pace(per_minute)
        self.journal = Journal(journal)
        self.kept: list[Session] = []
        self.until = float("inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Say goodbye; after an error hang up, and leave the journal to the next process."""
        for session in self.kept:
            session.hang_up() if kind else session.quit()
        self.kept.clear()
        self.journal.close(done=kind is None)

    def claimed(self, deliveries: Mapping[str, int]) -> None:
        """Take note of a batch that was just claimed; ChannelDown if there is no room for it."""
        self.room, self.until = self.connections, monotonic() + self.lease.total_seconds() / 3
        with _noted(self.journal):
            self.journal.claimed(deliveries)

    def post(
        self, edition: Edition, envelopes: Sequence[Envelope]
    ) -> Iterator[tuple[Envelope, Outcome]]:
        """Send over all connections at once; ChannelDown when none is left."""
        if not envelopes:
            return
        until = min(self.until, monotonic() + self.lease.total_seconds() / 3)
        job = _Job(edition, deque(envelopes), until)
        sessions = [self._session(), *[None] * (min(self.room, len(envelopes)) - 1)]
        threads = [Thread(target=self._work, args=(job, each), daemon=True) for each in sessions]
        for thread in threads:
            thread.start()
        working = len(threads)
        downs: list[ChannelDown] = []
        try:
            while working:
                match job.answers.get():
                    case None:
                        working -= 1
                    case ChannelDown() as down:
                        downs.append(down)
                        self.room = max(1, self.room - 1)
                    case Exception() as fault:
                        raise fault
                    case sent:
                        yield sent
        finally:
            job.stop.set()
            for thread in threads:
                thread.join()
        if downs and job.todo:
            raise downs[0]

    def evidence(self, deliveries: Mapping[str, int]) -> dict[str, Outcome]:
        """What the journal proves, and the clinic's rule for the rest."""
        known = self.journal.known(deliveries)
        rest = dict.fromkeys(deliveries, AGAIN) if self.resend else {}
        return rest | {delivery: self._ruled(outcome) for delivery, outcome in known.items()}

    def _ruled(self, outcome: Outcome) -> Outcome:
        return AGAIN if self.resend and outcome.result == "unknown" else outcome

    def _work(self, job: "_Job", session: Session | None) -> None:
        """One connection's thread: letter after letter, until none is left."""
        try:
            session = session or self._session()
            while letter := job.next():
                if not self.pace.turn(job.until, job.stop):
                    job.todo.appendleft(letter)
                    break
                job.answers.put((letter, self._ruled(self._deliver(session, job, letter))))
            self.kept.append(session)
        except Exception as error:  # noqa: BLE001 - raised again by whoever waits for the letters
            if session:
                session.hang_up()
            job.answers.put(error)
        finally:
            job.answers.put(None)

    def _deliver(self, session: Session, job: "_Job", letter: Envelope) -> Outcome:
        try:
            message = serialise(job.edition, letter)
        except KeyError as missing:
            return Outcome("refused", f"the letter's field {missing} has no value")
        except ValueError:  # its text would repeat the address
            return Outcome("refused", "the address or a link holds a character that mail forbids")
        try:
            with _noted(self.journal):
                self.journal.note(letter.delivery, "begun")
            outcome = session.deliver(job.edition.from_email, letter.to, message)
        except ChannelDown:
            with suppress(OSError):
                self.journal.note(letter.delivery, "claimed")
            job.todo.appendleft(letter)
            raise
        with suppress(OSError):  # it went all the same
            self.journal.note(letter.delivery, outcome.result, outcome.reason)
        return outcome

    def _session(self) -> Session:
        with suppress(IndexError):
            return self.kept.pop()
        return Session(self.server, self.trust)


class Pace:
    """One letter every so often, over all connections and rounds."""

    def __init__(self, per_minute: int) -> None:
        self.gap = 60 / per_minute if per_minute else 0.0
        self.free, self.lock = 0.0, Lock()

    def turn(self, until: float, stop: Event) -> bool:
        """Wait for the next turn; False when it comes too late or nobody waits any more."""
        if not self.gap:
            return monotonic() < until
        with self.lock:
            mine = max(self.free, monotonic())
            if mine >= until:
                return False
            self.free = mine + self.gap
        return not stop.wait(mine - monotonic())


@dataclass(frozen=True)
class _Job:
    """The letters of one `post`: what its threads share."""

    edition: Edition
    todo: deque[Envelope]
    until: float
    stop: Event = field(default_factory=Event)
    answers: SimpleQueue[Answer] = field(default_factory=SimpleQueue)

    def next(self) -> Envelope | None:
        with suppress(IndexError):
            return None if self.stop.is_set() else self.todo.popleft()
        return None


@contextmanager
def _noted(journal: Journal) -> Iterator[None]:
    """A letter that cannot be noted is not begun."""
    try:
        yield
    except OSError as error:
        why = (error.strerror or "cannot be written to").lower()
        raise ChannelDown(f"the notes of what is being sent, {journal.folder}: {why}") from None
