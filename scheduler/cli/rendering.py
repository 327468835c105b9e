"""render: the letters as files, to look at."""

from datetime import UTC, datetime
from pathlib import Path

import click

from scheduler.checks import browser
from scheduler.cli.desk import Desk
from scheduler.cli.specimen import SOMEBODY, specimens
from scheduler.findings import closest, shown, wrong


@click.command()
@click.option("--to", "folder", type=click.Path(path_type=Path), required=True, help="Where to.")
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
        cure = closest(slug, course.by_slug, "known are " + ", ".join(course.by_slug))
        raise wrong("--lesson", None, f'"{slug}" is not a lesson', cure)
    person = desk.timeline(who, now)[0] if who else SOMEBODY
    letters = list(specimens(desk, person, now, [course.by_slug[slug]] if slug else ()))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for letter in letters:
            base = folder / letter.name
            base.with_suffix(".html").write_text(letter.html, encoding="utf-8")
            base.with_suffix(".txt").write_text(letter.text, encoding="utf-8")
            base.with_suffix(".eml").write_bytes(letter.octets)
            if source:
                base.with_suffix(".mjml").write_text(letter.mjml, encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or "cannot be written to").lower()
        raise wrong(folder, None, reason, "name another folder") from None
    click.echo(f"{len(letters)} letters in {shown(folder)}")
    if pictures:
        number = browser.pictures({letter.name: letter.html for letter in letters}, folder)
        click.echo(f"{number} pictures in {shown(folder)}")
