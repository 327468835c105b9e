"""Merge values: what a letter says to one person alone, as it goes and as it is kept.

What is kept lacks the proof of the patient's link, so that a copy of the database opens no page.
"""

from collections.abc import Mapping

from scheduler.keys import Keys
from scheduler.ledger.claims import Claim
from scheduler.ledger.people import Person
from scheduler.letters.fill import Envelope, first_name, in_words
from scheduler.material.signoff import Standing
from scheduler.plan.rules import PlannedLetter


def merge_values(
    person: Person, following: PlannedLetter | None, keys: Keys, clinic: str
) -> dict[str, str]:
    """What a letter says to this person alone, as it is kept; `following` comes after it."""
    if following and following.local:
        coming = f"Your next letter comes on {in_words(following.local.date())}."
    elif following:
        coming = "Your next letter waits until you and the clinic agree on a date."
    else:
        coming = "This is the last letter of the course."
    return {
        "first_name": first_name(person.name),
        "next_letter": coming,
        "stop_url": keys.unproven_url(person.enrolment_id),
        "note": person.note or "",
        "note_by": f"{person.physiotherapist}, {clinic}" if person.physiotherapist else clinic,
    }


def envelope(claim: Claim, keys: Keys, barred: Mapping[str, tuple[Standing, ...]]) -> Envelope:
    """The letter that a claim is about; `barred` says which lessons only go as drafts."""
    draft = "; ".join(f"{each.what}: {each.fault}" for each in barred.get(claim.lesson, ()))
    values = keys.proven(claim.merge)
    return Envelope(claim.delivery, claim.address, claim.claimed_at, values, draft)
