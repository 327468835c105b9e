"""Letters in doubt: what the provider's own records say of them (D5, D8).

1. A letter in doubt is looked up a few minutes after its claim, and again after an hour.
2. Found: it was accepted. Not found twice, an hour after its claim at the earliest, while a letter
   of ours is seen that is later than its lease: it did not go, and is due again.
3. Anything else stays in doubt, and is listed for a person.
4. A letter that was accepted and of which nothing was heard for a day is looked up once. Found: its
   fate. Not found: that is said of it, and a person sees to it.
5. Once a day the provider's own list of addresses that it writes to no more is read, as a net below
   the webhook.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Protocol, runtime_checkable

from scheduler.delivery.channels import Outcome
from scheduler.delivery.channels.sendgrid_logs import LookUp, Suppression, Unavailable
from scheduler.ledger import doubts, facts
from scheduler.ledger.claims import Claim
from scheduler.ledger.database import Database
from scheduler.ledger.evidence import ENDS, Evidence

FIRST, AGAIN = timedelta(minutes=5), timedelta(minutes=60)
SILENCE, KEPT = timedelta(hours=24), timedelta(days=29)  # logs are kept for thirty days
DAY = timedelta(days=1)
AT_ONCE = 20  # look-ups in a round: each takes two requests
PULLED = "suppressions_pulled"
DELIVERY = attrgetter("delivery")


@runtime_checkable
class Witness(Protocol):
    """A channel that can say afterwards what became of a letter."""

    lease: timedelta

    def look_up(self, doubts: Sequence[Claim]) -> LookUp:
        """What its records show of these."""

    def suppressions(self, since: datetime) -> Iterator[Suppression]:
        """The addresses that it has stopped writing to."""


def reconcile(
    database: Database, witness: Witness, now: datetime
) -> tuple[list[tuple[Claim, Outcome]], str]:
    """Ask about the letters in doubt; what is now known of them, and what was in the way."""
    with database.read() as db:
        unsure = doubts.to_look_up(db, now - FIRST, now - AGAIN, AT_ONCE)
        silent = doubts.silent(db, now - SILENCE, now - KEPT, AT_ONCE)
    if not (unsure or silent):
        return [], ""
    told = witness.look_up([*unsure, *silent])
    known: list[tuple[Claim, Outcome]] = []
    with database.write() as db:
        for claim in sorted(unsure, key=DELIVERY):  # in one order, as record() does
            if found := told.found.get(claim.delivery):
                known.append((claim, Outcome("accepted", reference=found.message)))
                doubts.set_fate(db, claim.delivery, found.status)
            elif claim.delivery in told.not_found:
                if claim.looks and _believable(claim, told, witness.lease, now):
                    known.append((claim, Outcome("deferred")))
                doubts.looked(db, claim.delivery, now)
        for claim in sorted(silent, key=DELIVERY):
            found = told.found.get(claim.delivery)
            if found or claim.delivery in told.not_found:
                doubts.set_fate(db, claim.delivery, found.status if found else "untraced")
    return known, told.unavailable


def pull_suppressions(
    database: Database, witness: Witness, evidence: Evidence, now: datetime
) -> str:
    """Once a day, end the courses at addresses that the provider writes to no more."""
    with database.read() as db:
        last = facts.get(db, PULLED)
    since = datetime.fromisoformat(last) if last else now - KEPT
    if last and now - since < DAY:
        return ""
    try:
        pulled = list(witness.suppressions(since - DAY))
    except Unavailable as reason:
        return str(reason)
    with database.write() as db:
        for each in pulled:
            evidence.leave_alone(db, each.address, ENDS[each.kind], now)
        facts.put(db, PULLED, now.isoformat())
    return ""


def _believable(claim: Claim, told: LookUp, lease: timedelta, now: datetime) -> bool:
    """Whether not being found means that the letter was never taken."""
    ended = claim.claimed_at + lease
    return now - claim.claimed_at >= AGAIN and told.newest is not None and told.newest > ended
