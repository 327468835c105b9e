"""The way by SendGrid, to look at without an account: `make demo-sendgrid`.

The real commands in a folder of their own, a SendGrid of ours on this machine (sendgrid_standin.py)
in place of theirs, and two mornings on a clock that is set. Nobody signed anything: the signature
is a pretended one, and goes with the folder.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import time_machine
from click import echo
from sendgrid_standin import StandIn, event

from scheduler.cli import cli
from scheduler.cli.desk import Desk
from scheduler.cli.service import office_of
from scheduler.web.app import create
from scheduler.web.server import served

ROOT = Path(__file__).parent.parent
TUESDAY = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
MINUTE, HOUR, WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(days=7)


def main() -> None:
    with TemporaryDirectory() as folder, StandIn("SG.of-no-use-elsewhere") as sendgrid:
        settle_in(Path(folder), sendgrid)
        prepare(TUESDAY - 23 * HOUR)

        say("Tuesday, half past nine, and welcomes are due.")
        physiopost(TUESDAY, "send")
        show(sendgrid)

        say("SendGrid's signed events come in: the first letter bounced, the others arrived.")
        first, *others = sendgrid.letters
        told = [event(each, "delivered") for each in others]
        told.append(event(first, "bounce", type="bounce", status="5.1.1"))
        with site(TUESDAY + MINUTE) as address:
            echo(f"{len(told)} events: answer {sendgrid.post_events(address, told)}")
            echo(f"the same without a signature: answer {forged(address)}")
        physiopost(TUESDAY + MINUTE, "audit", "--last", "1")

        say("A week later SendGrid takes the letters, but the line breaks before it says so.")
        physiopost(TUESDAY + WEEK - HOUR, "send", quiet=True)
        sendgrid.next_fault("cut", taken=True)
        physiopost(TUESDAY + WEEK, "send")

        say("Six minutes later its Email Logs have settled that, and nothing goes twice.")
        physiopost(TUESDAY + WEEK + 6 * MINUTE, "send")
        counted = sendgrid.counted()
        echo(f"SendGrid took {counted['letters']} letters, {counted['twice']} of them twice.")

        say("Everybody, with the next letter:")
        physiopost(TUESDAY + WEEK + 7 * MINUTE, "roster")


def settle_in(folder: Path, sendgrid: StandIn) -> None:
    """A clinic's folder and settings."""
    shutil.copytree(ROOT / "course", folder / "course")
    for name in ("clinic.yaml", "subscribers.yaml"):
        shutil.copy(ROOT / name, folder)
    os.chdir(folder)
    for name in [name for name in os.environ if name.startswith(("PHYSIOPOST_", "SENDGRID_"))]:
        del os.environ[name]
    os.environ |= {
        "PHYSIOPOST_COURSE": "course",
        "PHYSIOPOST_CHANNEL": "sendgrid",
        "PHYSIOPOST_SENDGRID_HOST": sendgrid.url,
        "PHYSIOPOST_WEBHOOK_KEY": sendgrid.webhook_key,
        "PHYSIOPOST_URL": "https://letters.example.org",
        "PHYSIOPOST_SECRET": "a-secret-that-is-of-no-use-elsewhere",
        "SENDGRID_API_KEY": sendgrid.key,
    }


def prepare(now: datetime) -> None:
    who = "--name", "Nobody At All", "--registration", "PH000000"
    physiopost(now, "sign", "all", *who, "--yes", quiet=True)
    physiopost(now, "enrol", quiet=True)
    physiopost(now, "send", quiet=True)


def physiopost(now: datetime, *words: str, quiet: bool = False) -> None:
    """A command at its time."""
    if not quiet:
        echo(f"$ physiopost {' '.join(words)}")
    with time_machine.travel(now), redirect_stdout(StringIO()) as said:
        cli(list(words), standalone_mode=False)
    if not quiet:
        echo(said.getvalue(), nl=False)


def show(sendgrid: StandIn) -> None:
    """What SendGrid gets to know."""
    [body] = sendgrid.bodies
    letter = sendgrid.letters[0]
    echo(f"SendGrid got {len(sendgrid.letters)} letters in 1 request. Of the first:")
    echo(f"  From: {body['from']['name']} <{body['from']['email']}>")
    echo(f"  To: {letter.to}")
    echo(f"  Subject: {letter.subject}")
    echo(f"  custom_args: {json.dumps(letter.person['custom_args'])}")
    echo(f"  tracking: {sorted({each['enable'] for each in body['tracking_settings'].values()})}")


@contextmanager
def site(now: datetime) -> Iterator[str]:
    """The clinic's pages; gives the webhook's address."""
    desk = Desk()
    app = create(replace(office_of(desk), clock=lambda: now))
    with served(app, "127.0.0.1", 0) as address:
        yield f"{address}/events/sendgrid"


def forged(address: str) -> int:
    try:
        with urlopen(Request(address, b"[]"), timeout=10) as answer:  # noqa: S310 - of this machine
            return int(answer.status)
    except HTTPError as refused:
        return refused.code


def say(words: str) -> None:
    echo(f"\n{words}\n")


if __name__ == "__main__":
    main()
