"""People and their enrolments, as the database keeps them.

What is None in a person's tailoring follows the clinic or the course; `way()` puts that in.
"""

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from time import time_ns
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import (
    Connection,
    RowMapping,
    Select,
    Text,
    bindparam,
    cast,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from scheduler.findings import wrong
from scheduler.ledger.bulk import named
from scheduler.ledger.tables import enrolment, subscriber
from scheduler.material import Material
from scheduler.material.clinic import Clinic
from scheduler.plan.calendar import first_slot, instant
from scheduler.plan.enrolment import Enrolment, Hold, Status

Style = Literal["plain", "large"]
"""How somebody wants letters who does not want them as usual: text alone, or large print."""


@dataclass(frozen=True)
class Person:
    """A subscriber with the enrolment that is under way. `enrolment_id` is random and opaque.

    `agreed_to` is the version of the words that they agreed to, where it is known.
    `at_once` is when staff asked that the next letter goes at once (UTC).
    `call_asked_at` is when they asked the clinic to call them, as long as it has not.
    """

    id: str
    email: str
    name: str
    consent: date
    first_appointment: date
    enrolled_at: datetime
    enrolment_id: str
    start: date | None = None
    send_at: time | None = None
    timezone: ZoneInfo | None = None
    pace: int | None = None
    hold: tuple[Hold, ...] = ()
    skip: tuple[str, ...] = ()
    owed: tuple[str, ...] = ()
    anchor: tuple[int, date] | None = None
    physiotherapist: str | None = None
    note: str | None = None
    style: Style | None = None
    agreed_to: str | None = None
    call_asked_at: datetime | None = None
    at_once: datetime | None = None
    status: Status = "active"

    def __repr__(self) -> str:
        """Never a name or an address: a person may stand in a traceback."""
        return f"Person({self.enrolment_id})"

    def zone(self, clinic: Clinic) -> ZoneInfo:
        """The zone that they live by: their own, else the clinic's."""
        return self.timezone or clinic.timezone

    def holds(self, today: date) -> list[Hold]:
        """Those that are not over."""
        return [each for each in self.hold if each.until is None or each.until > today]

    def way(self, material: Material) -> Enrolment:
        """The enrolment as the plan takes it.

        Until the first send time after it, one moment of enrolling is as good as another.
        """
        at, zone = self.send_at or material.clinic.send_at, self.zone(material.clinic)
        return Enrolment(
            first_appointment=self.first_appointment,
            enrolled_at=instant(first_slot(self.enrolled_at, at, zone), at, zone),
            send_at=at,
            zone=zone,
            pace=self.pace or material.course.pace,
            start=self.start,
            holds=self.hold,
            skips=frozenset(self.skip),
            owed=frozenset(self.owed),
            anchor=self.anchor,
            at_once=self.at_once,
            status=self.status,
        )


def new_id() -> str:
    """A name that says nothing but when it was made: microseconds, then 76 random bits.

    Names that grow keep what belongs together on few pages (as in RFC 9562, version 7).
    """
    return f"{time_ns() // 1000:013x}{secrets.token_hex(10)[1:]}"


def everyone(db: Connection) -> list[Person]:
    """All people in the order of their ids."""
    return _read(db, _kept(db, joined().order_by(subscriber.c.id)))


def find(db: Connection, who: str) -> Person | None:
    """Somebody by the subscriber's id."""
    found = _read(db, _kept(db, joined().where(subscriber.c.id == who)))
    return found[0] if found else None


def known(db: Connection, who: str) -> Person:
    """Somebody by the subscriber's id.

    Raises:
        WrongInput: nobody has it.

    """
    if person := find(db, who):
        return person
    raise wrong("ID", None, f'nobody has the id "{who}"', "see physiopost roster")


def at_address(db: Connection, address: str) -> list[Person]:
    """Everybody who has an address, as it is written or in small letters."""
    home = subscriber.c.email.in_({address, address.lower()})
    return _read(db, _kept(db, joined().where(home)))


def in_use(db: Connection, address: str, *, but: str = "") -> bool:
    """Whether anybody gets letters at an address, the one with an id left aside."""
    home = at_address(db, address)
    return any(each.id != but and each.status == "active" for each in home)


def applied(db: Connection) -> dict[str, Mapping[str, Any]]:
    """What the roster file last said of each person, by id."""
    query = select(enrolment.c.subscriber_id, enrolment.c.applied).where(CURRENT)
    return {row.subscriber_id: row.applied for row in db.execute(query)}


def add(db: Connection, new: Sequence[tuple[Person, datetime | None]]) -> None:
    """Enrol people who are new, each with the plan's next instant (D1)."""
    if new:
        db.execute(insert(subscriber), [_subscriber_row(person) for person, _ in new])
        enrol(db, new)


def enrol(db: Connection, new: Sequence[tuple[Person, datetime | None]]) -> None:
    """Add enrolments of people who are known."""
    rows = [_enrolment_row(person) | {"applied": {}, "next_due_at": due} for person, due in new]
    db.execute(insert(enrolment), rows)


def change(db: Connection, changed: Sequence[tuple[Person, datetime | None]]) -> None:
    """Write people's new tailoring and the next instants that follow from it (D1)."""
    if not changed:
        return
    each = update(subscriber).where(subscriber.c.id == bindparam("b_id"))
    rows = [_subscriber_row(person) for person, _ in changed]
    db.execute(each, [{"b_id": row.pop("id"), **row} for row in rows])
    way = update(enrolment).where(enrolment.c.id == bindparam("b_id"))
    ways = [_enrolment_row(person) | {"next_due_at": due} for person, due in changed]
    db.execute(way, [{"b_id": row.pop("id"), **row} for row in ways])


def remember(db: Connection, said: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Note what the file says of enrolments."""
    if said:
        query = update(enrolment).where(enrolment.c.id == bindparam("b_id"))
        db.execute(query, [{"b_id": each, "applied": dict(entry)} for each, entry in said])


def said(db: Connection, enrolment_id: str) -> Mapping[str, Any]:
    """What the file last said of an enrolment."""
    query = select(enrolment.c.applied).where(enrolment.c.id == enrolment_id)
    entry: Mapping[str, Any] = db.execute(query).scalar_one()
    return entry


def replaced(db: Connection, enrolment_id: str, at: datetime | None) -> None:
    """Mark an enrolment as followed by a newer one of the same person, or, with None, as not."""
    db.execute(update(enrolment).where(enrolment.c.id == enrolment_id).values(replaced_at=at))


def remove(db: Connection, enrolment_id: str) -> None:
    """Take an enrolment away to which nothing was ever sent, and its person if it was the only."""
    query = select(enrolment.c.subscriber_id).where(enrolment.c.id == enrolment_id)
    who = db.execute(query).scalar_one()
    db.execute(delete(enrolment).where(enrolment.c.id == enrolment_id))
    others = select(enrolment.c.id).where(enrolment.c.subscriber_id == who)
    if db.execute(others).first() is None:
        db.execute(delete(subscriber).where(subscriber.c.id == who))


def finish(db: Connection, enrolment_ids: Iterable[str]) -> None:
    """Mark courses as finished: nothing is left to come (P11)."""
    query = update(enrolment).where(named(db, enrolment.c.id, list(enrolment_ids)))
    db.execute(query.values(status="finished", next_due_at=None))


CURRENT = enrolment.c.replaced_at.is_(None)
SAME = (  # columns of an enrolment that hold what a Person has under the same name
    *("first_appointment", "enrolled_at", "start", "pace", "physiotherapist", "note"),
    *("style", "call_asked_at", "at_once", "status"),
)
OWN = ("email", "name", "consent", "agreed_to")  # the same, of a subscriber
NOT_READ = ("applied", "next_due_at", "replaced_at")  # a Person has none of them


def joined() -> Select[Any]:
    """Everybody's newest enrolment with its person."""
    return of_all().where(CURRENT)


def of_all() -> Select[Any]:
    """Every enrolment with its person, replaced ones too."""
    way = [column for column in enrolment.c if column.name not in NOT_READ]
    who = [subscriber.c[name] for name in OWN]
    same = subscriber.c.id == enrolment.c.subscriber_id
    return select(*way, *who).join(subscriber, same)


def _kept(db: Connection, query: Select[Any]) -> Select[Any]:
    """Who is read in order to be written must not be changed in between, on PostgreSQL either."""
    writes = db.get_execution_options().get("physiopost_write")
    return query.with_for_update(of=enrolment) if writes else query


def _read(db: Connection, query: Select[Any]) -> list[Person]:
    return [from_row(row) for row in db.execute(query).mappings()]


def from_row(row: RowMapping) -> Person:
    """The person of a row of joined()."""
    zone, anchor = row["timezone"], row["anchor"]
    return Person(
        **{name: row[name] for name in (*SAME, *OWN)},
        id=row["subscriber_id"],
        enrolment_id=row["id"],
        send_at=time.fromisoformat(row["send_at"]) if row["send_at"] else None,
        timezone=ZoneInfo(zone) if zone else None,
        hold=tuple(_hold(hold) for hold in row["hold"]),
        skip=tuple(row["skip"]),
        owed=tuple(row["owed"]),
        anchor=(anchor[0], date.fromisoformat(anchor[1])) if anchor else None,
    )


def _hold(stored: Mapping[str, str | None]) -> Hold:
    until = stored["until"]
    return Hold(
        date.fromisoformat(str(stored["from"])),
        date.fromisoformat(until) if until else None,
        stored["reason"] or "",
    )


def _subscriber_row(person: Person) -> dict[str, Any]:
    return {name: getattr(person, name) for name in ("id", *OWN)}


def _enrolment_row(person: Person) -> dict[str, Any]:
    anchor = person.anchor
    return {
        **{name: getattr(person, name) for name in SAME},
        "id": person.enrolment_id,
        "subscriber_id": person.id,
        "send_at": person.send_at.strftime("%H:%M") if person.send_at else None,
        "timezone": str(person.timezone) if person.timezone else None,
        "hold": [
            {
                "from": hold.first.isoformat(),
                "until": hold.until.isoformat() if hold.until else None,
                "reason": hold.reason,
            }
            for hold in person.hold
        ],
        "skip": list(person.skip),
        "owed": list(person.owed),
        "anchor": [anchor[0], anchor[1].isoformat()] if anchor else None,
    }


def of_enrolment(db: Connection, enrolment_id: str) -> Person | None:
    """Whose enrolment this is or was, with the newest one."""
    query = select(enrolment.c.subscriber_id).where(enrolment.c.id == enrolment_id)
    who = db.execute(query).scalar()
    return find(db, who) if who else None


def of_enrolments(db: Connection, enrolment_ids: Collection[str]) -> dict[str, Person]:
    """Whose enrolments these are, earlier ones too, each as that enrolment has them."""
    query = of_all().where(named(db, enrolment.c.id, enrolment_ids))
    return {row["id"]: from_row(row) for row in db.execute(query).mappings()}


def due(db: Connection, until: datetime, most: int) -> list[Person]:
    """Whose next letter is due before an instant, by the time it is due."""
    at = enrolment.c.next_due_at
    query = joined().where(at < until, enrolment.c.status == "active")
    return _read(db, query.order_by(at, subscriber.c.name).limit(most))


def due_at(db: Connection, until: datetime) -> dict[datetime, int]:
    """How many people have their next letter at each instant before another."""
    at = enrolment.c.next_due_at
    query = select(at, func.count()).where(at < until, CURRENT, enrolment.c.status == "active")
    return {row[0]: row[1] for row in db.execute(query.group_by(at))}


def held_until(db: Connection, days: Iterable[date]) -> list[Person]:
    """People under way who have a hold that ends on one of these days."""
    stored, wanted = cast(enrolment.c.hold, Text), set(days)
    some = or_(*(stored.contains(f'"{day}"') for day in wanted))
    query = joined().where(stored != "[]", enrolment.c.status == "active", some)
    found = _read(db, query.order_by(subscriber.c.name))
    return [each for each in found if wanted & {hold.until for hold in each.hold}]


def newest(db: Connection, most: int) -> list[Person]:
    """Who was enrolled last."""
    newest_first = enrolment.c.enrolled_at.desc(), subscriber.c.name
    return _read(db, joined().order_by(*newest_first).limit(most))
