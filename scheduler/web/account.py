"""Your account: your password, your second factor, and where you are signed in.

Whatever changes how somebody gets in asks for their password again, and wrong ones are counted as
at the entrance. The key of a second factor is kept once a code proves that the app has it; until
then it travels, sealed, in the form.
"""

import segno
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from pyotp import TOTP, random_base32

from scheduler.ledger import staff
from scheduler.web.entrance import begin, known, leave, too_many
from scheduler.web.gate import COOKIE, allowed, me, note, office
from scheduler.web.passwords import HASHER, number_of, weakness

SLOW = "Too many attempts. Wait a quarter of an hour, then try again."
WRONG = "This is not your present password."
NOT_THIS = "This code is not right. Wait for the next one, and look whether the phone’s clock is."

pages = Blueprint("account", __name__, url_prefix="/account")


@pages.get("")
@allowed(*staff.ROLES)
def page(**faults: str) -> str:
    now = office.clock()
    with office.database.read() as db:
        found = staff.sessions(db, me(), request.cookies.get(COOKIE, ""), now)
        needed = staff.needed(db)
    return render_template("app/account.html", sessions=found, needed=needed, faults=faults)


@pages.post("/password")
@allowed(*staff.ROLES)
def password() -> ResponseReturnValue:
    new = request.form.get("new", "")
    if fault := _unproved():
        return page(old=fault), 422
    if fault := weakness(new, me()):
        return page(new=fault), 422
    with office.database.write() as db:
        staff.set_password(db, me(), HASHER.hash(new))
        note(db, "password", "", at=office.clock())
    flash("Your password is changed. Wherever else you were signed in, you are not any more.")
    return begin(me(), redirect(url_for("account.page")))


@pages.post("/sign-out")
@allowed(*staff.ROLES)
def everywhere() -> ResponseReturnValue:
    with office.database.write() as db:
        staff.end_sessions(db, me())
        note(db, "sign-out", "everywhere", at=office.clock())
    return leave()


@pages.route("/second-factor", methods=["GET", "POST"])
@allowed(*staff.ROLES)
def factor() -> ResponseReturnValue:
    """Keep the key of a second factor, if the password is right and the app has the key."""
    now, sealed = office.clock(), request.form.get("key", "")
    key = office.keys.opened(me().id, sealed) or random_base32()
    if request.method != "POST":
        return _shown(key)
    if fault := _unproved():
        return _shown(key, old=fault), 422
    if (used := number_of(key, request.form.get("code", ""), now)) is None:
        return _shown(key, code=NOT_THIS), 422
    with office.database.write() as db:
        staff.set_factor(db, me(), office.keys.sealed(me().id, key), used)
        note(db, "second factor", "set up", at=now)
    flash("Set up. From now on you sign in with your password and a code.")
    return redirect(url_for("account.page"))


@pages.post("/second-factor/off")
@allowed(*staff.ROLES)
def off() -> ResponseReturnValue:
    if fault := _unproved():
        return page(off=fault), 422
    with office.database.write() as db:
        staff.set_factor(db, me(), None)
        note(db, "second factor", "taken away", at=office.clock())
    flash("Taken away. From now on your password is enough to sign in.")
    return redirect(url_for("account.page"))


def _unproved() -> str:
    """Why this may not be who they say, in words; empty if the password is right."""
    if too_many(me().email):
        return SLOW
    return "" if known(me().email, request.form.get("password", "")) else WRONG


def _shown(key: str, **faults: str) -> str:
    """The page with the key, as a picture and in letters, and the form that proves it."""
    clinic = office.clinic.name
    uri = TOTP(key).provisioning_uri(name=me().email, issuer_name=clinic)
    picture = segno.make(uri, error="m").svg_data_uri(scale=5, border=4, light="#fff")
    told = {"picture": picture, "key": " ".join(key[at : at + 4] for at in range(0, len(key), 4))}
    told |= {"sealed": office.keys.sealed(me().id, key)}
    return render_template("app/factor.html", faults=faults, **told)
