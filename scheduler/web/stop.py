"""The patient's stop page (RFC 8058), and SendGrid's events.

GET shows a page with one button and changes nothing, because virus scanners follow links. POST
stops the course: from the button, or from the mail program's own, which sends
List-Unsubscribe=One-Click. No cookie, no redirect, no name; the address is an opaque token.

Events (D7) are verified before they are parsed, and written in one transaction. An answer other
than 2xx makes SendGrid send them again for a day.
"""

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue

from scheduler.delivery.events import NotEvents, parse, verify
from scheduler.ledger import people
from scheduler.ledger.evidence import Evidence
from scheduler.web.gate import office, public

pages = Blueprint("stop", __name__)


@pages.get("/stop/<token>")
@public
def ask(token: str) -> ResponseReturnValue:
    with office.database.read() as db:
        people.of_enrolment(db, office.keys.enrolment(token) or "") or abort(404)
    return render_template("stop.html", token=token)


@pages.post("/stop/<token>")
@public
def stop(token: str) -> ResponseReturnValue:
    with office.database.write() as db:
        person = people.of_enrolment(db, office.keys.enrolment(token) or "") or abort(404)
        Evidence(office.keys, office.planner).stop(db, person, office.clock())
    return render_template("stopped.html")


@pages.post("/events/sendgrid")
@public
def events() -> ResponseReturnValue:
    key, body, told = office.settings.webhook_key, request.get_data(), request.headers
    signature = told.get("X-Twilio-Email-Event-Webhook-Signature", "")
    timestamp = told.get("X-Twilio-Email-Event-Webhook-Timestamp", "")
    if not verify(key or abort(404), body, signature, timestamp):
        return "not signed", 403
    try:
        heard = parse(body)
    except NotEvents:
        return "no list of events", 400
    with office.database.write() as db:
        Evidence(office.keys, office.planner).take(db, heard, office.clock())
    return "", 204
