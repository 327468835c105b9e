"""A passage with its Jinja filled, as HTML and as text; and whose fault it is when that fails."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from scheduler.findings import WrongInput, closest, wrong
from scheduler.letters import markdown, theme
from scheduler.letters.tokens import TOKEN
from scheduler.material.lessons import CITATION, Passage

PLAIN = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
MARKDOWN = ImmutableSandboxedEnvironment(undefined=StrictUndefined, finalize=markdown.escape)


class Prose:
    """A passage as the templates use it: `.html` and `.text`; `.bare` is HTML without styles."""

    def __init__(self, source: str) -> None:
        """Take Markdown whose Jinja is filled and whose citations are out."""
        self.html = Markup(markdown.to_html(source, theme.styles()))  # noqa: S704 - ours, escaped
        self.bare = Markup(markdown.to_html(source, {}))  # noqa: S704 - ours, escaped
        self.text = markdown.to_text(source)


class Filler:
    """Fills the Jinja of passages; knows which names there are."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        """Take the names that a passage may use."""
        self.names = dict(names)

    def line(self, passage: Passage, field: str) -> str:
        """A field without markup."""
        return self._fill(PLAIN, passage, field)

    def prose(self, passage: Passage, field: str) -> Prose:
        """A field in Markdown."""
        return Prose(CITATION.sub("", self._fill(MARKDOWN, passage, field)))

    def _fill(self, jinja: ImmutableSandboxedEnvironment, passage: Passage, field: str) -> str:
        source, line = getattr(passage, field), passage.lines[field]
        if found := TOKEN.search(source):
            line += source[: found.start()].count("\n")
            words = "one of our own tokens (zqfield…qz) stands in the text"
            raise wrong(passage.path, line, words, "write another word")
        try:
            return str(jinja.from_string(source).render(self.names))
        except Exception as error:  # noqa: BLE001 - a template can fail in any way
            raise blame(error, passage.path, line - 1, self.names, "<template>") from None


def blame(
    error: Exception, path: Path, above: int, names: Mapping[str, Any], marker: str
) -> WrongInput:
    """What a person has to mend, from what Jinja says."""
    if isinstance(error, TemplateSyntaxError):
        place = Path(error.filename) if error.filename and error.filename != marker else path
        return wrong(place, error.lineno + above, f"template: {error.message}", "check the braces")
    line, trace = None, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename.startswith(marker):
            line, path = (
                trace.tb_lineno + above,
                (path if marker == "<template>" else Path(trace.tb_frame.f_code.co_filename)),
            )
        trace = trace.tb_next
    message = str(error) or type(error).__name__
    if unknown := re.search(r"'([^']+)' is undefined", message):
        return _unknown(path, line, unknown[1], names)
    if missing := re.search(r"has no attribute '([^']+)'", message):
        return _unknown(path, line, missing[1], _inner(names))
    return wrong(path, line, f"template: {message}", "check the braces")


def _unknown(path: Path, line: int | None, name: str, known: Mapping[str, Any]) -> WrongInput:
    cure = closest(name, sorted(known))
    return wrong(path, line, f'the merge field "{name}" is not known', cure)


def _inner(names: Mapping[str, Any]) -> dict[str, None]:
    return {key: None for value in names.values() if isinstance(value, dict) for key in value}
