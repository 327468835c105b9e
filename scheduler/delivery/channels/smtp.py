"""Letters through the clinic's own mail server (RFC 5321).

1. Connect at the first letter, encrypted and logged in, and keep the connection for all of them.
2. MAIL: if the server has closed the kept connection meanwhile, open one new one.
3. RCPT, DATA with the text: each step by itself, so that it is known where a connection broke.
4. Before DATA nothing was taken; from DATA to the final reply nobody can know.
5. A reply decides: 2xx accepted, 4xx deferred, 5xx refused (RFC 5321, 4.2.1).

A server's own words often repeat the patient's address, so a reason holds nothing but its codes.
"""

import re
import smtplib
import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import timedelta
from typing import NoReturn, Self

from scheduler.delivery.channels import ChannelDown, Outcome
from scheduler.letters.editions import Edition
from scheduler.letters.fill import Envelope
from scheduler.letters.mime import serialise
from scheduler.settings import MailServer

TIMEOUT = 60.0  # seconds, for each wait
CLOSING = 421  # "service not available, closing", at any step (RFC 5321, 3.8)
ENHANCED = re.compile(rb"[245]\.\d{1,3}\.\d{1,3}(?!\S)")  # RFC 3463, section 2

Reply = tuple[int, bytes | str]


class Smtp:
    """A mail server. A claim's lease is three times the longest three waits of a letter.

    The connection is closed when the context is left.
    """

    name = "smtp"
    lease = timedelta(minutes=10)
    batch = 1
    drafts = False

    def __init__(self, server: MailServer, trust: ssl.SSLContext | None = None) -> None:
        """Take the settings; nothing is opened yet. `trust` replaces the system's authorities."""
        self.server = server
        self.trust = trust or ssl.create_default_context()
        self.connection: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        """Nothing to open: the first letter does."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Say QUIT; after an error hang up only, since QUIT might be read as a letter's text."""
        if self.connection and kind is None:
            with suppress(OSError):
                self.connection.quit()
        self._hang_up()

    def post(
        self, edition: Edition, envelopes: Sequence[Envelope]
    ) -> Iterator[tuple[Envelope, Outcome]]:
        """Send one letter after the other.

        Raises:
            ChannelDown: no connection, no TLS, no login, or 421 in answer to MAIL.

        """
        for envelope in envelopes:
            yield envelope, self._deliver(edition, envelope)

    def evidence(self, deliveries: Iterable[str]) -> dict[str, Outcome]:  # noqa: ARG002
        """Nothing: a mail server cannot be asked what it took."""
        return {}

    def _deliver(self, edition: Edition, envelope: Envelope) -> Outcome:
        try:
            message = serialise(edition, envelope)
        except KeyError as missing:
            return Outcome("refused", f"the letter's field {missing} has no value")
        except ValueError:  # its text would repeat the address
            return Outcome("refused", "the address or a link holds a character that mail forbids")
        connection, reply = self._begin(edition.from_email)
        if not _taken(reply):
            self._reset(connection)
            return Outcome("deferred", f"the mail server refuses our sender{_codes(reply)}")
        try:
            reply = connection.rcpt(envelope.to)
        except OSError:
            self._hang_up()
            return Outcome("deferred", "the mail server broke off before the letter's text")
        if not _taken(reply):
            self._reset(connection)
            return _turned_down(reply, "the address")
        return self._send(connection, message)

    def _begin(self, sender: str) -> tuple[smtplib.SMTP, Reply]:
        """MAIL, on a new connection if the server has closed the kept one, in words or without."""
        if self.connection:
            with suppress(OSError):
                reply = self.connection.mail(sender)
                if reply[0] != CLOSING:
                    return self.connection, reply
            self._hang_up()
        self.connection = self._connect()
        try:
            reply = self.connection.mail(sender)
        except OSError as error:
            self._down(_words(error))
        if reply[0] == CLOSING:
            self._down(f"takes no letters now{_codes(reply)}")
        return self.connection, reply

    def _send(self, connection: smtplib.SMTP, message: bytes) -> Outcome:
        """DATA, the text, and the one reply that says whether the letter was taken."""
        try:
            reply = connection.data(message)
        except smtplib.SMTPDataError as error:  # it did not ask for the text
            self._reset(connection)
            return _turned_down((error.smtp_code, error.smtp_error), "the letter")
        except OSError:
            self._hang_up()
            return Outcome("unknown", "the mail server broke off before it said whether it took it")
        if _taken(reply):
            return Outcome("accepted")
        self._reset(connection)
        if reply[0] // 100 in (4, 5):
            return _turned_down(reply, "the letter")
        return Outcome("unknown", f"the mail server's answer means nothing{_codes(reply)}")

    def _connect(self) -> smtplib.SMTP:
        """A connection that is greeted, encrypted and logged in, or closed again."""
        server = self.server
        with ExitStack() as unless_ready:
            try:
                connection = self._greeted()
                unless_ready.callback(connection.close)
                connection.ehlo_or_helo_if_needed()
                if server.tls == "starttls":
                    if not connection.has_extn("starttls"):
                        self._down("offers no STARTTLS, and letters only go out encrypted")
                    connection.starttls(context=self.trust)
                if server.user:
                    connection.login(server.user, server.password)
            except UnicodeError:  # its text would repeat the password
                self._down("cannot be told this login: smtplib takes ASCII only")
            except OSError as error:
                self._down(_words(error))
            unless_ready.pop_all()
        return connection

    def _greeted(self) -> smtplib.SMTP:
        host, port = self.server.host, self.server.port
        if self.server.tls == "implicit":
            return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT, context=self.trust)
        return smtplib.SMTP(host, port, timeout=TIMEOUT)

    def _reset(self, connection: smtplib.SMTP) -> None:
        """Forget the letter that was turned down (RFC 5321, 4.1.1.5), or hang up."""
        with suppress(OSError):
            if _taken(connection.rset()):
                return
        self._hang_up()

    def _down(self, words: str) -> NoReturn:
        self._hang_up()
        place = f"{self.server.host}:{self.server.port}"
        raise ChannelDown(f"the mail server {place} {words}") from None

    def _hang_up(self) -> None:
        if self.connection:
            self.connection.close()
        self.connection = None


