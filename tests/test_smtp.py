"""What the SMTP channel promises, against a real mail server on this machine."""

import asyncio
import email
import logging
import socket
import ssl
import threading
import time
from collections import defaultdict
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

from scheduler.delivery.channels import ChannelDown, Outcome
from scheduler.delivery.channels.smtp import TIMEOUT, Smtp
from scheduler.letters.editions import Edition
from scheduler.letters.fill import Envelope
from scheduler.letters.mime import serialise
from scheduler.letters.tokens import TOKENS
from scheduler.settings import MailServer

HOSTILE = """<b>{{ 7*7 }}</b> O'Neil, "Zoë"\r\nBcc: x@example.org"""
TOLD = "<bea1@example.org>: Bea Example"  # what servers like to repeat

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
Answer = str | Callable[["Session"], Awaitable[None]]  # a reply, or what the server does instead


def envelope(number: int = 1, **values: str) -> Envelope:
    return Envelope(
        delivery=f"d-{number:04}",
        to=f"bea{number}@example.org",
        date=datetime(2026, 11, 23, 9, 30, tzinfo=UTC),
        values={"first_name": "Bea", "stop_url": "https://c.example.org/stop/t1", **values},
    )


def post(channel: Smtp, *envelopes: Envelope) -> list[Outcome]:
    return [outcome for _, outcome in channel.post(EDITION, envelopes or [envelope()])]


def results(channel: Smtp, *numbers: int) -> list[str]:
    return [outcome.result for outcome in post(channel, *map(envelope, numbers or (1,)))]


# A mail server that answers as it is told


