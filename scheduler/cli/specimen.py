"""The letters as somebody gets them, to look at and to check; nothing is sent."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from scheduler.cli.desk import Desk
from scheduler.delivery.round import merge_values
from scheduler.ledger.people import Person
from scheduler.letters.fill import Envelope, fill, on_screen
from scheduler.letters.mime import serialise
from scheduler.material.lessons import Lesson
from scheduler.web.samples import SAMPLES

SOMEBODY, WITH_A_NOTE = SAMPLES["sam"].person, SAMPLES["note"].person


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
        following = desk.planner.coming(person, gone, now)
        values = merge_values(person, following, desk.keys, desk.material.clinic.name)
        letter = fill(edition, values)
        yield Specimen(
            name=lesson.slug,
            html=on_screen(letter.html, edition.logo),
            text=letter.text,
            octets=serialise(edition, Envelope(lesson.slug, person.email, now, values)),
            mjml=desk.press.source(lesson.slug, noted=noted),
        )
