"""Claims: a lesson to an enrolment, claimed before it is sent (D2) and recorded after (D4).

    claimed ─→ accepted | refused | deferred | unknown
    deferred ─→ claimed (the same id, the fence one higher)
    unknown ─→ accepted | deferred, by evidence only (D5)
    accepted ─→ deferred, when the channel says that it did not go after all

The database itself keeps a lesson from being delivered twice: UNIQUE (enrolment, lesson).
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    Connection,
    String,
    and_,
    cast,
    func,
    or_,
    select,
    update,
)

from scheduler.keys import Keys
from scheduler.ledger import trail
from scheduler.ledger.bulk import named, put
from scheduler.ledger.people import CURRENT, Person, from_row, joined, new_id
from scheduler.ledger.suppressions import among
from scheduler.ledger.tables import attempt, delivery, edition, enrolment, insert_new
from scheduler.letters.editions import Edition
from scheduler.plan.enrolment import Sent

Result = Literal["accepted", "refused", "deferred", "unknown"]


@dataclass(frozen=True)
class Outcome:
    """What became of one try (D4). `reason` is for people and names no patient.

    accepted: the channel took it · refused: it never will · deferred: surely not taken, try again
    later · unknown: it may have been taken, so it must not be sent again without evidence.
    """

    result: Result
    reason: str = ""
    reference: str | None = None


@dataclass(frozen=True)
class Decision:
    """What is to be done for a person whose time has come: a letter, or wait until `next_due`."""

    next_due: datetime | None
    lesson: str = ""
    edition: Edition | None = None
    planned_for: datetime | None = None
    merge: Mapping[str, str] = field(default_factory=dict)
    reasons: Sequence[str] = ()

    def __repr__(self) -> str:
        """Never a merge value."""
        return f"Decision({self.lesson}, next due {self.next_due})"


@dataclass(frozen=True)
class Claim:
    """A letter that is ours to send while the lease lasts; it was looked up `looks` times."""

    delivery: str
    enrolment: str
    lesson: str
    fence: int
    tries: int
    edition: str
    merge: Mapping[str, str]
    address: str
    claimed_at: datetime
    looks: int = 0

    def __repr__(self) -> str:
        """Never an address or a merge value."""
        return f"Claim({self.delivery})"


Decide = Callable[[Person, Sent], Decision]
Place = tuple[datetime, str]
"""Where somebody stands among those who are due: a next due date and an enrolment."""

PutOff = dict[tuple[str, str], Any]
"""The rows of deliveries that were put off, by enrolment and lesson."""

WRITTEN = ("accepted", "refused", "deferred")
"""The states over which no outcome is written.

