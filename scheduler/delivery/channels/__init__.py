"""The ways out: a folder, an SMTP server, SendGrid.

A channel has a name, a lease (how long a claim on it is good: at least three times its longest
post), a batch (how many letters are claimed and written down together), drafts (whether it may
carry what no physiotherapist has signed: only one that reaches no patient), and three verbs.
`claimed` tells it what was just claimed, with the fences. `post` takes the envelopes of one edition
and yields an outcome for each, in any order. `evidence` says what became of deliveries whose
outcome nobody wrote down; a Witness (see reconcile.py) can also be asked later.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Protocol

from scheduler.findings import NotDone
from scheduler.ledger.claims import Outcome
from scheduler.letters.editions import Edition
from scheduler.letters.fill import Envelope
from scheduler.settings import Settings

__all__ = ["Channel", "ChannelDown", "Outcome", "open_channel"]


class ChannelDown(NotDone):
    """The channel takes nothing now: the server is away or refuses our login (D6).

    Nothing of what was not yet yielded has been sent; those letters stay due.
    """


class Channel(Protocol):
    """What the round needs of a channel, and what most channels do."""

    name: str
    lease: timedelta
    batch: int
    drafts: bool

    def claimed(self, deliveries: Mapping[str, int]) -> None:  # noqa: ARG002
        """Take note of what is to be posted, with the fences; ChannelDown if it cannot be noted."""
        return  # most have nothing to note

    def post(
        self, edition: Edition, envelopes: Sequence[Envelope]
    ) -> Iterator[tuple[Envelope, Outcome]]:
        """Send; yield each envelope with its outcome as soon as it is known.

        It may end early, so that it never takes longer than a third of the lease: nothing of what
        was not yielded has been begun.

        Raises:
            ChannelDown: the rest was not sent.

        """

    def evidence(self, deliveries: Mapping[str, int]) -> dict[str, Outcome]:  # noqa: ARG002
        """What is known of deliveries, by their fences: accepted, or deferred if it did not go."""
        return {}


def open_channel(settings: Settings) -> AbstractContextManager[Channel]:
    """Open the channel that the settings name; WrongInput if it cannot be used as it is set."""
    match settings.channel:
        case "smtp":
            from scheduler.delivery.channels.smtp import Smtp  # noqa: PLC0415 - only this one

            if settings.smtp is None:
                raise AssertionError  # Settings.from_environment sees to it
            return Smtp(
                settings.smtp,
                settings.journal,
                connections=settings.smtp_connections,
                per_minute=settings.smtp_per_minute,
                resend=settings.on_unknown == "resend",
            )
        case "sendgrid":
            from scheduler.delivery.channels.sendgrid import SendGrid  # noqa: PLC0415 - only this

            given = settings.sendgrid_key, settings.sendgrid_host, settings.sendgrid_batch
            return SendGrid(*given)
        case "folder":
            from scheduler.delivery.channels.folder import Folder  # noqa: PLC0415 - only this one

            return Folder(settings.outbox)
