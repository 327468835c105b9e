"""The documents say what is there: every command, every setting, every decision."""

import re
import shlex
import shutil
from pathlib import Path

import click
import pytest
from conftest import Clinic
from plan_pictures import pictures

from scheduler.cli import COMMANDS, cli
from scheduler.roster.entries import Entry

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
GUIDES = sorted(ROOT.glob("docs/guide-*.md"))
SERVE = {"preview", "run"}  # until they are stopped
MONDAY = "2026-11-23T15:00Z"
PEOPLE = "Ref,Full name,E-mail,First appointment\nP1,Jo Example,jo@example.org,03/11/2026\n"
BLANKS = {"@…": "@example.org", "ration …": "ration PH123456", "…": "Rosa Example"}
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
    """Pictures are links too, and a link to a heading finds it."""
    broken = [
        f"{page.relative_to(root)}: {place}#{heading}"
        for page in DOCUMENTS
        for place, _, heading in re.findall(r"\]\(([^)#]*)(#([^)]+))?\)", page.read_text())
        if "://" not in place and "NNNN" not in place
        if not (there := page.parent / place if place else page).exists()
        or (heading and heading not in headings(there))
    ]
    assert broken == []


def headings(page: Path) -> set[str]:
    """What links to the headings of a page end with, as GitHub makes them."""
    found = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-") for words in found}


def test_every_picture_is_shown_somewhere_and_described(root: Path) -> None:
    shown: set[Path] = set()
    for page in DOCUMENTS:
        for words, place in re.findall(r"!\[([^]]*)\]\(([^)]+)\)", page.read_text()):
            assert len(words) > 20, place
            shown.add((page.parent / place).resolve())
    pictures = (root / "docs" / "pictures").glob("*.[ps][nv]g")
    assert {path.name for path in pictures} == {path.name for path in shown}


def test_the_pictures_of_a_plan_show_what_the_commands_print(root: Path) -> None:
    """If this fails: .venv/bin/python tests/plan_pictures.py."""
    for name, made in pictures().items():
        kept = (root / "docs" / "pictures" / name).read_text()
        assert re.findall(r">([^<]+)</text>", kept) == re.findall(r">([^<]+)</text>", made)
        assert "url(http" not in kept
        assert "@" not in kept


# What the documents tell people to type


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_a_command_that_a_document_names_has_the_options_that_it_names(page: Path) -> None:
    text = page.read_text()
    for line in [*re.findall(r"`physiopost ([a-z][^`]*)`", text), *typed(text)]:
        words = shlex.split(line, comments=True)
        known = options(words)
        assert [word for word in words if word.startswith("--") and word not in known] == []


@pytest.mark.parametrize("guide", GUIDES, ids=lambda page: page.name)
def test_what_a_guide_tells_people_to_type_works(clinic: Clinic, root: Path, guide: Path) -> None:
    for table in ("appointments", "patients"):
        shutil.copy(root / "tests" / "data" / f"jane-{table}.csv", f"{table}.csv")
    clinic.write("people.csv", PEOPLE)
    text, printed = guide.read_text(), ""
    for line in typed(text):
        words = shlex.split(line, comments=True)
        if words[0] in SERVE:
            continue
        known = options(words)
        yes = ["--yes"] if "--yes" in known else []
        then = ["--now", MONDAY] if "--now" in known else []
        said = clinic.physiopost(*words, *yes, *then)
        found = 1 if "appointments.csv" in words else 0  # a row of that file is wrong
        assert said.code == found, f"{line}\n{said.err}"
        printed += said.out
    assert len(printed) > 1000
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        assert block in printed


def typed(text: str) -> list[str]:
    """The commands that stand on lines of their own, in their order."""
    return re.findall(r"^(?: {4})?physiopost (.+)$", text, re.MULTILINE)


def options(words: list[str]) -> set[str]:
    """All options of a command."""
    context = click.Context(cli)
    command = cli.get_command(context, words[0])
    assert command, words[0]
    if isinstance(command, click.Group) and words[1:2] and words[1] in command.commands:
        command = command.commands[words[1]]
    listed = [[*each.opts, *each.secondary_opts] for each in command.get_params(context)]
    return {option for names in listed for option in names}


def filled_in(line: str) -> str:
    """As a reader would."""
    for blank, words in BLANKS.items():
        line = line.replace(blank, words)
    return line


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_a_command_that_a_document_tells_people_to_type_is_understood_whole(page: Path) -> None:
    for line in typed(page.read_text()):
        name, *words = shlex.split(filled_in(line), comments=True)
        command = cli.get_command(click.Context(cli), name)
        assert command, name
        command.make_context(name, words)


def test_what_the_readme_tells_people_to_type_works(clinic: Clinic, readme: str) -> None:
    block = readme.partition("## Use it for your clinic")[2].partition("\n## ")[0]
    lines = [line for line in typed(block) if line.split()[0] not in SERVE]
    assert len(lines) > 4
    for line in lines:
        words = shlex.split(filled_in(line), comments=True)
        known = options(words)
        yes = ["--yes"] if "--yes" in known else []
        then = ["--now", MONDAY] if "--now" in known else []
        said = clinic.physiopost(*words, *yes, *then)
        assert said.code == 0, f"{line}\n{said.out}{said.err}"


def test_every_option_of_every_command_says_what_it_does() -> None:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        inner = list(command.commands.values()) if isinstance(command, click.Group) else []
        for each in filter(None, (command, *inner)):
            given = [one for one in each.get_params(context) if isinstance(one, click.Option)]
            assert [one.name for one in given if not one.help] == [], name


def test_what_a_document_makes_is_a_target_and_make_help_tells_of_it(root: Path) -> None:
    makefile = (root / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)) - {"help"}
    named = {
        name for page in DOCUMENTS for name in re.findall(r"`make ([a-z-]+)", page.read_text())
    }
    assert named - targets == set()
    assert targets - set(re.findall(r"echo 'make ([a-z-]+) ", makefile)) == set()


def test_a_setting_that_the_readme_names_is_read(root: Path, readme: str) -> None:
    named = set(re.findall(r"(?:PHYSIOPOST|SENDGRID)_[A-Z_]+", readme))
    code = (root / "scheduler" / "settings.py").read_text()
    assert {
        name.removesuffix("_FILE") for name in named if name.removesuffix("_FILE") not in code
    } == set()
