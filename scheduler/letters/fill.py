"""A letter: an edition filled for one patient.

Values are escaped for HTML and left as they are in plain text; nothing that a value holds is read
again, so a name with markup, template syntax or one of our tokens arrives as it was typed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from html import escape

from scheduler.letters.editions import Edition
from scheduler.material.clinic import Picture


@dataclass(frozen=True)
class Letter:
    """What one person gets to read."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True)
class Envelope:
    """One letter on its way: the delivery's opaque id, the address, and the merge values.

    `date` (UTC) is when the letter was claimed, so that a second try writes the same letter.
    `draft` is no part of the letter: it says why it is not fit for a patient, if it is not.
    """

    delivery: str
    to: str
    date: datetime
    values: Mapping[str, str]
    draft: str = ""


def fill(edition: Edition, values: Mapping[str, str]) -> Letter:
    """An edition with a patient's merge values; KeyError names a field that has none."""
    whole = completed(values)
    safe = {field: escape(value) for field, value in whole.items()}
    return Letter(
        subject=edition.subject,
        html="".join(filled(edition.html_parts, safe)),
        text="".join(filled(edition.text_parts, whole)),
    )


def completed(values: Mapping[str, str]) -> Mapping[str, str]:
    """The values with what follows from them: the patient's pages share the stop link's token.

    So a delivery that was kept before there were such pages needs nothing more.
    """
    base, _, token = values["stop_url"].rpartition("/stop/")
    return {**values, "letters_url": f"{base}/letters/{token}"}


def filled(parts: tuple[str, ...], values: Mapping[str, str]) -> list[str]:
    """Literals and values in turn: the odd parts are the fields' names."""
    pieces = list(parts)
    pieces[1::2] = [values[field] for field in parts[1::2]]
    return pieces


def on_screen(html: str, logo: Picture | None) -> str:
    """A letter's HTML for a browser, which finds no parts beside it: the logo stands in it."""
    if logo is None:
        return html
    source = f"data:{logo.media_type};base64,{logo.content}"
    return html.replace(f'src="cid:{logo.content_id}"', f'src="{source}"')


def in_words(day: date) -> str:
    """`Tuesday 22 December`, as a letter says it."""
    return f"{day:%A} {day.day} {day:%B}"


def first_name(name: str) -> str:
    """What a letter calls a person: the first word of the name."""
    return name.split(maxsplit=1)[0] if name.split() else name
