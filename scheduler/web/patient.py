"""One patient: the time line, and the verbs that tailor the course.

1. An address of these pages holds an enrolment's opaque id, and never a name.
2. A verb goes: its form, then old dates beside new ones, then done. The word to do it carries the
   mark of what was shown; if somebody or something else was quicker, nothing is done, and the page
   says what has changed and shows the dates as they would be now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scheduler import tailoring
from scheduler.delivery.round import Round
from scheduler.findings import Finding, NotDone, WrongInput
from scheduler.ledger import changes, deliveries, people, trail
from scheduler.ledger.people import Person
from scheduler.ledger.planner import WORDS
from scheduler.ledger.trail import Line
from scheduler.plan.rules import PlannedLetter, next_letter
from scheduler.roster.proposal import Proposal
from scheduler.web.forms import faults, sentence
from scheduler.web.gate import Office, allowed, me
from scheduler.web.verbs import READ, VERBS, Form, offered

LINES = 200  # of the audit
LATELY = timedelta(minutes=10)  # in which undo stands at the top
CALLED = "Written down: they were called."
ARRIVED = "Written down: it arrived."
AGAIN = "It goes again with the next round, unless a later letter has gone since."
DIRECT = ("now", "resume", "undo")  # there is nothing to fill in
SETTLED = "Somebody or something has settled this letter already."
FINAL = ("undo", "stop", "bounced", "complained")  # what undo does not take back
RETURNED = ("bounce", "blocked", "dropped", "spamreport")


@dataclass(frozen=True)
class Step:
    """One thing on the time line. `state` is a letter's, or what else it is."""

    state: str
    at: datetime | None
    lesson: str = ""
    words: tuple[str, ...] = ()
    by: str = ""
    row: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Case:
    """What is known of a patient."""

    person: Person
    letters: list[PlannedLetter]
    steps: list[Step]
    lines: list[Line]
    undoable: bool

    @property
    def next(self) -> PlannedLetter | None:
        """The letter that comes next."""
        return next_letter(self.letters)

    def lately(self, now: datetime) -> bool:
        """Whether the newest line is fresh and can be taken back."""
        fresh = [each for each in self.lines[-1:] if each.at > now - LATELY]
        return self.undoable and any(each.action not in FINAL for each in fresh)


def views(office: Office) -> Blueprint:
    """The screens."""
    pages = Blueprint("patient", __name__, url_prefix="/people/<enrolment>")

    @pages.get("")
    @allowed("admin", "physiotherapist")
    def page(enrolment: str) -> ResponseReturnValue:
        now = office.clock()
        case = _case(office, enrolment, now)
        if case.person.enrolment_id != enrolment:
            return redirect(url_for("patient.page", enrolment=case.person.enrolment_id))
        verbs = offered(case.person, case.letters, office.clinic.today(now))
        return render_template(
            "app/patient.html",
            case=case,
            person=case.person,
            verbs=verbs,
            VERBS=VERBS,
            lately=case.lately(now),
        )

    @pages.route(f"/<any({', '.join(VERBS)}):verb>", methods=["GET", "POST"])
    @allowed("admin", "physiotherapist")
    def change(enrolment: str, verb: str) -> ResponseReturnValue:
        return _change(office, _case(office, enrolment, office.clock()), verb, request.form)

    @pages.post("/called")
    @allowed("admin", "physiotherapist")
    def called(enrolment: str) -> ResponseReturnValue:
        now, case = office.clock(), _case(office, enrolment, office.clock())
        if case.person.call_asked_at:
            verb = partial(tailoring.call, asked_at=None)
            parts = office.database, office.planner
            _commit(office, tailoring.propose(*parts, case.person.id, verb, now), now)
        flash(CALLED)
        return _back(enrolment)

    @pages.post("/settle/<lesson>")
    @allowed("admin", "physiotherapist")
    def settle(enrolment: str, lesson: str) -> ResponseReturnValue:
        arrived = request.form.get("do") == "arrived"
        if not arrived and request.form.get("do") != "again":
            abort(400)
        flash(_settled(office, enrolment, lesson, arrived=arrived))
        return _back(enrolment)

    return pages


def _back(enrolment: str) -> ResponseReturnValue:
    """To where the button stood."""
    if request.form.get("to") == "today":
        return redirect(url_for("today.page"))
    return redirect(url_for("patient.page", enrolment=enrolment))


def _settled(office: Office, enrolment: str, lesson: str, *, arrived: bool) -> str:
    """Write down what became of a letter; what came of that, in words."""
    work, now = Round(office.database, office.planner, office.press, office.keys), office.clock()
    try:
        known = work.settle(enrolment, lesson, arrived=arrived, now=now, by=me().email)
    except WrongInput as error:
        return sentence(error)
    return (ARRIVED if arrived else AGAIN) if known else SETTLED


