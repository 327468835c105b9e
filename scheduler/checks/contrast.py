"""WCAG 2 contrast of every run of words, in the light letter and in the dark one.

1. The light letter's colours stand inline: the nearest colour and the nearest ground count. One in
   a style sheet outside the dark block is a fault, since a third of mail programs drop it.
2. For the dark letter, the rules of the block `prefers-color-scheme: dark` go on top, each of them
   `!important`, by specificity and order. A selector may name tags and classes, one inside or
   straight inside another; any other shape is a fault.
3. Text needs 4.5 : 1, large text 3 : 1. A pair that fails is told once, with the nearest colour of
   the same hue that passes.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import product

from scheduler.checks.markup import Mail
from scheduler.checks.mjml import Node, declarations, located
from scheduler.findings import Finding
from scheduler.letters.theme import TEXT, ratio, suggestion

RULES = {
    "contrast": "older and tired eyes cannot read it",
    "dark-contrast": "at night, on a phone, nobody could read it",
    "dark-rule": "the dark letter cannot be judged, or stays light",
    "styled-colour": "mail programs that drop style sheets would show another colour",
}
LARGE, LARGE_SIZE, LARGE_BOLD_SIZE, BOLD = 3.0, 24, 18.66, 700
BLOCK = re.compile(r"@media[^{]*prefers-color-scheme:\s*dark[^{]*\{((?:[^{}]*\{[^{}]*\})*)\s*\}")
RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
STEP = r"(?:\.[\w-]+|[a-z][a-z0-9]*)"
SELECTOR = re.compile(rf"{STEP}(?:(?:\s*>\s*|\s+){STEP})*")
LIGHT, DARK = ("#000000", "#ffffff", "#0000ee"), ("#ffffff", "#121212", "#9e9eff")
"""Words, ground and links as a mail program paints them by itself."""
Faults = Iterator[tuple[str, ...]]


def findings(mails: Iterable[Mail]) -> Iterator[Finding]:
    """Every pair of colours that fails, once, and what cannot be judged."""
    told = set()
    for mail in mails:
        for rule, words, cure, *clues in (*_sheet(mail), *_pairs(mail)):
            if (rule, words) not in told:
                told.add((rule, words))
                place, line = located(mail.sources, clues)
                yield Finding(place, line, f"{words}: {RULES[rule]}", cure, rule)


def _sheet(mail: Mail) -> Faults:
    for selectors, style in RULE.findall(" ".join(BLOCK.findall(mail.css))):
        for selector in (each.strip() for each in selectors.split(",")):
            if not SELECTOR.fullmatch(selector):
                yield "dark-rule", selector, "use tags and classes, as in .paper > table", selector
        for name, value in declarations(style).items():
            if not value.endswith("!important"):
                yield "dark-rule", f"{name}: {value}", "add !important", f"{name}: {value}"
    for selectors, style in RULE.findall(BLOCK.sub("", mail.css)):
        if {"color", "background-color"} & declarations(style).keys():
            told = selectors.strip()
            yield "styled-colour", f"a colour for {told}", "write it inline", style.strip(), told
    if any("!important" in node.get("style") for node in mail.body.nodes):
        yield "styled-colour", "!important inline", "leave it to the dark block", "!important"


def looks(mail: Mail, *, dark: bool) -> dict[Node, tuple[str, str]]:
    """The colour of each node's words, and of what they stand on."""
    changed = _dark(mail) if dark else {}
    ink, canvas, link = DARK if dark else LIGHT
    found = {mail.page: (ink, canvas)}
    for node in mail.page.nodes[1:]:
        style = changed.get(node, node.style)
        colour, ground = found[node.around[0]]
        colour = _plain(style.get("color", "")) or (link if node.tag == "a" else colour)
        found[node] = colour, _plain(style.get("background-color", "")) or ground
    return found


def _pairs(mail: Mail) -> Faults:
    light, dark = looks(mail, dark=False), looks(mail, dark=True)
    for (rule, look), (node, words) in product(
        (("contrast", light), ("dark-contrast", dark)), mail.words
    ):
        colour, ground = look[node]
        large = LARGE_BOLD_SIZE if _number(node.inherited("font-weight")) >= BOLD else LARGE_SIZE
        least = LARGE if _number(node.inherited("font-size")) >= large else TEXT
        pair, clues = f"{colour} on {ground}", (colour, words, words[:12])
        if not re.fullmatch("#[0-9a-f]{6} on #[0-9a-f]{6}", pair):
            yield rule, pair, "write colours as #rrggbb", *clues
        elif (found := ratio(colour, ground)) < least and not (look is dark and node.hidden):
            told = f"{pair} has {found:.2f} : 1 where {least:g} is needed"
            yield rule, told, f"take {suggestion(colour, ground, least)}, for instance", *clues


def _dark(mail: Mail) -> dict[Node, Mapping[str, str]]:
    """The styles that the dark block changes."""
    rules = [
        (re.findall(rf">|{STEP}", selector), declarations(style))
        for selectors, style in RULE.findall(" ".join(BLOCK.findall(mail.css)))
        for selector in selectors.split(",")
        if SELECTOR.fullmatch(selector.strip())
    ]
    changed: dict[Node, Mapping[str, str]] = {}
    for steps, style in sorted(rules, key=lambda rule: _specificity(rule[0])):
        for node in mail.body.nodes:
            if _matches(node, steps):
                changed[node] = {**changed.get(node, node.style), **style}
    return changed


def _specificity(steps: list[str]) -> tuple[int, int]:
    classes = sum(step[0] == "." for step in steps)
    return classes, len(steps) - classes - steps.count(">")


def _matches(node: Node, steps: list[str]) -> bool:
    *before, last = steps
    if last != node.tag and not (last[0] == "." and last[1:] in node.classes):
        return False
    if before[-1:] == [">"]:
        return _matches(node.around[0], before[:-1])
    return not before or any(_matches(each, before) for each in node.around)


@lru_cache(maxsize=256)
def _plain(value: str) -> str:
    """A colour as #rrggbb where that is easy; "" for none."""
    colour = value.removesuffix("!important").strip().lower()
    colour = {"black": "#000000", "white": "#ffffff"}.get(colour, colour)
    colour = re.sub(r"^#(.)(.)(.)$", r"#\1\1\2\2\3\3", colour)
    return "" if colour in ("transparent", "inherit", "none") else colour


def _number(value: str) -> float:
    match = re.match(r"\d*\.?\d+", value.replace("bold", "700"))
    return float(match[0]) if match else 0
