"""A person's way through the course, as far as the plan needs it. No name, no address."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Literal
from zoneinfo import ZoneInfo

Status = Literal[
    "active", "finished", "stopped", "discharged", "died", "bounced", "complained", "erased"
]


@dataclass(frozen=True)
class Hold:
    """Nothing goes from `first` until the day before `until`; open-ended without `until` (P6)."""

    first: date
    until: date | None = None
    reason: str = ""

    def covers(self, day: date) -> bool:
        """Whether a local date falls inside."""
        return self.first <= day and (self.until is None or day < self.until)


@dataclass(frozen=True)
class Enrolment:
    """One subscriber's enrolment with its tailoring; dates are the subscriber's local dates.

    `anchor` is a letter's place and its own date, from which a change of pace half way counts.
    `owed` are lessons that an edit of the course put before the last one sent, though the person
    had not had them yet: they still go (P12). `at_once` is when (UTC) staff asked that the letter
    after those sent goes at once, whatever its date.
    """

    first_appointment: date
    enrolled_at: datetime
    send_at: time
    zone: ZoneInfo
    pace: int
    start: date | None = None
    holds: tuple[Hold, ...] = ()
    skips: frozenset[str] = frozenset()
    owed: frozenset[str] = frozenset()
    anchor: tuple[int, date] | None = None
    at_once: datetime | None = None
    status: Status = "active"


Sent = Mapping[str, datetime]
"""The lessons that must not go again, in the order they went, each with the UTC instant that was
promised: what counts for the distance to the next is the day that the plan gave it."""
