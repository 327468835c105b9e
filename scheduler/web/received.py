"""What a patient received, to the byte: the stored edition, filled with the values kept for it.

One letter with its headers, or everything on one page, as text, to print for the record.

The letter's HTML comes from an address of its own with a policy of its own (a frame's inner page
would inherit this one's, and lose its colours), into a frame that runs nothing and leads nowhere.
"""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, abort, render_template
from flask.typing import ResponseReturnValue

from scheduler.ledger import deliveries, people
from scheduler.ledger.people import Person
from scheduler.letters.editions import Edition
from scheduler.letters.fill import Envelope, fill, on_screen
from scheduler.letters.mime import serialise
from scheduler.web.gate import allowed, office
from scheduler.web.preview import INERT

FRAME = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'self'; sandbox"
)
WENT = ("accepted", "unknown")  # a delivery's states in which it may have arrived

pages = Blueprint("received", __name__, url_prefix="/people/<enrolment>/received")


@pages.get("")
@allowed("admin", "physiotherapist")
def whole(enrolment: str) -> ResponseReturnValue:
    with office.database.read() as db:
        person = people.of_enrolment(db, enrolment) or abort(404)
        rows = [row for row in deliveries.of_person(db, person.id) if row["state"] in WENT]
        editions = deliveries.editions(db, {row["edition"] for row in rows})
    zone = person.zone(office.clinic)
    letters = []
    for row in rows:
        kept, edition = row["merge"], editions[row["edition"]]
        letter = fill(edition, office.keys.proven(kept)) if kept else None
        letters.append((row, row["claimed_at"].astimezone(zone), letter))
    told = {"person": person, "letters": letters, "now": office.clock().astimezone(zone)}
    return render_template("app/received_all.html", enrolment=enrolment, **told)


@pages.get("/<lesson>")
@allowed("admin", "physiotherapist")
def page(enrolment: str, lesson: str) -> ResponseReturnValue:
    person, row, edition = _sent(enrolment, lesson)
    letter, message = fill(edition, row["merge"]), serialise(edition, _envelope(row))
    head = message.partition(b"\r\n\r\n")[0].decode("ascii").replace("\r\n", "\n")
    zone = person.zone(office.clinic)
    told = {"person": person, "row": row, "letter": letter, "head": head}
    told |= {"went": row["claimed_at"].astimezone(zone)}
    return render_template("app/received.html", enrolment=enrolment, slug=lesson, **told)


@pages.get("/<lesson>/letter.html")
@allowed("admin", "physiotherapist")
def as_html(enrolment: str, lesson: str) -> ResponseReturnValue:
    _, row, edition = _sent(enrolment, lesson)
    return framed(edition, row["merge"])


@pages.get("/<lesson>/letter.eml")
@allowed("admin", "physiotherapist")
def as_message(enrolment: str, lesson: str) -> ResponseReturnValue:
    _, row, edition = _sent(enrolment, lesson)
    saved = {"Content-Disposition": "attachment; filename=letter.eml"}
    message = serialise(edition, _envelope(row))
    return Response(message, mimetype="message/rfc822", headers=saved)


def framed(edition: Edition, values: Mapping[str, str]) -> Response:
    """A letter's HTML for a frame that runs nothing."""
    html = on_screen(fill(edition, values).html, edition.logo)
    policy = {"Content-Security-Policy": FRAME}
    return Response(html.replace("</head>", INERT, 1), headers=policy)


def _sent(enrolment: str, lesson: str) -> tuple[Person, Mapping[str, Any], Edition]:
    """A letter that went, with the edition that it was made from."""
    with office.database.read() as db:
        person = people.of_enrolment(db, enrolment) or abort(404)
        rows = deliveries.of_person(db, person.id)
        mine = [row for row in rows if (row["enrolment_id"], row["lesson"]) == (enrolment, lesson)]
        if not mine or not mine[0]["merge"]:
            abort(404)
        [edition] = deliveries.editions(db, [mine[0]["edition"]]).values()
    return person, {**mine[0], "merge": office.keys.proven(mine[0]["merge"])}, edition


def _envelope(row: Mapping[str, Any]) -> Envelope:
    return Envelope(row["id"], row["address"], row["claimed_at"], row["merge"])
