"""The rulebook: every rule with its reason and its cure, and the words that rules look for.

An editor reads and mends it in rulebook.yaml.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field

from scheduler.findings import Finding
from scheduler.material.fields import Line, Written
from scheduler.material.yamlfile import read_yaml


def _listed(words: Any) -> tuple[str, ...]:
    return tuple(re.split(r",\s+", str(words)))


def whole(words: Iterable[str]) -> str:
    """A pattern for any of some words, each of them whole, in small letters and in capitals."""
    return rf"(?i:(?<!\w)(?:{'|'.join(words)})(?!\w))"


Words = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Pattern = Annotated[re.Pattern[str], BeforeValidator(lambda words: whole(_listed(words)))]


class Rule(Written):
    """Why it is one, what to do, and which words break it, if only beside others."""

    why: Line
    cure: str = ""
    words: Pattern | None = None
    beside: Pattern = re.compile("")


class Rulebook(Written):
    """The file: the rules of the course and of the letters, and lists of words."""

    rules: dict[str, dict[str, Rule]]
    instead: dict[str, Words]
    telling: Pattern
    vague: Pattern
    frequency: Pattern
    number_words: Pattern = Field(alias="number-words")
    names: Words
    syllables: dict[int, Words]


class Fault(NamedTuple):
    """A rule that is broken, by what, clues to where, and the cure if it is not the rule's own."""

    rule: str
    words: str
    clues: tuple[str, ...] = ()
    cure: str = ""

    def at(self, place: str, line: int | None) -> Finding:
        rule = RULES[self.rule]
        return Finding(place, line, f"{self.words}: {rule.why}", self.cure or rule.cure, self.rule)


BOOK = read_yaml(Path(__file__).with_name("rulebook.yaml")).parse(Rulebook)
VAGUE = re.compile(rf"\W*{BOOK.vague.pattern}\W*")
RULES = {name: rule for part in BOOK.rules.values() for name, rule in part.items()}


def is_vague(link: str) -> bool:
    """Whether the words of a link say nothing when they stand alone."""
    return bool(VAGUE.fullmatch(link))
