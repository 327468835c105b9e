"""A passage taken apart: headings, paragraphs, list items; sentences; words; with their lines.

The clinic's own words (name, phone) are replaced by plain ones: the checks are about the course.
A list item is read with its lead-in, as a patient reads it: the last sentence before the list, or
the title of the box that the list fills.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from markdown_it import MarkdownIt

from scheduler.checks.rulebook import Fault
from scheduler.findings import Finding, shown
from scheduler.letters.passages import Filler
from scheduler.letters.tokens import TOKENS
from scheduler.material import Material
from scheduler.material.lessons import CITATION, Lesson, Passage

PARSER = MarkdownIt("commonmark", {"html": False})
WORD = re.compile(r"[A-Za-z0-9&]+(?:['.-][A-Za-z0-9]+)*")
END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?][\"')]))\s+")
CITED = re.compile(r"([.!?][\"')]?)\s+((?:\[@[^\]]+\]\s*)+)")
OURS = {"name": "Our clinic", "phone": "our number", "address": "our address"}
PLAIN: dict[str, Any] = {"clinic": OURS, **dict.fromkeys(TOKENS, "word")}
Kind = Literal["title", "heading", "paragraph", "item"]


@dataclass(frozen=True)
class Sentence:
    """One sentence as it is read, its lead-in in front, and the keys of what it `cites`."""

    text: str
    line: int
    cites: tuple[str, ...]
    lead: str = ""

    @cached_property
    def words(self) -> list[str]:
        """Its words with the lead-in's, as a breath must hold them."""
        return WORD.findall(self.text)

    @cached_property
    def own_words(self) -> list[str]:
        """Its words without the lead-in's, which stands on the page once."""
        return self.words[len(WORD.findall(self.lead)) :]


@dataclass(frozen=True)
class Block:
    """A heading, a paragraph or a list item. `source` is its Markdown, citations included."""

    kind: Kind
    source: str
    line: int
    lead: str = ""
    level: int = 0
    after: int = 0

    @cached_property
    def sentences(self) -> list[Sentence]:
        """Its sentences; an item's first begins with the lead-in."""
        found: list[Sentence] = []
        for part in _sentences(self.source):
            text = CITATION.sub("", part).strip()
            lead = f"{self.lead} " if self.lead and not found else ""
            found.append(Sentence(lead + text, self.line, tuple(CITATION.findall(part)), lead))
        return found

    @cached_property
    def text(self) -> str:
        """Its words without the citations."""
        return CITATION.sub("", self.source)


@dataclass(frozen=True)
class Text:
    """A passage in blocks. `fixed` for the warning boxes, which every letter carries."""

    passage: Passage
    blocks: tuple[Block, ...]
    fixed: bool

    @property
    def sentences(self) -> list[Sentence]:
        """Every sentence but the headings."""
        body = (block for block in self.blocks if block.kind in ("paragraph", "item"))
        return [sentence for block in body for sentence in block.sentences]

    def finding(self, rule: str, line: int, words: str, cure: str = "") -> Finding:
        return Fault(rule, words, cure=cure).at(shown(self.passage.path), line)


def texts(material: Material, **names: Any) -> list[Text]:
    """Every passage, with the words of the clinic's country; `names` stand for plain words."""
    return [_text(passage, material, names) for passage in material.course.passages()]


def _text(passage: Passage, material: Material, names: Mapping[str, Any]) -> Text:
    fill = Filler(material, passage, **{**PLAIN, **names})
    title = fill.line(passage, "title")
    blocks = [Block("title", title, passage.lines["title"], level=1)]
    blocks += _blocks(fill.line(passage, "body"), passage.lines["body"], title)
    if isinstance(passage, Lesson):
        blocks += _blocks(fill.line(passage, "action"), passage.lines["action"], "")
    return Text(passage, tuple(blocks), fixed=not isinstance(passage, Lesson))


def _blocks(markdown: str, first_line: int, title: str) -> Iterator[Block]:
    """The blocks of some Markdown; `after` numbers the list that an item belongs to."""
    kind: Kind = "paragraph"
    depth, level, lists, before = 0, 0, 0, title
    for token in PARSER.parse(markdown):
        match token.type:
            case "bullet_list_open" | "ordered_list_open":
                depth, lists = depth + 1, lists + 1
            case "bullet_list_close" | "ordered_list_close":
                depth, before = depth - 1, ""
            case "heading_open":
                kind, level = "heading", int(token.tag[1])
            case "heading_close":
                kind, level = "paragraph", 0
            case "inline":
                line = first_line + (token.map[0] if token.map else 0)
                if depth:
                    lead = before if before.endswith(":") else ""
                    yield Block("item", token.content, line, lead, level, lists)
                else:
                    block = Block(kind, token.content, line, level=level)
                    before = block.sentences[-1].text if block.sentences else ""
                    yield block


def _sentences(source: str) -> list[str]:
    """Cut where a sentence ends; a citation belongs to the sentence before it."""
    joined = CITED.sub(lambda cited: f" {cited[2].strip()}{cited[1]} ", source.replace("\n", " "))
    return [part for part in END.split(joined) if WORD.search(part)]
