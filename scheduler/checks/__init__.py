"""Findings for whoever edits the course: what can be read, but is not fit to send.

1. Every passage is filled with the words of the clinic's country and taken apart into sentences.
2. Each check looks at them and yields findings: file, line, the words, why, and what to write.
3. A finding that the passage itself allows, with a reason, is set aside and listed as such.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

from scheduler.checks import contrast, envelope, layout, markup, mjml, reading, review, wording
from scheduler.checks.prose import Text, texts
from scheduler.findings import Finding, shown
from scheduler.letters.editions import Press
from scheduler.material import Material


@dataclass(frozen=True)
class Checked:
    """What the checks found, and what the passages allow with the reasons they give."""

    findings: list[Finding]
    allowed: list[Finding]


def check(material: Material, press: Press, today: date) -> Checked:
    """Run every check over the course; `today` is the clinic's local date."""
    everything = texts(material)
    allowed = {
        (shown(text.passage.path), each.rule): each.reason
        for text in everything
        for each in text.passage.allow
    }
    result = Checked([], [])
    for finding in dict.fromkeys(_all(everything, material, press, today)):
        reason = allowed.get((finding.place, finding.rule))
        if reason is None:
            result.findings.append(finding)
        else:
            words = f"{finding.words} (allowed: {reason})"
            result.allowed.append(replace(finding, words=words, cure=""))
    return result


def _all(
    everything: list[Text], material: Material, press: Press, today: date
) -> Iterator[Finding]:
    for text in everything:
        for part in (reading, wording, layout):
            yield from part.findings(text)
    yield from reading.course_findings(everything, material.course)
    yield from wording.repeated(everything)
    yield from wording.frame_findings(material)
    yield from envelope.findings(material, press)
    yield from review.findings(material, today)
    mails = list(markup.mails(material, press))
    for mail in mails:
        yield from markup.findings(mail)
    yield from contrast.findings(mails)
    yield from mjml.findings(press)
