"""The dossier: every claim beside its sources and the very sentences that cite them.

1. Take each passage as text with a mark ⟦key⟧ where it cites, and cut it into sentences. A mark
   belongs to the sentence that it stands in or right after.
2. Give each source the claims that name it and the sentences that cite it.
3. Give each claim the lessons that teach it, and its sources; group them by the first lesson.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scheduler.material import Material
from scheduler.material.evidence import Claim, Reference
from scheduler.material.lessons import Lesson, Passage

MARK = re.compile(r"\s*⟦([^⟧]+)⟧")
AFTER = re.compile(r"([.!?][\"”’')]?)((?:\s*⟦[^⟧]+⟧)+)")
END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?][\"”’')]))\s+")


@dataclass(frozen=True)
class Place:
    """A lesson or a box, with its week and title as one name."""

    name: str
    file: str


@dataclass(frozen=True)
class Quote:
    """A sentence that cites; `lead` is what its paragraph says since the citation before."""

    place: Place
    lead: str
    sentence: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A source, the claims that name it, and the sentences that cite it."""

    key: str
    reference: str
    claims: tuple[str, ...]
    quotes: tuple[Quote, ...]


@dataclass(frozen=True)
class Point:
    """A claim, where it is taught, and its sources."""

    claim: Claim
    taught: tuple[Place, ...]
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Dossier:
    """The claims in the register's order, and under the first place that teaches each."""

    points: tuple[Point, ...]
    groups: tuple[tuple[Place, tuple[Point, ...]], ...]
    sources: tuple[Source, ...]


def dossier(material: Material, fill: Callable[[Passage, str], str]) -> Dossier:
    """Collect; `fill` gives a passage's title or body as text, its citations as ⟦key⟧."""
    quotes: list[Quote] = []
    teaches: dict[Place, tuple[str, ...]] = {}
    for passage in material.course.passages():
        week = f"Week {passage.week}" if isinstance(passage, Lesson) else "In every letter"
        file = f"{passage.path.parent.name}/{passage.path.name}"
        place = Place(f"{week}: {fill(passage, 'title')}".replace("Week 0", "First letter"), file)
        teaches[place] = passage.claims
        quotes += quotes_in(fill(passage, "body"), place)
    claims = material.claims.entries.values()
    sources = {
        key: Source(
            key,
            in_full(reference),
            tuple(claim.id for claim in claims if key in claim.sources),
            tuple(quote for quote in quotes if key in quote.keys),
        )
        for key, reference in material.references.entries.items()
    }
    points: list[Point] = []
    for claim in claims:
        taught = tuple(place for place, ids in teaches.items() if claim.id in ids)
        points.append(Point(claim, taught, tuple(sources[key] for key in claim.sources)))
    firsts = ((at, tuple(each for each in points if each.taught[:1] == (at,))) for at in teaches)
    groups = tuple((place, group) for place, group in firsts if group)
    return Dossier(tuple(points), groups, tuple(sources.values()))


def quotes_in(text: str, place: Place) -> Iterator[Quote]:
    """The sentences with a mark; in a list the line above it leads in."""
    above = ""
    for line in filter(None, text.splitlines()):
        listed, words = line.startswith(("* ", "  ")), line.removeprefix("* ").strip()
        if not listed:
            above = MARK.sub("", END.split(words)[-1]) if words.endswith(":") else ""
        lead = [above] if listed and above else []
        for sentence in END.split(AFTER.sub(r"\2\1", words)):
            plain = MARK.sub("", sentence).strip()
            if keys := MARK.findall(sentence):
                yield Quote(place, " ".join(lead), plain, tuple(keys))
            lead = [] if keys else [*lead, plain]


def in_full(reference: Reference) -> str:
    """Authors, title, journal, year, volume, pages, note, DOI or PMID, as text."""
    *others, last = (author.shown for author in reference.author)
    page = str(reference.page or "").replace("-", "–")
    kind = "pages" if page[:1].isdigit() else "article"
    inside = (("volume", reference.volume), ("issue", reference.issue), (kind, page))
    journal = (reference.container_title or reference.publisher, reference.number, reference.year)
    where = [*filter(None, journal), *(f"{word} {value}" for word, value in inside if value)]
    who = f"{', '.join(others)} and {last}" if others else last
    parts = (who, reference.title, ", ".join(map(str, where)), reference.note)
    named = (("DOI ", reference.DOI), ("PMID ", reference.PMID), ("", reference.URL))
    ended = [part if part.endswith(("?", ".")) else f"{part}." for part in parts if part]
    # A name is there to be copied: no full stop after it.
    return " ".join([*ended, *(f"{register}{name}" for register, name in named if name)])
