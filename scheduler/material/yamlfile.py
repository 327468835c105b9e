"""A YAML file that a person wrote: its values, each with the line it stands on.

1. Scan the file into nodes. Plain scalars are true, false, null, whole numbers or text, and
   nothing else: YAML 1.1 would read 10:30 as 630, NO as false, and die on 2026-02-30.
2. Build plain Python values, keeping the line of every key and list item; a key written twice and
   an anchor are refused.
3. Hold the values against a pydantic model. Each fault becomes one Finding with its line, what is
   wrong, and what to write: the field's own description is the cure.
"""

import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
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


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$"), ["~", "n", ""]
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^-?(?:0|[1-9][0-9]{0,17})$"), list("-0123456789")
)


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
        """The fault at `place`, to be raised."""
        return wrong(self.path, self.line(place), words, cure)

    def parse(self, model: type[Model]) -> Model:
        """The values as a frozen `model`.

        Raises:
            WrongInput: with one finding for each fault.

        """
        return self.parse_part((), model)

    def parse_part(self, place: Place, model: type[Model]) -> Model:
        """The part of the values at `place` as a frozen `model`."""
        value = self.value
        for step in place:
            value = value[step]
        try:
            return TypeAdapter(model).validate_python(value)
        except ValidationError as error:
            raise WrongInput(
                *dict.fromkeys(self._finding(place, fault, model) for fault in error.errors())
            ) from (None)

    def _finding(self, base: Place, fault: ErrorDetails, model: type[BaseModel]) -> Finding:
        """Turn pydantic's fault into words that name the field and the cure."""
        place = (*base, *fault["loc"])
        field = ".".join(step for step in fault["loc"] if isinstance(step, str)) or "this"
        owner, info = _owner(model, fault["loc"])
        cure = (info.description if info else None) or ""
        given = fault["input"]
        match fault["type"]:
            case "missing":
                words, cure = f"{field} is missing", f"add {cure or 'it'}"
            case "extra_forbidden":
                fields = owner.model_fields if owner else {}
                known = [info.alias or name for name, info in fields.items()]
                name = str(fault["loc"][-1])
                words = f'"{name}" is not a field here'
                cure = closest(name, known, "known are " + ", ".join(known))
            case "value_error":
                reason = fault["ctx"]["error"]
                words, cure = f"{field} {reason}", getattr(reason, "cure", cure)
            case "model_type" | "dict_type" | "list_type" | "tuple_type":
                words = f"{field} is not what belongs here"
                cure = cure or "check the indentation and the dashes"
            case _:
                words = f"{field} {_quoted(given)} cannot be used"
                cure = f"give {cure}" if cure else fault["msg"].lower()
        return Finding(shown(self.path), self.line(place), words, cure)


class Unusable(ValueError):
    """Raised by a field's own check: what is wrong, and the cure."""

    def __init__(self, words: str, cure: str) -> None:
        super().__init__(words)
        self.cure = cure


def read_yaml(path: Path, text: str | None = None, first_line: int = 1) -> Document:
    """Read a file, or the part of it that begins at `first_line`.

    Raises:
        WrongInput: no such file, not UTF-8, not YAML, a key twice, an anchor.

    """
    if text is None:
        text = read_text(path)
    offset = first_line - 1
    try:
        _refuse_riddles(text, path, offset)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 + offset if mark else None
        cure = "check the indentation, the colons and the quotes"
        raise wrong(path, line, f"not YAML: {error.problem or error.context}", cure) from None
    except yaml.YAMLError as error:
        raise wrong(path, None, f"not YAML: {error}".split("\n")[0], "save it as text") from None
    lines: dict[Place, int] = {(): first_line}
    value = _build(node, (), lines, offset, path) if node is not None else None
    return Document(path, value, lines)


def _refuse_riddles(text: str, path: Path, offset: int) -> None:
    """Refuse anchors, aliases, tags and deep nests before any of them is followed.

    Events come one after the other; nodes are made by functions that call themselves, in C without
    a limit.
    """
    depth = 0
    events: Iterator[Any] = yaml.parse(text, Loader=_Loader)
    for event in events:
        line = event.start_mark.line + 1 + offset
        if getattr(event, "anchor", None):
            raise wrong(path, line, f'"{event.anchor}" is an anchor', "write the words out")
        if getattr(event, "tag", None):
            raise wrong(path, line, f'"{event.tag}" is a tag', "leave it out")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise wrong(path, line, "is nested too deeply", "check the dashes and the brackets")


def read_text(path: Path) -> str:
    """A file's text.

    Raises:
        WrongInput: it is missing, too large, unreadable, or not UTF-8.

    """
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


def _build(node: yaml.Node, place: Place, lines: dict[Place, int], offset: int, path: Path) -> Any:
    lines.setdefault(place, node.start_mark.line + 1 + offset)
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return [
            _build(item, (*place, number), lines, offset, path)
            for number, item in enumerate(node.value)
        ]
    built: dict[Hashable, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1 + offset
        if not isinstance(key_node, yaml.ScalarNode):
            raise wrong(path, line, "a key must be a word", "check the indentation")
        key = str(key_node.value)
        if key in built:
            raise wrong(path, line, f'"{key}" stands twice', "keep one of them")
        lines[(*place, key)] = line
        built[key] = _build(value_node, (*place, key), lines, offset, path)
    return built


def _scalar(node: yaml.ScalarNode) -> str | int | bool | None:
    match node.tag.rpartition(":")[2]:
        case "int":
            return int(node.value)
        case "bool":
            return bool(node.value == "true")
        case "null":
            return None
        case _:
            return str(node.value)


def _owner(model: type[BaseModel], loc: Place) -> tuple[type[BaseModel] | None, Any]:
    """The model that owns the faulty field, and the field, as far as they can be followed."""
    owner: type[BaseModel] | None = model
    info = None
    for step in loc:
        if isinstance(step, int) or owner is None:
            continue
        info = _field(owner, step)
        inner = _model_in(info.annotation) if info else None
        if step == loc[-1] or inner is None:
            break
        owner = inner
    return owner, info


def _field(owner: type[BaseModel], name: str) -> Any:
    """A field by the name that people write."""
    fields = owner.model_fields
    return next((info for own, info in fields.items() if name == (info.alias or own)), None)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside `list[Model]`, `tuple[Model, ...]` or `Model | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        if found := _model_in(part):
            return found
    return None


def _quoted(given: object) -> str:
    if not isinstance(given, str | int):
        return "of this kind"
    text = str(given)
    return f'"{text[:LONGEST]}…"' if len(text) > LONGEST else f'"{text}"'
