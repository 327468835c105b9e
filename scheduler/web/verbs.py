"""The verbs of tailoring as forms: what each asks for, and in a sentence what it would do.

1. offered() says which verbs make sense for somebody.
2. READ turns a form into the verb, or says which field is wrong.
3. What it would do to the dates is a Proposal (see roster/proposal.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

from scheduler import tailoring
from scheduler.findings import wrong
from scheduler.ledger.people import Person
from scheduler.material.fields import clean
from scheduler.material.lessons import Course
from scheduler.plan.rules import PlannedLetter
from scheduler.roster.proposal import GOING
from scheduler.web.forms import address_of, agreed_of, clock_of, day_of, name_of, style_of

VERBS = {
    "start": ("Move the start", "Move the start"),
    "hold": ("Hold", "Hold the letters"),
    "resume": ("Resume", "Resume the letters"),
    "skip": ("Skip a lesson", "Leave it out"),
    "keep": ("Send a skipped lesson", "Send it after all"),
    "now": ("Send the next letter now", "Send it now"),
    "pace": ("Pace", "Set this pace"),
    "at": ("Time of day", "Set this time"),
    "style": ("Large print, plain text", "Set this"),
    "note": ("Note", "Keep this note"),
    "appointment": ("Move the appointment", "Move the appointment"),
    "correct": ("Name or address", "Write it down"),
    "end": ("End the course", "End the course"),
    "reenrol": ("Begin a second course", "Begin it"),
    "undo": ("Undo", "Take it back"),
}
"""What stands on the way to a verb, and on the button that does it."""


def offered(person: Person, letters: Sequence[PlannedLetter], today: date) -> list[str]:
    """The verbs that make sense, in the order of VERBS; undo is asked about elsewhere."""
    if person.status != "active":
        return ["correct", "reenrol"] if person.status == "bounced" else ["reenrol"]
    left = any(letter.state in GOING for letter in letters)
    sense = {
        "resume": bool(person.holds(today)),
        "now": any(letter.state == "planned" for letter in letters),
        "skip": left,
        "keep": bool(person.skip),
        "reenrol": False,
        "undo": False,
    }
    return [name for name in VERBS if sense.get(name, True)]


@dataclass(frozen=True)
class Form:
    """What was filled in, and what a verb needs beside it."""

    fields: Mapping[str, str]
    course: Course
    today: date
    now: datetime

    @property
    def moment(self) -> datetime:
        """When the page was made that this form stood on (UTC), or now."""
        try:
            made = datetime.fromisoformat(self.fields.get("shown", ""))
        except ValueError:
            return self.now
        return min(made, self.now) if made.tzinfo else self.now

    def words(self, field: str) -> str:
        """One line of text, or nothing."""
        return clean(self.fields.get(field, ""))

    def day(self, field: str) -> date:
        """The date in a field; WrongInput without one."""
        return day_of(self.fields, field)

    def days(self) -> int | None:
        """The days between letters, or None to go back to the course's."""
        number = self.words("days")
        if number and not number.isdecimal():
            raise wrong("days", None, f'"{number}" is no number of days', "write one, as in 10")
        return int(number) if number else None

    def ending(self) -> tailoring.Ending:
        """Why a course ends."""
        for each in tailoring.ENDINGS:
            if each == self.fields.get("ending"):
                return each
        raise wrong("ending", None, "say why it ends")


READ: dict[str, Callable[[Form], tailoring.Verb]] = {
    "start": lambda form: partial(tailoring.move, start=form.day("start")),
    "appointment": lambda form: partial(tailoring.move, appointment=form.day("appointment")),
    "hold": lambda form: partial(
        tailoring.hold,
        first=form.day("first") if form.words("first") else form.today,
        until=form.day("until") if form.words("until") else None,
        reason=form.words("reason"),
        today=form.today,
    ),
    "resume": lambda form: partial(tailoring.resume, today=form.today),
    "skip": lambda form: partial(tailoring.skip, lesson=form.words("lesson"), course=form.course),
    "keep": lambda form: partial(tailoring.keep, lesson=form.words("lesson"), course=form.course),
    "pace": lambda form: partial(tailoring.pace, days=form.days()),
    "at": lambda form: partial(tailoring.at, clock=clock_of(form.fields, "clock")),
    "now": lambda form: partial(tailoring.at_once, asked_at=form.moment, today=form.today),
    "style": lambda form: partial(tailoring.style, kind=style_of(form.fields)),
    "note": lambda form: partial(tailoring.note, words=form.words("words") or None),
    "correct": lambda form: partial(
        tailoring.correct,
        name=name_of(form.fields),
        email=address_of(form.fields),
        physiotherapist=form.words("physiotherapist"),
    ),
    "end": lambda form: partial(tailoring.end, ending=form.ending()),
    "reenrol": lambda form: partial(
        tailoring.reenrol,
        appointment=form.day("appointment"),
        consent=agreed_of(form.fields, form.today),
        now=form.now,
    ),
}
"""How each form is read; WrongInput names the field that cannot be used."""
