"""First visits, out of a practice system's files.

1. Read the visits. Cancelled, a break, a later visit: set aside, with the reason.
2. Settle the order of day and month over all dates; where nobody can know it, a person is asked.
3. Join the patients' file by the patient's id, or by name where the system exports no id.
4. Of each person's visits the first one stays, unless it was long ago.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta, tzinfo
from typing import TypeVar

from scheduler.findings import shown
from scheduler.material.yamlfile import Unusable
from scheduler.plan.reasons import dated
from scheduler.roster.dates import Cell, read_date, settle_order
from scheduler.roster.source import Columns, Source
from scheduler.roster.table import unwrapped

OLDEST = timedelta(days=365)
LONGEST = 1000  # characters of a cell that is used
Kept = TypeVar("Kept")


@dataclass(frozen=True)
class Choices:
    """What a person says about the files: on the command line, or when they were last read."""

    consent: date | None = None
    day_first: bool | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    zone: tzinfo | None = None  # the clinic's, for instants with an offset from UTC


class Aside(Exception):
    """Nobody is enrolled because of this row: it is left out or, with a cure, it is wrong."""

    def __init__(self, words: str, cure: str = "", about: str = "") -> None:
        super().__init__(words)
        self.words, self.cure, self.about = words, cure, about


@dataclass(slots=True, repr=False)
class Visit:
    """A row: the fields as written, and whom and when they mean once that is known."""

    line: int
    given: dict[str, str]
    aside: Aside | None = None
    day: date | None = None
    consent: date | None = None

    @property
    def id(self) -> str:
        """The system's own id of the patient; Cliniko's interface gives it as an address."""
        given = self.given.get("id", "")
        return given.rpartition("/")[2] if "://" in given else given

    @property
    def name(self) -> str:
        """First name first, and the one that the person goes by."""
        given = self.given
        first = given.get("preferred_name") or given.get("first_name", "")
        if first or given.get("last_name"):
            return f"{first} {given.get('last_name', '')}".strip()
        last, comma, rest = given.get("name", "").partition(",")
        return f"{rest.strip()} {last}" if comma and rest.strip() and "," not in rest else last

    @property
    def email(self) -> str:
        """As the file has it."""
        return self.given.get("email", "")


Asides = list[tuple[Visit, Aside]]


def sift(
    visits: Iterable[Visit], judge: Callable[[Visit], Kept], asides: Asides
) -> Iterator[tuple[Visit, Kept]]:
    """What `judge` makes of each visit; those that it sets aside go there."""
    for visit in visits:
        try:
            yield visit, judge(visit)
        except Aside as aside:
            asides.append((visit, aside))


def first_visits(source: Source, choices: Choices, today: date, asides: Asides) -> list[Visit]:
    """Each person's first visit.

    Raises:
        WrongInput: a file cannot be read, or the dates may mean two things.

    """
    dates: list[Cell] = []
    visits = [visit for visit, _ in sift(_read(source.visits, dates), _wanted, asides)]
    patients = _patients(source, dates)
    day_first = settle_order(dates, choices.day_first, choices.zone)

    def known(visit: Visit) -> str:
        _join(visit, source, patients)
        visit.day = _day(visit, "first_appointment", choices, day_first=day_first)
        if source.has("consent"):
            visit.consent = _day(visit, "consent", choices, day_first=day_first)
        return visit.id or f"{visit.name} {visit.email}".casefold()

    everyone: dict[str, list[Visit]] = {}
    for visit, who in sift(visits, known, asides):
        everyone.setdefault(who, []).append(visit)
    firsts = []
    for mine in everyone.values():
        first, *later = sorted(mine, key=lambda visit: (visit.day, visit.line))
        if len({visit.email.casefold() for visit in mine}) > 1:
            cure = "write the same address in all of this patient's rows"
            torn = Aside("one id has two e-mail addresses", cure, "email")
            asides += [(visit, torn) for visit in mine]
            continue
        asides += [(visit, Aside("not the first visit")) for visit in later]
        if first.day and first.day < today - OLDEST:
            words = f"the first visit was on {dated(first.day)}, over a year ago"
            asides.append((first, Aside(words)))
        else:
            firsts.append(first)
    return firsts


def _read(columns: Columns, dates: list[Cell]) -> Iterator[Visit]:
    """The rows; whatever looks like a date goes to `dates` as well."""
    table, fields = columns.table, columns.fields
    for line, cells in table.rows():
        given = {name: unwrapped(cells[place]) for name, place in fields.items()}
        dated_cells = [given[name] for name in ("first_appointment", "consent") if name in given]
        dates += [(table.path, line, text) for text in dated_cells]
        visit = Visit(line, given)
        if any(cells[len(table.header) :]):
            cure = "put a cell that contains the delimiter in quotes"
            visit.aside = Aside("the row has more cells than the header", cure)
        elif long := next((name for name in given if len(given[name]) > LONGEST), None):
            cure = f"keep it to {LONGEST}"
            visit.aside = Aside(f"{long} has {len(given[long])} characters", cure, long)
        elif reason := columns.reason(cells):
            visit.aside = Aside(reason)
        yield visit


def _wanted(visit: Visit) -> None:
    if visit.aside:
        raise visit.aside


def _patients(source: Source, dates: list[Cell]) -> dict[str, Visit]:
    """The patients by what both files know them by."""
    known: dict[str, Visit] = {}
    for patient in _read(source.patients, dates) if source.patients else ():
        twin = known.setdefault(_key(patient, source), patient)
        if twin.email.casefold() != patient.email.casefold():
            words = f"the file of patients has this patient twice, in line {twin.line} and"
            cure = "keep the one with the right e-mail address"
            twin.aside = Aside(f"{words} {patient.line}", cure, source.joined_by)
    return known


def _key(visit: Visit, source: Source) -> str:
    return visit.id if source.joined_by == "id" else " ".join(visit.name.casefold().split())


def _join(visit: Visit, source: Source, patients: Mapping[str, Visit]) -> None:
    if source.patients:
        key = _key(visit, source)
        if not key:
            raise Aside(f"{source.joined_by} is empty", "say whose visit it is", source.joined_by)
        if not (patient := patients.get(key)):
            raise Aside("not in the file of patients")
        if patient.aside:
            aside = patient.aside
            where = f" ({shown(source.patients.table.path)}:{patient.line})"
            raise Aside(aside.words + where * bool(aside.cure), aside.cure, aside.about)
        visit.given |= {name: cell for name, cell in patient.given.items() if cell}
    if not visit.email:
        raise Aside("no e-mail address")


def _day(visit: Visit, name: str, choices: Choices, *, day_first: bool) -> date:
    if not (text := visit.given.get(name)):
        raise Aside(f"no date of {'consent' if name == 'consent' else 'an appointment'}")
    try:
        return read_date(text, day_first=day_first, zone=choices.zone)
    except Unusable as error:
        raise Aside(f"{name} {error}", error.cure, name) from None
