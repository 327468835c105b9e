"""The course: its lessons in order, their pace, and the blocks that every letter carries.

A lesson is a Markdown file with YAML front matter. Its slug is its identity: the file may be
renamed and the order changed, and nobody gets a lesson twice (P12).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from scheduler.findings import wrong
from scheduler.material.fields import Date, Line, Written
from scheduler.material.yamlfile import read_text, read_yaml

SLUG = r"^[a-z0-9]+(?:-[a-z0-9]+)*$"
CITATION = re.compile(r"\s*\[@([A-Za-z0-9_-]+)\]")
FRONT = re.compile(r"---\r?\n(.*?\r?\n)---[ \t]*(?:\r?\n|$)", re.DOTALL)
ClaimIds = tuple[Annotated[str, Field(pattern=r"^C\d+$")], ...]


class Allowed(Written):
    """A finding that an editor lets stand, and why."""

    rule: Line = Field(description="the rule's name, as check prints it")
    reason: Line = Field(description="why it may stand")


class BlockFront(Written):
    """What stands above a block's text."""

    title: Line = Field(description="the heading")
    claims: ClaimIds = Field((), description="a list of claims, as in [C1, C2]")
    review_by: Date = Field(description="a date, as in 2027-11-30")
    allow: tuple[Allowed, ...] = Field((), description="a list of rule and reason")


class LessonFront(BlockFront):
    """What stands above a lesson's text."""

    slug: str = Field(pattern=SLUG, description="small letters, digits and hyphens")
    subject: Line = Field(description="a discreet subject line")
    preheader: Line = Field(description="40 to 130 discreet characters")
    action: Line = Field(description="the one small thing to do this week")
    claims: ClaimIds = Field(description="a list of claims, as in [C1, C2]")
    was: Annotated[str, Field(pattern=SLUG)] | None = Field(
        None, description="the slug that this lesson had before, or none if it is new"
    )


class CourseFile(Written):
    title: Line = Field(description="the course's name, for staff")
    purpose: Line = Field(description="what the course is for and is not for")
    begins_after: int = Field(1, ge=0, le=28, description="days from the start, 0 to 28")
    pace: int = Field(7, ge=3, le=28, description="days between letters, 3 to 28")
    min_gap: int = Field(3, ge=1, le=28, description="days, 1 to 28")
    lessons: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")], ...] = Field(
        description="a list of files in lessons/"
    )


@dataclass(frozen=True)
class Passage:
    """Markdown that a patient reads, Jinja still in it. `lines` says where each field stands."""

    path: Path
    title: str
    body: str
    claims: tuple[str, ...]
    review_by: date
    lines: Mapping[str, int]
    allow: tuple[Allowed, ...] = field(default=(), kw_only=True)

    @cached_property
    def citations(self) -> tuple[str, ...]:
        """The keys that it cites, each once, in order."""
        return tuple(dict.fromkeys(CITATION.findall(self.body)))

    def cited_at(self, key: str) -> int:
        """The file's line of the first `[@key]`."""
        return self.lines["body"] + self.body[: self.body.index(f"[@{key}]")].count("\n")


@dataclass(frozen=True)
class Lesson(Passage):
    """One week's material. `week` 0 is the welcome."""

    slug: str
    week: int
    subject: str
    preheader: str
    action: str
    was: str | None = None


@dataclass(frozen=True)
class Course:
    """The ordered lessons and their pace, in days."""

    title: str
    purpose: str
    begins_after: int
    pace: int
    min_gap: int
    lessons: tuple[Lesson, ...]
    emergency: Passage
    same_day: Passage

    @property
    def weeks(self) -> int:
        """How many lessons follow the welcome."""
        return len(self.lessons) - 1

    @cached_property
    def by_slug(self) -> dict[str, Lesson]:
        return {lesson.slug: lesson for lesson in self.lessons}

    def passages(self) -> Iterator[Passage]:
        """Everything that a patient reads."""
        yield from self.lessons
        yield self.emergency
        yield self.same_day


def read_course(folder: Path) -> Course:
    """Read course.yaml, the lessons and the blocks; WrongInput if something cannot be used."""
    if not folder.is_dir():
        cure = "set PHYSIOPOST_COURSE to the folder with course.yaml"
        raise wrong(folder, None, "there is no such course folder", cure)
    document = read_yaml(folder / "course.yaml")
    file = document.parse(CourseFile)
    if not file.lessons:
        raise document.wrong(("lessons",), "the course has no lessons", "name the files in order")
    lessons: dict[str, Lesson] = {}
    for week, name in enumerate(file.lessons):
        path = folder / "lessons" / name
        if not path.is_file():
            words = f'there is no lesson file "{name}" in lessons/'
            raise document.wrong(("lessons", week), words, "correct the name or write the lesson")
        lesson = Lesson(week=week, **_split(path, LessonFront))
        if lesson.slug in lessons:
            words = f'the slug "{lesson.slug}" of {name} is taken'
            raise document.wrong(("lessons", week), words, "give each lesson its own slug")
        lessons[lesson.slug] = lesson
    return Course(
        **dict(file)
        | {
            "lessons": tuple(lessons.values()),
            "emergency": Passage(**_split(folder / "blocks" / "emergency.md", BlockFront)),
            "same_day": Passage(**_split(folder / "blocks" / "same-day.md", BlockFront)),
        }
    )


def _split(path: Path, model: type[Written]) -> dict[str, Any]:
    """The front matter's fields and the body, with the lines that they stand on."""
    text = read_text(path)
    match = FRONT.match(text)
    if not match:
        raise wrong(path, 1, "has no front matter", "begin with --- and the fields, then ---")
    document = read_yaml(path, "\n" + match[1])
    front, body = document.parse(model), text[match.end() :]
    lines = {str(place[0]): line for place, line in document.lines.items() if len(place) == 1}
    lines["body"] = text[: match.end()].count("\n") + 1
    if not body.strip():
        raise wrong(path, lines["body"], "has no text", "write it")
    return {"path": path, "body": body, "lines": lines, **dict(front)}
