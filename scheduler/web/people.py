"""People: finding somebody, and enrolling somebody.

What is searched for comes by POST, since an address with a patient's name in it would stand in the
browser's history and in the logs of whatever lies between.

Enrolling has two steps: the form, then the whole plan in words. Nothing is kept between them but
the fields on the page. An address or a name that is known is asked about, because couples share
addresses and people come back; an address that is not to be written to is refused.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from scheduler.ledger import deliveries, people
from scheduler.ledger.changes import Change, shown
from scheduler.ledger.people import Person
from scheduler.ledger.search import folded, search
from scheduler.ledger.suppressions import among
from scheduler.material.fields import clean, perhaps
from scheduler.plan.rules import PlannedLetter, next_letter
from scheduler.roster.entries import Entry
from scheduler.roster.merge import Merge, apply, new_person
from scheduler.web.forms import address_of, agreed_of, day_of, name_of, read_all, wording_of
from scheduler.web.gate import actor, allowed, me, office

MOST = 25  # people on a page
NAMESAKES = 500  # that are looked through for the very same name
SHORTEST = 2  # characters of a search
REFUSED = {
    "stopped": "Whoever has this address stopped the letters.",
    "bounced": "Letters to this address came back.",
    "complained": "Letters to this address were marked as spam.",
}
FIRST = "the day of the first appointment"
ASK = "If they want letters there again, ask your technician to allow the address."

pages = Blueprint("people", __name__)


@pages.route("/people", methods=["GET", "POST"])
@allowed("admin", "physiotherapist")
def find() -> ResponseReturnValue:
    words = clean(request.form.get("words", ""))[:100]
    with office.database.read() as db:
        if len(words) >= SHORTEST:
            found, number = search(db, words, MOST)
        else:
            found, number = people.newest(db, MOST), 0
        letters = plans(db, found)
    part = "app/found.html" if request.headers.get("X-Part") else "app/people.html"
    rows = [(each, standing(each, letters[each.enrolment_id])) for each in found]
    return render_template(part, words=words, rows=rows, number=number, most=MOST)


@pages.get("/people/new")
@allowed("admin", "physiotherapist")
def enrol() -> ResponseReturnValue:
    today = office.clinic.today(office.clock())
    mine = me().name if me().role == "physiotherapist" else ""
    form = {"consent": str(today), "physiotherapist": mine}
    return render_template("app/enrol.html", form=form, faults={})


@pages.post("/people/new")
@allowed("admin", "physiotherapist")
def look() -> ResponseReturnValue:
    form, now = request.form, office.clock()
    entry, faults = _entry(form, now)
    if entry is None or form.get("do") == "back":
        page = render_template("app/enrol.html", form=form, faults=faults)
        return page, 422 if faults else 200
    change, sure = Change("enrol", None, new_person(entry, now)), form.get("do") == "confirm"
    if sure:
        office.planner.refresh(office.database, now)
    with office.database.write() if sure else office.database.read() as db:
        if why := among(db, office.keys, [entry.email]).get(entry.email):
            faults = {"email": f"{REFUSED.get(why, REFUSED['stopped'])} {ASK}"}
            return render_template("app/enrol.html", form=form, faults=faults), 422
        known = _known(db, entry)
        letters = office.planner.plan(change.person, {}, now)
        if not sure or (known and not form.get("another")):
            asked = {"known": known, "again": sure, "perhaps": perhaps(entry.email)}
            return render_template(
                "app/enrol_plan.html", form=form, entry=entry, letters=letters, **asked
            )
        said = {change.person.enrolment_id: entry}
        apply(db, Merge(new=[change], said=said), office.planner, now, actor())
    first = next_letter(letters)
    when = f" The first letter comes {_when(first)}." if first else ""
    flash(f"Enrolled.{when}")
    return redirect(url_for("patient.page", enrolment=change.person.enrolment_id))


def plans(db: Connection, found: Collection[Person]) -> dict[str, list[PlannedLetter]]:
    """The letters of the people on a page, by enrolment."""
    gone, now = deliveries.sent(db, [each.enrolment_id for each in found]), office.clock()
    return {
        each.enrolment_id: office.planner.plan(each, gone.get(each.enrolment_id, {}), now)
        for each in found
    }


def standing(person: Person, letters: list[PlannedLetter]) -> dict[str, Any]:
    """How somebody stands, for a line of a list: a state, and the next letter."""
    coming = next_letter(letters)
    today = office.clinic.today(office.clock())
    held = any(hold.covers(today) for hold in person.hold)
    state: str = person.status
    if state != "active":
        pass
    elif coming is None:
        state = "held" if any(each.state == "held" for each in letters) else "finished"
    else:
        state = "held" if held else "late" if coming.overdue else "active"
    return {"state": state, "next": coming}


def _entry(form: Mapping[str, str], now: datetime) -> tuple[Entry | None, dict[str, str]]:
    """What the form says, or what is wrong with each field."""
    readers = {
        "name": name_of,
        "email": address_of,
        "first_appointment": lambda form: day_of(form, "first_appointment", FIRST),
        "consent": lambda form: agreed_of(form, office.clinic.today(now)),
        "agreed_to": lambda form: wording_of(form, office.clinic.agreement),
    }
    values, faults = read_all(form, readers)
    values["physiotherapist"] = clean(form.get("physiotherapist", "")) or None
    return (None if faults else Entry(**values)), faults


def _known(db: Connection, entry: Entry) -> list[Person]:
    """Who has this address or this name already."""
    same = search(db, entry.name, NAMESAKES)[0]
    mine = [each for each in same if folded(each.name) == folded(entry.name)]
    at_home = people.at_address(db, entry.email)
    return list({each.enrolment_id: each for each in [*at_home, *mine]}.values())


def _when(letter: PlannedLetter) -> str:
    return f"{shown(letter.local.date())} at {letter.local:%H:%M}" if letter.local else ""
