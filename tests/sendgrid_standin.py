"""A SendGrid of our own on this machine: Mail Send, Email Logs, suppressions, and signed events.

1. Draw the request's trouble, if one was ordered: by next_fault(), for a request's number, or by
   chance from a seed. It happens before or after the letters are taken.
2. Check key, type and size; check the body against SendGrid's limits (sendgrid_rules.py).
3. Take it: append a letter for each recipient to `letters`, from which nothing is ever removed;
   answer 202.
4. The logs show a letter once it is `lag` seconds old. news() tells of letters as the Event Webhook
   does: signed, in any order, some twice.

In a test: `with StandIn(key="SG.test") as sendgrid:` listens at `sendgrid.url` inside the block.
As a process of its own, for measurements or for looking: `python tests/sendgrid_standin.py --help`.
"""

import argparse
import json
import random
import re
import secrets
import socket
import ssl
import sys
import threading
import time
import zlib
from base64 import b64encode
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import sleep
from typing import Any, Literal, Self, TextIO
from urllib.parse import parse_qs, unquote, urlsplit
from urllib.request import Request, urlopen

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sendgrid_rules import SIZE, Fault, Letter, fault_in, glaring_fault_in, letters_in

Kind = Literal["answer", "hang", "close", "cut"]
PAGE = 1000
CONDITION = re.compile(
    r"""(to_email|sg_message_id|subject|reason)\s*=\s*(?:'([^']*)'|"([^"]*)")"""
    r"""|sg_message_id_created_at\s*(>=|<=|>|<)\s*TIMESTAMP\s"([0-9TZ:-]+)\""""
)
LISTS = ("bounces", "blocks", "invalid_emails", "spam_reports", "unsubscribes")


@dataclass(frozen=True)
class Trouble:
    """What happens to one request instead of an honest answer.

    answer: `status` with SendGrid's error body · hang: no word until the stand-in closes ·
    close: hang up · cut: half a status line. `taken`: the letters are taken all the same.
    """

    kind: Kind
    status: int = 500
    taken: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "as ordered"
    blames: str | None = None


CHAOS = (
    *(Trouble("close", taken=taken) for taken in (True, False)),
    *(Trouble("answer", status=503, taken=taken) for taken in (True, False)),
    Trouble("cut", taken=True),
    Trouble("answer", status=429, message="too many requests"),
)


