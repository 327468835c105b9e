"""The kinds of value that people write in our files, each with its own check and cure.

Dates are calendar dates of the clinic's country, times are wall-clock times in the patient's zone;
both become instants only in the plan.
"""

import re
import unicodedata
from datetime import date, time
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from scheduler.findings import closest
from scheduler.material.yamlfile import Unusable

HOSTS = (  # where most people have their mail
    *("gmail.com", "googlemail.com", "hotmail.com", "hotmail.co.uk", "outlook.com", "live.com"),
    *("live.co.uk", "msn.com", "yahoo.com", "yahoo.co.uk", "ymail.com", "icloud.com", "me.com"),
    *("mac.com", "aol.com", "mail.com", "email.com", "gmx.com", "proton.me", "protonmail.com"),
    *("btinternet.com", "sky.com", "virginmedia.com", "talktalk.net", "ntlworld.com"),
    *("blueyonder.co.uk", "eircom.net", "comcast.net", "bigpond.com", "xtra.co.nz"),
)
ALIKE = 0.85  # 1 is the same
FIRST_YEAR, LAST_YEAR = 1900, 2999  # further away, sums of dates run off the calendar


class Written(BaseModel):
    """What a person wrote: frozen, and a field that is not known is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


def parse_date(value: Any) -> date:
    cure = "write year-month-day, as in 2026-11-23"
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", str(value)):
        raise Unusable(f'"{value}" is not a date', cure)
    try:
        day = date.fromisoformat(str(value))
    except ValueError:
        raise Unusable(f'"{value}" is a date that does not exist', cure) from None
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        cure = f"write a year from {FIRST_YEAR} to {LAST_YEAR}"
        raise Unusable(f'"{value}" is too far away', cure)
    return day


def parse_time(value: Any) -> time:
    match = re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])", str(value))
    if not match:
        raise Unusable(f'"{value}" is not a time of day', "write hours and minutes, as in 09:30")
    return time(int(match[1]), int(match[2]))


zone_names = cache(available_timezones)


def parse_zone(value: Any) -> ZoneInfo:
    """Look up an IANA time zone (RFC 6557)."""
    if str(value) not in zone_names():
        cure = closest(str(value), zone_names(), "write an IANA name, as in Europe/London")
        raise Unusable(f'"{value}" is not known', cure)
    return ZoneInfo(str(value))


def parse_address(value: Any) -> str:
    """Check an e-mail address (RFC 5321) and put it in the form that it is sent to.

    Letters before the @ must be ASCII, because not every server takes others (RFC 6531); a name
    after it may have any script and is sent in its ASCII form (RFC 5891).
    """
    try:
        found = validate_email(
            str(value), check_deliverability=False, allow_smtputf8=False, test_environment=True
        )
    except EmailNotValidError as error:
        reason = re.sub(r"\s+", " ", str(error)).rstrip(".")
        raise Unusable(f"cannot be used ({reason})", "write it as name@host") from None
    return f"{found.ascii_local_part}@{found.ascii_domain}"


def perhaps(address: str) -> str | None:
    """The address that may have been meant, where the host looks like a mistyped common one."""
    name, _, host = address.rpartition("@")
    near = [] if host in HOSTS else get_close_matches(host.lower(), HOSTS, 1, ALIKE)
    return f"{name}@{near[0]}" if near else None


def clean(value: Any) -> str:
    """One line of text: control, bidi and other invisible characters out, spaces folded.

    What could reorder or hide the text around it goes; joiners stay.
    """
    if not isinstance(value, str | int):
        raise Unusable("is not text", "write it in quotes")
    text = unicodedata.normalize("NFC", str(value))
    if text.isprintable():  # nothing of the kind is in it, as in almost all of a course
        return " ".join(text.split())
    kept = []
    for character in text:
        kind = unicodedata.category(character)
        if kind in ("Cc", "Zl", "Zp"):
            kept.append(" ")
        elif kind not in ("Cf", "Cs", "Co") or character in "\u200c\u200d":
            kept.append(character)
    return " ".join("".join(kept).split())


def filled(value: str) -> str:
    if not value:
        raise Unusable("is empty", "write something or leave the field out")
    return value


def _told(**schema: Any) -> WithJsonSchema:
    """What an editor is told of a kind of text (JSON Schema). The checks above decide."""
    return WithJsonSchema({"type": "string", **schema})


_DAY = _told(format="date", pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", examples=["2026-11-23"])
_TIME = _told(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["09:30"])
_ZONE = _told(pattern=r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$", examples=["Europe/London"])
_ADDRESS = _told(format="idn-email", pattern=r"^[^@\s]+@[^@\s]+$")
_TEXT = Field(json_schema_extra={"type": ["string", "integer"]})  # 999 needs no quotes
_FULL = Field(json_schema_extra={"type": ["string", "integer"], "minLength": 1})

Date = Annotated[date, BeforeValidator(parse_date), _DAY]
ClockTime = Annotated[time, BeforeValidator(parse_time), _TIME]
Zone = Annotated[ZoneInfo, BeforeValidator(parse_zone), _ZONE]
Address = Annotated[str, BeforeValidator(parse_address), _ADDRESS]
Words = Annotated[str, BeforeValidator(clean), _TEXT]
Line = Annotated[str, BeforeValidator(clean), AfterValidator(filled), _FULL]
