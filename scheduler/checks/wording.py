"""Words that a letter does not use, and what it says instead.

Each rule is a pattern over a block's words; some count only beside another pattern.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from scheduler.checks.envelope import telling
from scheduler.checks.prose import Block, Text
from scheduler.findings import Finding, shown
from scheduler.material import Material

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
    word: instead
    for instead, words in {
        "pee": ("urinate",),
        "peeing": ("urinating",),
        "bottom": ("back passage",),
        "poo": ("stool", "stools", "bowel movement", "bowel movements"),
        "a high temperature": ("fever",),
        "medicine": ("medication", "drug"),
        "medicines": ("medications", "drugs"),
        "new": ("acute",),
        "long-lasting": ("chronic",),
        "{{ profession }}": ("clinician",),
        "{{ profession }}s": ("clinicians",),
        "sort out": ("triage",),
        "have": ("suffering from", "suffer from"),
        "person with": ("sufferer",),
        "people with": ("sufferers",),
        "older": ("elderly",),
        "for example": ("e.g.",),
        "that is": ("i.e.",),
        "happen": ("occur",),
        "happens": ("occurs",),
        "happened": ("occurred",),
        "what makes it more likely": ("risk factor", "risk factors"),
    }.items()
    for word in words
}
CLICK = r"\b(?:click|tap) (?:here|below)\b"
PAIN = r"\b(?:pain|hurts?|aches?)\b"
FRIGHTENING = (
    r"\b(?:degenerati(?:on|ve)|wear and tear|damaged?|damaging|crush(?:ed|ing)?|trapped|pinched|"
    r"herniat(?:ion|ed)|ruptured?|crumbling|out of place|unstable|permanent(?:ly)?|paraly[sz]ed|"
    r"slipped discs?)\b"
)
WARNING = r"\b(numb\w*|weak(?:ness|er)?|bladder|bowels?|pee\w*|poo\w*)\b"
REASSURING = (
    r"\b(not dangerous|harmless|safe|do not worry|no need to worry|nothing to (?:fear|worry about)|"
    r"most people|most sciatica|usually (?:gets?|improves?)|not a sign|without lasting|rare|"
    r"perfectly normal|will pass|nothing is wrong)\b"
)
MARKETING = (
    r"(?:\b|(?<=\s))(?:book (?:now|online|today|your|an? )|special offer|our offers?|discounts?|"
    r"vouchers?|prices?|free (?:trial|session|assessment)|buy|shop|review us|"
    r"leave (?:us )?a review|[£$€]\s?\d+)"
)
BLAME = (
    r"\b(?:if you (?:had|do (?:this|it|them) (?:right|properly|correctly)|try hard(?: enough)?)|"
    r"the right approach|with the right (?:advice|attitude)|you should have|fail(?:ed)? to)\b"
)
BANS = [
    (rule, re.compile(pattern, re.IGNORECASE), re.compile(beside, re.IGNORECASE), cure)
    for rule, pattern, beside, cure in (
        ("contraction", r"\b\w+n[’']t\b", "", "write not in full"),
        ("click-here", CLICK, "", "name the page that the link opens"),
        ("percent", r"\d+\s?%|\bper ?cent\b", "", "write 87 in 100"),
        ("range-dash", r"\d\s?[–—-]\s?\d", "", "write 6 to 8"),
        ("frightening", FRIGHTENING, "", "say what is there in calm words, or leave it out"),
        ("belittling", r"\b(?:just|only|simply)\b", PAIN, "leave the word out"),
        ("blame", BLAME, "", "say what can help, without a condition"),
        ("reassurance", REASSURING, WARNING, "move the comfort to a paragraph of its own"),
        ("marketing", MARKETING, "", "leave it out"),
    )
]
"""Rule, what must not stand, what it must not stand beside, and what to do."""
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
        for rule, banned, beside, cure in BANS:
            searched = _corrected(words) if rule == "frightening" else words
            if (found := banned.search(searched)) and beside.search(words):
                yield _finding(text, block, rule, found[0].strip(), cure)


def frame_findings(material: Material) -> Iterator[Finding]:
    """The same for the frame's words, which the clinic may own; these name no condition at all.

    A mail program may show them beside the subject, the words for a logo first of all.
    """
    for place, words in material.clinic.owned():
        line = material.clinic_file.lines[place]
        passage = replace(material.course.emergency, path=material.clinic_file.path)
        text = Text(passage, (Block("paragraph", words, line),), fixed=True)
        yield from findings(text)
        cure = "leave it to the lesson"
        yield from telling(shown(passage.path), line, ".".join(place), words, cure)


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
