"""The patient's stop page (RFC 8058), and the headers that every page carries.

GET shows a page with one button and changes nothing, because virus scanners follow links. POST
stops the course: from the button, or from the mail program's own, which sends
List-Unsubscribe=One-Click. No cookie, no redirect, no name; the address is an opaque token.
"""

from flask import Flask, Response, render_template
from werkzeug.exceptions import HTTPException

from scheduler.ledger import people
from scheduler.ledger.database import Database
from scheduler.material import Material
from scheduler.settings import Settings

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
LARGEST = 16_384  # octets of a request; one click needs 30


def pages(database: Database, material: Material, settings: Settings) -> Flask:
    """The application."""
    folder = settings.templates.resolve() / "pages"
    app = Flask(__name__, template_folder=folder, static_folder=folder / "static")
    app.config["MAX_CONTENT_LENGTH"] = LARGEST
    app.jinja_env.globals["clinic"] = material.clinic

    @app.get("/stop/<token>")
    def ask(token: str) -> str | tuple[str, int]:
        with database.read() as db:
            known = people.by_stop_token(db, token)
        return render_template("stop.html") if known else (render_template("unknown.html"), 404)

    @app.post("/stop/<token>")
    def stop(token: str) -> str | tuple[str, int]:
        with database.write() as db:
            known = people.stop(db, token)
        return render_template("stopped.html") if known else (render_template("unknown.html"), 404)

    @app.errorhandler(HTTPException)
    def sorry(error: HTTPException) -> tuple[str, int]:
        return render_template("unknown.html"), error.code or 500

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.update(HEADERS)
        return response

    return app
