"""What SendGrid takes and what it then sends: its documented limits, and its substitutions.

`fault_in` is the whole of docs mail-send/errors and mail-send/limitations and of
twilio/sendgrid-oai, tsg_mail_v3.yaml. `letters_in` is what each recipient gets.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

PERSONALIZATIONS = 1000
RECIPIENTS = 1000
CUSTOM_ARGS = 10_000  # bytes, and fewer than that
SUBSTITUTIONS = 10_000  # bytes
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
ALLOWED, ALLOWED_IN_ONE, NOT_OURS = (
    frozenset(names.split()) for names in (KEYS, PERSONALIZATION_KEYS, RESERVED)
)
ADDRESS = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;]+")

Fault = tuple[str, str | None]  # SendGrid's message and the field that it blames


@dataclass(frozen=True)
class Letter:
    """What one recipient gets. `number` is its place among all letters that were taken."""

    number: int
    to: str
    message: str
    at: float
    person: Mapping[str, Any]
    mail: Mapping[str, Any] = field(repr=False)

    @property
    def delivery(self) -> str:
        """The custom arg that comes back in events and in the logs."""
        return str(next(iter(self.person.get("custom_args", {}).values()), ""))

    @property
    def headers(self) -> dict[str, str]:
        return {**self.mail.get("headers", {}), **self.person.get("headers", {})}

    @property
    def id(self) -> str:
        """The sg_message_id: the request's id, and where in SendGrid's machines it went."""
        return f"{self.message}.recvd-standin-1-{self.number:08X}.0"

    @property
    def subject(self) -> str:
        return self._replaced(self.person.get("subject") or self.mail["subject"])

    @cached_property
    def text(self) -> str:
        return self._part("text/plain")

    @cached_property
    def html(self) -> str:
        return self._part("text/html")

    def as_line(self) -> str:
        """JSON without a line end."""
        told = {"delivery": self.delivery, "to": self.to, "id": self.id, "at": self.at}
        told |= {"headers": self.headers, "subject": self.subject}
        return json.dumps({**told, "text": self.text, "html": self.html})

    def _part(self, kind: str) -> str:
        parts = [part["value"] for part in self.mail["content"] if part["type"] == kind]
        return self._replaced(parts[0]) if parts else ""

    def _replaced(self, content: str) -> str:
        """Find and replace, in the order of the request, and again in what came in: four times."""
        own = self.person.get("substitutions", {})
        for _ in range(4):
            before = content
            for tag, value in own.items():
                content = content.replace(tag, value)
            if content == before:
                break
        return content


def letters_in(mail: Mapping[str, Any], message: str, first: int, at: float) -> list[Letter]:
    """A letter for each personalization."""
    return [
        Letter(first + place, person["to"][0]["email"], message, at, person, mail)
        for place, person in enumerate(mail["personalizations"])
    ]


def fault_in(body: object) -> Fault | None:
    """The first thing that SendGrid would find fault with, None for a good request."""
    if not isinstance(body, dict):
        return "Bad Request", None
    return next(_faults(body), None)


def glaring_fault_in(body: Any) -> Fault | None:
    """The few that matter in a measurement: how many, one address each, and no address twice."""
    people = body["personalizations"]
    addresses = {person["to"][0]["email"] for person in people}
    if len(people) > PERSONALIZATIONS or len(addresses) < len(people):
        return (
            "Each email address in the personalization block should be unique.",
            "personalizations",
        )
    return None


def _faults(body: dict[str, Any]) -> Iterator[Fault]:
    yield from _unknown(body, ALLOWED, "")
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
    yield from _attachments(body)


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
    for person in people:
        subject = person.get("subject") or body.get("subject")
        if not isinstance(subject, str) or not subject.strip():
            yield "The subject is required.", "subject"
            break
    content = body.get("content")
    if not isinstance(content, list) or not content:
        yield "The content is required.", "content"
        return
    for number, part in enumerate(content):
        if not (isinstance(part.get("value"), str) and part["value"] and part.get("type")):
            yield (
                "The content value must be a string of at least one character.",
                f"content.{number}.value",
            )
    kinds = [part.get("type") for part in content]
    order = {"text/plain": 0, "text/x-amp-html": 1, "text/html": 2}
    if kinds != sorted(kinds, key=lambda kind: order.get(kind, 3)):
        yield "text/plain must come first, then text/html.", "content"


def _personalization(person: Any, place: str) -> Iterator[Fault]:
    if not person.keys() <= ALLOWED_IN_ONE:
        yield from _unknown(person, ALLOWED_IN_ONE, f"{place}.")
    if not person.get("to"):
        yield "The to array is required for all personalization objects.", f"{place}.to"
    for kind in ("to", "cc", "bcc"):
        for number, address in enumerate(person.get(kind, ())):
            yield from _address(address, f"{place}.{kind}.{number}")
            if re.search("[;,]", str(address.get("name", ""))):
                yield "A name may hold neither ; nor ,", f"{place}.{kind}.{number}.name"
    yield from _headers_and_args(person, f"{place}.")
    if own := person.get("substitutions"):
        if not all(isinstance(value, str) for value in own.values()):
            yield "A substitution must be a string.", f"{place}.substitutions"
        elif _longer(own, SUBSTITUTIONS):
            yield "The substitutions are limited to 10000 bytes.", f"{place}.substitutions"
        if "dynamic_template_data" in person:
            yield "Substitutions may not be used with dynamic templates.", f"{place}.substitutions"


def _longer(own: Mapping[str, str], limit: int) -> bool:
    """Whether the JSON of it has more octets; measured only where it could."""
    if sum(len(key) + len(value) for key, value in own.items()) * 6 < limit // 2:
        return False
    return len(json.dumps(own, ensure_ascii=False).encode()) >= limit


def _recipients(people: list[Any]) -> Iterator[Fault]:
    everyone = Counter(
        str(address.get("email", "")).lower()
        for person in people
        for kind in ("to", "cc", "bcc")
        for address in person.get(kind, ())
    )
    if everyone.total() > RECIPIENTS:
        yield f"There is a limit of {RECIPIENTS} total recipients per request.", "personalizations"
    if len(everyone) < everyone.total():
        yield (
            "Each email address in the personalization block should be unique.",
            "personalizations",
        )


def _headers_and_args(part: dict[str, Any], place: str) -> Iterator[Fault]:
    for name, value in part.get("headers", {}).items():
        if name.lower() in NOT_OURS:
            yield f"The header {name} is reserved.", f"{place}headers.{name}"
        if not isinstance(value, str):
            yield "A header must be a string.", f"{place}headers.{name}"
    args = part.get("custom_args", {})
    if not all(isinstance(value, str) for value in args.values()):
        yield "A custom arg must be a string.", f"{place}custom_args"
    elif _longer(args, CUSTOM_ARGS):
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


def _attachments(body: dict[str, Any]) -> Iterator[Fault]:
    for number, each in enumerate(body.get("attachments", ())):
        for need in ("content", "filename"):
            if not (isinstance(each.get(need), str) and each[need]):
                yield f"The attachment {need} is required.", f"attachments.{number}.{need}"
        if each.get("disposition") == "inline" and not each.get("content_id"):
            yield "An inline attachment needs a content_id.", f"attachments.{number}.content_id"


def _address(address: Any, place: str) -> Iterator[Fault]:
    email = address.get("email") if isinstance(address, dict) else None
    if not isinstance(email, str) or not ADDRESS.fullmatch(email):
        yield f"Does not contain a valid address: {email}", f"{place}.email"


def _unknown(part: dict[str, Any], known: frozenset[str], place: str) -> Iterator[Fault]:
    for key in part:
        if key not in known:
            yield f"Additional property {key} is not allowed", f"{place}{key}"
