"""The MJML that a letter may use: tags, where they stand, and what they may have.

The list is shorter than MJML's own. Each attribute was tried in mrml 6.0.1 (inside mjml-python
1.4.2) and stands here only if it changes the HTML. What mrml gets wrong is among the TRAPS.
"""

_PADDING = "padding padding-top padding-right padding-bottom padding-left"
_EDGES = "border border-top border-right border-bottom border-left border-radius"
_INNER = " ".join(f"inner-{name}" for name in ("background-color", *_EDGES.split()))
_FONT = "color font-family font-size line-height"
_TYPE = f"{_FONT} font-style font-weight letter-spacing text-decoration text-transform"
_BOX = f"container-background-color {_PADDING}"
_LINK = "align height href name rel target width"
_BLOCK = f"background-color direction full-width text-align {_EDGES} {_PADDING}"

COLUMN = ("mj-column",)
EVERYWHERE = {"css-class", "mj-class"}
WORDS = {"mj-text", "mj-button", "mj-table", "mj-raw"}
"""Tags with HTML inside them."""

TAGS: dict[str, tuple[tuple[str, ...], str]] = {
    "mjml": (("",), "lang dir"),
    "mj-head": (("mjml",), ""),
    "mj-title": (("mj-head",), ""),
    "mj-style": (("mj-head",), ""),
    "mj-breakpoint": (("mj-head",), "width"),
    "mj-attributes": (("mj-head",), ""),
    "mj-raw": (("mj-head", "mj-body", "mj-wrapper", "mj-section", "mj-group", "mj-column"), ""),
    "mj-body": (("mjml",), "background-color width"),
    "mj-wrapper": (("mj-body",), _BLOCK),
    "mj-section": (("mj-body", "mj-wrapper"), _BLOCK),
    "mj-group": (("mj-section",), "background-color direction vertical-align width"),
    "mj-column": (
        ("mj-section", "mj-group"),
        f"background-color direction vertical-align width {_EDGES} {_PADDING} {_INNER}",
    ),
    "mj-text": (COLUMN, f"align height vertical-align {_TYPE} {_BOX}"),
    "mj-button": (
        COLUMN,
        f"background-color inner-padding text-align vertical-align {_LINK} {_EDGES} {_TYPE} {_BOX}",
    ),
    "mj-image": (
        COLUMN,
        f"alt border border-radius fluid-on-mobile font-size max-height src title {_LINK} {_BOX}",
    ),
    "mj-divider": (COLUMN, f"align border-color border-style border-width width {_BOX}"),
    "mj-spacer": (COLUMN, f"height {_BOX}"),
    "mj-table": (
        COLUMN,
        f"align border cellpadding cellspacing table-layout vertical-align width {_FONT} {_BOX}",
    ),
}
"""Each tag: in which tags it may stand, and its attributes."""

TRAPS = {
    "mj-include": 'use {% include "part.mjml.j2" %}: the compiler loses widths and padding',
    "mj-html-attributes": "write the attributes where they belong: the compiler refuses it",
    "mj-selector": "write the attributes where they belong: the compiler refuses it",
    "mj-preview": "use a hidden <div> in <mj-raw>: spam filters take its white words for a trick",
    "mj-hero": "use a section with a colour: its Outlook form hides links from screen readers",
    "mj-font": "use the fonts that every machine has: it loads from another server",
    "mj-accordion": "show all of it: its icons load from another server",
    "mj-social": "write links in a sentence: its icons load from another server",
    "mj-carousel": "leave images out: a letter must say everything without them",
    "mj-navbar": "write links in a sentence: it is a form, which mail programs remove",
    "mj-style inline": "write style attributes: the compiler does not inline it",
    "mj-wrapper gap": "use padding: the compiler ignores it",
    "mj-raw position": "leave it out: the compiler refuses it",
    "mj-table role": "use a <table> in <mj-raw> or <mj-text>: the compiler ignores it",
    "mj-section background-url": "use background-color: its Outlook form hides links",
    "mj-wrapper background-url": "use background-color: its Outlook form hides links",
    "mj-class *": "give the attributes to the <mj-class> itself: the compiler takes no tags in it",
}
"""What must not be used, and what to do instead: a tag, or a tag and its attribute."""
