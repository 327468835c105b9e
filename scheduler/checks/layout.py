"""How the words are set: headings, capitals, quotes, links, and the fields above a lesson."""

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt

from scheduler.checks.prose import Block, Text
from scheduler.findings import Finding

PARSER = MarkdownIt("commonmark")
Faults = Iterator[tuple[str, str, str]]
"""Rule, words and cure."""

RULES = {
    "question-heading": "a heading says the point; a question keeps it back",
    "heading-order": "screen readers walk from level to level",
    "sentence-case": "Capitals On Each Word are slower to read",
    "block-capitals": "capitals shout, and some read them letter by letter",
    "italics": "slanted letters are hard to read for many",
    "curly-quote": "straight ones survive every mail program",
    "link-text": "out of the line, a link must still say where it goes",
    "foreign-link": "a letter links to nobody but the clinic",
    "raw-html": "a lesson is words; the template makes the HTML",
}
NAMES = {
    *("I", "MRI", "NHS", "GP", "A&E", "England", "Pilates", "Scotland", "Wales", "Ireland"),
    *("Emergency", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}
CAPITALS = re.compile(r"\b[A-Z]{3,}\b")
TITLE_CASE = re.compile(r"\b[A-Z][a-z&A-Z]*\b")
GENERIC = re.compile(r"^(?:here|this|link|(?:read |learn )?more|this page|website)$", re.IGNORECASE)


def findings(text: Text) -> Iterator[Finding]:
    """The setting of one passage."""
    level = 1
    for block in text.blocks:
        faults = [*_characters(block), *_marks(block)]
        if block.kind in ("title", "heading"):
            faults += _heading(block, level)
            level = block.level
        for rule, words, cure in faults:
            yield text.finding(rule, block.line, words, cure)


def _characters(block: Block) -> Faults:
    if match := re.search("[‘’“”]", block.text):
        yield "curly-quote", f"{match[0]}", "type ' or \""
    for match in CAPITALS.finditer(block.text):
        if match[0] not in NAMES:
            yield "block-capitals", f'"{match[0]}"', "write it in small letters"
    if "<" in block.text:
        yield "raw-html", f'"{block.text}"', "write Markdown"


def _marks(block: Block) -> Faults:
    opened = False
    inline = PARSER.parseInline(block.source)
    for token in (token for line in inline for token in line.children or ()):
        if token.type == "em_open":
            yield "italics", f'"{block.text}"', RULES["italics"]
        if token.type == "link_open":
            cure = "name the page in words, or leave it out"
            yield "foreign-link", f"a link to {token.attrGet('href')}", cure
        if opened and token.type == "text" and GENERIC.match(token.content.strip()):
            yield "link-text", f'"{token.content}"', "name the page that it opens"
        opened = token.type == "link_open" or (opened and token.type != "text")


def _heading(block: Block, level: int) -> Faults:
    if block.text.rstrip().endswith("?"):
        yield "question-heading", f'"{block.text}"', "say the answer in a few words"
    if block.kind == "heading" and (block.level == 1 or block.level > level + 1):
        words = f"a heading of level {block.level} after one of level {level}"
        yield "heading-order", words, "begin with ##, then ###"
    after_first = TITLE_CASE.findall(re.sub(r"^\W*\S+|[:.]\s*\S+", "", block.text))
    if capitals := [word for word in after_first if word not in NAMES]:
        words = f'"{block.text}" has capitals in {", ".join(capitals)}'
        yield "sentence-case", words, "keep them for names"
