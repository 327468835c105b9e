"""What the course claims, and on what grounds: for one page that a sceptic can sit down with.

1. Give each source the claims that name it, and the sentences that cite it as patients read them.
2. Give each claim the lessons that teach it, and its sources; group the claims by the first lesson.
"""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from scheduler.checks.prose import Text, texts
from scheduler.letters.markdown import to_text
from scheduler.letters.passages import page
from scheduler.letters.tokens import FIELDS
from scheduler.material import Material
from scheduler.material.lessons import Lesson
from scheduler.material.signoff import standing

LIVE = re.compile(r"[\\`*_\[\]<>|~#]|&(?=#?\w+;)")  # what Markdown would act on inside a line


class Place(NamedTuple):
    """A lesson or a box, with its week and title as one name."""

    name: str
    file: str


class Quote(NamedTuple):
    """A sentence that cites; `lead` is what its paragraph says since the citation before."""

    place: Place
    lead: str
    sentence: str
    cites: tuple[str, ...]


def evidence(path: Path, material: Material, today: date) -> str:
    """The page by its template; values are put in as the characters that they have."""
    names = {"dossier": dossier(material), "material": material, "today": today}
    names["stands"] = standing(material, today)
    html = path.name.endswith(".html.j2")
    return page(path, names, None if html else lambda value: LIVE.sub(r"\\\g<0>", str(value)))


def dossier(material: Material) -> dict[str, Any]:
    """What the templates show: points, the same in groups, and sources, as lists."""
    claims = material.claims.entries.values()
    merged = {name: f"({name.replace('_', ' ')})" for name in FIELDS}
    everything = texts(material, clinic=material.clinic.model_dump(), **merged)
    places = {_place(text): text for text in everything}
    quotes = [quote for place, text in places.items() for quote in quotes_in(text, place)]
    sources = {
        key: {
            "key": key,
            "reference": reference.in_full,
            "claims": [claim.id for claim in claims if key in claim.sources],
            "quotes": [quote for quote in quotes if key in quote.cites],
        }
        for key, reference in material.references.entries.items()
    }
    points: list[dict[str, Any]] = []
    groups: dict[Place, list[dict[str, Any]]] = {place: [] for place in places}
    for claim in claims:
        taught = [place for place, text in places.items() if claim.id in text.passage.claims]
        of = [sources[key] for key in claim.sources]
        points.append({"claim": claim, "taught": taught, "sources": of})
        groups[taught[0]].append(points[-1])
    return {
        "points": points,
        "groups": [(place, group) for place, group in groups.items() if group],
        "sources": list(sources.values()),
    }


def _place(text: Text) -> Place:
    passage, title = text.passage, text.blocks[0].text
    week = f"Week {passage.week}" if isinstance(passage, Lesson) else "In every letter"
    name = f"{week}: {title}".replace("Week 0", "First letter")
    return Place(name, f"{passage.path.parent.name}/{passage.path.name}")


def quotes_in(text: Text, place: Place) -> Iterator[Quote]:
    """The sentences that cite; in a list the line above it leads in."""
    for block in text.blocks:
        lead = [to_text(block.lead)] if block.lead else []
        for sentence in block.sentences:
            words = to_text(sentence.text.removeprefix(sentence.lead))
            if sentence.cites:
                yield Quote(place, " ".join(lead), words, sentence.cites)
            lead = [] if sentence.cites else [*lead, words]
