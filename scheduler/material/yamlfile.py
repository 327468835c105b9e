"""A YAML file that a person wrote: its values, each with the line it stands on.

1. Scan the file into nodes. Plain scalars are true, false, null, whole numbers or text, and
   nothing else: YAML 1.1 would read 10:30 as 630, NO as false, and die on 2026-02-30.
2. Build plain Python values, keeping the line of every key and list item; a key written twice and
   an anchor are refused.
3. Hold the values against a pydantic model. Each fault becomes one Finding with its line, what is
   wrong, and what to write: the field's own description is the cure.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from scheduler.findings import Finding, WrongInput, closest, shown, wrong

Model = TypeVar("Model", bound=BaseModel)
Place = tuple[str | int, ...]
LONGEST = 60  # characters of a faulty value that are shown
DEEPEST = 20  # lists and mappings inside one another
LARGEST = 20_000_000  # bytes; a roster of 100,000 people is about 15 million


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """SafeLoader (in C where it is built) with the few plain scalars of YAML 1.2's core schema."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


PLAIN: dict[str, tuple[str, str, Callable[[str], bool | int | None]]] = {
    "tag:yaml.org,2002:bool": (r"true|false", "tf", lambda text: text == "true"),
    "tag:yaml.org,2002:null": (r"~|null|", "~n", lambda _: None),
    "tag:yaml.org,2002:int": (r"-?(?:0|[1-9][0-9]{0,17})", "-0123456789", int),
}
"""Plain scalars that are not text: how they look, how they begin, and what they mean."""
for _tag, (_looks, _begins, _) in PLAIN.items():
    _Loader.add_implicit_resolver(_tag, re.compile(f"^(?:{_looks})$"), [*_begins, ""])


@dataclass(frozen=True)
class Document:
    """The values of a file and where each stands."""

    path: Path
    value: Any
    lines: dict[Place, int]

    def line(self, place: Place) -> int | None:
        """The line of a value, else of the nearest thing around it."""
        while place not in self.lines and place:
            place = place[:-1]
        return self.lines.get(place)

    def wrong(self, place: Place, words: str, cure: str = "") -> WrongInput:
        return wrong(self.path, self.line(place), words, cure)

    def parse(self, model: type[Model], place: Place = ()) -> Model:
        """The values, or the part of them at `place`; WrongInput with a finding for each fault."""
        value = self.value
        for step in place:
            value = value[step]
        try:
            return model.model_validate(value)
        except ValidationError as error:
            faults = (self._finding(place, fault, model) for fault in error.errors())
            raise WrongInput(*dict.fromkeys(faults)) from None

    def records(
        self,
        model: type[Model],
        key: str,
        kind: str = "entry",
        twice: tuple[str, str] = ("stands twice", "keep one of them"),
    ) -> dict[str, Model]:
        """The entries of a list, by the field that each is known by, in the file's order."""
        if not isinstance(self.value, list):
            raise self.wrong((), "is not a list", f"begin each {kind} with a dash: - {key}: …")
        found: dict[str, Model] = {}
        for number in range(len(self.value)):
            entry = self.parse(model, (number,))
            name = getattr(entry, key)
            if name in found:
                raise self.wrong((number,), f'"{name}" {twice[0]}', twice[1])
            found[name] = entry
        return found

    def _finding(self, base: Place, fault: ErrorDetails, model: type[BaseModel]) -> Finding:
        """Turn pydantic's fault into words that name the field and the cure."""
        loc, given = fault["loc"], fault["input"]
        field = ".".join(step for step in loc if isinstance(step, str)) or "this"
        fields, info = _followed(model, loc)
        cure = (info.description if info else None) or ""
        match fault["type"]:
            case "missing":
                words, cure = f"{field} is missing", f"add {cure or 'it'}"
            case "extra_forbidden":
                words = f'"{loc[-1]}" is not a field here'
                cure = closest(str(loc[-1]), fields)
            case "value_error":
                reason = fault["ctx"]["error"]
                words, cure = f"{field} {reason}", getattr(reason, "cure", cure)
            case "model_type" | "dict_type" | "list_type" | "tuple_type":
                words = f"{field} is not what belongs here"
                cure = cure or "check the indentation and the dashes"
            case _:
                words = f"{field} {_quoted(given)} cannot be used"
                cure = f"give {cure}" if cure else fault["msg"].lower()
        return Finding(shown(self.path), self.line((*base, *loc)), words, cure)


