"""evidence: one page that a sceptical physiotherapist can sit down with."""

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from scheduler.cli.desk import Desk, now_option
from scheduler.findings import shown, wrong
from scheduler.letters.passages import Filler, blame
from scheduler.letters.tokens import FIELDS
from scheduler.material.dossier import dossier
from scheduler.material.lessons import CITATION, Lesson, Passage
from scheduler.material.signoff import standing
from scheduler.settings import shipped

LIVE = re.compile(r"[\\`*_\[\]<>|~#]|&(?=#?\w+;)")  # what Markdown would act on inside a line


@click.command()
@click.option(
    "--to", "file", type=click.Path(path_type=Path), required=True, help="FILE.html or FILE.md."
)
@now_option
def evidence(file: Path, now: datetime) -> None:
    """Write every claim beside its sources and the sentences that cite them, as one page."""
    ending = file.suffix.lower()
    if ending not in (".html", ".md"):
        raise wrong(file, None, "ends neither in .html nor in .md", "write evidence.html, say")
    desk = Desk()
    material = desk.material
    found = dossier(material, lambda passage, field: _filled(desk, passage, field))
    today = now.astimezone(material.clinic.timezone).date()
    stands = standing(material, today)
    names = {"dossier": found, "material": material, "stands": stands, "today": today}
    page = _rendered(desk.settings.templates / "pages", f"evidence{ending}.j2", names)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise wrong(file, None, str(error.strerror).lower(), "name another file") from None
    told = {"claims": found.points, "sources": found.sources, "lessons": material.course.lessons}
    click.echo(", ".join(f"{len(of)} {what}" for what, of in told.items()) + f" in {shown(file)}")


def _filled(desk: Desk, passage: Passage, field: str) -> str:
    """A title or a body as this clinic's patients read it, with a mark for each citation."""
    lesson = passage if isinstance(passage, Lesson) else desk.material.course.lessons[0]
    merged = {name: f"({name.replace('_', ' ')})" for name in FIELDS}
    fill = Filler(desk.press.words_of(lesson.slug) | merged)
    if field == "title":
        return fill.line(passage, field)
    return fill.prose(replace(passage, body=CITATION.sub(r" ⟦\1⟧", passage.body)), field).text


def _rendered(folder: Path, name: str, names: dict[str, Any]) -> str:
    """The page; values are put in as the characters that they have, in Markdown as in HTML."""
    html = name.endswith(".html.j2")
    jinja = Environment(
        loader=FileSystemLoader([folder, shipped("templates") / "pages"]),
        autoescape=html,  # noqa: S701 - Markdown has an escape of its own, in finalize
        finalize=None if html else lambda value: LIVE.sub(r"\\\g<0>", str(value)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    try:
        return jinja.get_template(name).render(names)
    except Exception as error:  # noqa: BLE001 - a template can fail in any way
        raise blame(error, folder / name, 0, names, str(folder)) from None
