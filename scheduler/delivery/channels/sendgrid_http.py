"""The package's client, on one connection that stays open.

1. Connect first, TLS included: what fails here was surely not sent (NotConnected).
2. Use the connection again unless it lay idle or the other side has hung up meanwhile: a letter
   written into a closing connection would be in doubt for nothing.
3. Read the whole answer. After an error, SendGrid's or the network's, hang up.

The package's own way opens a connection a request, follows redirects with the key, asks the
environment for proxies, waits for ever, and logs each letter and the key at DEBUG.
"""

import logging
import select
import ssl
from http.client import HTTPConnection, HTTPSConnection
from io import BytesIO
from time import monotonic
from typing import Any, Self
from urllib.parse import urlsplit
from urllib.request import Request
from urllib.response import addinfourl

from python_http_client.client import Client
from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient

from scheduler.findings import wrong

TIMEOUT = 20.0  # seconds, for each wait: connecting, sending, the answer
IDLE = 5.0  # seconds after which a connection is not trusted any more

# A filter, because a level or `disabled` is undone by a later logging.config.
logging.getLogger("python_http_client.client").addFilter(lambda _: False)


class NotConnected(Exception):
    """There is no connection, so that nothing can have been sent."""


class Body(bytes):
    """A request's JSON as octets: the package encodes text, and puts str() into its log."""

    def encode(self, _: str) -> Self:
        return self

    def __str__(self) -> str:
        return "(not shown)"


class Direct(Client):  # type: ignore[misc]  # the package has no types
    def __init__(self, wire: "Wire", headers: dict[str, str], path: list[str]) -> None:
        super().__init__(wire.host, headers, version=3, url_path=path)
        self.wire = wire

    def _build_client(self, name: str | None = None) -> "Direct":
        path = [*self._url_path, name] if name else self._url_path
        return Direct(self.wire, self.request_headers, path)

    def _make_request(self, _: Any, request: Request, timeout: Any = None) -> addinfourl:  # noqa: ARG002
        return self.wire.ask(request)


class Wire:
    """A connection to SendGrid that is opened when it is needed."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.trust = ssl.create_default_context() if host.startswith("https:") else None
        self.connection: HTTPConnection | None = None
        self.used = 0.0

    def ask(self, request: Request) -> addinfourl:
        """Send a request, read the answer to its end.

        Raises:
            NotConnected: surely not sent.
            HTTPError: an answer other than 2xx.
            OSError: (or HTTPException) broken off, and nobody knows how far it got.

        """
        connection = self._ready()
        try:
            headers = dict(request.header_items()) | {"Content-type": "application/json"}
            connection.request(request.get_method(), request.selector, request.data, headers)
            answer = connection.getresponse()
            body = answer.read()
        except BaseException:
            self.close()
            raise
        self.used = monotonic()
        if answer.status // 100 != 2:  # noqa: PLR2004 - 2xx is how HTTP says yes
            self.close()
            raise HTTPError(answer.status, answer.reason, body, answer.headers)
        return addinfourl(BytesIO(body), answer.headers, self.host, answer.status)

    def close(self) -> None:
        if self.connection:
            self.connection.close()
        self.connection = None

    def _ready(self) -> HTTPConnection:
        kept = self.connection
        if kept and kept.sock and monotonic() - self.used < IDLE and not _speaks(kept.sock):
            return kept
        self.close()
        parts = urlsplit(self.host)
        where, port = parts.hostname or "", parts.port
        fresh = HTTPConnection(where, port, timeout=TIMEOUT)
        if self.trust:
            fresh = HTTPSConnection(where, port, timeout=TIMEOUT, context=self.trust)
        try:
            fresh.connect()
        except OSError as error:
            fresh.close()
            raise NotConnected(f"{self.host} cannot be reached: {error}") from None
        self.connection = fresh
        return fresh


def _speaks(sock: Any) -> bool:
    """Whether something waits to be read where nothing is expected: the other side hung up."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def client(key: str, wire: Wire) -> Any:
    """The package's API client, whose `.client` speaks over the wire; WrongInput if no key."""
    if not (key.isascii() and key.isprintable()):
        words = "holds a character that no key has"  # a header cannot, either
        raise wrong("SENDGRID_API_KEY", None, words, "copy the key again")
    api = SendGridAPIClient(key, host=wire.host)
    # Any type but JSON keeps the package from putting JSON into JSON again; see Wire.ask.
    api.client = Direct(wire, api.client.request_headers | {"Content-Type": "octets"}, [])
    return api
