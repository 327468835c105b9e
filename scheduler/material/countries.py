"""Whom to call, country by country. There is no default: an unknown country is refused."""

from pathlib import Path

from pydantic import Field

from scheduler.material.fields import Line, Written
from scheduler.material.yamlfile import read_yaml


class Country(Written):
    """One country's numbers and words. `reviewer` is who confirmed them, if anybody."""

    name: Line = Field(description="the country's name")
    language: str = Field(pattern=r"^en-[A-Z]{2}$", description="a language tag, as in en-GB")
    emergency: Line = Field(description="the emergency number, in quotes")
    hospital: Line = Field(description="what its emergency department is called")
    doctor: Line = Field(description="GP or doctor")
    urgent_doctor: Line = Field(description="what to ask for on the same day")
    advice: Line | None = Field(description="the advice line, or null where there is none")
    profession: Line = Field(description="physiotherapist or physical therapist")
    holidays: tuple[str, ...] = Field(
        min_length=1, max_length=2, description="a country and a part of it, as in [GB, ENG]"
    )
    reviewer: Line | None = Field(description="who confirmed this record, or null")


def read_countries(folder: Path) -> dict[str, Country]:
    """Every country that letters may be sent in, by code."""
    document = read_yaml(folder / "countries.yaml")
    if not isinstance(document.value, dict):
        raise document.wrong((), "is not a mapping", "begin each record with its code: GB-ENG:")
    return {code: document.parse(Country, (code,)) for code in document.value}
