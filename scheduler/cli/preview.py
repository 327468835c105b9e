"""preview: the letters beside the editor, until Ctrl-C."""

import logging
from contextlib import ExitStack
from datetime import UTC, datetime

import click

from scheduler.cli.desk import Desk
from scheduler.findings import WrongInput, wrong
from scheduler.settings import LAST_PORT
from scheduler.web import preview as web
from scheduler.web.server import served
from scheduler.worker import stopping


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, LAST_PORT),
    default=8100,
    show_default=True,
    help="Where the page listens, on this machine alone; 0 takes a free one.",
)
def preview(port: int) -> None:
    """Show the letters in a browser, and show them anew when a file changes (Ctrl-C stops)."""
    stop = stopping()
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a page asks for much at once
    app = web.preview(Desk().settings, lambda: datetime.now(UTC))
    with ExitStack() as serving:
        try:
            at = serving.enter_context(served(app, "127.0.0.1", port))
        except WrongInput as taken:
            cure = "give another port, as in --port 8101"
            raise wrong("--port", None, taken.findings[0].words, cure) from None
        serving.callback(app.extensions["table"].close)
        click.echo(f"the letters are at {at}; stop with Ctrl-C")
        stop.wait()
    click.echo("stopped")
