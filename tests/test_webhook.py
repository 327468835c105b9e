"""What the address for SendGrid's events promises: signed news moves letters, nothing else does."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from conftest import Clinic, signed
from flask.testing import FlaskClient
from sendgrid_standin import StandIn, event
from sqlalchemy import func, select
from test_round import KEYS, WELCOME, Service

from scheduler.delivery.channels.sendgrid import SendGrid
from scheduler.findings import NotDone
from scheduler.ledger import deliveries
from scheduler.ledger.suppressions import among
from scheduler.ledger.tables import event as events
from scheduler.letters.editions import Press
from scheduler.material import Material
from scheduler.settings import Settings
from scheduler.web.app import create
from scheduler.web.gate import Office
from scheduler.web.server import LARGEST, served

KEY = "SG.test-key"
PLACE = "/events/sendgrid"
AMY = "amy@example.org"
SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"


@pytest.fixture(scope="module")
def vetted(material: Material) -> Material:
    return signed(material)


@pytest.fixture(scope="module")
def press(root: Path, vetted: Material) -> Press:
    return Press(vetted, root / "templates")


class Post:
    """A clinic whose two welcomes SendGrid has taken, and the pages that it serves."""

    def __init__(self, service: Service, sendgrid: StandIn, *, key: str | None = None) -> None:
        self.service, self.sendgrid = service, sendgrid
        environ = {"PHYSIOPOST_WEBHOOK_KEY": sendgrid.webhook_key if key is None else key}
        settings = Settings.from_environment(environ)
        parts = service.database, service.planner, service.round.press, KEYS, settings
        self.app = create(Office(*parts, lambda: WELCOME + timedelta(hours=1)))
        self.web: FlaskClient = self.app.test_client()

    def about(self, kind: str, who: str = AMY, **more: Any) -> dict[str, Any]:
        """An event of somebody's letter."""
        letter = next(each for each in self.sendgrid.letters if each.to == who)
        return event(letter, kind, **more)

    def hear(self, told: Sequence[dict[str, Any]], **changed: str) -> int:
        body = json.dumps(told).encode()
        return self.send(body, self.sendgrid.sign(body) | changed)

    def send(self, body: bytes, headers: dict[str, str]) -> int:
        answer = self.web.post(PLACE, data=body, headers=headers)
        assert "Set-Cookie" not in answer.headers
        assert "Location" not in answer.headers
        return answer.status_code

    def fate(self, who: str = AMY) -> str | None:
        with self.service.database.read() as db:
            rows: dict[str, str | None] = {
                row["address"]: row["fate"] for row in deliveries.history(db)
            }
        return rows[who]

    def heard(self) -> int:
        with self.service.database.read() as db:
            return db.execute(select(func.count()).select_from(events)).scalar_one()


@pytest.fixture
def service(vetted: Material, press: Press, tmp_path: Path) -> Iterator[Service]:
    service = Service(vetted, press, f"sqlite:///{tmp_path / 'physiopost.db'}")
    yield service
    service.database.close()


@pytest.fixture
def post(service: Service) -> Iterator[Post]:
    with StandIn(KEY) as sendgrid, SendGrid(KEY, sendgrid.url) as channel:
        with time_machine.travel(WELCOME):
            assert service.run(channel, WELCOME).letters == {"accepted": 2}
        yield Post(service, sendgrid)


# What is signed


def test_a_signed_event_says_what_became_of_the_letter(post: Post) -> None:
    assert post.fate() is None
    assert post.hear([post.about("processed"), post.about("delivered")]) == 204
    assert post.fate() == "delivered"
    assert post.fate("ben@example.org") is None


def test_over_the_wire_all_the_standins_news_arrives(post: Post) -> None:
    with served(post.app, "127.0.0.1", 0) as address:
        told = post.sendgrid.news(twice=0.5)
        assert post.sendgrid.post_events(f"{address}{PLACE}", told) == 204
    assert (post.fate(), post.fate("ben@example.org")) == ("delivered", "delivered")
    assert post.heard() == 4


@pytest.mark.parametrize(
    ("kind", "status"),
    [("bounce", "bounced"), ("spamreport", "complained"), ("unsubscribe", "stopped")],
)
def test_an_event_that_ends_a_course_ends_that_one_only(kind: str, status: str, post: Post) -> None:
    assert post.hear([post.about(kind, type="bounce", status="5.1.1")]) == 204
    assert (post.service.status("amy"), post.service.status("ben")) == (status, "active")
    with post.service.database.read() as db:
        assert among(db, KEYS, [AMY, "ben@example.org"]) == {AMY: status}


