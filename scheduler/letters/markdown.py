"""Markdown twice: as HTML that carries its styles inline, and as plain text with the same words."""

from collections.abc import Mapping
from typing import cast

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

_PARSER = MarkdownIt("commonmark", {"html": False, "xhtmlOut": True})
_RENDERER = cast(RendererHTML, _PARSER.renderer)


def to_html(markdown: str, styles: Mapping[str, str]) -> str:
    """XHTML in which every tag has its style and, for dark mode, the class `t`."""
    tokens, depth = _PARSER.parse(markdown), 0
    for token in tokens:
        depth += {"list_item_open": 1, "list_item_close": -1}.get(token.type, 0)
        if depth and token.tag == "p":  # mail clients space paragraphs in a list as they please
            token.hidden = True
        for each in (token, *(token.children or ())):
            if each.nesting != -1 and each.tag in styles:
                each.attrSet("style", styles[each.tag])
                each.attrSet("class", "t")
    return _RENDERER.render(tokens, _PARSER.options, {}).strip()


def to_text(markdown: str) -> str:
    """Plain text: a line a paragraph, `* ` before list items, headings in a line of their own."""
    lines: list[str] = []
    item = ""
    for token in _PARSER.parse(markdown):
        match token.type:
            case "list_item_open":
                item = "* "
            case "inline":
                lines.append(item + _words(token))
                item = "  " if item else ""
            case "list_item_close":
                item = ""
            case "paragraph_close" if not token.hidden and not item:
                lines.append("")
            case "heading_close" | "bullet_list_close" | "ordered_list_close":
                lines.append("")
    return "\n".join(lines).strip()


def escape(value: object) -> object:
    """A value put into Markdown as the characters that it has, never as markup."""
    if not isinstance(value, str):
        return value
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#+-.!|&~" else c for c in value)


def _words(inline: Token) -> str:
    """The words of a paragraph; a link is followed by its address."""
    words: list[str] = []
    address = ""
    for token in inline.children or []:
        match token.type:
            case "text" | "code_inline":
                words.append(token.content)
            case "softbreak" | "hardbreak":
                words.append(" ")
            case "link_open":
                address = str(token.attrGet("href"))
            case "link_close" if address:
                words.append(f" ({address})")
    return "".join(words)
