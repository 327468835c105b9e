"""`run`: the worker and the stop page, as a process that starts, sends, answers and ends."""

import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from conftest import Clinic


@pytest.fixture
def address(clinic: Clinic, root: Path) -> Iterator[str]:
    """A running service whose one patient's first letter is due."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    now = datetime.now(UTC) - timedelta(minutes=2)
    clinic.write(
        "subscribers.yaml",
        "- {id: kim, email: kim@example.org, name: Kim Canary, timezone: Etc/UTC, "
        f"first_appointment: {yesterday:%Y-%m-%d}, consent: {yesterday:%Y-%m-%d}, "
        f"send_at: '{now:%H:%M}'}}",
    )
    clinic.replace(
        "clinic.yaml", "[Mon, Tue, Wed, Thu, Fri]", "[Mon, Tue, Wed, Thu, Fri, Sat, Sun]"
    )
    clinic.replace("clinic.yaml", "country: GB-ENG", "country: GB-ENG\nsubdivision: ENG")
    assert clinic.physiopost("enrol", "--now", yesterday.isoformat()).code == 0
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "scheduler", "run"],
        env=clinic.environment(root) | {"PHYSIOPOST_PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout
        for line in process.stdout:
            if found := re.search(r"(http://127\.0\.0\.1:\d+)/stop/", line):
                break
        assert found
        yield found[1]
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        assert process.wait(timeout=20) == 0
        assert rest.endswith("stopped\n")
        assert "1 accepted" in rest
        assert "Canary" not in rest
        assert "kim@" not in rest
    finally:
        process.kill()
        process.wait()


def the_letter(clinic: Clinic) -> str:
    """The stop link of the one letter, once it is there."""
    deadline = time.monotonic() + 20
    while not clinic.letters():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    message = message_from_bytes(clinic.letters()[0].read_bytes(), policy=policy.default)
    return str(message["List-Unsubscribe"]).strip("<>").rpartition("/")[2]


def ask(address: str, data: bytes | None = None) -> tuple[int, str, dict[str, str]]:
    try:
        with urllib.request.urlopen(address, data, timeout=10) as answer:  # noqa: S310 - ours
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), dict(error.headers)


def test_it_sends_what_is_due_and_one_click_stops_the_course(clinic: Clinic, address: str) -> None:
    link = f"{address}/stop/{the_letter(clinic)}"

    # A virus scanner follows the link: a page, and nothing changes.
    status, page, headers = ask(link)
    assert (status, "Stop the letters" in page) == (200, True)
    assert "active" in clinic.physiopost("roster").out
    for word in ("Kim", "sciatica", "kim@"):
        assert word not in page
    assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert "Set-Cookie" not in headers

    # The mail program's button (RFC 8058), twice, as mail programs do.
    for _ in range(2):
        status, page, headers = ask(link, b"List-Unsubscribe=One-Click")
        assert (status, "Your letters have stopped" in page) == (200, True)
        assert "Set-Cookie" not in headers
    assert "stopped" in clinic.physiopost("roster").out

    # A link that is nobody's says nothing about anybody.
    assert [ask(f"{link[:-1]}_", data)[0] for data in (None, b"x")] == [404, 404]
