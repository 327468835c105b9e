"""What holds Jinja: a passage filled, as HTML and as text; a page; and whose fault it is when that
fails.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from traceback import extract_tb
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from scheduler.findings import WrongInput, closest, wrong
from scheduler.letters import markdown, theme
from scheduler.letters.tokens import TOKEN
from scheduler.material import Material
from scheduler.material.lessons import CITATION, Lesson, Passage
from scheduler.settings import shipped

PLAIN = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
MARKDOWN = ImmutableSandboxedEnvironment(undefined=StrictUndefined, finalize=markdown.escape)


class Prose:
    """A passage as the templates use it: `.html` and `.text`; `.bare` is HTML without styles."""

    def __init__(self, source: str) -> None:
        """Take Markdown whose Jinja is filled and whose citations are out."""
        self.html = Markup(markdown.to_html(source, theme.STYLES))  # noqa: S704 - ours, escaped
        self.bare = Markup(markdown.to_html(source, {}))  # noqa: S704 - ours, escaped
        self.text = markdown.to_text(source)


class Filler:
    """Fills the Jinja of passages; knows which names there are."""

    def __init__(self, material: Material, passage: Passage, **names: Any) -> None:
        """Take the words of the country and of the passage's week, and names besides."""
        self.names = {
            "country": material.country.model_dump(),
            "profession": material.country.profession,
            "doctor": material.country.doctor,
            "week": passage.week if isinstance(passage, Lesson) else 1,
            "weeks": material.course.weeks,
            **names,
        }

    def line(self, passage: Passage, field: str) -> str:
        """A field without markup."""
        return self._fill(PLAIN, passage, field)

    def prose(self, passage: Passage, field: str) -> Prose:
        """A field in Markdown."""
        return _prose(CITATION.sub("", self._fill(MARKDOWN, passage, field)))

    def _fill(self, jinja: ImmutableSandboxedEnvironment, passage: Passage, field: str) -> str:
        source, line = getattr(passage, field), passage.lines[field]
        if found := TOKEN.search(source):
            line += source[: found.start()].count("\n")
            words = "one of our own tokens (zqfield…qz) stands in the text"
            raise wrong(passage.path, line, words, "write another word")
        try:
            return str(_template(jinja, source).render(self.names))
        except Exception as error:  # noqa: BLE001 - a template can fail in any way
            raise blame(error, passage.path, self.names, line - 1) from None


# Worked out once: the boxes stand in every letter, and an edit changes one passage of many.


@lru_cache(maxsize=1024)
def _template(jinja: ImmutableSandboxedEnvironment, source: str) -> Template:
    return jinja.from_string(source)


@lru_cache(maxsize=1024)
def _prose(source: str) -> Prose:
    return Prose(source)


def page(path: Path, names: Mapping[str, Any], escaped: Callable[[Any], Any] | None = None) -> str:
    """A page by its template, ours where there is none; WrongInput if it cannot be filled.

    Values are escaped for HTML, or by `escaped`.
    """
    jinja = Environment(
        loader=FileSystemLoader([path.parent, shipped("templates") / "pages"]),
        autoescape=escaped is None,  # noqa: S701 - else the page has an escape of its own
        finalize=escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    try:
        return jinja.get_template(path.name).render(names)
    except Exception as error:  # noqa: BLE001 - a template can fail in any way
        raise blame(error, path, names) from None


def blame(
    error: Exception, path: Path, names: Mapping[str, Any], above: int | None = None
) -> WrongInput:
    """What a person has to mend, from what Jinja says of a file, or of text with lines `above`."""
    marker = str(path.parent) if above is None else "<template>"
    if isinstance(error, UnicodeDecodeError):
        return wrong(path, None, "is not UTF-8 text", "save it as UTF-8")
    if isinstance(error, TemplateSyntaxError):
        place = Path(error.filename) if error.filename and error.filename != marker else path
        at = error.lineno + (above or 0)
        return wrong(place, at, f"template: {error.message}", "check the braces")
    line = None
    for frame in extract_tb(error.__traceback__):
        if frame.filename.startswith(marker):
            line = (frame.lineno or 0) + (above or 0)
            path = Path(frame.filename) if above is None else path
    message = str(error) or type(error).__name__
    inner = (key for value in names.values() if isinstance(value, dict) for key in value)
    for pattern, known in (("'([^']+)' is undefined", names), ("no attribute '([^']+)'", inner)):
        if unknown := re.search(pattern, message):
            words = f'the merge field "{unknown[1]}" is not known'
            return wrong(path, line, words, closest(unknown[1], sorted(known)))
    return wrong(path, line, f"template: {message}", "check the braces")
