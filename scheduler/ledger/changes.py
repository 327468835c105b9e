"""Changes to people: each is written with who made it and where, and most can be taken back.

1. A Change is a person before and after. Nobody before: new. Nobody after: taken away again, which
   is only done while nothing was sent. Another enrolment after: enrolled anew, or that taken back.
2. Whoever agrees to words that are not named agrees to those of clinic.yaml: their version is kept
   with the person, the words themselves as a fact.
3. write() puts down the rows, the next due dates that follow (D1), a line of audit that names
   nobody, and under `undo` the fields as they were.
4. last() and of_batch() are the changes that would take back what was written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, time
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, bindparam, delete, insert, select

from scheduler.findings import NotDone
from scheduler.ledger import aftermath, deliveries, facts, people
from scheduler.ledger.bulk import named
from scheduler.ledger.people import Person
from scheduler.ledger.planner import Planner
from scheduler.ledger.tables import audit, fact, insert_new, undo
from scheduler.ledger.trail import whence
from scheduler.plan.enrolment import Hold, Sent
from scheduler.plan.reasons import dated

AS_JSON: TypeAdapter[Person] = TypeAdapter(Person)
FIELDS = tuple(each.name for each in fields(Person))
UNSPOKEN = {"email", "name", "note", "physiotherapist"}  # the audit says that, never what
SILENT = {"enrolment_id", "enrolled_at", "owed", "anchor"}


@dataclass(frozen=True)
class Change:
    """What is done to a person. `undoes` is the audit line that it takes back."""

    action: str
    before: Person | None
    after: Person | None
    undoes: int | None = None

    @property
    def person(self) -> Person:
        """Whom it is about: as they will be, or as they were."""
        person = self.after or self.before
        if person is None:
            raise AssertionError(self.action)
        return person

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of what changes of somebody who stays, in the order of a person's fields."""
        before, after = self.before, self.after
        if not (before and after):
            return ()
        return tuple(name for name in FIELDS if getattr(before, name) != getattr(after, name))

    def kept(self, planner: Planner, gone: Mapping[str, Sent], now: datetime) -> "Change":
        """The same, with which words were agreed to, and the distance of letters at a new pace."""
        before, after = self.before, self.after
        if after is None or self.undoes:
            return self
        if not (after.agreed_to or (before and before.consent == after.consent)):
            after = replace(after, agreed_to=planner.material.clinic.agreement)
        if before and before.enrolment_id == after.enrolment_id:
            sent = gone.get(after.enrolment_id, {})
            after = planner.keep_distance(before, after, sent, now)
        return replace(self, after=after)

    @property
    def words(self) -> str:
        """`start: none → Mon 30 Nov 2026`; never a name, an address or a note."""
        if self.before is None:
            who = self.person
            return f"enrolled; agreed to wording {who.agreed_to} on {shown(who.consent)}"
        if self.after is None:
            return "taken away again"
        told = [name for name in self.fields if name not in SILENT]
        return "; ".join(_told(name, self.before, self.after) for name in told)


def write(
    db: Connection,
    planner: Planner,
    changes: Sequence[Change],
    now: datetime,
    by: str,
    *,
    batch: str | None = None,
    final: bool = False,
) -> None:
    """Carry out changes within the caller's transaction; `final` ones cannot be taken back.

    Raises:
        NotDone: something has been sent to somebody who is to be taken away.

    """
    known = [each.person.enrolment_id for each in changes if each.before]
    gone = deliveries.sent(db, known) if known else {}
    changes = [each.kept(planner, gone, now) for each in changes]
    new, changed = [], []
    for change in changes:
        before, after = change.before, change.after
        due = planner.next_due(after, gone.get(after.enrolment_id, {}), now) if after else None
        if after is None:
            _take_away(db, change.person)
        elif before is None:
            new.append((after, due))
        elif before.enrolment_id == after.enrolment_id:
            changed.append((after, due))
        else:
            _renew(db, before, after, due, now)
    if any(each.before is None or "agreed_to" in each.fields for each in changes):
        clinic = planner.material.clinic
        words = {"name": facts.CONSENT + clinic.agreement, "value": clinic.consent}
        insert_new(db, fact, [words])
    people.add(db, new)
    people.change(db, changed)
    aftermath.hold_touched(db, planner, [each.after for each in changes if each.after], now)
    _note(db, changes, now, by, batch, final=final)