@dataclass
class StandIn:
    """`refuses` says of an address whether SendGrid takes it. `lag` is the logs', in seconds.

    `far` is how many seconds an answer takes over the network.
    """

    key: str
    tls: ssl.SSLContext | None = None
    port: int = 0
    light: bool = False
    refuses: Callable[[str], bool] = lambda _: False
    lag: float = 0
    far: float = 0
    idle: float = 5
    record: TextIO | None = None
    letters: list[Letter] = field(default_factory=list)
    requests: int = 0
    connections: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    troubles: deque[Trouble] = field(default_factory=deque)
    numbered: dict[int, Trouble] = field(default_factory=dict)
    suppressed: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    scopes: tuple[str, ...] = ("mail.send", "messages.read", "suppression.read")
    told: int = 0

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.signer = ec.generate_private_key(ec.SECP256R1())
        self.chance, self.odds = random.Random(0), 0.0  # noqa: S311 - not for secrets

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self._shut()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody listens at the address for the length of the block."""
        self._shut()
        try:
            yield
        finally:
            self._open()

    def next_fault(self, kind: Kind, **how: Any) -> None:
        """Order a Trouble for the next request that has none yet."""
        self.troubles.append(Trouble(kind, **how))

    def by_chance(self, seed: int, odds: float) -> None:
        """Give each request one of the CHAOS with these odds."""
        self.chance, self.odds = random.Random(seed), odds  # noqa: S311 - not for secrets

    def trouble(self) -> Trouble | None:
        """Count a request and draw what happens to it."""
        with self.lock:
            self.requests += 1
            if self.troubles:
                return self.troubles.popleft()
            if self.requests in self.numbered:
                return self.numbered[self.requests]
            drawn = self.odds and self.chance.random() < self.odds
            return self.chance.choice(CHAOS) if drawn else None

    def take(self, body: dict[str, Any]) -> str:
        message = secrets.token_urlsafe(16)
        with self.lock:
            letters = letters_in(body, message, len(self.letters), time.time())
            self.letters += letters
            self.bodies.append(body)
        if self.record:
            self.record.writelines(f"{each.as_line()}\n" for each in letters)
            self.record.flush()
        return message

    def fault(self, body: Any) -> Fault | None:
        """What SendGrid finds fault with: the rules, then the addresses that it does not take."""
        if fault := (glaring_fault_in if self.light else fault_in)(body):
            return fault
        for place, person in enumerate(body["personalizations"]):
            if self.refuses(person["to"][0]["email"]):
                blames = f"personalizations.{place}.to.0.email"
                return "Does not contain a valid address.", blames
        return None

    def counted(self) -> dict[str, int]:
        """What a checker wants first: how many letters, and how many of them came twice."""
        times = Counter(each.delivery for each in self.letters)
        twice = sum(number - 1 for number in times.values())
        return {"letters": len(self.letters), "twice": twice, "requests": self.requests}

    # The logs

    def found(self, query: str, limit: int) -> list[dict[str, Any]]:
        """The newest messages that match and that the logs show by now.

        Raises:
            ValueError: not a query that SendGrid takes.

        """
        self.queries.append(query)
        tests = [_test(part) for part in re.split(r"\sAND\s", query)] if query else []
        shown = (each for each in reversed(self.letters) if each.at + self.lag <= time.time())
        matching = [each for each in shown if all(test(each) for test in tests)]
        return [
            {
                "from_email": each.mail["from"]["email"],
                "sg_message_id": each.id,
                "subject": each.subject,
                "to_email": each.to,
                "status": self.statuses.get(each.delivery, "delivered"),
                "sg_message_id_created_at": _stamp(each.at),
            }
            for each in matching[:limit]
        ]

    def details(self, message: str) -> dict[str, Any] | None:
        """A message with its custom args; none for one that is `hidden`."""
        for each in self.letters:
            if each.id == message and each.delivery not in self.hidden:
                args = dict(each.person.get("custom_args", {}))
                return {"sg_message_id": each.id, "to_email": each.to, "custom_args": args}
        return None

    # The Event Webhook

    @property
    def webhook_key(self) -> str:
        """The public key as SendGrid's settings page shows it."""
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return b64encode(self.signer.public_key().public_bytes(*form)).decode()

    def sign(self, body: bytes) -> dict[str, str]:
        stamp = str(int(time.time()))
        signature = self.signer.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        name = "X-Twilio-Email-Event-Webhook"
        return {f"{name}-Signature": b64encode(signature).decode(), f"{name}-Timestamp": stamp}

    def news(
        self, kinds: Sequence[str] = ("processed", "delivered"), seed: int = 0, twice: float = 0.1
    ) -> list[dict[str, Any]]:
        """The events of the letters taken since the last call, shuffled, some of them twice."""
        with self.lock:
            fresh, self.told = self.letters[self.told :], len(self.letters)
        chance = random.Random(seed)  # noqa: S311 - not for secrets
        events = [event(each, kind) for each in fresh for kind in kinds]
        events += [each for each in events if chance.random() < twice]
        chance.shuffle(events)
        return events

    def post_events(self, url: str, events: Iterable[Mapping[str, Any]]) -> int:
        """Hand the events to a webhook, signed; its answer's status."""
        body = json.dumps(list(events), separators=(",", ":")).encode() + b"\r\n"
        request = Request(url, body, self.sign(body) | {"Content-Type": "application/json"})  # noqa: S310
        with urlopen(request, timeout=10) as answer:  # noqa: S310 - an address of this machine
            return int(answer.status)

    def _open(self) -> None:
        self.closing = threading.Event()
        self.server = _Server(("127.0.0.1", self.port), _Handler)
        self.server.standin = self
        if self.tls:
            self.server.socket = self.tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        self.url = f"http{'s' * bool(self.tls)}://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def _shut(self) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.server.hang_up()
        self.thread.join()


