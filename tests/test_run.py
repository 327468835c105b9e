"""`run`: the worker and the pages, as a process that starts, sends, answers and ends."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import click
import pytest
from conftest import SIGN, Clinic

from scheduler.cli import service
from scheduler.cli.desk import Desk
from scheduler.cli.service import Shift, office_of
from scheduler.ledger.database import Database
from scheduler.ledger.deliveries import history
from scheduler.ledger.people import everyone
from scheduler.web.wishes import PAUSE

Run = Callable[..., AbstractContextManager[list[str]]]


@pytest.fixture
def run(clinic: Clinic, root: Path) -> Run:
    """`run(…)` is a service that has begun, by what it has said so far; then it is ended."""

    @contextmanager
    def running(*words: str, until: str, port: int = 0, script: str = "") -> Iterator[list[str]]:
        process = subprocess.Popen(
            [sys.executable, "-u", *([script] if script else ["-m", "scheduler"]), *words],
            env=clinic.environment(root) | {"PHYSIOPOST_PORT": str(port)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = []
        try:
            assert process.stdout
            for line in process.stdout:
                said.append(line)
                if re.search(until, line):
                    break
            yield said
            process.send_signal(signal.SIGTERM)
            said += process.stdout.readlines()
            assert (process.wait(timeout=20), said[-1]) == (0, "stopped\n"), said
        finally:
            process.kill()
            process.wait()

    return running


@pytest.fixture
def due(clinic: Clinic) -> None:
    """A patient whose first letter is due."""
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


@pytest.fixture
def address(clinic: Clinic, run: Run, due: None) -> Iterator[str]:  # noqa: ARG001 - it is made
    """Where a running service has its pages; somebody can sign in."""
    clinic.physiopost("staff", "invite", "tom@example.org", "--name", "Tom", "--role", "admin")
    with run("run", until="/stop/") as said:
        yield at(said)
    rest = "".join(said)
    assert "1 accepted" in rest
    assert "nobody can sign in" not in rest
    assert "Canary" not in rest
    assert "kim@" not in rest


def at(said: list[str]) -> str:
    found = re.search(r"(http://127\.0\.0\.1:\d+)/", said[-1])
    assert found, said
    return found[1]


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


def test_it_says_where_the_pages_are_and_how_the_first_account_is_made(run: Run) -> None:
    with run("run", until="/stop/") as said:
        status, page, headers = ask(f"{at(said)}/")
        assert (status, "<h1>Sign in</h1>" in page) == (200, True)
        assert "Server" not in headers
        told = said[-1]
    assert re.search(r"the clinic's pages are at http://127\.0\.0\.1:\d+/,", told)
    hint = "nobody can sign in yet: physiopost staff invite EMAIL --name NAME --role admin\n"
    assert hint in said


@pytest.mark.usefixtures("due")
def test_the_pages_can_be_served_without_sending(clinic: Clinic, run: Run) -> None:
    with run("run", "--only-web", until="/stop/") as said:
        assert ask(f"{at(said)}/sign-in")[0] == 200
        time.sleep(0.5)
    assert said[0] == "not sending\n"
    assert clinic.letters() == []


@pytest.mark.usefixtures("due")
def test_letters_can_be_sent_without_serving(clinic: Clinic, run: Run) -> None:
    with run("run", "--no-web", until="1 accepted") as said:
        pass
    assert "http://" not in "".join(said)
    assert len(clinic.letters()) == 1


@pytest.mark.usefixtures("due")
def test_the_log_for_programs_knows_every_request_by_its_id_and_nobody_by_name(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHYSIOPOST_LOG", "json")
    with run("run", until="1 accepted") as said:
        address = next(line for line in said if "/stop/" in line)
        _, _, headers = ask(f"{at([address])}/stop/nobody-has-this")
    lines = [json.loads(line) for line in said if line.startswith("{")]
    mine = next(each for each in lines if each.get("request") == headers["X-Request-Id"])
    assert (mine["says"], mine["status"], mine["level"]) == ("GET /stop/<token>", 404, "DEBUG")
    assert any("1 accepted" in each["says"] for each in lines)
    for word in ("nobody-has-this", "Canary", "kim"):
        assert word not in "".join(said)


def test_a_service_that_starts_before_its_database_waits_for_it(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    late = clinic.folder / "var"
    late.write_text("in the way")
    monkeypatch.setattr(service, "sleep", lambda _: late.unlink(missing_ok=True))
    monkeypatch.setattr(service, "serve", lambda desk, **_: click.echo(desk.database.engine.name))
    said = clinic.physiopost("run")
    assert (said.code, said.out) == (0, "sqlite\n"), said
    assert "trying again" in caplog.text


def test_a_service_whose_database_never_comes_says_so(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clinic.folder / "var").write_text("in the way")
    monkeypatch.setattr(service, "sleep", lambda _: None)
    said = clinic.physiopost("run")
    assert (said.code, "the database" in said.err) == (1, True)


def test_a_service_that_does_nothing_is_refused(clinic: Clinic) -> None:
    said = clinic.physiopost("run", "--no-web", "--only-web")
    assert (said.code, "leave nothing to do" in said.err) == (2, True)


def test_a_course_that_was_edited_and_signed_reaches_the_pages_and_not_before(
    clinic: Clinic,
) -> None:
    office = office_of(Desk())
    shift = Shift(office, None)
    clinic.replace("clinic.yaml", "name: Harbour Physio\n", "name: Harbour Physio North\n")
    shift.round()
    assert office.planner.material.clinic.name == "Harbour Physio"
    assert clinic.physiopost(*SIGN).code == 0
    shift.round()
    assert office.planner.material.clinic.name == "Harbour Physio North"
    clinic.replace("clinic.yaml", "country: GB-ENG", "country: GB-NONE")
    clinic.write("course/signoff.yaml", "")
    shift.round()  # what cannot be used leaves the pages as they are
    assert office.planner.material.clinic.name == "Harbour Physio North"


@pytest.mark.slow
def test_the_demo_clinic_opens_with_people_in_every_state_and_touches_nothing_else(
    clinic: Clinic, run: Run, root: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with run(script=f"{root}/tests/demo_clinic.py", until="/stop/", port=port) as said:
        told = "".join(said)
        links = re.findall(
            r"^  (\w+) .* (http://127\.0\.0\.1:\d+/welcome/\S+)$", told, re.MULTILINE
        )
        assert {role for role, _ in links} == {"admin", "physiotherapist", "technician"}
        for _, link in links:
            assert (ask(link)[0], "Welcome, " in ask(link)[1]) == (200, True)
        (own,) = re.findall(r"http://127\.0\.0\.1:\d+/letters/\S+", told)
        assert "You asked us to call you." in ask(own)[1]
    assert not (clinic.folder / "var" / "physiopost.db").exists()
    assert not (clinic.folder / "var" / "outbox").exists()
    database = Database(f"sqlite:///{clinic.folder}/var/serve/physiopost.db")
    with database.read() as db:
        people = everyone(db)
        states = {row["state"] for row in history(db)}
    assert {each.status for each in people} == {
        *("active", "bounced", "discharged", "finished", "stopped"),
    }
    assert {"accepted", "unknown", "refused"} <= states
    assert any(each.hold for each in people)
    assert any(each.skip for each in people)
    assert PAUSE in {hold.reason for each in people for hold in each.hold}
    assert "large" in {each.style for each in people}
    mode = (clinic.folder / "var" / "serve").stat().st_mode
    assert mode & 0o077 == 0
