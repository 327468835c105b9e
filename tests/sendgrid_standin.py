"""A SendGrid of our own: POST /v3/mail/send on this machine, with SendGrid's limits and faults.

1. Check the key, the content type and the size; read the body.
2. Check the body against the limits that SendGrid documents (docs mail-send/errors and
   mail-send/limitations; twilio/sendgrid-oai, tsg_mail_v3.yaml).
3. Take it: append it to `accepted`, from which nothing is ever removed; answer 202.
   A fault ordered by next_fault() happens before or after the letter is taken.
"""

import json
import re
import secrets
import ssl
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

PERSONALIZATIONS = 1000
RECIPIENTS = 1000
CUSTOM_ARGS = 10_000  # bytes, and fewer than that
CATEGORIES = 10
CATEGORY = 255
SIZE = 30_000_000  # bytes, and fewer than that
AHEAD = 72 * 3600  # seconds
RESERVED = """x-sg-id x-sg-eid received dkim-signature content-type content-transfer-encoding
    to from subject reply-to cc bcc"""
KEYS = """personalizations from reply_to reply_to_list subject content attachments template_id
    headers categories custom_args send_at batch_id asm ip_pool_name mail_settings
    tracking_settings"""
PERSONALIZATION_KEYS = """from to cc bcc subject headers substitutions dynamic_template_data
    custom_args send_at"""
ADDRESS = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;]+")

Fault = tuple[str, str | None]  # SendGrid's message and the field that it blames
Kind = Literal["answer", "hang", "close", "cut"]


@dataclass(frozen=True)
class Trouble:
    """What happens to one request instead of an honest answer.

    answer: `status` with SendGrid's error body · hang: no word until the stand-in closes ·
    close: hang up · cut: half a status line. `taken`: the letter is taken all the same.
    """

    kind: Kind
    status: int = 500
    taken: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "as ordered"
    blames: str | None = None


@dataclass
class StandIn:
    """`with StandIn(key="SG.test") as sendgrid:` listens at `sendgrid.url` until the block ends."""

    key: str
    tls: ssl.SSLContext | None = None
    accepted: list[dict[str, Any]] = field(default_factory=list)
    message_ids: list[str] = field(default_factory=list)
    requests: int = 0
    troubles: deque[Trouble] = field(default_factory=deque)

    def __enter__(self) -> Self:
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self.server = _Server(("127.0.0.1", 0), _Handler)
        self.server.standin = self
        if self.tls:
            self.server.socket = self.tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' * bool(self.tls)}://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()  # waits for every request
        self.thread.join()

    def next_fault(self, kind: Kind, **how: Any) -> None:
        """Order a Trouble for the next request that has none yet."""
        self.troubles.append(Trouble(kind, **how))

    def take(self, body: dict[str, Any]) -> str:
        with self.lock:
            self.message_ids.append(secrets.token_urlsafe(16))
            self.accepted.append(body)
            return self.message_ids[-1]


def fault_in(body: object) -> Fault | None:
    """The first thing that SendGrid would find fault with, None for a good request."""
    if not isinstance(body, dict):
        return "Bad Request", None
    return next(_faults(body), None)


def _faults(body: dict[str, Any]) -> Iterator[Fault]:
    yield from _unknown(body, KEYS, "")
    people = body.get("personalizations")
    if not isinstance(people, list) or not people or not all(isinstance(p, dict) for p in people):
        yield "You must have at least one personalization.", "personalizations"
        return
    if len(people) > PERSONALIZATIONS:
        yield f"The personalization block is limited to {PERSONALIZATIONS}.", "personalizations"
    yield from _sender(body)
    yield from _subject_and_content(body, people)
    for number, person in enumerate(people):
        yield from _personalization(person, f"personalizations.{number}")
    yield from _recipients(people)
    yield from _headers_and_args(body, "")
    yield from _options(body)


def _sender(body: dict[str, Any]) -> Iterator[Fault]:
    if "from" not in body:
        yield "The from object must be provided for every email send.", "from"
        return
    yield from _address(body["from"], "from")
    if not str(body["from"].get("email", "")).isascii():
        yield "Unicode encoding is not supported for the from field.", "from.email"
    if "reply_to" in body:
        yield from _address(body["reply_to"], "reply_to")
    if "reply_to" in body and "reply_to_list" in body:
        yield "reply_to and reply_to_list exclude each other.", "reply_to_list"


def _subject_and_content(body: dict[str, Any], people: list[Any]) -> Iterator[Fault]:
    subjects = [person.get("subject") or body.get("subject") for person in people]
    if not all(isinstance(subject, str) and subject.strip() for subject in subjects):
        yield "The subject is required.", "subject"
    content = body.get("content")
    if not isinstance(content, list) or not content:
        yield "The content is required.", "content"
        return
    for number, part in enumerate(content):
        if not (isinstance(part.get("value"), str) and part["value"] and part.get("type")):
            yield (
                "The content value must be a string of at least one character.",
                (f"content.{number}.value"),
            )
    kinds = [part.get("type") for part in content]
    order = {"text/plain": 0, "text/x-amp-html": 1, "text/html": 2}
    if kinds != sorted(kinds, key=lambda kind: order.get(kind, 3)):
        yield "text/plain must come first, then text/html.", "content"


