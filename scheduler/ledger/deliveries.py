"""Deliveries: one lesson to one enrolment, each claimed before it is sent (D2) and recorded after.

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

from sqlalchemy import Connection, and_, func, insert, or_, select, update

from scheduler.keys import Keys
from scheduler.ledger import trail
from scheduler.ledger.people import CURRENT, Person, from_row, joined, new_id
from scheduler.ledger.suppressions import among
from scheduler.ledger.tables import attempt, delivery, edition, enrolment, insert_new
from scheduler.letters.editions import Edition
from scheduler.plan.enrolment import Sent

MANY = 10_000  # names in one query; SQLite takes 32,766


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

SETTLED = ("claimed", "accepted", "refused", "unknown")
"""The states of a lesson that the plan must not send again; a deferred one is due again."""

WRITTEN = ("accepted", "refused", "deferred")
"""The states over which no outcome is written.

Queries say which states are not meant: asked for those that are, SQLite walks through all rows of
that state instead of looking the named ones up.
"""

LISTED = 100_000  # people in one look at who is due: some 10 MB


def sent(
    db: Connection, enrolments: Collection[str] | None = None
) -> dict[str, dict[str, datetime]]:
    """For each enrolment the lessons that must not go again, in the order they went.

    Only of the enrolments that are named, unless those are too many to name, or of all.
    """
    query = (
        select(delivery.c.enrolment_id, delivery.c.lesson, delivery.c.planned_for)
        .where(delivery.c.state != "deferred")  # that is, SETTLED
        .order_by(delivery.c.claimed_at, delivery.c.planned_for)
    )
    if enrolments is not None and len(enrolments) <= MANY:
        query = query.where(delivery.c.enrolment_id.in_(enrolments))
    gone: dict[str, dict[str, datetime]] = defaultdict(dict)
    for row in db.execute(query):
        gone[row.enrolment_id][row.lesson] = row.planned_for
    return gone


def any_of(db: Connection, enrolment_id: str) -> bool:
    """Whether anything was ever claimed for an enrolment."""
    query = select(delivery.c.id).where(delivery.c.enrolment_id == enrolment_id).limit(1)
    return db.execute(query).first() is not None


def next_due(db: Connection) -> datetime | None:
    """When the next letter of all is due (UTC), or None when there is none."""
    return db.execute(select(func.min(enrolment.c.next_due_at))).scalar()


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
    query = joined().where(enrolment.c.id.in_(enrolments), enrolment.c.next_due_at <= now)
    rows = db.execute(query.with_for_update(skip_locked=True, of=enrolment)).mappings().all()
    people = [from_row(row) for row in rows]
    gone = sent(db, [person.enrolment_id for person in people])
    left_alone = among(db, keys, [person.email for person in people])
    decided = [
        (person, decide(person, gone.get(person.enrolment_id, {})))
        for person in people
        if person.email not in left_alone
    ]
    _end(db, [person for person in people if person.email in left_alone], left_alone, now)
    _move_on(db, decided)
    going = [(person, decision) for person, decision in decided if decision.edition]
    if not going:
        return []
    _keep(db, {decision.edition for _, decision in going if decision.edition})
    return _claim(db, going, now, lease_until)


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
        named = delivery.c.id.in_([claim.delivery for claim, _ in outcomes])
        db.execute(select(delivery.c.id).where(named).order_by(delivery.c.id).with_for_update())
    ours: set[str] = set()
    for (outcome, tries, fence), ids in alike.items():
        row: dict[str, Any] = {"state": outcome.result, "settled_at": now, "tries": tries}
        row |= {"outcome": outcome.reason, "reference": outcome.reference}
        mine = and_(delivery.c.fence == fence, delivery.c.state.not_in(WRITTEN))
        if outcome.result == "accepted":  # somebody who woke up late knows that it went after all
            mine = or_(mine, delivery.c.state == "deferred")
        change = update(delivery).where(delivery.c.id.in_(ids), mine).returning(delivery.c.id)
        ours.update(db.scalars(change.values(row)))
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
    db.execute(insert(attempt), log)
    return [each for each in outcomes if each[0].delivery in ours]


def due_again(db: Connection, enrolment_ids: Collection[str], at: datetime | None) -> None:
    """Let the next round from `at` on look at people again; the plan then says what goes."""
    query = update(enrolment).where(enrolment.c.id.in_(enrolment_ids))
    db.execute(query.where(enrolment.c.status == "active").values(next_due_at=at))


def without_next(db: Connection, enrolments: Iterable[str]) -> list[Person]:
    """Of these, the active people for whom nothing is planned any more."""
    query = select(enrolment.c.id, enrolment.c.next_due_at).where(
        enrolment.c.id.in_(list(enrolments)), enrolment.c.status == "active"
    )
    ended = [row.id for row in db.execute(query) if row.next_due_at is None]
    query = joined().where(enrolment.c.id.in_(ended))
    return [from_row(row) for row in db.execute(query).mappings()] if ended else []


def editions(db: Connection, hashes: Iterable[str]) -> dict[str, Edition]:
    """Stored editions by their hashes."""
    query = select(edition).where(edition.c.hash.in_(set(hashes)))
    return {row.hash: Edition.from_json(row.content) for row in db.execute(query)}


def history(db: Connection) -> list[Mapping[str, Any]]:
    """Every delivery with its person's id, in the order they were planned."""
    query = (
        select(delivery, enrolment.c.subscriber_id)
        .join(enrolment, enrolment.c.id == delivery.c.enrolment_id)
        .order_by(delivery.c.planned_for, enrolment.c.subscriber_id)
    )
    return [dict(row) for row in db.execute(query).mappings()]


