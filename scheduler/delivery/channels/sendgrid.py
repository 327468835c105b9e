"""Letters through SendGrid's v3 Mail Send, one request a letter.

1. Connect first. What fails there is surely not sent: the channel is down.
2. Send the letter. What breaks from here on is unknown: SendGrid has no idempotency key.
3. An answer decides: 2xx accepted · 401, 403, 404, 405 and a redirect: the channel is down ·
   429: wait · any other 4xx: this letter is refused · 5xx: unknown.

SendGrid's own words may repeat an address, so a reason holds statuses and names of fields only.
"""

import json
import logging
import re
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Self
from urllib import request

from python_http_client.client import Client, Response
from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient

from scheduler.delivery.channels import ChannelDown, Outcome
from scheduler.findings import wrong
from scheduler.letters.editions import Edition
from scheduler.letters.fill import Envelope, fill
from scheduler.letters.mime import extra_headers

TIMEOUT = 20.0  # seconds, for each wait; the package's own default is for ever
FIELD_NAME = re.compile(r"[a-z_]+(\.[a-z0-9_]+){0,6}")

# D9. Said in every request, because an account's own settings may have them on.
NO_TRACKING = {
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},
    "ganalytics": {"enable": False},
}

# At DEBUG the package logs each letter and each header, the API key among them. A filter, because
# a level or `disabled` is undone by a later logging.config.
logging.getLogger("python_http_client.client").addFilter(lambda _: False)


class SendGrid:
    """SendGrid. A claim's lease is at least three times both waits of a letter."""

    name = "sendgrid"
    lease = timedelta(minutes=2)
    batch = 1
    drafts = False

    def __init__(self, key: str, host: str) -> None:
        """Take the API key and the region's address, as in https://api.eu.sendgrid.com.

        Raises:
            WrongInput: the key holds characters that a header cannot.

        """
        if not (key.isascii() and key.isprintable()):
            cure = "copy the key again"
            raise wrong("SENDGRID_API_KEY", None, "holds a character that no key has", cure)
        self.host = host
        self.api = SendGridAPIClient(key, host=host)
        self.api.client = _Direct(host, self.api.client.request_headers, 3, timeout=TIMEOUT)

    def __enter__(self) -> Self:
        """Nothing to open: every request has a connection of its own."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def post(
        self, edition: Edition, envelopes: Sequence[Envelope]
    ) -> Iterator[tuple[Envelope, Outcome]]:
        """Send a request for each letter.

        Raises:
            ChannelDown: no connection, the key is refused, a redirect, or a 429 just before.

        """
        for envelope in envelopes:
            outcome = self._deliver(edition, envelope)
            yield envelope, outcome
            if outcome.result == "deferred":  # only 429 defers, and it means every letter
                raise ChannelDown(outcome.reason)

    def evidence(self, deliveries: Iterable[str]) -> dict[str, Outcome]:  # noqa: ARG002
        """Nothing yet: the look-up in SendGrid's Email Logs comes later (D5)."""
        return {}

    def _deliver(self, edition: Edition, envelope: Envelope) -> Outcome:
        try:
            body = _mail(edition, envelope)
        except KeyError as missing:
            return Outcome("refused", f"the letter's field {missing} has no value")
        try:
            response = self.api.send(body)
        except HTTPError as error:
            return self._turned_down(error)
        except _NotConnected as error:
            raise ChannelDown(f"{self.host} cannot be reached: {error}") from None
        except (OSError, HTTPException) as error:
            cause = type(getattr(error, "reason", error)).__name__
            words = f"SendGrid broke off before it said whether it took the letter ({cause})"
            return Outcome("unknown", words)
        return Outcome("accepted", reference=response.headers.get("X-Message-Id"))

    def _turned_down(self, error: HTTPError) -> Outcome:
        """What an answer other than 2xx means for this letter, or for all of them."""
        status = error.status_code
        if status in range(300, 400):
            raise ChannelDown(
                f"{self.host} answers with a redirect ({status}): check PHYSIOPOST_SENDGRID_HOST"
            )
        match status:
            case 401:
                raise ChannelDown(
                    "SendGrid refuses the API key (401): check SENDGRID_API_KEY, and that "
                    "PHYSIOPOST_SENDGRID_HOST is the region of its account"
                )
            case 403:
                raise ChannelDown(
                    "SendGrid refuses the API key (403): check that it may send mail, and that "
                    "the sender in clinic.yaml is verified in its account"
                )
            case 404 | 405:
                raise ChannelDown(
                    f"{self.host} is not SendGrid's API ({status}): check PHYSIOPOST_SENDGRID_HOST"
                )
            case 429:
                return Outcome("deferred", f"SendGrid asks us to wait (429){_until(error.headers)}")
            case _ if status >= 500:  # noqa: PLR2004 - 5xx: its fault, and nobody knows how far it got
                words = f"SendGrid failed ({status}) before it said whether it took the letter"
                return Outcome("unknown", words)
        return Outcome("refused", f"SendGrid refuses the letter ({status}){_fields(error.body)}")


