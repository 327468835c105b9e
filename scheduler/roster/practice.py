"""What practice systems call things: whose export a file is, and which column means what.

practice.yaml names the columns.

1. A system is known by columns that only its files have together. The same word means different
   things in two systems (`state`), so nothing is guessed from a single column.
2. Some columns say the same in every system: who cancelled, did not come, was discharged, died.
3. For a file that no profile knows there are only suggestions, which a person has to confirm.
"""

import re
from pathlib import Path

from pydantic import Field

from scheduler.material.fields import Written
from scheduler.material.yamlfile import read_yaml
from scheduler.roster.table import key

FIELDS = (
    *("id", "email", "name", "first_name", "last_name", "preferred_name"),
    *("first_appointment", "physiotherapist", "consent"),
)
OWN = "your mapping"
Names = tuple[str, ...]


class Profile(Written):
    """A practice system: the columns that give it away, and each field's names in its files."""

    system: str
    signatures: tuple[frozenset[str], ...]
    columns: dict[str, Names]
    status: Names = ("status",)


class Practice(Written):
    """The file."""

    systems: tuple[Profile, ...]
    left_out: dict[str, Names] = Field(alias="left-out")
    usual: dict[str, Names]


KNOWN = read_yaml(Path(__file__).with_name("practice.yaml")).parse(Practice)
YOURS = Profile(system=OWN, signatures=(), columns={field: (key(field),) for field in FIELDS})

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
OTHERS = re.compile(
    "doctor|contact|referr|guardian|emergency|practitioner|insur|marketing|birth"
    "|(last|next|previous) (appointment|visit)"
)
