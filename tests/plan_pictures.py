"""The guide's pictures of a plan before and after a hold, made by typing the commands.

.venv/bin/python tests/plan_pictures.py writes them to docs/pictures/.
"""

import io
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "pictures"
HOLD = ["hold", "chloe", "--from", "2026-12-08", "--until", "2026-12-22", "--reason", "on holiday"]
WIDTH = 114
INK, PAPER = (11, 15, 20), (255, 255, 255)
PAGE = """<svg viewBox="0 24 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
font: {char_height}px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}}
{styles}
</style>
<defs>
{lines}
</defs>
<rect y="24" width="100%" height="100%" rx="12" fill="#ffffff"/>
<g transform="translate({terminal_x}, {terminal_y})" class="{unique_id}-matrix">
{matrix}
</g>
</svg>
"""


def pictures() -> dict[str, str]:
    """Each picture's file, and what stands in it."""
    with TemporaryDirectory() as folder:
        typed(folder, "enrol")
        before = typed(folder, "plan", "chloe")
        typed(folder, *HOLD, "--yes")
        after = typed(folder, "plan", "chloe")
    printed = {"plan-before": before, "plan-after": after}
    return {f"{name}.svg": drawn(name, text) for name, text in printed.items()}


def typed(folder: str, *words: str) -> str:
    """What a command prints to a terminal, on the day on which the examples are enrolled."""
    mine = {
        "PYTHONPATH": ROOT,
        "PHYSIOPOST_DATABASE": f"sqlite:///{folder}/ledger.db",
        "PHYSIOPOST_CLINIC": ROOT / "clinic.yaml",
        "PHYSIOPOST_SUBSCRIBERS": ROOT / "subscribers.yaml",
        "COLUMNS": WIDTH,
        "FORCE_COLOR": 1,
        "TERM": "xterm-256color",
    }
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PHYSIOPOST_")}
    done = subprocess.run(
        [sys.executable, "-m", "scheduler", *words, "--now", "2026-11-23T15:00Z"],
        env=kept | {name: str(value) for name, value in mine.items()},
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def drawn(name: str, printed: str) -> str:
    """A terminal as a picture that loads nothing."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(printed.strip("\n")))
    theme = TerminalTheme(PAPER, INK, [INK] * 8)
    svg = console.export_svg(theme=theme, code_format=PAGE, unique_id=name)
    return "\n".join(line.strip() for line in svg.splitlines()) + "\n"


if __name__ == "__main__":
    for file, picture in pictures().items():
        (PICTURES / file).write_text(picture, encoding="utf-8")
