"""Sources that nothing uses. (Tags that lead nowhere are refused when the course is read.)"""

from collections.abc import Iterator

from scheduler.findings import Finding, shown
from scheduler.material import Material

RULES = {"unused-source": "a source that nothing rests on only looks like evidence"}


def findings(material: Material) -> Iterator[Finding]:
    """References that no passage cites or no claim names."""
    cited = {key for passage in material.course.passages() for key in passage.citations}
    named = {key for claim in material.claims.entries.values() for key in claim.sources}
    place = shown(material.references.path)
    for key, line in material.references.lines.items():
        if key not in cited:
            cure = "cite it where it belongs, or remove it"
            yield Finding(place, line, f'"{key}" is cited nowhere', cure, "unused-source")
        elif key not in named:
            cure = "name it in the claim that it supports"
            yield Finding(place, line, f'"{key}" supports no claim', cure, "unused-source")
