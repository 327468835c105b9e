"""Today: what needs a person, and what goes out today and in the next two weeks.

Nobody is planned who is not shown: each enrolment keeps when its next letter is due (D1), and that
is what the days are counted by. Of each kind of trouble the first few are named, and the number of
the others.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from scheduler.delivery.behind import SILENCE, Heartbeat, behind
from scheduler.ledger import deliveries, people, trail
from scheduler.ledger.changes import shown
from scheduler.ledger.people import Person
from scheduler.material.fields import parse_date
from scheduler.material.signoff import Standing, barred, standing
from scheduler.material.yamlfile import Unusable
from scheduler.plan.calendar import DAY
from scheduler.plan.rules import PlannedLetter, next_letter
from scheduler.web.gate import Office, allowed, me
from scheduler.web.people import plans
from scheduler.web.verbs import plain

LATELY, SOON = 7 * DAY, 7  # how far back troubles are told; days ahead in which a hold ends
AHEAD = 14  # days that are counted
NAMED, PAGE = 8, 25  # of one kind of trouble; of a day's post
DUE = timedelta(minutes=10)  # what is due for longer than this waits for something
EVER = datetime(1, 1, 1, tzinfo=UTC)


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

    undecided: list[Trouble]
    refused: list[Trouble]
    late: list[Trouble]
    lost: list[Trouble]
    holds: list[Trouble]
    numbers: Mapping[str, int]
    down: str
    unsigned: list[Standing]

    @property
    def count(self) -> int:
        """How many things there are."""
        return sum(self.numbers.values()) + bool(self.down) + bool(self.unsigned)


@dataclass(frozen=True)
class Day:
    """A day to come, how many letters it has, and why the clinic is closed, if it is."""

    day: date
    letters: int
    closed: str | None


def views(office: Office) -> Blueprint:
    """The screen."""
    pages = Blueprint("today", __name__)

    @pages.get("/")
    @allowed("admin", "physiotherapist", "technician")
    def page() -> ResponseReturnValue:
        now, named = office.clock(), me().role != "technician"
        zone = office.planner.material.clinic.timezone
        today = now.astimezone(zone).date()
        day = _chosen(request.args.get("day", ""), today)
        skip = max(0, request.args.get("from", 0, int))
        midnight, until = _instant(office, today), _instant(office, today + AHEAD * DAY)
        with office.database.read() as db:
            last = Heartbeat.last(db)
            due = people.due_at(db, until)
            went = deliveries.went(db, midnight)
            needs = _needs(office, db, last, sum(n for at, n in due.items() if at < now - DUE), now)
            post = _post(office, db, day, today, skip) if named else []
        counts = Counter[date]()
        for at, number in due.items():
            counts[max(today, at.astimezone(zone).date())] += number
        calendar = office.planner.calendar
        ahead = [today + number * DAY for number in range(AHEAD)]
        days = [Day(each, counts[each], calendar.closed(each)) for each in ahead]
        told = {"needs": needs, "days": days, "went": went, "ago": _ago(last, now)}
        told |= {"day": day, "today": today, "post": post, "number": counts[day], "skip": skip}
        told |= {"named": named, "page": PAGE, "drafts": _drafts(office)}
        return render_template("app/today.html", **told)

    return pages


def _chosen(asked: str, today: date) -> date:
    try:
        return max(today, parse_date(asked)) if asked else today
    except Unusable:
        return today


def _instant(office: Office, day: date) -> datetime:
    """When a day begins at the clinic."""
    return datetime.combine(day, time.min, office.planner.material.clinic.timezone).astimezone(UTC)


def _drafts(office: Office) -> bool:
    return office.settings.channel == "folder"


def _post(
    office: Office, db: Connection, day: date, today: date, skip: int
) -> list[tuple[Person, PlannedLetter]]:
    """Whose letters go on a day, by the time; what is due since before goes today."""
    first = EVER if day == today else _instant(office, day)
    found = people.due(db, first, _instant(office, day + DAY), skip=skip, most=PAGE)
    letters = plans(office, db, found)
    coming = [(each, next_letter(letters[each.enrolment_id])) for each in found]
    return [(each, letter) for each, letter in coming if letter]


def _needs(
    office: Office, db: Connection, last: Heartbeat | None, late: int, now: datetime
) -> Needs:
    material = office.planner.material
    today = now.astimezone(material.clinic.timezone).date()
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
            row["claimed_at"].astimezone(material.clinic.timezone).date(),
            row["enrolment_id"],
        )
        for row in first
    ]
    lost = trail.lost(db, now - LATELY)
    holds = [
        Trouble(each, "", hold.reason, hold.until)
        for each in people.held_until(db, [today + number * DAY for number in range(1, SOON + 1)])
        for hold in each.hold
        if hold.until and today < hold.until <= today + SOON * DAY
    ]
    unsigned = [each for each in standing(material, today).values() if each.state != "signed"]
    numbers = {
        "undecided": len(undecided),
        "refused": len(refused),
        "late": late,
        "lost": len(lost),
        "holds": len(holds),
    }
    return Needs(
        undecided=told[: len(undecided[:NAMED])],
        refused=told[len(undecided[:NAMED]) :],
        late=_late(office, db, last, now) if late and not _down(last, now) else [],
        lost=[Trouble(each, "", each.status, at.date()) for each, at in lost[:NAMED]],
        holds=sorted(holds, key=lambda each: str(each.at))[:NAMED],
        numbers=numbers,
        down=_down(last, now),
        unsigned=unsigned,
    )


def _late(office: Office, db: Connection, last: Heartbeat | None, now: datetime) -> list[Trouble]:
    """The first of those who are due and whose letter has not gone, each with the reason."""
    found = people.due(db, EVER, now - DUE, skip=0, most=NAMED)
    letters = plans(office, db, found)
    by_id = {each.id: each for each in found}
    material = office.planner.material
    today = now.astimezone(material.clinic.timezone).date()
    faulty = {} if _drafts(office) else barred(material, today)
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
            return f"{number} {name}{'' if number == 1 else 's'} ago"
    return "just now"
