"""What the SMTP channel promises, against a real mail server on this machine."""

import asyncio
import email
import logging
import os
import signal
import socket
import ssl
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from smtp_sink import sink

from scheduler.delivery.channels import ChannelDown, Outcome
from scheduler.delivery.channels.smtp import Smtp
from scheduler.delivery.channels.smtp_session import ANSWER, TIMEOUT
from scheduler.letters.editions import Edition
from scheduler.letters.fill import Envelope
from scheduler.letters.mime import serialise
from scheduler.letters.tokens import TOKENS
from scheduler.settings import MailServer

HOSTILE = """<b>{{ 7*7 }}</b> O'Neil, "Zoë"\r\nBcc: x@example.org"""
TOLD = "<bea1@example.org>: Bea Example"  # what servers like to repeat

HELLO = (b"220 hi\r\n", b"250-hi\r\n250 PIPELINING\r\n")
ALL_WELL = b"250 ok\r\n250 ok\r\n354 go on\r\n"
EVERYBODY = ssl.create_default_context()  # whom the machine trusts; slow to read
MAIL = b"MAIL FROM:<letters@harbour.example.org>\r\n"
RCPT = b"RCPT TO:<bea1@example.org>\r\n"

EDITION = Edition(
    lesson="first-week",
    subject="Your first week",
    html=f'<p>Dear {TOKENS["first_name"]}</p><a href="{TOKENS["stop_url"]}">stop</a>',
    text=f"Dear {TOKENS['first_name']}\n.\n.. a dot begins a line\nStop: {TOKENS['stop_url']}\n",
    language="en",
    from_name="Harbour Physio",
    from_email="letters@harbour.example.org",
    reply_to="reception@harbour.example.org",
)

Tls = Literal["implicit", "starttls"]
Serve = Callable[[str], Awaitable[None]]
Serving = Callable[..., tuple["Inbox", int]]
Plays = Callable[..., tuple[MailServer, list[bytes]]]
Answer = str | Callable[["Session"], Awaitable[None]] | None
"""A reply, or what the server does instead, or None for what it would do anyway."""


def envelope(number: int = 1, **values: str) -> Envelope:
    return Envelope(
        delivery=f"d-{number:04}",
        to=f"bea{number}@example.org",
        date=datetime(2026, 11, 23, 9, 30, tzinfo=UTC),
        values={"first_name": "Bea", "stop_url": "https://c.example.org/stop/t1", **values},
    )


def mailer(server: MailServer, folder: Path, **how: Any) -> Smtp:
    """One connection at a time, unless a test is about more."""
    return Smtp(server, folder / "sending", **{"connections": 1, "trust": EVERYBODY, **how})


def post(channel: Smtp, *envelopes: Envelope) -> list[Outcome]:
    return [outcome for _, outcome in channel.post(EDITION, envelopes or [envelope()])]


def results(channel: Smtp, *numbers: int) -> list[str]:
    return [outcome.result for outcome in post(channel, *map(envelope, numbers or (1,)))]


def fences(*numbers: int) -> dict[str, int]:
    return {envelope(number).delivery: 1 for number in numbers}


# A mail server that answers as it is told


