"""The plan of a person in the database: every next due date comes from here (D1, P14)."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import cached_property, lru_cache
from importlib.metadata import version
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from scheduler.ledger import claims, deliveries, facts, people
from scheduler.ledger.database import Database
from scheduler.ledger.outline import Outline, owed, rename, renames
from scheduler.ledger.people import Person
from scheduler.material import Material
from scheduler.material.signoff import Standing, barred
from scheduler.plan.calendar import DAY, Calendar, calendar_of, first_slot, instant
from scheduler.plan.enrolment import Enrolment, Sent
from scheduler.plan.rules import GRACE, PlannedLetter, State, coming, whole

PLANS = 1000  # kept, some 8 KB each
NEXT_TWO = 2  # letters: the one that goes, and the one that it announces


class Planner:
    """plan() with the course and the clinic's calendar filled in.

    Those who began on the same day and were not tailored have the same plan, worked out once.
    """

    def __init__(self, material: Material) -> None:
        """Take the material; the calendar follows from it."""
        self.material = material
        self._coming = lru_cache(PLANS)(self._work_out)
        self._barred: dict[date, dict[str, tuple[Standing, ...]]] = {}

    @cached_property
    def calendar(self) -> Calendar:
        """The clinic's open days."""
        return calendar_of(self.material.clinic, self.material.country)

    def barred(self, today: date) -> dict[str, tuple[Standing, ...]]:
        """The lessons that must not go to a patient on a day, with what stands in their way."""
        if today not in self._barred:
            self._barred = {today: barred(self.material, today)}
        return self._barred[today]

    def plan(self, person: Person, sent: Sent, now: datetime) -> list[PlannedLetter]:
        """Give every letter of a person (see plan/rules.py)."""
        ahead = self.ahead(person, sent, now)
        return whole(self.material.course, person.way(self.material), sent, ahead)

    def ahead(
        self, person: Person, sent: Sent, now: datetime, most: int | None = None
    ) -> Sequence[PlannedLetter]:
        """The letters to come, planned or held; all of them, or so many."""
        way = person.way(self.material)
        slot = first_slot(now - GRACE, way.send_at, way.zone)
        return self._coming(way, (*sent.items(),), slot, most)

    def _work_out(
        self, way: Enrolment, sent: Sequence[tuple[str, datetime]], slot: date, most: int | None
    ) -> tuple[PlannedLetter, ...]:
        """All that the plan asks of the clock is which day's send time is the next to come."""
        now = instant(slot, way.send_at, way.zone) + GRACE
        ahead = coming(self.material.course, way, self.calendar, dict(sent), now)
        return tuple(islice(ahead, most))

    def coming(self, person: Person, sent: Sent, now: datetime) -> PlannedLetter | None:
        """The letter that comes next."""
        return next(iter(self.ahead(person, sent, now, NEXT_TWO)), None)

    def next_due(self, person: Person, sent: Sent, now: datetime) -> datetime | None:
        """The instant (UTC) at which a round must look at this person again."""
        letter = self.coming(person, sent, now)
        return letter.utc if letter else None

    def keep_distance(
        self,
        was: Person,
        becomes: Person,
        sent: Sent,
        now: datetime,
        *,
        before: "Planner | None" = None,
    ) -> Person:
        """The same with an anchor, so that a change of pace counts from the last letter on.

        `before` planned until now, where the course itself has changed its pace. By P2 alone the
        sixth letter at 14 days stands where six letters at 14 days would have led: a change half
        way would leave a hole, or bunch what is left. An anchor moves with the start.
        """
        first = before or self
        old, new = was.way(first.material), becomes.way(self.material)
        begins = (new.start or new.first_appointment) - (old.start or old.first_appointment)
        anchor = (was.anchor[0], was.anchor[1] + begins) if was.anchor else None
        letter = first.coming(was, sent, now) if sent and new.pace != old.pace else None
        if letter and letter.own:
            anchor = len(sent), letter.own + (new.pace - old.pace) * DAY + begins
        return replace(becomes, anchor=anchor)

    def timelines(self, db: Connection, now: datetime) -> list[tuple[Person, list[PlannedLetter]]]:
        """Everybody with their letters, those that went with what became of them."""
        everyone = people.everyone(db)
        gone = deliveries.sent(db)
        became = {(row["enrolment_id"], row["lesson"]): row for row in deliveries.history(db)}
        return [
            (
                person,
                [
                    _with_outcome(letter, became.get((person.enrolment_id, letter.lesson)))
                    for letter in self.plan(person, gone.get(person.enrolment_id, {}), now)
                ],
            )
            for person in everyone
        ]

    def finish(self, db: Connection, enrolments: Collection[str], now: datetime) -> None:
        """Mark the courses in which nothing is left to come, held letters included (P11)."""
        if not (ended := claims.without_next(db, enrolments)):
            return
        gone = deliveries.sent(db, [person.enrolment_id for person in ended])
        people.finish(
            db,
            [
                person.enrolment_id
                for person in ended
                if all(
                    letter.state != "held"
                    for letter in self.plan(person, gone[person.enrolment_id], now)
                )
            ],
        )

    def refresh(self, database: Database, now: datetime) -> None:
        """Plan everybody anew if what all plans rest on has changed since they were made (D1).

        Raises:
            WrongInput: the course was edited in a way that can be read in two ways.

        """
        with database.read() as db:
            if facts.get(db, "planned_with") == self.fingerprint:
                return
        course = self.material.course
        with database.write() as db:
            inside = [each for each in people.everyone(db) if each.status == "active"]
            old = Outline.last(db) or Outline.of(course)
            if inside and (became := renames(old, course)):
                rename(db, became)
                old = old.renamed(became)
                inside = [each for each in people.everyone(db) if each.status == "active"]
            gone = deliveries.sent(db)
            before = self.earlier(old)
            rows = []
            for each in inside:
                sent = gone.get(each.enrolment_id, {})
                person = replace(each, owed=owed(each, sent, old, course))
                person = self.keep_distance(each, person, sent, now, before=before)
                rows.append((person, self.next_due(person, sent, now)))
            people.change(db, rows)
            Outline.of(course).keep(db)
            facts.put(db, "planned_with", self.fingerprint)

    def earlier(self, outline: Outline) -> "Planner":
        """The planner of the course as it was."""
        course = outline.course(self.material.course)
        return Planner(replace(self.material, course=course))

    @cached_property
    def fingerprint(self) -> str:
        """What all plans rest on: the course's order and pace, the clinic's calendar, the zones."""
        course, clinic = self.material.course, self.material.clinic
        rests_on = (
            *(course.begins_after, course.pace, course.min_gap, *course.by_slug),
            *(clinic.open, clinic.closed, clinic.send_at, clinic.timezone, clinic.subdivision),
            *(self.material.country.holidays, version("holidays"), version("tzdata")),
        )
        return hashlib.sha256(repr(rests_on).encode()).hexdigest()


WORDS: dict[str, State] = {
    "claimed": "sending",
    "accepted": "sent",
    "unknown": "undecided",
    "refused": "refused",
}


def _with_outcome(letter: PlannedLetter, row: Mapping[str, Any] | None) -> PlannedLetter:
    """A letter that is out of the plan's hands, with its delivery's state and reasons."""
    if row is None:
        return letter
    if letter.state == "passed":
        said = f"{row['outcome'] or 'it was not taken'}; a later letter has gone since"
        at = row["planned_for"]
        return replace(letter, state="refused", utc=at, local=at, reasons=(said,), outcome=said)
    if letter.state != "sent":
        return replace(letter, outcome=row["outcome"])
    why = (*row["reasons"], *filter(None, [row["outcome"]]))
    utc = row["claimed_at"]
    local = utc.astimezone(letter.local.tzinfo) if letter.local else None
    return replace(
        letter, state=WORDS[row["state"]], utc=utc, local=local, reasons=why, outcome=row["outcome"]
    )
