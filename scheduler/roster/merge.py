"""From the file to the database: a three-way merge, all or nothing.

1. Find each entry's person: by id, else by address.
2. Nobody: a new person with a new enrolment.
3. Somebody: for each field, what the file last said (base), says now (file), and what the database
   has (theirs). The file has not changed it: theirs stays, so that an old line does not undo what a
   physiotherapist did since. Theirs has not changed: the file's goes in. Both have, differently: a
   conflict, and nothing is applied.
4. Write everybody in one transaction, with the dates that follow (D1). Nobody is ever removed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from scheduler.findings import Finding, WrongInput
from scheduler.ledger import deliveries, people
from scheduler.ledger.people import Person, new_id
from scheduler.ledger.planner import Planner
from scheduler.roster.entries import TAILORING, Entry, Roster


@dataclass(frozen=True)
class Merge:
    """What applying the file would do."""

    new: list[tuple[Person, Entry]] = field(default_factory=list)
    changed: list[tuple[Person, Entry, tuple[str, ...]]] = field(default_factory=list)
    same: list[Person] = field(default_factory=list)
    reworded: list[tuple[Person, Entry]] = field(default_factory=list)


def merge(db: Connection, roster: Roster, now: datetime) -> Merge:
    """Hold the file against the database; nothing is written.

    Raises:
        WrongInput: a conflict, or an entry that fits two people.

    """
    bases = people.applied(db)
    known = _Known(people.everyone(db), bases)
    result = Merge()
    faults: list[Finding] = []
    for number, entry in enumerate(roster.entries):
        mine = known.matches(entry)
        if len(mine) > 1:
            words, cure = "email belongs to several people", "give this entry the person's id"
            faults.append(roster.finding(number, "email", words, cure))
        elif not mine:
            result.new.append((new_person(entry, now), entry))
        else:
            base = Entry.model_validate(bases[mine[0].id])
            updates, conflicts = _three_way(base, entry, mine[0])
            faults += [_conflict(roster, number, name, conflicts[name]) for name in conflicts]
            if updates:
                person = replace(mine[0], **updates)
                result.changed.append((person, entry, tuple(updates)))
            else:
                result.same.append(mine[0])
                if entry != base:  # the database has it already; next time this is the base
                    result.reworded.append((mine[0], entry))
    if faults:
        raise WrongInput(*faults)
    return result


def apply(db: Connection, changes: Merge, planner: Planner, now: datetime) -> None:
    """Write a merge, within the caller's transaction."""
    for person, entry in changes.new:
        people.add(db, person, entry.stored(), planner.next_due(person, {}, now))
    gone = deliveries.sent(db, [person.enrolment_id for person, _, _ in changes.changed])
    for person, entry, _ in changes.changed:
        due = planner.next_due(person, gone.get(person.enrolment_id, {}), now)
        people.change(db, person, entry.stored(), due)
    for person, entry in changes.reworded:
        people.remember(db, person, entry.stored())


def new_person(entry: Entry, now: datetime) -> Person:
    """Somebody who is enrolled at `now` (UTC)."""
    return Person(
        id=entry.id or new_id()[:12],
        enrolled_at=now,
        enrolment_id=new_id(),
        stop_token=new_id(),
        **entry.tailoring(),
    )


class _Known:
    """Who is enrolled: by id, the one that the file last gave included, and by address."""

    def __init__(self, everyone: list[Person], bases: Mapping[str, Mapping[str, Any]]) -> None:
        self.named = {person.id for person in everyone if bases[person.id].get("id")}
        self.by_id = {bases[person.id].get("id"): person for person in everyone}
        self.by_id |= {person.id: person for person in everyone}
        self.by_home: dict[str, list[Person]] = {}
        for person in everyone:
            self.by_home.setdefault(person.email.casefold(), []).append(person)

    def matches(self, entry: Entry) -> list[Person]:
        """By id; else by address, unless the file tells the two apart by their ids."""
        if entry.id in self.by_id and entry.id:
            return [self.by_id[entry.id]]
        home = self.by_home.get(entry.email.casefold(), [])
        return [person for person in home if not (entry.id and person.id in self.named)]


def _three_way(base: Entry, file: Entry, theirs: Person) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields to write, and what the database has in the fields that both sides changed."""
    was, says = base.tailoring(), file.tailoring()
    updates, conflicts = {}, {}
    for name in TAILORING:
        has = getattr(theirs, name)
        if says[name] in (was[name], has):
            continue
        if has == was[name]:
            updates[name] = says[name]
        else:
            conflicts[name] = has
    return updates, conflicts


def _conflict(roster: Roster, number: int, name: str, has: Any) -> Finding:
    now = f" to {has}" if isinstance(has, date | int) else ""
    words = f"{name} was changed{now} since this file was last applied, and the file changes it too"
    cure = "write here what it is now, apply the file, and change it after that"
    return roster.finding(number, name, words, cure)
