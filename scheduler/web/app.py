"""The whole web application: the patients' pages, the gate, and the staff's screens.

Each screen is a module with a blueprint, its pages. What all pages share is here: the seal of
forms against other sites, the headers, the words for dates, and the page for what goes wrong.
"""

import logging
import secrets
from collections.abc import Callable
from datetime import date, datetime
from time import perf_counter
from typing import Any

from flask import Flask, Response, g, render_template, request
from flask_wtf import CSRFProtect
from flask_wtf.csrf import CSRFError, generate_csrf
from markupsafe import Markup
from werkzeug.exceptions import HTTPException, InternalServerError, ServiceUnavailable

from scheduler.delivery.events import verify
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
    stop,
    team,
    today,
)
from scheduler.web.gate import Office, add_gate, may, office, public
from scheduler.web.server import LARGEST

SCREENS: tuple[Any, ...] = (
    *(entrance, today, people, patient, received, account, caseload, imports, lessons, post),
    *(team, health, audit, stop, letterbox),
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; frame-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
SECURE = {"Strict-Transport-Security": "max-age=31536000"}
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


def create(of: Office) -> Flask:
    """The application of an office."""
    folder = of.settings.templates.resolve() / "pages"
    app = Flask(__name__, template_folder=folder, static_folder=folder / "static")
    app.extensions["office"] = of
    keys = of.keys.seals("sessions")
    app.config.update(
        SECRET_KEY=keys[0],
        SECRET_KEY_FALLBACKS=keys[1:],
        WTF_CSRF_SECRET_KEY=keys[::-1],  # the last one signs
        SESSION_COOKIE_NAME="__Host-form",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,
        MAX_CONTENT_LENGTH=LARGEST,
        MAX_FORM_MEMORY_SIZE=LARGEST,  # what is to be imported travels in its form
        WTF_CSRF_SSL_STRICT=False,  # it asks for a Referer, which our own headers forbid
    )
    if of.settings.webhook_key:
        verify(of.settings.webhook_key, b"", "", "")  # a wrong key is said at the start
    app.before_request(_begin)
    app.register_error_handler(Exception, _sorry)
    csrf = CSRFProtect(app)
    add_gate(app)
    app.after_request(_end)  # before the gate's own, whatever becomes of that
    for screen in SCREENS:
        app.register_blueprint(screen.pages)
    for own in (stop, letterbox):
        csrf.exempt(own.pages)  # no cookie, and the address is the secret
    app.jinja_env.filters.update(FILTERS)
    app.jinja_env.globals["seal"] = _seal

    @app.context_processor
    def shared() -> dict[str, object]:
        material = office.planner.material
        known = {"clinic": material.clinic, "course": material.course}
        return known | {"me": g.get("member"), "may": may}

    @app.get("/brand.css")
    @public
    def brand() -> Response:
        light, dark = palettes(office.clinic.brand)
        return Response(BRAND.format(light=light, dark=dark), mimetype="text/css")

    return app


def _begin() -> None:
    """Give the request an id, by which the log knows it."""
    g.request, g.began = secrets.token_hex(8), perf_counter()


def _end(response: Response) -> Response:
    """Put the headers on, and log the answer: of its address the pattern only."""
    headers = HEADERS | (SECURE if office.settings.url.startswith("https://") else {})
    for name, value in headers.items():
        response.headers.setdefault(name, value)
    response.headers["X-Request-Id"] = g.request
    took = round(1000 * (perf_counter() - g.began))
    told = {"request": g.request, "status": response.status_code, "milliseconds": took}
    log.debug("%s %s", request.method, request.url_rule or "(no such page)", extra=told)
    return response


def _sorry(error: Exception) -> tuple[str, int]:
    """A page in words for every mistake, and nothing of what was asked for in the log."""
    code, words = InternalServerError.code, WORDS[InternalServerError.code]
    if isinstance(error, HTTPException):
        code = error.code or code
        words = FORM if isinstance(error, CSRFError) else WORDS.get(code, OTHER)
    else:
        name, told = type(error).__name__, {"request": g.get("request")}
        log.error("a page stopped: %s", name, extra=told)  # its words may hold names
    if isinstance(error, NotDone):
        code, words = ServiceUnavailable.code, f"{error}. Try again in a minute."
    theirs = request.path.startswith(("/stop", "/letters"))  # a patient is told whom to call
    return render_template("unknown.html" if theirs else "app/sorry.html", words=words), code


def _date(value: date | datetime) -> date:
    return value.date() if isinstance(value, datetime) else value


def _seal() -> str:
    """What proves that a form is ours."""
    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(generate_csrf())


FILTERS: dict[str, Callable[..., Any]] = {
    "day": lambda value: dated(_date(value)) if value else "",  # with its weekday, always
    "short": lambda value: on(_date(value)),  # where the year stands close by
    "long": lambda value: f"{in_words(_date(value))} {value.year}",
    "clock": lambda value: f"{value:%H:%M}" if value else "",
    "here": lambda at: at.astimezone(office.clinic.timezone),
    "sentence": lambda words: (words[:1].upper() + words[1:]).replace("_", " "),  # fields' names
    "counted": count,
}
