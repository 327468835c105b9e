"""One patient: the time line, and the verbs that tailor the course.

1. An address of these pages holds an enrolment's opaque id, and never a name.
2. A verb goes: its form, then old dates beside new ones, then done. The word to do it carries the
   mark of what was shown; if somebody or something else was quicker, nothing is done, and the page
   says what has changed and shows the dates as they would be now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cached_property, partial
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scheduler import tailoring
from scheduler.delivery.round import Round
from scheduler.findings import Finding, NotDone, WrongInput
from scheduler.ledger import changes, deliveries, facts, people, trail
from scheduler.ledger.people import Person
from scheduler.ledger.planner import WORDS
from scheduler.ledger.trail import Line
from scheduler.plan.rules import PlannedLetter, next_letter
from scheduler.roster.proposal import Proposal
from scheduler.web.forms import faults, sentence
from scheduler.web.gate import actor, allowed, office
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
    zone: ZoneInfo
    letters: list[PlannedLetter]
    rows: Sequence[Mapping[str, Any]]
    lines: list[Line]
    undoable: bool
    agreed: str | None

    @cached_property
    def next(self) -> PlannedLetter | None:
        """The letter that comes next."""
        return next_letter(self.letters)

    @cached_property
    def steps(self) -> list[Step]:
        """The time line: what has no date of its own stands after what comes before it."""
        at = datetime.combine(self.person.first_appointment, time.min, self.zone)
        steps, mine = [(at, Step("appointment", at))], self.person.enrolment_id
        ours = {row["lesson"]: row for row in self.rows if row["enrolment_id"] == mine}
        for letter in self.letters:
            step = self._letter(letter, ours.get(letter.lesson))
            at = max(at, step.at or at)
            steps.append((at, step))
        for row in self.rows:
            if row is not ours.get(row["lesson"]):
                went = row["claimed_at"].astimezone(self.zone)
                steps.append((went, Step(became(row), went, row["lesson"], row=row)))
        for line in self.lines:
            when, words = line.at.astimezone(self.zone), (line.words or line.action,)
            steps.append((when, Step("change", when, words=words, by=line.by)))
        return [step for _, step in sorted(steps, key=lambda each: each[0])]

    def _letter(self, letter: PlannedLetter, row: Mapping[str, Any] | None) -> Step:
        told, at = letter.reasons, letter.local
        state: str = letter.state
        if row and state == "sent":
            state, at = became(row), row["claimed_at"].astimezone(self.zone)
            told = (*row["reasons"], *filter(None, [row["outcome"]]))
        elif row and row["outcome"]:
            told = (*told, f"put off: {row['outcome']}")
        if state == "planned" and letter is self.next:
            state = "late" if letter.overdue else "next"
        return Step(state, at, letter.lesson, tuple(told), row=row)

    def lately(self, now: datetime) -> bool:
        """Whether the newest line is fresh and can be taken back."""
        fresh = [each for each in self.lines[-1:] if each.at > now - LATELY]
        return self.undoable and any(each.action not in FINAL for each in fresh)


pages = Blueprint("patient", __name__, url_prefix="/people/<enrolment>")


@pages.get("")
@allowed("admin", "physiotherapist")
def page(enrolment: str) -> ResponseReturnValue:
    now = office.clock()
    case = _case(enrolment, now)
    if case.person.enrolment_id != enrolment:
        return redirect(url_for("patient.page", enrolment=case.person.enrolment_id))
    verbs = offered(case.person, case.letters, office.clinic.today(now))
    told = {"case": case, "person": case.person, "verbs": verbs, "lately": case.lately(now)}
    return render_template("app/patient.html", VERBS=VERBS, **told)


@pages.route(f"/<any({', '.join(VERBS)}):verb>", methods=["GET", "POST"])
@allowed("admin", "physiotherapist")
def change(enrolment: str, verb: str) -> ResponseReturnValue:
    """A verb's form; what it would do; or, with the word to do it, done."""
    now, form = office.clock(), request.form
    case = _case(enrolment, now)
    proposal, wrong, meanwhile, late = None, list[Finding](), list[Line](), False
    try:
        if form or verb in DIRECT:
            proposal = _proposal(case.person, verb, form, now)
        if proposal and form.get("do") == "confirm":
            if form.get("mark") == proposal.mark:
                _commit(proposal, now)
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


@pages.post("/called")
@allowed("admin", "physiotherapist")
def called(enrolment: str) -> ResponseReturnValue:
    now, parts = office.clock(), (office.database, office.planner)
    person = _case(enrolment, now).person
    if person.call_asked_at:
        verb = partial(tailoring.call, asked_at=None)
        _commit(tailoring.propose(*parts, person.id, verb, now), now)
    flash(CALLED)
    return _back(enrolment)


@pages.post("/settle/<lesson>")
@allowed("admin", "physiotherapist")
def settle(enrolment: str, lesson: str) -> ResponseReturnValue:
    arrived = request.form.get("do") == "arrived"
    if not arrived and request.form.get("do") != "again":
        abort(400)
    work, now = Round(office.database, office.planner, office.press, office.keys), office.clock()
    try:
        known = work.settle(enrolment, lesson, arrived=arrived, now=now, by=actor())
        flash((ARRIVED if arrived else AGAIN) if known else SETTLED)
    except WrongInput as error:
        flash(sentence(error))
    return _back(enrolment)


def _back(enrolment: str) -> ResponseReturnValue:
    """To where the button stood."""
    if request.form.get("to") == "today":
        return redirect(url_for("today.page"))
    return redirect(url_for("patient.page", enrolment=enrolment))


def _commit(proposal: Proposal, now: datetime) -> None:
    parts = office.database, office.planner
    tailoring.commit(*parts, [proposal], now, actor(), keys=office.keys)


def _done(proposal: Proposal, verb: str) -> ResponseReturnValue:
    after = proposal.change.after
    if after is None:
        flash("Taken back: nobody is enrolled there any more, and nothing will be sent.")
        return redirect(url_for("people.find"))
    flash(f"{'Taken back' if verb == 'undo' else 'Done'}. {proposal.words}")
    return redirect(url_for("patient.page", enrolment=after.enrolment_id))


def _proposal(person: Person, verb: str, form: Mapping[str, str], now: datetime) -> Proposal:
    """What a form would do."""
    parts = office.database, office.planner
    if form.get("do") == "confirm":
        office.planner.refresh(office.database, now)
    if verb == "undo":
        return tailoring.undo(*parts, person.id, now)
    filled = Form(form, office.planner.material.course, office.clinic.today(now), now)
    return tailoring.propose(*parts, person.id, READ[verb](filled), now)


def _case(enrolment: str, now: datetime) -> Case:
    with office.database.read() as db:
        person = people.of_enrolment(db, enrolment) or abort(404)
        sent = deliveries.sent(db, [person.enrolment_id])[person.enrolment_id]
        rows = deliveries.of_person(db, person.id)
        lines = trail.newest(db, person.id, LINES)
        back = changes.last(db, person)
        stays = bool(back and back.after and back.after.enrolment_id == person.enrolment_id)
        undoable = stays or bool(back and not deliveries.any_of(db, person.enrolment_id))
        agreed = facts.get(db, f"{facts.CONSENT}{person.agreed_to}")
    letters = office.planner.plan(person, sent, now)
    return Case(person, person.zone(office.clinic), letters, rows, lines, undoable, agreed)


def became(row: Mapping[str, Any]) -> str:
    """What became of a letter, in the word for it."""
    if row["state"] == "accepted" and row["fate"]:
        return "returned" if row["fate"] in RETURNED else row["fate"]
    return WORDS.get(row["state"], "late")
