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
        edition = press.edition(lesson.slug, False)
        preheader = press.words_of(lesson.slug)["preheader"]
        place = shown(lesson.path)
        seen = {"subject": edition.subject, "preheader": preheader}
        for field, words in seen.items():
            if match := TELLING.search(words):
                told = f'{field} says "{match[0]}": {RULES["indiscreet"]}'
                cure = "say which week it is and what is inside, no more"
                yield Finding(place, lesson.lines[field], told, cure, "indiscreet")
        if not SHORTEST <= len(preheader) <= LONGEST:
            told = f"preheader has {len(preheader)} characters"
            cure = f"keep it between {SHORTEST} and {LONGEST}"
            yield Finding(place, lesson.lines["preheader"], told, cure, "preheader-length")
    sender = material.clinic.sender
    for field, words in (("sender.name", sender.name), ("sender.email", sender.email)):
        if match := TELLING.search(words):
            told = f'{field} says "{match[0]}": {RULES["indiscreet"]}'
            yield Finding("clinic.yaml", None, told, "use the clinic's name", "indiscreet")