def last(db: Connection, person: Person) -> Change | None:
    """What would take back the newest change of a person, or None when there is none to take."""
    query = _UNDOABLE.where(audit.c.enrolment_id == person.enrolment_id)
    row = db.execute(query.order_by(audit.c.id.desc()).limit(1)).first()
    return _back(person, row) if row else None


def of_batch(db: Connection, batch: str) -> list[Change]:
    """What would take back everything that was written under one batch.

    Raises:
        NotDone: somebody of the batch has been changed since.

    """
    rows = db.execute(_UNDOABLE.where(audit.c.batch == batch)).all()
    whose = [row.enrolment_id for row in rows]
    by_enrolment = people.of_enrolments(db, whose)
    newest = select(audit.c.enrolment_id, audit.c.id).join(undo).order_by(audit.c.id)
    mine = newest.where(named(db, audit.c.enrolment_id, whose))
    last_of = {row.enrolment_id: row.id for row in db.execute(mine)}
    if later := sum(last_of[row.enrolment_id] != row.id for row in rows):
        raise NotDone(f"{later} of the batch were changed since: take those changes back first")
    return [_back(by_enrolment[row.enrolment_id], row) for row in rows]


_UNDOABLE = select(audit.c.id, audit.c.enrolment_id, undo.c.before).join(undo)


def _back(person: Person, row: Row[Any, Any, Any]) -> Change:
    if row.before is None:
        return Change("undo", person, None, row.id)
    before = AS_JSON.validate_python(AS_JSON.dump_python(person, mode="json") | row.before)
    return Change("undo", person, before, row.id)


def _take_away(db: Connection, person: Person) -> None:
    if deliveries.any_of(db, person.enrolment_id):
        words = f"{person.id} has been written to, so the enrolment stays"
        raise NotDone(f"{words}; end it with physiopost end {person.id}")
    people.remove(db, person.enrolment_id)


def _renew(
    db: Connection, before: Person, after: Person, due: datetime | None, now: datetime
) -> None:
    """Put a new enrolment in an old one's place, or the old one back in the new one's."""
    if people.of_enrolment(db, after.enrolment_id):
        _take_away(db, before)
        people.replaced(db, after.enrolment_id, None)
    else:
        said = people.said(db, before.enrolment_id)
        people.replaced(db, before.enrolment_id, now)
        people.enrol(db, [(after, due)])
        people.remember(db, [(after.enrolment_id, said)])
    people.change(db, [(after, due)])


def _note(
    db: Connection,
    changes: Sequence[Change],
    now: datetime,
    by: str,
    batch: str | None,
    *,
    final: bool,
) -> None:
    """The audit's lines, and what was before, as far as that is to be kept."""
    if not changes:
        return
    if taken := [{"b_id": change.undoes} for change in changes if change.undoes]:
        db.execute(delete(undo).where(undo.c.audit_id == bindparam("b_id")), taken)
    lines = [
        {
            "at": now,
            "action": change.action,
            "enrolment_id": change.person.enrolment_id,
            "batch": batch,
            "words": change.words,
            **whence(by),
        }
        for change in changes
    ]
    query = insert(audit).returning(audit.c.id, sort_by_parameter_order=True)
    ids = db.scalars(query, lines).all()
    if final:
        return
    kept = [
        {"audit_id": number, "before": _before(change)}
        for number, change in zip(ids, changes, strict=True)
        if change.undoes is None
    ]
    if kept:
        db.execute(insert(undo), kept)


def _before(change: Change) -> dict[str, Any] | None:
    if change.before is None:
        return None
    whole = AS_JSON.dump_python(change.before, mode="json")
    return {name: whole[name] for name in change.fields}


def _told(name: str, before: Person, after: Person) -> str:
    if name == "at_once":
        return "the next letter goes at once" if after.at_once else "the next letter keeps its date"
    if name in UNSPOKEN:
        return f"{name} changed"
    return f"{name}: {shown(getattr(before, name))} → {shown(getattr(after, name))}"


def shown(value: Any) -> str:
    """A value as staff read it: `Mon 30 Nov 2026`, `18:15`, `8 Dec 2026 to 22 Dec 2026`, `none`."""
    match value:
        case None | ():
            return "none"
        case date():
            return dated(value)
        case time(hour=_):
            return f"{value:%H:%M}"
        case Hold():
            until = shown(value.until) if value.until else "further notice"
            return f"{shown(value.first)} until {until}"
        case tuple():
            return ", ".join(shown(each) for each in value)
    return str(value)
