"""Letters through SendGrid's v3 Mail Send, many of one edition in a request.

1. Lay letters together (sendgrid_mail.py) and connect. What fails there is surely not sent: the
   channel is down.
2. Send. What breaks from here on is unknown, all of it: SendGrid has no idempotency key. The next
   request then holds one letter, and each one that is accepted lets the next be twice as large; two
   doubts in a row, and the channel is down. So a SendGrid that fails all day costs few letters.
3. An answer decides: 2xx accepted · 401, 403, 404, 405, a redirect or a refused sender: the channel
   is down · 429: wait as long as it says, or try again later, twice as late each time · any other
   4xx: one of these letters is bad. Part them, at the letter that SendGrid blames or in halves,
   until it is alone: refused, and the rest go · 5xx: unknown.
4. Begin no request once PATIENCE is over; what was not begun stays due.

SendGrid's own words may repeat an address, so a reason holds statuses and names of fields only.
"""

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from time import CLOCK_REALTIME, clock_gettime, monotonic, sleep
from typing import Any, Self

from orjson import JSONEncodeError
from python_http_client.exceptions import HTTPError

from scheduler.delivery.channels import ChannelDown, Outcome
from scheduler.delivery.channels.sendgrid_http import TIMEOUT, Body, NotConnected, Wire, client
from scheduler.delivery.channels.sendgrid_logs import Doubt, LookUp, Suppression, look_up, pulled
from scheduler.delivery.channels.sendgrid_mail import (
    Piece,
    Shared,
    TooLarge,
    body,
    lay_together,
    piece,
    shared,
)
from scheduler.letters.editions import Edition
from scheduler.letters.fill import Envelope

LONGEST = 3 * TIMEOUT  # a request: connecting, sending, the answer
PATIENCE = 2 * LONGEST  # how long a post begins new requests
NAP = 20.0  # the longest wait for SendGrid within a post
FIELD_NAME = re.compile(r"[a-z_]+(\.[a-z0-9_]+){0,6}")
BLAMED = re.compile(r"personalizations\.(\d{1,4})\.")


@dataclass(frozen=True)
class Answer:
    """To a request: what became of its letters, the place of the one to blame, how long to wait."""

    outcome: Outcome
    blamed: int = -1
    wait: float = 0.0


