"""Staff and settings: who may sign in, and what the service is set to. For administrators.

1. Somebody is asked in with a link that stands on the page once; it is not sent.
2. What is done to somebody goes in two steps: what it means, in a sentence, and then the word to do
   it. Nobody does it to themselves, so that an administrator is always left.
3. Settings are shown in words and changed where the service is started; never a secret. Only
   whether everybody needs a second factor is decided here.
"""

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scheduler.ledger import staff
from scheduler.ledger.staff import ROLES
from scheduler.settings import Settings, shipped
from scheduler.web.forms import address_of, name_of, read_all
from scheduler.web.gate import allowed, me, note, office

DEEDS = {
    "link": (
        "New link",
        "With this link, good once and for three days, {} chooses a new password.",
    ),
    "out": ("Sign out everywhere", "{} is signed out at once, and may sign in again."),
    "reset": (
        "Reset the second factor",
        "{} is signed out, and needs no code until a new app is set up. Be sure whose wish it is.",
    ),
    "end": (
        "Let in no more",
        "{} is signed out at once, and cannot sign in any more until somebody asks them in anew.",
    ),
}
"""What can be done to somebody: the button, and what it means."""

pages = Blueprint("team", __name__, url_prefix="/staff")


@pages.get("")
@allowed("admin")
def page(token: str = "", **told: object) -> str:
    with office.database.read() as db:
        everyone, needed = staff.everyone(db), staff.needed(db)
    known = {"faults": {}, "form": {}, "everyone": everyone, "needed": needed, "deeds": DEEDS}
    known |= {"roles": ROLES, "settings": in_words(), "days": staff.INVITED.days}
    known |= {"link": f"{office.settings.url}/welcome/{token}" if token else ""}
    return render_template("app/staff.html", **known | told)


@pages.post("/invite")
@allowed("admin")
def invite() -> ResponseReturnValue:
    form = request.form
    values, faults = read_all(form, {"name": name_of, "email": address_of})
    if values.get("email", "").casefold() == me().email:
        faults["email"] = "This is your own address."
    role = next((each for each in ROLES if each == form.get("role")), None)
    if role is None:
        faults["role"] = "Choose what they may do."
    if faults or role is None:
        return page(faults=faults, form=form), 422
    name, email, now = values["name"], values["email"].casefold(), office.clock()
    with office.database.write() as db:
        token = staff.invite(db, email, name, role, now)
        note(db, "invite", f"{email} as {role}", at=now)
    return page(token=token, whose=name)


@pages.post("/second-factor")
@allowed("admin")
def need() -> ResponseReturnValue:
    everybody = request.form.get("need") == "yes"
    with office.database.write() as db:
        staff.need(db, everybody=everybody)
        words = "needed of everybody" if everybody else "left to each"
        note(db, "second factor", words, at=office.clock())
    flash(f"From now on a second factor is {words}.")
    return redirect(url_for("team.page"))


@pages.post(f"/<member>/<any({', '.join(DEEDS)}):deed>")
@allowed("admin")
def change(member: str, deed: str) -> ResponseReturnValue:
    """What it means; with the word to do it, done."""
    with office.database.read() as db:
        whom = staff.by_id(db, member)
    if whom is None or whom.id == me().id:
        abort(404)
    if request.form.get("do") != "confirm":
        button, words = DEEDS[deed]
        told = {"whom": whom, "button": button, "words": words.format(whom.name)}
        return render_template("app/staff_change.html", **told)
    now, token = office.clock(), ""
    with office.database.write() as db:
        match deed:
            case "link":
                token = staff.invite(db, whom.email, whom.name, whom.role, now)
            case "end":
                staff.end(db, whom.email, now)
            case "reset":
                staff.reset(db, whom)
            case _:
                staff.end_sessions(db, whom)
        note(db, "staff", f"{DEEDS[deed][0].lower()}: {whom.email}", at=now)
    if token:
        return page(token=token, whose=whom.name)
    flash(f"Done: {DEEDS[deed][0].lower()}, {whom.name}.")
    return redirect(url_for("team.page"))


def in_words() -> list[tuple[str, str]]:
    """What the service is set to; never a secret, nor where its secrets lie."""
    settings = office.settings
    return [
        ("Letters go", _way(settings)),
        ("Database", office.database.kind),
        ("Public address", settings.url),
        ("The pages listen on", f"{settings.host}, port {settings.port}"),
        ("Course", "as shipped" if settings.course == shipped("course") else "your own"),
        ("SendGrid’s events", "are taken" if settings.webhook_key else "are not asked for"),
        ("A watchdog", "is told of each good round" if settings.ping else "is not told of rounds"),
        ("Numbers for Prometheus", "at /metrics" if settings.metrics else "are not shown"),
    ]


def _way(settings: Settings) -> str:
    match settings.channel:
        case "smtp":
            server = settings.smtp
            pace = f", {settings.smtp_per_minute} a minute" if settings.smtp_per_minute else ""
            where = f"{server.host}, port {server.port}" if server else ""
            return f"by SMTP through {where}, {settings.smtp_connections} connections{pace}"
        case "sendgrid":
            return f"by SendGrid ({settings.sendgrid_host}), {settings.sendgrid_batch} in a request"
    return "into a folder, as drafts where they are not signed; they reach nobody by themselves"
