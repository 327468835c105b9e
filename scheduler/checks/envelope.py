"""The discreet envelope: what can be seen of a letter before it is opened.

A phone on a table shows the sender, the subject and the preheader to whoever walks by; servers log
headers and links. None of them may name a condition, a part of the body, a symptom or a treatment.
"""

import re
from collections.abc import Iterator

from scheduler.findings import Finding, shown
from scheduler.letters.editions import Press
from scheduler.material import Material

RULES = {
    "indiscreet": "whoever sees the phone would know what is wrong with its owner",
    "preheader-length": "shorter leaves the letter's first words on show, longer is cut off",
}
SHORTEST, LONGEST = 40, 130
TELLING = re.compile(
    r"\b(?:sciatica|sciatic|nerves?|discs?|spines?|spinal|backs?|legs?|foot|feet|hips?|bottom|"
    r"pains?|painful|numb(?:ness)?|weak(?:ness)?|tingl\w*|flare-?ups?|symptoms?|scans?|mri|x-?rays?|"
    r"exercises?|injections?|operations?|surgery|medicines?|treatments?|diagnos\w+|disease|"
    r"illness|patients?)\b",
    re.IGNORECASE,
)


def findings(material: Material, press: Press) -> Iterator[Finding]:
    """The envelopes of all letters."""
    for lesson in material.course.lessons:
        place, words = shown(lesson.path), press.words_of(lesson.slug)
        for field in ("subject", "preheader"):
            cure = "say which week it is and what is inside, no more"
            yield from telling(place, lesson.lines[field], field, words[field], cure)
        if not SHORTEST <= (length := len(words["preheader"])) <= LONGEST:
            told = f"preheader has {length} characters"
            cure = f"keep it between {SHORTEST} and {LONGEST}"
            yield Finding(place, lesson.lines["preheader"], told, cure, "preheader-length")
    file = material.clinic_file
    for field in ("name", "email"):
        words, line = getattr(material.clinic.sender, field), file.line(("sender", field))
        cure = "use the clinic's name"
        yield from telling(shown(file.path), line, f"sender.{field}", words, cure)


def telling(place: str, line: int | None, field: str, words: str, cure: str) -> Iterator[Finding]:
    """What some words give away."""
    if match := TELLING.search(words):
        told = f'{field} says "{match[0]}": {RULES["indiscreet"]}'
        yield Finding(place, line, told, cure, "indiscreet")
