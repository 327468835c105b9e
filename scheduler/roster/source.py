"""The files that were given: whose export they are, and where each field stands in them.

1. Appointments and e-mail addresses often come in two files: the one with a date of an appointment
   lists the visits, the other one the patients. They may be given in any order.
2. `--column email="E-mail"` goes before what the profile says.
3. Where a field is missing, a person is asked for it, with a suggestion that can be copied.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256

from scheduler.findings import Finding, Question, shown, wrong
from scheduler.roster import practice
from scheduler.roster.practice import Profile
from scheduler.roster.table import Table, key

CLOSE = 0.85  # how alike a suggestion is, as difflib reckons


@dataclass(frozen=True)
class Columns:
    """Where a table has each field, what tells a row apart, and whom it leaves out."""

    table: Table
    fields: Mapping[str, int]
    flags: tuple[tuple[int, str], ...]
    status: tuple[int, ...]
    kind: tuple[int, ...]

    def reason(self, cells: Sequence[str]) -> str:
        """Why nobody is enrolled because of this row, or nothing."""
        for place, reason in self.flags:
            if cells[place].strip().casefold() not in practice.NO:
                return reason
        for place in self.status:
            for pattern, reason in practice.STATUS:
                if pattern.search(cells[place]):
                    return reason
        if "first_visit" in self.fields:
            flagged = cells[self.fields["first_visit"]].strip().casefold() not in practice.NO
            return "" if flagged else "not the first visit"
        if any(practice.LATER.search(cells[place]) for place in self.kind):
            return "not the first visit"
        return ""


@dataclass(frozen=True)
class Source:
    """The visits, and the patients where they are in a file of their own."""

    system: str
    visits: Columns
    patients: Columns | None

    @property
    def joined_by(self) -> str:
        """The field that both files know a patient by."""
        both = [self.visits.fields, *([self.patients.fields] if self.patients else [])]
        return "id" if all("id" in fields for fields in both) else "name"

    def has(self, field: str) -> bool:
        """Whether a column says this."""
        return field in self.visits.fields or bool(self.patients and field in self.patients.fields)


def header_signature(tables: Iterable[Table]) -> str:
    """What a mapping is remembered under: the columns, in whatever order, and no row."""
    keys = sorted(" | ".join(sorted(set(table.places) - {"", "reason"})) for table in tables)
    return sha256("\n".join(keys).encode()).hexdigest()[:16]


def find_source(tables: Sequence[Table], chosen: Mapping[str, str]) -> Source:
    """Recognise the tables, and find every column.

    Raises:
        Question: no column is known for a field.
        WrongInput: too many files, or of two systems.

    """
    profiles = [_recognised(table) for table in tables]
    profile = next((known for known in profiles if known), practice.YOURS)
    for table, known in zip(tables, profiles, strict=True):
        if known not in (None, profile):
            words = f"is from {known.system}, {shown(tables[0].path)} is from {profile.system}"
            raise wrong(table.path, None, words, "give the two files of one system")
    _refuse_unknown(tables, chosen)
    found = [_columns(table, profile, chosen) for table in tables]
    visits = [columns for columns in found if "first_appointment" in columns.fields]
    others = [columns for columns in found if columns not in visits]
    first, *rest = [*visits, *others]
    if visits[1:] or rest[1:]:
        cure = "give one file of appointments and one of patients"
        raise wrong(tables[-1].path, None, "is one file too many", cure)
    source = Source(profile.system, first, rest[0] if rest else None)
    if missing := list(_missing(source)):
        raise _question(source, tables, missing)
    return source


def _recognised(table: Table) -> Profile | None:
    known, columns = practice.KNOWN.systems, table.places.keys()
    fits = (each for each in known if any(mark <= columns for mark in each.signatures))
    return next(fits, None)


def _refuse_unknown(tables: Sequence[Table], chosen: Mapping[str, str]) -> None:
    for field, name in chosen.items():
        if field not in practice.FIELDS:
            cure = "known are " + ", ".join(practice.FIELDS)
            raise wrong(tables[0].path, None, f'"{field}" is not a field of --column', cure)
        if not any(key(name) in table.places for table in tables):
            cure = "the columns are " + _listed(tables[0])
            raise wrong(tables[0].path, tables[0].header_line, f'has no column "{name}"', cure)


def _columns(table: Table, profile: Profile, chosen: Mapping[str, str]) -> Columns:
    fields: dict[str, int] = {}
    names = {**profile.columns, **{field: (key(name),) for field, name in chosen.items()}}
    for field, keys in names.items():
        for name in keys:
            if field not in fields and (places := table.places.get(name)):
                if len(places) > 1:
                    words = f'the column "{table.header[places[0]]}" stands twice'
                    raise wrong(table.path, table.header_line, words, "rename one of them")
                fields[field] = places[0]

    def all_of(keys: Iterable[str]) -> tuple[int, ...]:
        return tuple(place for name in keys for place in table.places.get(name, ()))

    left_out = practice.KNOWN.left_out.items()
    flags = tuple((place, why) for why, keys in left_out for place in all_of(keys))
    return Columns(table, fields, flags, all_of(profile.status), all_of(practice.KIND))


def _missing(source: Source) -> Iterable[str]:
    """The fields that nobody can do without."""
    if not (source.has("name") or source.has("first_name")):
        yield "name"
    yield from (field for field in ("email", "first_appointment") if not source.has(field))
    if source.patients:
        both = source.visits.fields.keys() & source.patients.fields.keys()
        if not both & {"id", "name"}:
            yield "id"


def _question(source: Source, tables: Sequence[Table], missing: list[str]) -> Question:
    """What to ask, so that the answer can be copied."""
    told: list[Finding] = []
    strange = [table for table in tables if not _recognised(table)]
    asked = strange[0] if strange else tables[0]
    for table in strange:
        place, line = shown(table.path), table.header_line
        words = "is from no practice system that is known here"
        told.append(Finding(place, line, words, "the columns are " + _listed(table)))
    if not strange and not source.patients:
        what = "e-mail addresses" if "email" in missing else "dates of a first appointment"
        other = "patients" if "email" in missing else "appointments"
        words = f"is from {source.system}, and there are no {what} in it"
        told.append(Finding(shown(asked.path), None, words, f"give the file of {other} as well"))
    open_fields = [field for field in practice.KNOWN.usual if not source.has(field)]
    guesses = {field: _suggested(field, tables) for field in open_fields}
    if "name" in missing and guesses["first_name"]:
        missing = ["first_name", "last_name", *(field for field in missing if field != "name")]
    optional = [field for field in ("id", "consent") if guesses.get(field) and strange]
    asks = {field: guesses.get(field) for field in [*missing, *optional]}
    for field, guess in asks.items():
        words = f"no column is known for {field}"
        if field == "id" and source.patients:
            words = "no column is known that both files know a patient by"
        cure = f"--column {field}={shlex.quote(guess) if guess else '…'}"
        cure = ("perhaps " if guess else "add ") + cure
        told.append(Finding(shown(asked.path), asked.header_line, words, cure))
    return Question(*told, asks=asks)


def _suggested(field: str, tables: Sequence[Table]) -> str | None:
    """The column that is most probably meant, by its usual names."""
    named = {
        name: " ".join(table.header[places[0]].split())
        for table in tables
        for name, places in table.places.items()
        if name and not practice.OTHERS.search(name)
    }
    usual = practice.KNOWN.usual[field]
    close = [match for name in usual for match in get_close_matches(name, named, 1, CLOSE)]
    return next((named[name] for name in (*usual, *close) if name in named), None)


def _listed(table: Table) -> str:
    return ", ".join(f'"{" ".join(name.split())[:40]}"' for name in table.header if name)[:600]
