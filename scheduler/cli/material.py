"""check and render: for whoever edits the course."""

from datetime import UTC, date, datetime
from pathlib import Path

import click

from scheduler.checks.review import past_review
from scheduler.cli.desk import Desk, json_option, print_json
from scheduler.delivery.round import merge_values
from scheduler.findings import closest, shown, wrong
from scheduler.ledger.people import Person
from scheduler.letters.fill import Envelope, fill
from scheduler.letters.mime import serialise


@click.command()
@json_option
def check(*, as_json: bool) -> None:
    """Check the course, the clinic, the templates and the roster; exit 1 with findings."""
    desk = Desk()
    now = datetime.now(UTC)
    material = desk.material
    editions = desk.press.all()
    people = len(desk.roster(now).entries) if desk.settings.subscribers.exists() else 0
    findings = list(past_review(material, now.astimezone(material.clinic.timezone).date()))
    checked = {
        "lessons": len(material.course.lessons),
        "claims": len(material.claims.entries),
        "sources": len(material.references.entries),
        "countries": len(material.countries),
        "editions": len(editions),
        "people": people,
    }
    if as_json:
        print_json({"checked": checked, "findings": [str(finding) for finding in findings]})
    else:
        for finding in findings:
            click.echo(finding)
        counts = ", ".join(f"{number} {what}" for what, number in checked.items())
        click.echo(f"checked {counts}: {len(findings) or 'no'} findings")
    if findings:
        raise click.exceptions.Exit(1)


@click.command()
@click.option("--to", "folder", type=click.Path(path_type=Path), required=True, help="Where to.")
@click.option("--lesson", "slug", help="One lesson instead of all.")
@click.option("--for", "who", help="A person of the roster instead of an invented one.")
@click.option("--source", is_flag=True, help="Write the MJML too.")
def render(folder: Path, slug: str | None, who: str | None, *, source: bool) -> None:
    """Write the letters as SLUG.html, SLUG.txt and SLUG.eml."""
    desk = Desk()
    course, now = desk.material.course, datetime.now(UTC)
    if slug and slug not in course.by_slug:
        cure = closest(slug, course.by_slug, "known are " + ", ".join(course.by_slug))
        raise wrong("--lesson", None, f'"{slug}" is not a lesson', cure)
    person = desk.timeline(who, now)[0] if who else SOMEBODY
    lessons = [course.by_slug[slug]] if slug else list(course.lessons)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for lesson in lessons:
            edition = desk.press.edition(lesson.slug, bool(person.note))
            gone = {each.slug: now for each in course.lessons[: lesson.week + 1]}
            after = desk.planner.plan(person, gone, now)
            values = merge_values(person, after, desk.settings.url, desk.material.clinic.name)
            letter = fill(edition, values)
            message = serialise(edition, Envelope(f"{lesson.slug}", person.email, now, values))
            base = folder / lesson.slug
            base.with_suffix(".html").write_text(letter.html, encoding="utf-8")
            base.with_suffix(".txt").write_text(letter.text, encoding="utf-8")
            base.with_suffix(".eml").write_bytes(message)
            if source:
                mjml = desk.press.source(lesson.slug, noted=bool(person.note))
                base.with_suffix(".mjml").write_text(mjml, encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or "cannot be written to").lower()
        raise wrong(folder, None, reason, "name another folder") from None
    click.echo(f"{len(lessons)} letters in {shown(folder)}")


SOMEBODY = Person(
    id="sample",
    email="sam@example.org",
    name="Sam Reader",
    consent=date(2026, 11, 23),
    first_appointment=date(2026, 11, 23),
    enrolled_at=datetime(2026, 11, 23, 9, tzinfo=UTC),
    enrolment_id="sample",
    stop_token="sample",  # noqa: S106 - opens nothing
)
