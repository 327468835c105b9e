"""People from the files of a practice system: who is enrolled, left out, or wrong, row by row.

1. Recognise the files and their columns, or ask (source.py).
2. Find each person's first visit (visits.py).
3. Make an entry of each, held to the same rules as one of subscribers.yaml. A wrong row is told
   with its line, never with a name or an address, and does not keep the others out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as kept_as
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from scheduler.findings import Finding, Question, shown
from scheduler.material.lessons import Course
from scheduler.roster.entries import Entry, faults
from scheduler.roster.practice import OWN
from scheduler.roster.source import Source, find_source, header_signature
from scheduler.roster.table import Table, as_text
from scheduler.roster.visits import Aside, Asides, Choices, Visit, first_visits, sift

__all__ = ["Choices", "Export", "read_export", "wrong_rows"]


@dataclass(frozen=True)
class LeftOut:
    """A row that is as it should be and enrols nobody. `id` is the entry's, where there is one."""

    file: Path
    line: int
    reason: str
    id: str | None = None


@dataclass(frozen=True)
class WrongRow:
    """A row that cannot be used."""

    file: Path
    line: int
    field: str
    words: str
    cure: str
    cells: tuple[str, ...] = kept_as(repr=False)

    @property
    def finding(self) -> Finding:
        """As every fault is told."""
        return Finding(shown(self.file), self.line, self.words, self.cure)


@dataclass(frozen=True)
class Export:
    """What the files say. `says` names the fields in which they speak of people already known."""

    system: str
    table: Table  # the visits, in which each entry has a line
    entries: tuple[Entry, ...]
    lines: tuple[int, ...]
    says: frozenset[str]
    left_out: tuple[LeftOut, ...]
    wrong: tuple[WrongRow, ...]
    signature: str
    columns: dict[str, str]  # what a person said of the columns, to be remembered

    @property
    def path(self) -> Path:
        """The file of the visits."""
        return self.table.path

    @property
    def reasons(self) -> dict[str, list[int]]:
        """The lines that enrol nobody, by the reason, the most frequent one first."""
        lines: dict[str, list[int]] = {}
        for row in self.left_out:
            lines.setdefault(row.reason, []).append(row.line)
        return dict(sorted(lines.items(), key=lambda item: -len(item[1])))

    def finding(self, number: int, _field: str, words: str, cure: str) -> Finding:
        """A fault of an entry."""
        return Finding(shown(self.table.path), self.lines[number], words, cure)


def read_export(tables: Sequence[Table], course: Course, today: date, choices: Choices) -> Export:
    """Read one file, or one of appointments and one of patients in any order.

    Raises:
        Question: a person has to say something first.
        WrongInput: a file cannot be read.

    """
    source = find_source(tables, choices.columns)
    table = source.visits.table
    if choices.consent is None and not source.has("consent"):
        words = "does not say who agreed to get the letters"
        cure = "name the day on which these people agreed: --consent 2026-11-23"
        raise Question(Finding(shown(table.path), None, words, cure), asks={"consent": None})
    asides: Asides = []
    visits = first_visits(source, choices, today, asides)
    made = list(sift(visits, lambda visit: _entry(visit, source, choices), asides))
    entries, faulty = [entry for _, entry in made], set()
    for number, about, words, cure in faults(entries, lambda n: made[n][0].line, course, today):
        faulty.add(number)
        asides.append((made[number][0], Aside(words, cure, about)))
    kept = sorted(
        (visit.line, number) for number, (visit, _) in enumerate(made) if number not in faulty
    )
    return Export(
        system=source.system,
        table=table,
        entries=tuple(entries[number] for _, number in kept),
        lines=tuple(line for line, _ in kept),
        says=_says(source),
        left_out=tuple(
            LeftOut(table.path, visit.line, aside.words, _id(visit, source))
            for visit, aside in sorted(asides, key=lambda pair: pair[0].line)
            if not aside.cure
        ),
        wrong=tuple(_wrong_rows(table, asides)),
        signature=header_signature(tables),
        columns=dict(choices.columns),
    )


def wrong_rows(export: Export) -> bytes:
    """A file of the rows that have to be put right, with the reason; it can be read again."""
    rows = [(f"{row.words}; {row.cure}", *row.cells) for row in export.wrong]
    text = as_text([("reason", *export.table.header), *rows], export.table.delimiter)
    return text.encode("utf-8-sig")  # which Excel opens as it is


def _entry(visit: Visit, source: Source, choices: Choices) -> Entry:
    said: dict[str, Any] = {"id": _id(visit, source), "email": visit.email, "name": visit.name}
    said |= {"first_appointment": visit.day, "consent": visit.consent or choices.consent}
    said |= {"physiotherapist": visit.given.get("physiotherapist") or None}
    try:
        entry = Entry.model_validate(said)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        about = str(fault["loc"][0])
        reason = fault.get("ctx", {}).get("error")
        words = f"{about} {reason or 'cannot be used'}"
        cure = getattr(reason, "cure", Entry.model_fields[about].description)
        raise Aside(words, str(cure), about) from None
    visit.given.clear()  # of 100,000 rows, the half of the memory
    return entry


def _id(visit: Visit, source: Source) -> str | None:
    """The system's id; with the system's name, so that a change of system mixes up nobody."""
    if source.system == OWN or not visit.id:
        return visit.id or None
    return f"{source.system.lower()}-{visit.id}"


def _says(source: Source) -> frozenset[str]:
    """Without a flag, a later export may begin after the first visit: then it cannot move one."""
    flagged = source.system == OWN or "first_visit" in source.visits.fields
    optional = [name for name in ("consent", "physiotherapist") if source.has(name)]
    return frozenset(["email", "name", *optional, *(["first_appointment"] if flagged else [])])


def _wrong_rows(table: Table, asides: Asides) -> Iterator[WrongRow]:
    """In the file's order, with their cells, which are read again only now."""
    faulty = {visit.line: aside for visit, aside in reversed(asides) if aside.cure}
    for line, cells in table.rows() if faulty else ():
        if aside := faulty.get(line):
            yield WrongRow(table.path, line, aside.about, aside.words, aside.cure, tuple(cells))
