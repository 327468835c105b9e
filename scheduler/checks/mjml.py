"""The MJML of the letters: what the compiler would pass on, drop or spoil without a word.

1. Fill the template for every edition, and read the MJML into a tree.
2. Each tag must be one that a letter may use, stand where it may stand, and have only attributes
   that the compiler heeds (mjml.yaml). A tag or attribute that is known to go wrong is told what to
   use instead.
3. The line to mend is sought in the template by the words that show the fault.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from itertools import chain, product
from pathlib import Path
from typing import NamedTuple

from scheduler.checks.rulebook import Fault
from scheduler.findings import Finding, closest, shown
from scheduler.letters.editions import Press
from scheduler.material.fields import Written
from scheduler.material.yamlfile import read_yaml

VOID = re.compile("area|base|br|col|embed|hr|img|input|link|meta|source|wbr")
INLINE = re.compile("a|abbr|b|code|em|i|img|small|span|strong|u")
EVERYWHERE = {"css-class", "mj-class"}
WORDS = {"mj-text", "mj-button", "mj-table", "mj-raw"}  # have HTML inside them


class Tag(Written):
    """In which tags it may stand, and which attributes it may have, a space between."""

    inside: tuple[str, ...]
    attributes: str


class Tags(Written):
    """mjml.yaml."""

    tags: dict[str, Tag]
    traps: dict[str, str]


LIST = read_yaml(Path(__file__).with_name("mjml.yaml")).parse(Tags)
TAGS, TRAPS = LIST.tags, LIST.traps


class Source(NamedTuple):
    """Words that a person wrote, and where they begin."""

    place: str
    line: int
    text: str


@dataclass(frozen=True, eq=False)
class Node:
    """A tag with its attributes, the nodes around it, and the nodes and words inside it."""

    tag: str
    attributes: Mapping[str, str]
    around: tuple["Node", ...] = ()
    content: list["Node | str"] = field(default_factory=list)
    written: str = ""

    def get(self, name: str) -> str:
        return self.attributes.get(name, "")

    @cached_property
    def style(self) -> dict[str, str]:
        return declarations(self.get("style"))

    @cached_property
    def classes(self) -> frozenset[str]:
        return frozenset(self.get("class").split())

    @cached_property
    def nodes(self) -> list["Node"]:
        """Itself and every node inside it, in their order."""
        inside = (part.nodes for part in self.content if isinstance(part, Node))
        return [self, *chain.from_iterable(inside)]

    def all(self, *tags: str) -> list["Node"]:
        return [node for node in self.nodes if node.tag in tags]

    @cached_property
    def text(self) -> str:
        """The words inside it, on one line."""
        return " ".join("".join(self.strings()).split())

    def strings(self) -> Iterator[str]:
        """The words inside it, a space where a block begins or ends."""
        edge = "" if INLINE.fullmatch(self.tag) else " "
        yield edge
        for part in self.content:
            yield from [part] if isinstance(part, str) else part.strings()
        yield edge

    def inherited(self, name: str) -> str:
        """A property of its own or of the nearest node around it; "" when none has it."""
        return next((node.style[name] for node in (self, *self.around) if name in node.style), "")

    @property
    def hidden(self) -> bool:
        return any(node.style.get("display") == "none" for node in (self, *self.around))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Node("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        inside = self.open[-1]
        attributes = {name: value or "" for name, value in attrs}
        node = Node(tag, attributes, (inside, *inside.around), [], self.get_starttag_text() or "")
        inside.content.append(node)
        if not VOID.fullmatch(tag):
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        if any(node.tag == tag for node in self.open):
            while self.open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        self.open[-1].content.append(data)


def parse(html: str) -> Node:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.open[0]


def declarations(css: str) -> dict[str, str]:
    """`a: b; c: d` by name; `!important` stays with the value."""
    pairs = (part.partition(":") for part in css.split(";") if ":" in part)
    found = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if "background" in found:
        found.setdefault("background-color", found.pop("background"))
    return found


def templates(press: Press) -> list[Source]:
    """The MJML that letters are made of; the letter's own file first."""
    paths = sorted(press.folder.glob("*.mjml.j2"), key=lambda path: path.name != "letter.mjml.j2")
    return [Source(shown(path), 1, path.read_text(encoding="utf-8")) for path in paths]


def located(faults: Iterable[Fault], sources: Sequence[Source], *more: str) -> Iterator[Finding]:
    """Each fault where its first clue stands, the fault's own or one more; else the template."""
    for fault in faults:
        yield fault.at(*_found(sources, (*fault.clues, *more)))


def _found(sources: Sequence[Source], clues: Iterable[str]) -> tuple[str, int | None]:
    for clue, source in product(filter(None, clues), sources):
        if (at := source.text.find(clue)) >= 0:
            return source.place, source.line + source.text.count("\n", 0, at)
    return sources[0].place, None


def findings(press: Press) -> Iterator[Finding]:
    """The faults of the template, in whatever letter they show."""
    sources = templates(press)
    for lesson, noted in product(press.material.course.lessons, (False, True)):
        for node in parse(press.source(lesson.slug, noted=noted)).nodes[1:]:
            yield from located(_faults(node), sources, node.written, f"<{node.tag}")


def _faults(node: Node) -> Iterator[Fault]:
    tag, around = node.tag, [each.tag for each in node.around]
    if trap := TRAPS.get(tag) or TRAPS.get(f"{around[0]} *"):
        yield Fault("mjml-trap", f"<{tag}>", cure=trap)
    elif tag.startswith("mj") and tag not in (*TAGS, "mj-all", "mj-class"):
        cure = closest(tag, TAGS)
        yield Fault("mjml-tag", f"<{tag}>", cure=cure)
    elif around[0] == "mj-attributes":
        known = " ".join(each.attributes for each in TAGS.values())
        yield from _attributes(node, TAGS[tag].attributes if tag in TAGS else f"name {known}")
    elif tag in TAGS:
        parents = TAGS[tag].inside
        if around[0] not in parents:
            words = f"<{tag}> in " + (f"<{around[0]}>" if around[0] else "nothing")
            cure = "put it into " + " or ".join(f"<{each}>" for each in parents)
            yield Fault("mjml-place", words, cure=cure)
        yield from _attributes(node, TAGS[tag].attributes)
    elif not WORDS & {*around}:
        cure = "put it into <mj-text> or <mj-raw>"
        yield Fault("mjml-place", f"<{tag}> in <{around[0]}>", cure=cure)


def _attributes(node: Node, attributes: str) -> Iterator[Fault]:
    known = set(attributes.split())
    for name in sorted(node.attributes.keys() - known - EVERYWHERE):
        words, clues = f"<{node.tag} {name}>", (f'{name}="{node.get(name)}"', f'{name}="')
        if trap := TRAPS.get(f"{node.tag} {name}"):
            yield Fault("mjml-trap", words, clues, trap)
        else:
            cure = closest(name, sorted(known))
            yield Fault("mjml-attribute", words, clues, cure)