def _change(office: Office, case: Case, verb: str, form: Mapping[str, str]) -> ResponseReturnValue:
    """A verb's form; what it would do; or, with the word to do it, done."""
    now = office.clock()
    proposal, wrong, meanwhile, late = None, list[Finding](), list[Line](), False
    try:
        if form or verb in DIRECT:
            proposal = _proposal(office, case.person, verb, form, now)
        if proposal and form.get("do") == "confirm":
            if form.get("mark") == proposal.mark:
                _commit(office, proposal, now)
                return _done(proposal, verb)
            late = True
            meanwhile = [each for each in case.lines if each.at.isoformat() > form.get("shown", "")]
    except (WrongInput, NotDone) as error:
        wrong, proposal = faults(error, case.person), None
    told = {"case": case, "person": case.person, "verb": verb, "words": VERBS[verb], "form": form}
    told |= {"proposal": proposal, "wrong": wrong, "meanwhile": meanwhile, "late": late}
    told |= {"today": office.clinic.today(now), "shown": now.isoformat()}
    part = "app/proposal.html" if request.headers.get("X-Part") else "app/change.html"
    return render_template(part, **told), 422 if wrong else 409 if late else 200


def _commit(office: Office, proposal: Proposal, now: datetime) -> None:
    parts = office.database, office.planner
    tailoring.commit(*parts, [proposal], now, me().email, keys=office.keys)


def _done(proposal: Proposal, verb: str) -> ResponseReturnValue:
    after = proposal.change.after
    if after is None:
        flash("Taken back: nobody is enrolled there any more, and nothing will be sent.")
        return redirect(url_for("people.find"))
    flash(f"{'Taken back' if verb == 'undo' else 'Done'}. {proposal.words}")
    return redirect(url_for("patient.page", enrolment=after.enrolment_id))


def _proposal(
    office: Office, person: Person, verb: str, form: Mapping[str, str], now: datetime
) -> Proposal:
    """What a form would do."""
    parts = office.database, office.planner
    if form.get("do") == "confirm":
        office.planner.refresh(office.database, now)
    if verb == "undo":
        return tailoring.undo(*parts, person.id, now)
    filled = Form(form, office.planner.material.course, office.clinic.today(now), now)
    return tailoring.propose(*parts, person.id, READ[verb](filled), now)


def _case(office: Office, enrolment: str, now: datetime) -> Case:
    with office.database.read() as db:
        person = people.of_enrolment(db, enrolment) or abort(404)
        sent = deliveries.sent(db, [person.enrolment_id])[person.enrolment_id]
        rows = deliveries.of_person(db, person.id)
        lines = trail.newest(db, person.id, LINES)
        undoable = changes.last(db, person) is not None
    letters = office.planner.plan(person, sent, now)
    zone = person.zone(office.clinic)
    return Case(person, letters, _steps(person, letters, rows, lines, zone), lines, undoable)


def _steps(
    person: Person,
    letters: Sequence[PlannedLetter],
    rows: Sequence[Mapping[str, Any]],
    lines: Sequence[Line],
    zone: ZoneInfo,
) -> list[Step]:
    """The time line: what has no date of its own stands after what comes before it."""
    begin = datetime.combine(person.first_appointment, time.min, zone)
    steps = [(begin, Step("appointment", begin))]
    ours = {row["lesson"]: row for row in rows if row["enrolment_id"] == person.enrolment_id}
    at, coming = begin, next_letter(letters)
    for letter in letters:
        step = _letter(letter, ours.get(letter.lesson), zone, first=letter is coming)
        at = max(at, step.at or at)
        steps.append((at, step))
    for row in rows:
        if row["lesson"] not in ours or row is not ours[row["lesson"]]:
            went = row["claimed_at"].astimezone(zone)
            steps.append((went, Step(became(row), went, row["lesson"], row=row)))
    for line in lines:
        when = line.at.astimezone(zone)
        steps.append((when, Step("change", when, words=(line.words or line.action,), by=line.by)))
    return [step for _, step in sorted(steps, key=lambda each: each[0])]


def _letter(
    letter: PlannedLetter, row: Mapping[str, Any] | None, zone: ZoneInfo, *, first: bool
) -> Step:
    told = letter.reasons
    state: str = letter.state
    at = letter.local
    if row and state == "sent":
        state, at = became(row), row["claimed_at"].astimezone(zone)
        told = (*row["reasons"], *filter(None, [row["outcome"]]))
    elif row and row["outcome"]:
        told = (*told, f"put off: {row['outcome']}")
    if state == "planned" and first:
        state = "late" if letter.overdue else "next"
    return Step(state, at, letter.lesson, tuple(told), row=row)


def became(row: Mapping[str, Any]) -> str:
    """What became of a letter, in the word for it."""
    if row["state"] == "accepted" and row["fate"]:
        return "returned" if row["fate"] in RETURNED else row["fate"]
    return WORDS.get(row["state"], "late")
