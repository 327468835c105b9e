"""The audit on a page: who did what, to whom, when and from where; the newest first.

What is asked for comes by POST, since a patient's own number may be their name. Whoever
saves it is in it too.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

from flask import Blueprint, Response, render_template, request, stream_with_context
from flask.typing import ResponseReturnValue

from scheduler.ledger import trail
from scheduler.ledger.trail import Line, Wanted
from scheduler.plan.calendar import DAY
from scheduler.roster.table import as_text
from scheduler.web.forms import day_of, read_all
from scheduler.web.gate import allowed, note, office

PAGE = 50  # lines
HEAD = ("at", "by", "from", "action", "patient", "words", "batch")

pages = Blueprint("audit", __name__, url_prefix="/audit")


@pages.route("", methods=["GET", "POST"])
@allowed("admin")
def page() -> str:
    wanted, faults = _wanted(request.form)
    with office.database.read() as db:
        found = [*trail.lines(db, wanted, PAGE + 1)]
        actions = trail.actions(db)
    older = found[PAGE - 1].number if len(found) > PAGE else 0
    told = {"lines": found[:PAGE], "older": older, "actions": actions}
    return render_template("app/audit.html", faults=faults, form=request.form, **told)


@pages.post("/audit.csv")
@allowed("admin")
def save() -> ResponseReturnValue:
    wanted, faults = _wanted(request.form)
    if faults:
        return page(), 422
    with office.database.write() as db:
        note(db, "export", "audit", at=office.clock())
    saved = {"Content-Disposition": "attachment; filename=audit.csv"}
    rows = stream_with_context(_rows(wanted))
    return Response(rows, content_type="text/csv; charset=utf-8", headers=saved)


def _wanted(form: Mapping[str, str]) -> tuple[Wanted, dict[str, str]]:
    """What is asked for, or what is wrong with it; days are the clinic's."""
    asked = [name for name in ("since", "until") if form.get(name, "").strip()]
    days, faults = read_all(form, {name: partial(day_of, field=name) for name in asked})
    begins = {name: office.begins(day + (name == "until") * DAY) for name, day in days.items()}
    by, action, who = (form.get(name, "").strip()[:100] for name in ("by", "action", "who"))
    older = form.get("older", "")
    before = int(older) if re.fullmatch("[0-9]{1,9}", older) else None
    return Wanted(by, action, who, begins.get("since"), begins.get("until"), before), faults


def _rows(wanted: Wanted) -> Iterator[str]:
    """A line at a time, so that a long audit needs no more room than a short one."""
    yield as_text([HEAD])
    with office.database.read() as db:
        for each in trail.lines(db, replace(wanted, before=None)):
            yield as_text([_cells(each)])


def _cells(line: Line) -> tuple[str, ...]:
    """In UTC, as the audit keeps it."""
    told = (line.by, line.place, line.action, line.who, line.words, line.batch or "")
    return (f"{line.at:%Y-%m-%d %H:%M:%S}Z", *told)
