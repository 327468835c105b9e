"""Words that a letter does not use, and what it says instead.

Each rule is a pattern over a block's words. A rule with `unless` lets the block pass when that
other pattern fits as well.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scheduler.checks.prose import Block, Text
from scheduler.findings import Finding, shown

RULES = {
    "hard-word": "a patient would not say it across a table",
    "contraction": "not everybody reads them, and a missed n't turns the meaning round",
    "click-here": "a link says where it goes",
    "percent": "87 in 100 is understood by more people than 87%",
    "range-dash": "a dash between numbers is read as minus, or not at all",
    "frightening": "words that picture the body as broken make pain worse",
    "belittling": "pain is never just, only or simply anything",
    "blame": "whoever does not get better must not read that it is their fault",
    "reassurance": "comfort beside a warning sign talks people out of getting help",
    "marketing": "a letter about somebody's health sells nothing",
    "repeated": "a sentence that came before is skipped, and the next one with it",
}

INSTEAD = {
    "urinate": "pee",
    "urinating": "peeing",
    "back passage": "bottom",
    "stool": "poo",
    "stools": "poo",
    "bowel movement": "poo",
    "bowel movements": "poo",
    "fever": "a high temperature",
    "medication": "medicine",
    "medications": "medicines",
    "drug": "medicine",
    "drugs": "medicines",
    "acute": "new",
    "chronic": "long-lasting",
    "clinician": "{{ profession }}",
    "clinicians": "{{ profession }}s",
    "triage": "sort out",
    "suffering from": "have",
    "suffer from": "have",
    "sufferer": "person with",
    "sufferers": "people with",
    "elderly": "older",
    "e.g.": "for example",
    "i.e.": "that is",
    "occur": "happen",
    "occurs": "happens",
    "occurred": "happened",
    "risk factor": "what makes it more likely",
    "risk factors": "what makes it more likely",
}
FRIGHTENING = (
    r"degenerati(?:on|ve)|wear and tear|damaged?|damaging|crush(?:ed|ing)?|trapped|pinched|"
    r"herniat(?:ion|ed)|ruptured?|crumbling|out of place|unstable|permanent(?:ly)?|paraly[sz]ed|"
    r"slipped discs?"
)
WARNING = r"\b(numb\w*|weak(?:ness|er)?|bladder|bowels?|pee\w*|poo\w*)\b"
REASSURING = (
    r"\b(not dangerous|harmless|safe|do not worry|no need to worry|nothing to (?:fear|worry about)|"
    r"most people|most sciatica|usually (?:gets?|improves?)|not a sign|without lasting|rare|"
    r"perfectly normal|will pass|nothing is wrong)\b"
)
MARKETING = (
    r"book (?:now|online|today|your|an? )|special offer|our offers?|discounts?|vouchers?|"
    r"prices?|free (?:trial|session|assessment)|buy|shop|review us|leave (?:us )?a review|"
    r"[£$€]\s?\d+"
)
BLAME = (
    r"if you (?:had|do (?:this|it|them) (?:right|properly|correctly)|try hard(?: enough)?)|"
    r"the right approach|with the right (?:advice|attitude)|you should have|fail(?:ed)? to"
)


@dataclass(frozen=True)
class Ban:
    """A rule: what must not stand, what it must not stand beside, and what to do."""

    rule: str
    pattern: re.Pattern[str]
    cure: str
    beside: re.Pattern[str] | None = None


def _ban(rule: str, pattern: str, cure: str, beside: str = "") -> Ban:
    flags = re.IGNORECASE
    return Ban(
        rule, re.compile(pattern, flags), cure, re.compile(beside, flags) if beside else None
    )


BANS = (
    _ban("contraction", r"\b\w+n[’']t\b", "write not in full"),
    _ban("click-here", r"\b(?:click|tap) (?:here|below)\b", "name the page that the link opens"),
    _ban("percent", r"\d+\s?%|\bper ?cent\b", "write 87 in 100"),
    _ban("range-dash", r"\d\s?[–—-]\s?\d", "write 6 to 8"),
    _ban(
        "frightening", rf"\b(?:{FRIGHTENING})\b", "say what is there in calm words, or leave it out"
    ),
    _ban(
        "belittling",
        r"\b(?:just|only|simply)\b",
        "leave the word out",
        r"\b(?:pain|hurts?|aches?)\b",
    ),
    _ban("blame", rf"\b(?:{BLAME})\b", "say what can help, without a condition"),
    _ban("reassurance", REASSURING, "move the comfort to a paragraph of its own", WARNING),
    _ban("marketing", rf"(?:\b|(?<=\s))(?:{MARKETING})", "leave it out"),
)
HARD = re.compile(
    rf"(?<!\w)({'|'.join(map(re.escape, sorted(INSTEAD, key=len, reverse=True)))})(?!\w)",
    re.IGNORECASE,
)
QUOTED = re.compile(r'"[^"]*"')
SHORT = 4  # words; "The pain may:" may come twice


def findings(text: Text) -> Iterator[Finding]:
    """The words of one passage that must not stand there."""
    for block in text.blocks:
        words = f"{block.lead} {block.text}" if block.lead else block.text
        for match in HARD.finditer(words):
            cure = f"say {INSTEAD[match[0].casefold()]}"
            yield _finding(text, block, "hard-word", match[0], cure)
        for ban in BANS:
            searched = _corrected(words) if ban.rule == "frightening" else words
            found = ban.pattern.search(searched)
            if found and (ban.beside is None or ban.beside.search(words)):
                yield _finding(text, block, ban.rule, found[0].strip(), ban.cure)


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
                yield text.finding("repeated", sentence.line, words, "say it in another way")
            seen.setdefault(key, (shown(text.passage.path), sentence.line))


def _finding(text: Text, block: Block, rule: str, words: str, cure: str) -> Finding:
    return text.finding(rule, block.line, f'"{words}": {RULES[rule]}', cure)


def _corrected(words: str) -> str:
    """Without a quoted "slipped disc", the one wrong picture that the course puts right."""
    return QUOTED.sub(
        lambda quote: "" if "slipped disc" in quote[0].casefold() else quote[0], words
    )
