"""A Mail Send request: many letters of one edition, each to one person.

1. What the letters share (sender, subject, text, HTML, logo, tracking off) becomes JSON once an
   edition, with a tag for each merge field. A field has two tags: in HTML its value is escaped.
2. A letter adds a personalization: one bare address, its stop link, its opaque id, its values.
3. Letters are laid together within SendGrid's limits, an address only once a request.

SendGrid finds and replaces tags wherever they stand, inside values too (up to four deep). So a tag
holds random digits of this process, which no patient's words can hold; all tags are equally long
and differ in one place, so that none is part of another. In any order of replacing, what SendGrid
sends is to the byte what fill() makes.
"""

import secrets
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any, NamedTuple

import orjson

from scheduler.delivery.channels.sendgrid_http import Body
from scheduler.delivery.events import ARGUMENT
from scheduler.letters.editions import Edition
from scheduler.letters.fill import Envelope, completed
from scheduler.letters.mime import extra_headers
from scheduler.letters.tokens import BY_TOKEN, FIELDS, TOKEN

SIZE = 30_000_000  # octets of a request, and fewer than that
SUBSTITUTIONS = 10_000  # octets of a letter's own values, and fewer than that
SALT = secrets.token_hex(8)

# D9. Said in every request, because an account's own settings may have them on.
NO_TRACKING = {
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},
    "ganalytics": {"enable": False},
}


class Unfit(Exception):
    """A letter that SendGrid would not take, in words."""


@dataclass(frozen=True)
class Shared:
    """What all letters of an edition share: the request up to its first personalization.

    `text` and `html` are the tags that stand in it, with their fields.
    """

    head: bytes
    text: tuple[tuple[str, str], ...]
    html: tuple[tuple[str, str], ...]


class Piece(NamedTuple):
    """A letter's own part of a request."""

    envelope: Envelope
    octets: bytes


@lru_cache(maxsize=64)
def shared(edition: Edition) -> Shared:
    """Put an edition's part into JSON."""
    mail: dict[str, Any] = {
        "from": {"email": edition.from_email, "name": edition.from_name},
        "reply_to": {"email": edition.reply_to},
        "subject": _tagged(edition.subject, "t"),
        "content": [
            {"type": "text/plain", "value": _tagged(edition.text, "t")},
            *([{"type": "text/html", "value": _tagged(edition.html, "h")}] if edition.html else []),
        ],
        "tracking_settings": NO_TRACKING,
    }
    if logo := edition.logo:
        picture = {"content": logo.content, "type": logo.media_type, "content_id": logo.content_id}
        name = f"logo.{logo.media_type.rpartition('/')[2]}"
        mail["attachments"] = [picture | {"filename": name, "disposition": "inline"}]
    head = orjson.dumps(mail)[:-1] + b',"personalizations":['
    read = edition.subject + edition.text
    return Shared(head, _tags(read, "t"), _tags(edition.html, "h"))


def piece(edition: Edition, whole: Shared, envelope: Envelope) -> Piece:
    """A letter's own part; Unfit if it lacks a value, holds what is no text, or is too large."""
    try:
        values = completed(envelope.values)
        own = {tag: values[field] for tag, field in whole.text}
        own |= {tag: escape(values[field]) for tag, field in whole.html}
        personal = {
            "to": [{"email": envelope.to}],
            "headers": extra_headers(edition, envelope),
            "custom_args": {ARGUMENT: envelope.delivery},
            "substitutions": own,
        }
        octets = orjson.dumps(personal)
    except KeyError as missing:
        raise Unfit(f"the letter's field {missing} has no value") from None
    except orjson.JSONEncodeError:
        raise Unfit("the letter holds half a character, which is no text") from None
    if len(octets) >= SUBSTITUTIONS and len(orjson.dumps(own)) >= SUBSTITUTIONS:
        raise Unfit(f"the patient's own words take {SUBSTITUTIONS:,} octets or more")
    if len(whole.head) + len(octets) + 2 >= SIZE:
        raise Unfit(f"the letter with its logo takes {SIZE:,} octets or more")
    return Piece(envelope, octets)


def lay_together(whole: Shared, waiting: deque[Piece], most: int) -> list[Piece]:
    """Take out of `waiting` what fits into one request, no address twice; the rest keeps order."""
    taken: dict[str, Piece] = {}
    later: list[Piece] = []
    room = SIZE - len(whole.head) - len("]}")
    while waiting and len(taken) < most:
        letter = waiting.popleft()
        address = letter.envelope.to.lower()
        if address in taken:
            later.append(letter)
            continue
        room -= len(letter.octets) + 1
        if room < 0:
            later.append(letter)
            break
        taken[address] = letter
    waiting.extendleft(reversed(later))
    return list(taken.values())


def body(whole: Shared, letters: list[Piece]) -> Body:
    return Body(b"".join((whole.head, b",".join([each.octets for each in letters]), b"]}")))


def _tagged(content: str, kind: str) -> str:
    return TOKEN.sub(lambda token: _tag(BY_TOKEN[token[0]], kind), content)


def _tags(content: str, kind: str) -> tuple[tuple[str, str], ...]:
    fields = [BY_TOKEN[token] for token in dict.fromkeys(TOKEN.findall(content))]
    return tuple((_tag(field, kind), field) for field in fields)


def _tag(field: str, kind: str) -> str:
    return f"zq{SALT}{kind}{chr(ord('a') + FIELDS.index(field))}qz"
