"""The editor's preview: the letters as they stand on disk, filled for invented people.

1. An open page waits at /events. Ten times a second the files' names, times and sizes are compared.
2. When they changed, the page asks for its letter again: course and clinic are read anew, and this
   one letter is compiled. Then it asks for the findings, which take longer.
3. What cannot be read or compiled is a finding. Until it is mended, the letter stays as it last was
   when all was whole.

For this machine alone: nothing is sent, nobody's data is read, no letter runs a script, and no page
reaches another host.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from html import escape
from pathlib import Path
from stat import S_ISDIR
from threading import Lock
from time import sleep
from typing import Any

from flask import Flask, Response, abort, jsonify, render_template, request

from scheduler.checks import check
from scheduler.findings import Finding, WrongInput, shown
from scheduler.letters.editions import Edition, Press
from scheduler.letters.fill import fill, on_screen
from scheduler.letters.tokens import BY_TOKEN, TOKEN
from scheduler.material import read_material
from scheduler.settings import Settings, shipped
from scheduler.web.samples import SAMPLES, Sample

POLL, PATIENCE = 0.1, 300  # seconds between two looks at the files; looks until a page asks anew
DEPTHS = ("[!.]*[!~]", "[!.]*/[!.]*[!~]", "[!.]*/[!.]*/[!.]*[!~]")  # no .git, no .swp, no file~
LISTENERS = 2  # pages that may wait at once: each holds one of the server's threads
PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
LETTER = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src {images}; form-action 'none'; "
    "frame-ancestors 'self'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": PAGE,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
CHOICES = {
    "view": ("phone", "desktop", "narrow", "text", "source"),
    "scheme": ("light", "dark", "inverted"),
    "images": ("on", "off"),
}
KINDS = ("html", "text", "source")
DARK = re.compile(r"@media[^{]*prefers-color-scheme:\s*(dark|light)[^{]*")
BOTH = re.compile(r'(color-schemes?"?(?::\s*|\s+content="))light dark')
# A click on a link would open a window, which the frame's sandbox does not allow.
INERT = '<base target="_blank"></head>'
WHOLE = (
    "<style>html { scrollbar-width: none; }</style></head>"  # the frame is as high as the letter
)
PLAIN = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Plain text</title><style>'
    ":root {{ color-scheme: {scheme}; }} body {{ margin: 0; }} pre {{ margin: 0; padding: 24px "
    "28px; font: 15px/1.6 ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace; "
    "white-space: pre-wrap; overflow-wrap: anywhere; }}</style></head><body><pre>{text}</pre>"
)


@dataclass(frozen=True)
class Look:
    """The files as they stood at one moment: a press for the letters, and what was found.

    With `faults`, all letters or some are still those of an earlier look.
    """

    mark: str
    press: Press | None = None
    faults: tuple[Finding, ...] = ()
    findings: tuple[Finding, ...] = ()
    allowed: tuple[Finding, ...] = ()


class Table:
    """What lies before the editor: the newest look, and the last that gave every letter."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime]) -> None:
        """Take the places; nothing is read yet."""
        self.settings, self.clock = settings, clock
        self.newest = self.study = Look("")
        self.whole: Press | None = None
        self.reading, self.studying = Lock(), Lock()
        self.newcomers, self.closed = 0, False

    def look(self) -> Look:
        """The newest look, taken anew if a file has changed."""
        with self.reading:
            mark = fingerprint(self.settings)
            if mark != self.newest.mark:
                try:
                    press = Press(read_material(self.settings), self.settings.templates)
                    self.newest = Look(mark, press)
                except WrongInput as error:
                    self.newest = Look(mark, faults=error.findings)
            return self.newest

    def presses(self) -> list[Press]:
        """The newest press and the last whole one, as far as there are such."""
        return [press for press in (self.look().press, self.whole) if press]

    def edition(self, slug: str, *, noted: bool) -> tuple[Press, Edition]:
        """A letter before it is filled, with the press that could make it.

        Raises:
            KeyError: there is no such lesson.
            WrongInput: it could not be made yet.

        """
        able = [press for press in self.presses() if slug in press.material.course.by_slug]
        if not able:
            raise KeyError(slug)
        try:
            return able[0], able[0].edition(slug, noted)
        except WrongInput:
            return able[-1], able[-1].edition(slug, noted)

    def studied(self) -> Look:
        """The newest look with everything that is to be said about it."""
        look = self.look()
        with self.studying:
            if self.study.mark != look.mark:
                self.study = self._study(look)
            return self.study

    def _study(self, look: Look) -> Look:
        if not look.press:
            return look
        material = look.press.material
        try:
            look.press.all()
            done = check(material, look.press, material.clinic.today(self.clock()))
        except WrongInput as error:
            return replace(look, faults=error.findings)
        self.whole = look.press
        return replace(look, findings=tuple(done.findings), allowed=tuple(done.allowed))

    def wait(self, seen: str) -> str:
        """The fingerprint when it is not `seen` any more, or when it is time to ask anew.

        Nobody tells us that a page was closed, so a newcomer takes the place of the oldest.
        """
        self.newcomers += 1
        mine = self.newcomers
        for _ in range(PATIENCE):
            mark = fingerprint(self.settings)
            if mark != seen or self.closed or self.newcomers - mine >= LISTENERS:
                return mark
            sleep(POLL)
        return seen

    def close(self) -> None:
        """Tell the waiting pages that it is over, so that they ask no more."""
        self.closed = True
        sleep(5 * POLL)


