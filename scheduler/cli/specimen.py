"""The letters as somebody gets them, to look at and to check; nothing is sent."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from scheduler.cli.desk import Desk
from scheduler.delivery.round import merge_values
from scheduler.ledger.people import Person
from scheduler.letters.fill import Envelope, fill
from scheduler.letters.mime import serialise
from scheduler.material.lessons import Lesson

SOMEBODY = Person(
    id="sample",
    email="sam@example.org",
    name="Sam Reader",
    consent=date(2026, 11, 23),
    first_appointment=date(2026, 11, 23),
    enrolled_at=datetime(2026, 11, 23, 9, tzinfo=UTC),
    enrolment_id="sample",
    stop_token="sample",  # noqa: S106 - opens nothing
)
WITH_A_NOTE = replace(
    SOMEBODY, note="Well done on the walking. We can talk about the stairs when we meet."
)


@dataclass(frozen=True)
class Specimen:
    """One lesson as one person gets it."""

    name: str
    html: str
    text: str
    octets: bytes
    mjml: str


def specimens(
    desk: Desk, person: Person, now: datetime, lessons: Sequence[Lesson] = ()
) -> Iterator[Specimen]:
    """The letters of some lessons, or of all, as if the person had just come to each."""
    course = desk.material.course
    for lesson in lessons or course.lessons:
        noted = bool(person.note)
        edition = desk.press.edition(lesson.slug, noted)
        gone = {each.slug: now for each in course.lessons[: lesson.week + 1]}
        after = desk.planner.plan(person, gone, now)
        values = merge_values(person, after, desk.settings.url, desk.material.clinic.name)
        letter = fill(edition, values)
        yield Specimen(
            name=lesson.slug,
            html=letter.html,
            text=letter.text,
            octets=serialise(edition, Envelope(lesson.slug, person.email, now, values)),
            mjml=desk.press.source(lesson.slug, noted=noted),
        )