class Inbox:
    """What the server got, and what it says to the next MAIL, RCPT, DATA, text and so on."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, list[str], bytes]] = []
        self.sessions: list[Session] = []
        self.verbs: list[str] = []
        self.answers: defaultdict[str, list[Answer]] = defaultdict(list)

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


@pytest.fixture
def open_server(serve: Serving) -> tuple[Inbox, MailServer]:
    inbox, port = serve()
    return inbox, MailServer("127.0.0.1", port, "none")


@pytest.fixture
def inbox(open_server: tuple[Inbox, MailServer]) -> Inbox:
    return open_server[0]


@pytest.fixture
def channel(open_server: tuple[Inbox, MailServer]) -> Iterator[Smtp]:
    with Smtp(open_server[1]) as opened:
        yield opened


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.delivery.channels.smtp.TIMEOUT", 0.3)


@pytest.fixture
def says() -> Iterator[Callable[[bytes], MailServer]]:
    """A server that says one thing to whoever calls, and hangs up."""
    with ExitStack() as running:

        def start(words: bytes) -> MailServer:
            listening = running.enter_context(socket.create_server(("127.0.0.1", 0)))

            def speak() -> None:
                connection, _ = listening.accept()
                with connection:
                    connection.sendall(words)

            speaking = threading.Thread(target=speak)
            speaking.start()
            running.callback(speaking.join)
            return MailServer("127.0.0.1", listening.getsockname()[1], "none")

        yield start


# What goes out


def test_a_letter_that_the_server_takes_is_accepted(inbox: Inbox, channel: Smtp) -> None:
    assert post(channel) == [Outcome("accepted")]
    [(sender, addresses, octets)] = inbox.letters
    assert (sender, addresses) == ("letters@harbour.example.org", ["bea1@example.org"])
    assert octets == serialise(EDITION, envelope())


def test_twenty_letters_go_over_one_connection_which_is_closed_politely(
    open_server: tuple[Inbox, MailServer],
) -> None:
    inbox, server = open_server
    with Smtp(server) as channel:
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


def test_a_connection_lost_at_data_is_unknown(inbox: Inbox, channel: Smtp) -> None:
    inbox.answers["DATA"] = [hang_up]
    assert results(channel, 1, 2) == ["unknown", "accepted"]


def test_a_connection_lost_before_data_puts_the_letter_off_and_the_next_one_goes(
    inbox: Inbox, channel: Smtp
) -> None:
    inbox.answers["RCPT"] = [hang_up]
    assert results(channel, 1, 2) == ["deferred", "accepted"]
    assert inbox.addressees == ["bea2@example.org"]


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


def test_a_refused_connection_stops_the_channel_and_names_the_server() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(ChannelDown, match=f"127.0.0.1:{port} cannot be .*connection refused"):
            post(Smtp(MailServer("127.0.0.1", port, "none")))


def test_a_name_that_does_not_exist_stops_the_channel() -> None:
    with pytest.raises(ChannelDown, match=r"nowhere\.invalid:587 cannot be reached"):
        post(Smtp(MailServer("nowhere.invalid", 587, "starttls")))


@pytest.mark.usefixtures("hasty")
def test_a_server_that_never_greets_stops_the_channel() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        server = MailServer("127.0.0.1", deaf.getsockname()[1], "none")
        with pytest.raises(ChannelDown, match=r"does not answer within 0\.3 seconds"):
            post(Smtp(server))


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
    greeting: bytes, words: str, says: Callable[[bytes], MailServer]
) -> None:
    with pytest.raises(ChannelDown, match=words):
        post(Smtp(says(greeting)))


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
    tls: Tls, serve: Serving, secret: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    way = {"ssl_context": secret} if tls == "implicit" else {"tls_context": secret}
    later = tls == "starttls"
    login = {"authenticator": knows, "auth_required": later, "auth_require_tls": later}
    inbox, port = serve(**way, **login, require_starttls=later)
    with Smtp(MailServer("127.0.0.1", port, tls, "harbour", "pass word"), trust) as channel:
        assert results(channel, 1, 2) == ["accepted", "accepted"]
    assert (len(inbox.sessions), inbox.verbs.count("AUTH")) == (1, 1)


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_a_certificate_that_nobody_vouches_for_stops_the_channel(
    tls: Tls, serve: Serving, secret: ssl.SSLContext
) -> None:
    way = {"ssl_context": secret} if tls == "implicit" else {"tls_context": secret}
    inbox, port = serve(**way)
    with pytest.raises(ChannelDown, match=r"in secret \(self-signed certificate\)"):
        post(Smtp(MailServer("127.0.0.1", port, tls)))
    assert "MAIL" not in inbox.verbs


def test_a_certificate_for_another_name_stops_the_channel(
    serve: Serving, secret: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    _, port = serve(ssl_context=secret)
    with pytest.raises(ChannelDown, match="not valid for 'localhost'"):
        post(Smtp(MailServer("localhost", port, "implicit"), trust))


def test_a_server_without_starttls_gets_neither_a_login_nor_a_letter(serve: Serving) -> None:
    inbox, port = serve(authenticator=knows, auth_require_tls=False)
    with pytest.raises(ChannelDown, match=f"127.0.0.1:{port} offers no STARTTLS"):
        post(Smtp(MailServer("127.0.0.1", port, "starttls", "harbour", "pass word")))
    assert set(inbox.verbs) == {"EHLO"}


def test_a_server_that_speaks_no_tls_gets_no_letter(serve: Serving) -> None:
    _, port = serve()
    with pytest.raises(ChannelDown, match=r"in secret \(WRONG_VERSION_NUMBER\)"):
        post(Smtp(MailServer("127.0.0.1", port, "implicit")))


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("wrong", r"refuses the login \(535 5\.7\.8\): check the user and password"),
        ("пароль", "takes ASCII only"),
    ],
)
def test_a_refused_login_stops_the_channel_and_is_not_shown(
    password: str, words: str, serve: Serving
) -> None:
    inbox, port = serve(authenticator=knows, auth_require_tls=False)
    with pytest.raises(ChannelDown, match=words) as down:
        post(Smtp(MailServer("127.0.0.1", port, "none", "harbour", password)))
    assert not any(each in str(down.value) for each in ("harbour", password))
    assert down.value.__cause__ is None
    assert "MAIL" not in inbox.verbs


def test_a_server_that_offers_no_login_stops_the_channel(serve: Serving) -> None:
    _, port = serve()
    with pytest.raises(ChannelDown, match="offers no login"):
        post(Smtp(MailServer("127.0.0.1", port, "none", "harbour", "pass word")))


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


def test_a_lease_outlasts_the_waits_of_a_letter_three_times_over() -> None:
    assert Smtp.lease.total_seconds() >= 3 * len(("MAIL", "RCPT", "DATA")) * TIMEOUT


def test_nothing_is_known_of_a_delivery_afterwards(channel: Smtp) -> None:
    assert channel.evidence(["d-0001"]) == {}


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
