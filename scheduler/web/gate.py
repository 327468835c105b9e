"""The gate: signing in and out, invitations, and who may open which page.

1. Every view says who may open it: @allowed("admin", …), or @public. One that says nothing opens
   for nobody.
2. A signed-in browser holds a random token in a cookie; the session itself is in the database, so
   that signing out ends it, wherever a copy of the cookie may be.
3. Wrong passwords are counted for the address and for the place they come from; after a few of them
   even the right one waits. Nobody is told whether an address is known.
4. What somebody was sending when their session had ended is kept on the page where they sign in,
   sealed, and is offered again to them, and to nobody else.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from flask import (
    Blueprint,
    Flask,
    abort,
    g,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.wrappers import Response
from zxcvbn import zxcvbn

from scheduler.keys import Keys
from scheduler.ledger import staff
from scheduler.ledger.database import Database
from scheduler.ledger.planner import Planner
from scheduler.ledger.staff import Member, Role
from scheduler.letters.editions import Press
from scheduler.settings import Settings

COOKIE = "__Host-sid"
SHORTEST, LONGEST = 12, 200  # characters of a password
STRONG = 3  # zxcvbn's score, 0 to 4
READ = 72  # characters that zxcvbn takes
TRIES = {"who": 5, "where": 30}  # failed attempts in a quarter of an hour
KEPT = 3600  # seconds for which an unsent form can be sent after all
UNKEPT = ("csrf_token", "password")
LARGEST = 200_000  # characters of a kept form
OWN = re.compile(r"/(?![/\\])[^\x00-\x1f\x7f\\]*")  # a path of ours, as browsers read it

# OWASP's least: 19 MiB and two passes take some 40 ms.
HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
NOBODY = HASHER.hash("a password that nobody has")  # so that an unknown address takes as long

View = TypeVar("View", bound=Callable[..., Any])


@dataclass
class Office:
    """What the screens need. The worker puts in the newer parts when it takes up an edit."""

    database: Database
    planner: Planner
    press: Press
    keys: Keys
    settings: Settings
    clock: Callable[[], datetime] = field(repr=False)


def allowed(*roles: Role) -> Callable[[View], View]:
    """Say which roles may open a view."""

    def mark(view: View) -> View:
        view.roles = roles  # type: ignore[attr-defined]
        return view

    return mark


def public(view: View) -> View:
    """Say that a view needs no sign-in."""
    view.roles = ()  # type: ignore[attr-defined]
    return view


def me() -> Member:
    """Who is signed in."""
    member: Member = g.member
    return member


def add_gate(app: Flask, office: Office) -> None:
    """Put the gate before every view of the application."""
    seal = URLSafeTimedSerializer(app.secret_key or "", salt="kept form")
    app.register_blueprint(_views(office, seal))

    @app.before_request
    def pass_gate() -> ResponseReturnValue | None:
        view = app.view_functions.get(request.endpoint or "")
        roles = getattr(view, "roles", None)
        if view is None or request.endpoint == "static" or roles == ():
            return None
        token, now = request.cookies.get(COOKIE, ""), office.clock()
        with office.database.read() as db:
            found = staff.of_session(db, token, now)
            owner = None if found else staff.owner(db, token)
        if found is None:
            return _to_sign_in(seal, owner)
        g.member, stale = found
        if stale:
            with office.database.write() as db:
                staff.seen(db, token, now)
        if roles is None or g.member.role not in roles:
            abort(403)
        return None


def _to_sign_in(seal: URLSafeTimedSerializer, owner: str | None) -> ResponseReturnValue:
    """Ask for a sign-in, and keep what was being sent, for whoever's session it was."""
    path = request.full_path.rstrip("?")
    if request.method in ("GET", "HEAD"):
        return redirect(url_for("gate.sign_in", to=path))
    fields = [each for each in request.form.items(multi=True) if each[0] not in UNKEPT]
    kept = seal.dumps([owner, path, fields]) if owner and not request.files else ""
    return render_template("app/sign_in.html", kept=kept if len(kept) <= LARGEST else ""), 401


