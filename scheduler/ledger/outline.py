"""The course as the service last used it, and what an edit means for those inside it (P12).

1. The outline is the lessons' slugs in order with the pace; it is kept as a fact.
2. A slug that is gone beside one that is new may be a rename or a swap, and nobody can tell which:
   it is refused until the new lesson says `was:` (the old slug, or `none`).
3. What was renamed is renamed in everything that was sent, skipped or owed. Lessons that an edit
   puts before a person's last one, though they have not had them yet, are owed to them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from sqlalchemy import Connection, bindparam, select, update

from scheduler.findings import Finding, WrongInput, shown
from scheduler.ledger import facts
from scheduler.ledger.people import Person
from scheduler.ledger.tables import delivery, enrolment
from scheduler.material.lessons import Course, Lesson
from scheduler.plan.enrolment import Sent

FACT = "course"
PACE = ("begins_after", "pace", "min_gap")
NEW = "none"  # `was: none`: this lesson is new, not an old one under another name


@dataclass(frozen=True)
class Outline:
    """The slugs of a course in order, and its pace."""

    slugs: tuple[str, ...]
    pace: Mapping[str, int]

    @classmethod
    def of(cls, course: Course) -> Self:
        """What a course comes down to."""
        return cls(tuple(course.by_slug), {name: getattr(course, name) for name in PACE})

    @classmethod
    def last(cls, db: Connection) -> Self | None:
        """What the service last used, or None when it never has."""
        if not (kept := facts.get(db, FACT)):
            return None
        stored = json.loads(kept)
        return cls(tuple(stored["slugs"]), stored["pace"])

    def renamed(self, became: Mapping[str, str]) -> Self:
        """The same with new slugs in place of old ones."""
        return replace(self, slugs=tuple(became.get(slug, slug) for slug in self.slugs))

    def keep(self, db: Connection) -> None:
        """From now on this is what was last used."""
        facts.put(db, FACT, json.dumps({"slugs": self.slugs, "pace": dict(self.pace)}))

    def course(self, today: Course) -> Course:
        """A course to plan by: this outline with today's words, as far as there are such."""
        some = today.lessons[0]
        lessons = tuple(
            replace(today.by_slug.get(slug, some), slug=slug, week=week)
            for week, slug in enumerate(self.slugs)
        )
        course = replace(today, lessons=lessons)
        return replace(course, **self.pace)  # type: ignore[arg-type]  # all of PACE are days


def renames(old: Outline, course: Course) -> dict[str, str]:
    """Which slug became which; WrongInput if one has gone and a new one says not what it was."""
    gone = [slug for slug in old.slugs if slug not in course.by_slug]
    new = [lesson for lesson in course.lessons if lesson.slug not in old.slugs]
    became = {lesson.was: lesson.slug for lesson in new if lesson.was in gone}
    left = [slug for slug in gone if slug not in became]
    unclear = [lesson for lesson in new if lesson.was != NEW and lesson.slug not in became.values()]
    if left and unclear:
        raise WrongInput(*(_unclear(lesson, left) for lesson in unclear))
    return {old_slug: slug for old_slug, slug in became.items() if old_slug}


def _unclear(lesson: Lesson, gone: Sequence[str]) -> Finding:
    words = f'slug "{lesson.slug}" is new while "{gone[0]}" has gone, and people are inside'
    cure = f"add was: {gone[0]} if it is that lesson under a new name, else was: {NEW}"
    return Finding(shown(lesson.path), lesson.lines["slug"], words, cure)


def rename(db: Connection, became: Mapping[str, str]) -> None:
    """Give what was sent, skipped, owed or said under an old slug the new one."""
    if not became:
        return
    query = update(delivery).where(delivery.c.lesson == bindparam("b_old"))
    rows = [{"b_old": old, "b_new": new} for old, new in became.items()]
    db.execute(query.values(lesson=bindparam("b_new")), rows)
    columns = (enrolment.c.id, enrolment.c.skip, enrolment.c.owed, enrolment.c.applied)
    for row in db.execute(select(*columns)).all():
        skip, owed = ([became.get(slug, slug) for slug in slugs] for slugs in (row.skip, row.owed))
        said = [became.get(slug, slug) for slug in row.applied.get("skip", ())]
        applied = row.applied | ({"skip": said} if said else {})
        if (skip, owed, applied) != (row.skip, row.owed, row.applied):
            values = {"skip": skip, "owed": owed, "applied": applied}
            db.execute(update(enrolment).where(enrolment.c.id == row.id).values(values))


def owed(person: Person, sent: Sent, old: Outline, new: Course) -> tuple[str, ...]:
    """The lessons that stood ahead of a person when the course was edited, and now stand behind.

    Slugs are today's, those of the old outline too.
    """
    reached = max((old.slugs.index(slug) for slug in sent if slug in old.slugs), default=-1)
    ahead = {slug for slug in old.slugs[reached + 1 :] if slug not in sent} | set(person.owed)
    last = max((new.by_slug[slug].week for slug in sent if slug in new.by_slug), default=-1)
    return tuple(each.slug for each in new.lessons if each.slug in ahead and each.week < last)
