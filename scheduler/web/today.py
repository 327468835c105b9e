"""Today: what needs a person, and what goes out today and in the next two weeks.

The days are counted by the plan (see post.py of the ledger, and the page Post for other days). Of
each kind of trouble the first few are named, and the number of the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from scheduler.delivery.behind import SILENCE, Heartbeat, behind
from scheduler.doctor.records import LATE
from scheduler.ledger import caseload, deliveries, people, trail
from scheduler.ledger.changes import shown
from scheduler.ledger.people import Person
from scheduler.ledger.post import Item
from scheduler.material.signoff import Standing, standing
from scheduler.plan.calendar import DAY
from scheduler.plan.reasons import count
from scheduler.plan.rules import next_letter
from scheduler.roster import watch
from scheduler.roster.merge import BY
from scheduler.roster.watch import Waiting
from scheduler.web.forms import asked_day, plain
from scheduler.web.gate import allowed, me, office
from scheduler.web.people import plans

LATELY, SOON = 7 * DAY, 7  # how far back troubles are told; days ahead in which a hold ends
AHEAD = 14  # days that are counted
NAMED, PAGE = 8, 25  # of one kind of trouble; of a day's post


@dataclass(frozen=True)
class Trouble:
    """Somebody's letter, or somebody, that a person must look at."""

    person: Person
    lesson: str
    words: str
    at: date | None = None
    enrolment: str = ""


@dataclass(frozen=True)
class Needs:
    """What needs a person."""

    calls: list[Trouble]
    undecided: list[Trouble]
    refused: list[Trouble]
    late: list[Trouble]
    lost: list[Trouble]
    new: list[Trouble]
    holds: list[Trouble]
    numbers: Mapping[str, int]
    down: str
    file: Waiting | None
    unsigned: list[Standing]

    @property
    def count(self) -> int:
        """How many things there are."""
        by_itself = (self.down, self.file, self.unsigned)
        return sum(self.numbers.values()) + sum(map(bool, by_itself))


@dataclass(frozen=True)
class Day:
    """A day to come, how many letters it has, and why the clinic is closed, if it is."""

    day: date
    letters: int
    closed: str | None


pages = Blueprint("today", __name__)


@pages.get("/")
@allowed("admin", "physiotherapist", "technician")
def page() -> ResponseReturnValue:
    now, named = office.clock(), me().role != "technician"
    today = office.clinic.today(now)
    day = max(today, asked_day(today))
    skip = max(0, request.args.get("from", 0, int))
    with office.database.read() as db:
        last = Heartbeat.last(db)
        coming = office.outlook.days(db, office.planner, now)
        went = deliveries.went(db, office.begins(today))
        needs = _needs(db, last, now)
        items = coming.get(day, ())
        post = _post(db, items[skip : skip + PAGE]) if named else []
    ahead = [today + number * DAY for number in range(AHEAD)]
    closed = office.planner.calendar.closed
    days = [Day(each, len(coming.get(each, ())), closed(each)) for each in ahead]
    told = {"needs": needs, "days": days, "went": went, "ago": _ago(last, now)}
    told |= {"day": day, "today": today, "post": post, "number": len(items), "skip": skip}
    told |= {"named": named, "page": PAGE, "drafts": _drafts()}
    return render_template("app/today.html", **told)


def _drafts() -> bool:
    return office.settings.channel == "folder"


def _post(db: Connection, items: Sequence[Item]) -> list[tuple[Person, Item, datetime]]:
    """Whose letters these are, and when they go where the patient is."""
    whose = people.of_enrolments(db, {each.enrolment for each in items})
    told = [(whose[each.enrolment], each) for each in items]
    return [(who, each, each.at.astimezone(who.zone(office.clinic))) for who, each in told]


