"""What a technician installs: the wheel, without the checkout beside it."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

pytestmark = pytest.mark.wheel

LESSONS = 9

# What pip says when it could not reach a package index, as opposed to a wrong lock file.
NOT_REACHED = (
    "connection broken by",
    "Connection refused",
    "Could not fetch URL",
    "Failed to establish a new connection",
    "Network is unreachable",
    "Read timed out",
    "Temporary failure in name resolution",
)


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("--wheel", root=root, to=tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def physiopost(
    root: Path, wheel: Path, tmp_path: Path, skip_or_fail: Callable[[str], NoReturn]
) -> Callable[..., str]:
    """The command of a fresh installation, run from the root folder in an empty environment."""
    bin_ = tmp_path / "installed" / "bin"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bin_.parent], check=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    install = [*pip, "--python", str(bin_ / "python"), "install", "-q", "--no-compile"]
    locked = subprocess.run(
        [*install, "--require-hashes", "-r", str(root / "requirements.lock")],
        capture_output=True,
        text=True,
        check=False,
    )
    signs = [line for line in locked.stderr.splitlines() if any(s in line for s in NOT_REACHED)]
    if locked.returncode and signs:
        skip_or_fail(f"the package index cannot be reached: {signs[0]}")
    assert locked.returncode == 0, locked.stderr
    subprocess.run([*install, "--no-deps", "--no-index", str(wheel)], check=True)

    def run(*arguments: str | Path) -> str:
        done = subprocess.run(
            [bin_ / "physiopost", *arguments],
            cwd="/",
            env={"HOME": str(tmp_path), "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


@pytest.mark.slow
def test_the_wheel_installed_into_an_empty_environment_runs_from_the_root_folder(
    physiopost: Callable[..., str], tmp_path: Path
) -> None:
    letters = tmp_path / "letters"
    assert "Usage: physiopost" in physiopost("--help")
    physiopost("check")
    physiopost("render", "--to", letters)
    for kind in ("html", "txt", "eml"):
        rendered = list(letters.glob(f"*.{kind}"))
        assert len(rendered) == LESSONS, rendered
        assert all(letter.stat().st_size for letter in rendered)


def test_the_wheel_holds_the_package_its_material_and_nothing_else(wheel: Path) -> None:
    names = names_in(wheel)
    dist_info = "physiopost-0.1.0.dist-info/"
    stray = [name for name in names if not name.startswith(("scheduler/", dist_info))]
    assert not stray
    assert not [name for name in names if "__pycache__" in name]
    assert f"{dist_info}licenses/LICENSE" in names
    assert "scheduler/course/course.yaml" in names
    assert "scheduler/example/clinic.yaml" in names
    assert "scheduler/example/subscribers.yaml" in names
    assert any(name.startswith("scheduler/templates/letters/") for name in names)
    migrations = "scheduler/ledger/migrations/"
    assert any(name.startswith(migrations) and name.endswith(".py") for name in names)


def test_the_source_archive_builds_the_same_wheel(root: Path, wheel: Path, tmp_path: Path) -> None:
    through_the_archive = build(root=root, to=tmp_path)
    assert names_in(through_the_archive) == names_in(wheel)


def build(*only: str, root: Path, to: Path) -> Path:
    """The wheel; without `only`, built from the source archive rather than from the checkout."""
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", to, *only, root],
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [built] = to.glob("*.whl")
    return built


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return sorted(archive.namelist())
