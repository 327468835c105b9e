"""What a technician installs it with: units, image and compose file that their linters take.

There is no container engine here, so nothing is built or started: each file is read by the program
that knows its kind, and held against the settings and the commands that there are.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click import Context

from scheduler.cli import cli
from scheduler.settings import Settings

BIN = Path(sys.executable).parent
PROGRAM = "/opt/physiopost/current/bin/physiopost"
UNITS = ("physiopost.service", "physiopost-backup.service", "physiopost-backup.timer")
EXPOSED = 20  # of 100 on systemd's own scale
SETTING = re.compile(r"(?:PHYSIOPOST|SENDGRID)_[A-Z_]+")
SECRETS = {
    "secret": "0123456789abcdef" * 2,
    "smtp": "smtp://user:password@mail.example.org:587",
    "database": "postgresql+psycopg://physiopost:password@postgres/physiopost",
}
KNOWN_HOLES = {
    # package: (the release that closed it, what it let happen)
    "cryptography": ("44.0.1", "OpenSSL takes a server that proved nothing (CVE-2024-12797)"),
    "dnspython": ("2.6.1", "strangers' answers stop a resolver (CVE-2023-29483)"),
    "flask": ("3.1.3", "Vary: Cookie was left out where a session was looked at (CVE-2026-27205)"),
    "idna": ("3.7", "a long host name takes for ever (CVE-2024-3651)"),
    "jinja2": ("3.1.6", "a way out of the sandbox (CVE-2025-27516)"),
    "mako": ("1.2.2", "an expression that takes for ever (CVE-2022-40023)"),
    "markdown-it-py": ("2.2.0", "a crash by Markdown of its own kind (CVE-2023-26303)"),
    "pydantic": ("2.4.0", "an address that takes for ever (CVE-2024-3772)"),
    "pyyaml": ("5.4", "code in a document (CVE-2020-14343)"),
    "waitress": ("3.0.1", "a request smuggled into another (CVE-2024-49768)"),
    "werkzeug": ("3.0.6", "a form that fills the memory (CVE-2024-49767)"),
}
"""Holes in what we use, as their advisories say. It is no scanner: a new hole is a new line."""


@pytest.fixture(scope="module")
def files(root: Path) -> dict[str, str]:
    """Everything that is installed or built from, by name."""
    places = [*(root / "deploy").iterdir(), root / "Dockerfile", root / "compose.yaml"]
    return {path.name: path.read_text() for path in places}


@pytest.fixture(scope="module")
def compose(files: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(files["compose.yaml"])
    return found


@pytest.fixture
def units(files: dict[str, str], tmp_path: Path) -> list[Path]:
    """The units, with this machine's own program in place of the installed one."""
    for name in UNITS:
        (tmp_path / name).write_text(files[name].replace(PROGRAM, str(BIN / "physiopost")))
    return [tmp_path / name for name in UNITS]


