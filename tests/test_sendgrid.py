"""What the SendGrid channel promises, against a SendGrid of our own; and what that one refuses."""

import json
import logging
import socket
import ssl
import time
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from sendgrid_standin import StandIn, fault_in
from test_smtp import self_signed

from scheduler.delivery.channels import ChannelDown, Outcome
from scheduler.delivery.channels.sendgrid import TIMEOUT, SendGrid, _opener
from scheduler.findings import WrongInput
from scheduler.letters.editions import Edition
from scheduler.letters.fill import Envelope
from scheduler.letters.tokens import TOKENS

KEY = "SG.test-key"
HOSTILE = """<b>{{ 7*7 }}</b> O'Neil, "Zoë"\r\nBcc: x@example.org"""

EDITION = Edition(
    lesson="first-week",
    subject="Your first week",
    html=f'<p>Dear {TOKENS["first_name"]}</p><a href="{TOKENS["stop_url"]}">stop</a>',
    text=f"Dear {TOKENS['first_name']}\n\nStop: {TOKENS['stop_url']}\n",
    language="en",
    from_name="Harbour Physio",
    from_email="letters@harbour.example.org",
    reply_to="reception@harbour.example.org",
)


def envelope(number: int = 1, **values: str) -> Envelope:
    return Envelope(
        delivery=f"d-{number:04}",
        to=f"bea{number}@example.org",
        date=datetime(2026, 11, 23, 9, 30, tzinfo=UTC),
        values={"first_name": "Bea", "stop_url": "https://c.example.org/stop/t1", **values},
    )


def post(channel: SendGrid, *envelopes: Envelope) -> list[Outcome]:
    return [outcome for _, outcome in channel.post(EDITION, envelopes or [envelope()])]


@pytest.fixture
def sendgrid() -> Iterator[StandIn]:
    with StandIn(KEY) as standin:
        yield standin


@pytest.fixture
def channel(sendgrid: StandIn) -> Iterator[SendGrid]:
    with SendGrid(KEY, sendgrid.url) as opened:
        yield opened


@pytest.fixture
def hasty(sendgrid: StandIn, monkeypatch: pytest.MonkeyPatch) -> SendGrid:
    monkeypatch.setattr("scheduler.delivery.channels.sendgrid.TIMEOUT", 0.3)
    return SendGrid(KEY, sendgrid.url)


# What goes out