def fingerprint(settings: Settings) -> str:
    """What changes when somebody saves, adds, renames or removes a file of the material."""
    folders = (settings.course, settings.templates)
    files = [file for folder in folders for depth in DEPTHS for file in folder.glob(depth)]
    stamps = "\n".join(map(_stamp, sorted([*files, settings.clinic])))
    return sha256(stamps.encode()).hexdigest()[:16]


def _stamp(file: Path) -> str:
    """A file's time and size; nothing for a folder, where editors keep their own files too."""
    try:
        seen = file.stat()
    except OSError:
        return f"{file} gone"
    return "" if S_ISDIR(seen.st_mode) else f"{file} {seen.st_mtime_ns} {seen.st_size}"


def chosen(args: Mapping[str, str], lessons: Iterable[str]) -> dict[str, str]:
    """What the address asks for; the first of each kind stands in for what it lacks or mistakes."""
    known = {"lesson": (*lessons, ""), **CHOICES, "patient": tuple(SAMPLES)}
    asked = {name: args.get(name, "") for name in known}
    return {n: asked[n] if asked[n] in values else values[0] for n, values in known.items()}


def drawn(press: Press, edition: Edition, sample: Sample, kind: str, scheme: str) -> str:
    """A letter as the frame shows it: the HTML, or a page with the text or the MJML."""
    if kind not in KINDS:
        raise KeyError(kind)
    if kind == "source":
        source = press.source(edition.lesson, noted=bool(sample.note))
        named = TOKEN.sub(lambda token: f"{{{{ {BY_TOKEN[token[0]]} }}}}", source)
        return PLAIN.format(scheme=scheme, text=escape(named))
    letter = fill(edition, sample.values(press.material.clinic.name))
    if kind == "text":
        return PLAIN.format(scheme=scheme, text=escape(letter.text))
    head, _, body = on_screen(letter.html, edition.logo).partition("</head>")
    head = DARK.sub(lambda found: "@media screen" if found[1] == scheme else "@media not all", head)
    return BOTH.sub(rf"\g<1>{scheme}", head) + INERT + body


def told(table: Table, choice: Mapping[str, str]) -> dict[str, Any]:
    """What the page says beside the letter: the lessons, the envelope, the findings."""
    found = table.studied()
    presses = table.presses()
    lessons = presses[0].material.course.lessons if presses else ()
    places = {lesson.slug: shown(lesson.path) for lesson in lessons}
    names = {"found": found, "lessons": lessons, "places": places, "envelope": None}
    with suppress(KeyError, WrongInput):
        press, names["envelope"] = table.edition(choice["lesson"], noted=False)
        names["preheader"] = press.words_of(choice["lesson"])["preheader"]
    return names


def preview(settings: Settings, clock: Callable[[], datetime]) -> Flask:
    """The application. It answers to this machine's own names only."""
    table = Table(settings, clock)
    folder = shipped("templates").resolve() / "pages"
    app = Flask(__name__, template_folder=folder, static_folder=folder / "static")
    app.config["TRUSTED_HOSTS"] = ["127.0.0.1", "localhost"]
    app.extensions["table"] = table
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(CHOICES=CHOICES, SAMPLES=SAMPLES)

    def choice() -> dict[str, str]:
        presses = table.presses()
        return chosen(request.args, presses[0].material.course.by_slug if presses else ())

    @app.get("/")
    def page() -> str:
        asked = choice()
        return render_template("preview.html", chosen=asked, **told(table, asked))

    @app.get("/letter/<slug>")
    def letter(slug: str) -> Response:
        asked = {"patient": "sam", "as": "html", **request.args}
        scheme = "dark" if asked.get("scheme") == "dark" else "light"
        try:
            sample = SAMPLES[asked["patient"]]
            made = table.edition(slug, noted=bool(sample.note))
            content = drawn(*made, sample, asked["as"], scheme)
            content = content.replace("</head>", WHOLE, 1)
        except KeyError:
            abort(404)
        except WrongInput as error:
            sorry = escape(f"This cannot be shown yet.\n\n{error}")
            content = PLAIN.format(scheme=scheme, text=sorry)
        images = "'none'" if asked.get("images") == "off" else "data:"
        return Response(content, headers={"Content-Security-Policy": LETTER.format(images=images)})

    @app.get("/findings")
    def findings() -> Response:
        asked = choice()
        names = told(table, asked)
        found, place = names["found"], names["places"].get(asked["lesson"])
        parts = {part: getattr(found, part) for part in ("mark", "faults", "findings", "allowed")}
        return jsonify(parts | {"lesson": [each for each in found.findings if each.place == place]})

    @app.get("/events")
    def events() -> Response:
        seen = request.headers.get("Last-Event-ID") or request.args.get("seen", "")
        mark = table.wait(seen)
        event = "stopped" if table.closed else "changed"
        news = (
            f"id: {mark}\nevent: {event}\ndata: {mark}\n\n" if mark != seen or table.closed else ""
        )
        return Response(f"retry: 200\n\n{news}", mimetype="text/event-stream")

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return app
