"""How many people under way have each lesson still before them, without planning anybody.

A lesson is before whoever has had none of its week or a later one, or is owed it (P12), and does
not skip it (P7). The database counts people by the last week that they have had; only those who
skip or are owed something are looked at one by one.
"""

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import Connection, Text, case, cast, func, or_, select, tuple_

from scheduler.ledger import deliveries
from scheduler.ledger.people import CURRENT
from scheduler.ledger.tables import delivery, enrolment
from scheduler.material.lessons import Course

ACTIVE = enrolment.c.status == "active"


def ahead(db: Connection, course: Course) -> Mapping[str, int]:
    """The people who wait for each lesson."""
    had = delivery.c.enrolment_id, delivery.c.lesson
    again = select(*had).where(delivery.c.state == "deferred")
    weeks = case({each.slug: each.week for each in course.lessons}, value=delivery.c.lesson)
    went = select(func.max(weeks)).where(had[0] == enrolment.c.id, tuple_(*had).not_in(again))
    week = func.coalesce(went.scalar_subquery(), -1).label("week")

    waiting: Counter[str] = Counter()
    everybody = select(week, func.count()).where(ACTIVE, CURRENT).group_by("week")
    for reached, number in db.execute(everybody).all():
        waiting.update({each.slug: number for each in course.lessons if each.week > reached})

    tailored = or_(*(cast(each, Text) != "[]" for each in (enrolment.c.skip, enrolment.c.owed)))
    some = select(enrolment.c.id, enrolment.c.skip, enrolment.c.owed, week)
    rows = db.execute(some.where(ACTIVE, CURRENT, tailored)).all()
    sent = deliveries.sent(db, [row.id for row in rows if row.owed]) if rows else {}
    for who, skip, owed, reached in rows:
        for each in course.lessons:
            if each.week > reached:
                waiting[each.slug] -= each.slug in skip
            elif each.slug in owed and each.slug not in {*skip, *sent.get(who, ())}:
                waiting[each.slug] += 1
    return waiting
