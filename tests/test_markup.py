"""Letters spoiled on purpose, one way for each rule of the markup, the colours and the MJML; and
the shipped letters, in which nothing is found.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Clinic

from scheduler.checks import contrast, markup, mjml
from scheduler.checks.markup import Mail
from scheduler.checks.rulebook import BOOK
from scheduler.findings import Finding
from scheduler.letters.editions import Press
from scheduler.letters.theme import ratio
from scheduler.material import Material

TEMPLATE = "templates/letters/letter.mjml.j2"
HERE = "Dear Sam,</p>"
SIZED = "font-size:17px;line-height:1.6"
FORM = "display:block;height:auto"
LINK = 'style="text-decoration:underline;color:#0b6e69" href="https://example.org/a"'

# rule, what stands in the letter's HTML, what stands there instead
HTML = [
    ("language", 'role="article" lang="en-GB"', 'role="article" lang="und"'),
    ("language", '<html lang="en-GB"', "<html"),
    ("direction", 'lang="en-GB" dir="ltr" style', 'lang="en-GB" dir="auto" style'),
    ("direction", '<html lang="en-GB" dir="ltr"', '<html lang="en-GB" dir="rtl"'),
    ("layout-table", HERE, f"{HERE}<table><tr><td>a cell</td></tr></table>"),
    ("data-table", HERE, f"{HERE}<table role='presentation'><tr><th>Day</th></tr></table>"),
    ("data-table", HERE, f"{HERE}<table><caption>C</caption><tr><th>Day</th></tr></table>"),
    ("outline", HERE, f"{HERE}<h1>Another title</h1>"),
    ("outline", "<h2", "<h3"),
    ("outline", "<h1", "<p"),
    ("link-name", HERE, f"{HERE}<p>Read <a {LINK}></a>.</p>"),
    ("link-name", HERE, f"{HERE}<p>Read <a {LINK}><img src='cid:a' alt=''/></a>.</p>"),
    ("vague-link", ">Stop these letters</a>", ">Click here</a>"),
    ("link-underline", "text-decoration:underline", "text-decoration:none"),
    ("link-underline", "text-decoration:underline", "font-weight:700"),
    ("tap-target", HERE, f"{HERE}<p><a {LINK}>Our page</a></p>"),
    ("image-alt", HERE, f"{HERE}<img src='cid:a' />"),
    ("image-alt", HERE, f"{HERE}<img src='cid:a' alt='' />"),
    ("image-alt", HERE, f"{HERE}<img src='cid:a' alt='walk_2.jpg' />"),
    ("remote-content", HERE, f"{HERE}<img src='https://example.org/a.png' alt='A pixel' />"),
    ("remote-content", HERE, f"{HERE}<img src='cid:b' alt='Not the logo' />"),
    ("remote-content", HERE, f"{HERE}<img src='cid:a' srcset='/b.png 2x' alt='A walk' />"),
    ("image-form", HERE, f"{HERE}<img src='cid:a' alt='A' style='{FORM}' />"),
    ("image-form", HERE, f"{HERE}<img src='cid:a' alt='A' width='90' style='display:block' />"),
    ("image-form", HERE, f"{HERE}<img src='cid:a' alt='A' width='90' style='height:auto' />"),
    ("remote-content", "<body", "<body background='https://example.org/a.png'"),
    ("remote-content", "</style>", "@import '//example.org/a.css';</style>"),
    ("remote-content", "</style>", "@font-face { font-family: A; }</style>"),
    ("remote-content", 'style="', "style=\"background:url('https://example.org/a.png');"),
    ("title", "<title>", "<title>Something else: "),
    ("zoom", "initial-scale=1", "initial-scale=1, user-scalable=no"),
    ("zoom", "initial-scale=1", "initial-scale=1, maximum-scale=1"),
    ("unique-id", HERE, f"{HERE}<p id='a'></p><p id='a'></p>"),
    (
        "vml",
        HERE,
        f"{HERE}<!--[if mso]><v:rect><![endif]--><h2>Box</h2><!--[if mso]></v:rect><![endif]-->",
    ),
    ("text-size", "font-size:17px", "font-size:15px"),
    ("text-size", "font-size:15px", "font-size:14px"),
    ("text-size", "font-size:17px", "font-size:small"),
    ("line-height", "line-height:1.6", "line-height:1.4"),
    ("line-height", "line-height:1.6", "line-height:20px"),
    ("line-height", "line-height:1.25", "line-height:1.1"),
    ("alignment", "text-align:left", "text-align:justify"),
    ("alignment", '<p style="', '<p style="text-align:center;'),
    ("color-scheme", '<meta name="color-scheme" content="light dark" />', ""),
    ("color-scheme", ":root { color-scheme: light dark;", ":root {"),
    ("motion", "</style>", "@keyframes a { from { left: 0 } }</style>"),
    ("motion", '<p style="', '<p style="transition: color 1s;'),
    ("motion", HERE, f"{HERE}<img src='cid:dance.gif' alt='A dance' />"),
    ("active-content", HERE, f"{HERE}<script>alert(1)</script>"),
    ("active-content", HERE, f"{HERE}<form><input name='a' /></form>"),
    ("active-content", HERE, f"{HERE}<iframe title='a'></iframe>"),
    ("active-content", HERE, f"{HERE}<video></video>"),
    ("active-content", "</head>", "<base href='/' /></head>"),
    ("active-content", "</head>", "<link rel='stylesheet' href='/a.css' /></head>"),
    ("active-content", "<body", "<body onload='alert(1)'"),
    ("preheader", "display:none;", "display:block;"),
    ("preheader", "This week", "Your week"),
    ("lost-link", "Stop these letters</a>", f"Stop these letters</a> or <a {LINK}>ask Sam</a>"),
    ("stop-link", "/stop/0123456789abcdef", "/stop"),
    ("postal-address", "4 Quay Street", "Quay Street"),
    ("heavy", HERE, f"{HERE}<!--{'x' * 90_000}-->"),
    ("contrast", "color:#1d2733", "color:#8a8f94"),
    ("contrast", "color:#1d2733", "color:teal"),
    ("contrast", "overflow:hidden;color:#1d2733", "overflow:hidden;color:#ffffff"),
    ("dark-contrast", ".alarm { color: #ff8f86", ".alarm { color: #a8231c"),
    ("dark-contrast", ".ink, .ink div, .t {", ".ink, .ink div {"),
    ("dark-rule", ".alarm {", "[data-ogsc] .alarm {"),
    ("dark-rule", ".alarm { color: #ff8f86 !important", ".alarm { color: #ff8f86"),
    ("styled-colour", "</style>", "h2 { color: #0b6e69; }</style>"),
    ("styled-colour", 'color:#1d2733"', 'color:#1d2733 !important"'),
]

# rule: the letter with its other parts spoiled
OTHER: dict[str, Callable[[Mail], Mail]] = {
    "title": lambda mail: replace(mail, subject="Another subject"),
    "preheader": lambda mail: replace(mail, preheader="Another first line of the letter."),
    "same-words": lambda mail: replace(mail, text=mail.text[: len(mail.text) // 2]),
    "lost-link": lambda mail: replace(mail, text=mail.text.replace("/stop/", "/")),
    "stop-link": lambda mail: replace(mail, text=mail.text.replace("/stop/", "/")),
    "postal-address": lambda mail: replace(mail, text=mail.text.replace("Quay", "Key")),
    "stop-headers": lambda mail: replace(
        mail, octets=mail.octets.replace(b"List-Unsubscribe-Post: List-Unsub", b"X-Post: List")
    ),
    "long-line": lambda mail: replace(mail, octets=mail.octets.replace(b"=\r\n", b"")),
}

# rule, what stands in the template, what stands there instead, the words that show the fault
MJML = [
    ("mjml-tag", "<mj-text css-class", "<mj-txt></mj-txt><mj-text css-class", "<mj-txt"),
    ("mjml-attribute", '<mj-text css-class="ink"', '<mj-text colour="red"', 'colour="red"'),
    ("mjml-attribute", "<mj-all ", '<mj-all fonts="Arial" ', 'fonts="Arial"'),
    ("mjml-place", "</mj-section>", "<mj-text>Hello</mj-text></mj-section>", "<mj-text>Hello"),
    ("mjml-place", "</mj-section>", "<p>Hello</p></mj-section>", "<p>Hello"),
    ("mjml-trap", "</mj-head>", "<mj-preview>Hello</mj-preview></mj-head>", "<mj-preview"),
    ("mjml-trap", "</mj-head>", '<mj-font name="A" href="/a"/></mj-head>', "<mj-font"),
    ("mjml-trap", "</mj-head>", "<mj-html-attributes></mj-html-attributes></mj-head>", "<mj-html"),
    ("mjml-trap", "<mj-style>", '<mj-style inline="inline">', 'inline="inline"'),
    ("mjml-trap", "<mj-raw>", '<mj-raw position="file-start">', 'position="file-start"'),
    ("mjml-trap", "<mj-section ", '<mj-section background-url="a.png" ', 'background-url="a.png"'),
    ("mjml-trap", "</mj-section>", "</mj-section><mj-hero></mj-hero>", "<mj-hero"),
    ("mjml-trap", "</mj-section>", '</mj-section><mj-include path="a"/>', "<mj-include"),
    ("mjml-trap", "</mj-section>", '</mj-section><mj-wrapper gap="1px"></mj-wrapper>', 'gap="1px"'),
    ("mjml-trap", "<mj-column>", "<mj-column><mj-accordion></mj-accordion>", "<mj-accordion"),
    ("mjml-trap", "<mj-column>", "<mj-column><mj-social></mj-social>", "<mj-social"),
    (
        "mjml-trap",
        "</mj-attributes>",
        '<mj-class name="a"><mj-text color="red"/></mj-class></mj-attributes>',
        '<mj-text color="red"',
    ),
]


@pytest.fixture(scope="module")
def press(root: Path, material: Material) -> Press:
    return Press(material, root / "templates")


@pytest.fixture(scope="module")
def mail(press: Press, material: Material) -> Mail:
    """The letter on rest, with a note."""
    mails = {mail.name: mail for mail in markup.mails(material, press)}
    return replace(mails["rest-or-move with a note"], pictures=frozenset(["cid:a"]))


def found(mail: Mail) -> list[Finding]:
    return [*markup.findings(mail), *contrast.findings([mail])]


@pytest.mark.parametrize(("rule", "old", "new"), HTML)
def test_a_letter_spoiled_on_purpose_is_caught(mail: Mail, rule: str, old: str, new: str) -> None:
    assert old in mail.html
    spoiled = found(replace(mail, html=mail.html.replace(old, new)))
    assert rule in {each.rule for each in spoiled}
    assert all(each.words and each.cure and each.place for each in spoiled)


@pytest.mark.parametrize("rule", OTHER)
def test_a_spoiled_message_is_caught(mail: Mail, rule: str) -> None:
    assert rule in {each.rule for each in found(OTHER[rule](mail))}


@pytest.mark.parametrize("spoiled", MJML)
def test_mjml_that_would_go_wrong_is_caught_in_its_line(
    clinic: Clinic, material: Material, spoiled: tuple[str, str, str, str]
) -> None:
    rule, old, new, clue = spoiled
    clinic.replace(TEMPLATE, old, new)
    lines = (clinic.folder / TEMPLATE).read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if clue in text)
    faults = [*mjml.findings(Press(material, clinic.folder / "templates"))]
    assert {(each.rule, each.place, each.line) for each in faults} == {(rule, TEMPLATE, line)}
    assert all(each.cure for each in faults)


def test_every_rule_is_shown_to_catch_something() -> None:
    shown = {each[0] for each in (*HTML, *MJML)} | OTHER.keys()
    assert shown == BOOK.rules["letters"].keys()


def test_the_shipped_letters_have_no_fault_in_any_country(root: Path, material: Material) -> None:
    for code, country in material.countries.items():
        there = replace(material, country=country)
        press = Press(there, root / "templates")
        mails = [*markup.mails(there, press)]
        faults = [each for mail in mails for each in markup.findings(mail)]
        faults += [*contrast.findings(mails), *mjml.findings(press)]
        assert len(mails) == 2 * len(material.course.lessons)
        assert [str(each) for each in faults] == [], code
        assert max(len(mail.html) for mail in mails) < 60_000


def test_what_a_letter_may_have_is_not_found(mail: Mail) -> None:
    button = "display:inline-block;padding:12px 20px;background:#0b6e69;color:#ffffff"
    good = (
        '<table><caption>Days</caption><tr><th scope="col">Day</th></tr></table>'
        '<p>See <a class="link" style="text-decoration:underline;color:#0b6e69" href="STOP">'
        "what we do</a>.</p>"
        f'<p><a style="{button}" href="STOP">Stop the letters</a></p>'
        '<p style="text-align:center">A short line</p>'
        f'<img src="cid:a" alt="Our sign" width="90" style="{FORM}" />'
        f'<p style="{SIZED};color:#FFF;background-color:#000">White on black</p>'
    ).replace("STOP", markup.SAMPLE["stop_url"])
    spoiled = replace(mail, html=mail.html.replace(HERE, HERE + good, 1))
    assert [str(each) for each in found(spoiled)] == []


def test_a_fault_leads_to_the_line_of_the_template_or_of_the_lesson(
    clinic: Clinic, material: Material
) -> None:
    clinic.replace(TEMPLATE, 'font-size="18px"', 'font-size="11px"')
    clinic.replace(TEMPLATE, ">{{ wording.stop }}<", ">Click here<")
    press = Press(material, clinic.folder / "templates")
    mail = next(markup.mails(material, press))
    lines = (clinic.folder / TEMPLATE).read_text().splitlines()
    for rule, clue in (("text-size", "11px"), ("vague-link", "Click here")):
        (fault,) = [each for each in found(mail) if each.rule == rule]
        assert fault.place == TEMPLATE
        assert clue in lines[(fault.line or 0) - 1]


def test_a_fault_in_the_words_leads_to_the_lesson(mail: Mail, material: Material) -> None:
    lesson = material.course.by_slug["rest-or-move"]
    words = "In one study, people who were told to rest"
    line = lesson.lines["body"] + lesson.body[: lesson.body.index(words)].count("\n")
    html = mail.html.replace(words, f'<span style="font-size:3px">{words}</span>')
    (fault,) = found(replace(mail, html=html))
    assert (Path(fault.place).name, fault.line) == (lesson.path.name, line)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#ffffff", "#ffffff", 1.0),
        ("#777777", "#ffffff", 4.48),
        ("#767676", "#ffffff", 4.54),
        ("#949494", "#ffffff", 3.03),
        ("#ff0000", "#ffffff", 4.00),
        ("#0000ff", "#ffffff", 8.59),
        ("#008000", "#ffffff", 5.14),
        ("#0000ff", "#000000", 2.44),
    ],
)
def test_contrast_is_wcag_s(one: str, other: str, expected: float) -> None:
    assert ratio(one, other) == pytest.approx(expected, abs=0.005)
    assert ratio(other, one) == ratio(one, other)


@pytest.mark.parametrize(
    ("style", "caught"),
    [
        ("font-size:24px;line-height:1.6;color:#949494", False),
        ("font-size:23px;line-height:1.6;color:#949494", True),
        ("font-size:19px;line-height:1.6;font-weight:700;color:#949494", False),
        ("font-size:19px;line-height:1.6;font-weight:bold;color:#949494", False),
        ("font-size:18px;line-height:1.6;font-weight:700;color:#949494", True),
        ("font-size:24px;line-height:1.6;color:#959595", True),
        ("font-size:17px;line-height:1.6;color:#767676", False),
        ("font-size:17px;line-height:1.6;color:#777777", True),
    ],
)
def test_large_text_needs_less_contrast(mail: Mail, style: str, caught: bool) -> None:
    html = mail.html.replace(HERE, f'{HERE}<p style="{style}">A few words</p>', 1)
    rules = [each.rule for each in found(replace(mail, html=html))]
    assert ("contrast" in rules) == caught


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("text-decoration:underline", "text-decoration:none", "link-underline"),
        (".alarm { color: {{ dark.red }}", ".alarm { color: #555555", "dark-contrast"),
        ("<mj-style>", '<mj-style inline="inline">', "mjml-trap"),
    ],
)
def test_check_finds_it(clinic: Clinic, old: str, new: str, rule: str) -> None:
    clinic.replace(TEMPLATE, old, new)
    said = clinic.physiopost("check", "--json")
    faults = [each for each in json.loads(said.out)["findings"] if each["rule"] == rule]
    assert said.code == 1
    assert len(faults) == 1
    assert faults[0]["line"]


@pytest.mark.browser
def test_our_colours_and_sizes_are_the_browser_s(
    material: Material, press: Press, needs: Callable[[str], str]
) -> None:
    chromium = needs("chromium")
    playwright_ = pytest.importorskip("playwright.sync_api")
    with playwright_.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for dark in (False, True):
            page = browser.new_page(color_scheme="dark" if dark else "light")
            for mail in markup.mails(material, press):
                looks = contrast.looks(mail, dark=dark)
                ours = [
                    [words, *map(_rgb, looks[node]), node.inherited("font-size")]
                    for node, words in mail.words
                ]
                page.set_content(mail.html)
                assert sorted(ours) == sorted(page.evaluate(SEEN))
        browser.close()


def _rgb(colour: str) -> str:
    return "rgb({}, {}, {})".format(*(int(colour[at : at + 2], 16) for at in (1, 3, 5)))


SEEN = """() => {
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const style = (node) => getComputedStyle(node);
  for (let text; (text = walker.nextNode()); ) {
    if (!text.data.trim()) continue;
    const inside = text.parentElement;
    let ground = inside;
    while (style(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
    found.push([text.data.trim().split(/\\s+/).join(" "), style(inside).color,
                style(ground).backgroundColor, style(inside).fontSize]);
  }
  return found;
}"""
