"""What the course teaches and on what grounds: the claims register and the references."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field

from scheduler.material.fields import Line, Written
from scheduler.material.yamlfile import read_yaml


class Claim(Written):
    """One teaching point: what may be said, and what its sources really support."""

    id: str = Field(pattern=r"^C\d+$", description="an id, as in C1")
    claim: Line = Field(description="the teaching point in one sentence")
    verdict: Literal["ok", "soften", "fix"] = Field(description="ok, soften or fix")
    sources: tuple[str, ...] = Field(description="a list of keys, as in [koes2007]")
    found: Line = Field(description="what checking the sources found")
    wording: Line = Field(description="how the course may say it")


class Author(Written):
    """A CSL name: a person's, or an organisation's as it stands."""

    family: Line | None = None
    given: Line | None = None
    literal: Line | None = None

    @property
    def shown(self) -> str:
        """The short name."""
        return self.family or self.literal or "unknown"


class Issued(Written):
    date_parts: tuple[Annotated[tuple[int, ...], Field(min_length=1)], ...] = Field(
        alias="date-parts", min_length=1, description="a date, as in [[2007]]"
    )


class Reference(Written):
    """A source as CSL data (Citation Style Language 1.0.2, "Input data model")."""

    id: str = Field(pattern=r"^[A-Za-z0-9_-]+$", description="a key, as in koes2007")
    type: str = Field(description="a CSL type, as in article-journal")
    author: tuple[Author, ...] = Field(min_length=1, description="a list of names")
    title: Line = Field(description="the title")
    container_title: Line | None = Field(None, alias="container-title")
    volume: str | int | None = None
    issue: str | int | None = None
    page: str | int | None = None
    number: str | int | None = None
    publisher: Line | None = None
    issued: Issued = Field(description="date-parts")
    DOI: str | None = None
    PMID: str | int | None = None
    URL: str | None = None
    note: Line | None = None

    @property
    def year(self) -> int:
        return self.issued.date_parts[0][0]

    @property
    def short(self) -> str:
        """As a patient reads it: `Koes, van Tulder and Peul, BMJ, 2007`."""
        names = [author.shown for author in self.author]
        if len(names) > 3:  # noqa: PLR2004 - more than three names are a crowd
            names = [names[0], "others"]
        return ", ".join(filter(None, (_listed(names), self.container_title, str(self.year))))

    @property
    def in_full(self) -> str:
        """Authors, title, journal, year, volume, pages, note, DOI or PMID, as text."""
        page = str(self.page or "").replace("-", "–")
        kind = "pages" if page[:1].isdigit() else "article"
        inside = (("volume", self.volume), ("issue", self.issue), (kind, page))
        journal = (self.container_title or self.publisher, self.number, self.year)
        where = [*filter(None, journal), *(f"{word} {value}" for word, value in inside if value)]
        who = _listed([author.shown for author in self.author])
        parts = (who, self.title, ", ".join(map(str, where)), self.note)
        named = (("DOI ", self.DOI), ("PMID ", self.PMID), ("", self.URL))
        ended = [part if part.endswith(("?", ".")) else f"{part}." for part in parts if part]
        # A name is there to be copied: no full stop after it.
        return " ".join([*ended, *(f"{register}{name}" for register, name in named if name)])


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


Entry = TypeVar("Entry", Claim, Reference)


@dataclass(frozen=True)
class Register(Generic[Entry]):
    """The entries of a file by id, in its order, each with its line."""

    path: Path
    entries: dict[str, Entry]
    lines: dict[str, int]


def read_register(path: Path, model: type[Entry]) -> Register[Entry]:
    """claims.yaml or references.yaml."""
    document = read_yaml(path)
    entries = document.records(model, "id")
    lines = {name: document.lines[number,] for number, name in enumerate(entries)}
    return Register(path, entries, lines)
