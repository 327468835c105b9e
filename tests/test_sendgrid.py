"""What the SendGrid channel promises, against a SendGrid of our own; and what that one refuses."""

import json
import logging
import random
import socket
import ssl
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from subprocess import PIPE
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sendgrid_rules import fault_in, letters_in
from sendgrid_standin import StandIn, Trouble
from test_smtp import self_signed

from scheduler.delivery.channels import ChannelDown, Outcome, sendgrid_mail
from scheduler.delivery.channels.sendgrid import LONGEST, NAP, PATIENCE, SendGrid
from scheduler.delivery.channels.sendgrid_http import IDLE
from scheduler.delivery.channels.sendgrid_logs import Found, LookUp, Unavailable
from scheduler.delivery.channels.sendgrid_mail import SALT, body, piece, shared
from scheduler.delivery.events import parse, verify
from scheduler.findings import WrongInput
from scheduler.ledger.claims import Claim
from scheduler.ledger.evidence import Event
from scheduler.letters.editions import Edition
from scheduler.letters.fill import Envelope, fill
from scheduler.letters.tokens import FIELDS, TOKENS
from scheduler.material.clinic import Picture

KEY = "SG.test-key"
HOSTILE = """<b>{{ 7*7 }}</b> O'Neil, "Zoë"\r\nBcc: x@example.org"""
CHANNEL = "scheduler.delivery.channels.sendgrid"

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
EVERY_FIELD = replace(
    EDITION,
    html="<p>" + "</p><p>".join(TOKENS.values()) + TOKENS["note"] * 2 + "</p>",
    text="".join(TOKENS.values()) + "\n" + TOKENS["note"] + "\n",
)


def envelope(number: int = 1, **values: str) -> Envelope:
    return Envelope(
        delivery=f"d-{number:04}",
        to=f"bea{number}@example.org",
        date=datetime(2026, 11, 23, 9, 30, tzinfo=UTC),
        values={
            "first_name": "Bea",
            "stop_url": f"https://c.example.org/stop/t{number}",
            **values,
        },
    )


def envelopes(number: int) -> list[Envelope]:
    return [envelope(each) for each in range(1, number + 1)]


def post(channel: SendGrid, *given: Envelope) -> list[Outcome]:
    return [outcome for _, outcome in channel.post(EDITION, given or [envelope()])]


def results(channel: SendGrid, given: list[Envelope]) -> dict[str, str]:
    """By delivery; a letter that was not begun is not among them."""
    told: dict[str, str] = {}
    try:
        for each, outcome in channel.post(EDITION, given):
            assert each.delivery not in told
            told[each.delivery] = outcome.result
    except ChannelDown:
        pass
    return told


def sizes(sendgrid: StandIn) -> list[int]:
    """How many letters each request that was taken held."""
    return [len(each["personalizations"]) for each in sendgrid.bodies]


@pytest.fixture
def sendgrid() -> Iterator[StandIn]:
    with StandIn(KEY) as standin:
        yield standin


@pytest.fixture
def channel(sendgrid: StandIn) -> Iterator[SendGrid]:
    with SendGrid(KEY, sendgrid.url) as opened:
        yield opened