def test_a_letter_that_sendgrid_takes_is_accepted_with_its_message_id(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    [outcome] = post(channel)
    assert outcome == Outcome("accepted", reference=sendgrid.message_ids[0])


def test_an_acceptance_without_a_message_id_is_an_acceptance(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    sendgrid.next_fault("answer", status=202, taken=True)
    assert post(channel) == [Outcome("accepted")]


def test_the_letter_says_who_writes_to_whom_in_text_and_in_html(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    post(channel)
    [body] = sendgrid.accepted
    assert body["from"] == {"email": "letters@harbour.example.org", "name": "Harbour Physio"}
    assert body["reply_to"] == {"email": "reception@harbour.example.org"}
    assert body["subject"] == "Your first week"
    assert [part["type"] for part in body["content"]] == ["text/plain", "text/html"]
    assert body["content"][0]["value"].startswith("Dear Bea\n")
    assert "<p>Dear Bea</p>" in body["content"][1]["value"]


def test_every_personalization_has_one_bare_address_one_opaque_id_and_the_stop_link(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    post(channel, envelope(1), envelope(2))
    for number, body in enumerate(sendgrid.accepted, start=1):
        [person] = body["personalizations"]
        assert person["to"] == [{"email": f"bea{number}@example.org"}]
        assert person["custom_args"] == {"delivery": f"d-{number:04}"}
        assert person["headers"]["List-Unsubscribe"] == "<https://c.example.org/stop/t1>"
        assert person["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert not {"cc", "bcc", "subject"} & person.keys()


def test_all_tracking_is_switched_off_and_nothing_is_categorised(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    post(channel)
    [body] = sendgrid.accepted
    assert body["tracking_settings"] == {
        "click_tracking": {"enable": False, "enable_text": False},
        "open_tracking": {"enable": False},
        "subscription_tracking": {"enable": False},
        "ganalytics": {"enable": False},
    }
    assert not {"categories", "custom_args", "headers", "mail_settings"} & body.keys()
    assert "message-id" not in json.dumps(body).lower()


def test_a_hostile_name_arrives_as_it_was_typed_and_does_nothing(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    [outcome] = post(channel, envelope(first_name=HOSTILE))
    [body] = sendgrid.accepted
    text, html = (part["value"] for part in body["content"])
    assert outcome.result == "accepted"
    assert text.startswith(f"Dear {HOSTILE}\n")
    assert "&lt;b&gt;{{ 7*7 }}&lt;/b&gt; O&#x27;Neil, &quot;Zoë&quot;" in html
    assert "x@example.org" not in json.dumps(body["personalizations"])


def test_a_letter_without_a_value_is_refused_by_itself(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    lacking = Envelope("d-1", "bea@example.org", datetime.now(UTC), {"stop_url": "https://c"})
    first, second = post(channel, lacking, envelope(2))
    assert first == Outcome("refused", "the letter's field 'first_name' has no value")
    assert (second.result, sendgrid.requests) == ("accepted", 1)


# What an answer means


@pytest.mark.parametrize("status", [400, 406, 413, 415, 422])
def test_a_letter_that_sendgrid_refuses_is_refused_and_the_next_one_goes(
    status: int, sendgrid: StandIn, channel: SendGrid
) -> None:
    sendgrid.next_fault("answer", status=status)
    first, second = post(channel, envelope(1), envelope(2))
    assert first == Outcome("refused", f"SendGrid refuses the letter ({status})")
    assert second.result == "accepted"


@pytest.mark.parametrize("status", [404, 405])
def test_an_address_that_is_not_sendgrids_stops_the_channel(
    status: int, sendgrid: StandIn, channel: SendGrid
) -> None:
    sendgrid.next_fault("answer", status=status)
    with pytest.raises(ChannelDown, match="PHYSIOPOST_SENDGRID_HOST"):
        post(channel, envelope(1))


def test_a_refusal_names_the_field_but_never_the_address(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    fault = "personalizations.0.to.0.email"
    sendgrid.next_fault("answer", status=400, message="bad: bea1@example.org", blames=fault)
    sendgrid.next_fault("answer", status=400, blames="headers.bea1@example.org")
    assert [outcome.reason for outcome in post(channel, envelope(1), envelope(1))] == [
        f"SendGrid refuses the letter (400): {fault}",
        "SendGrid refuses the letter (400)",
    ]


def test_one_bad_address_is_refused_and_the_others_go(sendgrid: StandIn, channel: SendGrid) -> None:
    bad = Envelope("d-9", "not an address", datetime.now(UTC), envelope().values)
    results = [outcome.result for outcome in post(channel, envelope(1), bad, envelope(2))]
    assert results == ["accepted", "refused", "accepted"]
    assert len(sendgrid.accepted) == 2


def test_a_wrong_key_stops_the_channel_and_says_what_to_check(sendgrid: StandIn) -> None:
    with pytest.raises(ChannelDown, match=r"\(401\): check SENDGRID_API_KEY") as down:
        post(SendGrid("SG.other", sendgrid.url), envelope(1), envelope(2))
    assert "SG.other" not in str(down.value)
    assert (sendgrid.requests, sendgrid.accepted) == (1, [])


def test_a_key_that_may_not_send_stops_the_channel(sendgrid: StandIn, channel: SendGrid) -> None:
    sendgrid.next_fault("answer", status=403)
    with pytest.raises(ChannelDown, match=r"\(403\): check that it may send mail"):
        post(channel)


@pytest.mark.parametrize("key", ["SG.one\ntwo", "SG.ключ"])
def test_a_key_that_no_header_can_carry_is_named_at_once_and_not_shown(key: str) -> None:
    with pytest.raises(WrongInput) as wrong:
        SendGrid(key, "https://api.sendgrid.com")
    assert "SENDGRID_API_KEY" in str(wrong.value)
    assert key not in str(wrong.value)


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"X-RateLimit-Reset": "1795428300"}, "SendGrid asks us to wait (429) until 10:05 UTC"),
        ({"X-RateLimit-Reset": "soon"}, "SendGrid asks us to wait (429)"),
        ({}, "SendGrid asks us to wait (429)"),
    ],
)
def test_too_many_requests_put_the_letter_off_and_nothing_more_is_asked(
    headers: dict[str, str], words: str, sendgrid: StandIn, channel: SendGrid
) -> None:
    sendgrid.next_fault("answer", status=429, headers=headers)
    posted = channel.post(EDITION, [envelope(1), envelope(2), envelope(3)])
    assert next(posted) == (envelope(1), Outcome("deferred", words))
    with pytest.raises(ChannelDown) as down:
        next(posted)
    assert (str(down.value), sendgrid.requests, sendgrid.accepted) == (words, 1, [])


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("taken", [True, False])
def test_an_error_of_sendgrids_own_is_unknown_and_never_resent(
    status: int, taken: bool, sendgrid: StandIn, channel: SendGrid
) -> None:
    sendgrid.next_fault("answer", status=status, taken=taken)
    first, second = post(channel, envelope(1), envelope(2))
    assert (first.result, second.result) == ("unknown", "accepted")
    assert str(status) in first.reason
    assert (sendgrid.requests, len(sendgrid.accepted)) == (2, 1 + taken)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_the_key_goes_nowhere_else(
    status: int, sendgrid: StandIn, channel: SendGrid
) -> None:
    with StandIn(KEY) as elsewhere:
        sendgrid.next_fault("answer", status=status, headers={"Location": elsewhere.url})
        with pytest.raises(ChannelDown, match=r"redirect .*check PHYSIOPOST_SENDGRID_HOST"):
            post(channel)
    assert (elsewhere.requests, sendgrid.requests) == (0, 1)


# What silence means


def test_a_timeout_after_the_letter_was_taken_is_unknown_and_never_resent(
    sendgrid: StandIn, hasty: SendGrid
) -> None:
    sendgrid.next_fault("hang", taken=True)
    began = time.monotonic()
    first, second = post(hasty, envelope(1), envelope(2))
    assert (first.result, second.result) == ("unknown", "accepted")
    assert time.monotonic() - began < 3
    assert "(TimeoutError)" in first.reason
    assert [each["personalizations"][0]["to"] for each in sendgrid.accepted] == [
        [{"email": "bea1@example.org"}],
        [{"email": "bea2@example.org"}],
    ]


@pytest.mark.parametrize("kind", ["close", "cut"])
@pytest.mark.parametrize("taken", [True, False])
def test_a_connection_that_breaks_before_the_answer_is_unknown_and_the_next_letter_goes(
    kind: str, taken: bool, sendgrid: StandIn, channel: SendGrid
) -> None:
    sendgrid.next_fault(kind, taken=taken)  # type: ignore[arg-type]  # a Kind
    first, second = post(channel, envelope(1), envelope(2))
    assert (first.result, second.result) == ("unknown", "accepted")
    assert (sendgrid.requests, len(sendgrid.accepted)) == (2, 1 + taken)


def test_an_answer_cut_short_is_unknown(sendgrid: StandIn, channel: SendGrid) -> None:
    sendgrid.next_fault("answer", status=400, headers={"Transfer-Encoding": "chunked"})
    [outcome] = post(channel)
    assert (outcome.result, outcome.reference) == ("unknown", None)
    assert "(IncompleteRead)" in outcome.reason


def test_a_refused_connection_is_not_sent_and_stops_the_channel() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(ChannelDown, match=r"cannot be reached: .*Connection refused"):
            post(SendGrid(KEY, host))


def test_a_name_that_does_not_exist_is_not_sent_and_stops_the_channel() -> None:
    with pytest.raises(ChannelDown, match=r"nowhere\.invalid cannot be reached"):
        post(SendGrid(KEY, "https://nowhere.invalid"))


def test_a_connection_that_never_opens_is_not_sent_and_stops_the_channel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scheduler.delivery.channels.sendgrid.TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # takes the call, never speaks TLS
        host = f"https://127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(ChannelDown, match="timed out"):
            post(SendGrid(KEY, host))


def test_a_letter_goes_encrypted_and_only_to_a_sendgrid_that_somebody_vouches_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = self_signed(tmp_path)
    secret = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secret.load_cert_chain(certificate)
    with StandIn(KEY, secret) as sendgrid:
        with pytest.raises(ChannelDown, match="self-signed certificate"):
            post(SendGrid(KEY, sendgrid.url))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        _opener.cache_clear()
        assert [outcome.result for outcome in post(SendGrid(KEY, sendgrid.url))] == ["accepted"]
    _opener.cache_clear()


def test_a_sendgrid_that_speaks_no_tls_is_not_sent_to(sendgrid: StandIn) -> None:
    with pytest.raises(ChannelDown, match="cannot be reached"):
        post(SendGrid(KEY, sendgrid.url.replace("http:", "https:")))
    assert sendgrid.accepted == []


# What does not leak


def test_the_proxy_of_the_environment_is_not_used(
    sendgrid: StandIn, channel: SendGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    _opener.cache_clear()
    assert [outcome.result for outcome in post(channel)] == ["accepted"]
    assert sendgrid.requests == 1


def test_no_log_holds_the_key_the_address_or_the_letter_even_at_debug(
    sendgrid: StandIn, channel: SendGrid, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="python_http_client.client")
    sendgrid.next_fault("answer", status=400)
    post(channel, envelope(1), envelope(2))
    assert not any(secret in caplog.text for secret in (KEY, "bea1", "Dear Bea", "PAYLOAD"))


def test_without_the_filter_the_package_would_log_the_key_and_the_letter(
    channel: SendGrid, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("python_http_client.client"), "filters", [])
    caplog.set_level(logging.DEBUG)
    post(channel)
    assert all(secret in caplog.text for secret in (KEY, "bea1", "Dear Bea", "PAYLOAD"))


def test_no_reason_holds_an_address(sendgrid: StandIn, hasty: SendGrid) -> None:
    told = "bea1@example.org"
    for status in (400, 413, 500, 503):
        sendgrid.next_fault("answer", status=status, message=told, blames=told)
    sendgrid.next_fault("close")
    sendgrid.next_fault("hang")
    sendgrid.next_fault("answer", status=429, message=told, headers={"X-RateLimit-Reset": told})
    posted = hasty.post(EDITION, [envelope(1)] * 7)
    outcomes = [next(posted)[1] for _ in range(7)]
    assert all(outcome.reason and "@" not in outcome.reason for outcome in outcomes)


def test_a_lease_outlasts_the_waits_of_a_letter_three_times_over() -> None:
    assert SendGrid.lease.total_seconds() >= 3 * len(("connect", "answer")) * TIMEOUT


def test_nothing_is_known_of_a_delivery_afterwards(channel: SendGrid) -> None:
    assert channel.evidence(["d-0001"]) == {}


# What the stand-in refuses

GOOD: dict[str, Any] = {
    "from": {"email": "letters@harbour.example.org"},
    "subject": "Your first week",
    "content": [{"type": "text/plain", "value": "Dear"}, {"type": "text/html", "value": "<p>"}],
    "personalizations": [{"to": [{"email": "bea@example.org"}], "custom_args": {"delivery": "d"}}],
}


def people(number: int) -> list[dict[str, Any]]:
    return [{"to": [{"email": f"bea{each}@example.org"}]} for each in range(number)]


def two_to_each(number: int) -> list[dict[str, Any]]:
    return [
        {"to": [{"email": f"bea{each}@example.org"}], "cc": [{"email": f"cy{each}@example.org"}]}
        for each in range(number)
    ]


def to_bea(**more: Any) -> list[dict[str, Any]]:
    return [{"to": [{"email": "bea@example.org", **more.pop("named", {})}], **more}]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"from": None}, "from.email"),
    ({"from": {"email": "letters"}}, "from.email"),
    ({"from": {"email": "briefe@häfen.example.org"}}, "from.email"),
    ({"reply_to": {"email": "reception"}}, "reply_to.email"),
    ({"reply_to": {"email": "a@example.org"}, "reply_to_list": []}, "reply_to_list"),
    ({"subject": ""}, "subject"),
    ({"content": []}, "content"),
    ({"content": [{"type": "text/plain", "value": ""}]}, "content.0.value"),
    ({"content": GOOD["content"][::-1]}, "content"),
    ({"personalizations": []}, "personalizations"),
    ({"personalizations": people(1001)}, "personalizations"),
    ({"personalizations": two_to_each(501)}, "personalizations"),
    ({"personalizations": to_bea() + to_bea()}, "personalizations"),
    ({"personalizations": [{"to": []}]}, "personalizations.0.to"),
    ({"personalizations": [{"to": [{"email": "bea"}]}]}, "personalizations.0.to.0.email"),
    ({"personalizations": to_bea(named={"name": "O, B"})}, "personalizations.0.to.0.name"),
    ({"personalizations": to_bea(named={"name": "O; B"})}, "personalizations.0.to.0.name"),
    ({"personalizations": to_bea(custom_args={"n": 7})}, "personalizations.0.custom_args"),
    (
        {"personalizations": to_bea(custom_args={"n": "x" * 10_000})},
        "personalizations.0.custom_args",
    ),
    (
        {"personalizations": to_bea(headers={"Reply-To": "x"})},
        "personalizations.0.headers.Reply-To",
    ),
    ({"personalizations": to_bea(headers={"X-A": 1})}, "personalizations.0.headers.X-A"),
    ({"personalizations": to_bea(name="Bea")}, "personalizations.0.name"),
    ({"headers": {"bcc": "x@example.org"}}, "headers.bcc"),
    ({"categories": [str(number) for number in range(11)]}, "categories"),
    ({"categories": ["a", "a"]}, "categories"),
    ({"categories": ["a" * 256]}, "categories"),
    ({"send_at": 4_102_444_800}, "send_at"),
    ({"send_at": "1795428300"}, "send_at"),
    (
        {"tracking_settings": {"click_tracking": {"enable": "false"}}},
        "tracking_settings.click_tracking.enable",
    ),
    ({"message": "hello"}, "message"),
]


@pytest.mark.parametrize(("change", "blamed"), WRONG, ids=lambda each: str(each)[:40])
def test_the_standin_refuses_what_sendgrid_refuses(change: dict[str, Any], blamed: str) -> None:
    fault = fault_in(deepcopy(GOOD) | change)
    assert fault is not None
    assert fault[1] == blamed


@pytest.mark.parametrize("lacking", ["from", "subject", "content", "personalizations"])
def test_the_standin_misses_what_is_not_there(lacking: str) -> None:
    fault = fault_in({key: value for key, value in GOOD.items() if key != lacking})
    assert fault is not None
    assert fault[1] == lacking


@pytest.mark.parametrize("change", [{}, {"personalizations": people(1000)}])
def test_the_standin_takes_what_sendgrid_takes(change: dict[str, Any]) -> None:
    assert fault_in(GOOD | change) is None


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"key": "SG.other"}, 401),
        ({"kind": "text/plain"}, 415),
        ({"path": "/v3/mail"}, 404),
        ({"method": "GET"}, 405),
        ({"body": b"{"}, 400),
        ({"body": b"[]"}, 400),
        ({"body": b" " * 30_000_000}, 413),
    ],
)
def test_the_standin_answers_a_wrong_request_in_sendgrids_form(
    change: dict[str, Any], status: int, sendgrid: StandIn
) -> None:
    asked: dict[str, Any] = {"key": KEY, "kind": "application/json", "method": "POST"}
    asked |= {"path": "/v3/mail/send", "body": json.dumps(GOOD).encode(), **change}
    request = Request(  # noqa: S310 - the stand-in's own address
        sendgrid.url + asked["path"],
        data=asked["body"],
        method=asked["method"],
        headers={"Authorization": f"Bearer {asked['key']}", "Content-Type": asked["kind"]},
    )
    with pytest.raises(HTTPError) as refused:
        urlopen(request)  # noqa: S310 - as above
    [error] = json.loads(refused.value.read())["errors"]
    assert (refused.value.code, set(error)) == (status, {"message", "field", "help"})
    assert sendgrid.accepted == []
