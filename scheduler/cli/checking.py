"""check: everything that a program can find wrong with the course."""

from datetime import UTC, datetime

import click

from scheduler import checks
from scheduler.checks import browser, markup, reading, review, spam
from scheduler.checks.prose import Text, texts
from scheduler.checks.rulebook import RULES
from scheduler.cli.desk import Desk, json_option, print_json, print_table
from scheduler.findings import Finding
from scheduler.material.lessons import Lesson


@click.command()
@click.option("--reading", "as_table", is_flag=True, help="Print how hard each letter is to read.")
@click.option("--browser", "in_browser", is_flag=True, help="Ask axe-core in Chromium as well.")
@click.option("--spam", "as_spam", is_flag=True, help="Ask SpamAssassin as well, local rules only.")
@click.option("--github", is_flag=True, help="Print findings as annotations of GitHub Actions.")
@json_option
def check(*, as_table: bool, in_browser: bool, as_spam: bool, github: bool, as_json: bool) -> None:
    """Check the course, the clinic, the templates and the roster; exit 1 with findings."""
    desk = Desk()
    now = datetime.now(UTC)
    material = desk.material
    editions = desk.press.all()
    today = desk.today(now)
    people = len(desk.roster(today).entries) if desk.settings.subscribers.exists() else 0
    done = checks.check(material, desk.press, today)
    if in_browser or as_spam:
        letters = {mail.name: mail for mail in markup.mails(material, desk.press)}
    if in_browser:
        done.findings.extend(browser.findings({name: each.html for name, each in letters.items()}))
    if as_spam:
        done.findings.extend(spam.findings({name: each.octets for name, each in letters.items()}))
    checked = {
        "lessons": len(material.course.lessons),
        "rules": len(RULES),
        "claims": len(material.claims.entries),
        "sources": len(material.references.entries),
        "countries": len(material.countries),
        "editions": len(editions),
        "people": people,
    }
    notices = review.notices(material, today)
    if as_json:
        print_json({"checked": checked, **vars(done), "notices": notices})
    else:
        if as_table:
            _print_reading(texts(material))
        for finding in done.findings:
            click.echo(_annotation(finding) if github else f"{finding} [{finding.rule}]")
        for finding in done.allowed:
            click.echo(f"allowed: {finding} [{finding.rule}]")
        for notice in notices:
            click.echo(f"notice: {notice}")
        counts = ", ".join(f"{number} {what}" for what, number in checked.items())
        click.echo(f"checked {counts}: {len(done.findings) or 'no'} findings")
    if done.findings:
        raise click.exceptions.Exit(1)


def _annotation(finding: Finding) -> str:
    """A workflow command of GitHub Actions, its values escaped as they must be."""
    words = str(finding).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    place = finding.place.replace("%", "%25").replace(",", "%2C").replace(":", "%3A")
    return f"::error file={place},line={finding.line or 1},title={finding.rule}::{words}"


def _print_reading(everything: list[Text]) -> None:
    """How hard each passage is, and its longest sentence."""
    rows = []
    for text in everything:
        longest = max(text.sentences, key=lambda each: len(each.words))
        grade, words = f"{reading.grade(text.sentences):.1f}", f"{len(longest.words)}"
        name = text.passage.slug if isinstance(text.passage, Lesson) else text.passage.path.stem
        rows.append((name, f"{reading.length(text)}", grade, words, longest.text))
    print_table(("text", "words", "grade", "longest", "its longest sentence"), rows)
    lessons = [sentence for each in everything if not each.fixed for sentence in each.sentences]
    worst = sorted(lessons, key=lambda sentence: reading.grade([sentence]), reverse=True)[:5]
    click.echo("\nthe hardest sentences:")
    for sentence in worst:
        click.echo(f'  grade {reading.grade([sentence]):4.1f}  "{sentence.text}"')
    click.echo(
        f"\nSMOG over the course {reading.smog(lessons):.1f} (at most {reading.SMOG:g}); "
        f"grade at most {reading.GRADE:g}; sentence at most {reading.SENTENCE} words\n"
    )