class Unusable(ValueError):
    """Raised by a field's own check: what is wrong, and the cure."""

    def __init__(self, words: str, cure: str) -> None:
        super().__init__(words)
        self.cure = cure


def read_yaml(path: Path, text: str | None = None) -> Document:
    """Read a file, or a part of its text with as many line ends before it as are above it.

    WrongInput: no such file, not UTF-8, not YAML, a key twice, an anchor.
    """
    text = read_text(path) if text is None else text
    try:
        _refuse_riddles(text, path)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        cure = "check the indentation, the colons and the quotes"
        raise wrong(path, line, f"not YAML: {error.problem or error.context}", cure) from None
    except yaml.YAMLError as error:
        raise wrong(path, None, f"not YAML: {error}".split("\n")[0], "save it as text") from None
    lines: dict[Place, int] = {(): len(text) - len(text.lstrip("\n")) + 1}
    return Document(path, None if node is None else _built(node, (), lines, path), lines)


def _refuse_riddles(text: str, path: Path) -> None:
    """Refuse anchors, aliases, tags and deep nests before any of them is followed.

    Events come one after the other; nodes are made by functions that call themselves, in C without
    a limit.
    """
    depth = 0
    events: Iterator[Any] = yaml.parse(text, Loader=_Loader)
    for event in events:
        line = event.start_mark.line + 1
        if getattr(event, "anchor", None):
            raise wrong(path, line, f'"{event.anchor}" is an anchor', "write the words out")
        if getattr(event, "tag", None):
            raise wrong(path, line, f'"{event.tag}" is a tag', "leave it out")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise wrong(path, line, "is nested too deeply", "check the dashes and the brackets")


def read_text(path: Path) -> str:
    """A file's text; WrongInput if it is missing, too large, unreadable, or not UTF-8."""
    try:
        if path.stat().st_size > LARGEST:
            raise wrong(path, None, "is larger than 20 MB", "split it")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise wrong(path, None, "there is no such file", "check the path") from None
    except UnicodeDecodeError:
        raise wrong(path, None, "is not UTF-8 text", "save it as UTF-8") from None
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise wrong(path, None, reason, "check the path and its permissions") from None


def _built(node: yaml.Node, place: Place, lines: dict[Place, int], path: Path) -> Any:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.ScalarNode):
        return PLAIN[node.tag][2](node.value) if node.tag in PLAIN else node.value
    if isinstance(node, yaml.SequenceNode):
        items = enumerate(node.value)
        return [_built(item, (*place, number), lines, path) for number, item in items]
    built: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line, key = key_node.start_mark.line + 1, key_node.value
        if not isinstance(key_node, yaml.ScalarNode):
            raise wrong(path, line, "a key must be a word", "check the indentation")
        if key in built:
            raise wrong(path, line, f'"{key}" stands twice', "keep one of them")
        lines[(*place, key)] = line
        built[key] = _built(value_node, (*place, key), lines, path)
    return built


def _followed(
    model: type[BaseModel] | None, loc: Place
) -> tuple[dict[str, FieldInfo], FieldInfo | None]:
    """The fields beside a faulty one, by the names that people write, and the field itself."""
    fields: dict[str, FieldInfo] = {}
    info = None
    for step in loc:
        if isinstance(step, str) and model:
            fields = {info.alias or name: info for name, info in model.model_fields.items()}
            info = fields.get(step)
            model = _model_in(info.annotation) if info else None
    return fields, info


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside `list[Model]`, `tuple[Model, ...]` or `Model | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _quoted(given: object) -> str:
    if not isinstance(given, str | int):
        return "of this kind"
    text = str(given)
    return f'"{text[:LONGEST]}…"' if len(text) > LONGEST else f'"{text}"'
