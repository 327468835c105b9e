"""The JSON Schemas for editors: they take what we ship and refuse what check refuses."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import pytest
from conftest import Clinic

from scheduler.cli.schemas import FILES, schema
from scheduler.material.lessons import FRONT
from scheduler.material.yamlfile import read_yaml

WRONG = [
    ("course", "pace", 40),
    ("course", "lessons", "00-welcome.md"),
    ("lesson", "review_by", "30.11.2027"),
    ("lesson", "claims", ["62"]),
    ("block", "subject", "a field of lessons"),
    ("claims", "verdict", "good"),
    ("references", "issued", "2007"),
    ("countries", "emergency", None),
    ("clinic", "send_at", "9:30"),
    ("clinic", "brand", "teal"),
    ("clinic", "open", ["Monday"]),
    ("clinic", "timezone", "London, England"),
    ("subscribers", "email", "amy at example.org"),
    ("subscribers", "first_appointment", "16 November"),
    ("subscribers", "pace", 1),
    ("subscribers", "frist_appointment", "2026-11-16"),
]


@pytest.fixture(scope="module")
def faults(skip_or_fail: Callable[[str], NoReturn]) -> Callable[[str, Any], list[str]]:
    """What a validator that is not ours says of a value."""
    try:
        jsonschema = import_module("jsonschema")
    except ImportError:
        skip_or_fail("jsonschema is not installed here")
    checked = jsonschema.Draft202012Validator

    def of(name: str, value: Any) -> list[str]:
        checked.check_schema(schema(name))
        return [error.message for error in checked(schema(name)).iter_errors(value)]

    return of


def shipped(root: Path) -> list[tuple[str, Path]]:
    course = root / "course"
    files = [(path.stem, path) for path in course.glob("*.yaml") if path.stem in FILES]
    files += [(name, root / f"{name}.yaml") for name in ("clinic", "subscribers")]
    files += [("lesson", path) for path in course.glob("lessons/*.md")]
    return files + [("block", path) for path in course.glob("blocks/*.md")]


def value_of(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    front = FRONT.match(text)
    return read_yaml(path, front[1] if path.suffix == ".md" and front else text).value


def entry_of(value: Any, name: str) -> dict[str, Any]:
    """The mapping that has a person's fields: the file itself, or its first entry."""
    found = value[0] if isinstance(value, list) else value
    return dict(found["GB-ENG"] if name == "countries" else found)


def test_every_shipped_file_is_valid(root: Path, faults: Callable[[str, Any], list[str]]) -> None:
    assert {name for name, _ in shipped(root)} == set(FILES)
    assert {path.name: faults(name, value_of(path)) for name, path in shipped(root)} == {
        path.name: [] for _, path in shipped(root)
    }


@pytest.mark.parametrize(("name", "field", "value"), WRONG)
def test_a_wrong_value_is_not_valid(
    root: Path, faults: Callable[[str, Any], list[str]], name: str, field: str, value: object
) -> None:
    whole = value_of(dict(shipped(root))[name])
    entry = entry_of(whole, name) | {field: value}
    if isinstance(whole, list):
        assert faults(name, [entry])
    else:
        assert faults(name, {"GB-ENG": entry} if name == "countries" else entry)


@pytest.mark.parametrize("name", FILES)
def test_no_object_takes_a_field_that_is_not_known(name: str) -> None:
    def closed(part: Any) -> bool:
        if isinstance(part, list):
            return all(map(closed, part))
        if not isinstance(part, dict):
            return True
        return ("properties" not in part or part.get("additionalProperties") is False) and all(
            map(closed, part.values())
        )

    assert closed(schema(name))


def test_dates_times_zones_and_addresses_come_out_as_strings_with_a_pattern() -> None:
    person = schema("subscribers")["$defs"]["Entry"]["properties"]
    clinic = schema("clinic")["properties"]
    kinds = [person["first_appointment"], person["email"], person["send_at"]["anyOf"][0]]
    for kind in (*kinds, clinic["send_at"], clinic["timezone"], clinic["brand"]):
        assert kind["type"] == "string"
        assert kind["pattern"]
    assert clinic["send_at"]["default"] == "09:30"
    assert all(field["description"] for field in (*person.values(), *clinic.values()))


def test_the_command_writes_them_all_and_says_how_an_editor_finds_them(clinic: Clinic) -> None:
    said = clinic.physiopost("schemas")
    assert said.code == 0
    assert len(said.out.splitlines()) == 1
    assert "# yaml-language-server: $schema=.schemas/subscribers.schema.json" in said.out
    files = sorted((clinic.folder / ".schemas").iterdir())
    assert [file.name for file in files] == sorted(f"{name}.schema.json" for name in FILES)
    for file in files:
        assert json.loads(file.read_text()) == schema(file.name.split(".")[0])


def test_that_first_line_is_a_comment_to_us(clinic: Clinic) -> None:
    path = clinic.folder / "subscribers.yaml"
    line = "# yaml-language-server: $schema=.schemas/subscribers.schema.json\n"
    path.write_text(line + path.read_text())
    assert clinic.physiopost("roster").code == 0


def test_a_folder_that_cannot_be_written_to_is_named_in_a_line(clinic: Clinic) -> None:
    said = clinic.physiopost("schemas", "--to", "clinic.yaml")
    assert said.code == 2
    assert said.err.startswith("clinic.yaml: ")
    assert len(said.err.splitlines()) == 1
