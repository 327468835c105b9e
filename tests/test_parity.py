"""Our MJML compiler and the reference one, mjml for Node, make the same letter to the pixel.

For developers; nothing that we ship needs Node. PHYSIOPOST_MJML names the program, else it is
sought on the path. Without it this is skipped, under CI too: it compares two compilers, and the
letters themselves are looked at elsewhere.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from scheduler.checks.browser import SWITCHES
from scheduler.letters.editions import Press
from scheduler.material import Material

REFERENCE = shutil.which(os.environ.get("PHYSIOPOST_MJML", "mjml"))


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.skipif(REFERENCE is None, reason="mjml for Node is not installed here (optional)")
def test_every_letter_is_the_same_to_the_pixel_from_either_compiler(
    material: Material, root: Path, tmp_path: Path, needs: Callable[[str], str]
) -> None:
    chromium, press = needs("chromium"), Press(material, root / "templates")
    editions = {f"{edition.lesson}{at % 2}": edition for at, edition in enumerate(press.all())}
    for name, edition in editions.items():
        source = press.source(edition.lesson, noted=name.endswith("1"))
        (tmp_path / f"{name}.mjml").write_text(source, encoding="utf-8")
    sources = sorted(tmp_path.glob("*.mjml"))
    subprocess.run([str(REFERENCE), *sources, "-o", tmp_path], check=True, timeout=300)
    different = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=SWITCHES)
        for scheme, width in product(("light", "dark"), (375, 640, 900)):
            page = browser.new_page(viewport={"width": width, "height": 900})
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            for name, edition in editions.items():
                page.set_content(edition.html)
                ours = page.screenshot(full_page=True)
                page.set_content((tmp_path / f"{name}.html").read_text(encoding="utf-8"))
                if page.screenshot(full_page=True) != ours:
                    different.append((name, scheme, width))
            page.close()
        browser.close()
    assert different == []
