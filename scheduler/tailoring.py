"""The verbs with which staff tailor a person's course: the command line and the web app call these.

1. A verb is pure: it takes the person and gives the change, or refuses what cannot be.
2. propose() looks the person up and sets old dates beside new ones; nothing is written.
3. commit() writes it in one transaction, if the person is still as they were when it was proposed.
4. undo() is the change that takes the last one back.

Dates are the patient's local dates. Which of them a hold includes is P6 of the design.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time
from typing import Any, Literal, get_args

from sqlalchemy import Connection

from scheduler.findings import NotDone, closest, wrong
from scheduler.keys import Keys
from scheduler.ledger import changes, people
from scheduler.ledger.changes import Change, shown
from scheduler.ledger.database import Database
from scheduler.ledger.people import Person, Style, new_id
from scheduler.ledger.planner import Planner
from scheduler.ledger.suppressions import among, lift, suppress
from scheduler.material.lessons import Course
from scheduler.plan.enrolment import Hold
from scheduler.roster.entries import LONGEST_NOTE, PACES
from scheduler.roster.proposal import Proposal, proposed

Ending = Literal["discharged", "died", "stopped", "finished"]
ENDINGS: tuple[Ending, ...] = get_args(Ending)
Verb = Callable[[Person], Change]


def move(person: Person, *, start: date | None = None, appointment: date | None = None) -> Change:
    """Another start, or another first appointment (P1, P10).

    A start that was set before stays, unless the new first appointment comes after it.
    """
    first = appointment or person.first_appointment
    if start and start < first:
        words = f"{shown(start)} is before the first appointment, {shown(first)}"
        raise wrong("start", None, words, "name that day or a later one")
    kept = person.start if person.start and person.start >= first else None
    return _tailored("move", person, first_appointment=first, start=start or kept)


def hold(person: Person, first: date, until: date | None, reason: str, today: date) -> Change:
    """Send nothing from a day on until another, the first day after the hold (P6).

    Holds that touch it become one with it, and end when it ends: so a hold under way is made longer
    or shorter.
    """
    if until and until <= first:
        words = f"{shown(until)} does not come after {shown(first)}"
        raise wrong("until", None, words, "until is the first day after the hold")
    if until and until <= today:
        raise wrong("until", None, f"{shown(until)} has come already", "name a day to come")
    touched = [each for each in person.hold if _touch(each, first, until)]
    begins = min([first, *(each.first for each in touched)])
    kept = [each for each in person.hold if each not in touched]
    holds = sorted([*kept, Hold(begins, until, reason)], key=lambda each: each.first)
    return _tailored("hold", person, hold=tuple(holds))


def resume(person: Person, today: date) -> Change:
    """End the hold that is under way; with none under way, take off the next one to come."""
    _active(person)
    if not (mine := person.holds(today)):
        raise wrong("resume", None, f"{person.id} has no hold to end")
    ending = min(mine, key=lambda each: each.first)
    kept = [each for each in person.hold if each != ending]
    if ending.first < today:
        kept.append(replace(ending, until=today))
    holds = sorted(kept, key=lambda each: each.first)
    return _tailored("resume", person, hold=tuple(holds))


def skip(person: Person, lesson: str, course: Course) -> Change:
    """Leave a lesson out; the rest close up (P7)."""
    _known(lesson, course)
    return _tailored("skip", person, skip=tuple(dict.fromkeys([*person.skip, lesson])))


def keep(person: Person, lesson: str, course: Course) -> Change:
    """Send a lesson after all that was to be skipped."""
    _known(lesson, course)
    return _tailored("keep", person, skip=tuple(slug for slug in person.skip if slug != lesson))


def pace(person: Person, days: int | None) -> Change:
    """So many days between letters, or with None the course's own pace (P2)."""
    if days is not None and days not in PACES:
        cure = f"use {PACES.start} to {PACES.stop - 1}"
        raise wrong("pace", None, f"{days} days cannot be kept", cure)
    return _tailored("pace", person, pace=days)


def at(person: Person, clock: time | None) -> Change:
    """Another time of day, or with None the clinic's (P3)."""
    return _tailored("at", person, send_at=clock)


def note(person: Person, words: str | None) -> Change:
    """The physiotherapist's note in every letter from now on, or with None no note."""
    if words and len(words) > LONGEST_NOTE:
        raise wrong("note", None, f"has {len(words)} characters", f"keep it to {LONGEST_NOTE}")
    return _tailored("note", person, note=words or None)


def style(person: Person, kind: Style | None) -> Change:
    """Letters as text alone or in large print from now on, or with None as usual."""
    return _tailored("style", person, style=kind)


def correct(
    person: Person, *, email: str = "", name: str = "", physiotherapist: str = ""
) -> Change:
    """Another address, name or physiotherapist; what is left out stays.

    A course that ended because letters came back goes on at a new address.
    """
    given = {"email": email, "name": name, "physiotherapist": physiotherapist}
    fields: dict[str, Any] = {field: value for field, value in given.items() if value}
    if person.status == "bounced" and email not in ("", person.email):
        fields["status"] = "active"
    else:
        _active(person)
    return _change("correct", person, **fields)


def call(person: Person, asked_at: datetime | None) -> Change:
    """Note that somebody asked for a call, or with None that they were called or need none."""
    return _change("call", person, call_asked_at=asked_at)


