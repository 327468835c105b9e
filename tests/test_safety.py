"""docs/safety.md: every hazard has its control, and every test that is named there exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

NAMED = re.compile(r"`(tests/\w+\.py)::(\w+)`")
LINES = ("May come of it", "Control", "Shown by", "Left to the clinic")


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "safety.md").read_text()


def missing(page: str, root: Path) -> list[str]:
    """The tests that a page names and that are not there."""
    return [
        f"{file}::{name}"
        for file, name in NAMED.findall(page)
        if not (root / file).exists() or name not in functions_of(root / file)
    ]


@cache
def functions_of(file: Path) -> set[str]:
    nodes = ast.walk(ast.parse(file.read_text()))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef)}


def hazards(page: str) -> list[str]:
    return page.partition("## Hazards")[2].partition("\n## ")[0].split("\n### ")[1:]


def test_every_test_that_the_page_names_exists(page: str, root: Path) -> None:
    assert len(NAMED.findall(page)) > 40
    assert missing(page, root) == []


def test_a_test_that_was_renamed_would_be_noticed(page: str, root: Path) -> None:
    [(file, name), *_] = NAMED.findall(page)
    assert missing(page.replace(f"{file}::{name}", f"{file}::{name}_x"), root) == [
        f"{file}::{name}_x"
    ]
    gone = page.replace(f"{file}::{name}", f"tests/test_nothing.py::{name}")
    assert missing(gone, root) == [f"tests/test_nothing.py::{name}"]


def test_every_hazard_has_its_harm_its_control_a_test_and_what_stays_with_the_clinic(
    page: str,
) -> None:
    found = hazards(page)
    assert [int(each.split(".")[0]) for each in found] == list(range(1, len(found) + 1))
    for hazard in found:
        told = dict(re.findall(r"^- ([\w ]+): (.+)$", hazard, re.MULTILINE))
        assert tuple(told) == LINES, hazard
        assert NAMED.search(told["Shown by"]), hazard
        assert not NAMED.sub("", told["Shown by"]).strip(), hazard


def test_every_rule_that_keeps_it_from_being_a_device_has_a_test(page: str) -> None:
    chapter = page.partition("## The boundary to a medical device")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", chapter, re.MULTILINE)[1:]
    assert len(rows) > 5
    assert [rule for rule, kept in rows if not NAMED.fullmatch(kept.strip())] == []


def test_the_page_claims_no_compliance_and_says_that_the_letters_are_unsigned(page: str) -> None:
    assert "claims no compliance" in page
    assert "The shipped letters are unsigned" in page
    assert "no clinician has reviewed it" in page
