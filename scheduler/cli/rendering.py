"""render and evidence: the letters, and what they rest on, as files to look at; nothing is sent."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from scheduler.checks import browser
from scheduler.checks.dossier import page
from scheduler.cli.desk import PATH, Desk, now_option
from scheduler.delivery.merge import merge_values
from scheduler.findings import closest, shown, writing, wrong
from scheduler.ledger.people import Person
from scheduler.letters.fill import Envelope, fill, on_screen
from scheduler.letters.mime import serialise
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
        cure = closest(slug, course.by_slug)
        raise wrong("--lesson", None, f'"{slug}" is not a lesson', cure)
    person = desk.timeline(who, now)[0] if who else SOMEBODY
    lessons = [course.by_slug[slug]] if slug else course.lessons
    letters = list(_specimens(desk, person, now, lessons))
    with writing(folder, "name another folder"):
        folder.mkdir(parents=True, exist_ok=True)
        for letter in letters:
            base = folder / letter.name
            base.with_suffix(".html").write_text(letter.html, encoding="utf-8")
            base.with_suffix(".txt").write_text(letter.text, encoding="utf-8")
            base.with_suffix(".eml").write_bytes(letter.octets)
            if source:
                base.with_suffix(".mjml").write_text(letter.mjml, encoding="utf-8")
    click.echo(f"{len(letters)} letters in {shown(folder)}")
    if pictures:
        number = browser.pictures({letter.name: letter.html for letter in letters}, folder)
        click.echo(f"{number} pictures in {shown(folder)}")


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


@dataclass(frozen=True)
class _Specimen:
    """One lesson as one person gets it."""

    name: str
    html: str
    text: str
    octets: bytes
    mjml: str


def _specimens(
    desk: Desk, person: Person, now: datetime, lessons: Sequence[Lesson]
) -> Iterator[_Specimen]:
    """The letters of some lessons, as if the person had just come to each."""
    for lesson in lessons:
        noted = bool(person.note)
        edition = desk.press.edition(lesson.slug, noted, person.style)
        gone = {each.slug: now for each in desk.material.course.lessons[: lesson.week + 1]}
        following = desk.planner.coming(person, gone, now)
        values = merge_values(person, following, desk.keys, desk.material.clinic.name)
        letter = fill(edition, values)
        yield _Specimen(
            name=lesson.slug,
            html=on_screen(letter.html, edition.logo),
            text=letter.text,
            octets=serialise(edition, Envelope(lesson.slug, person.email, now, values)),
            mjml=desk.press.source(lesson.slug, noted=noted),
        )
