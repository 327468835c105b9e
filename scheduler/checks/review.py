"""Every lesson and block has a date by which somebody must have read it again."""

from collections.abc import Iterator
from datetime import date

from scheduler.findings import Finding, shown
from scheduler.material import Material


def past_review(material: Material, today: date) -> Iterator[Finding]:
    """What is past its date."""
    for passage in material.course.passages():
        if passage.review_by < today:
            words = f"was to be reviewed by {passage.review_by}"
            who = f"a registered {material.country.profession}"
            cure = f"let {who} read it against its sources, then set a new review_by"
            yield Finding(shown(passage.path), passage.lines["review_by"], words, cure)
