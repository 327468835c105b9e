"""Pages to leaf through the letters in a folder: index.html, and each letter as HTML and text."""

from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from scheduler.findings import wrong

NEWEST = 500  # letters; an index of all of them would cost each round more than the last


@dataclass(frozen=True)
class Shown:
    """One letter as the index lists it."""

    name: str
    to: str
    subject: str
    date: datetime


def write_gallery(outbox: Path, templates: Path, zone: ZoneInfo) -> Path:
    """Write the pages for the newest letters; gives the index's path. Dates are in `zone`."""
    pages = outbox / "letters"
    pages.mkdir(exist_ok=True)
    files = sorted((outbox / "new").glob("*.eml"), key=lambda file: file.stat().st_mtime_ns)
    letters = [_write_letter(file, pages, zone) for file in files[-NEWEST:]]
    letters.sort(key=lambda letter: (letter.to, letter.date))
    people = [(to, list(group)) for to, group in groupby(letters, key=lambda letter: letter.to)]
    index = outbox / "index.html"
    page = gallery_page(templates)
    index.write_text(page.render(people=people, number=len(letters)), encoding="utf-8")
    return index


def gallery_page(templates: Path) -> Template:
    """The index's template, tried once without letters, so that it fails before any is sent."""
    jinja = Environment(
        loader=FileSystemLoader(templates / "pages"), autoescape=True, undefined=StrictUndefined
    )
    try:
        page = jinja.get_template("gallery.html.j2")
        page.render(people=[], number=0)
    except Exception as error:  # noqa: BLE001 - a template can fail in any way
        path = templates / "pages" / "gallery.html.j2"
        raise wrong(path, None, f"template: {error}", "check the braces") from None
    return page


def _write_letter(file: Path, pages: Path, zone: ZoneInfo) -> Shown:
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    for kind, ending in (("html", "html"), ("plain", "txt")):
        part = message.get_body((kind,))
        text = str(part.get_content()) if part else ""
        (pages / f"{file.stem}.{ending}").write_text(text, encoding="utf-8")
    return Shown(
        name=file.stem,
        to=str(message["To"]),
        subject=str(message["Subject"]),
        date=parsedate_to_datetime(str(message["Date"])).astimezone(zone),
    )
