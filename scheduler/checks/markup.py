"""The compiled letter as mail programs and screen readers get it, without a browser.

1. Fill every edition with sample values, with and without a note, and write the message.
2. Read the HTML into a tree whose nodes know their inline style and what they inherit. What only
   Outlook reads, in conditional comments, is left out; but no link may hide in its drawings (VML).
3. Each check yields faults with clues. The line to mend is where the first clue that can be found
   stands in the template, in the lesson or in a block.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from functools import cached_property
from itertools import product

from scheduler.checks.mjml import INLINE, Node, Source, located, parse, templates
from scheduler.checks.rulebook import Fault, is_vague
from scheduler.findings import Finding, shown
from scheduler.letters.editions import Press
from scheduler.letters.fill import Envelope, fill
from scheduler.letters.mime import serialise
from scheduler.material import Material

SAMPLE = {
    "first_name": "Sam",
    "next_letter": "Your next letter comes on Tuesday 1 December.",
    "stop_url": "https://letters.example.org/stop/0123456789abcdef",
    "note": "Well done on the walking.",
    "note_by": "Priya Shah, Harbour Physio",
}
AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
STOP_HEADERS = {
    "List-Unsubscribe": f"<{SAMPLE['stop_url']}>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
}
HEADING = re.compile("h[1-6]")
ACTIVE = re.compile(
    "script|form|input|button|select|textarea|i?frame|object|embed|applet|video|audio|canvas|svg|"
    "base|link|marquee"
)
FILE_NAME = re.compile(r"\S+\.(?:png|jpe?g|gif|webp|svg)", re.IGNORECASE)
OUTSIDE = re.compile(r"@import|@font-face|url\(", re.IGNORECASE)
MOVING = re.compile(r"@keyframes|\b(?:animation|transition)[a-z-]*\s*:|\.gif\b", re.IGNORECASE)
LOCKED = re.compile(r"user-scalable\s*=\s*(?:no|0)|maximum-scale", re.IGNORECASE)
SIZE, SMALL_PRINT, LINE, HEADING_LINE, LABEL, TAP = 16, 15, 1.5, 1.25, 30, 44
HEAVY, OCTETS, SAME = 90_000, 998, 0.9


@dataclass(frozen=True)
class Mail:
    """A letter to be looked at, what it must say, and the sources that it came from."""

    name: str
    subject: str
    preheader: str
    language: str
    address: str
    html: str
    text: str
    octets: bytes
    sources: Sequence[Source]
    pictures: frozenset[str] = frozenset()

    @cached_property
    def page(self) -> Node:
        return parse(self.html)

    @cached_property
    def body(self) -> Node:
        return next(iter(self.page.all("body")), self.page)

    @cached_property
    def css(self) -> str:
        return " ".join(node.text for node in self.page.all("style"))

    @cached_property
    def words(self) -> list[tuple[Node, str]]:
        """Every run of words in the body, with the node it stands in; hidden ones too."""
        runs = ((node, part) for node in self.body.nodes for part in node.content)
        strings = ((node, part) for node, part in runs if isinstance(part, str))
        return [(node, " ".join(part.split())) for node, part in strings if part.strip()]


def mails(material: Material, press: Press) -> Iterator[Mail]:
    """Every letter, without and with a note."""
    course, frame, file = material.course, templates(press), material.clinic_file
    frame += [
        Source(shown(file.path), file.lines[place], words)
        for place, words in material.clinic.owned()
    ]
    for lesson, noted in product(course.lessons, (False, True)):
        written = [
            Source(shown(passage.path), line, str(getattr(passage, name)))
            for passage in (lesson, course.emergency, course.same_day)
            for name, line in passage.lines.items()
            if name in ("title", "body", "action", "preheader")
        ]
        edition = press.edition(lesson.slug, noted)
        yield Mail(
            **asdict(fill(edition, SAMPLE)),
            name=f"{lesson.slug} with a note" if noted else lesson.slug,
            preheader=press.words_of(lesson.slug)["preheader"],
            language=edition.language,
            address=material.clinic.address,
            octets=serialise(edition, Envelope("0123abcd", "sam@example.org", AT, SAMPLE)),
            sources=(*frame, *written),
            pictures=frozenset([f"cid:{edition.logo.content_id}"] if edition.logo else []),
        )


def findings(mail: Mail) -> Iterator[Finding]:
    for check in CHECKS:
        yield from located(check(mail), mail.sources)


def _shells(mail: Mail) -> Iterator[Fault]:
    """<html>, and what lies straight in the body."""
    body = [part for part in mail.body.content if isinstance(part, Node) and not part.hidden]
    way = mail.page.all("html")[0].get("dir")
    for node in (*mail.page.all("html"), *body):
        if (lang := node.get("lang")) != mail.language:
            told = f'<{node.tag} lang="{lang}"> and not "{mail.language}"'
            yield Fault("language", told, ("<mjml",))
        if node.get("dir") != way or way not in ("ltr", "rtl"):
            yield Fault("direction", f'<{node.tag} dir="{node.get("dir")}">', ("<mjml",))


def _tables(mail: Mail) -> Iterator[Fault]:
    for table in mail.page.all("table"):
        cells = table.all("th")
        heads = [th for th in cells if next(up for up in th.around if up.tag == "table") is table]
        layout = table.get("role") in ("presentation", "none")
        if not heads and not layout:
            yield Fault("layout-table", "a table", ("<table", "<mj-table"))
        scoped = all(th.get("scope") for th in heads)
        if heads and (layout or not scoped or not table.all("caption")):
            yield Fault("data-table", f'the table of "{heads[0].text}"', ("<th",))


def _headings(mail: Mail) -> Iterator[Fault]:
    headings = [node for node in mail.body.nodes if HEADING.fullmatch(node.tag)]
    if not headings:
        yield Fault("outline", "no heading", ("title }}",))
    for before, node in zip((None, *headings), headings, strict=False):
        last, level = int(before.tag[1]) if before else 0, int(node.tag[1])
        if level > last + 1 or (level == 1 and last):
            yield Fault("outline", f'"{node.text}" is an <h{level}>', (node.text, f"<h{level}"))


def _links(mail: Mail) -> Iterator[Fault]:
    for link in mail.page.all("a"):
        name = " ".join((link.text, *(node.get("alt") for node in link.nodes))).strip()
        told, clues = f'the link "{name}"', (link.text, link.get("href"), "<a ", "<mj-button")
        button = "background-color" in link.style and "block" in link.style.get("display", "")
        if not name or not link.get("href"):
            yield Fault("link-name", told, clues)
        if is_vague(name):
            yield Fault("vague-link", told, clues)
        if not button and "underline" not in link.style.get("text-decoration", ""):
            yield Fault("link-underline", told, clues)
        block = next(node for node in link.around if not INLINE.fullmatch(node.tag))
        if block.text == link.text and (height := _height(link)) < TAP:
            yield Fault("tap-target", f"{told} is {height:g} px high", clues)


def _height(link: Node) -> float:
    """A line of the link with its padding."""
    size = pixels(link.inherited("font-size"))
    sides = (link.style.get("padding") or "0").split()
    top = link.style.get("padding-top", sides[0])
    bottom = link.style.get("padding-bottom", sides[2 % len(sides)])
    return size * _ratio(link.inherited("line-height"), size) + pixels(top) + pixels(bottom)


def pixels(value: str) -> float:
    """A length; 0 for what is not in px."""
    match = re.fullmatch(r"(\d*\.?\d+)(?:px)?", value)
    return float(match[1]) if match else 0


def _ratio(line: str, size: float) -> float:
    """The height of a line in sizes of its letters; 0 when nobody can tell."""
    match = re.fullmatch(r"(\d*\.?\d+)(px|%)?", line)
    return float(match[1]) / {"px": size or 1, "%": 100, None: 1}[match[2]] if match else 0


def _head(mail: Mail) -> Iterator[Fault]:
    title = " ".join(node.text for node in mail.page.all("title"))
    if not title or title != " ".join(mail.subject.split()):
        told = f'the title is "{title}", the subject "{mail.subject}"'
        yield Fault("title", told, ("<mj-title", "<mj-head"))
    metas = {node.get("name"): node.get("content") for node in mail.page.all("meta")}
    if LOCKED.search(viewport := metas.get("viewport", "")):
        yield Fault("zoom", viewport, ('name="viewport"',))
    if metas.get("color-scheme") != "light dark" or "color-scheme: light dark" not in mail.css:
        yield Fault("color-scheme", "light and dark are not both announced", ("<mj-head",))
    if (moving := MOVING.search(mail.html)) and "prefers-reduced-motion" not in mail.css:
        yield Fault("motion", moving[0], (moving[0],))
    if outside := OUTSIDE.search(mail.html):
        yield Fault("remote-content", outside[0], (outside[0], "background-url"))


def _nodes(mail: Mail) -> Iterator[Fault]:
    for node in mail.page.nodes:
        tag, alt = f"<{node.tag}", node.attributes.get("alt")
        if ACTIVE.fullmatch(node.tag) or any(name.startswith("on") for name in node.attributes):
            yield Fault("active-content", f"{tag}>", (tag,))
        if node.tag == "img" and (not alt or FILE_NAME.fullmatch(alt)):
            yield Fault("image-alt", f'{tag} alt="{alt or ""}">', (alt or "", "<mj-image", tag))
        form = node.get("width"), node.style.get("display"), node.style.get("height")
        if node.tag == "img" and (not form[0] or form[1:] != ("block", "auto")):
            yield Fault("image-form", f"{tag}>", (tag, "<mj-image"))
        for name in sorted({"src", "srcset", "background", "poster"} & node.attributes.keys()):
            if (address := node.get(name)) not in mail.pictures:
                yield Fault("remote-content", f"{tag} {name}>", (address, "<mj-image", tag))
    ids = Counter(node.get("id") for node in mail.page.nodes if node.get("id"))
    for name in (name for name, count in ids.items() if count > 1):
        yield Fault("unique-id", f'id="{name}" more than once', (f'id="{name}"',))


def _vml(mail: Mail) -> Iterator[Fault]:
    outlook = re.sub(r"<!--\[if [^\]!]*\]>|<!\[endif\]-->", "", mail.html)
    for node in parse(outlook).nodes if "<v:" in outlook else ():
        drawn = any(up.tag.startswith("v:") for up in node.around)
        if drawn and (node.tag == "a" or HEADING.fullmatch(node.tag)):
            told = f'<{node.tag}> "{node.text}" in VML'
            yield Fault("vml", told, ("background-url", "<mj-hero", "<v:"))


def _text(mail: Mail) -> Iterator[Fault]:
    """Size, line height and alignment of what is read."""
    for node, words in mail.words:
        around = (node, *node.around)
        least = SMALL_PRINT if any("soft" in each.classes for each in around) else SIZE
        lead = HEADING_LINE if any(HEADING.fullmatch(each.tag) for each in around) else LINE
        size, line, align = map(node.inherited, ("font-size", "line-height", "text-align"))
        small, tight = pixels(size) < least, _ratio(line, pixels(size)) < lead
        ragged = align == "justify" or (align in ("center", "right") and len(words) > LABEL)
        for wrong, rule, name, value in (
            (small, "text-size", "font-size", size),
            (tight, "line-height", "line-height", line),
            (ragged, "alignment", "text-align", align),
        ):
            if wrong and not node.hidden:
                written = f'{name.removeprefix("text-")}="{value}"', f"{name}:{value}"
                told = f"{name} is {value or 'not set'}"
                yield Fault(rule, told, (*written, words, words[:12]))


def _preheader(mail: Mail) -> Iterator[Fault]:
    """Hidden, and before everything else. (Its length is the envelope's affair.)"""
    first = next((node for node in mail.body.nodes if node.hidden), mail.body)
    if first.text != mail.preheader or not mail.body.text.startswith(first.text):
        told = f'it begins "{mail.body.text[:40]}"'
        yield Fault("preheader", told, ("preheader }}", "<mj-body"))


def _parts(mail: Mail) -> Iterator[Fault]:
    """Both parts say the same, and what each must say."""
    links = [node.get("href") for node in mail.page.all("a") if node.get("href")]
    seen = " ".join(words for node, words in mail.words if not node.hidden)
    plain = " ".join(mail.text.split())
    for link in dict.fromkeys(links):
        if link not in plain:
            yield Fault("lost-link", link, (link,))
        plain = plain.replace(f"({link})", "")
    html, text = (Counter(re.findall(r"\w+", part.casefold())) for part in (seen, plain))
    for part, one, other in (("text", html, text), ("HTML", text, html)):
        if (missing := one - other).total() > (1 - SAME) * one.total():
            yield Fault("same-words", f"the {part} part lacks {', '.join([*missing][:5])}")
    if SAMPLE["stop_url"] not in links or SAMPLE["stop_url"] not in mail.text:
        yield Fault("stop-link", "one part has none", ("stop_url }}",))
    if mail.address not in seen or mail.address not in plain:
        yield Fault("postal-address", "one part has none", (".address }}",))


def _wire(mail: Mail) -> Iterator[Fault]:
    """The message as a server gets it."""
    message = message_from_bytes(mail.octets)
    for name, value in STOP_HEADERS.items():
        if message[name] != value:
            yield Fault("stop-headers", f"{name} is {message[name]} and not {value}")
    if (weight := len(mail.html.encode())) > HEAVY:
        yield Fault("heavy", f"{weight // 1000} KB of HTML")
    if (longest := max(map(len, mail.octets.split(b"\r\n")))) > OCTETS:
        yield Fault("long-line", f"{longest} octets")


CHECKS = (
    *(_shells, _tables, _headings, _links, _head, _nodes, _vml, _text),
    *(_preheader, _parts, _wire),
)
