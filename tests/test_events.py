"""What reading SendGrid's webhook promises: nothing unsigned is believed, nothing makes it fail."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sendgrid_rules import letters_in
from sendgrid_standin import StandIn, event

from scheduler.delivery.events import NotEvents, parse, verify
from scheduler.findings import WrongInput
from scheduler.ledger.evidence import Event

# SendGrid's published vector (sendgrid-python, test/unit/test_eventwebhook.py, MIT).
KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpV"
    "KS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
)
SIGNATURE = (
    "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqH"
    "h89M15TluLtEZtM="
)
TIMESTAMP = "1600112502"
PAYLOAD = json.dumps(
    [
        {
            "email": "hello@world.com",
            "event": "dropped",
            "reason": "Bounced Address",
            "sg_event_id": "ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",
            "sg_message_id": "LRzXl_NHStOGhQ4kofSm_A"
            ".filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",
            "smtp-id": "<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>",
            "timestamp": 1600112492,
        }
    ],
    sort_keys=True,
    separators=(",", ":"),
)
BODY = f"{PAYLOAD}\r\n".encode()


# Is it SendGrid's?


def test_sendgrids_own_vector_verifies() -> None:
    assert verify(KEY, BODY, SIGNATURE, TIMESTAMP)


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, len(BODY) - 1), bit=st.integers(0, 7))
def test_a_body_with_one_bit_flipped_is_refused(at: int, bit: int) -> None:
    flipped = bytearray(BODY)
    flipped[at] ^= 1 << bit
    assert not verify(KEY, bytes(flipped), SIGNATURE, TIMESTAMP)


@pytest.mark.parametrize(
    ("body", "signature", "timestamp"),
    [
        (BODY.rstrip(), SIGNATURE, TIMESTAMP),
        (b"", SIGNATURE, TIMESTAMP),
        (BODY, SIGNATURE, "1600112503"),
        (BODY, SIGNATURE, ""),
        (BODY, SIGNATURE, "١٦٠٠١١٢٥٠٢"),
        (BODY, "", TIMESTAMP),
        (BODY, "MEU", TIMESTAMP),
        (BODY, "ключ", TIMESTAMP),
        (BODY, SIGNATURE[:-8], TIMESTAMP),
        (BODY[1:], SIGNATURE, f"{TIMESTAMP}["),
        (b"2" + BODY, SIGNATURE, TIMESTAMP[:-1]),
    ],
)
def test_whatever_else_is_wrong_is_refused_or_is_no_list(
    body: bytes, signature: str, timestamp: str
) -> None:
    if verify(KEY, body, signature, timestamp):
        with pytest.raises(NotEvents):
            parse(body)


@given(body=st.binary(max_size=50), signature=st.text(max_size=100), timestamp=st.text(max_size=12))
def test_nothing_that_is_sent_makes_the_check_fail(
    body: bytes, signature: str, timestamp: str
) -> None:
    assert not verify(KEY, body, signature, timestamp)


def test_another_key_does_not_verify_and_what_is_no_key_is_named() -> None:
    other = StandIn("SG.x")
    signed = other.sign(BODY)
    stamp = signed["X-Twilio-Email-Event-Webhook-Timestamp"]
    signature = signed["X-Twilio-Email-Event-Webhook-Signature"]
    assert verify(other.webhook_key, BODY, signature, stamp)
    assert not verify(KEY, BODY, signature, stamp)
    with pytest.raises(WrongInput, match="PHYSIOPOST_WEBHOOK_KEY"):
        verify("no key", b"", "", "")


# What does it say?


def told(**fields: Any) -> Event:
    [read] = parse(json.dumps([fields]).encode())
    return read


def test_an_event_says_which_letter_what_and_when() -> None:
    assert told(
        email="bea@example.org",
        event="delivered",
        timestamp=1_795_428_300,
        sg_event_id="abc-_9",
        sg_message_id="Xj5L.recvd-85abf8d92c-3qfgp-2-7890E356-43C.1",
        letter_delivery="d" * 32,
    ) == Event(
        id="abc-_9",
        kind="delivered",
        delivery="d" * 32,
        message="Xj5L",
        at=datetime(2026, 11, 23, 10, 5, tzinfo=UTC),
        address="bea@example.org",
    )


def test_the_standins_events_are_read_with_the_letters_id() -> None:
    person = {"to": [{"email": "bea@example.org"}], "custom_args": {"letter_delivery": "d-1"}}
    [letter] = letters_in({"personalizations": [person]}, "Xj5L", 0, 1_795_428_300)
    read = told(**event(letter, "processed"))
    assert (read.delivery, read.message, read.kind) == ("d-1", "Xj5L", "processed")


def test_sendgrids_own_vector_is_a_drop_with_its_reason() -> None:
    [read] = parse(BODY)
    assert (read.kind, read.reason, read.delivery) == ("dropped", "Bounced Address", None)
    assert read.message == "LRzXl_NHStOGhQ4kofSm_A"


@pytest.mark.parametrize(("sort", "kind"), [("bounce", "bounce"), ("blocked", "blocked")])
def test_a_bounce_for_good_is_told_from_one_that_may_pass(sort: str, kind: str) -> None:
    assert told(event="bounce", type=sort, status="5.1.1").kind == kind


def test_a_reason_keeps_codes_and_sendgrids_words_and_nothing_of_a_mail_server() -> None:
    read = told(
        event="bounce",
        email="bea@example.org",
        status="5.1.1",
        reason="550 5.1.1 bea@example.org: Bea Example is not here",
        response="250 bea",
        bounce_classification="Invalid Address",
    )
    assert read.reason == "5.1.1, Invalid Address"
    assert "bea" not in repr(read)
    assert told(event="bounce", status="bea", bounce_classification="bea").reason == ""


@pytest.mark.parametrize("kind", ["account_status_change", "group_resubscribe", "teleported"])
def test_an_unknown_kind_is_let_through(kind: str) -> None:
    assert told(event=kind).kind == kind


@pytest.mark.parametrize("kind", [None, 7, "", "Bea <b@x>", ["delivered"]])
def test_what_is_no_kind_at_all_is_unknown(kind: object) -> None:
    assert told(event=kind).kind == "unknown"


@pytest.mark.parametrize("stamp", ["1795428300", 1795428300])
def test_a_time_may_be_a_number_or_a_text(stamp: object) -> None:
    assert told(timestamp=stamp).at == datetime(2026, 11, 23, 10, 5, tzinfo=UTC)


@pytest.mark.parametrize("stamp", [None, "", "soon", 1e400, -1e30, [], True, 10**30, "9" * 5000])
def test_a_time_that_is_none_is_none(stamp: object) -> None:
    assert told(timestamp=stamp).at is None


def test_an_event_without_an_id_gets_one_that_stays_the_same() -> None:
    assert told(event="bounce").id == told(event="bounce").id != told(event="dropped").id


def test_events_in_one_body_keep_their_order_and_what_is_no_event_is_left_out() -> None:
    read = parse(b'[{"event":"processed"}, 7, null, "x", [], {"event":"delivered"}]')
    assert [each.kind for each in read] == ["processed", "delivered"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"7",
        b"null",
        b'"[]"',
        b"[",
        b"\xff",
        b"[" * 100_000,
        b'{"event":"bounce"}',
        b"[" + b"9" * 5000 + b"]",
    ],
)
def test_what_is_no_list_is_refused_in_one_way(body: bytes) -> None:
    with pytest.raises(NotEvents):
        parse(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        *("event", "email", "timestamp", "sg_event_id", "sg_message_id", "type", "reason"),
        *("status", "letter_delivery", "bounce_classification", "category"),
    ]
)


@settings(max_examples=150, deadline=None)
@given(JSON | st.lists(st.dictionaries(NAMES, JSON), max_size=4))
def test_any_json_is_read_or_refused(said: object) -> None:
    try:
        read = parse(json.dumps(said).encode())
    except NotEvents:
        assert not isinstance(said, list)
        return
    for each in read:
        assert each.id
        assert "@" not in f"{each.kind} {each.reason} {each.delivery} {each!r}".replace(
            repr(each.message), ""
        )


@given(st.binary(max_size=200))
def test_any_octets_are_read_or_refused(body: bytes) -> None:
    with suppress(NotEvents):
        assert all(isinstance(each, Event) for each in parse(body))
