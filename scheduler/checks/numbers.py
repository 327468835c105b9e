"""Numbers that a patient can weigh: one denominator, few of them, each with its source."""

import re
from collections.abc import Iterator

from scheduler.checks.prose import Text
from scheduler.findings import Finding

RULES = {
    "uncited-figure": "a figure without a source is a rumour",
    "denominators": "30 in 100 and 1 in 10 cannot be compared at a glance",
    "too-many-figures": "after two figures nobody remembers the first",
    "bare-frequency": "rare and common mean something else to every reader",
    "number-word": "numerals are found again; number words are not",
}
MOST = 2
STATISTIC = re.compile(r"\b(\d+) (?:in|out of) (?:every )?(\d+)\b")
FIGURE = re.compile(r"(?<![\w.])\d+(?![\w])")
OURS = re.compile(r"\bletters?\b", re.IGNORECASE)
FREQUENCY = re.compile(r"\b(?:rare|uncommon|unlikely|common)\b", re.IGNORECASE)
NUMBER_WORD = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|hundred)\b",
    re.IGNORECASE,
)


def findings(text: Text) -> Iterator[Finding]:
    """The numbers of one passage."""
    statistics = []
    for block in text.blocks:
        statistics += [(match, block.line) for match in STATISTIC.finditer(block.text)]
        for sentence in block.sentences:
            figure = FIGURE.search(sentence.text)
            if figure and not (sentence.cites or text.fixed or OURS.search(sentence.text)):
                words = f'"{sentence.text}" has a figure and no source'
                yield text.finding("uncited-figure", block.line, words, "add its [@source]")
        if match := NUMBER_WORD.search(block.text):
            yield text.finding("number-word", block.line, f'"{match[0]}"', "write the numeral")
        bare = FREQUENCY.search(block.text)
        if bare and not any(each.cites or STATISTIC.search(each.text) for each in block.sentences):
            words = f'"{bare[0]}" stands without a number or a source'
            cure = "say how often, cite who found it, or leave the word out"
            yield text.finding("bare-frequency", block.line, words, cure)
    if len(statistics) > MOST:
        line = statistics[MOST][1]
        words = f"{len(statistics)} figures in one letter"
        yield text.finding("too-many-figures", line, words, f"keep the {MOST} that matter most")
    denominators = {match[2] for match, _ in statistics}
    if len(denominators) > 1:
        words = f"figures in {' and in '.join(sorted(denominators, key=int))}"
        yield text.finding("denominators", statistics[-1][1], words, "bring them to one, as in 100")
