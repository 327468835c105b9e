"""What the course rests on: who has read what, until when, and sources that nothing uses.

An unsigned lesson is a notice and no finding: the course ships unsigned, and no channel that
reaches a patient sends it. (Tags that lead nowhere are refused when the course is read.)
"""

from collections.abc import Iterator
from datetime import date

from scheduler.checks.rulebook import Fault
from scheduler.findings import Finding, shown
from scheduler.material import Material
from scheduler.material.signoff import standing


def findings(material: Material, today: date) -> Iterator[Finding]:
    """Passages past their date, and references that no passage cites or no claim names."""
    for passage in material.course.passages():
        if passage.review_by < today:
            words = f"was to be reviewed by {passage.review_by}"
            who = f"a registered {material.country.profession}"
            cure = f"let {who} read it against its sources, then set a new review_by"
            line = passage.lines["review_by"]
            yield Fault("past-review", words, cure=cure).at(shown(passage.path), line)
    cited = {key for passage in material.course.passages() for key in passage.citations}
    named = {key for claim in material.claims.entries.values() for key in claim.sources}
    place = shown(material.references.path)
    for key, line in material.references.lines.items():
        if key not in cited:
            yield Fault("unused-source", f'"{key}" is cited nowhere').at(place, line)
        elif key not in named:
            yield Fault("unused-source", f'"{key}" supports no claim').at(place, line)


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
