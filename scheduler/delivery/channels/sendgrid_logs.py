"""What SendGrid itself says became of a letter: its Email Logs and its suppression lists.

For each letter in doubt:
1. Ask for the messages to its address in the hours around its claim (POST /v3/logs).
2. Ask for each one's details (GET /v3/logs/ID) until one carries the delivery's id: found.
3. None does, and the list was whole: not found. There is no paging: a list as long as the limit is
   not whole, and neither is one with a message that has no details yet: no word on the letter.

The logs lag, and nobody says by how much. So `newest` is the newest letter of ours that they show,
id and all: a letter that is not found means nothing until a later one is seen. Nothing here is
written down; a reason holds statuses only.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from typing import Any
from urllib.parse import quote

from python_http_client.client import Response
from python_http_client.exceptions import HTTPError

from scheduler.delivery.channels.sendgrid_http import Body, NotConnected
from scheduler.delivery.events import ARGUMENT
from scheduler.findings import NotDone
from scheduler.ledger.claims import Claim

AROUND = timedelta(days=1)  # a claim's lease, and two clocks that differ
PAGE = 1000  # messages in an answer of the logs, at most
LATEST = 10  # messages looked into for one of ours
LIST = 500  # addresses in an answer of a suppression list, at most
KINDS = {
    "bounces": "bounce",
    "invalid_emails": "invalid",
    "spam_reports": "spamreport",
    "unsubscribes": "unsubscribe",
}
"""SendGrid's lists and the events' word for each. Blocks are not for good, so they are left out."""


class Unavailable(NotDone):
    """SendGrid does not let us read what we asked for, in words."""


@dataclass(frozen=True)
class Found:
    """The request's message id, as in an outcome's reference, and the message's last status."""

    message: str
    status: str


@dataclass(frozen=True)
class LookUp:
    """What the logs show. Deliveries in neither set were not asked about, or cannot be told."""

    found: Mapping[str, Found]
    not_found: frozenset[str]
    newest: datetime | None
    unavailable: str = ""


@dataclass(frozen=True)
class Suppression:
    """An address that SendGrid writes to no more, and the event's word for why."""

    kind: str
    address: str = field(repr=False)


def look_up(client: Any, doubts: Sequence[Claim]) -> LookUp:
    """Ask about each of some letters; what was learnt before the logs failed is kept."""
    found: dict[str, Found] = {}
    missing: set[str] = set()
    newest: datetime | None = None
    unavailable = ""
    try:
        newest = _newest(client, min(doubt.claimed_at for doubt in doubts))
        for doubt in doubts:
            messages, whole = _messages_to(client, doubt)
            for message in messages:
                details = _details(client, message)
                if details is None:
                    whole = False
                elif details.get(ARGUMENT) == doubt.delivery:
                    found[doubt.delivery] = _found(message)
                    break
            else:
                missing |= {doubt.delivery} if whole else set()
    except Unavailable as reason:
        unavailable = str(reason)
    return LookUp(found, frozenset(missing), newest, unavailable)


def pulled(client: Any, since: datetime) -> Iterator[Suppression]:
    """Every address that was suppressed from `since` on; Unavailable if a list cannot be read."""
    for name, kind in KINDS.items():
        ask, start, page = client.suppression._(name), 0, LIST
        while page == LIST:
            window = {"start_time": int(since.timestamp()), "limit": LIST, "offset": start}
            rows = _asked("suppression lists", ask.get, query_params=window)
            try:
                yield from (Suppression(kind, str(row["email"])) for row in rows)
            except (KeyError, TypeError):
                raise Unavailable(f"SendGrid's list of {name} is not as documented") from None
            page = len(rows)
            start += page


def _newest(client: Any, since: datetime) -> datetime | None:
    """When the newest message was made that carries an id of ours."""
    messages = _search(client, _when(">=", since))
    for message in sorted(messages, key=_made, reverse=True)[:LATEST]:
        if ARGUMENT in (_details(client, message) or ()):
            return _made(message)
    return None


def _messages_to(client: Any, doubt: Claim) -> tuple[list[dict[str, Any]], bool]:
    """The messages to the letter's address, as it is and in small letters, and whether all came."""
    first, last = doubt.claimed_at - AROUND, doubt.claimed_at + AROUND
    window = f"{_when('>=', first)} AND {_when('<=', last)}"
    messages: list[dict[str, Any]] = []
    for address in dict.fromkeys((doubt.address, doubt.address.lower())):
        mark = '"' if "'" in address else "'"
        if mark in address or "\\" in address:
            return [], False
        page = _search(client, f"to_email = {mark}{address}{mark} AND {window}")
        messages += page
        if len(page) >= PAGE:
            return messages, False
    return messages, True


def _found(message: Mapping[str, Any]) -> Found:
    status = str(message.get("status"))
    known = status if re.fullmatch("[a-z_]{1,20}", status) else ""
    return Found(str(message["sg_message_id"]).partition(".")[0], known)


def _details(client: Any, message: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A message's custom args, empty for another program's; None while there are no details."""
    place = client.logs._(quote(str(message["sg_message_id"]), safe=""))
    told = _asked("Email Logs", place.get)
    if told is None:
        return None
    args = told.get("custom_args") if isinstance(told, dict) else None
    return args if isinstance(args, dict) else {}


def _search(client: Any, query: str) -> list[dict[str, Any]]:
    asked = Body(json.dumps({"query": query, "limit": PAGE}).encode())
    told = _asked("Email Logs", client.logs.post, request_body=asked)
    messages = told.get("messages") if isinstance(told, dict) else None
    if not isinstance(messages, list) or not all(
        isinstance(each, dict) and each.get("sg_message_id") for each in messages
    ):
        raise Unavailable("SendGrid's Email Logs answer otherwise than documented")
    return messages


def _made(message: Mapping[str, Any]) -> datetime:
    try:
        made = datetime.fromisoformat(str(message.get("sg_message_id_created_at")))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return made if made.tzinfo else made.replace(tzinfo=UTC)


def _when(relation: str, instant: datetime) -> str:
    return f'sg_message_id_created_at {relation} TIMESTAMP "{instant:%Y-%m-%dT%H:%M:%SZ}"'


def _asked(what: str, call: Callable[..., Response], **how: Any) -> Any:
    """The answer's JSON; None for what is not there (404)."""
    try:
        return json.loads(call(**how).body)
    except HTTPError as error:
        if error.status_code == 404:  # noqa: PLR2004 - not found
            return None
        cure = {
            401: ": check SENDGRID_API_KEY",
            403: ": give the API key the right to read them",
            429: ": it asks us to wait",
        }
        words = f"SendGrid's {what} cannot be read ({error.status_code})"
        raise Unavailable(words + cure.get(error.status_code, "")) from None
    except (NotConnected, OSError, HTTPException) as error:
        raise Unavailable(f"SendGrid's {what} cannot be read ({type(error).__name__})") from None
    except (ValueError, RecursionError):
        raise Unavailable(f"SendGrid's {what} answer with no JSON") from None
