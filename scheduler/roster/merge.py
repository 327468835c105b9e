"""From a file to the database: a three-way merge, all or nothing.

1. Find each entry's person: by id, else by address.
2. Nobody: a new person with a new enrolment.
3. Somebody: for each field, what the file last said (base), says now (file), and what the database
   has (theirs). The file has not changed it: theirs stays, so that an old line does not undo what a
   physiotherapist did since. Theirs has not changed: the file's goes in. Both have, differently: a
   conflict. A file that does not speak about a field leaves it alone.
4. Write everybody in one transaction, with the dates that follow (D1). Nobody is ever removed.

A file that would move or end more than a fifth of the roster waits for a person's word: a wrong
column must not reach patients.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Protocol

from sqlalchemy import Connection

from scheduler.findings import Finding, NotDone, WrongInput
from scheduler.keys import Keys
from scheduler.ledger import changes, people
from scheduler.ledger.changes import Change
from scheduler.ledger.people import Person, new_id
from scheduler.ledger.planner import Planner
from scheduler.ledger.suppressions import among
from scheduler.roster.entries import TAILORING, Entry, entry_of
from scheduler.roster.proposal import Proposal

REFUSED = "email is on the list of those not to be written to ({why})"
ASK = "ask the person, then physiopost allow ADDRESS"
CURES = {"erased": f"take this entry out; if they want letters again after all, {ASK}"}
MANY = 5  # one in so many
BY = "roster file"  # who, where a file was applied without anybody
PART = 2000  # people written at once


class Listing(Protocol):
    """People as a file has them: the entries, and the fields that the file speaks about."""

    @property
    def entries(self) -> Sequence[Entry]: ...
    @property
    def says(self) -> frozenset[str]: ...
    def finding(self, number: int, field: str, words: str, cure: str) -> Finding:
        """A fault of an entry, with the line it stands on."""


class TooMany(NotDone):
    """A file would move or end the courses of too many."""


@dataclass(frozen=True)
class Merge:
    """What applying the file would do.

    `said` is what it says of each person of whom that is new. `refused` are the entries of people
    who must not be written to; `conflicts` those that the database has something else to say of.
    """

    new: list[Change] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    same: list[Person] = field(default_factory=list)
    said: dict[str, Entry] = field(default_factory=dict)
    refused: list[Finding] = field(default_factory=list)
    conflicts: list[Finding] = field(default_factory=list)
    roster: int = 0  # how many active people there were before


def merge(db: Connection, listing: Listing, keys: Keys, now: datetime) -> Merge:
    """Hold the file against the database; nothing is written."""
    bases = people.applied(db)
    known = _Known(people.everyone(db), bases)
    left_alone = among(db, keys, [entry.email for entry in listing.entries])
    result = Merge(roster=known.active)
    for number, entry in enumerate(listing.entries):
        mine = known.matches(entry)
        if len(mine) > 1:
            words, cure = "email belongs to several people", "give this entry the person's id"
            result.conflicts.append(listing.finding(number, "email", words, cure))
        elif not mine:
            if why := left_alone.get(entry.email):
                words, cure = REFUSED.format(why=why), CURES.get(why, ASK)
                result.refused.append(listing.finding(number, "email", words, cure))
                continue
            person = new_person(entry, now)
            result.new.append(Change("enrol", None, person))
            result.said[person.enrolment_id] = entry
        else:
            theirs, stored = mine[0], bases[mine[0].id]
            base = Entry.model_validate(stored) if stored else entry_of(theirs)
            says = entry if listing.says >= _ALL else _only(base, entry, listing.says)
            updates, conflicts = _three_way(base, says, theirs)
            if conflicts:
                told = (_conflict(listing, number, name, has) for name, has in conflicts.items())
                result.conflicts.extend(told)
                continue
            if updates:
                result.changed.append(Change("roster", theirs, replace(theirs, **updates)))
            else:
                result.same.append(theirs)
            if says != base:  # if the database has it already, this is the base next time
                result.said[theirs.enrolment_id] = says
    return result


def all_or_nothing(merged: Merge) -> None:
    """A roster file goes in whole: WrongInput if some of its entries must not go in."""
    if faults := (*merged.conflicts, *merged.refused):
        raise WrongInput(*faults)


def apply(
    db: Connection,
    merged: Merge,
    planner: Planner,
    now: datetime,
    by: str = BY,
    *,
    batch: str | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> None:
    """Write a merge, within the caller's transaction, a part at a time: rows take room."""
    todo = [*merged.new, *merged.changed]
    for place in range(0, len(todo), PART):
        part = todo[place : place + PART]
        changes.write(db, planner, part, now, by, batch=batch)
        progress(len(part))
    said = list(merged.said.items())
    for place in range(0, len(said), PART):
        part_said = said[place : place + PART]
        people.remember(db, [(who, entry.stored()) for who, entry in part_said])


