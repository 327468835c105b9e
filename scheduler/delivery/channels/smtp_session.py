"""One connection to a mail server, and the dialogue of a letter (RFC 5321).

1. Connect, encrypt, log in. Whatever fails here concerns every letter: the channel is down.
2. MAIL, RCPT and DATA; in one write where the server offers PIPELINING (RFC 2920), which leaves two
   round trips a letter instead of four.
3. A connection lost so far took nothing: once more on a new one, then put the letter off. A kept
   connection that the server has closed meanwhile, in words (421) or without, is such a one.
4. The text, and the one reply that says whether it was taken. Lost from here on, nobody can know.
5. A reply decides: 2xx accepted, 4xx deferred, 5xx refused, for this letter only (4.2.1).

A server's own words often repeat the patient's address, so a reason holds nothing but its codes.
"""

import re
import smtplib
import ssl
from contextlib import suppress
from typing import NoReturn

from scheduler.delivery.channels import ChannelDown, Outcome
from scheduler.settings import MailServer

TIMEOUT = 60.0  # seconds, for each wait but the last
ANSWER = 300.0  # for the last: many servers look for viruses before they answer (RFC 5321, 4.5.3.2)
CLOSING = 421  # "service not available, closing", at any step (RFC 5321, 3.8)
GO_ON = 354  # "start mail input"
YES, LATER, NEVER = 2, 4, 5  # a reply's first digit
STEPS = ("our sender", "the address", "the letter")  # what MAIL, RCPT and DATA are about
SENDER, LETTER = 0, 2
ENHANCED = re.compile(rb"[245]\.\d{1,3}\.\d{1,3}(?!\S)")  # RFC 3463, section 2

Reply = tuple[int, bytes | str]


class Session:
    """A connection that is opened anew whenever it has been lost."""

    def __init__(self, server: MailServer, trust: ssl.SSLContext) -> None:
        """Connect; ChannelDown without a connection, TLS, or a login."""
        self.server, self.trust = server, trust
        self.smtp: smtplib.SMTP | None = self._connect()
        self.kept = False

    def deliver(self, sender: str, to: str, message: bytes) -> Outcome:
        """Send a letter; ChannelDown if the server takes none, and this one was surely not sent."""
        for _ in range(2):
            if not self.smtp:
                self.smtp, self.kept = self._connect(), False
            replies = self._ask(self.smtp, sender, to)
            kept, self.kept = self.kept, True
            said_no = [at for at, reply in enumerate(replies) if not _yes(at, reply)]
            if len(replies) == len(STEPS) and not said_no:
                return self._send(self.smtp, message)
            if said_no and (said_no[0] or replies[0][0] != CLOSING):
                self._reset(in_text=replies[-1][0] == GO_ON)
                return _turned_down(replies[said_no[0]], said_no[0])
            self.hang_up()
            if not kept and not replies:
                self._down("breaks off when we name the sender")
            if not kept and said_no:
                self._down(f"takes no letters now{_codes(replies[0])}")
        return Outcome("deferred", "the mail server broke off before the letter's text")

    def quit(self) -> None:
        """Say goodbye and hang up."""
        if self.smtp:
            with suppress(OSError):
                self.smtp.quit()
        self.hang_up()

    def hang_up(self) -> None:
        """Without a word, since QUIT might be read as a letter's text."""
        if self.smtp:
            self.smtp.close()
        self.smtp = None

    def _ask(self, smtp: smtplib.SMTP, sender: str, to: str) -> list[Reply]:
        """What the server says to MAIL, RCPT and DATA: fewer replies when the connection broke."""
        steps = f"MAIL FROM:<{sender}>\r\n", f"RCPT TO:<{to}>\r\n", "DATA\r\n"
        replies: list[Reply] = []
        with suppress(OSError):
            for group in ("".join(steps),) if smtp.has_extn("pipelining") else steps:
                smtp.send(group)
                for _ in range(group.count("\n")):
                    replies.append(smtp.getreply())  # noqa: PERF401 - they stay if one is missing
                if not all(_yes(at, reply) for at, reply in enumerate(replies)):
                    break
        return replies

    def _send(self, smtp: smtplib.SMTP, message: bytes) -> Outcome:
        """The text with its dots doubled (RFC 5321, 4.5.2), and what became of it."""
        try:
            _wait(smtp, ANSWER)
            smtp.send(message.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            reply = smtp.getreply()
            _wait(smtp, TIMEOUT)
        except OSError:
            self.hang_up()
            return Outcome("unknown", "the mail server broke off before it said whether it took it")
        if reply[0] // 100 == YES:
            return Outcome("accepted")
        self._reset()
        if reply[0] // 100 in (LATER, NEVER):
            return _turned_down(reply, LETTER)
        return Outcome("unknown", f"the mail server's answer means nothing{_codes(reply)}")

    def _reset(self, *, in_text: bool = False) -> None:
        """Forget the letter that was turned down (RFC 5321, 4.1.1.5), or hang up.

        A server that refused the address and asks for the text all the same gets none.
        """
        if self.smtp and not in_text:
            with suppress(OSError):
                if self.smtp.rset()[0] // 100 == YES:
                    return
        self.hang_up()

    def _connect(self) -> smtplib.SMTP:
        """A connection that is greeted, encrypted and logged in, or closed again."""
        smtp: smtplib.SMTP | None = None
        place = self.server.host, self.server.port
        try:
            if self.server.tls == "implicit":
                smtp = smtplib.SMTP_SSL(*place, timeout=TIMEOUT, context=self.trust)
            else:
                smtp = smtplib.SMTP(*place, timeout=TIMEOUT)
            smtp.ehlo_or_helo_if_needed()
            if self.server.tls == "starttls":
                if not smtp.has_extn("starttls"):
                    self._down("offers no STARTTLS, and letters only go out encrypted")
                smtp.starttls(context=self.trust)
                smtp.ehlo_or_helo_if_needed()  # it may offer other things in secret
            if self.server.user:
                smtp.login(self.server.user, self.server.password)
            ready, smtp = smtp, None
        except UnicodeError:  # its text would repeat the password
            self._down("cannot be told this login: smtplib takes ASCII only")
        except OSError as error:
            self._down(_words(error))
        finally:
            if smtp:
                smtp.close()
        return ready

    def _down(self, words: str) -> NoReturn:
        place = f"{self.server.host}:{self.server.port}"
        raise ChannelDown(f"the mail server {place} {words}") from None


def _wait(smtp: smtplib.SMTP, seconds: float) -> None:
    if smtp.sock:
        smtp.sock.settimeout(seconds)


def _yes(step: int, reply: Reply) -> bool:
    """2xx to MAIL and RCPT, 354 to DATA."""
    return reply[0] == GO_ON if step == LETTER else reply[0] // 100 == YES


def _turned_down(reply: Reply, step: int) -> Outcome:
    """5xx is for good, but not about our sender; everything else may go better later."""
    if step == SENDER:
        return Outcome("deferred", f"the mail server refuses {STEPS[step]}{_codes(reply)}")
    if reply[0] // 100 == NEVER:
        return Outcome("refused", f"the mail server refuses {STEPS[step]}{_codes(reply)}")
    return Outcome("deferred", f"the mail server puts {STEPS[step]} off{_codes(reply)}")


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