def _personalization(person: Any, place: str) -> Iterator[Fault]:
    yield from _unknown(person, PERSONALIZATION_KEYS, f"{place}.")
    if not person.get("to"):
        yield "The to array is required for all personalization objects.", f"{place}.to"
    for kind in ("to", "cc", "bcc"):
        for number, address in enumerate(person.get(kind, [])):
            yield from _address(address, f"{place}.{kind}.{number}")
            if re.search("[;,]", str(address.get("name", ""))):
                yield "A name may hold neither ; nor ,", f"{place}.{kind}.{number}.name"
    yield from _headers_and_args(person, f"{place}.")


def _recipients(people: list[Any]) -> Iterator[Fault]:
    everyone = Counter(
        str(address.get("email", "")).lower()
        for person in people
        for kind in ("to", "cc", "bcc")
        for address in person.get(kind, [])
    )
    if everyone.total() > RECIPIENTS:
        yield f"There is a limit of {RECIPIENTS} total recipients per request.", "personalizations"
    if any(times > 1 for times in everyone.values()):
        yield (
            "Each email address in the personalization block should be unique.",
            "personalizations",
        )


def _headers_and_args(part: dict[str, Any], place: str) -> Iterator[Fault]:
    for name, value in part.get("headers", {}).items():
        if name.lower() in RESERVED.split():
            yield f"The header {name} is reserved.", f"{place}headers.{name}"
        if not isinstance(value, str):
            yield "A header must be a string.", f"{place}headers.{name}"
    args = part.get("custom_args", {})
    if not all(isinstance(value, str) for value in args.values()):
        yield "A custom arg must be a string.", f"{place}custom_args"
    if len(json.dumps(args, ensure_ascii=False).encode()) >= CUSTOM_ARGS:
        yield "The custom args are too large.", f"{place}custom_args"


def _options(body: dict[str, Any]) -> Iterator[Fault]:
    categories = body.get("categories", [])
    if len(categories) > CATEGORIES or len(set(categories)) < len(categories):
        yield f"There may be {CATEGORIES} different categories.", "categories"
    if any(len(category) > CATEGORY for category in categories):
        yield f"A category has at most {CATEGORY} characters.", "categories"
    at = body.get("send_at", 0)
    if not isinstance(at, int) or at > time.time() + AHEAD:
        yield "send_at is a Unix time at most 72 hours ahead.", "send_at"
    for name, setting in body.get("tracking_settings", {}).items():
        if not isinstance(setting.get("enable"), bool):
            yield "enable must be a boolean.", f"tracking_settings.{name}.enable"


def _address(address: Any, place: str) -> Iterator[Fault]:
    email = address.get("email") if isinstance(address, dict) else None
    if not isinstance(email, str) or not ADDRESS.fullmatch(email):
        yield f"Does not contain a valid address: {email}", f"{place}.email"


def _unknown(part: dict[str, Any], known: str, place: str) -> Iterator[Fault]:
    for key in part:
        if key not in known.split():
            yield f"Additional property {key} is not allowed", f"{place}{key}"


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close() waits for them
    standin: StandIn


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5
    server: _Server

    def do_POST(self) -> None:
        standin = self.server.standin
        with standin.lock:
            standin.requests += 1
            trouble = standin.troubles.popleft() if standin.troubles else None
        octets = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if trouble:
            if trouble.taken:
                standin.take(json.loads(octets))
            self._trouble(trouble)
        elif self._welcome(octets):
            self._answer(202, headers={"X-Message-Id": standin.take(json.loads(octets))})

    def do_GET(self) -> None:
        with self.server.standin.lock:
            self.server.standin.requests += 1
        self._answer(405, ("method not allowed", None))

    def _welcome(self, octets: bytes) -> bool:
        """Whether the request is good; if it is not, it has its answer."""
        if self.path != "/v3/mail/send":
            return self._answer(404, ("not found", None))
        if self.headers["Authorization"] != f"Bearer {self.server.standin.key}":
            words = "The provided authorization grant is invalid, expired, or revoked"
            return self._answer(401, (words, None))
        if self.headers["Content-Type"] != "application/json":
            return self._answer(415, ("Content-Type should be application/json.", None))
        if len(octets) >= SIZE:
            return self._answer(413, ("The JSON payload is too large.", None))
        try:
            fault = fault_in(json.loads(octets))
        except ValueError:
            fault = "Bad Request", None
        return fault is None or self._answer(400, fault)

    def _trouble(self, trouble: Trouble) -> None:
        match trouble.kind:
            case "answer":
                self._answer(trouble.status, (trouble.message, trouble.blames), trouble.headers)
            case "hang":
                self.server.standin.closing.wait()
            case "cut":
                self.wfile.write(b"HTTP/1.1 2")
        self.close_connection = True

    def _answer(
        self, status: int, fault: Fault | None = None, headers: Mapping[str, str] | None = None
    ) -> bool:
        body = b""
        if fault:
            error = {"message": fault[0], "field": fault[1], "help": None}
            body = json.dumps({"errors": [error]}).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        return False

    def log_message(self, *_: object) -> None:
        """Say nothing."""
