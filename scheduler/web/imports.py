"""Import: the files of a practice system, dropped as they are.

1. The files come once and then travel in the form: nothing of anybody is kept here before it is
   confirmed. What a file does not settle is asked for in one form, and the columns are remembered.
2. The dry run shows everybody in groups. The word to do it carries the mark of what was shown: if
   the files would do something else by then, nothing is done and the groups are shown anew.
3. What was put in has a page of its own, from which all of it is taken back while that can be.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path, PureWindowsPath

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from scheduler import tailoring
from scheduler.findings import Finding, NotDone, Question, WrongInput, wrong
from scheduler.ledger import changes, deliveries, trail
from scheduler.ledger.changes import AS_JSON, shown
from scheduler.ledger.people import Person
from scheduler.material.fields import clean
from scheduler.plan.reasons import count
from scheduler.plan.rules import PlannedLetter
from scheduler.roster import batch
from scheduler.roster.export import Choices, Export, LeftOut, wrong_rows
from scheduler.roster.merge import Merge, hold_back, merge
from scheduler.roster.practice import FIELDS
from scheduler.roster.proposal import Proposal, proposed
from scheduler.roster.table import Sheet, read_table
from scheduler.web.forms import agreed_of, faults, plain
from scheduler.web.gate import actor, allowed, office
from scheduler.web.server import LARGEST

ROOM = LARGEST // 2  # octets of all files: as text in a form they grow by a third
ROWS, FILES = 5000, 2
SHOWN, LATELY = 40, 5  # people of a group; imports that were made last
ORDERS = {"day": True, "month": False}


@dataclass(frozen=True)
class Look:
    """What the files would do."""

    export: Export
    merged: Merge
    moves: list[Proposal]
    first: list[tuple[Person, PlannedLetter | None]]
    leaving: list[tuple[LeftOut, Person]]

    @cached_property
    def dates(self) -> tuple[list[Proposal], list[Proposal]]:
        """Those whose dates move, and those of whom something else changes."""
        return [p for p in self.moves if p.moves], [p for p in self.moves if not p.moves]

    @cached_property
    def conflicts(self) -> list[Finding]:
        """What was changed on both sides, and who must not be written to, without commands."""
        return faults(WrongInput(*self.merged.conflicts, *self.merged.refused))

    @cached_property
    def held_back(self) -> str:
        """Why so many must be confirmed twice, or nothing."""
        try:
            hold_back(self.merged, self.moves)
        except NotDone as error:
            return plain(str(error))
        return ""

    @cached_property
    def todo(self) -> str:
        """`Enrol 23 people and change 4; the first letter goes Tue 1 Dec 2026 09:30`."""
        new, changed = len(self.merged.new), len(self.moves)
        told = [f"Enrol {_people(new)}"] if new else []
        told += [f"change {changed if new else _people(changed)}"] if changed else []
        coming = [(one.utc, one.local) for _, one in self.first if one and one.utc and one.local]
        first = min(coming)[1] if coming else None
        when = f"; the first letter goes {shown(first.date())} {first:%H:%M}" if first else ""
        words = " and ".join(told)
        return f"{words[:1].upper()}{words[1:]}{when}"

    @cached_property
    def mark(self) -> str:
        """What the page was made from."""
        new = [(self.merged.said[who.enrolment_id].stored(), one) for who, one in self.first]
        moves = [(AS_JSON.dump_json(m.change.person), m.before, m.after) for m in self.moves]
        rest = self.merged.conflicts, self.merged.refused, self.export.wrong, self.export.left_out
        return sha256(repr((new, moves, rest, self.held_back)).encode()).hexdigest()[:32]


pages = Blueprint("imports", __name__, url_prefix="/people/import")


@pages.get("")
@allowed("admin", "physiotherapist")
def page(wrong: list[Finding] | None = None) -> str:
    with office.database.read() as db:
        made = trail.imports(db, LATELY)
    return render_template("app/import.html", made=made, wrong=wrong)


@pages.post("")
@allowed("admin", "physiotherapist")
def look() -> ResponseReturnValue:
    form, now, sheets = request.form, office.clock(), _sheets()
    try:
        _refuse(sheets)
        choices = _choices(form, now)
        return _answer(sheets, choices, form, now)
    except Question as question:
        told = faults(question)
        notes = [
            each
            for each in told
            if "day_first" in question.asks or each.place == "consent" or "Give" in each.cure
        ]
        columns = [name for each in sheets for name in read_table(each).header if name]
        asked = {"asks": question.asks, "notes": notes, "columns": dict.fromkeys(columns)}
        again = {"sheets": _packed(sheets), "form": form, "again": bool(form.get("do"))}
        return render_template("app/import_columns.html", **asked, **again)
    except WrongInput as error:
        return page(faults(error)), 422


@pages.get("/<name>")
@allowed("admin", "physiotherapist")
def done(name: str) -> ResponseReturnValue:
    with office.database.read() as db:
        made = trail.imports(db, 1, name) or abort(404)
        why = _stays(db, name)
    return render_template("app/imported.html", made=made[0], why=why)


@pages.post("/<name>")
@allowed("admin", "physiotherapist")
def undo(name: str) -> ResponseReturnValue:
    now, parts = office.clock(), (office.database, office.planner)
    try:
        todo = tailoring.undo_batch(*parts, name, now)
        tailoring.commit(*parts, todo, now, actor(), keys=office.keys)
        flash(f"Taken back: everything that this import did to {_people(len(todo))}.")
    except (WrongInput, NotDone):
        flash("Nothing was taken back.")  # the page says why
    return redirect(url_for("imports.done", name=name))


def _answer(
    sheets: list[Sheet], choices: Choices, form: Mapping[str, str], now: datetime
) -> ResponseReturnValue:
    """The dry run, the rows to be mended, or, with the word to do it, done."""
    sure = form.get("do") == "confirm"
    if sure:
        office.planner.refresh(office.database, now)
    with office.database.write() if sure else office.database.read() as db:
        found = _look(db, sheets, choices, now)
        if form.get("do") == "rows":
            saved = {"Content-Disposition": "attachment; filename=wrong-rows.csv"}
            return Response(wrong_rows(found.export), mimetype="text/csv", headers=saved)
        late = sure and form.get("mark") != found.mark
        unsure = sure and bool(found.held_back) and not form.get("many")
        if sure and found.todo and not (late or unsure):
            parts = (db, found.export, found.merged, office.planner, now)
            name = batch.put_in(*parts, by=actor())
            flash("Done. Nothing is sent by this; each letter goes on its date.")
            return redirect(url_for("imports.done", name=name))
    told = {"look": found, "late": late, "unsure": unsure, "most": SHOWN, "form": form}
    page = render_template("app/import_look.html", sheets=_packed(sheets), **told)
    return page, 409 if late else 422 if unsure else 200


def _look(db: Connection, sheets: list[Sheet], choices: Choices, now: datetime) -> Look:
    planner, today = office.planner, office.clinic.today(now)
    export = batch.read(db, sheets, planner.material.course, today, choices)
    merged = merge(db, export, office.keys, now)
    first = [(each.person, planner.coming(each.person, {}, now)) for each in merged.new]
    moves = proposed(db, merged.changed, planner, now)
    return Look(export, merged, moves, first, batch.leaving(db, export))


def _sheets() -> list[Sheet]:
    """The files: dropped now, or dropped before and carried by the form since."""
    if sent := [each for each in request.files.getlist("files") if each.filename]:
        return [Sheet(_named(each.filename or ""), each.read()) for each in sent]
    form = request.form
    try:
        carried = zip(form.getlist("name"), form.getlist("content"), strict=True)
        return [Sheet(_named(name), b64decode(text, validate=True)) for name, text in carried]
    except ValueError:
        abort(400)


def _named(name: str) -> Path:
    """The file's own name, which is only shown."""
    return Path(clean(PureWindowsPath(name).name)[:100] or "file")


