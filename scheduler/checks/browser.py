"""What only a browser sees: axe-core's verdict on each letter, and pictures to look at.

Each letter is opened in Chromium, offline, on a phone's and a desktop's width, light and dark. The
two rules of axe-core that want a web page's landmarks are off: a mail program has its own.
"""

import shutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

from scheduler.findings import Finding, NotDone

WIDTHS = {"phone": 375, "desktop": 640}
SCHEMES = ("light", "dark")
OFF = {rule: {"enabled": False} for rule in ("landmark-one-main", "region")}
FAULTS = ["violations"]  # not what passed: that is most of the time
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = [
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


def findings(letters: Mapping[str, str]) -> Iterator[Finding]:
    """What axe-core finds in letters (HTML by name), in four states; NotDone without Chromium."""
    axe = _package("axe_playwright_python.sync_playwright", "axe-core").Axe()
    for name, state, page in _opened(letters):
        found = axe.run(page, options={"rules": OFF, "resultTypes": FAULTS}).response
        for fault in found["violations"]:
            where = fault["nodes"][0]["html"][:80]
            words = f"{state}: {fault['help']} ({fault['id']}) at {where}"
            yield Finding(name, None, words, fault["helpUrl"].partition("?")[0], "axe")


def pictures(letters: Mapping[str, str], folder: Path) -> int:
    """Write NAME-phone-light.png and the like; gives how many. NotDone without Chromium."""
    number = 0
    for name, state, page in _opened(letters):
        page.screenshot(path=folder / f"{name}-{state}.png", full_page=True)
        number += 1
    return number


def _opened(letters: Mapping[str, str]) -> Iterator[tuple[str, str, Any]]:
    """Each letter in each state, on a page of a browser."""
    package = _package("playwright.sync_api", "a browser")
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise NotDone("Chromium is needed for this: install your system's package chromium")
    with package.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=SWITCHES)
        for (device, width), scheme in product(WIDTHS.items(), SCHEMES):
            viewport = {"width": width, "height": 900}
            context = browser.new_context(color_scheme=scheme, viewport=viewport, offline=True)
            page = context.new_page()
            for name, html in letters.items():
                page.set_content(html)
                yield name, f"{device}-{scheme}", page
            context.close()
        browser.close()


def _package(name: str, what: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        words = f"{what} is needed for this: pip install 'physiopost[browser]'"
        raise NotDone(words) from None