def _mail(edition: Edition, envelope: Envelope) -> dict[str, Any]:
    """The request of one letter. Later: many of one edition, with the fields as substitutions."""
    letter = fill(edition, envelope.values)
    return {
        "from": {"email": edition.from_email, "name": edition.from_name},
        "reply_to": {"email": edition.reply_to},
        "subject": letter.subject,
        "content": [
            {"type": "text/plain", "value": letter.text},
            {"type": "text/html", "value": letter.html},
        ],
        "personalizations": [_personalization(edition, envelope)],
        "tracking_settings": NO_TRACKING,
    }


def _personalization(edition: Edition, envelope: Envelope) -> dict[str, Any]:
    """What is this patient's alone: one bare address, the stop link, the opaque id (D9)."""
    return {
        "to": [{"email": envelope.to}],
        "headers": extra_headers(edition, envelope),
        "custom_args": {"delivery": envelope.delivery},
    }


def _until(headers: Any) -> str:
    """` until 14:05 UTC`, if the answer says when; SendGrid does not promise that it does."""
    try:
        reset = datetime.fromtimestamp(int(headers["X-RateLimit-Reset"]), UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return ""
    return f" until {reset:%H:%M} UTC"


def _fields(body: bytes) -> str:
    """`: personalizations.0.to.0.email`, the fields that SendGrid finds fault with."""
    try:
        errors = json.loads(body)["errors"]
        names = [str(error["field"]) for error in errors]
    except (ValueError, KeyError, TypeError):
        return ""
    safe = dict.fromkeys(name for name in names if FIELD_NAME.fullmatch(name))
    return f": {', '.join(safe)}" if safe else ""


class _NotConnected(Exception):
    """There is no connection, so that nothing can have been sent."""


class _NoRedirect(request.HTTPRedirectHandler):
    """Leaves a redirect as the error it is: urllib would send the key after it."""

    def redirect_request(self, *_: Any) -> None:
        return None


class _Http(request.HTTPHandler):
    def http_open(self, req: request.Request) -> HTTPResponse:
        return self.do_open(_connected(HTTPConnection), req)


class _Https(request.HTTPSHandler):
    def __init__(self) -> None:
        self.trust = ssl.create_default_context()
        super().__init__(context=self.trust)

    def https_open(self, req: request.Request) -> HTTPResponse:
        return self.do_open(_connected(HTTPSConnection), req, context=self.trust)


def _connected(kind: type[HTTPConnection]) -> Callable[..., HTTPConnection]:
    """A connection that is open, TLS included, before urllib writes to it."""

    def connect(host: str, /, **how: Any) -> HTTPConnection:
        connection = kind(host, **how)
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise _NotConnected(str(error)) from None
        return connection

    return connect


class _Direct(Client):  # type: ignore[misc]  # the package has no types
    """The package's client, without redirects and without the environment's proxies."""

    def _build_client(self, name: str | None = None) -> "_Direct":
        path = [*self._url_path, name] if name else self._url_path
        return _Direct(self.host, self.request_headers, self._version, path, timeout=self.timeout)

    def _make_request(self, _: Any, req: request.Request, timeout: float | None = None) -> Response:
        return super()._make_request(_opener(), req, timeout)


@cache
def _opener() -> request.OpenerDirector:
    return request.build_opener(request.ProxyHandler({}), _NoRedirect(), _Http(), _Https())
