"""subscribers.yaml: one entry a person, read and checked whole before anything is done with it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, Field, PlainSerializer

from scheduler.findings import Finding, WrongInput, closest, shown
from scheduler.ledger.people import Person
from scheduler.material.fields import Address, ClockTime, Date, Line, Words, Written, Zone
from scheduler.material.lessons import Course
from scheduler.material.yamlfile import Document, Unusable, read_yaml
from scheduler.plan.enrolment import Hold, Status

Clock = Annotated[ClockTime, PlainSerializer(lambda at: f"{at:%H:%M}")]
Place = Annotated[Zone, PlainSerializer(str)]
LONGEST_NOTE = 800
PACES = range(3, 29)  # days between two letters


def _short(note: str) -> str:
    if len(note) > LONGEST_NOTE:
        raise Unusable(f"has {len(note)} characters", f"keep it to {LONGEST_NOTE}")
    return note


class HoldEntry(Written):
    """A hold as it is written."""

    first: Date = Field(alias="from", description="the first day without letters")
    until: Date | None = Field(None, description="the first day after it, or leave it out")
    reason: Words = Field("", description="a few words")

    @property
    def hold(self) -> Hold:
        """As the plan takes it."""
        return Hold(self.first, self.until, self.reason)


class Entry(Written):
    """One person as the file has them. What is left out follows the clinic and the course."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")] | None = Field(
        None, description="letters, digits, dots and hyphens"
    )
    email: Address = Field(description="the person's address")
    name: Annotated[Line, Field(max_length=400)] = Field(description="the person's name")
    first_appointment: Date = Field(description="the date, as in 2026-11-23")
    consent: Date = Field(description="the day on which the person agreed to get letters")
    agreed_to: Annotated[Line, Field(max_length=40)] | None = Field(
        None, description="the version of the words they agreed to, if not those of clinic.yaml"
    )
    physiotherapist: Line | None = Field(None, description="a name")
    start: Date | None = Field(None, description="a date, as in 2026-11-30")
    send_at: Clock | None = Field(None, description="a time of day, as in 18:15")
    timezone: Place | None = Field(None, description="an IANA name, as in Europe/London")
    pace: Annotated[int, Field(ge=3, le=28)] | None = Field(None, description="days, 3 to 28")
    hold: tuple[HoldEntry, ...] = Field((), description="a list of from, until, reason")
    skip: tuple[str, ...] = Field((), description="a list of lessons, as in [scans]")
    note: Annotated[Line, AfterValidator(_short)] | None = Field(
        None, description="a few sentences"
    )
    status: Status = Field("active", description="active, finished, stopped, discharged or died")

    def __repr__(self) -> str:
        """Never a name or an address."""
        return f"Entry({self.id})"

    @property
    def key(self) -> str:
        """What two readings of the file know a person by."""
        return self.id or self.email.casefold()

    def tailoring(self) -> dict[str, Any]:
        """The values that a Person has under the same names."""
        values = {field: getattr(self, field) for field in TAILORING}
        return values | {"hold": tuple(entry.hold for entry in self.hold)}

    def stored(self) -> dict[str, Any]:
        """The entry as JSON, to be held against the file next time."""
        return self.model_dump(mode="json", exclude_none=True, by_alias=True)


TAILORING = tuple(field for field in Entry.model_fields if field != "id")


def entry_of(person: Person) -> Entry:
    """What a file would say of a person."""
    values = {name: getattr(person, name) for name in TAILORING}
    holds = tuple(
        HoldEntry.model_construct(first=hold.first, until=hold.until, reason=hold.reason)
        for hold in person.hold
    )
    return Entry.model_construct(id=person.id, **(values | {"hold": holds}))


def written(entries: Iterable[Entry]) -> str:
    """A roster file that says just this."""
    said = partial(Entry.model_dump, exclude_none=True, exclude_defaults=True, by_alias=True)
    rows = [said(entry) for entry in entries]
    return yaml.safe_dump(rows, allow_unicode=True, sort_keys=False, width=100)


@dataclass(frozen=True)
class Roster:
    """The entries in the file's order, each with its line."""

    path: Path
    entries: tuple[Entry, ...]
    document: Document
    says = frozenset(Entry.model_fields)

    def line(self, number: int, field: str = "") -> int | None:
        """Where an entry, or a field of it, stands."""
        return self.document.line((number, field) if field else (number,))

    def finding(self, number: int, field: str, words: str, cure: str) -> Finding:
        """A fault of an entry."""
        return Finding(shown(self.path), self.line(number, field), words, cure)


def read_roster(path: Path, course: Course, today: date) -> Roster:
    """Read and check the file; `today` is the clinic's local date.

    Raises:
        WrongInput: with every fault of every entry.

    """
    document = read_yaml(path)
    if not isinstance(document.value, list):
        raise document.wrong(
            (), "is not a list of people", "begin each entry with a dash: - email: …"
        )
    entries: list[Entry] = []
    wrong: list[Finding] = []
    for number in range(len(document.value)):
        try:
            entries.append(document.parse(Entry, (number,)))
        except WrongInput as error:
            wrong += error.findings
    if wrong:
        raise WrongInput(*wrong)
    roster = Roster(path, tuple(entries), document)
    if found := [roster.finding(*fault) for fault in faults(entries, roster.line, course, today)]:
        raise WrongInput(*found)
    return roster


def faults(
    entries: Sequence[Entry], line: Callable[[int], int | None], course: Course, today: date
) -> Iterator[tuple[int, str, str, str]]:
    """What no single field can know: number of the entry, field, words, cure."""
    seen: dict[str, int] = {}
    homes: dict[str, int] = {}
    for number, entry in enumerate(entries):
        if entry.key in seen:
            first = line(seen[entry.key])
            field = "id" if entry.id else "email"
            words = f"{field} is the same as in line {first}"
            cure = "give each person an id of their own"
            yield number, field, words, cure
        elif (other := homes.get(entry.email.casefold())) is not None and not (
            entry.id and entries[other].id
        ):
            words = f"email is the same as in line {line(other)}"
            yield number, "email", words, "give each person an id of their own"
        seen.setdefault(entry.key, number)
        homes.setdefault(entry.email.casefold(), number)
        if entry.start and entry.start < entry.first_appointment:
            words = f"start {entry.start} is before the first appointment"
            cure = f"use {entry.first_appointment} or later"
            yield number, "start", words, cure
        if entry.consent > today:
            words = f"consent {entry.consent} is in the future"
            cure = "write the day on which the person agreed, and enrol from then on"
            yield number, "consent", words, cure
        for hold in entry.hold:
            if hold.until and hold.until <= hold.first:
                words = f"hold until {hold.until} does not come after its from"
                yield number, "hold", words, "until is the first day after the hold"
        for slug in entry.skip:
            if slug not in course.by_slug:
                cure = closest(slug, course.by_slug)
                words = f'skip "{slug}" is not a lesson'
                yield number, "skip", words, cure
