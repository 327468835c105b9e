"""How hard a letter is to read: grade, SMOG, and the lengths of sentences, paragraphs and lists.

Flesch-Kincaid grade (Kincaid and others, 1975): 0.39 words a sentence + 11.8 syllables a word
- 15.59. SMOG (McLaughlin, 1969) over the whole course: 3.1291 + 1.0430 times the root of the words
of three syllables and more in thirty sentences. Syllables are counted by rule; the tests hold the
count against the CMU Pronouncing Dictionary.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from math import sqrt

from scheduler.checks.prose import Sentence, Text
from scheduler.checks.rulebook import BOOK, Fault
from scheduler.findings import Finding, shown
from scheduler.material.lessons import Course

GRADE, SMOG = 8.0, 9.0
SENTENCE, PARAGRAPH, LIST, WARNINGS = 20, 3, 6, 7
SHORTEST, LONGEST = 200, 350
HARD = 3  # syllables

KNOWN = {word: count for count, words in BOOK.syllables.items() for word in words}
"""Syllables of words that the rules below get wrong."""
TAIL = re.compile(r"[^aeiouy](ely|eful|eless|ement|ements|eness)$")
SPLIT = re.compile(
    r"(?<![tcsg])i[aou]|eo|[^q]ua(?=[lt])|yi|[aeo]ing$|[iu]e(?=[rtn]|st)|rea[tl]i|ism$|[^gq]uou"
)


@cache
def syllables(word: str) -> int:
    """How many syllables an English word has; a numeral counts as it is read, roughly."""
    word = re.sub(r"'s?$", "", word.casefold())
    if word in KNOWN:
        return KNOWN[word]
    if not word.isalpha():
        parts = re.findall(r"[a-z]+|[0-9]+", word)
        return sum(syllables(part) if part.isalpha() else len(part) for part in parts) or 1
    count = len(re.findall(r"[aeiouy]+", word))
    count -= bool(re.search(r"[^aeiouy]e$", word) and not re.search(r"[^aeiouyl]le$", word))
    count -= bool(re.search(r"[^aeiouytd]ed$", word))
    count -= bool(re.search(r"[^aeiouysxzcgh]es$", word) and not word.endswith("les"))
    count -= bool(TAIL.search(word))
    return max(count + len(SPLIT.findall(word)), 1)


def grade(sentences: Sequence[Sentence]) -> float:
    """Flesch-Kincaid grade of some sentences."""
    words = [word for sentence in sentences for word in sentence.own_words]
    if not words:
        return 0.0
    spoken = sum(map(syllables, words))
    return 0.39 * len(words) / len(sentences) + 11.8 * spoken / len(words) - 15.59


def smog(sentences: Sequence[Sentence]) -> float:
    hard = sum(syllables(word) >= HARD for each in sentences for word in each.own_words)
    return 1.0430 * sqrt(hard * 30 / max(len(sentences), 1)) + 3.1291


def length(text: Text) -> int:
    """Words of the body and the action, headings included, the title not."""
    blocks = (block for block in text.blocks if block.kind != "title")
    return sum(len(sentence.own_words) for block in blocks for sentence in block.sentences)


def findings(text: Text) -> Iterator[Finding]:
    line = text.passage.lines["body"]
    if (level := grade(text.sentences)) > GRADE:
        yield text.finding("grade", line, f"reads at grade {level:.1f}")
    if not text.fixed and not SHORTEST <= (words := length(text)) <= LONGEST:
        yield text.finding("length", line, f"has {words} words")
    for block in text.blocks:
        for sentence in block.sentences:
            if len(sentence.words) > SENTENCE:
                told = f'{len(sentence.words)} words: "{sentence.text}"'
                yield text.finding("long-sentence", block.line, told)
        if block.kind == "paragraph" and len(block.sentences) > PARAGRAPH:
            count = f"a paragraph of {len(block.sentences)} sentences"
            yield text.finding("long-paragraph", block.line, count)
    most = WARNINGS if text.fixed else LIST
    lists = Counter(block.after for block in text.blocks if block.kind == "item")
    for number, items in lists.items():
        if items > most:
            first = next(block for block in text.blocks if block.after == number)
            yield text.finding("long-list", first.line, f"a list of {items} points")


def course_findings(everything: Sequence[Text], course: Course) -> Iterator[Finding]:
    """SMOG over all lessons together: it needs thirty sentences and more."""
    sentences = [each for text in everything if not text.fixed for each in text.sentences]
    if (level := smog(sentences)) > SMOG:
        place = shown(course.lessons[0].path.parent.parent / "course.yaml")
        yield Fault("smog", f"the course reads at SMOG {level:.1f}").at(place, None)
