"""clinic.yaml: who the clinic is, when it is open, how its letters look and what their frame says.

The frame's words are the closed set of Wording; whatever else a patient reads is the course's. The
logo lies in a file of its own, is looked into and kept: nothing that is not a small PNG or JPEG
gets into a letter. The words of consent are in no letter: staff say them before somebody agrees.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from scheduler.findings import WrongInput, closest
from scheduler.material.fields import Address, ClockTime, Date, Line, Written, Zone
from scheduler.material.yamlfile import Document, Unusable, read_yaml

Weekday = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
DAYS: tuple[Weekday, ...] = get_args(Weekday)  # as Python counts them, Monday 0
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]

MERGE = re.compile(r"\{\{ *(\w+) *\}\}")
MOST = 50_000  # a logo's bytes
KINDS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
"""What a logo may be, by its first bytes."""


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


def _holding(*known: str) -> AfterValidator:
    """Words that may hold these merge fields and no others."""

    def check(words: str) -> str:
        for field in MERGE.findall(words):
            if field not in known:
                allowed = "it may hold " + ", ".join(known) if known else "it holds no merge field"
                raise Unusable(f'cannot hold "{field}"', closest(field, known, allowed))
        if set("{}") & set(MERGE.sub("", words)):
            raise Unusable("has a brace too many", "write a field as in {{ first_name }}")
        return words

    return AfterValidator(check)


Label = Annotated[Line, Field(max_length=60), _holding()]
Greeting = Annotated[Line, Field(max_length=60), _holding("first_name")]
Week = Annotated[Line, Field(max_length=30), _holding("week", "weeks")]
About = Annotated[Line, Field(max_length=300, pattern=r"[.!?]$"), _holding("profession")]


class Wording(Written):
    """The words of a letter's frame that are the clinic's to choose."""

    week: Week = Field("Week {{ week }} of {{ weeks }}", description="which letter it is, in short")
    welcome: Label = Field("Welcome", description="the same for the first letter")
    greeting: Greeting = Field("Dear {{ first_name }},", description="a line with {{ first_name }}")
    action: Label = Field("One small thing this week", description="the small action's heading")
    note: Label = Field("A note for you", description="the heading of the physiotherapist's note")
    sign_off: Label = Field("With best wishes,", description="the line above the clinic's name")
    sources: Label = Field("Where this comes from", description="what stands before the sources")
    about: About = Field(
        "This letter is sent automatically, and nobody reads replies as they come in.",
        description="sentences: why they get it, who reads replies; may hold {{ profession }}",
    )
    stop: Label = Field("Stop these letters", description="the words of the link that stops them")


class Logo(Written):
    """A picture above the clinic's name. The letter brings it along and says all without it."""

    file: Line = Field(description="a PNG or JPEG beside clinic.yaml, 50 KB at most")
    alt: Line = Field(max_length=80, description="what it says to who cannot see it")
    width: int = Field(160, ge=40, le=300, description="how wide it stands, 40 to 300 pixels")


@dataclass(frozen=True)
class Picture:
    """A logo as a letter carries it, which calls it `cid:` and its id; in base64."""

    content_id: str
    media_type: str
    content: str


Months = Annotated[int, Field(ge=1, le=600)]


class Retention(Written):
    """How long things are kept after somebody's course has ended; for ever, if it is not said."""

    letters: Months | None = Field(None, description="months until letters cannot be shown again")
    people: Months | None = Field(None, description="months until everything about them goes")


CONSENT = (
    "You get a short course of letters by e-mail, about one a week. They hold general information. "
    "E-mail is not for emergencies, and nobody reads replies as they come in. We keep your name, "
    "your e-mail address, your dates and your letters. Our staff see them, and the company that "
    "carries our e-mail sees the letters. You can stop at any time, by the link in each letter or "
    "by telling us. You can ask us what we keep, and to remove it."
)


class Clinic(Written):
    """One clinic. `timezone` and `send_at` hold for every patient who has none of their own."""

    name: Line = Field(description="the clinic's name")
    sender: Sender = Field(description="name, email and reply_to")
    address: Line = Field(description="the postal address")
    phone: Line = Field(description="the number that patients call")
    country: str = Field(description="a code, as in GB-ENG")
    subdivision: str | None = Field(None, description="a part of the country with its own holidays")
    timezone: Zone = Field(description="an IANA name, as in Europe/London")
    open: tuple[Weekday, ...] = Field(min_length=1, description="days, as in [Mon, Tue, Wed]")
    closed: tuple[Closure, ...] = Field((), description="a list of closures")
    send_at: ClockTime = Field(time(9, 30), description="a time of day, as in 09:30")
    brand: Colour = Field("#0b6e69", description="a colour, as in #0b6e69, in quotes")
    logo: Logo | None = Field(None, description="file, alt and width")
    wording: Wording = Field(Wording(), description="the frame's words that you would change")
    consent: Annotated[Line, Field(max_length=1500)] = Field(
        CONSENT, description="the words that people agree to, as staff say them"
    )
    retention: Retention = Field(Retention(), description="letters and people, in months")

    def today(self, now: datetime) -> date:
        """The day at the clinic."""
        return now.astimezone(self.timezone).date()

    @property
    def agreement(self) -> str:
        """The version of the words of consent, another for every other word."""
        return hashlib.sha256(self.consent.encode()).hexdigest()[:8]

    def owned(self) -> Iterator[tuple[tuple[str, str], str]]:
        """What the clinic wrote of a letter's frame, by its place in clinic.yaml."""
        written = self.wording.model_fields_set
        yield from ((("wording", name), words) for name, words in self.wording if name in written)
        if self.logo:
            yield ("logo", "alt"), self.logo.alt


def read_clinic(path: Path) -> tuple[Clinic, Document]:
    """Read clinic.yaml; the document knows its lines."""
    document = read_yaml(path)
    clinic = document.parse(Clinic)
    for number, closure in enumerate(clinic.closed):
        if closure.last < closure.first:
            raise document.wrong(("closed", number), "ends before it begins", "swap from and to")
    return clinic, document


def read_logo(clinic: Clinic, document: Document) -> Picture | None:
    """The clinic's logo, if it has one; WrongInput if the file is none that a letter can carry."""
    if clinic.logo is None:
        return None
    name = clinic.logo.file

    def amiss(words: str, cure: str) -> WrongInput:
        return document.wrong(("logo", "file"), f'logo.file "{name}" {words}', cure)

    try:
        with (document.path.parent / name).open("rb") as file:
            content = file.read(MOST + 1)
    except (OSError, ValueError):
        raise amiss("cannot be read", "give its path as seen from clinic.yaml") from None
    if len(content) > MOST:
        raise amiss("is larger than 50 KB", "save it smaller")
    for first, media_type in KINDS.items():
        if content.startswith(first):
            return Picture("logo", media_type, b64encode(content).decode())
    raise amiss("is neither PNG nor JPEG", "save it as one of them")