class SendGrid:
    """SendGrid. A claim's lease is three times the longest post."""

    name = "sendgrid"
    lease = timedelta(seconds=3 * (PATIENCE + LONGEST + NAP))
    drafts = False

    def __init__(self, key: str, host: str, batch: int = 100) -> None:
        """Take the API key, the region's address and how many letters go in a request.

        Raises:
            WrongInput: the key holds characters that a header cannot.

        """
        self.host, self.batch = host, batch
        self.wire = Wire(host)
        self.api = client(key, self.wire)
        self.most = batch  # letters in the next request
        self.doubt = False  # what became of the last request is not known
        self.closed_until = 0.0  # by the monotonic clock: SendGrid asked us to wait

    def __enter__(self) -> Self:
        """Nothing to open: the first request does."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self.wire.close()

    def post(
        self, edition: Edition, envelopes: Sequence[Envelope]
    ) -> Iterator[tuple[Envelope, Outcome]]:
        """Send in as few requests as may be. Ends early, without a word, when PATIENCE is over.

        Raises:
            ChannelDown: the rest was surely not sent.

        """
        began, on_the_wall, pause = monotonic(), _awake_or_not(), 1.0
        if began < self.closed_until:
            raise ChannelDown("SendGrid asked us to wait (429), and the wait is not over")
        whole = shared(edition)
        waiting, unfit = _pieces(edition, whole, envelopes)
        yield from unfit
        parted: list[list[Piece]] = []
        while waiting or parted:
            if max(monotonic() - began, _awake_or_not() - on_the_wall) >= PATIENCE:
                break
            letters = parted.pop() if parted else lay_together(whole, waiting, self.most)
            answer = self._send(body(whole, letters))
            result = answer.outcome.result
            if result == "deferred":  # only 429 defers: nothing of this request was taken
                self._nap(answer.outcome.reason, max(answer.wait, pause))
                parted.append(letters)
                pause *= 2
            elif result == "refused" and len(letters) > 1:
                parted += _part(letters, answer.blamed)
            else:
                yield from ((each.envelope, answer.outcome) for each in letters)
                self._learn(answer.outcome)

    def claimed(self, deliveries: Mapping[str, int]) -> None:
        """Nothing to note: SendGrid's own records are the evidence."""

    def evidence(self, deliveries: Mapping[str, int]) -> dict[str, Outcome]:  # noqa: ARG002
        """Nothing at once: SendGrid's logs lag (D5). See look_up()."""
        return {}

    def look_up(self, doubts: Sequence[Doubt]) -> LookUp:
        """What SendGrid's Email Logs show of these deliveries."""
        return look_up(self.api.client, doubts)

    def suppressions(self, since: datetime) -> Iterator[Suppression]:
        """The addresses that SendGrid has stopped writing to, for what the webhook missed.

        Raises:
            Unavailable: the lists cannot be read; what was yielded before stands.

        """
        return pulled(self.api.client, since)

    def _send(self, request: Body) -> Answer:
        try:
            response = self.api.client.mail.send.post(request_body=request)
        except HTTPError as error:
            return self._turned_down(error)
        except NotConnected as error:
            raise ChannelDown(str(error)) from None
        except (OSError, HTTPException) as error:
            cause = type(error).__name__
            words = f"SendGrid broke off before it said whether it took the letter ({cause})"
            return Answer(Outcome("unknown", words))
        return Answer(Outcome("accepted", reference=response.headers.get("X-Message-Id")))

    def _turned_down(self, error: HTTPError) -> Answer:
        """What an answer other than 2xx means for these letters, or for all of them."""
        status = error.status_code
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
                seconds, until = _wait(error.headers)
                words = f"SendGrid asks us to wait (429){until}"
                return Answer(Outcome("deferred", words), wait=seconds)
            case _ if status >= 500:  # noqa: PLR2004 - 5xx: its fault, and nobody knows how far it got
                words = f"SendGrid failed ({status}) before it said whether it took the letter"
                return Answer(Outcome("unknown", words))
            case _ if status < 400:  # noqa: PLR2004 - 3xx
                raise ChannelDown(
                    f"{self.host} answers with a redirect ({status}): "
                    "check PHYSIOPOST_SENDGRID_HOST"
                )
        fields = _fields(error.body)
        if fields and all(name.startswith(("from", "reply_to")) for name in fields):
            words = f"SendGrid refuses the sender in clinic.yaml ({status}): {', '.join(fields)}"
            raise ChannelDown(words)
        words = f"SendGrid refuses the letter ({status})" + ": " * bool(fields) + ", ".join(fields)
        blamed = next((int(found[1]) for each in fields if (found := BLAMED.match(each))), -1)
        return Answer(Outcome("refused", words), blamed)

    def _nap(self, reason: str, seconds: float) -> None:
        """Wait a little here, or put everything off."""
        if seconds > NAP:
            self.closed_until = monotonic() + seconds
            raise ChannelDown(reason)
        sleep(seconds)

    def _learn(self, outcome: Outcome) -> None:
        """Less at a time after a doubt, nothing more after a second one, more after a success."""
        if outcome.result == "unknown":
            if self.doubt:
                raise ChannelDown(outcome.reason)
            self.most, self.doubt = 1, True
        elif outcome.result == "accepted":
            self.most, self.doubt = min(self.batch, self.most * 2), False


def _awake_or_not() -> float:
    """Seconds that pass while the machine sleeps, too; monotonic() stands still then."""
    return clock_gettime(CLOCK_REALTIME)


def _pieces(
    edition: Edition, whole: Shared, envelopes: Sequence[Envelope]
) -> tuple[deque[Piece], list[tuple[Envelope, Outcome]]]:
    """The letters that can go, and those that cannot, before anything is sent."""
    fit, unfit = deque[Piece](), []
    for envelope in envelopes:
        try:
            fit.append(piece(edition, whole, envelope))
        except (KeyError, TooLarge, JSONEncodeError) as fault:
            unfit.append((envelope, Outcome("refused", _unfit(fault))))
    return fit, unfit


def _part(letters: list[Piece], blamed: int) -> list[list[Piece]]:
    """The others and the one that SendGrid blames (tried again by itself), or two halves."""
    if 0 <= blamed < len(letters):
        return [letters[:blamed] + letters[blamed + 1 :], [letters[blamed]]]
    middle = len(letters) // 2
    return [letters[middle:], letters[:middle]]


def _unfit(fault: Exception) -> str:
    match fault:
        case KeyError():
            return f"the letter's field {fault} has no value"
        case TooLarge():
            return str(fault)
    return "the letter holds half a character, which is no text"


def _wait(headers: Any) -> tuple[float, str]:
    """Seconds and ` until 14:05 UTC`, if the answer says when; by SendGrid's clock, not ours."""
    try:
        reset = datetime.fromtimestamp(int(headers["X-RateLimit-Reset"]), UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return 0, ""
    try:
        seconds = (reset - parsedate_to_datetime(headers["Date"])).total_seconds()
    except (TypeError, ValueError):
        seconds = 0
    return min(seconds, timedelta(hours=1).total_seconds()), f" until {reset:%H:%M} UTC"


def _fields(content: bytes) -> list[str]:
    """`personalizations.0.to.0.email`: the fields that SendGrid finds fault with."""
    try:
        names = [str(error["field"]) for error in json.loads(content)["errors"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    return [name for name in dict.fromkeys(names) if FIELD_NAME.fullmatch(name)]
