"""run: the worker and the pages in one process.

A course that was edited is taken up when somebody signs: signoff.yaml is looked at before each
round, and when it has changed, everything is read again.
"""

import logging
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import click

from scheduler.cli.desk import Desk
from scheduler.cli.sending import one_round, told
from scheduler.delivery.channels import open_channel
from scheduler.material.signoff import FILE
from scheduler.web.pages import pages
from scheduler.web.server import served
from scheduler.worker import work


@click.command()
@click.option("--no-web", is_flag=True, help="Without the patients' stop page.")
def run(*, no_web: bool) -> None:
    """Send what is due, every minute, until it is stopped (SIGTERM or Ctrl-C)."""
    desk = Desk()
    file = desk.settings.course / FILE
    signatures = _content(file)
    desk.press.all()
    logged = ""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    with open_channel(desk.settings) as channel:
        click.echo(f"sending by {channel.name}; stop with Ctrl-C")

        def tick() -> str:
            nonlocal logged, signatures
            if (now_signed := _content(file)) != signatures:
                desk.reread()
                desk.press.all()
                signatures = now_signed
            report = one_round(desk, channel, datetime.now(UTC))
            line = "; ".join(told(report)) if report.letters or not report.well else ""
            known, logged = line == logged, line
            return "" if known and not report.letters else line

        with ExitStack() as serving:
            if not no_web:
                app = pages(desk.database, desk.material, desk.settings)
                at = serving.enter_context(served(app, desk.settings.host, desk.settings.port))
                click.echo(f"the patients' stop page is at {at}/stop/…")
            work(tick)
    click.echo("stopped")


def _content(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b""
