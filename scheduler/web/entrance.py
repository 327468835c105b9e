"""The entrance: signing in and out, and invitations.

1. An address and a password; then, of whoever has set one up, the code of their second factor. What
   stands between the two steps is signed and good for ten minutes.
2. Wrong passwords and codes are counted for the address and for the place they come from; after a
   few of them even the right one waits. Nobody is told whether an address is known.
3. Who came in, who failed and who left is in the audit; of who failed only a mark, no address.
4. An invitation sets a password. It goes round no second factor.
"""

import re
from contextlib import suppress

from flask import (
    Blueprint,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from itsdangerous import BadData
from werkzeug.wrappers import Response

from scheduler.ledger import staff
from scheduler.ledger.staff import Member
from scheduler.web.gate import COOKIE, note, office, public
from scheduler.web.passwords import HASHER, NOBODY, fits, number_of, weakness

TRIES = {"who": 5, "where": 30}  # failed attempts in a quarter of an hour
KEPT = 3600  # seconds for which an unsent form can be sent after all
HALF = 600  # seconds between the password and the code
OWN = re.compile(r"/(?![/\\])[^\x00-\x1f\x7f\\]*")  # a path of ours, as browsers read it
SHOWN = 12  # characters of the mark of who failed

pages = Blueprint("entrance", __name__)


@pages.get("/sign-in")
@public
def sign_in() -> ResponseReturnValue:
    session.pop("_flashes", None)  # words for whoever was here before
    return render_template("app/sign_in.html", to=request.args.get("to", ""))


@pages.post("/sign-in")
@public
def enter() -> ResponseReturnValue:
    """The first step: an address and a password."""
    form, email = request.form, request.form.get("email", "").strip()
    slow = too_many(email)
    if not slow and (member := known(email, form.get("password", ""))):
        return _step_in(member)
    page = render_template("app/sign_in.html", slow=slow, wrong=not slow, **_held())
    return page, 429 if slow else 401


@pages.post("/sign-in/code")
@public
def code() -> ResponseReturnValue:
    """The second step: a code."""
    if (member := _half_in()) is None:
        return render_template("app/sign_in.html", late=True, **_held()), 401
    if too_many(member.email):
        return _ask_code(member, slow=True), 429
    if _right(member, request.form.get("code", "")):
        return _come_in(member)
    _failed(member.email)
    return _ask_code(member, wrong=True), 401


@pages.post("/sign-out")
@public
def sign_out() -> ResponseReturnValue:
    token, now = request.cookies.get(COOKIE, ""), office.clock()
    with office.database.write() as db:
        if found := staff.of_session(db, token, now):
            note(db, "sign-out", "", at=now, by=found[0].email)
        staff.end_session(db, token)
    return leave()


@pages.get("/welcome/<token>")
@public
def welcome(token: str) -> ResponseReturnValue:
    with office.database.read() as db:
        member = staff.invited(db, token, office.clock())
    return render_template("app/welcome.html", member=member), 200 if member else 404


@pages.post("/welcome/<token>")
@public
def join(token: str) -> ResponseReturnValue:
    """Somebody who was asked in chooses a password."""
    password, now = request.form.get("password", ""), office.clock()
    with office.database.write() as db:
        member = staff.invited(db, token, now)
        fault = weakness(password, member) if member else ""
        if member and not fault:
            staff.set_password(db, member, HASHER.hash(password))
            note(db, "password", "by invitation", at=now, by=member.email)
    if member is None or fault:
        page = render_template("app/welcome.html", member=member, fault=fault)
        return page, 422 if member else 404
    return _step_in(member)


def leave() -> Response:
    """Back to the first page, with nothing kept."""
    session.clear()
    response = redirect(url_for("entrance.sign_in"))
    response.delete_cookie(COOKIE, secure=True)
    return response


def begin(member: Member, response: Response) -> Response:
    """Begin a session with this answer, instead of the browser's last one."""
    with office.database.write() as db:
        staff.end_session(db, request.cookies.get(COOKIE, ""))
        token = staff.open_session(db, member, office.clock())
    response.set_cookie(COOKIE, token, secure=True, httponly=True, samesite="Lax", path="/")
    return response


def too_many(email: str) -> bool:
    """Whether too many attempts have failed, for this address or from this place."""
    marks, now = _marks(email), office.clock()
    with office.database.read() as db:
        return any(staff.failures(db, marks[name], now) >= most for name, most in TRIES.items())


def known(email: str, password: str) -> Member | None:
    """Who it is, if the password is right; a wrong one is counted."""
    with office.database.read() as db:
        found = staff.by_email(db, email)
    if fits(found[1] if found else NOBODY, password) and found:
        return found[0]
    _failed(email)
    return None


def _failed(email: str) -> None:
    """Count an attempt that failed."""
    marks, now = _marks(email), office.clock()
    with office.database.write() as db:
        for mark in marks.values():
            staff.fail(db, mark, now)
        note(db, "sign-in failed", "", at=now, by=f"mark {marks['who'][:SHOWN]}")


def _right(member: Member, code: str) -> bool:
    """Whether a code is right and was not used before; then it is used up."""
    with office.database.write() as db:
        key = office.keys.opened(member.id, staff.factor(db, member))
        number = number_of(key, code, office.clock()) if key else None
        return number is not None and staff.use_code(db, member, number)


def _marks(email: str) -> dict[str, str]:
    said = {"who": email.casefold(), "where": request.remote_addr or ""}
    return {name: office.keys.marks(f"{name}:{value}")[0] for name, value in said.items()}


def _step_in(member: Member) -> ResponseReturnValue:
    """After the password: the code, if there is a second factor."""
    return _ask_code(member) if member.factor else _come_in(member)


def _ask_code(member: Member, **told: bool) -> str:
    half = office.signed("half signed in").dumps(member.id)
    return render_template("app/code.html", half=half, **_held(), **told)


def _half_in() -> Member | None:
    """Whose password was right a moment ago."""
    with suppress(BadData), office.database.read() as db:
        signed = office.signed("half signed in")
        return staff.by_id(db, signed.loads(request.form.get("half", ""), max_age=HALF))
    return None


def _held() -> dict[str, str]:
    """What the next page holds for the one after it."""
    return {name: request.form.get(name, "") for name in ("email", "to", "kept")}


def _come_in(member: Member) -> Response:
    with office.database.write() as db:
        note(db, "sign-in", "", at=office.clock(), by=member.email)
    return begin(member, _onwards(member))


def _onwards(member: Member) -> Response:
    """Where somebody wanted to go, or what they themselves were sending."""
    form = request.form
    with suppress(BadData):
        owner, path, fields = office.signed("kept form").loads(form.get("kept", ""), max_age=KEPT)
        if owner == member.id:
            return make_response(render_template("app/again.html", path=path, fields=fields))
    to, home = form.get("to", ""), "/health" if member.role == "technician" else "/"
    return redirect(to if OWN.fullmatch(to) and to != "/" else home)
