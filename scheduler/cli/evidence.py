"""evidence: one page that a sceptical physiotherapist can sit down with (see checks/dossier.py)."""

from datetime import datetime
from pathlib import Path

import click

from scheduler.checks.dossier import page
from scheduler.cli.desk import PATH, Desk, now_option
from scheduler.findings import shown, writing, wrong


@click.command()
@click.option("--to", "file", type=PATH, required=True, help="FILE.html or FILE.md.")
@now_option
def evidence(file: Path, now: datetime) -> None:
    """Write every claim beside its sources and the sentences that cite them, as one page."""
    ending = file.suffix.lower()
    if ending not in (".html", ".md"):
        raise wrong(file, None, "ends neither in .html nor in .md", "write evidence.html, say")
    desk = Desk()
    material, folder = desk.material, desk.settings.templates / "pages"
    written = page(folder, f"evidence{ending}.j2", material, desk.today(now))
    with writing(file, "name another file"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(written, encoding="utf-8")
    claims, sources = len(material.claims.entries), len(material.references.entries)
    lessons = len(material.course.lessons)
    click.echo(f"{claims} claims, {sources} sources, {lessons} lessons in {shown(file)}")
