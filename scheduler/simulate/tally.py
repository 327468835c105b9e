"""The tally: what a channel took, letter by letter, written down apart from the ledger."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.delivery.channels import Channel, Outcome
from scheduler.delivery.round import Clock
from scheduler.keys import PROOF
from scheduler.letters.editions import Edition
from scheduler.letters.fill import Envelope
from scheduler.letters.mime import serialise


@dataclass(frozen=True)
class Posted:
    """A letter as it left. `stop` is the enrolment in its stop link: that says whose it is."""

    delivery: str
    to: str
    stop: str
    lesson: str
    at: datetime

    def __repr__(self) -> str:
        """Never an address or a token."""
        return f"Posted({self.delivery})"


class Tally:
    """Any channel, with a list of the letters that it took and when."""

    def __init__(self, channel: Channel, clock: Clock) -> None:
        self.name, self.lease, self.batch = channel.name, channel.lease, channel.batch
        self.drafts, self.evidence = channel.drafts, channel.evidence
        self.claimed = channel.claimed
        self.channel, self.clock = channel, clock
        self.posted: list[Posted] = []

    def post(
        self, edition: Edition, envelopes: Sequence[Envelope]
    ) -> Iterator[tuple[Envelope, Outcome]]:
        """Post, and write down what was taken."""
        for envelope, outcome in self.channel.post(edition, envelopes):
            if outcome.result == "accepted":
                stop = envelope.values["stop_url"].rpartition("/")[2][:-PROOF]
                went = (envelope.delivery, envelope.to, stop, edition.lesson, self.clock())
                self.posted.append(Posted(*went))
            yield envelope, outcome


class Nowhere(Channel):
    """A channel that makes each letter whole and drops it: 9,000 would fill 400 MB of a disk."""

    name, lease, batch, drafts = "nowhere", timedelta(0), 1000, True

    def post(
        self, edition: Edition, envelopes: Sequence[Envelope]
    ) -> Iterator[tuple[Envelope, Outcome]]:
        """Do all the work of a letter but the writing."""
        for envelope in envelopes:
            serialise(edition, envelope)
            yield envelope, Outcome("accepted")
