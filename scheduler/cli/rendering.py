"""render and evidence: the letters, and what they rest on, as files to look at; nothing is sent."""

from datetime import UTC, datetime
from pathlib import Path

import click

from scheduler.access import as_files
from scheduler.checks import browser, dossier
from scheduler.cli.desk import PATH, Desk, now_option
from scheduler.delivery.merge import merge_values
from scheduler.findings import closest, shown, writing, wrong
from scheduler.ledger.people import Person
from scheduler.letters.fill import Envelope
from scheduler.material.lessons import Lesson
from scheduler.web.samples import SAMPLES

SOMEBODY = SAMPLES["sam"].person


@click.command()
@click.option("--to", "folder", type=PATH, required=True, help="Where to.")
@click.option("--lesson", "slug", help="One lesson instead of all.")
@click.option("--for", "who", help="A person of the roster instead of an invented one.")
@click.option("--source", is_flag=True, help="Write the MJML too.")
@click.option(
    "--pictures", is_flag=True, help="Write a PNG of each too: phone, desktop, light, dark."
)
def render(
    folder: Path, slug: str | None, who: str | None, *, source: bool, pictures: bool
) -> None:
    """Write the letters as SLUG.html, SLUG.txt and SLUG.eml."""
    desk = Desk()
    course, now = desk.material.course, datetime.now(UTC)
    if slug and slug not in course.by_slug:
        raise wrong("--lesson", None, f'"{slug}" is not a lesson', closest(slug, course.by_slug))
    person = desk.timeline(who, now)[0] if who else SOMEBODY
    lessons = [course.by_slug[slug]] if slug else course.lessons
    made: dict[str, bytes] = {}
    for each in lessons:
        made |= _letter(desk, person, each, now)
        if source:
            mjml = desk.press.source(each.slug, noted=bool(person.note))
            made[f"{each.slug}.mjml"] = mjml.encode()
    with writing(folder, "name another folder"):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in made.items():
            (folder / name).write_bytes(content)
    click.echo(f"{len(lessons)} letters in {shown(folder)}")
    if pictures:
        pages = {each.slug: made[f"{each.slug}.html"].decode() for each in lessons}
        click.echo(f"{browser.pictures(pages, folder)} pictures in {shown(folder)}")


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
    written = dossier.evidence(folder / f"evidence{ending}.j2", material, desk.today(now))
    with writing(file, "name another file"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(written, encoding="utf-8")
    claims, sources = len(material.claims.entries), len(material.references.entries)
    lessons = len(material.course.lessons)
    click.echo(f"{claims} claims, {sources} sources, {lessons} lessons in {shown(file)}")


def _letter(desk: Desk, person: Person, lesson: Lesson, now: datetime) -> dict[str, bytes]:
    """The letter of a lesson, as if the person had just come to it."""
    edition = desk.press.edition(lesson.slug, bool(person.note), person.style)
    gone = {each.slug: now for each in desk.material.course.lessons[: lesson.week + 1]}
    following = desk.planner.coming(person, gone, now)
    kept = merge_values(person, following, desk.keys, desk.material.clinic.name)
    own = Envelope(lesson.slug, person.email, now, desk.keys.proven(kept))
    return as_files(lesson.slug, edition, own)
