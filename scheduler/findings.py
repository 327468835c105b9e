"""What is wrong with something a person wrote, where, and what to write instead.

`subscribers.yaml:14: timezone "Europe/Lodnon" is not known; did you mean Europe/London?`
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True)
class Finding:
    """One fault: the place (file, line from 1), what is wrong, and the cure.

    `rule` names the check that found it, for a program and for a lesson's `allow`.
    """

    place: str
    line: int | None
    words: str
    cure: str
    rule: str = ""

    def __str__(self) -> str:
        """One line for a terminal or a log."""
        where = self.place if self.line is None else f"{self.place}:{self.line}"
        told = f"{where}: {self.words}; {self.cure}" if self.cure else f"{where}: {self.words}"
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in told)

    @property
    def discreet(self) -> "Finding":
        """The same without what stands there, which may be a name or an address."""
        return replace(self, words=re.sub('".*"', '"…"', self.words, flags=re.DOTALL))


class WrongInput(Exception):
    """Something a person wrote cannot be used. Nothing was changed. Exit code 2."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__("\n".join(str(finding) for finding in findings))
        self.findings = findings


class Question(WrongInput):
    """Something that only a person can say. `asks` are its fields, each with a likely answer."""

    def __init__(self, *findings: Finding, asks: Mapping[str, str | None]) -> None:
        """Carry what to say to whoever types, and the fields for whoever fills in a form."""
        super().__init__(*findings)
        self.asks = asks


class NotDone(Exception):
    """The work could not be finished for a reason outside what was typed. Exit code 1."""


def wrong(place: Path | str, line: int | None, words: str, cure: str = "") -> WrongInput:
    """A WrongInput with a single finding; `place` is shown relative to where the user stands."""
    return WrongInput(Finding(shown(place), line, words, cure))


@contextmanager
def writing(place: Path, cure: str) -> Iterator[None]:
    """Around whatever writes to a place that a person named; WrongInput if the system says no."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or "cannot be written to").lower()
        raise wrong(place, None, reason, cure) from None


@contextmanager
def private(place: Path, cure: str) -> Iterator[BinaryIO]:
    """A new file that only its owner can read; WrongInput if it is there or cannot be made."""
    only = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    with writing(place, cure), os.fdopen(os.open(place, only, 0o600), "wb") as file:
        yield file


def shown(place: Path | str) -> str:
    """The path as a person would type it from the current folder."""
    path = Path(place)
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def closest(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """`did you mean X?` for the known word nearest to `word`; else other advice, or all of them."""
    words = list(known)
    if matches := get_close_matches(word, words, n=1, cutoff=0.6):
        return f"did you mean {matches[0]}?"
    return otherwise or f"known are {', '.join(words)}"
