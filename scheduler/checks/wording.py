"""Words that a letter does not use, and what it says instead; numbers that a patient can weigh.

The rulebook says which words they are; some count only beside others. Of numbers there are few,
with one denominator, and each has its source.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from scheduler.checks.envelope import telling
from scheduler.checks.prose import Block, Text
from scheduler.checks.rulebook import BOOK, RULES, whole
from scheduler.findings import Finding, shown
from scheduler.material import Material

INSTEAD = {word: say for say, words in BOOK.instead.items() for word in words}
HARD = re.compile(whole(sorted(map(re.escape, INSTEAD), key=len, reverse=True)))
QUOTED = re.compile(r'"[^"]*"')
SHORT = 4  # words; "The pain may:" may come twice
MOST = 2  # figures in a letter
STATISTIC = re.compile(r"\b(\d+) (?:in|out of) (?:every )?(\d+)\b")
FIGURE = re.compile(r"(?<![\w.])\d+(?![\w])")
OURS = re.compile(r"\bletters?\b", re.IGNORECASE)


def findings(text: Text) -> Iterator[Finding]:
    for block in text.blocks:
        words = f"{block.lead} {block.text}" if block.lead else block.text
        for match in HARD.finditer(words):
            cure = f"say {INSTEAD[match[0].casefold()]}"
            yield text.finding("hard-word", block.line, f'"{match[0]}"', cure)
        for name, rule in RULES.items():
            searched = _corrected(words) if name == "frightening" else words
            found = rule.words.search(searched) if rule.words else None
            if found and rule.beside.search(words):
                yield text.finding(name, block.line, f'"{found[0]}"')
    yield from _numbers(text)


def _numbers(text: Text) -> Iterator[Finding]:
    statistics = []
    for block in text.blocks:
        statistics += [(match, block.line) for match in STATISTIC.finditer(block.text)]
        for sentence in block.sentences:
            figure = FIGURE.search(sentence.text)
            if figure and not (sentence.cites or text.fixed or OURS.search(sentence.text)):
                words = f'"{sentence.text}" has a figure and no source'
                yield text.finding("uncited-figure", block.line, words)
        if match := BOOK.number_words.search(block.text):
            yield text.finding("number-word", block.line, f'"{match[0]}"')
        bare = BOOK.frequency.search(block.text)
        if bare and not any(each.cites or STATISTIC.search(each.text) for each in block.sentences):
            words = f'"{bare[0]}" stands without a number or a source'
            yield text.finding("bare-frequency", block.line, words)
    if len(statistics) > MOST:
        line = statistics[MOST][1]
        yield text.finding("too-many-figures", line, f"{len(statistics)} figures in one letter")
    denominators = {match[2] for match, _ in statistics}
    if len(denominators) > 1:
        words = f"figures in {' and in '.join(sorted(denominators, key=int))}"
        yield text.finding("denominators", statistics[-1][1], words)


def frame_findings(material: Material) -> Iterator[Finding]:
    """The same for the frame's words, which the clinic may own; these name no condition at all.

    A mail program may show them beside the subject, the words for a logo first of all.
    """
    for place, words in material.clinic.owned():
        line = material.clinic_file.lines[place]
        passage = replace(material.course.emergency, path=material.clinic_file.path)
        text = Text(passage, (Block("paragraph", words, line),), fixed=True)
        yield from findings(text)
        yield from telling(shown(passage.path), line, ".".join(place), words)


def repeated(everything: Sequence[Text]) -> Iterator[Finding]:
    """A sentence that stands in two passages, or twice in one."""
    seen: dict[str, tuple[str, int]] = {}
    for text in everything:
        for sentence in text.sentences:
            key = " ".join(sentence.words).casefold()
            if len(sentence.words) < SHORT:
                continue
            if key in seen:
                place, line = seen[key]
                words = f'"{sentence.text}" stands in {place}:{line} too'
                yield text.finding("repeated", sentence.line, words)
            seen.setdefault(key, (shown(text.passage.path), sentence.line))


def _corrected(words: str) -> str:
    """Without a quoted "slipped disc", the one wrong picture that the course puts right."""
    return QUOTED.sub(
        lambda quote: "" if "slipped disc" in quote[0].casefold() else quote[0], words
    )