def _needs(db: Connection, last: Heartbeat | None, now: datetime) -> Needs:
    material = office.planner.material
    late = sum(people.due_at(db, now - LATE).values())
    today = office.clinic.today(now)
    rows = deliveries.troubled(db, now - LATELY)
    undecided = [row for row in rows if row["state"] == "unknown"]
    refused = [row for row in rows if row["state"] == "refused"]
    first = [*undecided[:NAMED], *refused[-NAMED:]]
    whose = people.of_enrolments(db, {row["enrolment_id"] for row in first})
    told = [
        Trouble(
            whose[row["enrolment_id"]],
            row["lesson"],
            row["outcome"],
            office.clinic.today(row["claimed_at"]),
            row["enrolment_id"],
        )
        for row in first
    ]
    lost = trail.lost(db, now - LATELY)
    calls, asked = caseload.asked(db, NAMED)
    new, enrolled = caseload.enrolled(db, BY, now - LATELY, NAMED)
    holds = [
        Trouble(each, "", hold.reason, hold.until)
        for each in people.held_until(db, [today + number * DAY for number in range(1, SOON + 1)])
        for hold in each.hold
        if hold.until and today < hold.until <= today + SOON * DAY
    ]
    unsigned = [each for each in standing(material, today).values() if each.state != "signed"]
    numbers = {
        "calls": asked,
        "undecided": len(undecided),
        "refused": len(refused),
        "late": late,
        "lost": len(lost),
        "new": enrolled,
        "holds": len(holds),
    }
    return Needs(
        calls=[Trouble(each, "", "", each.call_asked_at) for each in calls],
        undecided=told[: len(undecided[:NAMED])],
        refused=told[len(undecided[:NAMED]) :],
        late=_late(db, last, now) if late and not _down(last, now) else [],
        lost=[Trouble(each, "", each.status, office.clinic.today(at)) for each, at in lost[:NAMED]],
        new=[Trouble(each, "", "", _first_day(each, now)) for each in new],
        holds=sorted(holds, key=lambda each: str(each.at))[:NAMED],
        numbers=numbers,
        down=_down(last, now),
        file=watch.waiting(db),
        unsigned=unsigned,
    )


def _first_day(person: Person, now: datetime) -> date | None:
    """When the first letter goes to somebody who has had none."""
    first = office.planner.coming(person, {}, now)
    return first.local.date() if first and first.local else None


def _late(db: Connection, last: Heartbeat | None, now: datetime) -> list[Trouble]:
    """The first of those who are due and whose letter has not gone, each with the reason."""
    found = people.due(db, now - LATE, NAMED)
    letters = plans(db, found)
    by_id = {each.id: each for each in found}
    today = office.clinic.today(now)
    faulty = {} if _drafts() else office.planner.barred(today)
    # A letter that is due but not overdue yet is asked about as if it were.
    asked = [
        (each, [replace(one, overdue=one.overdue or (one.local.date() if one.local else None))])
        for each in found
        if (one := next_letter(letters[each.enrolment_id]))
    ]
    told = behind(asked, faulty, last, now)
    when = {who.id: letter.local for who, (letter,) in asked if letter.local}
    words = {who: f"It goes {shown(local.date())} at {local:%H:%M}" for who, local in when.items()}
    return [
        Trouble(
            by_id[each.id],
            each.lesson,
            words[each.id] if each.why.startswith("overdue") else plain(each.why),
            each.since,
        )
        for each in told
    ]


def _down(last: Heartbeat | None, now: datetime) -> str:
    """Why nothing is being sent, or nothing."""
    if last is None:
        return "Nothing has been sent yet: the service has not run."
    if now - last.at > SILENCE:
        return "The service is silent. Ask your technician to look whether it runs."
    return f"The way out is closed: {last.down}." if last.down else ""


def _ago(last: Heartbeat | None, now: datetime) -> str:
    """How long ago the last round was."""
    if last is None:
        return ""
    seconds = max(0, int((now - last.at).total_seconds()))
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if number := seconds // size:
            return f"{count(number, name)} ago"
    return "just now"
