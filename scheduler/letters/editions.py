"""An edition: a lesson compiled for one clinic, whole but for its merge fields.

1. Fill the lesson's Jinja: the clinic's and the country's words, and for each merge field a token.
2. Turn the Markdown into HTML and into plain text; take out the citations and list their sources.
3. Put the HTML into the MJML template, compile it, and count the tokens before and after: one that
   is lost or altered stops the compile, by name.
4. Cut HTML and text at the tokens. Filling is then joining (see fill.py): a patient's words never
   pass through Markdown, Jinja or MJML.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from mjml import mjml2html

from scheduler.findings import wrong
from scheduler.letters import theme
from scheduler.letters.passages import Filler, blame
from scheduler.letters.tokens import BY_TOKEN, TOKENS, cut
from scheduler.material import Material
from scheduler.material.clinic import MERGE, Picture


@dataclass(frozen=True)
class Edition:
    """One lesson for one clinic, with or without the physiotherapist's note, in one style.

    `html` and `text` still hold the tokens; a plain letter has no `html`. Everything that the
    letter needs beside a patient's merge fields is here, so that a stored edition gives the same
    letter years later (D10).
    """

    lesson: str
    subject: str
    html: str
    text: str
    language: str
    from_name: str
    from_email: str
    reply_to: str
    logo: Picture | None = None

    @cached_property
    def hash(self) -> str:
        """The edition's identity: equal content, equal hash."""
        return hashlib.sha256(self.as_json().encode()).hexdigest()

    def as_json(self) -> str:
        """The content as it is stored; without a logo, as it was before there were logos."""
        content = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps(content, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, stored: str) -> "Edition":
        """The edition that as_json() wrote."""
        content = json.loads(stored)
        logo = content.pop("logo", None)
        return cls(**content, logo=Picture(**logo) if logo else None)

    @cached_property
    def html_parts(self) -> tuple[str, ...]:
        """The HTML cut at its fields: literal, field, literal, …, literal."""
        return cut(self.html)

    @cached_property
    def text_parts(self) -> tuple[str, ...]:
        """The text cut at its fields."""
        return cut(self.text)


@lru_cache(maxsize=4)
def _templates(folder: Path) -> ImmutableSandboxedEnvironment:
    """A folder's templates; one that has changed on disk is read again."""
    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folder),
        autoescape=lambda name: bool(name and ".mjml" in name),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


class Press:
    """Compiles editions from the material and the templates, each one once."""

    def __init__(self, material: Material, templates: Path) -> None:
        """Take what was read; nothing is compiled yet.

        WrongInput if there is no letters/ among the templates, or if words in the clinic's colour
        cannot be read.
        """
        if not (templates / "letters").is_dir():
            cure = "set PHYSIOPOST_TEMPLATES to the folder that has letters/"
            raise wrong(templates, None, "there is no such templates folder", cure)
        brand, paper = material.clinic.brand, theme.LIGHT["paper"]
        if (found := theme.ratio(brand, paper)) < theme.TEXT:
            words = f"brand {brand} on {paper} has {found:.2f} : 1 where {theme.TEXT} is needed"
            cure = f'take "{theme.suggestion(brand, paper, theme.TEXT)}", for instance'
            raise material.clinic_file.wrong(("brand",), words, cure)
        self.material = material
        self.folder = templates / "letters"
        self.edition = lru_cache(maxsize=None)(self._compile)
        self.words_of = lru_cache(maxsize=None)(self._words_of)

    def all(self) -> list[Edition]:
        """Every edition, with and without a note."""
        return [
            self.edition(lesson.slug, noted)
            for lesson in self.material.course.lessons
            for noted in (False, True)
        ]

    def source(self, slug: str, *, noted: bool) -> str:
        """The MJML of an edition, tokens in it."""
        return self._frame("letter.mjml.j2", self.words_of(slug) | {"noted": noted})

    def _compile(self, slug: str, noted: bool, style: str | None = None) -> Edition:
        names = self.words_of(slug) | {"noted": noted}
        mjml = self._frame("letter.mjml.j2", names)
        text = self._frame("letter.txt.j2", names)
        html = "" if style == "plain" else self._mjml(theme.enlarged(mjml) if style else mjml)
        sender = self.material.clinic.sender
        return Edition(
            lesson=slug,
            subject=names["subject"],
            html=html,
            text=re.sub(r"\n{3,}", "\n\n", text).strip() + "\n",
            language=self.material.country.language,
            from_name=sender.name,
            from_email=sender.email,
            reply_to=sender.reply_to,
            logo=self.material.logo if html else None,
        )

    def _words_of(self, slug: str) -> dict[str, Any]:
        """Everything that the two templates may use."""
        course, clinic = self.material.course, self.material.clinic
        lesson, references = course.by_slug[slug], self.material.references.entries
        whose = {"name": clinic.name, "phone": clinic.phone, "address": clinic.address}
        fill = Filler(self.material, lesson, clinic=whose, **TOKENS)
        light, dark = theme.palettes(clinic.brand)
        return fill.names | {
            "subject": fill.line(lesson, "subject"),
            "preheader": fill.line(lesson, "preheader"),
            "title": fill.line(lesson, "title"),
            "action": fill.prose(lesson, "action"),
            "body": fill.prose(lesson, "body"),
            "emergency_title": fill.line(course.emergency, "title"),
            "emergency": fill.prose(course.emergency, "body"),
            "same_day_title": fill.line(course.same_day, "title"),
            "same_day": fill.prose(course.same_day, "body"),
            "sources": [references[key].short for key in lesson.citations],
            "wording": {
                name: MERGE.sub(lambda field: str(fill.names[field[1]]), words)
                for name, words in clinic.wording
            },
            "logo": clinic.logo,
            "light": light,
            "dark": dark,
        }

    def _frame(self, name: str, names: Mapping[str, Any]) -> str:
        """Render one of our templates, with the file and line of what it gets wrong."""
        try:
            return _templates(self.folder).get_template(name).render(names)
        except Exception as error:  # noqa: BLE001 - a template can fail in any way
            raise blame(error, self.folder / name, names) from None

    def _mjml(self, source: str) -> str:
        """Compile; MJML gets no font links and keeps every token."""
        path = self.folder / "letter.mjml.j2"
        try:
            html = str(mjml2html(source, disable_comments=True, fonts={}))
        except (ValueError, OSError) as error:
            raise wrong(path, None, f"MJML does not compile: {error}", "check its tags") from None
        if left := re.search(r"<(mj-?[a-z]+(?:-[a-z]+)*)", html):
            raise wrong(path, None, f"MJML has no tag {left[1]}", "check its spelling")
        for token, field in BY_TOKEN.items():
            if html.count(token) != source.count(token):
                words = f'the merge field "{field}" is lost when the MJML is compiled'
                raise wrong(path, None, words, "put it into text or a link, not into a width")
        return html
