"""What became of letters after they were taken: events and look-ups, written forward only (D7).

1. An event is taken once: its id is kept.
2. Its letter is the one whose id it carries, else the one with its message and its address, else,
   after a restore that has lost ids, the only one in doubt at its address.
3. Any event about a letter in doubt shows that it was taken. Its fate only moves forward, in the
   order of FATES, whatever order the events come in.
4. An address that bounces for good, complains or unsubscribes is not written to again: it is put on
   the list of suppressions, and its people's courses end.
5. A letter that was dropped because the account was used up did not go, and is due again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from scheduler.keys import Keys
from scheduler.ledger import aftermath, changes, claims, people
from scheduler.ledger.changes import Change
from scheduler.ledger.people import Person
from scheduler.ledger.planner import Planner
from scheduler.ledger.suppressions import suppress
from scheduler.ledger.tables import delivery, event
from scheduler.plan.enrolment import Status

FATES = ("processed", "deferred", "delivered", "blocked", "dropped", "bounce", "spamreport")
ENDS: dict[str, Status] = {
    "bounce": "bounced",
    "invalid": "bounced",
    "spamreport": "complained",
    "unsubscribe": "stopped",
    "group_unsubscribe": "stopped",
}
DROPPED: dict[str, Status] = {
    "Bounced Address": "bounced",
    "Invalid": "bounced",
    "Spam Reporting Address": "complained",
    "Unsubscribed Address": "stopped",
}
BY = "SendGrid · its events and logs"
PATIENT = "the patient · their pages"
USED_UP = "Recipient List over Package Quota"


@dataclass(frozen=True)
class Event:
    """What the channel says of one letter.

    `kind` is SendGrid's word, but "blocked" for a bounce that is not for good. A bounce that comes
    back late carries no delivery: `message` (of the request, as in an outcome's reference) and the
    address together say which letter it is. `reason` names no patient.
    """

    id: str
    kind: str
    delivery: str | None
    message: str
    at: datetime | None
    reason: str = ""
    address: str = field(default="", repr=False)


class Evidence:
    """Takes down what is heard, with all that follows for the people."""

    def __init__(self, keys: Keys, planner: Planner) -> None:
        """Take the keys that suppressions are marked with, and the planner."""
        self.keys, self.planner = keys, planner

    def take(self, db: Connection, events: Sequence[Event], now: datetime) -> int:
        """Write down what is new, within the caller's transaction; how many events were new."""
        unseen = {each.id: each for each in events}
        for known in db.scalars(select(event.c.id).where(event.c.id.in_(unseen))).all():
            del unseen[known]
        arrived: list[str] = []
        rows: list[dict[str, Any]] = []
        # in one order, as record() does, or two processes wait for each other
        for each in sorted(unseen.values(), key=lambda told: told.delivery or ""):
            found = _letter(db, each)
            row = {"id": each.id, "kind": each.kind, "at": each.at, "reason": each.reason}
            rows.append(row | {"delivery_id": found.id if found else None, "taken_at": now})
            if not found:  # another program's mail from the same account
                continue
            if _move_on(db, found, each, now):
                arrived.append(found.enrolment_id)
            if status := ENDS.get(each.kind) or DROPPED.get(each.reason):
                self.leave_alone(db, found.address, status, now)
        if rows:
            db.execute(insert(event), rows)
        self.planner.finish(db, arrived, now)
        return len(unseen)

    def stop(self, db: Connection, person: Person, now: datetime) -> None:
        """End a course at the patient's wish (P11); the address is left alone from then on.

        Unless somebody else gets letters there: couples share addresses.
        """
        if person.status == "active":
            stopped = Change("stop", person, replace(person, status="stopped"))
            changes.write(db, self.planner, [stopped], now, PATIENT, final=True)
        if not people.in_use(db, person.email):
            suppress(db, self.keys, person.email, reason="stopped", at=now, by=PATIENT)

    def leave_alone(
        self, db: Connection, address: str, status: Status, now: datetime, *, by: str = BY
    ) -> None:
        """Write to an address no more, and end the courses of those who have it."""
        suppress(db, self.keys, address, reason=status, at=now, by=by)
        ended = [
            Change(status, person, replace(person, status=status))
            for person in people.at_address(db, address)
            if person.status == "active"
        ]
        changes.write(db, self.planner, ended, now, by, final=True)


def _letter(db: Connection, told: Event) -> Row[Any] | None:
    """The delivery that an event is about."""
    kept = select(delivery).with_for_update()
    by_id = kept.where(delivery.c.id == told.delivery)
    if told.delivery and (row := db.execute(by_id).first()):
        return row
    if not told.address:
        return None
    same = kept.where(func.lower(delivery.c.address) == told.address.lower())
    query = same.where(delivery.c.reference == told.message)
    if told.message and (row := db.execute(query).first()):
        return row
    lost = db.execute(same.where(aftermath.LOST_IDS)).all() if told.delivery else []
    return lost[0] if len(lost) == 1 else None


def _move_on(db: Connection, row: Row[Any], told: Event, now: datetime) -> bool:
    """The letter's state and fate; a letter that surely did not go is due again.

    True when this is how we learn that it was taken.
    """
    if told.kind not in FATES or _rank(told.kind) <= _rank(row.fate):
        return False
    values: dict[str, Any] = {"fate": told.kind}
    # of one that was thought not to have gone; but not of the try that was dropped
    other = bool(told.message) and told.message != row.reference
    news = row.state in ("claimed", "unknown") or (row.state == "deferred" and other)
    if news:
        values |= {"state": "accepted", "settled_at": now, "reference": told.message or None}
        values |= {"outcome": ""}
    if told.kind in ("blocked", "dropped", "bounce"):
        values |= {"outcome": f"came back: {told.reason or told.kind}"}
    earlier = row.state == "accepted" and bool(row.reference) and other
    if told.reason == USED_UP and not earlier:
        values = {"state": "deferred", "fate": None, "outcome": "SendGrid's quota is used up"}
        values |= {"reference": told.message or row.reference}
        claims.due_again(db, [row.enrolment_id], now)
    db.execute(update(delivery).where(delivery.c.id == row.id).values(values))
    return news


def _rank(fate: str | None) -> int:
    return FATES.index(fate) if fate in FATES else -1
