"""clinic.yaml: who the clinic is, when it is open, and how its letters look."""

from datetime import time
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from scheduler.material.fields import Address, ClockTime, Date, Line, Written, Zone
from scheduler.material.yamlfile import Document, Unusable, read_yaml

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def _weekdays(value: Any) -> tuple[int, ...]:
    """Names of days as Python counts them, Monday 0."""
    if not isinstance(value, list) or not value:
        raise Unusable("names no day", "write a list, as in [Mon, Tue, Wed]")
    for day in value:
        if day not in DAYS:
            raise Unusable(f'"{day}" is not a day', "use " + ", ".join(DAYS))
    return tuple(sorted({DAYS.index(day) for day in value}))


_NAMES = {"type": "array", "items": {"enum": list(DAYS)}, "minItems": 1}  # for editors
Weekdays = Annotated[tuple[int, ...], BeforeValidator(_weekdays), WithJsonSchema(_NAMES)]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


class Closure(Written):
    """A day or a run of days on which the clinic is closed, both ends included."""

    first: Date = Field(alias="from", description="a date, as in 2026-12-24")
    last: Date = Field(alias="to", description="a date, as in 2026-12-27")
    reason: Line = Field("clinic closed", description="a few words")


class Sender(Written):
    """The From line. The name is discreet: it names no condition."""

    name: Line = Field(max_length=80, description="a discreet name, as in Harbour Physio")
    email: Address = Field(description="the address that letters come from")
    reply_to: Address = Field(description="an address that reception reads")


class Clinic(Written):
    """One clinic. `timezone` and `send_at` hold for every patient who has none of their own."""

    name: Line = Field(description="the clinic's name")
    sender: Sender = Field(description="name, email and reply_to")
    address: Line = Field(description="the postal address")
    phone: Line = Field(description="the number that patients call")
    country: str = Field(description="a code, as in GB-ENG")
    subdivision: str | None = Field(None, description="a part of the country with its own holidays")
    timezone: Zone = Field(description="an IANA name, as in Europe/London")
    open: Weekdays = Field(description="a list of days, as in [Mon, Tue, Wed, Thu, Fri]")
    closed: tuple[Closure, ...] = Field((), description="a list of closures")
    send_at: ClockTime = Field(time(9, 30), description="a time of day, as in 09:30")
    brand: Colour = Field("#0b6e69", description="a colour, as in #0b6e69, in quotes")


def read_clinic(path: Path) -> tuple[Clinic, Document]:
    """Read clinic.yaml; the document knows its lines."""
    document = read_yaml(path)
    clinic = document.parse(Clinic)
    for number, closure in enumerate(clinic.closed):
        if closure.last < closure.first:
            raise document.wrong(("closed", number), "ends before it begins", "swap from and to")
    return clinic, document