class Inbox:
    """What the server got, and what it says to the next MAIL, RCPT, DATA, text and so on."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, list[str], bytes]] = []
        self.sessions: list[Session] = []
        self.verbs: list[str] = []
        self.answers: defaultdict[str, list[Answer]] = defaultdict(list)
        self.extensions: list[str] = []

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, _: object, session: Any, __: object, name: str, offered: list[str]
    ) -> list[str]:
        session.host_name = name
        return [*self.extensions, *offered]

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, session: "Session", _: object, letter: Any
    ) -> str:
        answer = await self.answer(session, "text")
        if not answer or answer.startswith("2"):
            self.letters.append((letter.mail_from, letter.rcpt_tos, letter.original_content))
        return answer or "250 OK"

    async def answer(self, session: "Session", verb: str) -> str | None:
        self.verbs.append(verb)
        answer = self.answers[verb].pop(0) if self.answers[verb] else None
        if isinstance(answer, str) or answer is None:
            return answer
        await answer(session)
        return None

    @property
    def addressees(self) -> list[str]:
        return [address for _, addresses, _ in self.letters for address in addresses]


class Session(SMTP):
    """One connection; before it serves a command it asks the inbox what to say."""

    def __init__(self, inbox: Inbox, **how: Any) -> None:
        super().__init__(inbox, **how)
        honest = self._smtp_methods
        self._smtp_methods = {verb: partial(self.obey, verb, honest[verb]) for verb in honest}
        self.inbox = inbox
        inbox.sessions.append(self)

    async def obey(self, verb: str, honest: Serve, argument: str) -> None:
        answer = await self.inbox.answer(self, verb)
        if answer is None:
            await honest(argument)
            return
        await self.push(answer)
        if answer.startswith("421"):
            self.close()

    def close(self) -> None:
        if self.transport:
            self.transport.close()


class OnAnyPort(Controller):
    """aiosmtpd takes port 0, but then asks itself at port 0."""

    def factory(self) -> Session:
        return Session(self.handler, **self.SMTP_kwargs)

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        super()._trigger_server()  # type: ignore[no-untyped-call]
        self.handler.sessions.clear()


async def hang_up(session: Session) -> None:
    session.close()
    await asyncio.sleep(1)


async def take_and_hang_up(session: Session) -> None:
    session.inbox.letters.append(("", session.envelope.rcpt_tos, b""))  # type: ignore[union-attr]
    await hang_up(session)


async def say_nothing(_: Session) -> None:
    await asyncio.sleep(5)


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[Inbox, int]]]:
    with ExitStack() as running:

        def start(**how: Any) -> tuple[Inbox, int]:
            controller = OnAnyPort(Inbox(), "127.0.0.1", 0, **how)
            controller.start()
            running.callback(controller.stop)
            return controller.handler, controller.port

        yield start


@pytest.fixture(params=["one by one", "pipelined"])
def open_server(serve: Serving, request: pytest.FixtureRequest) -> tuple[Inbox, MailServer]:
    inbox, port = serve()
    inbox.extensions = ["250-PIPELINING"] if request.param == "pipelined" else []
    return inbox, MailServer("127.0.0.1", port, "none")


@pytest.fixture
def inbox(open_server: tuple[Inbox, MailServer]) -> Inbox:
    return open_server[0]


@pytest.fixture
def channel(open_server: tuple[Inbox, MailServer], tmp_path: Path) -> Iterator[Smtp]:
    with mailer(open_server[1], tmp_path) as opened:
        yield opened


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TIMEOUT", "ANSWER"):
        monkeypatch.setattr(f"scheduler.delivery.channels.smtp_session.{name}", 0.3)


@pytest.fixture
def plays() -> Iterator[Plays]:
    """A server for one connection: says a line, listens, says the next, and so on; hangs up."""
    with ExitStack() as running:

        def start(*lines: bytes) -> tuple[MailServer, list[bytes]]:
            listening = running.enter_context(socket.create_server(("127.0.0.1", 0)))
            heard: list[bytes] = []

            def play() -> None:
                connection, _ = listening.accept()
                with connection:
                    connection.sendall(lines[0])
                    for line in lines[1:]:
                        heard.append(connection.recv(65536))
                        connection.sendall(line)

            playing = threading.Thread(target=play)
            playing.start()
            running.callback(playing.join)
            return MailServer("127.0.0.1", listening.getsockname()[1], "none"), heard

        yield start


# What goes out


def test_a_letter_that_the_server_takes_is_accepted(inbox: Inbox, channel: Smtp) -> None:
    assert post(channel) == [Outcome("accepted")]
    [(sender, addresses, octets)] = inbox.letters
    assert (sender, addresses) == ("letters@harbour.example.org", ["bea1@example.org"])
    assert octets == serialise(EDITION, envelope())


def test_twenty_letters_go_over_one_connection_which_is_closed_politely(
    open_server: tuple[Inbox, MailServer], tmp_path: Path
) -> None:
    inbox, server = open_server
    with mailer(server, tmp_path) as channel:
        for number in range(20):  # one post each, as the round does
            assert results(channel, number) == ["accepted"]
    assert len(inbox.addressees) == 20
    assert (len(inbox.sessions), inbox.verbs[-1]) == (1, "QUIT")


def test_nothing_is_opened_before_the_first_letter(inbox: Inbox, channel: Smtp) -> None:
    assert post_nothing(channel) == []
    assert inbox.sessions == []


def test_a_hostile_name_arrives_as_it_was_typed_and_does_nothing(
    inbox: Inbox, channel: Smtp
) -> None:
    assert post(channel, envelope(first_name=HOSTILE)) == [Outcome("accepted")]
    letter = received(inbox)
    text, html = (part.get_content() for part in letter.iter_parts())
    assert "".join(text.split()).startswith("".join(f"Dear {HOSTILE}".split()))
    assert "&lt;b&gt;{{ 7*7 }}&lt;/b&gt; O&#x27;Neil, &quot;Zoë&quot;" in html
    assert (inbox.addressees, letter["Bcc"]) == (["bea1@example.org"], None)


def test_a_line_of_a_value_that_looks_like_the_end_of_the_letter_is_not_its_end(
    inbox: Inbox, channel: Smtp
) -> None:
    smuggled = "Bea\n.\nMAIL FROM:<x@example.org>\nRCPT TO:<y@example.org>\nDATA\nhello"
    assert post(channel, envelope(first_name=smuggled)) == [Outcome("accepted")]
    text, _ = (part.get_content() for part in received(inbox).iter_parts())
    assert text.splitlines()[:-1] == f"Dear {smuggled}\n.\n.. a dot begins a line".splitlines()
    assert inbox.addressees == ["bea1@example.org"]


@pytest.mark.parametrize("to", ["bea@example.org\r\nBcc: x@example.org", "béa@example.org"])
def test_an_address_that_no_header_can_carry_is_refused_and_the_next_letter_goes(
    to: str, inbox: Inbox, channel: Smtp
) -> None:
    bad = Envelope("d-9", to, envelope().date, envelope().values)
    first, second = post(channel, bad, envelope(2))
    assert first.result == "refused"
    assert "@" not in first.reason
    assert (second.result, inbox.addressees) == ("accepted", ["bea2@example.org"])


def test_a_letter_without_a_value_is_refused_by_itself(channel: Smtp) -> None:
    lacking = Envelope("d-1", "bea@example.org", envelope().date, {"stop_url": "https://c"})
    first, second = post(channel, lacking, envelope(2))
    assert first == Outcome("refused", "the letter's field 'first_name' has no value")
    assert second.result == "accepted"


# What an answer means


@pytest.mark.parametrize(
    ("verb", "answer", "outcome"),
    [
        (
            "MAIL",
            "451 4.3.0",
            Outcome("deferred", "the mail server refuses our sender (451 4.3.0)"),
        ),
        (
            "MAIL",
            "550 5.7.1",
            Outcome("deferred", "the mail server refuses our sender (550 5.7.1)"),
        ),
        (
            "RCPT",
            "450 4.2.1",
            Outcome("deferred", "the mail server puts the address off (450 4.2.1)"),
        ),
        (
            "RCPT",
            "550 5.1.1",
            Outcome("refused", "the mail server refuses the address (550 5.1.1)"),
        ),
        ("DATA", "451", Outcome("deferred", "the mail server puts the letter off (451)")),
        ("DATA", "554", Outcome("refused", "the mail server refuses the letter (554)")),
        ("DATA", "250", Outcome("deferred", "the mail server puts the letter off (250)")),
        (
            "text",
            "452 4.3.1",
            Outcome("deferred", "the mail server puts the letter off (452 4.3.1)"),
        ),
        ("text", "554 5.7.1", Outcome("refused", "the mail server refuses the letter (554 5.7.1)")),
        ("text", "354", Outcome("unknown", "the mail server's answer means nothing (354)")),
    ],
)
def test_a_letter_is_put_off_or_refused_by_its_codes_and_the_next_one_goes(
    verb: str, answer: str, outcome: Outcome, inbox: Inbox, channel: Smtp
) -> None:
    inbox.answers[verb] = [f"{answer} {TOLD}"]
    assert post(channel, envelope(1), envelope(2)) == [outcome, Outcome("accepted")]
    assert inbox.addressees == ["bea2@example.org"]
    assert "RSET" in inbox.verbs
    assert len(inbox.sessions) == 1


def test_a_server_that_cannot_forget_a_letter_gets_the_next_one_on_a_new_connection(
    inbox: Inbox, channel: Smtp
) -> None:
    inbox.answers["RCPT"] = ["550 5.1.1"]
    inbox.answers["RSET"] = ["500 what?"]
    assert results(channel, 1, 2) == ["refused", "accepted"]
    assert len(inbox.sessions) == 2


@pytest.mark.parametrize("verb", ["EHLO", "MAIL"])
def test_421_before_the_text_stops_the_channel(verb: str, inbox: Inbox, channel: Smtp) -> None:
    inbox.answers[verb] = [f"421 4.3.2 {TOLD}"]
    with pytest.raises(ChannelDown, match=r"127\.0\.0\.1:\d+ ") as down:
        post(channel)
    assert "@" not in str(down.value)
    assert results(channel, 2) == ["accepted"]
    assert inbox.addressees == ["bea2@example.org"]


def test_421_for_one_address_puts_that_letter_off_and_the_next_one_goes(
    inbox: Inbox, channel: Smtp
) -> None:
    inbox.answers["RCPT"] = [f"421 4.3.2 {TOLD}"]
    assert results(channel, 1, 2) == ["deferred", "accepted"]


def test_421_after_the_text_puts_the_letter_off_and_the_next_one_goes(
    inbox: Inbox, channel: Smtp
) -> None:
    inbox.answers["text"] = ["421 4.3.2 closing"]
    inbox.answers["RSET"] = [hang_up]
    assert results(channel, 1, 2) == ["deferred", "accepted"]
    assert (inbox.addressees, len(inbox.sessions)) == (["bea2@example.org"], 2)


# What silence means


def test_a_connection_lost_after_the_text_is_unknown_and_the_letter_is_never_resent(
    inbox: Inbox, channel: Smtp
) -> None:
    inbox.answers["text"] = [take_and_hang_up]
    assert results(channel, 1, 2) == ["unknown", "accepted"]
    assert inbox.addressees == ["bea1@example.org", "bea2@example.org"]
    assert len(inbox.sessions) == 2


@pytest.mark.usefixtures("hasty")
def test_a_timeout_after_the_text_is_unknown_and_the_letter_is_never_resent(
    inbox: Inbox, channel: Smtp
) -> None:
    inbox.answers["text"] = [say_nothing]
    began = time.monotonic()
    assert results(channel, 1, 2) == ["unknown", "accepted"]
    assert inbox.verbs.count("text") == 2
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("verb", ["RCPT", "DATA"])
def test_a_connection_lost_before_the_text_is_tried_once_more_on_a_new_one(
    verb: str, inbox: Inbox, channel: Smtp
) -> None:
    inbox.answers[verb] = [hang_up]
    assert results(channel, 1, 2) == ["accepted", "accepted"]
    assert inbox.addressees == ["bea1@example.org", "bea2@example.org"]
    assert len(inbox.sessions) == 2


@pytest.mark.parametrize("verb", ["RCPT", "DATA"])
def test_a_connection_lost_twice_before_the_text_puts_the_letter_off_and_the_next_one_goes(
    verb: str, inbox: Inbox, channel: Smtp
) -> None:
    inbox.answers[verb] = [hang_up, hang_up]
    broke = Outcome("deferred", "the mail server broke off before the letter's text")
    assert post(channel, envelope(1), envelope(2)) == [broke, Outcome("accepted")]
    assert inbox.addressees == ["bea2@example.org"]


def test_a_connection_lost_within_the_text_is_unknown(plays: Plays, tmp_path: Path) -> None:
    server, _ = plays(*HELLO, ALL_WELL)
    with mailer(server, tmp_path) as channel:
        assert results(channel) == ["unknown"]


@pytest.mark.parametrize("farewell", [b"", b"421 4.4.2 idle for too long\r\n"])
def test_a_kept_connection_that_the_server_closed_is_opened_again_once(
    farewell: bytes, inbox: Inbox, channel: Smtp
) -> None:
    assert results(channel, 1) == ["accepted"]
    dismiss(inbox.sessions[0], farewell)
    assert results(channel, 2, 3) == ["accepted", "accepted"]
    assert len(inbox.sessions) == 2
    assert inbox.addressees == [f"bea{number}@example.org" for number in (1, 2, 3)]


def test_a_server_that_closes_the_new_connection_too_is_down(inbox: Inbox, channel: Smtp) -> None:
    assert results(channel, 1) == ["accepted"]
    inbox.answers["MAIL"] = [hang_up, hang_up]
    with pytest.raises(ChannelDown, match="breaks off"):
        post(channel, envelope(2))
    assert len(inbox.sessions) == 2


def test_a_refused_connection_stops_the_channel_and_names_the_server(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(ChannelDown, match=f"127.0.0.1:{port} cannot be .*connection refused"):
            post(mailer(MailServer("127.0.0.1", port, "none"), tmp_path))


def test_a_name_that_does_not_exist_stops_the_channel(tmp_path: Path) -> None:
    with pytest.raises(ChannelDown, match=r"nowhere\.invalid:587 cannot be reached"):
        post(mailer(MailServer("nowhere.invalid", 587, "starttls"), tmp_path))


@pytest.mark.usefixtures("hasty")
def test_a_server_that_never_greets_stops_the_channel(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        server = MailServer("127.0.0.1", deaf.getsockname()[1], "none")
        with pytest.raises(ChannelDown, match=r"does not answer within 0\.3 seconds"):
            post(mailer(server, tmp_path))


@pytest.mark.parametrize(
    ("greeting", "words"),
    [
        (b"554 5.3.2 go away\r\n", r"takes no letters now \(554 5\.3\.2\)$"),
        (b"421 busy\r\n", r"takes no letters now \(421\)$"),
        (b"HTTP/1.1 400 Bad Request\r\n", "takes no letters now"),
        (b"", "breaks off"),
    ],
)
def test_a_server_that_does_not_welcome_us_is_down(
    greeting: bytes, words: str, plays: Plays, tmp_path: Path
) -> None:
    with pytest.raises(ChannelDown, match=words):
        post(mailer(plays(greeting)[0], tmp_path))


# Encryption and login


def self_signed(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody vouches for, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.harbour.example.org")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "mail.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + signed.public_bytes(pem))
    return file


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secret(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trust(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def knows(*asked: Any) -> AuthResult:
    given = asked[-1]
    known = (given.login, given.password) == (b"harbour", b"pass word")
    return AuthResult(success=known, handled=False)


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_a_letter_goes_encrypted_and_logged_in(
    tls: Tls, serve: Serving, secret: ssl.SSLContext, trust: ssl.SSLContext, tmp_path: Path
) -> None:
    way = {"ssl_context": secret} if tls == "implicit" else {"tls_context": secret}
    later = tls == "starttls"
    login = {"authenticator": knows, "auth_required": later, "auth_require_tls": later}
    inbox, port = serve(**way, **login, require_starttls=later)
    with mailer(
        MailServer("127.0.0.1", port, tls, "harbour", "pass word"), tmp_path, trust=trust
    ) as channel:
        assert results(channel, 1, 2) == ["accepted", "accepted"]
    assert (len(inbox.sessions), inbox.verbs.count("AUTH")) == (1, 1)


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_a_certificate_that_nobody_vouches_for_stops_the_channel(
    tls: Tls, serve: Serving, secret: ssl.SSLContext, tmp_path: Path
) -> None:
    way = {"ssl_context": secret} if tls == "implicit" else {"tls_context": secret}
    inbox, port = serve(**way)
    with pytest.raises(ChannelDown, match=r"in secret \(self-signed certificate\)"):
        post(mailer(MailServer("127.0.0.1", port, tls), tmp_path))
    assert "MAIL" not in inbox.verbs


def test_a_certificate_for_another_name_stops_the_channel(
    serve: Serving, secret: ssl.SSLContext, trust: ssl.SSLContext, tmp_path: Path
) -> None:
    _, port = serve(ssl_context=secret)
    with pytest.raises(ChannelDown, match="not valid for 'localhost'"):
        post(mailer(MailServer("localhost", port, "implicit"), tmp_path, trust=trust))


def test_a_server_without_starttls_gets_neither_a_login_nor_a_letter(
    serve: Serving, tmp_path: Path
) -> None:
    inbox, port = serve(authenticator=knows, auth_require_tls=False)
    with pytest.raises(ChannelDown, match=f"127.0.0.1:{port} offers no STARTTLS"):
        post(mailer(MailServer("127.0.0.1", port, "starttls", "harbour", "pass word"), tmp_path))
    assert set(inbox.verbs) == {"EHLO"}


def test_a_server_that_speaks_no_tls_gets_no_letter(serve: Serving, tmp_path: Path) -> None:
    _, port = serve()
    with pytest.raises(ChannelDown, match=r"in secret \(WRONG_VERSION_NUMBER\)"):
        post(mailer(MailServer("127.0.0.1", port, "implicit"), tmp_path))


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("wrong", r"refuses the login \(535 5\.7\.8\): check the user and password"),
        ("пароль", "takes ASCII only"),
    ],
)
def test_a_refused_login_stops_the_channel_and_is_not_shown(
    password: str, words: str, serve: Serving, tmp_path: Path
) -> None:
    inbox, port = serve(authenticator=knows, auth_require_tls=False)
    with pytest.raises(ChannelDown, match=words) as down:
        post(mailer(MailServer("127.0.0.1", port, "none", "harbour", password), tmp_path))
    assert not any(each in str(down.value) for each in ("harbour", password))
    assert down.value.__cause__ is None
    assert "MAIL" not in inbox.verbs


def test_a_server_that_offers_no_login_stops_the_channel(serve: Serving, tmp_path: Path) -> None:
    _, port = serve()
    with pytest.raises(ChannelDown, match="offers no login"):
        post(mailer(MailServer("127.0.0.1", port, "none", "harbour", "pass word"), tmp_path))


# Several commands at once (RFC 2920)


def test_a_server_that_takes_commands_together_gets_three_in_one_go(
    plays: Plays, tmp_path: Path
) -> None:
    server, heard = plays(*HELLO, ALL_WELL, b"250 taken\r\n", b"")
    with mailer(server, tmp_path) as channel:
        assert results(channel) == ["accepted"]
    assert heard[1] == MAIL + RCPT + b"DATA\r\n"
    assert heard[2].endswith(b"\r\n.\r\n")


def test_a_server_that_does_not_is_told_one_after_the_other(plays: Plays, tmp_path: Path) -> None:
    steps = b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n"
    server, heard = plays(HELLO[0], b"250 hi\r\n", *steps, b"250 taken\r\n", b"")
    with mailer(server, tmp_path) as channel:
        assert results(channel) == ["accepted"]
    assert heard[1:4] == [MAIL, RCPT, b"DATA\r\n"]


def test_a_server_that_refuses_the_address_and_still_asks_for_the_text_gets_none(
    plays: Plays, tmp_path: Path
) -> None:
    server, heard = plays(*HELLO, b"250 ok\r\n550 5.1.1 who?\r\n354 go on\r\n", b"")
    with mailer(server, tmp_path) as channel:
        assert results(channel) == ["refused"]
    time.sleep(0.05)
    assert heard[2] == b""


# Several connections at once


def test_as_many_letters_are_on_their_way_at_once_as_there_are_connections(
    open_server: tuple[Inbox, MailServer], tmp_path: Path
) -> None:
    inbox, server = open_server
    meeting = asyncio.Barrier(4)

    async def meet(_: Session) -> None:
        await asyncio.wait_for(meeting.wait(), 5)

    inbox.answers["text"] = [meet] * 4
    with mailer(server, tmp_path, connections=4) as channel:
        assert results(channel, *range(30)) == ["accepted"] * 30
        assert results(channel, *range(30, 60)) == ["accepted"] * 30
    assert Counter(inbox.addressees) == {f"bea{number}@example.org": 1 for number in range(60)}
    assert (len(inbox.sessions), inbox.verbs.count("QUIT")) == (4, 4)


def test_a_slow_letter_holds_no_other_up(
    open_server: tuple[Inbox, MailServer], tmp_path: Path
) -> None:
    inbox, server = open_server

    async def slow(_: Session) -> None:
        await asyncio.sleep(0.3)

    inbox.answers["text"] = [slow]
    with mailer(server, tmp_path, connections=2) as channel:
        *_, (last, outcome) = channel.post(EDITION, [envelope(number) for number in range(12)])
    assert outcome.result == "accepted"
    assert [last.to, 12] == [inbox.addressees[-1], len(inbox.addressees)]


def test_a_server_with_room_for_two_connections_gets_every_letter_over_two(
    open_server: tuple[Inbox, MailServer], tmp_path: Path
) -> None:
    inbox, server = open_server
    inbox.answers["EHLO"].extend([None, None, *["421 4.7.0 too many of you"] * 20])
    with mailer(server, tmp_path, connections=4) as channel:
        for first in (0, 20):
            assert results(channel, *range(first, first + 20)) == ["accepted"] * 20
    assert len(set(inbox.addressees)) == len(inbox.addressees) == 40
    assert len(inbox.sessions) == 4, "one that there is no room for was tried again"


def test_a_wrong_password_is_refused_once_whatever_the_number_of_connections(
    serve: Serving, tmp_path: Path
) -> None:
    inbox, port = serve(authenticator=knows, auth_require_tls=False)
    server = MailServer("127.0.0.1", port, "none", "harbour", "wrong")
    with mailer(server, tmp_path, connections=4) as channel, pytest.raises(ChannelDown):
        results(channel, *range(10))
    assert (len(inbox.sessions), inbox.verbs.count("AUTH")) == (1, 2), "smtplib tries two ways"


def test_a_server_that_goes_away_in_the_middle_leaves_nothing_in_doubt(
    open_server: tuple[Inbox, MailServer], tmp_path: Path
) -> None:
    inbox, server = open_server
    inbox.answers["MAIL"].extend([*[None] * 7, *["421 4.3.2 closing"] * 50])
    told: list[tuple[str, str]] = []
    with mailer(server, tmp_path, connections=3) as channel:
        channel.claimed(fences(*range(20)))
        with pytest.raises(ChannelDown, match=r"takes no letters now \(421 4\.3\.2\)"):
            told.extend(
                (each.to, outcome.result)
                for each, outcome in channel.post(EDITION, [*map(envelope, range(20))])
            )
        proven = Counter(each.result for each in channel.evidence(fences(*range(20))).values())
    assert sorted(told) == sorted((address, "accepted") for address in inbox.addressees)
    assert (len(told), proven) == (7, {"accepted": 7, "deferred": 13})


def test_whoever_stops_listening_stops_the_sending(
    open_server: tuple[Inbox, MailServer], tmp_path: Path
) -> None:
    inbox, server = open_server
    with mailer(server, tmp_path, connections=2) as channel:
        posting = channel.post(EDITION, [envelope(number) for number in range(500)])
        next(posting)
        posting.close()  # type: ignore[attr-defined]  # a generator
        stopped_at = len(inbox.addressees)
        assert stopped_at < 100
        assert results(channel, 1000) == ["accepted"]
    assert len(inbox.addressees) == stopped_at + 1


def test_a_fault_of_ours_is_raised_and_holds_nobody_up(
    channel: Smtp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.delivery.channels.smtp.serialise", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        post(channel)


@pytest.mark.parametrize("how", [(), ("plain",)])
def test_five_hundred_letters_over_four_connections_arrive_once_each(
    how: tuple[str, ...], tmp_path: Path
) -> None:
    with sink(*how) as server:
        at = MailServer("127.0.0.1", server.port, "none")
        with mailer(at, tmp_path, connections=4) as channel:
            assert Counter(results(channel, *range(500))) == {"accepted": 500}
    assert (server.letters, server.addresses, server.connections) == (500, 500, 4)


# A pace


def test_a_pace_holds_over_all_connections_and_posts(
    open_server: tuple[Inbox, MailServer], tmp_path: Path
) -> None:
    inbox, server = open_server
    with mailer(server, tmp_path, connections=4, per_minute=1200) as channel:
        began = time.monotonic()
        assert results(channel, 1, 2, 3, 4) == ["accepted"] * 4
        assert results(channel, 5, 6, 7) == ["accepted"] * 3
    assert time.monotonic() - began >= 6 * 60 / 1200
    assert len(inbox.addressees) == 7


def test_with_a_slow_pace_no_more_is_claimed_than_goes_in_a_minute(tmp_path: Path) -> None:
    server = MailServer("127.0.0.1", 1, "none")
    assert mailer(server, tmp_path, per_minute=6).batch == 6
    assert mailer(server, tmp_path, per_minute=6000).batch == mailer(server, tmp_path).batch


def test_what_is_not_begun_in_a_third_of_the_lease_is_left_for_the_next_batch(
    open_server: tuple[Inbox, MailServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox, server = open_server
    monkeypatch.setattr(Smtp, "lease", timedelta(seconds=0.9))
    with mailer(server, tmp_path, connections=2, per_minute=600) as channel:
        channel.claimed(fences(*range(10)))
        first = results(channel, *range(10))
        assert set(first) == {"accepted"}
        assert 1 <= len(first) <= 4
        assert results(channel, 10) == [], "the time is the batch's, not each post's"
        proven = Counter(each.result for each in channel.evidence(fences(*range(10))).values())
        assert proven == {"accepted": len(first), "deferred": 10 - len(first)}
        channel.claimed(fences(20))
        assert results(channel, 20) == ["accepted"]
    assert len(inbox.addressees) == len(first) + 1


# What is known after a kill


def killed(channel: Smtp, after: int, numbers: range) -> None:
    """Another process sends, and is killed after so many letters."""
    child = os.fork()
    if child == 0:
        try:
            channel.claimed(fences(*numbers))
            if after == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            for done, _ in enumerate(channel.post(EDITION, [*map(envelope, numbers)]), 1):
                if done == after:
                    os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(70)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


@pytest.mark.parametrize("after", [0, 1, 7, 25, 40])
def test_after_a_kill_one_letter_a_connection_is_in_doubt_at_most_and_the_rest_goes_once(
    after: int, open_server: tuple[Inbox, MailServer], tmp_path: Path
) -> None:
    inbox, server = open_server
    numbers = range(40)
    killed(mailer(server, tmp_path, connections=3), after, numbers)
    with mailer(server, tmp_path) as channel:
        proven = channel.evidence(fences(*numbers))
        assert len(proven) >= 40 - 3
        assert sum(each.result == "accepted" for each in proven.values()) >= after
        for number in numbers:
            outcome = proven.get(envelope(number).delivery)
            if outcome and outcome.result == "accepted":
                assert envelope(number).to in inbox.addressees
            elif outcome:
                assert outcome == Outcome("deferred")
                assert post(channel, envelope(number)) == [Outcome("accepted")]
    assert max(Counter(inbox.addressees).values()) == 1
    assert len(inbox.addressees) >= len(proven)


def test_a_note_of_an_earlier_try_does_not_speak_for_a_later_one(
    inbox: Inbox, channel: Smtp, tmp_path: Path
) -> None:
    inbox.answers["RCPT"] = ["450 4.2.1 later"]
    dead = mailer(channel.server, tmp_path)
    dead.claimed(fences(1))
    assert results(dead, 1) == ["deferred"]
    dead.__exit__(RuntimeError)  # as when the database could not be written to
    delivery = envelope(1).delivery
    assert channel.evidence({delivery: 2}) == {}
    later = Outcome("deferred", "the mail server puts the address off (450 4.2.1)")
    assert channel.evidence({delivery: 1}) == {delivery: later}


def test_the_notes_of_a_process_that_lives_prove_nothing_to_others(
    channel: Smtp, tmp_path: Path
) -> None:
    channel.claimed(fences(1, 2))
    other = mailer(channel.server, tmp_path)
    assert other.evidence(fences(1, 2)) == {}
    assert set(channel.evidence(fences(1, 2))) == set(fences(1, 2)), "but to itself"


@pytest.mark.parametrize("name", ["another start", ""])
def test_after_the_machine_was_off_everything_claimed_is_in_doubt(
    name: str, channel: Smtp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(channel, 0, range(3))
    assert len(channel.evidence(fences(0, 1, 2))) == 3
    boot = tmp_path / "boot"
    if name:
        boot.write_text(name)
    monkeypatch.setattr("scheduler.delivery.channels.journal.BOOT", boot)
    assert mailer(channel.server, tmp_path).evidence(fences(0, 1, 2)) == {}


def test_a_note_that_was_cut_short_proves_nothing(channel: Smtp, tmp_path: Path) -> None:
    killed(channel, 0, range(2))
    [notes] = (tmp_path / "sending").iterdir()
    with notes.open("ab") as file:
        file.write(b"d-0000 1 beg\xff\x00")
    assert channel.evidence(fences(0, 1)) == {"d-0001": Outcome("deferred")}


def test_notes_are_for_their_owner_name_nobody_and_go_when_all_is_recorded(
    open_server: tuple[Inbox, MailServer], tmp_path: Path
) -> None:
    inbox, server = open_server
    inbox.answers["RCPT"] = [f"550 5.1.1 {TOLD}"]
    with mailer(server, tmp_path) as channel:
        assert not (tmp_path / "sending").exists(), "nothing is claimed yet"
        channel.claimed(fences(1, 2))
        results(channel, 1, 2)
        [notes] = (tmp_path / "sending").iterdir()
        assert (notes.stat().st_mode & 0o777, notes.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        written = notes.read_text()
        assert "@" not in written
        assert "Bea" not in written
        assert "d-0001 1 refused the mail server refuses the address (550 5.1.1)" in written
    assert list((tmp_path / "sending").iterdir()) == []


def test_notes_do_not_grow_without_end(
    channel: Smtp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.delivery.channels.journal.FULL", 2000)
    for batch in range(50):
        numbers = range(batch * 10, batch * 10 + 10)
        channel.claimed(fences(*numbers))
        assert len(channel.evidence(fences(*numbers))) == 10
        [notes] = (tmp_path / "sending").iterdir()
        assert notes.stat().st_size < 2500


def test_the_notes_of_the_dead_stay_for_a_day(channel: Smtp, tmp_path: Path) -> None:
    killed(channel, 0, range(1))
    killed(channel, 0, range(1, 2))
    old, young = (tmp_path / "sending").iterdir()
    an_age_ago = time.time() - 100_000
    os.utime(old, (an_age_ago, an_age_ago))
    channel.claimed(fences(3))
    left = set((tmp_path / "sending").iterdir())
    assert young in left
    assert old not in left


def test_nothing_is_sent_that_cannot_be_noted(
    inbox: Inbox, channel: Smtp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sending").write_text("a file where the folder should be")
    with pytest.raises(ChannelDown, match=r"what is being sent, .*sending: file exists"):
        channel.claimed(fences(1))
    (tmp_path / "sending").unlink()
    channel.claimed(fences(1))
    monkeypatch.setattr("os.write", lambda *_: 3)
    with pytest.raises(ChannelDown, match="no space left"):
        post(channel)
    monkeypatch.undo()
    assert inbox.letters == []
    assert results(channel) == ["accepted"]


def test_a_second_try_has_the_same_message_id(inbox: Inbox, channel: Smtp) -> None:
    first = envelope(1)
    again = Envelope(first.delivery, first.to, first.date + timedelta(days=1), first.values)
    post(channel, first, again)
    one, two = (email.message_from_bytes(octets) for _, _, octets in inbox.letters)
    assert one["Message-ID"] == two["Message-ID"] == "<d-0001@harbour.example.org>"


# What does not leak


def test_no_log_of_ours_holds_the_address_or_the_letter_even_at_debug(
    inbox: Inbox, channel: Smtp, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    inbox.answers["RCPT"] = [f"550 5.1.1 {TOLD}"]
    post(channel, envelope(1), envelope(2))
    ours = [each.getMessage() for each in caplog.records if not each.name.startswith("mail.")]
    written = "".join((*ours, *capfd.readouterr()))
    assert not any(secret in written for secret in ("bea1", "Dear Bea"))


def test_the_longest_dialogue_that_is_begun_in_time_ends_before_the_lease() -> None:
    connect = ("connect", "greeting", "EHLO", "STARTTLS", "EHLO", "AUTH", "user", "password")
    waits = len((*connect, "a kept connection", "MAIL", "RCPT", "DATA"))
    assert Smtp.lease.total_seconds() * 2 / 3 >= waits * TIMEOUT + ANSWER


def post_nothing(channel: Smtp) -> list[object]:
    return list(channel.post(EDITION, []))


def received(inbox: Inbox) -> EmailMessage:
    [(_, _, octets)] = inbox.letters
    letter = email.message_from_bytes(octets, policy=default)
    assert isinstance(letter, EmailMessage)
    return letter


def dismiss(session: Session, farewell: bytes) -> None:
    """Close a connection that waits for its next letter."""
    transport = session.transport
    assert isinstance(transport, asyncio.Transport)
    session.loop.call_soon_threadsafe(transport.write, farewell)
    session.loop.call_soon_threadsafe(transport.close)
    time.sleep(0.05)
