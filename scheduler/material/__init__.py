"""Everything that people wrote, read and checked once, and frozen."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scheduler.findings import Finding, WrongInput, closest, shown
from scheduler.material.clinic import Clinic, Picture, read_clinic, read_logo
from scheduler.material.countries import Country, read_countries
from scheduler.material.evidence import Claim, Reference, Register, read_register
from scheduler.material.lessons import Course, read_course
from scheduler.material.signoff import ALL, BLOCKS, Signature, read_signatures
from scheduler.material.yamlfile import Document
from scheduler.settings import Settings


@dataclass(frozen=True)
class Material:
    """The course, its evidence, the clinic that sends it, and who has signed what.

    `clinic_file` knows the lines of clinic.yaml.
    """

    course: Course
    claims: Register[Claim]
    references: Register[Reference]
    countries: dict[str, Country]
    clinic: Clinic
    clinic_file: Document
    logo: Picture | None
    country: Country
    signatures: dict[str, Signature]


def read_material(settings: Settings) -> Material:
    """Read and cross-check course/ and clinic.yaml.

    WrongInput has the faults of the first file with any, or every tag that leads nowhere.
    """
    course = read_course(settings.course)
    countries = read_countries(settings.course)
    clinic, document = read_clinic(settings.clinic)
    if clinic.country not in countries:
        cure = closest(clinic.country, sorted(countries))
        raise document.wrong(("country",), f'country "{clinic.country}" is not known', cure)
    material = Material(
        course=course,
        claims=read_register(settings.course / "claims.yaml", Claim),
        references=read_register(settings.course / "references.yaml", Reference),
        countries=countries,
        clinic=clinic,
        clinic_file=document,
        logo=read_logo(clinic, document),
        country=countries[clinic.country],
        signatures=read_signatures(settings.course),
    )
    if faults := [*_dangling(material), *_untaught(material), *_reserved(course)]:
        raise WrongInput(*faults)
    return material


def _dangling(material: Material) -> Iterator[Finding]:
    """Citations without a reference and tags without a claim."""
    for path, line, words, key, register in _tags(material):
        if key not in register.entries:
            cure = closest(key, register.entries, f"add it to {register.path.name}")
            yield Finding(shown(path), line, f"{words} is not there", cure)


def _tags(material: Material) -> Iterator[tuple[Path, int, str, str, Register[Any]]]:
    """Whatever leads to a register: where it stands, how it is called, its key, the register."""
    claims, references = material.claims, material.references
    for passage in material.course.passages():
        for key in passage.citations:
            words = f"[@{key}] cites a source that"
            yield passage.path, passage.cited_at(key), words, key, references
        for key in passage.claims:
            yield passage.path, passage.lines["claims"], f"claims {key}", key, claims
    for entry in claims.entries.values():
        for key in entry.sources:
            yield claims.path, claims.lines[entry.id], f'sources "{key}"', key, references


def _untaught(material: Material) -> Iterator[Finding]:
    """Claims that no lesson teaches."""
    taught = {claim for passage in material.course.passages() for claim in passage.claims}
    for claim, line in material.claims.lines.items():
        if claim not in taught:
            words = f"{claim} is taught in no lesson"
            cure = "add it to the claims of the lesson that teaches it, or remove it here"
            yield Finding(shown(material.claims.path), line, words, cure)


def _reserved(course: Course) -> Iterator[Finding]:
    """Slugs that mean something else to `sign`."""
    for slug in (ALL, BLOCKS):
        if lesson := course.by_slug.get(slug):
            words = f'slug "{slug}" has a meaning of its own for physiopost sign'
            yield Finding(shown(lesson.path), lesson.lines["slug"], words, "choose another slug")
