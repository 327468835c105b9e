"""send and settle: one round, and what a person decides about its doubts."""

from collections import Counter
from datetime import datetime

import click

from scheduler.cli.desk import Desk, json_option, me, now_option, print_json
from scheduler.delivery.behind import Heartbeat
from scheduler.delivery.channels import Channel, open_channel
from scheduler.delivery.gallery import gallery_page, write_gallery
from scheduler.delivery.round import Report, Round, Stopped, never
from scheduler.findings import wrong
from scheduler.material.signoff import Standing
from scheduler.plan.reasons import on
from scheduler.settings import Settings

STATES = {
    "accepted": "accepted",
    "deferred": "put off: will be tried again",
    "refused": "refused: will not be tried again",
    "unknown": "in doubt: may have arrived",
}


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what is due and send nothing.")
@json_option
@now_option
def send(now: datetime, *, dry_run: bool, as_json: bool) -> None:
    """Send what is due: one round. Exit 1 when a letter did not go, or would not when it is due."""
    desk = Desk()
    if dry_run:
        _print_due(desk, now, as_json=as_json)
        return
    desk.press.all()
    gallery_page(desk.settings.templates)
    with open_channel(desk.settings) as channel:
        report = one_round(desk.round, desk.settings, channel, now)
    if as_json:
        names = ("letters", "reasons", "down", "unread", "undecided")
        unsigned = {
            each.what: {"letters": number, "state": each.state, "words": each.words}
            for each, number in report.unsigned.items()
        }
        print_json({name: getattr(report, name) for name in names} | {"unsigned": unsigned})
    else:
        click.echo("\n".join(told(report)))
    if not report.well:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("who", metavar="ID")
@click.argument("lesson")
@click.option("--arrived/--again", required=True, help="It arrived, or send it again.")
@now_option
def settle(who: str, lesson: str, now: datetime, *, arrived: bool) -> None:
    """Decide about a letter that may or may not have arrived: ask the patient, then say so here."""
    desk = Desk()
    person, _ = desk.timeline(who, now)
    if not desk.round.settle(person.enrolment_id, lesson, arrived=arrived, now=now, by=me()):
        cure = f"see physiopost plan {who}"
        raise wrong("settle", None, f'no letter "{lesson}" of {who} is undecided', cure)
    click.echo("written down" if arrived else "due again")


def _print_due(desk: Desk, now: datetime, *, as_json: bool) -> None:
    """Whose letter is due, and what is to be signed before it can go."""
    desk.planner.refresh(desk.database, now)
    barred = desk.round.barred(now) if desk.settings.channel != "folder" else {}
    due = [(*each, barred.get(each[1].lesson, ())) for each in desk.round.due(now)]
    if as_json:
        rows = []
        for person, letter, waits in due:
            signs = [each.what for each in waits]
            rows.append({"id": person.id, "lesson": letter.lesson, "unsigned": signs})
        print_json(rows)
        return
    for person, letter, _ in due:
        when = f"{on(letter.local.date())} {letter.local:%H:%M}" if letter.local else ""
        click.echo(f"due  {person.id}  week {letter.week}  {letter.lesson}  {when}")
    unsigned = _unsigned(Counter(each for _, _, waits in due for each in waits))
    click.echo("\n".join([f"{len(due)} letters are due; nothing was sent", *unsigned]))


def told(report: Report) -> list[str]:
    """What a round did, a line each."""
    lines = [f"{number} {STATES[state]}" for state, number in sorted(report.letters.items())]
    for words, number in sorted(report.reasons.items()):
        lines.append(f"  {number} {words.partition(': ')[2]}")
    if report.down:
        lines.append(f"the channel is down: {report.down}; letters that are due stay due")
    elif report.unread:
        lines.append(f"{report.unread}; letters go all the same")
    if report.undecided:
        lines.append(f"{report.undecided} undecided in all: not sent again without evidence")
    if report.undecided or report.letters["refused"]:
        lines.append("see who with physiopost plan --behind")
    lines = [*lines, *_unsigned(report.unsigned)] or ["nothing is due"]
    later = {each for way in report.barred.values() for each in way} - set(report.unsigned)
    if later:
        what = ", ".join(sorted(each.what for each in later))
        lines.append(f"would not go as they stand: {what}; see physiopost check")
    return lines


def _unsigned(waiting: Counter[Standing]) -> list[str]:
    """What is to be signed before how many letters can go, a line each."""
    return [
        f"{number} wait for {each.what}: {each.words}"
        for each, number in sorted(waiting.items(), key=lambda item: item[0].what)
    ]


def one_round(
    service: Round, settings: Settings, channel: Channel, now: datetime, stopped: Stopped = never
) -> Report:
    """One round at `now`, and for the folder channel the pages to leaf through."""
    service.planner.refresh(service.database, now)
    report = service.run(channel, lambda: now, stopped)
    with service.database.write() as db:
        Heartbeat(now, report.down).keep(db)
    if channel.name == "folder" and report.letters["accepted"]:
        zone = service.planner.material.clinic.timezone
        write_gallery(settings.outbox, settings.templates, zone)
    return report