def at_once(person: Person, asked_at: datetime, today: date) -> Change:
    """Send the next letter at once; those after it keep their own dates."""
    _active(person)
    if over := next((each for each in person.hold if each.covers(today)), None):
        cure = "resume the letters first"
        raise wrong("now", None, f"the letters are held until {shown(over.until)}", cure)
    return _tailored("now", person, at_once=asked_at)


def end(person: Person, ending: Ending) -> Change:
    """End the course: nothing more is sent (P11)."""
    return _tailored("end", person, status=ending)


def reenrol(person: Person, appointment: date, consent: date, now: datetime) -> Change:
    """Begin the course anew after it ended; what was sent stays in history.

    Somebody who stopped the letters has to have agreed anew since.
    """
    if person.status == "active":
        cure = f"end it first: physiopost end {person.id} --reason …"
        raise wrong("reenrol", None, f"the course of {person.id} is under way", cure)
    if person.status == "stopped" and consent <= person.consent:
        words = f"{person.id} stopped the letters, and agreed last on {shown(person.consent)}"
        raise wrong("consent", None, words, "ask again, and give the day with --consent")
    after = replace(
        person,
        consent=consent,
        agreed_to=None,
        first_appointment=appointment,
        enrolled_at=now,
        enrolment_id=new_id(),
        start=None,
        hold=(),
        skip=(),
        owed=(),
        anchor=None,
        note=None,
        call_asked_at=None,
        at_once=None,
        status="active",
    )
    return Change("reenrol", person, after)


def propose(database: Database, planner: Planner, who: str, verb: Verb, now: datetime) -> Proposal:
    """What a verb would do to somebody; WrongInput if nobody has that id, or the verb refuses."""
    with database.read() as db:
        return proposed(db, [verb(people.known(db, who))], planner, now)[0]


def undo(database: Database, planner: Planner, who: str, now: datetime) -> Proposal:
    """What would take back the newest change of somebody; WrongInput if there is none."""
    with database.read() as db:
        person = people.known(db, who)
        if change := changes.last(db, person):
            return proposed(db, [change], planner, now)[0]
    raise wrong("undo", None, f"nothing was changed about {who} that can be taken back")


def undo_batch(database: Database, planner: Planner, batch: str, now: datetime) -> list[Proposal]:
    """What would take back an import; WrongInput if it was already, NotDone if it was changed."""
    with database.read() as db:
        if todo := changes.of_batch(db, batch):
            return proposed(db, todo, planner, now)
    raise wrong("undo", None, f'no import "{batch}" can be taken back', "see physiopost audit")


def commit(
    database: Database,
    planner: Planner,
    todo: list[Proposal],
    now: datetime,
    by: str,
    *,
    keys: Keys | None = None,
) -> None:
    """Write what was proposed, all of it or nothing.

    With the keys, the address of somebody who wants no more letters is left alone from now on, and
    that of somebody who is enrolled anew is written to again. NotDone if somebody was changed
    meanwhile, or has been written to who is to be taken away.
    """
    with database.write() as db:
        for each in todo:
            before = each.change.before
            if before and people.find(db, before.id) != before:
                raise NotDone(f"{before.id} was changed meanwhile, so nothing was done; look again")
        if keys:
            for each in todo:
                _may_write(db, keys, each.change)
        changes.write(db, planner, [each.change for each in todo], now, by)
        if keys:
            for each in todo:
                _mark(db, keys, each.change, now, by)


def _may_write(db: Connection, keys: Keys, change: Change) -> None:
    """NotDone if a course would go on at a new address that must not be written to."""
    before, after = change.before, change.after
    moved = before and after and after.status == "active" and before.email != after.email
    if after and moved and (why := among(db, keys, [after.email]).get(after.email)):
        words = f"the new address is on the list of those not to be written to ({why})"
        raise NotDone(f"{words}; ask the person, then physiopost allow ADDRESS")


def _mark(db: Connection, keys: Keys, change: Change, now: datetime, by: str) -> None:
    was = change.before.status if change.before else "active"
    if not change.after or was == change.after.status:
        return
    if change.after.status == "active":
        lift(db, keys, change.after.email)
    elif change.after.status == "stopped" and not people.in_use(db, change.after.email):
        suppress(db, keys, change.after.email, reason="stopped", at=now, by=by)


def _touch(hold: Hold, first: date, until: date | None) -> bool:
    """Whether a hold shares a day with the days from `first` until `until`."""
    return (hold.until is None or first < hold.until) and (until is None or hold.first < until)


def _tailored(action: str, person: Person, **fields: Any) -> Change:
    _active(person)
    return _change(action, person, **fields)


def _active(person: Person) -> None:
    if person.status != "active":
        cure = f"physiopost reenrol {person.id} begins it anew"
        raise wrong("status", None, f"the course of {person.id} has ended ({person.status})", cure)


def _known(lesson: str, course: Course) -> None:
    if lesson not in course.by_slug:
        cure = closest(lesson, course.by_slug)
        raise wrong("lesson", None, f'"{lesson}" is not a lesson', cure)


def _change(action: str, before: Person, **fields: Any) -> Change:
    if (after := replace(before, **fields)) == before:
        raise wrong(action, None, f"that is how it is for {before.id} already")
    return Change(action, before, after)
