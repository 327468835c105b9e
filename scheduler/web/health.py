"""Health: the doctor's list on a page, a test letter to yourself, and what other programs ask.

1. To look at the page asks nobody outside; a button does, since a mail server may shut out who asks
   too often. The list holds numbers, and no names.
2. A test letter goes through the channel in use to who is signed in. It belongs to no patient, so
   no record but the audit tells of it.
3. /healthz: the process answers. /readyz: the database does too, and rounds run; else 503.
   /metrics: numbers, where PHYSIOPOST_METRICS is on; else there is no such address.
"""

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scheduler.delivery.behind import SILENCE, Heartbeat
from scheduler.delivery.proof import send_proof
from scheduler.doctor import Ward, examine
from scheduler.doctor.records import LATE
from scheduler.findings import NotDone
from scheduler.ledger import people, vitals
from scheduler.ledger.staff import ROLES
from scheduler.web.gate import allowed, me, note, office, public

PLAIN = "text/plain; charset=utf-8"
FORMAT = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus'

pages = Blueprint("health", __name__)


@pages.route("/health", methods=["GET", "POST"])
@allowed(*ROLES)
def page() -> ResponseReturnValue:
    outside = request.method == "POST"
    parts = office.settings, office.planner.material, office.database
    checks = examine(Ward(*parts, {}, office.clock(), outside=outside))
    number = sum(each.well is False for each in checks)
    return render_template("app/health.html", checks=checks, number=number, outside=outside)


@pages.post("/health/test-letter")
@allowed("admin", "technician")
def test_letter() -> ResponseReturnValue:
    now, member = office.clock(), me()
    said = send_proof(office.press, office.settings, member, now)
    with office.database.write() as db:
        note(db, "test letter", said, at=now)
    flash(f"Your test letter: {said}.")
    return redirect(url_for("health.page"))


@pages.get("/healthz")
@public
def alive() -> ResponseReturnValue:
    return Response("alive\n", content_type=PLAIN)


@pages.get("/readyz")
@public
def ready() -> ResponseReturnValue:
    try:
        with office.database.read() as db:
            last = Heartbeat.last(db)
    except NotDone:
        return Response("the database does not answer\n", 503, content_type=PLAIN)
    if last is None or office.clock() - last.at > SILENCE:
        return Response("no round runs\n", 503, content_type=PLAIN)
    return Response("ready\n", content_type=PLAIN)


@pages.get("/metrics")
@public
def metrics() -> ResponseReturnValue:
    if not office.settings.metrics:
        abort(404)
    return Response(_numbers(), content_type=FORMAT)


def _numbers() -> str:
    """As Prometheus reads it; of nobody in particular."""
    now = office.clock()
    with office.database.read() as db:
        last, states = Heartbeat.last(db), vitals.by_state(db)
        due = people.due_at(db, now)
    late = sum(number for at, number in due.items() if at < now - LATE)
    rows = [("letters", "Letters by state", f'{{state="{each}"}}', states[each]) for each in states]
    rows += [
        ("due", "Letters due now", "", sum(due.values())),
        ("late", "Letters due for longer than ten minutes", "", late),
        ("undecided", "Letters that may have arrived", "", states.get("unknown", 0)),
        ("channel_up", "Whether the last round could send", "", int(bool(last and not last.down))),
    ]
    if last:
        age = max(0, int((now - last.at).total_seconds()))
        rows.append(("heartbeat_age_seconds", "Since the last round ended", "", age))
    told: dict[str, list[str]] = {}
    for name, about, labels, number in rows:
        head = [f"# HELP physiopost_{name} {about}", f"# TYPE physiopost_{name} gauge"]
        told.setdefault(name, head).append(f"physiopost_{name}{labels} {number}")
    return "\n".join(line for lines in told.values() for line in lines) + "\n"
