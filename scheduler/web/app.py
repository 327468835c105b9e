"""The whole web application: the patients' pages, the gate, and the staff's screens.

Each screen is a module with views(office), a blueprint. What all pages share is here: the seal of
forms against other sites, the headers, the words for dates, and the page for what goes wrong.
"""

import logging
import secrets
from datetime import date, datetime
from functools import partial
from time import perf_counter

from flask import Flask, Response, g, render_template, request
from flask_wtf import CSRFProtect
from flask_wtf.csrf import CSRFError, generate_csrf
from markupsafe import Markup
from werkzeug.exceptions import HTTPException, InternalServerError, ServiceUnavailable

from scheduler.findings import NotDone
from scheduler.letters.fill import in_words
from scheduler.letters.theme import palettes
from scheduler.plan.reasons import count, dated, on
from scheduler.web import (
    account,
    audit,
    caseload,
    entrance,
    health,
    imports,
    lessons,
    letterbox,
    patient,
    people,
    post,
    received,
    team,
    today,
)
from scheduler.web.gate import Office, add_gate, may, public
from scheduler.web.pages import LARGEST, pages

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; frame-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
}
OUTSIDE = ("ask", "stop", "events")  # views that strangers and other programs may call
FORM = "This form was open too long or came from elsewhere. Open its page anew, then try again."
WORDS = {
    403: "This page is not for your role. An administrator can say whose it is.",
    404: "There is nothing here. Perhaps the address was cut short.",
    413: "That is too large to be taken. Send less at once.",
    500: "Something went wrong here, and it was noted. Try again. If it comes back, tell your "
    "technician at what time it was.",
}
BRAND = (  # the clinic's own colour; all others stand in app.css
    ":root {{ --brand: {light[brand]}; --tint: {light[tint]}; }}\n"
    "@media screen and (prefers-color-scheme: dark) "
    "{{ :root {{ --brand: {dark[brand]}; --tint: {dark[tint]}; }} }}"
)
OTHER = "That cannot be done here."
log = logging.getLogger(__name__)


def create(office: Office) -> Flask:
    """The application."""
    app = pages(office.database, office.planner, office.keys, office.settings, office.clock)
    keys = office.keys.seals("sessions")
    app.config.update(
        SECRET_KEY=keys[0],
        SECRET_KEY_FALLBACKS=keys[1:],
        WTF_CSRF_SECRET_KEY=keys[::-1],  # the last one signs
        SESSION_COOKIE_NAME="__Host-form",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,
        MAX_FORM_MEMORY_SIZE=LARGEST,  # what is to be imported travels in its form
        WTF_CSRF_SSL_STRICT=False,  # it asks for a Referer, which our own headers forbid
    )
    _log_requests(app)
    csrf = CSRFProtect(app)
    for name in OUTSIDE:
        if view := app.view_functions.get(name):
            csrf.exempt(public(view))
    add_gate(app, office)
    for screen in (entrance, today, people, patient, received, account, caseload):
        app.register_blueprint(screen.views(office))
    for screen in (imports, lessons, post, team, health, audit):
        app.register_blueprint(screen.views(office))
    app.register_blueprint(own := letterbox.views(office))
    csrf.exempt(own)  # no cookie, and the address is the secret
    app.jinja_env.filters.update(FILTERS, here=lambda at: at.astimezone(office.clinic.timezone))
    app.jinja_env.globals["seal"] = _seal

    @app.context_processor
    def shared() -> dict[str, object]:
        material = office.planner.material
        open_to_me = partial(may, app)
        known = {"clinic": material.clinic, "course": material.course}
        return known | {"me": g.get("member"), "may": open_to_me}

    @app.get("/brand.css")
    @public
    def brand() -> Response:
        light, dark = palettes(office.clinic.brand)
        return Response(BRAND.format(light=light, dark=dark), mimetype="text/css")

    _say_what_is_wrong(app)
    _add_headers(app, secure=office.settings.url.startswith("https://"))
    return app


def _log_requests(app: Flask) -> None:
    """Each answer has an id by which the log knows it; of its address the pattern only."""

    @app.before_request
    def begin() -> None:
        g.request, g.began = secrets.token_hex(8), perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.request
        took = round(1000 * (perf_counter() - g.began))
        told = {"request": g.request, "status": response.status_code, "milliseconds": took}
        log.debug("%s %s", request.method, request.url_rule or "(no such page)", extra=told)
        return response


def _say_what_is_wrong(app: Flask) -> None:
    """A page in words for every mistake, and nothing of what was asked for in the log."""

    @app.errorhandler(HTTPException)
    def sorry(error: HTTPException) -> tuple[str, int]:
        code = error.code or InternalServerError.code
        return _sorry(FORM if isinstance(error, CSRFError) else WORDS.get(code, OTHER)), code

    @app.errorhandler(Exception)
    def stopped(error: Exception) -> tuple[str, int]:
        told = {"request": g.get("request")}
        log.error(
            "a page stopped: %s", type(error).__name__, extra=told
        )  # its words may hold names
        if isinstance(error, NotDone):
            return _sorry(f"{error}. Try again in a minute."), ServiceUnavailable.code
        return _sorry(WORDS[InternalServerError.code]), InternalServerError.code


def _sorry(words: str) -> str:
    """For staff the words; for a patient with a link from a letter, whom to call."""
    patient = request.path.startswith(("/stop", "/letters"))
    return render_template("unknown.html" if patient else "app/sorry.html", words=words)


def _add_headers(app: Flask, *, secure: bool) -> None:
    @app.after_request
    def add(response: Response) -> Response:
        if request.endpoint not in OUTSIDE:
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
        if secure:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        return response


def _date(value: date | datetime) -> date:
    return value.date() if isinstance(value, datetime) else value


def _day(value: date | datetime | None) -> str:
    """`Tue 24 Nov 2026`: a date always has its weekday."""
    return dated(_date(value)) if value else ""


def _short(value: date | datetime) -> str:
    """`Tue 24 Nov`, where the year stands close by."""
    return on(_date(value))


def _long(value: date | datetime) -> str:
    """`Tuesday 24 November 2026`."""
    return f"{in_words(_date(value))} {value.year}"


def _clock(value: datetime | None) -> str:
    """`09:30`."""
    return f"{value:%H:%M}" if value else ""


def _sentence(words: str) -> str:
    """A line of the plan or of the audit, with a capital; names of fields lose their underlines."""
    return (words[:1].upper() + words[1:]).replace("_", " ")


def _seal() -> str:
    """What proves that a form is ours."""
    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(generate_csrf())


FILTERS = {
    "day": _day,
    "short": _short,
    "long": _long,
    "clock": _clock,
    "sentence": _sentence,
    "counted": count,
}
