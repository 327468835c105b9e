"""A patient's own pages: when letters come, how they look, the earlier ones, a call.

1. The address holds the stop link's token and nothing else. Looking at it changes nothing.
2. What moves a date shows the old dates beside the new ones; the word to do it carries their mark.
   If something was quicker, nothing is done, and the dates are shown as they would be now.
3. What is done stands in the audit as the patient's, and staff can take it back.

There is no cookie and no sign-in here, so another site has nothing to ride on: it would have to
know the token, and whoever knows that holds the letter. It has 256 bits, so nobody guesses it.
"""

from calendar import day_name
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scheduler import tailoring
from scheduler.findings import NotDone, WrongInput
from scheduler.ledger import deliveries, people
from scheduler.ledger.evidence import PATIENT
from scheduler.letters.editions import Edition
from scheduler.letters.fill import fill
from scheduler.web.forms import sentence
from scheduler.web.gate import office, public
from scheduler.web.received import framed
from scheduler.web.wishes import WEEKS, Wishes

MOVES = ("pause", "resume", "day", "time")  # wishes that change dates
SAYS = {
    "pause": "Done. Your letters are paused.",
    "resume": "Done. Your letters go on.",
    "day": "Done. The day is changed.",
    "time": "Done. The time is changed.",
    "style": "Done. Your next letter comes that way.",
    "call": "Done. The clinic can see it.",
}
ALREADY = "That is how it is already. Nothing was changed."
QUICKER = "Something else changed at the same time, so nothing was done. Look again, please."


@dataclass(frozen=True)
class Box:
    """Whose pages these are: what they may wish, and what they have received."""

    token: str
    wishes: Wishes
    rows: Sequence[Mapping[str, Any]]
    editions: Mapping[str, Edition]

    def came(self, row: Mapping[str, Any]) -> datetime:
        """When a letter went, where the patient is."""
        here: datetime = row["claimed_at"].astimezone(self.wishes.zone)
        return here


pages = Blueprint("letterbox", __name__, url_prefix="/letters/<token>")


@pages.get("")
@public
def page(token: str) -> ResponseReturnValue:
    box = _box(token)
    return _page(box, said=SAYS.get(request.args.get("done", ""), ""))


@pages.route(f"/<any({', '.join(SAYS)}):wish>", methods=["GET", "POST"])
@public
def change(token: str, wish: str) -> ResponseReturnValue:
    """What a wish would do; or, with the word to do it, done. What moves no date is done so."""
    if request.method != "POST" and wish not in MOVES:
        abort(405)
    sure, now, box = request.method == "POST", office.clock(), _box(token)
    parts, fields = (office.database, office.planner), request.form if sure else request.args
    if sure:
        office.planner.refresh(office.database, now)
    try:
        verb = box.wishes.verb(wish, fields)
    except WrongInput as error:
        return _page(box, wrong=sentence(error))
    try:
        proposal = tailoring.propose(*parts, box.wishes.person.id, verb, now)
        if sure and (wish not in MOVES or fields.get("mark") == proposal.mark):
            tailoring.commit(*parts, [proposal], now, PATIENT)
            return redirect(url_for("letterbox.page", token=token, done=wish), 303)
    except WrongInput:
        return _page(box, wrong=ALREADY)
    except NotDone:
        return _page(_box(token), wrong=QUICKER)
    told = {"box": box, "wish": wish, "value": fields.get(wish, ""), "proposal": proposal}
    return render_template("wish.html", **told, late=sure), 409 if sure else 200


@pages.get("/again/<delivery>")
@public
def again(token: str, delivery: str) -> ResponseReturnValue:
    box = _box(token)
    row, edition = _received(box, delivery)
    text = fill(edition, row["merge"]).text
    return render_template("again.html", box=box, row=row, edition=edition, text=text)


@pages.get("/again/<delivery>/letter.html")
@public
def as_html(token: str, delivery: str) -> Response:
    row, edition = _received(_box(token), delivery)
    return framed(edition, row["merge"])


def _box(token: str) -> Box:
    with office.database.read() as db:
        person = people.of_enrolment(db, office.keys.enrolment(token) or "") or abort(404)
        sent = deliveries.sent(db, [person.enrolment_id])[person.enrolment_id]
        got = [
            {**row, "merge": office.keys.proven(row["merge"])}
            for row in deliveries.of_person(db, person.id)
            if row["state"] == "accepted" and row["merge"]
        ]
        editions = deliveries.editions(db, {row["edition"] for row in got})
    return Box(token, Wishes(person, office.planner, sent, office.clock()), got, editions)


def _page(box: Box, said: str = "", wrong: str = "") -> ResponseReturnValue:
    words = office.press.words_of(office.planner.material.course.lessons[0].slug)
    told = {"box": box, "wishes": box.wishes, "said": said, "wrong": wrong, "words": words}
    told |= {"WEEKS": WEEKS, "WEEKDAYS": day_name}
    return render_template("letters.html", **told), 422 if wrong else 200


def _received(box: Box, delivery: str) -> tuple[Mapping[str, Any], Edition]:
    """A letter that they received, with the edition that it was made from."""
    row = next((row for row in box.rows if row["id"] == delivery), None) or abort(404)
    return row, box.editions[row["edition"]]
