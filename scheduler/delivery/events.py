"""SendGrid's Event Webhook, the reading part: is it SendGrid's, and what does it say?

1. Verify the raw body before anything reads it (ECDSA over the timestamp and the body). A timestamp
   may be a day old, because SendGrid tries again for that long: whoever keeps the events tells
   duplicates by their ids (D7).
2. Parse it. Unknown kinds and fields are let through or left out, never a reason to fail: SendGrid
   would send the same body again for a day, and the other events in it would wait.
3. Of SendGrid's own words only those from a known list stay, since a mail server's answer may
   repeat the patient's address.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

from sendgrid import EventWebhook

from scheduler.findings import wrong
from scheduler.ledger.evidence import Event

ARGUMENT = "letter_delivery"
"""Under this name a delivery's opaque id goes out in custom_args and comes back in each event.

Events hold custom_args among their own fields, so the name must not be one of SendGrid's.
"""

WORD = re.compile(r"[a-z_]{1,40}")
OPAQUE = re.compile(r"[A-Za-z0-9_-]{1,100}")
STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}|[1-5]\d\d")
DROPS = (
    *("Bounced Address", "Unsubscribed Address", "Spam Reporting Address", "Invalid"),
    *("Invalid SMTPAPI header", "Spam Content", "Recipient List over Package Quota"),
)
CLASSES = (
    *("Content", "Frequency or Volume Too High", "Invalid Address", "Mailbox Unavailable"),
    *("Reputation", "Technical", "Unclassified"),
)


class NotEvents(ValueError):
    """The body is no list of events."""


def verify(key: str, body: bytes, signature: str, timestamp: str) -> bool:
    """Whether SendGrid signed this body; WrongInput if the key is none, even for an empty body."""
    webhook = _webhook(key)
    if not (timestamp.isascii() and timestamp.isdecimal()):
        return False
    try:
        return bool(webhook.verify_signature(body.decode(), signature, timestamp))
    except ValueError:  # the body is not UTF-8 or the signature not base64
        return False


def parse(body: bytes) -> list[Event]:
    """The events of a body that was verified; NotEvents if it is no list of them."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise NotEvents("the body is not JSON") from None
    if not isinstance(told, list):
        raise NotEvents("the body is no list")
    return [_event(each) for each in told if isinstance(each, dict)]


@lru_cache(maxsize=4)
def _webhook(key: str) -> Any:
    try:
        return EventWebhook(key)
    except ValueError:
        cure = "copy the verification key from SendGrid's Event Webhook settings"
        raise wrong("PHYSIOPOST_WEBHOOK_KEY", None, "is not a public key", cure) from None


def _event(told: Mapping[str, Any]) -> Event:
    kind = _word(told, "event", WORD) or "unknown"
    blocked = kind == "bounce" and told.get("type") == "blocked"
    nameless = sha256(repr(told).encode("utf-8", "replace")).hexdigest()
    return Event(
        id=_word(told, "sg_event_id", OPAQUE) or nameless,
        kind="blocked" if blocked else kind,
        delivery=_word(told, ARGUMENT, OPAQUE) or None,
        message=_text(told, "sg_message_id").partition(".")[0][:100],
        at=_instant(told.get("timestamp")),
        reason=_reason(told),
        address=_text(told, "email"),
    )


def _reason(told: Mapping[str, Any]) -> str:
    """`5.1.1, Invalid Address`: codes, and words of SendGrid's own lists."""
    status, dropped = _word(told, "status", STATUS), _text(told, "reason").strip()
    sort = _text(told, "bounce_classification")
    words = (status, dropped if dropped in DROPS else "", sort if sort in CLASSES else "")
    return ", ".join(filter(None, words))


def _instant(seconds: object) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(str(seconds)), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _word(told: Mapping[str, Any], name: str, allowed: re.Pattern[str]) -> str:
    text = _text(told, name)
    return text if allowed.fullmatch(text) else ""


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name, "")
    return value if isinstance(value, str) else ""