@pytest.fixture
def single(sendgrid: StandIn) -> Iterator[SendGrid]:
    """A letter a request."""
    with SendGrid(KEY, sendgrid.url, 1) as opened:
        yield opened


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{CHANNEL}_http.TIMEOUT", 0.3)


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the channel would have slept."""
    slept: list[float] = []
    monkeypatch.setattr(f"{CHANNEL}.sleep", slept.append)
    return slept


# What goes out


def test_many_letters_of_an_edition_go_in_one_request(sendgrid: StandIn, channel: SendGrid) -> None:
    outcomes = post(channel, *envelopes(100))
    assert outcomes == [Outcome("accepted", reference=sendgrid.letters[0].message)] * 100
    assert [letter.delivery for letter in sendgrid.letters] == [f"d-{n:04}" for n in range(1, 101)]
    assert sizes(sendgrid) == [100]


@pytest.mark.parametrize(("batch", "requests"), [(1, [1] * 5), (2, [2, 2, 1]), (1000, [5])])
def test_a_request_holds_no_more_letters_than_was_set(
    batch: int, requests: list[int], sendgrid: StandIn
) -> None:
    with SendGrid(KEY, sendgrid.url, batch) as channel:
        assert len(post(channel, *envelopes(5))) == 5
    assert sizes(sendgrid) == requests


def test_an_acceptance_without_a_message_id_is_an_acceptance(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    sendgrid.next_fault("answer", status=202, taken=True)
    assert post(channel) == [Outcome("accepted")]


def test_the_letter_says_who_writes_to_whom_in_text_and_in_html(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    post(channel)
    [body] = sendgrid.bodies
    assert body["from"] == {"email": "letters@harbour.example.org", "name": "Harbour Physio"}
    assert body["reply_to"] == {"email": "reception@harbour.example.org"}
    [letter] = sendgrid.letters
    assert letter.subject == "Your first week"
    assert letter.text.startswith("Dear Bea\n")
    assert "<p>Dear Bea</p>" in letter.html


def test_every_personalization_has_one_bare_address_one_opaque_id_and_its_own_stop_link(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    post(channel, *envelopes(3))
    for number, person in enumerate(sendgrid.bodies[0]["personalizations"], start=1):
        assert person["to"] == [{"email": f"bea{number}@example.org"}]
        assert person["custom_args"] == {"letter_delivery": f"d-{number:04}"}
        assert person["headers"]["List-Unsubscribe"] == f"<https://c.example.org/stop/t{number}>"
        assert person["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert set(person) == {"to", "custom_args", "headers", "substitutions"}


def test_all_tracking_is_switched_off_and_nothing_is_categorised(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    post(channel)
    [body] = sendgrid.bodies
    assert body["tracking_settings"] == {
        "click_tracking": {"enable": False, "enable_text": False},
        "open_tracking": {"enable": False},
        "subscription_tracking": {"enable": False},
        "ganalytics": {"enable": False},
    }
    known = {"from", "reply_to", "subject", "content", "personalizations", "tracking_settings"}
    assert set(body) == known
    assert "message-id" not in json.dumps(body).lower()


def test_what_a_letter_says_is_what_fill_makes_after_the_wire_too(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    given = [envelope(1, first_name=HOSTILE), envelope(2, first_name="李"), envelope(3)]
    post(channel, *given)
    for each, letter in zip(given, sendgrid.letters, strict=True):
        made = fill(EDITION, each.values)
        assert (letter.subject, letter.text, letter.html) == (made.subject, made.text, made.html)


TAGLIKE = st.sampled_from(
    [*TOKENS.values(), *FIELDS, "zq", "qz", "-first_name-", "%", "&", "'", "\\", "\r\n", "{{ x }}"]
)
WORDS = st.lists(st.text(max_size=8) | TAGLIKE, max_size=6).map("".join)


@settings(max_examples=300, deadline=None)
@given(
    people=st.lists(st.fixed_dictionaries(dict.fromkeys(FIELDS, WORDS)), min_size=1, max_size=3),
    order=st.randoms(use_true_random=False),
)
def test_no_words_and_no_order_of_replacing_make_another_letter_than_fill(
    people: list[dict[str, str]], order: random.Random
) -> None:
    given = [replace(envelope(at), values=values) for at, values in enumerate(people)]
    whole = shared(EVERY_FIELD)
    mail = json.loads(body(whole, [piece(EVERY_FIELD, whole, each) for each in given]))
    for person in mail["personalizations"]:
        pairs = list(person["substitutions"].items())
        order.shuffle(pairs)
        person["substitutions"] = dict(pairs)
    for each, letter in zip(given, letters_in(mail, "m", 0, 0), strict=True):
        made = fill(EVERY_FIELD, each.values)
        assert (letter.text, letter.html) == (made.text, made.html)


def test_no_tag_is_part_of_another_and_each_holds_digits_that_nobody_can_know() -> None:
    whole = shared(EVERY_FIELD)
    tags = [tag for tag, _ in (*whole.text, *whole.html)]
    assert len(tags) == len(set(tags)) == 2 * len(FIELDS)
    assert not any(one in other for one in tags for other in tags if one != other)
    assert all(SALT in tag for tag in tags)
    assert len(SALT) == 16


def test_a_subject_may_hold_fields_too() -> None:
    edition = replace(EDITION, subject=f"For {TOKENS['first_name']}")
    whole = shared(edition)
    mail = json.loads(body(whole, [piece(edition, whole, envelope(first_name="O'Neil"))]))
    assert letters_in(mail, "m", 0, 0)[0].subject == "For O'Neil"


def test_a_logo_goes_along_once_a_request_to_be_shown_in_the_letter() -> None:
    png = b64encode(b"picture").decode()
    drawn = replace(EDITION, logo=Picture("logo", "image/png", png))
    mail = json.loads(shared(drawn).head + b"]}")
    [attached] = mail["attachments"]
    assert attached["content"] == png
    assert (attached["disposition"], attached["content_id"]) == ("inline", "logo")
    assert (attached["type"], attached["filename"]) == ("image/png", "logo.png")
    assert fault_in(mail | {"personalizations": to_bea()}) is None


def test_two_who_share_an_address_get_their_letters_in_two_requests(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    couple = [replace(envelope(n), to=to) for n, to in enumerate(["b@x.org", "B@x.org"], start=7)]
    assert results(channel, [*couple, *envelopes(3)]) == dict.fromkeys(
        ["d-0007", "d-0008", "d-0001", "d-0002", "d-0003"], "accepted"
    )
    assert sizes(sendgrid) == [4, 1]


def test_a_request_is_split_before_it_is_too_large(
    sendgrid: StandIn, channel: SendGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = shared(EDITION)
    one = len(piece(EDITION, whole, envelope(1)).octets) + 1
    monkeypatch.setattr(sendgrid_mail, "SIZE", len(whole.head) + 3 * one + 10)
    assert len(post(channel, *envelopes(7))) == 7
    assert sizes(sendgrid) == [3, 3, 1]


def test_a_letter_too_large_by_itself_is_refused_before_anything_is_sent(
    sendgrid: StandIn, channel: SendGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    wordy = envelope(2, first_name="ü" * 2_600)
    posted = channel.post(EDITION, [envelope(1), wordy])
    assert next(posted) == (
        wordy,
        Outcome("refused", "the patient's own words take 10,000 octets or more"),
    )
    assert sendgrid.requests == 0
    assert [outcome.result for _, outcome in posted] == ["accepted"]
    monkeypatch.setattr(sendgrid_mail, "SIZE", 500)
    [outcome] = post(channel)
    assert outcome == Outcome("refused", "the letter with its logo takes 500 octets or more")


@pytest.mark.parametrize("length", [2_200, 2_300, 2_400, 2_450])
def test_sendgrid_takes_whatever_was_not_too_large_for_us(length: int, channel: SendGrid) -> None:
    [outcome] = post(channel, envelope(1, first_name="ü" * length))
    assert outcome.result == "accepted"


def test_a_letter_without_a_value_or_with_half_a_character_is_refused_by_itself(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    lacking = Envelope("d-1", "bea@example.org", datetime.now(UTC), {"stop_url": "https://c"})
    broken = envelope(2, first_name="\ud800")
    outcomes = post(channel, lacking, broken, envelope(3))
    assert outcomes[:2] == [
        Outcome("refused", "the letter's field 'first_name' has no value"),
        Outcome("refused", "the letter holds half a character, which is no text"),
    ]
    assert (outcomes[2].result, sendgrid.requests) == ("accepted", 1)


# What an answer means


@pytest.mark.parametrize("status", [400, 406, 413, 415, 422])
def test_a_letter_that_sendgrid_refuses_is_refused_and_the_next_one_goes(
    status: int, sendgrid: StandIn, single: SendGrid
) -> None:
    sendgrid.next_fault("answer", status=status)
    first, second = post(single, envelope(1), envelope(2))
    assert first == Outcome("refused", f"SendGrid refuses the letter ({status})")
    assert second.result == "accepted"


def test_the_bad_letters_of_a_request_are_found_by_halving_it_and_the_rest_go(
    sendgrid: StandIn, channel: SendGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = {"bea3@example.org", "bea64@example.org", "bea65@example.org"}

    def nameless(mail: dict[str, Any]) -> tuple[str, None] | None:
        to = {person["to"][0]["email"] for person in mail["personalizations"]}
        return ("Bad Request", None) if to & bad else None

    monkeypatch.setattr(sendgrid, "fault", nameless)
    told = results(channel, envelopes(100))
    assert {each for each, result in told.items() if result == "refused"} == {
        *("d-0003", "d-0064", "d-0065")
    }
    assert Counter(told.values()) == {"accepted": 97, "refused": 3}
    assert len({letter.to for letter in sendgrid.letters}) == len(sendgrid.letters) == 97


def test_a_request_too_large_for_sendgrid_is_halved_until_it_goes(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    for _ in range(3):
        sendgrid.next_fault("answer", status=413)
    assert set(results(channel, envelopes(16)).values()) == {"accepted"}
    assert sorted(sizes(sendgrid)) == [2, 2, 4, 8]


def test_a_sender_that_sendgrid_refuses_stops_the_channel_and_no_letter_is_given_up(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    sendgrid.next_fault("answer", status=400, blames="from.email")
    with pytest.raises(ChannelDown, match=r"the sender in clinic\.yaml \(400\): from\.email"):
        post(channel, *envelopes(3))
    assert sendgrid.requests == 1


@pytest.mark.parametrize("status", [404, 405])
def test_an_address_that_is_not_sendgrids_stops_the_channel(
    status: int, sendgrid: StandIn, channel: SendGrid
) -> None:
    sendgrid.next_fault("answer", status=status)
    with pytest.raises(ChannelDown, match="PHYSIOPOST_SENDGRID_HOST"):
        post(channel, envelope(1))


def test_a_refusal_names_the_field_but_never_the_address(
    sendgrid: StandIn, single: SendGrid
) -> None:
    fault = "personalizations.0.to.0.email"
    sendgrid.next_fault("answer", status=400, message="bad: bea1@example.org", blames=fault)
    sendgrid.next_fault("answer", status=400, blames="headers.bea1@example.org")
    assert [outcome.reason for outcome in post(single, envelope(1), envelope(2))] == [
        f"SendGrid refuses the letter (400): {fault}",
        "SendGrid refuses the letter (400)",
    ]


def test_a_wrong_key_stops_the_channel_and_says_what_to_check(sendgrid: StandIn) -> None:
    with pytest.raises(ChannelDown, match=r"\(401\): check SENDGRID_API_KEY") as down:
        post(SendGrid("SG.other", sendgrid.url), envelope(1), envelope(2))
    assert "SG.other" not in str(down.value)
    assert (sendgrid.requests, sendgrid.letters) == (1, [])


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


def in_seconds(seconds: float) -> dict[str, str]:
    """The headers of a SendGrid whose clock is not ours."""
    theirs = 1_795_428_300  # 10:05 UTC
    reset = str(int(theirs + seconds))
    return {"X-RateLimit-Reset": reset, "Date": formatdate(theirs, usegmt=True)}


def test_a_short_wait_that_sendgrid_asks_for_is_waited_and_everything_goes(
    sendgrid: StandIn, channel: SendGrid, naps: list[float]
) -> None:
    sendgrid.next_fault("answer", status=429, headers=in_seconds(7))
    assert set(results(channel, envelopes(3)).values()) == {"accepted"}
    assert (naps, sizes(sendgrid)) == ([7], [3])


@pytest.mark.parametrize("headers", [{}, {"X-RateLimit-Reset": "soon"}, in_seconds(-9)])
def test_without_a_time_the_waits_grow_until_the_rest_is_put_off(
    headers: dict[str, str], sendgrid: StandIn, channel: SendGrid, naps: list[float]
) -> None:
    for _ in range(9):
        sendgrid.next_fault("answer", status=429, headers=headers)
    with pytest.raises(ChannelDown, match=r"SendGrid asks us to wait \(429\)"):
        post(channel, *envelopes(3))
    assert naps == [1, 2, 4, 8, 16]
    assert sendgrid.letters == []


def test_a_long_wait_puts_everything_off_and_nothing_is_asked_before_it_is_over(
    sendgrid: StandIn, channel: SendGrid, naps: list[float]
) -> None:
    sendgrid.next_fault("answer", status=429, headers=in_seconds(300))
    with pytest.raises(ChannelDown, match=r"wait \(429\) until 10:10 UTC"):
        post(channel, *envelopes(3))
    with pytest.raises(ChannelDown, match="the wait is not over"):
        post(channel, *envelopes(3))
    assert (sendgrid.requests, sendgrid.letters, naps) == (1, [], [])
    channel.closed_until = time.monotonic()
    assert len(post(channel, *envelopes(3))) == 3


def test_a_wait_of_years_is_an_hour(sendgrid: StandIn, channel: SendGrid) -> None:
    sendgrid.next_fault("answer", status=429, headers=in_seconds(1e9))
    with pytest.raises(ChannelDown):
        post(channel)
    assert channel.closed_until < time.monotonic() + 3601


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("taken", [True, False])
def test_an_error_of_sendgrids_own_leaves_the_request_unknown_and_it_is_never_resent(
    status: int, taken: bool, sendgrid: StandIn, channel: SendGrid
) -> None:
    sendgrid.next_fault("answer", status=status, taken=taken)
    outcomes = post(channel, *envelopes(2))
    assert {outcome.result for outcome in outcomes} == {"unknown"}
    assert str(status) in outcomes[0].reason
    assert (sendgrid.requests, len(sendgrid.letters)) == (1, 2 * taken)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_the_key_goes_nowhere_else(
    status: int, sendgrid: StandIn, channel: SendGrid
) -> None:
    with StandIn(KEY) as elsewhere:
        sendgrid.next_fault("answer", status=status, headers={"Location": elsewhere.url})
        with pytest.raises(ChannelDown, match=r"redirect .*check PHYSIOPOST_SENDGRID_HOST"):
            post(channel)
    assert (elsewhere.requests, sendgrid.requests) == (0, 1)


# What a doubt costs


def test_after_a_doubt_letters_go_singly_and_twice_as_many_with_each_success(
    sendgrid: StandIn,
) -> None:
    sendgrid.next_fault("close")
    with SendGrid(KEY, sendgrid.url, 8) as channel:
        told = results(channel, envelopes(30))
    assert Counter(told.values()) == {"unknown": 8, "accepted": 22}
    assert sizes(sendgrid) == [1, 2, 4, 8, 7]


def test_two_doubts_in_a_row_stop_the_channel_and_the_next_round_risks_one_letter(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    for _ in range(3):
        sendgrid.next_fault("answer", status=503)
    given = envelopes(300)
    assert Counter(results(channel, given).values()) == {"unknown": 101}
    assert Counter(results(channel, given[101:]).values()) == {"unknown": 1}
    assert Counter(results(channel, given[102:]).values()) == {"accepted": 198}
    assert sendgrid.letters[0].delivery == "d-0103"


def test_nothing_is_begun_once_patience_is_over_and_nobody_is_told_it_was(
    sendgrid: StandIn, channel: SendGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{CHANNEL}.PATIENCE", 0)
    assert post(channel, *envelopes(3)) == []
    assert sendgrid.requests == 0


def test_a_lease_is_three_times_the_longest_post() -> None:
    assert SendGrid.lease.total_seconds() >= 3 * (PATIENCE + LONGEST + NAP)
    assert SendGrid.lease < timedelta(minutes=30)


# What silence means


@pytest.mark.usefixtures("hasty")
def test_a_timeout_after_the_letters_were_taken_is_unknown_and_they_are_never_resent(
    sendgrid: StandIn,
) -> None:
    sendgrid.next_fault("hang", taken=True)
    began = time.monotonic()
    with SendGrid(KEY, sendgrid.url, 2) as channel:
        outcomes = post(channel, *envelopes(3))
    assert [outcome.result for outcome in outcomes] == ["unknown", "unknown", "accepted"]
    assert time.monotonic() - began < 3
    assert "(TimeoutError)" in outcomes[0].reason
    assert [letter.to for letter in sendgrid.letters] == [f"bea{n}@example.org" for n in (1, 2, 3)]


@pytest.mark.parametrize("kind", ["close", "cut"])
@pytest.mark.parametrize("taken", [True, False])
def test_a_connection_that_breaks_before_the_answer_is_unknown_and_the_next_letter_goes(
    kind: str, taken: bool, sendgrid: StandIn, single: SendGrid
) -> None:
    sendgrid.next_fault(kind, taken=taken)  # type: ignore[arg-type]  # a Kind
    first, second = post(single, envelope(1), envelope(2))
    assert (first.result, second.result) == ("unknown", "accepted")
    assert (sendgrid.requests, len(sendgrid.letters)) == (2, 1 + taken)


def test_an_answer_cut_short_is_unknown(sendgrid: StandIn, channel: SendGrid) -> None:
    sendgrid.next_fault("answer", status=400, headers={"Content-Length": "999"})
    [outcome] = post(channel)
    assert (outcome.result, outcome.reference) == ("unknown", None)
    assert "(IncompleteRead)" in outcome.reason


def test_while_sendgrid_is_away_nothing_is_sent_and_afterwards_everything(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    assert len(post(channel, envelope(1))) == 1
    with (
        sendgrid.away(),
        pytest.raises(ChannelDown, match=r"cannot be reached: .*Connection refused"),
    ):
        post(channel, *envelopes(3))
    assert set(results(channel, envelopes(3)).values()) == {"accepted"}
    assert len(sendgrid.letters) == 4


def test_a_name_that_does_not_exist_is_not_sent_and_stops_the_channel() -> None:
    with pytest.raises(ChannelDown, match=r"nowhere\.invalid cannot be reached"):
        post(SendGrid(KEY, "https://nowhere.invalid"))


@pytest.mark.usefixtures("hasty")
def test_a_connection_that_never_opens_is_not_sent_and_stops_the_channel() -> None:
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
        with SendGrid(KEY, sendgrid.url, 1) as channel:
            assert [outcome.result for outcome in post(channel, *envelopes(3))] == ["accepted"] * 3
        assert sendgrid.connections == 1


def test_a_sendgrid_that_speaks_no_tls_is_not_sent_to(sendgrid: StandIn) -> None:
    with pytest.raises(ChannelDown, match="cannot be reached"):
        post(SendGrid(KEY, sendgrid.url.replace("http:", "https:")))
    assert sendgrid.letters == []


# The connection


def test_all_requests_share_one_connection(sendgrid: StandIn, single: SendGrid) -> None:
    post(single, *envelopes(5))
    post(single, *envelopes(5))
    assert (sendgrid.requests, sendgrid.connections) == (10, 1)


def test_a_connection_that_sendgrid_has_closed_meanwhile_costs_no_doubt(
    sendgrid: StandIn, single: SendGrid
) -> None:
    sendgrid.idle = 0.05
    for number in (1, 2, 3):
        assert [outcome.result for outcome in post(single, envelope(number))] == ["accepted"]
        time.sleep(0.15)
    assert sendgrid.connections == 3


def test_a_connection_that_lay_idle_is_not_trusted(sendgrid: StandIn, single: SendGrid) -> None:
    post(single, envelope(1))
    single.wire.used -= IDLE
    post(single, envelope(2))
    assert sendgrid.connections == 2


# What does not leak


def test_the_proxy_of_the_environment_is_not_used(
    sendgrid: StandIn, channel: SendGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert [outcome.result for outcome in post(channel)] == ["accepted"]
    assert sendgrid.requests == 1


def test_no_log_holds_the_key_the_address_or_the_letter_even_at_debug(
    sendgrid: StandIn, channel: SendGrid, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="python_http_client.client")
    sendgrid.next_fault("answer", status=400)
    post(channel, envelope(1), envelope(2))
    channel.look_up([in_doubt("d-0001", "bea1@example.org", datetime.now(UTC))])
    assert not any(secret in caplog.text for secret in (KEY, "bea1", "Dear Bea", "PAYLOAD"))


def test_without_the_filter_the_package_would_log_the_key_and_still_no_letter(
    channel: SendGrid, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("python_http_client.client"), "filters", [])
    caplog.set_level(logging.DEBUG)
    post(channel)
    assert all(secret in caplog.text for secret in (KEY, "PAYLOAD: (not shown)"))
    assert "bea1" not in caplog.text


@pytest.mark.usefixtures("hasty")
def test_no_reason_holds_an_address(sendgrid: StandIn, single: SendGrid) -> None:
    told = "bea1@example.org"
    for status in (400, 413):
        sendgrid.next_fault("answer", status=status, message=told, blames=told)
    sendgrid.next_fault("answer", status=503, message=told, headers={"Retry-After": told})
    sendgrid.next_fault("hang")
    outcomes = []
    with pytest.raises(ChannelDown) as down:  # noqa: PT012 - the outcomes before it count too
        for _, outcome in single.post(EDITION, envelopes(5)):
            outcomes.append(outcome)
    assert [outcome.result for outcome in outcomes] == [*["refused"] * 2, *["unknown"] * 2]
    assert all(outcome.reason and "@" not in outcome.reason for outcome in outcomes)
    assert "@" not in str(down.value)


# Whatever happens


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.usefixtures("naps")
def test_whatever_happens_each_outcome_is_true_and_no_letter_goes_twice(
    seed: int, sendgrid: StandIn
) -> None:
    sendgrid.refuses = lambda address: address.startswith(("bea13@", "bea77@"))
    sendgrid.by_chance(seed, odds=0.3)
    waiting = {each.delivery: each for each in envelopes(120)}
    told: dict[str, str] = {}
    with SendGrid(KEY, sendgrid.url, 20) as channel:
        for _ in range(300):
            channel.closed_until = 0
            told |= results(channel, [*waiting.values()])
            waiting = {key: each for key, each in waiting.items() if key not in told}
            if not waiting:
                break
    assert not waiting
    gone = Counter(letter.delivery for letter in sendgrid.letters)
    assert set(gone.values()) == {1}
    assert {each for each, result in told.items() if result == "accepted"} <= set(gone)
    assert not {each for each, result in told.items() if result == "refused"} & set(gone)
    assert {told["d-0013"], told["d-0077"]} <= {"refused", "unknown"}
    assert set(gone) | {each for each in told if told[each] in ("refused", "unknown")} == set(told)


@pytest.mark.usefixtures("naps")
def test_of_a_thousand_one_bad_letter_in_the_middle_of_faults_is_the_only_one_refused(
    sendgrid: StandIn,
) -> None:
    sendgrid.refuses = "bea500@example.org".__eq__
    sendgrid.numbered = {1: Trouble("answer", status=429), 3: Trouble("answer", status=413)}
    with SendGrid(KEY, sendgrid.url, 1000) as channel:
        told = results(channel, envelopes(1000))
    assert Counter(told.values()) == {"accepted": 999, "refused": 1}
    assert told["d-0500"] == "refused"


# Evidence afterwards


def in_doubt(delivery: str, address: str, claimed_at: datetime) -> Claim:
    return Claim(delivery, "", "", 1, 0, "", {}, address, claimed_at)


def doubt(number: int, ago: timedelta = timedelta(minutes=1)) -> Claim:
    each = envelope(number)
    return in_doubt(each.delivery, each.to, datetime.now(UTC) - ago)


def test_nothing_is_known_of_a_delivery_at_once(channel: SendGrid) -> None:
    assert channel.evidence({"d-0001": 1}) == {}


def test_the_logs_tell_the_letters_that_arrived_from_those_that_did_not(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    sendgrid.next_fault("close", taken=True)
    sendgrid.statuses["d-0002"] = "bounced"
    post(channel, *envelopes(2))
    looked = channel.look_up([doubt(1), doubt(2), doubt(3)])
    message = sendgrid.letters[0].message
    assert looked.found == {
        "d-0001": Found(message, "delivered"),
        "d-0002": Found(message, "bounced"),
    }
    assert looked.not_found == {"d-0003"}
    assert looked.unavailable == ""
    assert looked.newest == datetime.fromtimestamp(int(sendgrid.letters[-1].at), UTC)


def test_while_the_logs_lag_nothing_of_ours_is_visible_and_not_found_proves_nothing(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    post(channel, envelope(1))
    sendgrid.lag = 3600
    looked = channel.look_up([doubt(1)])
    assert looked == LookUp({}, frozenset({"d-0001"}), None)
    sendgrid.lag = 0
    assert set(channel.look_up([doubt(1)]).found) == {"d-0001"}


def test_another_letter_to_the_same_address_is_not_taken_for_this_one(
    channel: SendGrid,
) -> None:
    couple = replace(envelope(1), delivery="d-other")
    post(channel, couple)
    assert channel.look_up([doubt(1)]).not_found == {"d-0001"}
    post(channel, envelope(1))
    looked = channel.look_up([doubt(1), in_doubt("d-other", couple.to, datetime.now(UTC))])
    assert set(looked.found) == {"d-0001", "d-other"}


def test_a_letter_outside_the_hours_around_its_claim_is_not_looked_at(
    channel: SendGrid,
) -> None:
    post(channel, envelope(1))
    old = doubt(1, timedelta(days=7))
    looked = channel.look_up([old])
    assert looked.not_found == {"d-0001"}
    assert looked.newest is not None


def test_mail_of_other_programs_is_no_proof_that_the_logs_show_ours(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    foreign = {**GOOD, "personalizations": [{"to": [{"email": "bea1@example.org"}]}]}
    sendgrid.take(foreign)
    looked = channel.look_up([doubt(1)])
    assert looked == LookUp({}, frozenset({"d-0001"}), None)


def test_a_list_as_long_as_the_limit_is_not_whole_so_not_found_is_not_said(
    channel: SendGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{CHANNEL}_logs.PAGE", 2)
    for number in range(3):
        post(channel, replace(envelope(1), delivery=f"d-new-{number}"))
    looked = channel.look_up([doubt(1)])
    assert not looked.found
    assert not looked.not_found


def test_a_message_without_details_yet_leaves_the_letter_open(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    post(channel, envelope(1))
    sendgrid.hidden = {"d-0001"}
    looked = channel.look_up([doubt(1)])
    assert looked == LookUp({}, frozenset(), None)


def test_an_address_is_asked_for_as_it_is_and_in_small_letters(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    sendgrid.take({**GOOD, "personalizations": [
        {"to": [{"email": "o'neil@example.org"}], "custom_args": {"letter_delivery": "d-0001"}}
    ]})  # fmt: skip
    asked = in_doubt("d-0001", "O'Neil@example.org", datetime.now(UTC))
    assert set(channel.look_up([asked]).found) == {"d-0001"}
    both = in_doubt("d-0002", 'o\'"neil"@example.org', datetime.now(UTC))
    assert channel.look_up([both]).not_found == set()


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "check SENDGRID_API_KEY"), (403, "the right to read them"), (429, "wait"), (500, "500")],
)
def test_logs_that_cannot_be_read_are_unavailable_and_what_was_learnt_is_kept(
    status: int, words: str, sendgrid: StandIn, channel: SendGrid
) -> None:
    post(channel, *envelopes(2))
    given = [doubt(1), doubt(2)]
    sendgrid.numbered = {sendgrid.requests + 5: Trouble("answer", status=status)}
    looked = channel.look_up(given)
    assert words in looked.unavailable
    assert "@" not in looked.unavailable
    assert set(looked.found) == {"d-0001"}
    assert not looked.not_found


@pytest.mark.parametrize("kind", ["close", "cut"])
def test_logs_that_break_off_are_unavailable(
    kind: Any, sendgrid: StandIn, channel: SendGrid
) -> None:
    sendgrid.next_fault(kind)
    assert "cannot be read" in channel.look_up([doubt(1)]).unavailable
    with sendgrid.away():
        assert "(NotConnected)" in channel.look_up([doubt(1)]).unavailable


def test_what_is_no_answer_of_the_logs_is_unavailable(sendgrid: StandIn, channel: SendGrid) -> None:
    for status in (200, 202):
        sendgrid.next_fault("answer", status=status)
        assert "otherwise than documented" in channel.look_up([doubt(1)]).unavailable


def test_no_repr_of_the_look_up_shows_an_address() -> None:
    assert "bea" not in repr(doubt(1))


def test_suppressed_addresses_are_pulled_page_by_page_and_blocks_are_left_alone(
    sendgrid: StandIn, channel: SendGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{CHANNEL}_logs.LIST", 2)
    since = datetime(2026, 11, 1, tzinfo=UTC)
    for name in ("bounces", "blocks", "spam_reports", "unsubscribes", "invalid_emails"):
        sendgrid.suppressed[name] = [
            {"email": f"{name}{n}@example.org", "created": int(since.timestamp()) + n - 1}
            for n in range(6)
        ]
    pulled = list(channel.suppressions(since))
    assert Counter(each.kind for each in pulled) == {
        **dict.fromkeys(("bounce", "invalid", "spamreport", "unsubscribe"), 5)
    }
    assert pulled[0].address == "bounces1@example.org"
    assert "@" not in repr(pulled)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 200])
def test_lists_that_cannot_be_read_say_so(
    status: int, sendgrid: StandIn, channel: SendGrid
) -> None:
    sendgrid.next_fault("answer", status=status)
    with pytest.raises(Unavailable):
        list(channel.suppressions(datetime.now(UTC)))


# The stand-in itself


def test_the_standin_runs_as_a_process_of_its_own_and_records_what_each_patient_gets(
    tmp_path: Path,
) -> None:
    record = tmp_path / "record.jsonl"
    command = [sys.executable, str(Path(__file__).with_name("sendgrid_standin.py")), "--light"]
    with subprocess.Popen(
        [*command, "--record", str(record)], stdin=PIPE, stdout=PIPE, text=True
    ) as process:
        assert process.stdout
        with SendGrid("SG.standin", process.stdout.readline().strip()) as channel:
            assert [outcome.result for outcome in post(channel, *envelopes(3))] == ["accepted"] * 3
            with urlopen(f"{channel.host}/standin") as answer:  # noqa: S310 - of this machine
                assert json.load(answer) == {"letters": 3, "twice": 0, "requests": 1}
        process.communicate()
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert [line["delivery"] for line in lines] == ["d-0001", "d-0002", "d-0003"]
    assert lines[0]["text"] == fill(EDITION, envelope().values).text


def test_the_standins_webhook_is_signed_shuffled_and_says_some_things_twice(
    sendgrid: StandIn, channel: SendGrid
) -> None:
    heard: list[tuple[bool, list[Event]]] = []

    class Clinic(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told = (self.headers[f"X-Twilio-Email-Event-Webhook-{name}"] for name in NAMES)
            heard.append((verify(sendgrid.webhook_key, body, *told), parse(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    post(channel, *envelopes(50))
    with HTTPServer(("127.0.0.1", 0), Clinic) as clinic:
        threading.Thread(target=clinic.handle_request).start()
        url = f"http://127.0.0.1:{clinic.server_port}/events"
        assert sendgrid.post_events(url, sendgrid.news(seed=1, twice=0.2)) == 204
    [(signed, events)] = heard
    assert signed
    assert len(events) > len({each.id for each in events}) == 100
    assert {each.delivery for each in events} == {letter.delivery for letter in sendgrid.letters}
    assert [each.kind for each in events] != sorted(each.kind for each in events)
    assert {each.message for each in events} == {sendgrid.letters[0].message}
    assert sendgrid.news() == []


NAMES = ("Signature", "Timestamp")
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
    ({"personalizations": to_bea(substitutions={"-n-": 7})}, "personalizations.0.substitutions"),
    (
        {"personalizations": to_bea(substitutions={"-n-": "ü" * 5_000})},
        "personalizations.0.substitutions",
    ),
    ({"attachments": [{"content": "aGk="}]}, "attachments.0.filename"),
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
    assert sendgrid.letters == []
