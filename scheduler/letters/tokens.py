"""Merge fields, and the tokens that stand for them while an edition is compiled.

A token is a plain word, so that Markdown, Jinja and MJML leave it alone wherever text may stand.
"""

import re

FIELDS = ("first_name", "next_letter", "stop_url", "note", "note_by", "letters_url")
TOKENS = {field: f"zqfield{field.replace('_', '')}qz" for field in FIELDS}
BY_TOKEN = {token: field for field, token in TOKENS.items()}
TOKEN = re.compile(f"({'|'.join(BY_TOKEN)})")


def cut(content: str) -> tuple[str, ...]:
    """Cut at the tokens: literal, field, literal, …, literal."""
    parts = TOKEN.split(content)
    return tuple(BY_TOKEN[part] if place % 2 else part for place, part in enumerate(parts))