def _taken(reply: Reply) -> bool:
    return reply[0] // 100 == 2  # noqa: PLR2004 - 2xx is how SMTP says yes


def _turned_down(reply: Reply, what: str) -> Outcome:
    """5xx is for good; everything else may go better later."""
    if reply[0] // 100 == 5:  # noqa: PLR2004 - 5xx is how SMTP says never
        return Outcome("refused", f"the mail server refuses {what}{_codes(reply)}")
    return Outcome("deferred", f"the mail server puts {what} off{_codes(reply)}")


def _codes(reply: Reply) -> str:
    """` (550 5.1.1)`: the codes without the server's words."""
    code, words = reply
    enhanced = ENHANCED.match(words if isinstance(words, bytes) else words.encode())
    return f" ({code} {enhanced[0].decode()})" if enhanced else f" ({code})"


def _words(error: OSError) -> str:
    """Why there is no connection, in words that a technician can act on."""
    match error:
        case smtplib.SMTPAuthenticationError():
            codes = _codes((error.smtp_code, error.smtp_error))
            return f"refuses the login{codes}: check the user and password in PHYSIOPOST_SMTP"
        case smtplib.SMTPResponseException():
            return f"takes no letters now{_codes((error.smtp_code, error.smtp_error))}"
        case smtplib.SMTPServerDisconnected() | TimeoutError():
            return f"breaks off, or does not answer within {TIMEOUT:g} seconds"
        case smtplib.SMTPException():
            return "offers no login that we know: check the port in PHYSIOPOST_SMTP"
        case ssl.SSLError():
            why = getattr(error, "verify_message", "") or error.reason
            return f"cannot be spoken to in secret ({why}): check the host and port"
        case _:
            return f"cannot be reached: {(error.strerror or 'no reason given').lower()}"
