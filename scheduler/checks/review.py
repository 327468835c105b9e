"""Who has read what: review dates that are past, and what still waits for a physiotherapist.

A past date is a finding. An unsigned lesson is not: the course ships unsigned, and no channel that
reaches a patient sends it.
"""

from collections.abc import Iterator
from datetime import date

from scheduler.findings import Finding, shown
from scheduler.material import Material
from scheduler.material.signoff import standing

RULES = {"past-review": "what was true when it was written may not be true now"}


def findings(material: Material, today: date) -> Iterator[Finding]:
    """What is past its date."""
    for passage in material.course.passages():
        if passage.review_by < today:
            words = f"was to be reviewed by {passage.review_by}"
            who = f"a registered {material.country.profession}"
            cure = f"let {who} read it against its sources, then set a new review_by"
            line = passage.lines["review_by"]
            yield Finding(shown(passage.path), line, words, cure, "past-review")


def notices(material: Material, today: date) -> list[str]:
    """What is unsigned, void or past its date and who must act; a country that nobody confirmed."""
    stands = standing(material, today).values()
    unsigned = [each.what for each in stands if each.state == "unsigned"]
    lines = [
        f"{each.what}: {each.words}" for each in stands if each.state in ("void", "past review")
    ]
    if unsigned:
        who = f"a registered {material.country.profession}"
        sign = "physiopost sign WHAT --name … --registration …"
        lines.append(f"not signed: {', '.join(unsigned)}; {who} must read and sign: {sign}")
    if material.country.reviewer is None:
        place = shown(material.course.lessons[0].path.parent.parent / "countries.yaml")
        words = f"{place}: nobody has confirmed the numbers and words of {material.country.name}"
        lines.append(f"{words}; let somebody who works there check them and set reviewer")
    return lines
