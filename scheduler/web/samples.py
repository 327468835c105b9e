"""Invented patients, as whom whoever works on a letter looks at it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from scheduler.delivery.merge import merge_values
from scheduler.keys import Keys
from scheduler.ledger.people import Person
from scheduler.plan.rules import PlannedLetter, State

LATER = datetime(2026, 12, 22, 9, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Sample:
    """Somebody, and what comes after their letter: a planned one, a held one, or none."""

    label: str
    name: str = "Sam Reader"
    note: str = ""
    physiotherapist: str = ""
    coming: State | None = "planned"

    @property
    def person(self) -> Person:
        return Person(
            id="sample",
            email="sam@example.org",
            name=self.name,
            consent=date(2026, 11, 23),
            first_appointment=date(2026, 11, 23),
            enrolled_at=datetime(2026, 11, 23, 9, tzinfo=UTC),
            enrolment_id="sample",
            physiotherapist=self.physiotherapist or None,
            note=self.note or None,
        )

    def values(self, clinic: str) -> dict[str, str]:
        """The merge values, made as a round makes them."""
        day = LATER if self.coming == "planned" else None
        following = PlannedLetter("", 0, self.coming, day, day, ()) if self.coming else None
        keys = Keys(["a sample"], "https://example.org")
        return keys.proven(merge_values(self.person, following, keys, clinic))


SAMPLES = {
    "sam": Sample("Sam, without a note"),
    "note": Sample("Priya, with a note", "Priya Rao", "Well done on the stairs.", "Tom Ellis"),
    "held": Sample("Sam, the next letter held", coming="held"),
    "last": Sample("Sam, the course at its end", coming=None),
    "unbroken": Sample("A name of 64 letters", "Wolfeschlegel" * 4 + "steinhausenx"),
    "long": Sample(
        "Long names, a long note",
        "Maximiliana-Alexandra " * 15,
        "We talked about the stairs, the car and the garden, one after the other. " * 5,
        "Bartholomea Featherstonehaugh " * 10,
    ),
    "right": Sample("A name from right to left", "محمد عبد الله", "أحسنت! نراك 22", "נועה לוי"),
    "markup": Sample(
        "A name with markup",
        "<b>{{7*7}}</b>O'Neil&amp; Jr",
        "<script>alert(1)</script> {{ 7*7 }} zqfieldnoteqz",
        "<img src=x onerror=alert(2)>",
    ),
}
