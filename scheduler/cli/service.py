"""run: the worker and the pages in one process.

1. Before each round the roster file is looked at, and applied if it has changed.
2. A course that was edited is taken up when somebody signs: signoff.yaml is looked at too, and when
   it has changed, everything is read again, for the pages too. What cannot be used is said once;
   until it is mended, the service goes on with what it had.
3. Once a night what clinic.yaml keeps no longer is removed (see keeping.py).
4. A good round is told to PHYSIOPOST_PING, so that silence is noticed outside.

`--no-web` and `--only-web` do one half each, so that the two can run in processes of their own.
"""

import logging
from contextlib import ExitStack
from datetime import UTC, datetime
from time import sleep
from urllib import request

import click

from scheduler.cli import logs
from scheduler.cli.desk import Desk
from scheduler.cli.sending import one_round, told
from scheduler.delivery.channels import Channel, open_channel
from scheduler.delivery.round import Report, Round, Stopped, never
from scheduler.findings import NotDone, WrongInput
from scheduler.keeping import Keeping
from scheduler.ledger import staff
from scheduler.material.signoff import FILE
from scheduler.roster.watch import Watch, digest
from scheduler.web.app import create
from scheduler.web.gate import Office
from scheduler.web.server import served
from scheduler.worker import work

FIRST = "physiopost staff invite EMAIL --name NAME --role admin"
PATIENCE = 5  # seconds for the ping's answer
ATTEMPTS, PAUSE = 30, 2  # to open the database; seconds between them
log = logging.getLogger(__name__)


@click.command()
@click.option("--no-web", is_flag=True, help="Send, without the pages.")
@click.option("--only-web", is_flag=True, help="Serve the pages, without sending.")
def run(*, no_web: bool, only_web: bool) -> None:
    """Send what is due, every minute, and serve the pages, until SIGTERM or Ctrl-C."""
    if no_web and only_web:
        raise click.UsageError("--no-web and --only-web leave nothing to do")
    desk = Desk()
    logs.begin(as_json=desk.settings.json_log)
    _wait_for_the_database(desk)
    serve(desk, web=not no_web, sending=not only_web)


def serve(desk: Desk, *, web: bool = True, sending: bool = True) -> None:
    """Run the service of a desk until it is stopped."""
    desk.press.all()
    desk.planner.refresh(desk.database, clock())
    with ExitStack() as open_now:
        channel = open_now.enter_context(open_channel(desk.settings)) if sending else None
        click.echo(f"sending by {channel.name}; stop with Ctrl-C" if channel else "not sending")
        office = office_of(desk)
        if web:
            app = create(office)
            at = open_now.enter_context(served(app, desk.settings.host, desk.settings.port))
            click.echo(f"the clinic's pages are at {at}/, the patients' stop page at {at}/stop/…")
            with desk.database.read() as db:
                if not staff.everyone(db):
                    click.echo(f"nobody can sign in yet: {FIRST}")
        work(Shift(office, channel).round)
    click.echo("stopped")


def _wait_for_the_database(desk: Desk) -> None:
    """After a power cut everything starts at once, and the database may come last."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return desk.database.close()
        except NotDone as error:
            if attempt == ATTEMPTS:
                raise
            log.warning("%s; trying again", error)
            sleep(PAUSE)
    return None


def office_of(desk: Desk) -> Office:
    """The parts of a desk that the pages need."""
    return Office(desk.database, desk.planner, desk.press, desk.keys, desk.settings, clock)


def clock() -> datetime:
    """Tell the time (UTC)."""
    return datetime.now(UTC)


class Shift:
    """What happens each minute, and what was said last, so that nothing is said every minute."""

    def __init__(self, office: Office, channel: Channel | None) -> None:
        """Begin; without a channel nothing is sent, and the roster file is left to who sends."""
        self.office, self.channel, self.said = office, channel, ""
        self.signoff = office.settings.course / FILE
        self.signed = digest(self.signoff)
        self.watch = Watch(office.settings.subscribers)

    def round(self, stopped: Stopped = never) -> str:
        """Look at the files, send what is due; a line for the log if there is something to say."""
        office, now = self.office, clock()
        if (signed := digest(self.signoff)) != self.signed:
            self.signed = signed
            try:
                office.take_up(now)
            except WrongInput as error:
                log.error("the edited course was not taken up: %s", error)  # noqa: TRY400 - for people
        if self.channel is None:
            return ""
        for line in self.watch.look(office.database, office.planner, office.keys, now):
            log.info("%s", line)
        material = office.planner.material
        if line := Keeping(office.database, office.keys, office.settings, material).nightly(now):
            log.info("%s", line)
        service = Round(office.database, office.planner, office.press, office.keys)
        report = one_round(service, office.settings, self.channel, now, stopped)
        if report.down is None:
            self._ping()
        return self._news(report)

    def _ping(self) -> None:
        if address := self.office.settings.ping:
            try:
                request.urlopen(address, timeout=PATIENCE).close()  # noqa: S310 - settings: http(s)
            except (OSError, ValueError) as error:
                log.warning("the ping failed: %s", type(error).__name__)

    def _news(self, report: Report) -> str:
        news = report.letters or report.unread or not report.well
        line = "; ".join(told(report)) if news else ""
        known, self.said = line == self.said, line
        return "" if known and not report.letters else line
