"""What practice systems call things: whose export a file is, and which column means what.

1. A system is known by columns that only its files have together. The same word means different
   things in two systems (`state`), so nothing is guessed from a single column.
2. Some columns say the same in every system: who cancelled, did not come, was discharged, died.
3. For a file that no profile knows there are only suggestions, which a person has to confirm.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scheduler.roster.table import key

FIELDS = (
    *("id", "email", "name", "first_name", "last_name", "preferred_name"),
    *("first_appointment", "physiotherapist", "consent"),
)
OWN = "your mapping"


@dataclass(frozen=True)
class Profile:
    """A practice system: the columns that give it away, and each field's names in its files."""

    system: str
    signatures: tuple[frozenset[str], ...]
    columns: Mapping[str, tuple[str, ...]]
    status: tuple[str, ...] = ("status",)


def _profile(system: str, signatures: Iterable[str], *status: str, **columns: str) -> Profile:
    """A profile from words parted by ` | `."""
    known = {field: tuple(names.split(" | ")) for field, names in columns.items()}
    marks = tuple(frozenset(names.split(" | ")) for names in signatures)
    return Profile(system, marks, known, ("status", *status))


PROFILES = (
    _profile(
        "Jane",
        [
            "patient number | patient first name | treatment name | staff member name",
            "patient number | member since | first name | last name | email",
        ],
        *("state", "active inactive"),
        id="patient number",
        email="email",
        first_name="patient first name | first name",
        last_name="patient last name | last name",
        preferred_name="patient preferred name | preferred name",
        first_appointment="start at | appointment start date time",
        physiotherapist="staff member name",
        first_visit="first visit",
    ),
    _profile(
        "Cliniko",
        [
            "patient id | last appointment | next appointment | updated at",
            "starts at | patient name | did not arrive | cancelled at",
        ],
        id="patient id | patient links self",
        email="email",
        name="patient name",
        first_name="first name",
        last_name="last name",
        preferred_name="preferred first name",
        first_appointment="starts at",
        physiotherapist="practitioner",
    ),
    _profile(
        "WriteUpp",
        ["wuid | patient name | appointment type | with", "wuid | email", "wuid | email address"],
        id="wuid",
        email="email | email address",
        name="patient name",
        first_name="first name",
        last_name="last name",
        first_appointment="date",
        physiotherapist="with",
    ),
    _profile(
        "SimplePractice",
        ["client | client type | primary clinician | email"],
        email="email",
        name="client",
        physiotherapist="primary clinician",
    ),
)
YOURS = Profile(OWN, (), {field: (key(field),) for field in FIELDS})

# A cell here that says anything but no.
LEFT_OUT = {
    "break": "a break and not a visit",
    "cancelled at": "cancelled",
    "cancelled": "cancelled",
    "no show at": "did not come",
    "no show": "did not come",
    "did not arrive": "did not come",
    "archived at": "archived",
    "archived": "archived",
    "deleted at": "deleted",
    "deceased at": "deceased",
    "deceased": "deceased",
    "date of death": "deceased",
    "discharged at": "discharged",
    "discharged": "discharged",
}
NO = frozenset(("", "no", "n", "false", "f", "0", "null", "none", "-"))
# What a column of status may say.
STATUS = (
    (re.compile(r"cancel", re.IGNORECASE), "cancelled"),
    (re.compile(r"no[ _-]?show|did not|\bdna\b", re.IGNORECASE), "did not come"),
    (re.compile(r"deceased|died", re.IGNORECASE), "deceased"),
    (re.compile(r"discharged", re.IGNORECASE), "discharged"),
    (re.compile(r"archived|inactive", re.IGNORECASE), "archived"),
)
KIND = ("appointment type", "treatment name")
LATER = re.compile(r"follow|review|subsequent|return|existing", re.IGNORECASE)

# Suggestions only: a person has to confirm them.
ALIASES = {
    "id": "patient id | client id | client ref | patient ref | patient number | client number",
    "email": "email | e mail | email address | e mail address | patient email | client email",
    "name": "name | patient name | full name | client name | client | patient",
    "first_name": "first name | forename | given name | christian name",
    "last_name": "last name | surname | family name",
    "first_appointment": "first appointment | first visit | appointment date | date | start date",
    "consent": "consent | consent date | consented at | agreed on",
}
OTHERS = re.compile(
    "doctor|contact|referr|guardian|emergency|practitioner|insur|marketing|birth"
    "|(last|next|previous) (appointment|visit)"
)
