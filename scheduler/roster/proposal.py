"""What a change would do to somebody's letters: old dates beside new ones, and that in a sentence.

A proposal's mark is what a page was made from: when somebody is changed, or a letter goes, between
the look and the word to do it, the mark differs.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sqlalchemy import Connection

from scheduler.ledger import deliveries
from scheduler.ledger.changes import AS_JSON, Change, shown
from scheduler.ledger.planner import Planner
from scheduler.plan.reasons import count, days
from scheduler.plan.rules import PlannedLetter

GOING = ("planned", "held")


@dataclass(frozen=True)
class Row:
    """One lesson of a proposal: as it was, as it becomes, and what is new about its date."""

    lesson: str
    was: PlannedLetter | None
    becomes: PlannedLetter | None

    @property
    def moves(self) -> bool:
        """Whether it comes at another time than it would, or not any more, or after all."""
        was, becomes = (
            (each.state, each.utc) if each and each.state in GOING else None
            for each in (self.was, self.becomes)
        )
        return was != becomes

    @property
    def days(self) -> int | None:
        """By how many days it moves, where it has a day before and after."""
        was, becomes = self.was and self.was.local, self.becomes and self.becomes.local
        return (becomes.date() - was.date()).days if was and becomes else None

    @property
    def why(self) -> str:
        """The reasons that are new."""
        known = self.was.reasons if self.was else ()
        reasons = self.becomes.reasons if self.becomes else ()
        return "; ".join(r for r in reasons if r not in known and not r.startswith("own date"))


@dataclass(frozen=True)
class Proposal:
    """A change, with the person's letters before and after it."""

    change: Change
    before: list[PlannedLetter]
    after: list[PlannedLetter]

    @property
    def moves(self) -> bool:
        """Whether a date changes or the course ends."""
        return [each.utc for each in self.before] != [each.utc for each in self.after]

    @cached_property
    def all_rows(self) -> list[Row]:
        """Every lesson, in the course's order."""
        old = {letter.lesson: letter for letter in self.before}
        new = {letter.lesson: letter for letter in self.after}
        return [Row(slug, old.get(slug), new.get(slug)) for slug in old | new]

    @cached_property
    def rows(self) -> list[Row]:
        """The lessons that have not gone."""
        known = self.all_rows
        return [row for row in known if row.moves or (row.becomes and row.becomes.state != "sent")]

    @cached_property
    def mark(self) -> str:
        """What a page was made from."""
        change = self.change
        whole = AS_JSON.dump_json(change.before) if change.before else b""
        dates = [(each.lesson, each.state, each.utc) for each in self.after]
        return hashlib.sha256(whole + repr((change.action, dates)).encode()).hexdigest()[:32]

    @cached_property
    def words(self) -> str:
        """`6 letters move 14 days later. The next comes Tue 22 Dec 2026 09:30.`"""
        told = [*self._moving(), *self._leaving()] or ["No letter’s date changes"]
        coming = [each.local for each in self.after if each.state == "planned" and each.local]
        if coming:
            first, last = coming[0], coming[-1]
            ends = f"; the last comes {shown(last.date())}" if len(coming) > 1 else ""
            told.append(f"The next comes {shown(first.date())} {first:%H:%M}{ends}")
        return ". ".join(told) + "."

    def _moving(self) -> list[str]:
        moves = [row.days for row in self.rows if row.moves and row.days is not None]
        if not moves:
            return []
        told, by = count(len(moves), "letter moves", "letters move"), moves[0]
        if len(set(moves)) > 1:
            return [told]
        if by:
            return [f"{told} {days(abs(by))} {'later' if by > 0 else 'earlier'}"]
        more = "letters keep their days and come at another time"
        return [count(len(moves), "letter comes at another time", more)]

    def _leaving(self) -> list[str]:
        dateless = [row for row in self.rows if row.moves and row.days is None]
        waits = sum(bool(row.becomes and row.becomes.state == "held") for row in dateless)
        comes = sum(bool(row.becomes and row.becomes.local) for row in dateless)
        rest = len(dateless) - waits - comes
        told = [
            (waits, "letter waits, with no date", "letters wait, with no date"),
            (comes, "letter gets a date", "letters get a date"),
            (rest, "letter does not go any more", "letters do not go any more"),
        ]
        return [count(*each) for each in told if each[0]]


def proposed(
    db: Connection, todo: Sequence[Change], planner: Planner, now: datetime
) -> list[Proposal]:
    """What changes of people who stay would do to their dates."""
    gone = deliveries.sent(db, [each.person.enrolment_id for each in todo])
    found = []
    for change in [each.kept(planner, gone, now) for each in todo]:
        plans = [
            planner.plan(each, gone.get(each.enrolment_id, {}), now) if each else []
            for each in (change.before, change.after)
        ]
        found.append(Proposal(change, *plans))
    return found
