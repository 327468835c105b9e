"""What forms and addresses say, field by field, or in a sentence what is wrong with a field.

No command stands in such a sentence, and no patient's id where there is a name.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, time
from typing import Any, get_args

from flask import request

from scheduler.findings import Finding, NotDone, WrongInput, wrong
from scheduler.ledger.people import Person, Style
from scheduler.material.fields import clean, parse_address, parse_date, parse_time
from scheduler.material.yamlfile import Unusable
from scheduler.plan.reasons import dated

Fields = Mapping[str, str]


def asked_day(otherwise: date) -> date:
    """The day that the address of a page asks for, if it is one."""
    try:
        return parse_date(request.args["day"])
    except (KeyError, Unusable):
        return otherwise


def read_all(
    fields: Fields, readers: Mapping[str, Callable[[Fields], Any]]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Each field as its reader takes it, and what is wrong with the others."""
    values: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for name, read in readers.items():
        try:
            values[name] = read(fields)
        except WrongInput as error:
            faults[name] = sentence(error)
    return values, faults


def name_of(fields: Fields) -> str:
    """The name in a form; WrongInput without one, as below."""
    if name := clean(fields.get("name", ""))[:400]:
        return name
    raise wrong("name", None, "the name is missing")


def address_of(fields: Fields) -> str:
    """The e-mail address in a form."""
    try:
        return parse_address(fields.get("email", "").strip())
    except Unusable:
        cure = "write it as in jo@example.org"
        raise wrong("email", None, "this is no e-mail address", cure) from None


def day_of(fields: Fields, field: str, what: str = "a date") -> date:
    """The date in a field."""
    given = fields.get(field, "").strip()
    try:
        return parse_date(given)
    except Unusable as error:
        if given:
            raise wrong(field, None, str(error), "choose a day") from None
        raise wrong(field, None, f"{what} is missing", "choose one") from None


def agreed_of(fields: Fields, today: date) -> date:
    """The day of a consent, which has come."""
    day = day_of(fields, "consent", "the day on which they agreed")
    if day > today:
        words = f"{dated(day)} has not come yet"
        raise wrong("consent", None, words, "give the day on which they agreed")
    return day


def wording_of(fields: Fields, current: str) -> str:
    """The version of the words that they agreed to, which are those of now."""
    if fields.get("agreed_to", current) != current:
        words = "the words of consent were changed just now"
        raise wrong("agreed_to", None, words, "say the new ones, and ask again")
    return current


def clock_of(fields: Fields, field: str) -> time | None:
    """The time of day in a field, or None for the clinic's."""
    given = fields.get(field, "").strip()
    try:
        return parse_time(given) if given else None
    except Unusable as error:
        raise wrong(field, None, str(error), "write it as in 18:15") from None


def style_of(fields: Fields) -> Style | None:
    """How letters look, or None for as usual."""
    return next((each for each in get_args(Style) if each == fields.get("style")), None)


def faults(error: WrongInput | NotDone, person: Person | None = None) -> list[Finding]:
    """What is wrong, for a page."""
    found: Iterable[Finding] = (Finding("", None, str(error), ""),)
    if isinstance(error, WrongInput):
        found = error.findings
    return [
        Finding(each.place, each.line, plain(each.words, person), plain(each.cure, person))
        for each in found
    ]


def sentence(error: WrongInput) -> str:
    """What is wrong, and what to do about it."""
    parts = [part for each in faults(error) for part in (each.words, each.cure) if part]
    return ". ".join(parts) + "."


def plain(words: str, person: Person | None = None) -> str:
    """An error as a page says it."""
    kept = [part for part in words.split("; ") if "physiopost" not in part and "--" not in part]
    told = "; ".join(kept)
    if person:
        told = " ".join(person.name if word == person.id else word for word in told.split(" "))
    return told[:1].upper() + told[1:]
