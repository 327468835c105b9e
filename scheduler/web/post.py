"""The time machine: any day's outgoing post, as it went or as it would go if nothing changes.

What went is told by the deliveries, what is to come by the plan that the rounds use (see post.py of
the ledger). The letters on a page are planned anew, for their reasons. A technician sees numbers.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from scheduler.ledger import people, post
from scheduler.ledger.people import Person
from scheduler.ledger.post import Days, Group, Item
from scheduler.plan.calendar import DAY
from scheduler.web.forms import asked_day
from scheduler.web.gate import allowed, me, office
from scheduler.web.patient import became
from scheduler.web.people import plans
from scheduler.web.today import Day

PAGE, WEEK = 25, 7


@dataclass(frozen=True)
class Row:
    """One letter of a day: when it is planned for (UTC), whose it is, how it stands, and why."""

    at: datetime
    lesson: str
    person: Person
    state: str
    reasons: Sequence[str]

    @property
    def theirs(self) -> datetime | None:
        """The time where the patient is, if that is another zone than the clinic's."""
        return self.at.astimezone(self.person.timezone) if self.person.timezone else None

    @property
    def key(self) -> tuple[datetime, str]:
        """What it is grouped by."""
        return self.at, self.lesson


pages = Blueprint("post", __name__)


@pages.get("/post")
@allowed("admin", "physiotherapist", "technician")
def page() -> ResponseReturnValue:
    now, named = office.clock(), me().role != "technician"
    today = office.clinic.today(now)
    day = asked_day(today)
    skip = max(0, request.args.get("from", 0, int))
    with office.database.read() as db:
        days = office.outlook.days(db, office.planner, now)
        items = days.get(day, ()) if day >= today else ()
        went = post.groups(db, office.begins(day), office.begins(day + DAY)) if day <= today else []
        before = sum(each.number for each in went)
        rows = _rows(db, day, items, before, skip) if named else []
        week = _week(db, day, days, today)
    told = {"day": day, "today": today, "week": week, "rows": rows, "skip": skip, "page": PAGE}
    groups = {"went": went, "coming": _groups(items), "named": named}
    told |= {"before": day - WEEK * DAY, "after": day + WEEK * DAY}
    return render_template("app/post.html", **told, **groups)


def _groups(items: Sequence[Item]) -> list[Group]:
    """What is to come, in numbers."""
    counted = Counter((each.at, each.week, each.lesson) for each in items)
    return [Group(at, lesson, number) for (at, _, lesson), number in counted.items()]


def _rows(db: Connection, day: date, items: Sequence[Item], before: int, skip: int) -> list[Row]:
    """A page of a day's letters: the ones that went `before`, then those to come."""
    span = office.begins(day), office.begins(day + DAY)
    gone = post.went(db, *span, skip=skip, most=PAGE) if skip < before else []
    rest = max(0, skip - before)
    coming = items[rest : rest + PAGE - len(gone)]
    named = {*(row["enrolment_id"] for row in gone), *(each.enrolment for each in coming)}
    whose = people.of_enrolments(db, named)
    letters = plans(db, [whose[each.enrolment] for each in coming])
    told = [_gone(row, whose[row["enrolment_id"]]) for row in gone]
    for each in coming:
        mine = letters[each.enrolment]
        why = next((one.reasons for one in mine if one.lesson == each.lesson), ())
        told.append(Row(each.at, each.lesson, whose[each.enrolment], "planned", why))
    return told


def _gone(row: Mapping[str, Any], person: Person) -> Row:
    why = (*row["reasons"], *filter(None, [row["outcome"]]))
    return Row(row["planned_for"], row["lesson"], person, became(row), why)


def _week(db: Connection, day: date, days: Days, today: date) -> list[Day]:
    """The week around a day, in numbers, and why the clinic is closed where it is."""
    monday, calendar = day - day.weekday() * DAY, office.planner.calendar
    span, letters = (monday, monday + WEEK * DAY), Counter[date]()
    for at, number in post.claimed(db, *map(office.begins, span)).items():
        letters[office.clinic.today(at)] += number
    week = [monday + number * DAY for number in range(WEEK)]
    for each in week:
        letters[each] += len(days.get(each, ())) if each >= today else 0
    return [Day(each, letters[each], calendar.closed(each)) for each in week]
