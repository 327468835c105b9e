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

from scheduler.checks.markup import Mail, pixels
from scheduler.checks.mjml import Node, declarations, located
from scheduler.checks.rulebook import Fault
from scheduler.findings import Finding
from scheduler.letters.theme import TEXT, ratio, suggestion

LARGE, LARGE_SIZE, LARGE_BOLD_SIZE, BOLD = 3.0, 24, 18.66, ("bold", "700", "800", "900")
BLOCK = re.compile(r"@media[^{]*prefers-color-scheme:\s*dark[^{]*\{((?:[^{}]*\{[^{}]*\})*)\s*\}")
RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
STEP = r"(?:\.[\w-]+|[a-z][a-z0-9]*)"
SELECTOR = re.compile(rf"{STEP}(?:(?:\s*>\s*|\s+){STEP})*")
LIGHT, DARK = ("#000000", "#ffffff", "#0000ee"), ("#ffffff", "#121212", "#9e9eff")
"""Words, ground and links as a mail program paints them by itself."""


def findings(mails: Iterable[Mail]) -> Iterator[Finding]:
    """Every pair of colours that fails, once, and what cannot be judged."""
    told: set[tuple[str, str]] = set()
    for mail in mails:
        for fault in (*_sheet(mail), *_pairs(mail)):
            if fault[:2] not in told:
                told.add(fault[:2])
                yield from located([fault], mail.sources)


def _sheet(mail: Mail) -> Iterator[Fault]:
    for selector, style in _dark_rules(mail):
        wrong = [] if SELECTOR.fullmatch(selector) else [selector]
        wrong += [f"{name}: {style[name]}" for name in style if "!important" not in style[name]]
        yield from (Fault("dark-rule", words, (words,)) for words in wrong)
    for selectors, style in RULE.findall(BLOCK.sub("", mail.css)):
        if {"color", "background-color"} & declarations(style).keys():
            told = selectors.strip()
            yield Fault("styled-colour", f"a colour for {told}", (style.strip(), told))
    if any("!important" in node.get("style") for node in mail.body.nodes):
        yield Fault("styled-colour", "!important inline", ("!important",))


def _dark_rules(mail: Mail) -> Iterator[tuple[str, dict[str, str]]]:
    """Each selector of the dark block, with what it sets."""
    for selectors, style in RULE.findall(" ".join(BLOCK.findall(mail.css))):
        yield from ((selector.strip(), declarations(style)) for selector in selectors.split(","))


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


def _pairs(mail: Mail) -> Iterator[Fault]:
    light, dark = looks(mail, dark=False), looks(mail, dark=True)
    for (rule, look), (node, words) in product(
        (("contrast", light), ("dark-contrast", dark)), mail.words
    ):
        colour, ground = look[node]
        large = LARGE_BOLD_SIZE if node.inherited("font-weight") in BOLD else LARGE_SIZE
        least = LARGE if pixels(node.inherited("font-size")) >= large else TEXT
        pair, clues = f"{colour} on {ground}", (colour, words, words[:12])
        if not re.fullmatch("#[0-9a-f]{6} on #[0-9a-f]{6}", pair):
            yield Fault(rule, pair, clues, "write colours as #rrggbb")
        elif (found := ratio(colour, ground)) < least and not (look is dark and node.hidden):
            told = f"{pair} has {found:.2f} : 1 where {least:g} is needed"
            cure = f"take {suggestion(colour, ground, least)}, for instance"
            yield Fault(rule, told, clues, cure)


def _dark(mail: Mail) -> dict[Node, Mapping[str, str]]:
    """The styles that the dark block changes."""
    rules = [
        (re.findall(rf">|{STEP}", selector), style)
        for selector, style in _dark_rules(mail)
        if SELECTOR.fullmatch(selector)
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
