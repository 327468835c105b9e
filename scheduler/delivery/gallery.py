"""Pages to leaf through the letters in a folder: index.html, and each letter as HTML and text.

A draft (see channels/folder.py) says so in the index and above its text. The .eml file does not: it
is to the byte what a patient would get.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

from markupsafe import escape

from scheduler.letters.fill import on_screen
from scheduler.letters.passages import page
from scheduler.material.clinic import Picture

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
    (outbox / "letters").mkdir(exist_ok=True)
    files = sorted((outbox / "new").glob("*.eml"), key=lambda file: file.stat().st_mtime_ns)
    letters = [_write_letter(file, outbox, zone) for file in files[-NEWEST:]]
    index = outbox / "index.html"
    index.write_text(gallery_page(templates, letters), encoding="utf-8")
    return index


def gallery_page(templates: Path, letters: Sequence[Shown] = ()) -> str:
    """The index; without letters it is tried before any is sent."""
    letters = sorted(letters, key=lambda letter: (letter.to, letter.date))
    people = [(to, list(group)) for to, group in groupby(letters, key=lambda letter: letter.to)]
    drafts = sum(bool(letter.draft) for letter in letters)
    names = {"people": people, "number": len(letters), "drafts": drafts}
    return page(templates / "pages" / "gallery.html.j2", names)


def _write_letter(file: Path, outbox: Path, zone: ZoneInfo) -> Shown:
    mark, draft = outbox / "drafts" / f"{file.stem}.txt", ""
    if mark.exists():
        draft = mark.read_text(encoding="utf-8", errors="replace") or "not signed"
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    base = outbox / "letters" / file.name
    logo = next((_inline(part) for part in message.walk() if part["Content-ID"]), None)
    for kind, ending, stamp in (("html", ".html", _stamp_html), ("plain", ".txt", _stamp_text)):
        part = message.get_body((kind, "plain"))
        text = on_screen(str(part.get_content()) if part else "", logo)
        if part and kind not in part.get_content_type():  # a plain letter has no HTML
            text = PLAIN.format(text=escape(text))
        base.with_suffix(ending).write_text(stamp(text, draft) if draft else text, encoding="utf-8")
    date = parsedate_to_datetime(str(message["Date"])).astimezone(zone)
    return Shown(file.stem, str(message["To"]), str(message["Subject"]), date, draft)


def _inline(part: EmailMessage) -> Picture:
    content = "".join(str(part.get_payload()).split())
    return Picture(str(part["Content-ID"]).strip("<>"), part.get_content_type(), content)


def _stamp_html(html: str, draft: str) -> str:
    banner = BANNER.format(why=escape(draft))
    return BODY.sub(lambda body: body[0] + banner, html, count=1)


def _stamp_text(text: str, draft: str) -> str:
    return f"DRAFT, not for patients. {draft}\n\n{text}"