def _packed(sheets: list[Sheet]) -> list[tuple[str, str]]:
    return [(str(each.path), b64encode(each.content or b"").decode()) for each in sheets]


def _refuse(sheets: list[Sheet]) -> None:
    """Say no to nothing, and to more than can be looked at on a page."""
    if not sheets:
        raise wrong("files", None, "no file was chosen", "choose one, or the two of one system")
    if len(sheets) > FILES:
        raise wrong("files", None, f"{len(sheets)} files are too many", "choose one or two")
    if sum(len(each.content or b"") for each in sheets) > ROOM:
        words = f"the files are larger than {ROOM // 1_000_000} MB"
        raise wrong("files", None, words, "export fewer weeks at a time")
    for each in sheets:
        if (each.content or b"").count(b"\n") > ROWS:
            raise wrong(each.path, None, f"has more than {ROWS:,} rows", "export fewer weeks")


def _choices(form: Mapping[str, str], now: datetime) -> Choices:
    """What was said about the files; to choose the columns anew is to say nothing of them."""
    said = {name: clean(form[f"column.{name}"]) for name in FIELDS if f"column.{name}" in form}
    columns = dict.fromkeys(FIELDS, "") if form.get("do") == "columns" else said
    try:
        consent = agreed_of(form, office.clinic.today(now)) if form.get("consent") else None
    except WrongInput as error:
        raise Question(*error.findings, asks={"consent": None}) from None
    return Choices(consent, ORDERS.get(form.get("order", "")), columns, office.clinic.timezone)


def _stays(db: Connection, name: str) -> str:
    """Why an import cannot be taken back, or nothing when it can."""
    try:
        todo = changes.of_batch(db, name)
    except NotDone as error:
        return f"{plain(str(error))}. Then it can be taken back."
    new = [each.person.enrolment_id for each in todo if not each.after]
    if went := len(deliveries.sent(db, new)):
        words = f"Letters have gone to {_people(went)} of it, and those stay."
        return f"{words} It cannot be taken back as a whole: end the courses one by one."
    return "" if todo else "It was taken back."


def _people(number: int) -> str:
    return count(number, "person", "people")
