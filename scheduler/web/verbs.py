"""The verbs of tailoring as forms: what each asks for, and in a sentence what it would do.

1. offered() says which verbs make sense for somebody.
2. READ turns a form into the verb, or says which field is wrong.
3. What it would do to the dates is a Proposal (see roster/proposal.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import partial
from typing import get_args

from scheduler import tailoring
from scheduler.findings import Finding, NotDone, WrongInput, wrong
from scheduler.ledger.changes import shown
from scheduler.ledger.people import Person, Style
from scheduler.material.fields import clean, parse_date, parse_time
from scheduler.material.lessons import Course
from scheduler.material.yamlfile import Unusable
from scheduler.plan.rules import PlannedLetter
from scheduler.roster.proposal import GOING

VERBS = {
    "start": ("Move the start", "Move the start"),
    "hold": ("Hold", "Hold the letters"),
    "resume": ("Resume", "Resume the letters"),
    "skip": ("Skip a lesson", "Leave it out"),
    "keep": ("Send a skipped lesson", "Send it after all"),
    "pace": ("Pace", "Set this pace"),
    "at": ("Time of day", "Set this time"),
    "style": ("Large print, plain text", "Set this"),
    "note": ("Note", "Keep this note"),
    "appointment": ("Move the appointment", "Move the appointment"),
    "end": ("End the course", "End the course"),
    "reenrol": ("Begin a second course", "Begin it"),
    "undo": ("Undo", "Take it back"),
}
"""What stands on the way to a verb, and on the button that does it."""


def offered(person: Person, letters: Sequence[PlannedLetter], today: date) -> list[str]:
    """The verbs that make sense, in the order of VERBS; undo is asked about elsewhere."""
    if person.status != "active":
        return ["reenrol"]
    left = any(letter.state in GOING for letter in letters)
    sense = {
        "resume": any(hold.until is None or hold.until > today for hold in person.hold),
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

    def words(self, field: str) -> str:
        """One line of text, or nothing."""
        return clean(self.fields.get(field, ""))

    def day(self, field: str) -> date:
        """The date in a field; WrongInput without one."""
        return day_of(self.fields, field)

    def clock(self) -> time | None:
        """The time of day, or None to go back to the clinic's."""
        try:
            return parse_time(self.words("clock")) if self.words("clock") else None
        except Unusable as error:
            raise wrong("clock", None, str(error), error.cure) from None

    def days(self) -> int | None:
        """The days between letters, or None to go back to the course's."""
        number = self.words("days")
        if number and not number.isdecimal():
            raise wrong("days", None, f'"{number}" is no number of days', "write one, as in 10")
        return int(number) if number else None

    def style(self) -> Style | None:
        """How letters look, or None for as usual."""
        return next((each for each in get_args(Style) if each == self.fields.get("style")), None)

    def ending(self) -> tailoring.Ending:
        """Why a course ends."""
        for each in tailoring.ENDINGS:
            if each == self.fields.get("ending"):
                return each
        raise wrong("ending", None, "say why it ends")

    def agreed(self) -> date:
        """The day of a consent, which has come."""
        day = self.day("consent")
        if day > self.today:
            cure = "give the day on which they agreed again"
            raise wrong("consent", None, f"{shown(day)} has not come yet", cure)
        return day


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
    "at": lambda form: partial(tailoring.at, clock=form.clock()),
    "style": lambda form: partial(tailoring.style, kind=form.style()),
    "note": lambda form: partial(tailoring.note, words=form.words("words") or None),
    "end": lambda form: partial(tailoring.end, ending=form.ending()),
    "reenrol": lambda form: partial(
        tailoring.reenrol,
        appointment=form.day("appointment"),
        consent=form.agreed(),
        now=form.now,
    ),
}
"""How each form is read; WrongInput names the field that cannot be used."""


def day_of(fields: Mapping[str, str], field: str) -> date:
    """The date in a field.

    Raises:
        WrongInput: there is none.

    """
    try:
        return parse_date(fields.get(field, "").strip())
    except Unusable as error:
        words = "a date is missing" if not fields.get(field) else str(error)
        raise wrong(field, None, words, "choose one") from None


def faults(error: WrongInput | NotDone, person: Person | None = None) -> list[Finding]:
    """What is wrong, for a page: no command stands in it, and no id where there is a name."""
    if isinstance(error, NotDone):
        return [Finding("", None, plain(str(error), person), "")]
    return [
        Finding(each.place, None, plain(each.words, person), plain(each.cure, person))
        for each in error.findings
    ]


def plain(words: str, person: Person | None = None) -> str:
    """An error as a page says it: without commands, and with a name in place of an id."""
    kept = [part for part in words.split("; ") if "physiopost" not in part and "--" not in part]
    told = "; ".join(kept)
    if person:
        told = " ".join(person.name if word == person.id else word for word in told.split(" "))
    return told[:1].upper() + told[1:]