def test_a_kind_that_nobody_knows_yet_is_taken_and_moves_nothing(post: Post) -> None:
    assert post.hear([post.about("teleported")]) == 204
    assert post.fate() is None


def test_an_empty_list_is_taken(post: Post) -> None:
    assert post.hear([]) == 204


# What is not


def test_what_is_not_signed_is_turned_away_and_changes_nothing(post: Post) -> None:
    body = json.dumps([post.about("bounce")]).encode()
    for headers in ({}, {SIGNATURE: "", TIMESTAMP: ""}, {TIMESTAMP: "1795428300"}):
        assert post.send(body, headers) == 403
    assert (post.heard(), post.service.status("amy")) == (0, "active")


def test_what_somebody_else_signed_is_turned_away(post: Post) -> None:
    body = json.dumps([post.about("bounce")]).encode()
    assert post.send(body, StandIn(KEY).sign(body)) == 403
    assert post.hear([post.about("bounce")], **{TIMESTAMP: "1795428300"}) == 403
    assert (post.heard(), post.service.status("amy")) == (0, "active")


def test_a_body_with_any_octet_changed_is_turned_away(post: Post) -> None:
    body = json.dumps([post.about("bounce")]).encode()
    headers = post.sendgrid.sign(body)
    for at in range(0, len(body), 7):
        flipped = bytearray(body)
        flipped[at] ^= 1
        assert post.send(bytes(flipped), headers) == 403
    assert post.send(body + b" ", headers) == 403
    assert (post.heard(), post.service.status("amy")) == (0, "active")


def test_events_that_come_again_have_no_second_effect(post: Post) -> None:
    body = json.dumps([post.about("bounce")]).encode()
    headers = post.sendgrid.sign(body)
    assert post.send(body, headers) == 204
    post.service.change("amy", status="active")  # a person has looked into it
    assert [post.send(body, headers) for _ in range(3)] == [204] * 3
    assert (post.heard(), post.service.status("amy")) == (1, "active")


@pytest.mark.parametrize(
    "garbage", [b"", b"{}", b"7", b"[", b"\xff\xfe", b"event=bounce", b"[" * 50_000]
)
def test_garbage_is_refused_even_if_it_is_signed(garbage: bytes, post: Post) -> None:
    turned_away = 403 if garbage.startswith(b"\xff") else 400  # what is no text is not verified
    assert post.send(garbage, post.sendgrid.sign(garbage)) == turned_away
    assert post.heard() == 0


def test_only_a_post_is_heard(post: Post) -> None:
    assert post.web.get(PLACE).status_code == 405
    assert post.web.put(PLACE).status_code == 405
    assert post.web.post(f"{PLACE}/").status_code == 404


def test_a_body_larger_than_sendgrids_is_not_read(post: Post) -> None:
    assert post.send(b"[" + b" " * LARGEST + b"]", {}) == 413


def test_events_that_cannot_be_written_down_are_not_acknowledged_so_they_come_again(
    post: Post, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise NotDone("the database: disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(post.service.database, "write", full)
        with caplog.at_level(logging.DEBUG):
            assert post.hear([post.about("delivered")]) == 503
    assert AMY not in caplog.text
    assert post.fate() is None
    assert post.hear([post.about("delivered")]) == 204
    assert post.fate() == "delivered"


# Its key


def test_without_a_key_the_address_does_not_exist(post: Post) -> None:
    keyless = Post(post.service, post.sendgrid, key="")
    assert keyless.hear([keyless.about("bounce")]) == 404
    assert keyless.service.status("amy") == "active"


@pytest.mark.parametrize("key", ["no-key", "MFkwEwYHKoZIzj0CAQYI", "-----BEGIN PUBLIC KEY-----"])
def test_a_key_that_is_none_stops_the_start_with_one_line(
    key: str, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHYSIOPOST_WEBHOOK_KEY", key)
    said = clinic.physiopost("run")
    assert said.code == 2
    assert said.err.startswith("PHYSIOPOST_WEBHOOK_KEY: is not a public key; copy the verification")
    assert len(said.err.splitlines()) == 1


@pytest.mark.slow
def test_the_demonstration_shows_events_a_bounce_and_a_doubt_that_is_settled(root: Path) -> None:
    command = [sys.executable, str(root / "tests" / "demo_sendgrid.py")]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for line in (
        "5 events: answer 204",
        "the same without a signature: answer 403",
        "bounced: status: active → bounced",
        "in doubt: may have arrived",
        "$ physiopost send\nnothing is due",
        "0 of them twice",
    ):
        assert line in told
