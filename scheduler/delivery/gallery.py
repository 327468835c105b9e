"""Pages to leaf through the letters in a folder: index.html, and each letter as HTML and text.

A draft (see channels/folder.py) says so in the index and above its text. The .eml file does not: it
is to the byte what a patient would get.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import escape

from scheduler.findings import wrong
from scheduler.letters.editions import Inline
from scheduler.letters.fill import on_screen

NEWEST = 500  # letters; an index of all of them would cost each round more than the last
BODY = re.compile(r"<body\b[^>]*>|\Z", re.IGNORECASE)
PLAIN = (
    '<!doctype html><html lang="en"><head><title>Letter</title></head><body>'
    '<pre style="font:16px/1.6 sans-serif;white-space:pre-wrap">{text}</pre></body></html>'
)
BANNER = (
    '<div role="note" style="margin:0;padding:12px 16px;border:4px dashed #8a1c1c;background:#fff;'
    'color:#1d2733;font:16px/1.5 sans-serif;text-align:left">'
    "<strong>DRAFT, not for patients.</strong> {why}</div>"
)


@dataclass(frozen=True)
class Shown:
    """One letter as the index lists it; `draft` says why it is one, if it is."""

    name: str
    to: str
    subject: str
    date: datetime
    draft: str


def write_gallery(outbox: Path, templates: Path, zone: ZoneInfo) -> Path:
    """Write the pages for the newest letters; gives the index's path. Dates are in `zone`."""
    pages = outbox / "letters"
    pages.mkdir(exist_ok=True)
    files = sorted((outbox / "new").glob("*.eml"), key=lambda file: file.stat().st_mtime_ns)
    letters = [_write_letter(file, outbox, zone) for file in files[-NEWEST:]]
    letters.sort(key=lambda letter: (letter.to, letter.date))
    people = [(to, list(group)) for to, group in groupby(letters, key=lambda letter: letter.to)]
    index = outbox / "index.html"
    page = gallery_page(templates)
    drafts = sum(bool(letter.draft) for letter in letters)
    rendered = page.render(people=people, number=len(letters), drafts=drafts)
    index.write_text(rendered, encoding="utf-8")
    return index


def gallery_page(templates: Path) -> Template:
    """The index's template, tried once without letters, so that it fails before any is sent."""
    jinja = Environment(
        loader=FileSystemLoader(templates / "pages"), autoescape=True, undefined=StrictUndefined
    )
    try:
        page = jinja.get_template("gallery.html.j2")
        page.render(people=[], number=0, drafts=0)
    except Exception as error:  # noqa: BLE001 - a template can fail in any way
        path = templates / "pages" / "gallery.html.j2"
        raise wrong(path, None, f"template: {error}", "check the braces") from None
    return page


def _write_letter(file: Path, outbox: Path, zone: ZoneInfo) -> Shown:
    draft = _draft(outbox / "drafts" / f"{file.stem}.txt")
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    page = outbox / "letters" / file.name
    logo = next((_inline(part) for part in message.walk() if part["Content-ID"]), None)
    for kind, ending, stamp in (("html", ".html", _stamp_html), ("plain", ".txt", _stamp_text)):
        part = message.get_body((kind, "plain"))
        text = on_screen(str(part.get_content()) if part else "", logo)
        if part and kind not in part.get_content_type():  # a plain letter has no HTML
            text = PLAIN.format(text=escape(text))
        page.with_suffix(ending).write_text(stamp(text, draft) if draft else text, encoding="utf-8")
    return Shown(
        name=file.stem,
        to=str(message["To"]),
        subject=str(message["Subject"]),
        date=parsedate_to_datetime(str(message["Date"])).astimezone(zone),
        draft=draft,
    )


def _inline(part: EmailMessage) -> Inline:
    content = "".join(str(part.get_payload()).split())
    return Inline(str(part["Content-ID"]).strip("<>"), part.get_content_type(), content)


def _draft(mark: Path) -> str:
    """Why a letter is a draft; empty when it is none."""
    if not mark.exists():
        return ""
    return mark.read_text(encoding="utf-8", errors="replace") or "not signed"


def _stamp_html(html: str, draft: str) -> str:
    banner = BANNER.format(why=escape(draft))
    return BODY.sub(lambda body: body[0] + banner, html, count=1)


def _stamp_text(text: str, draft: str) -> str:
    return f"DRAFT, not for patients. {draft}\n\n{text}"
