"""How the words are set: headings, capitals, quotes, links, and the fields above a lesson."""

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

from scheduler.checks.prose import Block, Text
from scheduler.findings import Finding

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
        yield from _characters(text, block)
        if block.kind in ("title", "heading"):
            yield from _heading(text, block, level)
            level = block.level
        for token in _inside(block.source):
            if token.type in ("em_open", "html_inline"):
                rule = "italics" if token.type == "em_open" else "raw-html"
                yield text.finding(rule, block.line, f'"{block.text}"', RULES[rule])
    yield from _links(text)


def _characters(text: Text, block: Block) -> Iterator[Finding]:
    if match := re.search("[‘’“”]", block.text):
        yield text.finding("curly-quote", block.line, f"{match[0]}", "type ' or \"")
    for match in CAPITALS.finditer(block.text):
        if match[0] not in NAMES:
            cure = "write it in small letters"
            yield text.finding("block-capitals", block.line, f'"{match[0]}"', cure)
    if "<" in block.text:
        yield text.finding("raw-html", block.line, f'"{block.text}"', "write Markdown")


def _heading(text: Text, block: Block, level: int) -> Iterator[Finding]:
    if block.text.rstrip().endswith("?"):
        cure = "say the answer in a few words"
        yield text.finding("question-heading", block.line, f'"{block.text}"', cure)
    if block.kind == "heading" and (block.level == 1 or block.level > level + 1):
        words = f"a heading of level {block.level} after one of level {level}"
        yield text.finding("heading-order", block.line, words, "begin with ##, then ###")
    after_first = TITLE_CASE.findall(re.sub(r"^\W*\S+|[:.]\s*\S+", "", block.text))
    if capitals := [word for word in after_first if word not in NAMES]:
        words = f'"{block.text}" has capitals in {", ".join(capitals)}'
        yield text.finding("sentence-case", block.line, words, "keep them for names")


def _links(text: Text) -> Iterator[Finding]:
    for block in text.blocks:
        opened = None
        for token in _inside(block.source):
            if token.type == "link_open":
                opened = str(token.attrGet("href"))
                words = f"a link to {opened}"
                cure = "name the page in words, or leave it out"
                yield text.finding("foreign-link", block.line, words, cure)
            elif opened and token.type == "text":
                if GENERIC.match(token.content.strip()):
                    cure = "name the page that it opens"
                    yield text.finding("link-text", block.line, f'"{token.content}"', cure)
                opened = None


def _inside(source: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").parseInline(source):
        yield from token.children or ()
