"""Letters through SendGrid's v3 Mail Send, many of one edition in a request.

1. Lay letters together (sendgrid_mail.py) and connect. What fails there is surely not sent: the
   channel is down.
2. Send. What breaks from here on is unknown, all of it: SendGrid has no idempotency key. The next
   request then holds one letter, and each one that is accepted lets the next be twice as large; two
   doubts in a row, and the channel is down. So a SendGrid that fails all day costs few letters.
3. An answer decides: 2xx accepted · 401, 403, 404, 405, a redirect or a refused sender: the channel
   is down · 429: wait as long as it says, or try again later, twice as late each time · any other
   4xx: one of these letters is bad. Halve them until it is alone: refused, and the rest go · 5xx:
   unknown.
4. Begin no request once PATIENCE is over; what was not begun stays due.

SendGrid's own words may repeat an address, so a reason holds statuses and names of fields only.
"""

import json
import re
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from time import CLOCK_REALTIME, clock_gettime, monotonic, sleep
from typing import Any, Self

from python_http_client.exceptions import HTTPError

from scheduler.delivery.channels import Channel, ChannelDown, Outcome
from scheduler.delivery.channels import sendgrid_mail as mail
from scheduler.delivery.channels.sendgrid_http import TIMEOUT, Body, NotConnected, Wire, client
from scheduler.delivery.channels.sendgrid_logs import LookUp, Suppression, look_up, pulled
from scheduler.ledger.claims import Claim
from scheduler.letters.editions import Edition
from scheduler.letters.fill import Envelope

LONGEST = 3 * TIMEOUT  # a request: connecting, sending, the answer
PATIENCE = 2 * LONGEST  # how long a post begins new requests
NAP = 20.0  # the longest wait for SendGrid within a post
FIELD_NAME = re.compile(r"[a-z_]+(\.[a-z0-9_]+){0,6}")


class SendGrid(Channel):
    """SendGrid. A claim's lease is three times the longest post."""

    name = "sendgrid"
    lease = timedelta(seconds=3 * (PATIENCE + LONGEST + NAP))
    drafts = False

    def __init__(self, key: str, host: str, batch: int = 100) -> None:
        """Take the region's address and the letters in a request; WrongInput if it is no key."""
        self.host, self.batch = host, batch
        self.wire = Wire(host)
        self.api = client(key, self.wire)
        self.most = batch  # letters in the next request
        self.doubt = False  # what became of the last request is not known
        self.closed_until = 0.0  # by the monotonic clock: SendGrid asked us to wait

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    def post(
        self, edition: Edition, envelopes: Sequence[Envelope]
    ) -> Iterator[tuple[Envelope, Outcome]]:
        """Send in as few requests as may be. Ends early, without a word, when PATIENCE is over."""
        began, on_the_wall, pause = monotonic(), _awake_or_not(), 1.0
        if began < self.closed_until:
            raise ChannelDown("SendGrid asked us to wait (429), and the wait is not over")
        whole, waiting = mail.shared(edition), deque[mail.Piece]()
        for envelope in envelopes:
            try:
                waiting.append(mail.piece(edition, whole, envelope))
            except mail.Unfit as fault:
                yield envelope, Outcome("refused", str(fault))
        halves: list[list[mail.Piece]] = []
        while waiting or halves:
            if max(monotonic() - began, _awake_or_not() - on_the_wall) >= PATIENCE:
                break
            letters = halves.pop() if halves else mail.lay_together(whole, waiting, self.most)
            outcome, wait = self._send(mail.body(whole, letters))
            if outcome.result == "deferred":  # only 429 defers: nothing of this request was taken
                self._nap(outcome.reason, max(wait, pause))
                halves.append(letters)
                pause *= 2
            elif outcome.result == "refused" and len(letters) > 1:
                middle = len(letters) // 2
                halves += [letters[middle:], letters[:middle]]
            else:
                yield from ((each.envelope, outcome) for each in letters)
                self._learn(outcome)

    def look_up(self, doubts: Sequence[Claim]) -> LookUp:
        return look_up(self.api.client, doubts)

    def suppressions(self, since: datetime) -> Iterator[Suppression]:
        """The addresses that SendGrid writes to no more; Unavailable if they cannot be read."""
        return pulled(self.api.client, since)

    def _send(self, request: Body) -> tuple[Outcome, float]:
        """What became of a request's letters, and the seconds that SendGrid asks us to wait."""
        try:
            response = self.api.client.mail.send.post(request_body=request)
        except HTTPError as error:
            return self._turned_down(error)
        except NotConnected as error:
            raise ChannelDown(str(error)) from None
        except (OSError, HTTPException) as error:
            cause = type(error).__name__
            words = f"SendGrid broke off before it said whether it took the letter ({cause})"
            return Outcome("unknown", words), 0
        return Outcome("accepted", reference=response.headers.get("X-Message-Id")), 0

    def _turned_down(self, error: HTTPError) -> tuple[Outcome, float]:
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
                words = f"{self.host} is not SendGrid's API ({status})"
                raise ChannelDown(f"{words}: check PHYSIOPOST_SENDGRID_HOST")
            case 429:
                seconds, until = _wait(error.headers)
                return Outcome("deferred", f"SendGrid asks us to wait (429){until}"), seconds
            case _ if status >= 500:  # noqa: PLR2004 - 5xx: its fault, and nobody knows how far it got
                words = f"SendGrid failed ({status}) before it said whether it took the letter"
                return Outcome("unknown", words), 0
            case _ if status < 400:  # noqa: PLR2004 - 3xx
                words = f"{self.host} answers with a redirect ({status})"
                raise ChannelDown(f"{words}: check PHYSIOPOST_SENDGRID_HOST")
        names = ", ".join(fields := _fields(error.body))
        if fields and all(name.startswith(("from", "reply_to")) for name in fields):
            raise ChannelDown(f"SendGrid refuses the sender in clinic.yaml ({status}): {names}")
        words = f"SendGrid refuses the letter ({status})"
        return Outcome("refused", f"{words}: {names}" if names else words), 0

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
