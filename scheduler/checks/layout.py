"""How the words are set: headings, capitals, quotes, links, and the fields above a lesson."""

import re
from collections.abc import Iterator

from scheduler.checks.prose import PARSER, Block, Text
from scheduler.checks.rulebook import BOOK, Fault, is_vague
from scheduler.findings import Finding, shown

CAPITALS = re.compile(r"\b[A-Z]{3,}\b")
TITLE_CASE = re.compile(r"\b[A-Z][a-z&A-Z]*\b")


def findings(text: Text) -> Iterator[Finding]:
    level = 1
    for block in text.blocks:
        faults = [*_characters(block), *_marks(block)]
        if block.kind in ("title", "heading"):
            faults += _heading(block, level)
            level = block.level
        for fault in faults:
            yield fault.at(shown(text.passage.path), block.line)


def _characters(block: Block) -> Iterator[Fault]:
    if match := re.search("[‘’“”]", block.text):
        yield Fault("curly-quote", match[0])
    for match in CAPITALS.finditer(block.text):
        if match[0] not in BOOK.names:
            yield Fault("block-capitals", f'"{match[0]}"')
    if "<" in block.text:
        yield Fault("raw-html", f'"{block.text}"')


def _marks(block: Block) -> Iterator[Fault]:
    opened = False
    inline = PARSER.parseInline(block.source)
    for token in (token for line in inline for token in line.children or ()):
        if token.type == "em_open":
            yield Fault("italics", f'"{block.text}"')
        if token.type == "link_open":
            yield Fault("foreign-link", f"a link to {token.attrGet('href')}")
        if opened and token.type == "text" and is_vague(token.content):
            yield Fault("link-text", f'"{token.content}"')
        opened = token.type == "link_open" or (opened and token.type != "text")


def _heading(block: Block, level: int) -> Iterator[Fault]:
    if block.text.rstrip().endswith("?"):
        yield Fault("question-heading", f'"{block.text}"')
    if block.kind == "heading" and (block.level == 1 or block.level > level + 1):
        yield Fault("heading-order", f"a heading of level {block.level} after one of level {level}")
    after_first = TITLE_CASE.findall(re.sub(r"^\W*\S+|[:.]\s*\S+", "", block.text))
    if capitals := [word for word in after_first if word not in BOOK.names]:
        yield Fault("sentence-case", f'"{block.text}" has capitals in {", ".join(capitals)}')
