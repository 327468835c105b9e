"""What an edit of the course does to those inside it, before it does it (P12).

1. The outline that the service last used is held against the course on disk: which lessons were put
   in, taken out, moved, renamed.
2. Everybody is planned by both. Each edited lesson gets the numbers of people before it, waiting at
   it and past it, and what those who wait get instead; the dates that move are counted.
3. How many wait for each lesson of a course is reckoned without planning anybody: a lesson is
   before whoever has had none of its week or a later one, or is owed it (P12), and does not skip it
   (P7). The database counts people by the last week that they have had; only those who skip or
   are owed something are looked at one by one.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from difflib import SequenceMatcher

from sqlalchemy import Connection, Text, case, cast, func, or_, select, tuple_

from scheduler.ledger import deliveries, people
from scheduler.ledger.outline import Outline, owed, renames
from scheduler.ledger.people import CURRENT
from scheduler.ledger.planner import Planner
from scheduler.ledger.tables import delivery, enrolment
from scheduler.material import Material
from scheduler.material.lessons import Course
from scheduler.plan.rules import PlannedLetter

COMING = {"planned", "held"}
ACTIVE = enrolment.c.status == "active"


@dataclass
class Effect:
    """What an edit does about one lesson, in numbers of people under way."""

    lesson: str
    edit: str
    before: int = 0
    waiting: int = 0
    past: int = 0
    instead: dict[str, int] = field(default_factory=dict)


@dataclass
class Impact:
    """The edited lessons, the people under way, and how many of them see their dates change."""

    effects: list[Effect] = field(default_factory=list)
    people: int = 0
    moved: int = 0
    letters: int = 0


def impact(db: Connection, material: Material, now: datetime) -> Impact:
    """Hold the course on disk against the one that was last used; nothing is written.

    Raises:
        WrongInput: a lesson was renamed, or swapped for another, and does not say which.

    """
    last = Outline.last(db)
    if last is None:
        return Impact()
    course = material.course
    became = renames(last, course)
    old = last.renamed(became)
    after = Planner(material)
    before = after.earlier(old)
    result = Impact([Effect(lesson, edit) for lesson, edit in edits(old, became, course).items()])
    gone = deliveries.sent(db)
    for person in [each for each in people.everyone(db) if each.status == "active"]:
        kept = replace(person, skip=tuple(became.get(slug, slug) for slug in person.skip))
        went = gone.get(person.enrolment_id, {})
        sent = {became.get(slug, slug): at for slug, at in went.items()}
        was = before.plan(kept, sent, now)
        becoming = replace(kept, owed=owed(kept, sent, old, course))
        becoming = after.keep_distance(kept, becoming, sent, now, before=before)
        becomes = after.plan(becoming, sent, now)
        _count(result, was, becomes)
    return result


def edits(old: Outline, became: Mapping[str, str], course: Course) -> dict[str, str]:
    """What became of each lesson that is not as it was, in words."""
    now, names = list(course.by_slug), {new: slug for slug, new in became.items()}
    blocks = SequenceMatcher(None, old.slugs, now, autojunk=False).get_matching_blocks()
    unmoved = {slug for block in blocks for slug in now[block.b : block.b + block.size]}
    told = {slug: "taken out" for slug in old.slugs if slug not in course.by_slug}
    for slug in now:
        if slug not in old.slugs:
            told[slug] = "put in"
        elif slug not in unmoved:
            told[slug] = "moved"
        elif slug in names:
            told[slug] = f"renamed, was {names[slug]}"
    return told


def _count(result: Impact, was: Sequence[PlannedLetter], becomes: Sequence[PlannedLetter]) -> None:
    """Add one person."""
    (had, first), (has, then) = _state(was), _state(becomes)
    result.people += 1
    dates = {each.lesson: each.local for each in was if each.local}
    changed = [each for each in becomes if each.local != dates.get(each.lesson)]
    lost = [slug for slug in dates if slug not in has]
    result.moved += bool(changed or lost)
    result.letters += len(changed) + len(lost)
    for effect in result.effects:
        states = {had.get(effect.lesson), has.get(effect.lesson)}
        if effect.lesson in (first, then):
            effect.waiting += 1
            if first != then:
                words = f"{then or 'nothing'} instead of {first or 'nothing'}"
                effect.instead[words] = effect.instead.get(words, 0) + 1
        elif states & COMING:
            effect.before += 1
        else:
            effect.past += 1


def _state(letters: Sequence[PlannedLetter]) -> tuple[dict[str, str], str | None]:
    """The states by lesson, and the lesson that comes next."""
    states: dict[str, str] = {letter.lesson: letter.state for letter in letters}
    return states, next((slug for slug in states if states[slug] in COMING), None)


def waiting(db: Connection, course: Course) -> Mapping[str, int]:
    """How many people under way have each lesson still before them, without planning anybody."""
    had = delivery.c.enrolment_id, delivery.c.lesson
    again = select(*had).where(delivery.c.state == "deferred")
    weeks = case({each.slug: each.week for each in course.lessons}, value=delivery.c.lesson)
    went = select(func.max(weeks)).where(had[0] == enrolment.c.id, tuple_(*had).not_in(again))
    week = func.coalesce(went.scalar_subquery(), -1).label("week")

    ahead: Counter[str] = Counter()
    everybody = select(week, func.count()).where(ACTIVE, CURRENT).group_by("week")
    for reached, number in db.execute(everybody).all():
        ahead.update({each.slug: number for each in course.lessons if each.week > reached})

    tailored = or_(*(cast(each, Text) != "[]" for each in (enrolment.c.skip, enrolment.c.owed)))
    some = select(enrolment.c.id, enrolment.c.skip, enrolment.c.owed, week)
    rows = db.execute(some.where(ACTIVE, CURRENT, tailored)).all()
    sent = deliveries.sent(db, [row.id for row in rows if row.owed]) if rows else {}
    for who, skip, late, reached in rows:
        for each in course.lessons:
            if each.week > reached:
                ahead[each.slug] -= each.slug in skip
            elif each.slug in late and each.slug not in {*skip, *sent.get(who, ())}:
                ahead[each.slug] += 1
    return ahead
