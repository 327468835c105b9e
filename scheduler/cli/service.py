"""run: the worker and the pages in one process.

1. Before each round the roster file is looked at, and applied if it has changed.
2. A course that was edited is taken up when somebody signs: signoff.yaml is looked at too, and when
   it has changed, everything is read again. What cannot be used is said once; until it is mended,
   the service goes on with what it had.
3. A good round is told to PHYSIOPOST_PING, so that silence is noticed outside.
"""

import logging
from contextlib import ExitStack
from datetime import UTC, datetime
from urllib import request

import click

from scheduler.cli.desk import Desk
from scheduler.cli.sending import one_round, told
from scheduler.delivery.channels import Channel, open_channel
from scheduler.delivery.round import Report
from scheduler.findings import WrongInput
from scheduler.material.signoff import FILE
from scheduler.roster.watch import Watch, digest
from scheduler.web.pages import pages
from scheduler.web.server import served
from scheduler.worker import work

PATIENCE = 5  # seconds for the ping's answer
log = logging.getLogger(__name__)


@click.command()
@click.option("--no-web", is_flag=True, help="Without the patients' stop page.")
def run(*, no_web: bool) -> None:
    """Send what is due, every minute, until it is stopped (SIGTERM or Ctrl-C)."""
    desk = Desk()
    desk.press.all()
    desk.planner.refresh(desk.database, datetime.now(UTC))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    with open_channel(desk.settings) as channel, ExitStack() as serving:
        click.echo(f"sending by {channel.name}; stop with Ctrl-C")
        if not no_web:
            app = pages(desk.database, desk.planner, desk.keys, desk.settings, clock)
            at = serving.enter_context(served(app, desk.settings.host, desk.settings.port))
            click.echo(f"the patients' stop page is at {at}/stop/…")
        work(Shift(desk, channel).round)
    click.echo("stopped")


def clock() -> datetime:
    """Tell the time (UTC)."""
    return datetime.now(UTC)


class Shift:
    """What happens each minute, and what was said last, so that nothing is said every minute."""

    def __init__(self, desk: Desk, channel: Channel) -> None:
        self.desk, self.channel, self.said = desk, channel, ""
        self.signoff = desk.settings.course / FILE
        self.signed = digest(self.signoff)
        self.watch = Watch(desk.settings.subscribers)

    def round(self) -> str:
        """Look at the files, send what is due; a line for the log if there is something to say."""
        now = datetime.now(UTC)
        if (signed := digest(self.signoff)) != self.signed:
            self.signed = signed
            self._take_up(now)
        desk = self.desk
        for line in self.watch.look(desk.database, desk.planner, desk.keys, now):
            log.info("%s", line)
        report = one_round(desk, self.channel, now)
        if report.down is None:
            self._ping()
        return self._news(report)

    def _take_up(self, now: datetime) -> None:
        """Read everything again; what cannot be used leaves the service as it is."""
        fresh = Desk()
        fresh.database = self.desk.database
        try:
            fresh.press.all()
            fresh.planner.refresh(fresh.database, now)
        except WrongInput as error:
            log.error("the edited course was not taken up: %s", error)  # noqa: TRY400 - for people
        else:
            self.desk = fresh

    def _ping(self) -> None:
        if address := self.desk.settings.ping:
            try:
                request.urlopen(address, timeout=PATIENCE).close()  # noqa: S310 - settings: http(s)
            except (OSError, ValueError) as error:
                log.warning("the ping failed: %s", type(error).__name__)

    def _news(self, report: Report) -> str:
        line = "; ".join(told(report)) if report.letters or not report.well else ""
        known, self.said = line == self.said, line
        return "" if known and not report.letters else line
