"""After a restore: whatever may have gone since the backup was made waits for a person.

Nobody knows what the service did between the backup (`made`) and its end (`until`); the letters of
that time are in no row. So that none goes twice and none is lost without a word:

1. Plan everybody as they stood at the backup. Each letter whose time came until the end may have
   gone: it becomes a delivery in doubt. (It may have gone later than planned, never earlier.)
2. So does each letter that was under way, put off or in doubt at the backup.
3. The channel cannot be asked about them: it knows them under ids that are lost, or by another day.
   Events that it still sends settle those that they can; of the others staff say what became of
   them, as of any letter in doubt.
4. What was changed after the backup is lost, and will be done again: by staff, by the roster file.
   Letters of somebody who is enrolled or changed, which would have come in that time if it had been
   done at its beginning, are in doubt too.

A hold that is ended today leaves no such trace. Whoever ended one in that time has to look first.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from itertools import takewhile
from typing import Any, Self

from sqlalchemy import Connection, and_, select, update

from scheduler.ledger import deliveries, facts, people
from scheduler.ledger.bulk import named, put
from scheduler.ledger.outline import Outline
from scheduler.ledger.people import Person, new_id
from scheduler.ledger.planner import Planner
from scheduler.ledger.tables import delivery, edition, enrolment, insert_new
from scheduler.letters.editions import Edition
from scheduler.plan.calendar import instant
from scheduler.plan.enrolment import Sent
from scheduler.plan.rules import PlannedLetter

FACT = "restored"
WORDS = "the ledger was restored from a backup, and this may have gone since it was made"
LOST = Edition("", "", "", "", "", "", "", "")  # stands for what nobody knows the words of
NEVER = datetime(9999, 12, 31, tzinfo=UTC)  # when the channel is asked again
LOST_IDS = and_(delivery.c.state == "unknown", delivery.c.looked_at == NEVER)
FENCE = 1000  # so much higher than any that was given since the backup


@dataclass(frozen=True)
class Gap:
    """The time of which nothing is known: after `made`, up to and with `until` (UTC)."""

    made: datetime
    until: datetime

    @classmethod
    def last(cls, db: Connection) -> Self | None:
        """The newest one, or None if this ledger was never restored."""
        kept = facts.get(db, FACT)
        return cls(*map(datetime.fromisoformat, json.loads(kept))) if kept else None

    def keep(self, db: Connection) -> None:
        """Remember it for those who are enrolled again."""
        facts.put(db, FACT, json.dumps([self.made.isoformat(), self.until.isoformat()]))


def hold_everybody(db: Connection, planner: Planner, gap: Gap, now: datetime) -> int:
    """Put in doubt what may have gone; how many letters wait for a person."""
    gap.keep(db)
    lost = {"state": "unknown", "outcome": WORDS, "looked_at": NEVER, "settled_at": now}
    pending = update(delivery).where(delivery.c.state.in_(("claimed", "unknown")))
    number = db.execute(pending.values(lost | {"fence": delivery.c.fence + FENCE})).rowcount
    before = planner.earlier(Outline.last(db) or Outline.of(planner.material.course))
    return number + _hold(db, before, people.everyone(db), gap, now)


def hold_touched(db: Connection, planner: Planner, some: Sequence[Person], now: datetime) -> None:
    """Put in doubt what may have gone to people who are enrolled, or changed, perhaps once more.

    Not what was in doubt already: of that a person has decided.
    """
    if not some or (gap := Gap.last(db)) is None:
        return
    theirs = named(db, delivery.c.enrolment_id, [each.enrolment_id for each in some])
    known = select(delivery.c.enrolment_id, delivery.c.lesson).where(theirs)
    _hold(db, planner, some, gap, now, but={(row[0], row[1]) for row in db.execute(known)})


def _hold(
    db: Connection,
    planner: Planner,
    some: Sequence[Person],
    gap: Gap,
    now: datetime,
    *,
    but: Collection[tuple[str, str]] = (),
) -> int:
    some = [each for each in some if each.status == "active"]
    gone = deliveries.sent(db, [each.enrolment_id for each in some])
    rows = [
        _row(person, letter, now)
        for person in some
        for letter in _may_have_gone(planner, person, gone.get(person.enrolment_id, {}), gap)
        if (person.enrolment_id, letter.lesson) not in but
    ]
    if not rows:
        return 0
    insert_new(db, edition, [{"hash": LOST.hash, "content": LOST.as_json()}])
    _write(db, rows)
    held = {row["enrolment_id"] for row in rows}
    gone = deliveries.sent(db, held)
    for person in some:
        if person.enrolment_id in held:
            due = planner.next_due(person, gone[person.enrolment_id], now)
            query = update(enrolment).where(enrolment.c.id == person.enrolment_id)
            db.execute(query.values(next_due_at=due))
    return len(rows)


def _may_have_gone(
    planner: Planner, person: Person, sent: Sent, gap: Gap
) -> Iterator[PlannedLetter]:
    """The letters whose time came in the gap, for all that was known when it began."""
    zone = planner.material.clinic.timezone
    agreed = instant(person.consent, time(0), zone)
    known = person.enrolled_at <= gap.made
    begun = person.enrolled_at if known else min(person.enrolled_at, max(gap.made, agreed))
    if begun > gap.until:
        return iter(())
    letters = planner.ahead(replace(person, enrolled_at=begun), sent, max(gap.made, begun))
    return takewhile(lambda letter: letter.utc is not None and letter.utc <= gap.until, letters)


def _row(person: Person, letter: PlannedLetter, now: datetime) -> dict[str, Any]:
    return {
        "id": new_id(),
        "enrolment_id": person.enrolment_id,
        "lesson": letter.lesson,
        "state": "unknown",
        "edition": LOST.hash,
        "merge": {},
        "address": person.email,
        "reasons": list(letter.reasons),
        "planned_for": letter.utc,
        "claimed_at": letter.utc,
        "lease_until": letter.utc,
        "fence": 1,
        "tries": 0,
        "settled_at": now,
        "outcome": WORDS,
        "looks": 0,
        "looked_at": NEVER,
    }


def _write(db: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """New deliveries, or in place of those that were put off before."""
    ids = {row["enrolment_id"] for row in rows}
    query = select(delivery).where(named(db, delivery.c.enrolment_id, ids))
    deferred = db.execute(query.where(delivery.c.state == "deferred"))
    before = {(row.enrolment_id, row.lesson): row for row in deferred}
    for row in rows:
        if earlier := before.get((row["enrolment_id"], row["lesson"])):
            fence = {"fence": earlier.fence + FENCE, "tries": earlier.tries}
            same = delivery.c.id == earlier.id
            db.execute(update(delivery).where(same).values(row | fence | {"id": earlier.id}))
    fresh = [row for row in rows if (row["enrolment_id"], row["lesson"]) not in before]
    put(db, delivery, fresh)
