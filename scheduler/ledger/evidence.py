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

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, select, update

from scheduler.keys import Keys
from scheduler.ledger import aftermath, changes, claims, people
from scheduler.ledger.bulk import named, put
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
        for known in db.scalars(select(event.c.id).where(named(db, event.c.id, unseen))).all():
            del unseen[known]
        arrived: list[str] = []
        rows: list[dict[str, Any]] = []
        letters = _Letters(db, [each.delivery for each in unseen.values() if each.delivery])
        for each in unseen.values():
            found = letters.of(each)
            row = {"id": each.id, "kind": each.kind, "at": each.at, "reason": each.reason}
            rows.append(row | {"delivery_id": found["id"] if found else None, "taken_at": now})
            if not found:  # another program's mail from the same account
                continue
            news, values = _moved(found, each, now)
            letters.move(found, values)
            if news:
                arrived.append(found["enrolment_id"])
            if values.get("state") == "deferred":
                claims.due_again(db, [found["enrolment_id"]], now)
            if status := ENDS.get(each.kind) or DROPPED.get(each.reason):
                letters.write()
                self.leave_alone(db, found["address"], status, now)
        letters.write()
        put(db, event, rows)
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


class _Letters:
    """The deliveries that events are about: read together, moved on in memory, written together."""

    def __init__(self, db: Connection, named_ones: Collection[str]) -> None:
        self.db, self.moved = db, dict[str, dict[str, Any]]()
        self.known = {row["id"]: row for row in self._read(named(db, delivery.c.id, named_ones))}

    def of(self, told: Event) -> dict[str, Any] | None:
        """The delivery that an event is about."""
        if row := self.known.get(told.delivery or ""):
            return row
        if not told.address:
            return None
        self.write()
        same = func.lower(delivery.c.address) == told.address.lower()
        by_message = delivery.c.reference == told.message
        found = told.message and self._read(same, by_message)
        if not found and told.delivery:
            lost = self._read(same, aftermath.LOST_IDS)
            found = lost if len(lost) == 1 else []
        return self.known.setdefault(found[0]["id"], found[0]) if found else None

    def move(self, row: dict[str, Any], values: Mapping[str, Any]) -> None:
        """Note what an event changes."""
        if values:
            row.update(values)
            self.moved[row["id"]] = row

    def write(self) -> None:
        """Write down what has changed."""
        if self.moved:
            each = update(delivery).where(delivery.c.id == bindparam("b_id"))
            moved = self.moved.items()
            rows = [{"b_id": key} | {name: row[name] for name in MOVES} for key, row in moved]
            self.db.execute(each, rows)
            self.moved.clear()

    def _read(self, *which: ColumnElement[bool]) -> list[dict[str, Any]]:
        """In one order, as record() does, or two processes wait for each other."""
        query = select(*_READ).where(*which).order_by(delivery.c.id).with_for_update()
        return [dict(row) for row in self.db.execute(query).mappings()]


MOVES = ("state", "fate", "outcome", "reference", "settled_at")
_READ = [delivery.c[name] for name in ("id", "enrolment_id", "address", *MOVES)]


def _moved(row: Mapping[str, Any], told: Event, now: datetime) -> tuple[bool, dict[str, Any]]:
    """What an event changes of a letter; True when this is how we learn that it was taken.

    A letter that surely did not go is deferred, to be due again.
    """
    if told.kind not in FATES or _rank(told.kind) <= _rank(row["fate"]):
        return False, {}
    values: dict[str, Any] = {"fate": told.kind}
    # of one that was thought not to have gone; but not of the try that was dropped
    other = bool(told.message) and told.message != row["reference"]
    news = row["state"] in ("claimed", "unknown") or (row["state"] == "deferred" and other)
    if news:
        values |= {"state": "accepted", "settled_at": now, "reference": told.message or None}
        values |= {"outcome": ""}
    if told.kind in ("blocked", "dropped", "bounce"):
        values |= {"outcome": f"came back: {told.reason or told.kind}"}
    earlier = row["state"] == "accepted" and bool(row["reference"]) and other
    if told.reason == USED_UP and not earlier:
        values = {"state": "deferred", "fate": None, "outcome": "SendGrid's quota is used up"}
        values |= {"reference": told.message or row["reference"]}
    return news, values


def _rank(fate: str | None) -> int:
    return FATES.index(fate) if fate in FATES else -1
