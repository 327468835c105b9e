"""A test letter: the welcome, to somebody of the clinic's staff, by the channel in use.

It is no delivery: nothing is claimed and no row is written. Its stop link stops nobody. Unsigned
words go too, because nobody of the staff is a patient here.
"""

from datetime import datetime

from scheduler.delivery.channels import ChannelDown, open_channel
from scheduler.findings import WrongInput
from scheduler.ledger.people import new_id
from scheduler.ledger.staff import Member
from scheduler.letters.editions import Press
from scheduler.letters.fill import Envelope, first_name
from scheduler.settings import Settings

SAID = {
    "accepted": "it was taken. Look in your letter box, and among the spam",
    "deferred": "it was put off",
    "refused": "it was refused",
    "unknown": "it may have arrived, and nobody knows",
}


def send_proof(press: Press, settings: Settings, member: Member, now: datetime) -> str:
    """Send it; what came back, in words that name nobody."""
    edition = press.edition(press.material.course.lessons[0].slug, False)
    values = {
        "first_name": first_name(member.name),
        "next_letter": "This is a test letter to you alone: no other follows.",
        "stop_url": f"{settings.url}/stop/test",
        "note": "",
        "note_by": press.material.clinic.name,
    }
    letter = Envelope(new_id(), member.email, now, values)
    try:
        with open_channel(settings) as channel:
            channel.claimed({letter.delivery: 1})
            outcomes = [outcome for _, outcome in channel.post(edition, [letter])]
    except (ChannelDown, WrongInput) as error:
        return f"it did not go: {error}"
    if not outcomes:
        return "it did not go: there was no time"
    if settings.channel == "folder":
        return "it lies in the folder for letters"
    result, reason = outcomes[0].result, outcomes[0].reason
    return f"{SAID[result]}: {reason}" if reason else SAID[result]
