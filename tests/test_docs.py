"""The documents say what is there: every command, every setting, every decision."""

import re
from pathlib import Path

import pytest
from conftest import Clinic

from scheduler.cli import COMMANDS
from scheduler.roster.entries import Entry

SETTINGS = re.compile(r'"((?:PHYSIOPOST|SENDGRID)_[A-Z_]+)"')


@pytest.fixture(scope="module")
def readme(root: Path) -> str:
    return (root / "README.md").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_stands_in_the_readme_and_has_help(
    clinic: Clinic, readme: str, command: str
) -> None:
    assert f"`physiopost {command}" in readme
    said = clinic.physiopost(command, "--help")
    assert said.code == 0
    assert len(said.out.splitlines()) > 3


def test_every_setting_stands_in_the_readme(root: Path, readme: str) -> None:
    read = set(SETTINGS.findall((root / "scheduler" / "settings.py").read_text()))
    assert len(read) > 10
    assert {name for name in read if name not in readme} == set()


def test_every_field_of_a_person_stands_in_the_readme(readme: str) -> None:
    assert {name for name in Entry.model_fields if f" {name}:" not in readme} == set()


def test_every_decision_is_listed_and_has_a_price(root: Path) -> None:
    folder = root / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    for page in folder.glob("0*.md"):
        assert f"]({page.name})" in index
        assert "Price" in page.read_text()


def test_no_link_between_our_documents_is_broken(root: Path) -> None:
    pages = [*root.glob("*.md"), *root.glob("docs/**/*.md")]
    broken = [
        f"{page.relative_to(root)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#]+)[)#]", page.read_text())
        if "://" not in link and "NNNN" not in link and not (page.parent / link).exists()
    ]
    assert broken == []


def test_a_setting_that_the_readme_names_is_read(root: Path, readme: str) -> None:
    named = set(re.findall(r"(?:PHYSIOPOST|SENDGRID)_[A-Z_]+", readme))
    code = (root / "scheduler" / "settings.py").read_text()
    assert {
        name.removesuffix("_FILE") for name in named if name.removesuffix("_FILE") not in code
    } == set()