def said(*words: str | Path) -> str:
    """What a linter says; nothing if it is content."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


def test_systemd_takes_the_units(units: list[Path], needs: Callable[[str], str]) -> None:
    assert said(needs("systemd-analyze"), "verify", "--man=no", *units) == ""


def test_the_service_is_well_shut_in(units: list[Path], needs: Callable[[str], str]) -> None:
    words = [needs("systemd-analyze"), "security", "--offline=true", f"--threshold={EXPOSED}"]
    services = [each for each in units if each.suffix == ".service"]
    assert said(*words, *services) == ""


def test_the_backup_is_shut_in_as_the_service_is(files: dict[str, str]) -> None:
    shut = [files[name].partition("\nStateDirectory=")[2].split("\n\n")[0] for name in UNITS[:2]]
    assert shut[0] == shut[1].rstrip()
    assert "NoNewPrivileges=yes" in shut[0]


def test_hadolint_takes_the_dockerfile(root: Path) -> None:
    assert said(BIN / "hadolint", root / "Dockerfile") == ""


def test_compose_takes_its_file(root: Path) -> None:
    schema = ["--builtin-schema", "vendor.compose-spec"]
    assert said(BIN / "check-jsonschema", *schema, root / "compose.yaml") == ""


def test_no_container_runs_as_root_or_writes_where_it_should_not(
    files: dict[str, str], compose: dict[str, Any]
) -> None:
    assert re.search(r"^USER \d+:\d+$", files["Dockerfile"], re.MULTILINE)
    for name, service in compose["services"].items():
        assert service["read_only"], name
        assert "no-new-privileges:true" in service["security_opt"], name


def test_what_is_secret_comes_from_a_file_and_never_from_the_environment(
    files: dict[str, str], compose: dict[str, Any]
) -> None:
    for name, text in files.items():
        for setting in ("PHYSIOPOST_SECRET", "PHYSIOPOST_SMTP", "SENDGRID_API_KEY"):
            assert not re.search(rf"{setting}[=:]", text), name
    for name, service in compose["services"].items():
        for setting, value in service.get("environment", {}).items():
            if setting.endswith("_FILE"):
                secret = value.removeprefix("/run/secrets/")
                assert secret in service["secrets"], name
                assert secret in compose["secrets"], name


def test_every_setting_that_is_set_there_is_read_and_has_a_value_that_can_be_used(
    files: dict[str, str], compose: dict[str, Any], tmp_path: Path, root: Path
) -> None:
    code = (root / "scheduler" / "settings.py").read_text()
    for name, text in files.items():
        for setting in SETTING.findall(text):
            assert f'"{setting.removesuffix("_FILE")}"' in code, name
    for secret, value in SECRETS.items():
        (tmp_path / secret).write_text(value)
    unit = dict(re.findall(r"^Environment=(\w+)=(\S+)$", files["physiopost.service"], re.MULTILINE))
    unit |= dict(re.findall(r"^(\w+)=(.+)$", files["settings"], re.MULTILINE))
    for environ in (unit, compose["services"]["worker"]["environment"]):
        placed = {
            key: re.sub("^(%d|/run/secrets)", str(tmp_path), value)
            for key, value in environ.items()
        }
        settings = Settings.from_environment(placed)
        assert (settings.channel, settings.secrets) == ("smtp", (SECRETS["secret"],))


def test_every_command_that_is_called_there_exists(
    files: dict[str, str], compose: dict[str, Any]
) -> None:
    called = [line.split() for line in re.findall(rf"{PROGRAM} (\w.*)", "\n".join(files.values()))]
    called += [each["command"] for each in compose["services"].values() if "command" in each]
    called += [
        yaml.safe_load(line) for line in re.findall(r"^CMD (.*)", files["Dockerfile"], re.MULTILINE)
    ]
    assert len(called) == 5
    for name, *options in called:
        command = cli.get_command(Context(cli), name)
        assert command, name
        command.make_context(name, list(options))


def test_every_file_that_the_guide_installs_exists(root: Path) -> None:
    guide = (root / "docs" / "guide-technician.md").read_text()
    named = set(re.findall(r"deploy/[\w.*-]+", guide))
    assert len(named) > 5
    assert [each for each in named if not list(root.glob(each))] == []


def test_the_shell_takes_the_command_for_typing_by_hand(root: Path) -> None:
    assert said("sh", "-n", root / "deploy" / "physiopost") == ""
    assert (root / "deploy" / "physiopost").stat().st_mode & 0o111 == 0o111


def test_a_floor_lies_at_or_above_the_release_that_closed_a_known_hole(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    asked = "\n".join(project["dependencies"])
    floors = dict(re.findall(r"^([\w-]+)>=([\d.]+)", asked, re.MULTILINE))
    lock = (root / "requirements.lock").read_text()
    locked: dict[str, str] = dict(re.findall(r"^([\w-]+)==([\d.]+)", lock, re.MULTILINE))
    for name, (closed, what) in KNOWN_HOLES.items():
        for have in (floors.get(name, locked[name]), locked[name]):
            assert release(have) >= release(closed), f"{name} {have}: {what}"


def release(words: str) -> tuple[int, ...]:
    return tuple(map(int, words.split(".")))