def event(letter: Letter, kind: str, **more: Any) -> dict[str, Any]:
    """What the Event Webhook says of a letter; custom args stand among the other fields."""
    return {
        "email": letter.to,
        "timestamp": int(letter.at),
        "smtp-id": f"<{letter.message}@geopod-ismtpd-1>",
        "event": kind,
        "category": [],
        "sg_event_id": b64encode(f"{kind}-{letter.number}".encode(), b"-_").decode().rstrip("="),
        "sg_message_id": letter.id,
        **letter.person.get("custom_args", {}),
        **more,
    }


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _test(condition: str) -> Callable[[Letter], bool]:
    found = CONDITION.fullmatch(condition.strip())
    if not found:
        raise ValueError(condition)
    name, one, other, sign, stamp = found.groups()
    if stamp:
        # SendGrid's seconds are whole
        return {
            ">=": lambda letter: _stamp(letter.at) >= stamp,
            "<=": lambda letter: _stamp(letter.at) <= stamp,
            ">": lambda letter: _stamp(letter.at) > stamp,
            "<": lambda letter: _stamp(letter.at) < stamp,
        }[sign]
    want = one if one is not None else other
    of = {"to_email": "to", "sg_message_id": "id", "subject": "subject"}.get(name, "to")
    return lambda letter: getattr(letter, of) == want


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    standin: StandIn

    def __init__(self, *how: Any) -> None:
        super().__init__(*how)
        self.lines: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.lines.add(request)
        self.standin.connections += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.lines.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Close every connection that is kept."""
        for line in tuple(self.lines):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        self.request.settimeout(self.server.standin.idle)
        super().setup()

    def handle(self) -> None:
        with suppress(OSError):
            super().handle()

    def do_POST(self) -> None:
        standin = self.server.standin
        trouble = standin.trouble()
        octets = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        sleep(standin.far)
        if trouble:
            if trouble.taken:
                standin.take(json.loads(octets))
            self._trouble(trouble)
        elif self._known() and self.path == "/v3/logs":
            self._search(octets)
        elif self._known() and (body := self._welcome(octets)):
            self._answer(202, headers={"X-Message-Id": standin.take(body)})

    def do_GET(self) -> None:
        standin, parts = self.server.standin, urlsplit(self.path)
        if parts.path == "/standin":
            return self._answer(200, told=standin.counted())
        if trouble := standin.trouble():
            return self._trouble(trouble)
        if not self._known():
            return None
        if parts.path.startswith("/v3/logs/"):
            told = standin.details(unquote(parts.path.removeprefix("/v3/logs/")))
            fault = ("message not found", None) if told is None else None
            return self._answer(404 if fault else 200, fault, told=told)
        name = parts.path.removeprefix("/v3/suppression/")
        if name in LISTS:
            asked = {key: int(values[0]) for key, values in parse_qs(parts.query).items()}
            rows = standin.suppressed.get(name, [])
            rows = [row for row in rows if row["created"] >= asked.get("start_time", 0)]
            first, limit = asked.get("offset", 0), min(asked.get("limit", 500), 500)
            return self._answer(200, told=rows[first : first + limit])
        if parts.path == "/v3/scopes":
            self._answer(200, told={"scopes": list(standin.scopes)})
        else:
            self._answer(405, ("method not allowed", None))
        return None

    def _known(self) -> bool:
        """Whether the key is right; if it is not, the request has its answer."""
        if self.headers["Authorization"] == f"Bearer {self.server.standin.key}":
            return True
        words = "The provided authorization grant is invalid, expired, or revoked"
        self._answer(401, (words, None))
        return False

    def _welcome(self, octets: bytes) -> dict[str, Any] | None:
        """The request if it is good; if it is not, it has its answer."""
        status, body = 400, None
        fault: Fault | None = None
        if self.path != "/v3/mail/send":
            status, fault = 404, ("not found", None)
        elif self.headers["Content-Type"] != "application/json":
            status, fault = 415, ("Content-Type should be application/json.", None)
        elif len(octets) >= SIZE:
            status, fault = 413, ("The JSON payload is too large.", None)
        else:
            try:
                body = json.loads(octets)
                fault = self.server.standin.fault(body)
            except ValueError:
                fault = "Bad Request", None
        if fault:
            self._answer(status, fault)
        return None if fault else body

    def _search(self, octets: bytes) -> None:
        try:
            asked = json.loads(octets)
            limit = asked.get("limit", 10)
            told = {"messages": self.server.standin.found(asked.get("query", ""), limit)}
        except ValueError:
            limit, told = 0, {}
        if not 1 <= limit <= PAGE:
            return self._answer(400, ("invalid query", "query"))
        return self._answer(200, told=told)

    def _trouble(self, trouble: Trouble) -> None:
        match trouble.kind:
            case "answer":
                self._answer(trouble.status, (trouble.message, trouble.blames), trouble.headers)
            case "hang":
                self.server.standin.closing.wait()
            case "cut":
                self.wfile.write(b"HTTP/1.1 2")
        self.close_connection = trouble.kind != "answer" or "Content-Length" in trouble.headers

    def _answer(
        self,
        status: int,
        fault: Fault | None = None,
        headers: Mapping[str, str] | None = None,
        told: Any = None,
    ) -> None:
        body = b"" if told is None else json.dumps(told).encode()
        if fault:
            error = {"message": fault[0], "field": fault[1], "help": None}
            body = json.dumps({"errors": [error]}).encode()
        self.send_response_only(status)
        given = {"Date": formatdate(usegmt=True), "Content-Length": str(len(body))}
        for name, value in {**given, **(headers or {})}.items():
            self.send_header(name, value)
        self._headers_buffer += [b"\r\n", body]  # type: ignore[attr-defined]  # one packet
        self.flush_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Listen until standard input is closed or Ctrl-C; the first line printed is the address."""
    read = argparse.ArgumentParser(description=main.__doc__)
    read.add_argument("--key", default="SG.standin")
    read.add_argument("--port", type=int, default=0)
    read.add_argument("--light", action="store_true", help="check only what is cheap")
    read.add_argument("--record", type=argparse.FileType("a"), help="a JSON line a letter")
    read.add_argument("--bad-every", type=int, default=0, help="refuse one address in so many")
    read.add_argument("--odds", type=float, default=0, help="of trouble, for each request")
    read.add_argument("--seed", type=int, default=0)
    read.add_argument("--lag", type=float, default=0, help="seconds until the logs show a letter")
    read.add_argument("--far", type=float, default=0, help="seconds that an answer takes")
    read.add_argument("--webhook", help="where to post events, every second; its key is printed")
    given = read.parse_args()
    bad = given.bad_every
    standin = StandIn(
        given.key,
        port=given.port,
        light=given.light,
        lag=given.lag,
        far=given.far,
        record=given.record,
        refuses=lambda address: bool(bad) and zlib.crc32(address.encode()) % bad == 0,
        idle=60,
    )
    standin.by_chance(given.seed, given.odds)
    with standin, suppress(KeyboardInterrupt):
        print(standin.url, flush=True)  # noqa: T201
        if not given.webhook:
            sys.stdin.read()
            return
        print(standin.webhook_key, flush=True)  # noqa: T201
        while True:
            time.sleep(1)
            if events := standin.news(seed=given.seed):
                with suppress(OSError):
                    standin.post_events(given.webhook, events)


if __name__ == "__main__":
    main()