def of_person(db: Connection, who: str) -> list[Mapping[str, Any]]:
    """Every delivery of somebody by the subscriber's id, earlier courses too, the oldest first."""
    mine = select(enrolment.c.id).where(enrolment.c.subscriber_id == who)
    query = select(delivery).where(delivery.c.enrolment_id.in_(mine))
    return [dict(row) for row in db.execute(query.order_by(delivery.c.claimed_at)).mappings()]


def troubled(db: Connection, since: datetime) -> list[Mapping[str, Any]]:
    """Letters that nobody knows the end of, or that were refused since, the oldest first."""
    refused = and_(delivery.c.state == "refused", delivery.c.lease_until >= since)
    query = select(delivery).where(or_(delivery.c.state == "unknown", refused))
    return [dict(row) for row in db.execute(query.order_by(delivery.c.claimed_at)).mappings()]


def went(db: Connection, since: datetime) -> int:
    """How many letters were taken since an instant."""
    lately = and_(delivery.c.state == "accepted", delivery.c.lease_until >= since)
    query = select(func.count()).where(lately, delivery.c.claimed_at >= since)
    return db.execute(query).scalar_one()


def _end(
    db: Connection, people: Sequence[Person], reasons: Mapping[str, str], now: datetime
) -> None:
    for person in people:
        status = reasons[person.email]
        query = update(enrolment).where(enrolment.c.id == person.enrolment_id)
        db.execute(query.values(status=status, next_due_at=None))
        words = "the address must not be written to"
        trail.tell(db, person.enrolment_id, status, words, at=now, by="the service")


def _move_on(db: Connection, decided: Sequence[tuple[Person, Decision]]) -> None:
    """Most have the same next date, so that this is a statement or two."""
    alike: dict[datetime | None, list[str]] = defaultdict(list)
    for person, decision in decided:
        alike[decision.next_due].append(person.enrolment_id)
    for at, ids in alike.items():
        db.execute(update(enrolment).where(enrolment.c.id.in_(ids)).values(next_due_at=at))


def _keep(db: Connection, new: Iterable[Edition]) -> None:
    """Store the editions that are not stored yet (D10)."""
    by_hash = {each.hash: each for each in new}
    for key in db.scalars(select(edition.c.hash).where(edition.c.hash.in_(by_hash))).all():
        del by_hash[key]
    rows = [{"hash": key, "content": each.as_json()} for key, each in by_hash.items()]
    insert_new(db, edition, rows)


def _claim(
    db: Connection,
    due: Sequence[tuple[Person, Decision]],
    now: datetime,
    lease_until: datetime,
) -> list[Claim]:
    """Insert the deliveries; one that was deferred before keeps its id and gets a higher fence."""
    query = select(delivery).where(
        delivery.c.enrolment_id.in_([person.enrolment_id for person, _ in due]),
        delivery.c.state.not_in(SETTLED),
    )
    before = {(row.enrolment_id, row.lesson): row for row in db.execute(query)}
    fresh: list[dict[str, Any]] = []
    again: list[dict[str, Any]] = []
    for person, decision in due:
        earlier = before.get((person.enrolment_id, decision.lesson))
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
    if fresh:
        db.execute(insert(delivery), fresh)
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
