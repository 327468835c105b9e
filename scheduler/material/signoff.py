"""Who has read what and signed it: course/signoff.yaml, and whether each signature still holds.

1. What can be signed: each lesson, by its slug, and `blocks`, the two warning boxes together.
2. A signature holds the hash of what was read: the words that a patient reads, the claims that
   they teach, the sources that they cite; for the blocks also the numbers and words of the clinic's
   country. White space at line ends, file names and dates of review are left out.
3. A thing stands signed when its hash is still the signature's, and it is not past its review date.
4. A letter may go to a patient when its lesson and the blocks stand signed.

The command line and the pages sign with this. Nothing here can know whether the name and the number
stand in a register: whoever signs says so.
"""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field

import scheduler
from scheduler.findings import shown, writing, wrong
from scheduler.material.fields import Date, Line, Written, clean
from scheduler.material.lessons import SLUG, Lesson, Passage
from scheduler.material.yamlfile import Unusable, read_text, read_yaml

if TYPE_CHECKING:
    from scheduler.material import Material

FILE = "signoff.yaml"
PACKAGE = Path(scheduler.__file__).resolve().parent
BLOCKS = "blocks"
ALL = "all"
PRINTED = {"emergency", "hospital", "doctor", "urgent_doctor", "advice", "profession"}
"""The words of a country's record that patients read."""


def parse_registration(value: Any) -> str:
    """Check that it looks like a number in a register of physiotherapists, whichever one."""
    text = clean(value)
    if not re.fullmatch(r"(?=(?:.*[0-9]){3})[A-Za-z0-9][A-Za-z0-9 ./-]{2,29}", text):
        cure = "write it as the register does, as in PH123456"
        raise Unusable(f'"{text[:40]}" is no registration number', cure)
    return text


class Signature(Written):
    """One entry of signoff.yaml."""

    what: str = Field(pattern=SLUG, description=f"a lesson's slug, or {BLOCKS}")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="the 64 digits that sign writes")
    name: Line = Field(description="the physiotherapist's name")
    registration: Annotated[str, BeforeValidator(parse_registration)] = Field(
        description="a registration number, as in PH123456"
    )
    signed_on: Date = Field(description="a date, as in 2026-11-23")


@dataclass(frozen=True)
class Standing:
    """How a lesson or the blocks stand: unless signed, what is amiss and who must do what."""

    what: str
    state: Literal["signed", "unsigned", "void", "past review"]
    fault: str = ""
    cure: str = ""

    @property
    def words(self) -> str:
        """What is amiss and the cure."""
        return f"{self.fault}; {self.cure}"


def standing(material: "Material", today: date) -> dict[str, Standing]:
    """How each lesson and the blocks stand on a day, in the course's order."""
    return {what: _standing(material, what, today) for what in (*material.course.by_slug, BLOCKS)}


def barred(material: "Material", today: date) -> dict[str, tuple[Standing, ...]]:
    """Each lesson that must not go to a patient, with what stands in its way."""
    stands = standing(material, today)
    blocks = stands.pop(BLOCKS)
    ways = {
        what: tuple(s for s in (own, blocks) if s.state != "signed") for what, own in stands.items()
    }
    return {slug: way for slug, way in ways.items() if way}


def _standing(material: "Material", what: str, today: date) -> Standing:
    signature = material.signatures.get(what)
    who = f"a registered {material.country.profession}"
    sign = f"{who} must read and sign: physiopost sign {what} --name … --registration …"
    if signature is None:
        return Standing(what, "unsigned", "not signed yet", sign)
    if signature.sha256 != content_hash(material, what):
        fault = f"edited since {signature.name} signed on {signature.signed_on}"
        return Standing(what, "void", fault, sign)
    oldest = min(passages(material, what), key=lambda passage: passage.review_by)
    if oldest.review_by < today:
        fault = f"was to be reviewed by {oldest.review_by}"
        cure = f"{who} must read it against its sources and set a new review_by"
        return Standing(what, "past review", fault, f"{cure} in {shown(oldest.path)}")
    return Standing(what, "signed")


def passages(material: "Material", what: str) -> tuple[Passage, ...]:
    """The texts that one signature is about."""
    course = material.course
    return (course.emergency, course.same_day) if what == BLOCKS else (course.by_slug[what],)


def content_hash(material: "Material", what: str) -> str:
    """SHA-256 of everything that a signature is about, as canonical JSON."""
    content: list[Any] = [_content(material, passage) for passage in passages(material, what)]
    if what == BLOCKS:
        content.append(material.country.model_dump(include=PRINTED))
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _content(material: "Material", passage: Passage) -> dict[str, Any]:
    """What a patient reads of a passage, and what it rests on."""
    claims, references = material.claims.entries, material.references.entries
    # Without the white space at line ends, where editors put it and take it away.
    body = "\n".join(map(str.rstrip, passage.body.split("\n"))).strip("\n")
    read = {"title": passage.title, "body": body}
    if isinstance(passage, Lesson):
        read |= {name: getattr(passage, name) for name in ("subject", "preheader", "action")}
    return read | {
        "claims": {
            key: claims[key].model_dump(include={"claim", "verdict", "wording", "sources"})
            for key in passage.claims
        },
        "citations": {key: references[key].short for key in passage.citations},
    }


def read_signatures(folder: Path) -> dict[str, Signature]:
    """The signatures by what was signed; without the file, or in an empty one, there are none."""
    path = folder / FILE
    document = read_yaml(path) if path.exists() else None
    if document is None or document.value is None:
        return {}
    return document.records(
        Signature, "what", "signature", ("is signed twice", "keep the newer signature")
    )


def refuse_shipped(folder: Path) -> None:
    """Say no (WrongInput) to the course inside the program: an update would undo the signature."""
    if folder.resolve().is_relative_to(PACKAGE):
        cure = "copy it, set PHYSIOPOST_COURSE to the copy, and sign that"
        raise wrong(folder, None, "is part of the installed program and stays unsigned", cure)


def sign(
    folder: Path, material: "Material", things: Sequence[str], name: str, number: str, *, on: date
) -> Path:
    """Put a name under what was read of a course; gives the file, new as a whole or untouched.

    Older signatures of the same things go; what stands above the first entry is kept. WrongInput if
    the file cannot be used or written.
    """
    refuse_shipped(folder)
    path = (folder / FILE).resolve()
    signed = {each.what: each.model_dump() for each in read_signatures(folder).values()}
    for what in things:
        read = {"what": what, "sha256": content_hash(material, what)}
        signed[what] = {**read, "name": name, "registration": number, "signed_on": on}
    lines = read_text(path).splitlines(keepends=True) if path.exists() else []
    above = takewhile(lambda line: not line.strip() or line.startswith("#"), lines)
    entries: list[str] = [
        yaml.safe_dump([each], sort_keys=False, allow_unicode=True) for each in signed.values()
    ]
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    cure = "mend its permissions, or copy course/ and set PHYSIOPOST_COURSE to the copy"
    with writing(path, cure):
        try:
            with draft.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines([*above, *entries])
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                draft.chmod(path.stat().st_mode)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    return path
