"""The discreet envelope: what can be seen of a letter before it is opened.

A phone on a table shows the sender, the subject and the preheader to whoever walks by; servers log
headers and links. None of them may name a condition, a part of the body, a symptom or a treatment.
"""

from collections.abc import Iterator

from scheduler.checks.rulebook import BOOK, Fault
from scheduler.findings import Finding, shown
from scheduler.letters.editions import Press
from scheduler.material import Material

SHORTEST, LONGEST = 40, 130


def findings(material: Material, press: Press) -> Iterator[Finding]:
    for lesson in material.course.lessons:
        place, words = shown(lesson.path), press.words_of(lesson.slug)
        for field in ("subject", "preheader"):
            yield from telling(place, lesson.lines[field], field, words[field])
        if not SHORTEST <= (length := len(words["preheader"])) <= LONGEST:
            fault = Fault("preheader-length", f"preheader has {length} characters")
            yield fault.at(place, lesson.lines["preheader"])
    file = material.clinic_file
    for field in ("name", "email"):
        words, line = getattr(material.clinic.sender, field), file.line(("sender", field))
        yield from telling(shown(file.path), line, f"sender.{field}", words)


def telling(place: str, line: int | None, field: str, words: str) -> Iterator[Finding]:
    if match := BOOK.telling.search(words):
        yield Fault("indiscreet", f'{field} says "{match[0]}"').at(place, line)
