"""The course: each letter as it looks, who has signed it, what it rests on, and who waits for it.

1. What is shown and signed is the course as it stands in its folder. The service sends what it read
   last; when somebody signs, it reads the folder anew (see take_up in gate.py).
2. A letter comes from an address of its own with a policy of its own, as in received.py.
3. A physiotherapist signs what stood on the page: its hash travels in the form. If the text has
   been edited meanwhile, nothing is signed, and it is shown anew.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scheduler.checks import dossier
from scheduler.findings import Finding, WrongInput
from scheduler.ledger.impact import waiting
from scheduler.ledger.staff import ROLES
from scheduler.letters.editions import Press
from scheduler.material import signoff
from scheduler.material.fields import clean
from scheduler.material.lessons import Passage
from scheduler.material.signoff import BLOCKS, Standing, content_hash, parse_registration
from scheduler.material.yamlfile import Unusable
from scheduler.web.forms import faults
from scheduler.web.gate import allowed, me, note, office
from scheduler.web.preview import drawn
from scheduler.web.received import FRAME
from scheduler.web.samples import SAMPLES

LOOKS = {"phone": "Phone", "desktop": "Desktop", "dark": "Dark", "text": "Plain text"}
EVIDENCE = (
    "default-src 'none'; style-src {styles}; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


@dataclass(frozen=True)
class Text:
    """A lesson, or the warning boxes, as a page tells it."""

    press: Press
    what: str
    today: date
    amiss: tuple[Finding, ...]

    @cached_property
    def passages(self) -> tuple[Passage, ...]:
        """What a patient reads."""
        return signoff.passages(self.press.material, self.what)

    @cached_property
    def standing(self) -> Standing:
        """Whether it is signed."""
        return signoff.standing(self.press.material, self.today)[self.what]

    @cached_property
    def hash(self) -> str:
        """What a signature is about."""
        return content_hash(self.press.material, self.what)

    @cached_property
    def words(self) -> Mapping[str, Any]:
        """The words of its letter, or of the first one, where the boxes stand too."""
        course = self.press.material.course
        return self.press.words_of(course.lessons[0].slug if self.what == BLOCKS else self.what)

    @cached_property
    def points(self) -> list[dict[str, Any]]:
        """The claims that it teaches, with their sources."""
        taught = {claim for each in self.passages for claim in each.claims}
        return [each for each in _points(self.press) if each["claim"].id in taught]

    @cached_property
    def files(self) -> set[str]:
        """Where its sentences stand."""
        return {f"{each.path.parent.name}/{each.path.name}" for each in self.passages}


@lru_cache(maxsize=2)
def _points(press: Press) -> list[dict[str, Any]]:
    """Every claim, worked out once for a course."""
    points: list[dict[str, Any]] = dossier.dossier(press.material)["points"]
    return points


pages = Blueprint("course", __name__, url_prefix="/course")


@pages.get("")
@allowed(*ROLES)
def page() -> str:
    press, amiss = _read()
    texts = [_text(what) for what in (*press.material.course.by_slug, BLOCKS)]
    return render_template("app/course.html", texts=texts, waiting=_waiting(), amiss=amiss)


@pages.get("/<what>")
@allowed(*ROLES)
def lesson(what: str) -> str:
    text, look, now = _text(what), request.args.get("as", ""), office.planner.material
    newer = what in (*now.course.by_slug, BLOCKS) and content_hash(now, what) != text.hash
    chosen = {"look": look if look in LOOKS else "phone", "LOOKS": LOOKS}
    told = {"waiting": _waiting().get(what, 0), "newer": newer}
    return render_template("app/lesson.html", text=text, amiss=text.amiss, **chosen, **told)


@pages.get("/<what>/letter.html")
@allowed(*ROLES)
def letter(what: str) -> Response:
    look = request.args.get("as", "")
    kind, scheme = "text" if look == "text" else "html", "dark" if look == "dark" else "light"
    if what == BLOCKS:
        abort(404)
    press = _text(what).press
    content = drawn(press, press.edition(what, False), SAMPLES["sam"], kind, scheme)
    return Response(content, headers={"Content-Security-Policy": FRAME})


@pages.get("/evidence")
@allowed(*ROLES)
def evidence() -> Response:
    """The whole evidence page, which brings its own style and no script."""
    text, page = _text(BLOCKS), office.settings.templates / "pages" / "evidence.html.j2"
    content = dossier.evidence(page, text.press.material, text.today)
    styles = (sha256(style.encode()).digest() for style in STYLE.findall(content))
    hashes = " ".join(f"'sha256-{b64encode(each).decode()}'" for each in styles)
    return Response(content, headers={"Content-Security-Policy": EVIDENCE.format(styles=hashes)})


@pages.route("/<what>/sign", methods=["GET", "POST"])
@allowed("physiotherapist")
def sign(what: str) -> ResponseReturnValue:
    """What is signed, with the form under it; or, with the form filled in, signed."""
    text, form = _text(what), request.form
    late = bool(form) and form.get("mark") != text.hash
    wrong: list[Finding] = []
    if form and not late and not text.amiss:
        try:
            _sign(text, form)
            return redirect(url_for("course.page"))
        except WrongInput as error:
            wrong = faults(error)
    told = {"text": text, "form": form, "wrong": wrong, "late": late, "amiss": text.amiss}
    return render_template("app/sign.html", **told), 409 if late else 422 if wrong else 200


def _read() -> tuple[Press, tuple[Finding, ...]]:
    """What makes the letters; or what the service has, and what is wrong with the folder."""
    look = office.table.look()
    try:
        if look.press:
            look.press.all()  # made once, and kept
            return look.press, ()
    except WrongInput as error:
        return office.press, error.findings
    return office.press, look.faults


def _text(what: str) -> Text:
    """A lesson by its slug, or the boxes."""
    press, amiss = _read()
    if what not in (*press.material.course.by_slug, BLOCKS):
        abort(404)
    return Text(press, what, press.material.clinic.today(office.clock()), amiss)


def _waiting() -> Mapping[str, int]:
    """How many people wait for each lesson of the course that the service sends."""
    with office.database.read() as db:
        return waiting(db, office.planner.material.course)


def _sign(text: Text, form: Mapping[str, str]) -> None:
    """Sign, write it into the audit, and let the service take up the text.

    Raises:
        WrongInput: something was not filled in, or the file cannot be written.

    """
    missing = [] if form.get("read") else [Finding("read", None, "tick that you have read it", "")]
    try:
        number = parse_registration(form.get("registration", ""))
    except Unusable as error:
        missing.append(Finding("registration", None, str(error), error.cure))
    if missing:
        raise WrongInput(*missing)
    now, name = office.clock(), clean(me().name)
    with office.database.write() as db:
        note(db, "sign", f"{text.what}, registration {number}", at=now)
        folder, material = office.settings.course, text.press.material
        signoff.sign(folder, material, [text.what], name, number, on=text.today)
    flash("Signed. Thank you.")
    try:
        office.take_up(now)
    except WrongInput as error:
        flash(f"The service goes on with the course as it was: {faults(error)[0].words}.")