def hold_back(merged: Merge, moves: Sequence[Proposal]) -> None:
    """Stop a file that changes the dates of too many.

    Raises:
        TooMany: more than a fifth of the roster, and more than one person.

    """
    many = sum(each.moves for each in moves)
    if many > 1 and many * MANY > merged.roster:
        raise TooMany(
            f"this would move or end the courses of {many} of {merged.roster} people, more than a "
            "fifth, so nothing was applied; look at the dates, and if they are right, type the "
            "same again with --yes-many"
        )


def new_person(entry: Entry, now: datetime) -> Person:
    """Somebody who is enrolled at `now` (UTC)."""
    who = entry.id or new_id()[-12:]
    return Person(id=who, enrolled_at=now, enrolment_id=new_id(), **entry.tailoring())


class _Known:
    """Who is enrolled: by id and by address, those that the file last gave included."""

    def __init__(self, everyone: list[Person], bases: Mapping[str, Mapping[str, Any]]) -> None:
        self.active = sum(person.status == "active" for person in everyone)
        self.named = {person.id for person in everyone if bases[person.id].get("id")}
        self.by_id = {bases[person.id].get("id"): person for person in everyone}
        self.by_id |= {person.id: person for person in everyone}
        self.by_home: dict[str, list[Person]] = {}
        for person in everyone:
            homes = person.email, bases[person.id].get("email", person.email)
            for home in {each.casefold() for each in homes}:
                self.by_home.setdefault(home, []).append(person)

    def matches(self, entry: Entry) -> list[Person]:
        """By id; else by address, unless the file tells the two apart by their ids and names.

        A couple may share an address; the same name there is the same person under another id,
        as after a change of the practice system.
        """
        if entry.id in self.by_id and entry.id:
            return [self.by_id[entry.id]]
        home = self.by_home.get(entry.email.casefold(), [])
        same = [person for person in home if person.name.casefold() == entry.name.casefold()]
        return same or [person for person in home if not (entry.id and person.id in self.named)]


_ALL = frozenset(TAILORING)


def _only(base: Entry, entry: Entry, says: frozenset[str]) -> Entry:
    """The base with what a file says that speaks about some fields only."""
    said = {name: getattr(entry, name) for name in says}
    return base.model_copy(update={"agreed_to": None} | said)


def _three_way(base: Entry, file: Entry, theirs: Person) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields to write, and what the database has in the fields that both sides changed."""
    was, says = base.tailoring(), file.tailoring()
    updates, conflicts = {}, {}
    for name in TAILORING:
        has = getattr(theirs, name)
        if says[name] in (was[name], has) or (name, says[name]) == ("agreed_to", None):
            continue
        if has == was[name]:
            updates[name] = says[name]
        else:
            conflicts[name] = has
    if "consent" in updates:
        updates["agreed_to"] = says["agreed_to"]
    return updates, conflicts


def _conflict(listing: Listing, number: int, name: str, has: Any) -> Finding:
    now = f" to {has}" if isinstance(has, date | int) else ""
    words = f"{name} was changed{now} since this file was last applied, and the file changes it too"
    cure = "write here what it is now, apply the file, and change it after that"
    return listing.finding(number, name, words, cure)