Queries say which states are not meant: asked for those that are, SQLite walks through all rows of
that state instead of looking the named ones up.
"""

LISTED = 100_000  # people in one look at who is due: some 10 MB


def due(db: Connection, now: datetime, after: Place | None = None) -> list[Place]:
    """Whose time has come, the longest due first: at most LISTED of them, those after a place."""
    at, who = enrolment.c.next_due_at, enrolment.c.id
    query = select(at, who).where(at <= now, CURRENT).order_by(at, who).limit(LISTED)
    if after:
        query = query.where(at >= after[0], or_(at > after[0], who > after[1]))
    return [(row.next_due_at, row.id) for row in db.execute(query).all()]


def claim(
    db: Connection,
    keys: Keys,
    now: datetime,
    enrolments: Collection[str],
    *,
    lease_until: datetime,
    decide: Decide,
) -> list[Claim]:
    """Look at people whose time has come, as far as it still has; claim the letters that are due.

    Everyone's next due date is moved on, to the next letter's or to where the plan has put this one
    (D1, D2); what must wait stays due. At an address that must not be written to, the course ends.
    """
    query = joined().where(named(db, enrolment.c.id, enrolments), enrolment.c.next_due_at <= now)
    rows = db.execute(query.with_for_update(skip_locked=True, of=enrolment)).mappings().all()
    people = [from_row(row) for row in rows]
    gone, put_off = _earlier(db, [person.enrolment_id for person in people])
    left_alone = among(db, keys, [person.email for person in people])
    decided = [
        (person, decide(person, gone[person.enrolment_id]))
        for person in people
        if person.email not in left_alone
    ]
    _end(db, [person for person in people if person.email in left_alone], left_alone, now)
    _move_on(db, decided)
    going = [(person, decision) for person, decision in decided if decision.edition]
    if not going:
        return []
    _keep(db, {decision.edition for _, decision in going if decision.edition})
    return _claim(db, going, put_off, now, lease_until)


def record(
    db: Connection, outcomes: Sequence[tuple[Claim, Outcome]], now: datetime
) -> list[tuple[Claim, Outcome]]:
    """Write what became of claims, those that are still ours by their fence (D4); gives these.

    Every try leaves a line in the attempt log, whoever's it was.
    """
    alike: dict[tuple[Outcome, int, int], list[str]] = defaultdict(list)
    for claim, outcome in outcomes:
        tries = claim.tries + (outcome.result == "deferred" and bool(outcome.reason))
        alike[outcome, tries, claim.fence].append(claim.delivery)
    if db.dialect.name != "sqlite":  # all in one order, or two processes wait for each other
        theirs = named(db, delivery.c.id, [claim.delivery for claim, _ in outcomes])
        db.execute(select(delivery.c.id).where(theirs).order_by(delivery.c.id).with_for_update())
    ours: set[str] = set()
    for (outcome, tries, fence), ids in alike.items():
        row: dict[str, Any] = {"state": outcome.result, "settled_at": now, "tries": tries}
        row |= {"outcome": outcome.reason, "reference": outcome.reference}
        mine = and_(delivery.c.fence == fence, delivery.c.state.not_in(WRITTEN))
        if outcome.result == "accepted":  # somebody who woke up late knows that it went after all
            mine = or_(mine, delivery.c.state == "deferred")
        change = update(delivery).where(named(db, delivery.c.id, ids), mine)
        ours.update(db.scalars(change.values(row).returning(delivery.c.id)).all())
    log = [
        {
            "delivery_id": claim.delivery,
            "fence": claim.fence,
            "began_at": claim.claimed_at,
            "ended_at": now,
            "result": outcome.result,
            "reason": outcome.reason,
        }
        for claim, outcome in outcomes
    ]
    put(db, attempt, log)
    return [each for each in outcomes if each[0].delivery in ours]


def due_again(db: Connection, enrolment_ids: Collection[str], at: datetime | None) -> None:
    """Let the next round from `at` on look at people again; the plan then says what goes."""
    query = update(enrolment).where(named(db, enrolment.c.id, enrolment_ids))
    db.execute(query.where(enrolment.c.status == "active").values(next_due_at=at))


def without_next(db: Connection, enrolments: Collection[str]) -> list[Person]:
    """Of these, the active people for whom nothing is planned any more."""
    none = func.coalesce(cast(enrolment.c.next_due_at, String), "") == ""  # else by that index
    query = joined().where(named(db, enrolment.c.id, enrolments), none)
    rows = db.execute(query.where(enrolment.c.status == "active")).mappings()
    return [from_row(row) for row in rows]


def _end(
    db: Connection, people: Sequence[Person], reasons: Mapping[str, str], now: datetime
) -> None:
    for person in people:
        status = reasons[person.email]
        query = update(enrolment).where(enrolment.c.id == person.enrolment_id)
        db.execute(query.values(status=status, next_due_at=None))
        words = "the address must not be written to"
        trail.tell(db, person.enrolment_id, status, words, at=now, by="the service · a round")


def _move_on(db: Connection, decided: Sequence[tuple[Person, Decision]]) -> None:
    """Most have the same next date, so that this is a statement or two."""
    alike: dict[datetime | None, list[str]] = defaultdict(list)
    for person, decision in decided:
        alike[decision.next_due].append(person.enrolment_id)
    for at, ids in alike.items():
        db.execute(update(enrolment).where(named(db, enrolment.c.id, ids)).values(next_due_at=at))


def _keep(db: Connection, new: Iterable[Edition]) -> None:
    """Store the editions that are not stored yet (D10)."""
    by_hash = {each.hash: each for each in new}
    for key in db.scalars(select(edition.c.hash).where(edition.c.hash.in_(by_hash))).all():
        del by_hash[key]
    rows = [{"hash": key, "content": each.as_json()} for key, each in by_hash.items()]
    insert_new(db, edition, rows)


def _earlier(
    db: Connection, enrolments: Collection[str]
) -> tuple[dict[str, dict[str, datetime]], PutOff]:
    """What went to each enrolment, in that order, and the deliveries that were put off."""
    gone: dict[str, dict[str, datetime]] = defaultdict(dict)
    put_off: PutOff = {}
    c = delivery.c
    query = select(c.id, c.enrolment_id, c.lesson, c.state, c.planned_for, c.fence, c.tries)
    query = query.where(named(db, c.enrolment_id, enrolments)).order_by(c.claimed_at, c.planned_for)
    for row in db.execute(query).all():
        if row.state == "deferred":
            put_off[row.enrolment_id, row.lesson] = row
        else:
            gone[row.enrolment_id][row.lesson] = row.planned_for
    return gone, put_off


def _claim(
    db: Connection,
    due: Sequence[tuple[Person, Decision]],
    put_off: PutOff,
    now: datetime,
    lease_until: datetime,
) -> list[Claim]:
    """Insert the deliveries; one that was put off before keeps its id and gets a higher fence."""
    fresh: list[dict[str, Any]] = []
    again: list[dict[str, Any]] = []
    for person, decision in due:
        earlier = put_off.get((person.enrolment_id, decision.lesson))
        row = {
            "id": earlier.id if earlier else new_id(),
            "enrolment_id": person.enrolment_id,
            "lesson": decision.lesson,
            "state": "claimed",
            "edition": decision.edition.hash if decision.edition else "",
            "merge": dict(decision.merge),
            "address": person.email,
            "reasons": list(decision.reasons),
            "planned_for": decision.planned_for,
            "claimed_at": now,
            "lease_until": lease_until,
            "fence": earlier.fence + 1 if earlier else 1,
            "tries": earlier.tries if earlier else 0,
            "outcome": "",
            "looks": 0,
        }
        (again if earlier else fresh).append(row)
    put(db, delivery, fresh)
    for row in again:
        anew = row | dict.fromkeys(("settled_at", "reference", "looked_at", "fate"))
        db.execute(update(delivery).where(delivery.c.id == row["id"]).values(anew))
    return [claim_of(row) for row in fresh + again]


def claim_of(row: Mapping[Any, Any]) -> Claim:
    """The claim that a delivery's row stands for."""
    return Claim(
        delivery=row["id"],
        enrolment=row["enrolment_id"],
        lesson=row["lesson"],
        fence=row["fence"],
        tries=row["tries"],
        edition=row["edition"],
        merge=row["merge"],
        address=row["address"],
        claimed_at=row["claimed_at"],
        looks=row["looks"],
    )
