"""The gate: who may open which page, and what is written down of it.

1. Every view says who may open it: @allowed("admin", …), or @public. One that says nothing opens
   for nobody.
2. A signed-in browser holds a random token in a cookie; the session itself is in the database, so
   that signing out ends it, wherever a copy of the cookie may be.
3. Where everybody needs a second factor, whoever has none gets to the page that sets one up, and to
   no other.
4. Who looks at a patient's page or letter is written into the audit before they see it; the same
   look again within ten minutes is not. It is the only row that a look may write.
5. What somebody was sending when their session had ended is kept on the page where they sign in,
   sealed, and is offered again to them, and to nobody else.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time
from functools import cached_property
from typing import Any, TypeVar

from flask import (
    Flask,
    Response,
    abort,
    current_app,
    g,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import Connection
from werkzeug.local import LocalProxy

from scheduler.keys import Keys
from scheduler.ledger import staff, trail
from scheduler.ledger.database import Database
from scheduler.ledger.planner import Planner
from scheduler.ledger.post import Outlook
from scheduler.ledger.staff import Member, Role
from scheduler.letters.editions import Press
from scheduler.material import read_material
from scheduler.material.clinic import Clinic
from scheduler.plan.calendar import instant
from scheduler.settings import Settings
from scheduler.web.preview import Table

COOKIE = "__Host-sid"
UNKEPT = ("csrf_token", "password", "new", "code")
LARGEST = 200_000  # characters of a kept form
SHOWN = (200, 409, 422)  # the answers that show what was asked for
SET_UP = "account.factor"  # where a second factor is set up

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
    outlook: Outlook = field(default_factory=Outlook, repr=False)

    @cached_property
    def table(self) -> Table:
        """The course in its folder, as an editor leaves it."""
        return Table(self.settings, self.clock)

    @property
    def clinic(self) -> Clinic:
        """The clinic, as it was read last."""
        return self.planner.material.clinic

    def begins(self, day: date) -> datetime:
        """When a day begins at the clinic (UTC)."""
        return instant(day, time.min, self.clinic.timezone)

    def signed(self, purpose: str) -> URLSafeTimedSerializer:
        """What signs words that a page keeps for the next one."""
        keys = self.keys.seals("sessions")[::-1]  # the last one signs, all are believed
        return URLSafeTimedSerializer(keys, salt=purpose)

    def take_up(self, now: datetime) -> None:
        """Read the course and the clinic anew, for the pages and for the rounds to come.

        Raises:
            WrongInput: they cannot be used; everything stays as it was.

        """
        press = Press(read_material(self.settings), self.settings.templates)
        press.all()
        planner = Planner(press.material)
        planner.refresh(self.database, now)
        self.planner, self.press = planner, press


office: Office = LocalProxy(lambda: current_app.extensions["office"])  # type: ignore[assignment]
"""The office of the application that answers, as flask.request is what it was asked."""


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


def actor() -> str:
    """Who is signed in, and from where, for the audit."""
    return from_here(me().email)


def may(view: str) -> bool:
    """Whether the view is for who is signed in."""
    return me().role in getattr(current_app.view_functions.get(view), "roles", ())


def note(db: Connection, action: str, words: str, *, at: datetime, by: str = "") -> None:
    """Write into the audit what was done about staff or settings, by whom and from where."""
    trail.tell(db, None, action, words, at=at, by=from_here(by or me().email))


def from_here(who: str) -> str:
    """Whoever acts, with the address that the request comes from."""
    return f"{who}{trail.AT}{request.remote_addr}"


def add_gate(app: Flask) -> None:
    """Put the gate before every view of the application."""

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
            bare = found is not None and not found[0].factor and staff.needed(db)
        if found is None:
            return _to_sign_in(owner)
        g.member, stale = found
        if stale:
            with office.database.write() as db:
                staff.seen(db, token, now)
        if roles is None or g.member.role not in roles:
            abort(403)
        return redirect(url_for(SET_UP)) if bare and request.endpoint != SET_UP else None

    @app.after_request
    def note_look(response: Response) -> Response:
        asked = request.view_args or {}
        if "member" in g and "enrolment" in asked and response.status_code in SHOWN:
            what = f"letter {asked['lesson']}" if "lesson" in asked else "page"
            _note_look(asked["enrolment"], what)
        return response


def _note_look(enrolment: str, words: str) -> None:
    now, by = office.clock(), actor()
    with office.database.read() as db:
        known = trail.looked(db, enrolment, words, at=now, by=by)
    if not known:
        with office.database.write() as db:
            trail.tell(db, enrolment, trail.READ, words, at=now, by=by)


def _to_sign_in(owner: str | None) -> ResponseReturnValue:
    """Ask for a sign-in, and keep what was being sent, for whoever's session it was."""
    path = request.full_path.rstrip("?")
    if request.method in ("GET", "HEAD"):
        return redirect(url_for("entrance.sign_in", to=path))
    fields = [each for each in request.form.items(multi=True) if each[0] not in UNKEPT]
    form = [owner, path, fields]
    kept = office.signed("kept form").dumps(form) if owner and not request.files else ""
    return render_template("app/sign_in.html", kept=kept if len(kept) <= LARGEST else ""), 401
