"""The patient's stop page (RFC 8058), SendGrid's events, and the headers that every page carries.

GET shows a page with one button and changes nothing, because virus scanners follow links. POST
stops the course: from the button, or from the mail program's own, which sends
List-Unsubscribe=One-Click. No cookie, no redirect, no name; the address is an opaque token.

Events (D7) are verified before they are parsed, and written in one transaction. An answer other
than 2xx makes SendGrid send them again for a day.
"""

import logging
from collections.abc import Callable
from datetime import datetime

from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException

from scheduler.delivery.events import NotEvents, parse, verify
from scheduler.keys import Keys
from scheduler.ledger import people
from scheduler.ledger.database import Database
from scheduler.ledger.evidence import Evidence
from scheduler.ledger.planner import Planner
from scheduler.settings import Settings

log = logging.getLogger(__name__)

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
LARGEST = 4_000_000  # octets of a request: SendGrid sends up to 768 KB of events at once


def pages(
    database: Database,
    planner: Planner,
    keys: Keys,
    settings: Settings,
    clock: Callable[[], datetime],
) -> Flask:
    """The application; `clock` gives UTC instants."""
    folder = settings.templates.resolve() / "pages"
    app = Flask(__name__, template_folder=folder, static_folder=folder / "static")
    app.config["MAX_CONTENT_LENGTH"] = LARGEST
    app.jinja_env.globals["clinic"] = planner.material.clinic

    evidence = Evidence(keys, planner)

    @app.get("/stop/<token>")
    def ask(token: str) -> str | tuple[str, int]:
        with database.read() as db:
            known = people.of_enrolment(db, keys.enrolment(token) or "")
        if known is None:
            return render_template("unknown.html"), 404
        return render_template("stop.html", token=token)

    @app.post("/stop/<token>")
    def stop(token: str) -> str | tuple[str, int]:
        with database.write() as db:
            person = people.of_enrolment(db, keys.enrolment(token) or "")
            if person:
                evidence.stop(db, person, clock())
        return render_template("stopped.html") if person else (render_template("unknown.html"), 404)

    if settings.webhook_key:
        verify(settings.webhook_key, b"", "", "")  # a wrong key is said at the start

        @app.post("/events/sendgrid")
        def events() -> tuple[str, int]:
            body, told = request.get_data(), request.headers
            signature = told.get("X-Twilio-Email-Event-Webhook-Signature", "")
            timestamp = told.get("X-Twilio-Email-Event-Webhook-Timestamp", "")
            if not verify(settings.webhook_key, body, signature, timestamp):
                return "not signed", 403
            try:
                heard = parse(body)
            except NotEvents:
                return "no list of events", 400
            with database.write() as db:
                evidence.take(db, heard, clock())
            return "", 204

    app.register_error_handler(Exception, _sorry)

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.update(HEADERS | dict(response.headers))
        return response

    return app


def _sorry(error: Exception) -> tuple[str, int]:
    """Of what fails no address is logged (it may be a stop link), and no traceback (names)."""
    if isinstance(error, HTTPException):
        return render_template("unknown.html"), error.code or 500
    log.error("a page failed: %s", type(error).__name__)
    return render_template("unknown.html"), 500