def _views(office: Office, seal: URLSafeTimedSerializer) -> Blueprint:
    gate = Blueprint("gate", __name__)

    @gate.get("/sign-in")
    @public
    def sign_in() -> ResponseReturnValue:
        session.pop("_flashes", None)  # words for whoever was here before
        return render_template("app/sign_in.html", to=request.args.get("to", ""))

    @gate.post("/sign-in")
    @public
    def enter() -> ResponseReturnValue:
        form, now = request.form, office.clock()
        email, password = form.get("email", "").strip(), form.get("password", "")
        member, slow = _checked(office, email, password, now)
        if member is None:
            shown = {"email": email, "to": form.get("to", ""), "kept": form.get("kept", "")}
            page = render_template("app/sign_in.html", slow=slow, wrong=not slow, **shown)
            return page, 429 if slow else 401
        return _enter(office, member, _onwards(seal, form, member))

    @gate.post("/sign-out")
    @public
    def sign_out() -> ResponseReturnValue:
        with office.database.write() as db:
            staff.end_session(db, request.cookies.get(COOKIE, ""))
        session.clear()
        response = redirect(url_for("gate.sign_in"))
        response.delete_cookie(COOKIE, secure=True)
        return response

    @gate.get("/welcome/<token>")
    @public
    def welcome(token: str) -> ResponseReturnValue:
        with office.database.read() as db:
            member = staff.invited(db, token, office.clock())
        return render_template("app/welcome.html", member=member), 200 if member else 404

    @gate.post("/welcome/<token>")
    @public
    def join(token: str) -> ResponseReturnValue:
        password = request.form.get("password", "")
        with office.database.write() as db:
            member = staff.invited(db, token, office.clock())
            fault = _weakness(password, member) if member else ""
            if member and not fault:
                staff.set_password(db, member, HASHER.hash(password))
        if member is None or fault:
            page = render_template("app/welcome.html", member=member, fault=fault)
            return page, 422 if member else 404
        return _enter(office, member, redirect("/"))

    return gate


def _checked(
    office: Office, email: str, password: str, now: datetime
) -> tuple[Member | None, bool]:
    """Who it is, if the password is right; and whether too many attempts have failed."""
    said = {"who": email.casefold(), "where": request.remote_addr or ""}
    marks = {name: office.keys.marks(f"{name}:{value}")[0] for name, value in said.items()}
    with office.database.read() as db:
        slow = any(staff.failures(db, marks[name], now) >= most for name, most in TRIES.items())
        known = staff.by_email(db, email)
    if slow:
        return None, True
    right = _fits(known[1] if known else NOBODY, password[: LONGEST + 1])
    if known and right:
        return known[0], False
    with office.database.write() as db:
        for mark in marks.values():
            staff.fail(db, mark, now)
    return None, False


def _fits(hashed: str, password: str) -> bool:
    try:
        return HASHER.verify(hashed, password)
    except (Argon2Error, InvalidHashError):
        return False


def _weakness(password: str, member: Member) -> str:
    """Why a password cannot be used, in words; empty when it can."""
    if len(password) < SHORTEST:
        return f"Use {SHORTEST} characters or more. A few words in a row are easy to remember."
    if len(password) > LONGEST:
        return f"Use {LONGEST} characters or fewer."
    near = [member.email, *re.split(r"[@.]", member.email), *member.name.split(), "physiopost"]
    if zxcvbn(password[:READ], user_inputs=near)["score"] < STRONG:
        return "This password is easy to guess. A few words that do not belong together are better."
    return ""


def _enter(office: Office, member: Member, response: Response) -> Response:
    """Begin a session with this answer, instead of the browser's last one."""
    with office.database.write() as db:
        staff.end_session(db, request.cookies.get(COOKIE, ""))
        token = staff.open_session(db, member, office.clock())
    response.set_cookie(COOKIE, token, secure=True, httponly=True, samesite="Lax", path="/")
    return response


def _onwards(seal: URLSafeTimedSerializer, form: Mapping[str, str], member: Member) -> Response:
    """Where somebody wanted to go, or what they themselves were sending."""
    with suppress(BadData):
        owner, path, fields = seal.loads(form.get("kept", ""), max_age=KEPT)
        if owner == member.id:
            return make_response(render_template("app/again.html", path=path, fields=fields))
    to = form.get("to", "")
    return redirect(to if OWN.fullmatch(to) else "/")
