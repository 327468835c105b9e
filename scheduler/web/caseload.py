"""A physiotherapist's caseload: my people, by what needs a look.

Each stands once, under the first of KINDS that fits. The database is asked once or twice, however
many people there are.
"""

from collections.abc import Callable, Sequence
from datetime import date, timedelta

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from scheduler.ledger import caseload
from scheduler.ledger.caseload import LOST, Look
from scheduler.plan.calendar import DAY
from scheduler.web.gate import allowed, me, office
from scheduler.web.wishes import PAUSE

LATELY = timedelta(days=7)  # how far back what was refused is told
SOON = 7 * DAY
PAGE = 50  # people under a heading at a time

Kind = Callable[[Look, date], bool]
KINDS: dict[str, Kind] = {
    "Asked to be called": lambda look, _: bool(look.person.call_asked_at),
    "Address fails, or called spam": lambda look, _: look.person.status in LOST,
    "Not sure, or did not go": lambda look, _: bool(look.trouble),
    "Hold ends within a week": lambda look, today: any(
        hold.until <= today + SOON for hold in look.person.holds(today) if hold.until
    ),
    "Paused at their own wish": lambda look, today: any(
        hold.reason == PAUSE for hold in look.person.holds(today)
    ),
    "First letter within a week": lambda look, today: bool(
        look.fresh and look.due and look.due.date() <= today + SOON
    ),
    "The others": lambda *_: True,
}

pages = Blueprint("caseload", __name__)


@pages.get("/mine")
@allowed("admin", "physiotherapist")
def page() -> ResponseReturnValue:
    now, name, names = office.clock(), me().name, list[str]()
    today, zone = office.clinic.today(now), office.clinic.timezone
    with office.database.read() as db:
        if me().role == "admin":
            names = caseload.physiotherapists(db)
            name = request.args.get("of") or next(iter(names), name)
        looks = caseload.of(db, name, now - LATELY)
    told = {"groups": grouped(looks, today), "name": name, "names": names, "zone": zone}
    skip = max(0, request.args.get("from", 0, int))
    return render_template(
        "app/caseload.html", **told, today=today, number=len(looks), skip=skip, most=PAGE
    )


def grouped(looks: Sequence[Look], today: date) -> dict[str, list[Look]]:
    """Everybody under the first heading that fits; headings without people are left out."""
    found: dict[str, list[Look]] = {kind: [] for kind in KINDS}
    for look in looks:
        found[next(kind for kind, fits in KINDS.items() if fits(look, today))].append(look)
    return {kind: some for kind, some in found.items() if some}
