"""What only a browser sees: axe-core's verdict on each letter, and pictures to look at.

Each letter is opened in Chromium, offline, on a phone's and a desktop's width, light and dark. The
two rules of axe-core that want a web page's landmarks are off: a mail program has its own.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from scheduler.findings import Finding, NotDone

if TYPE_CHECKING:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import Browser, Page

RULES = {"axe": "a rule of WCAG that axe-core can decide"}
WIDTHS = {"phone": 375, "desktop": 640}
SCHEMES = ("light", "dark")
OFF = {rule: {"enabled": False} for rule in ("landmark-one-main", "region")}
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = [
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


def findings(letters: Mapping[str, str]) -> Iterator[Finding]:
    """What axe-core finds in each letter (HTML by name), in four states.

    Raises:
        NotDone: Chromium or a package is not installed.

    """
    with _chromium() as browser:
        axe = _axe()
        for name, state, page in _opened(browser, letters):
            result = axe.run(page, options={"rules": OFF})
            for fault in result.response["violations"]:
                where = fault["nodes"][0]["html"][:80]
                words = f"{state}: {fault['help']} ({fault['id']}) at {where}"
                yield Finding(name, None, words, fault["helpUrl"].partition("?")[0], "axe")


def pictures(letters: Mapping[str, str], folder: Path) -> int:
    """Write NAME-phone-light.png and the like; gives how many.

    Raises:
        NotDone: Chromium or a package is not installed.

    """
    number = 0
    with _chromium() as browser:
        for name, state, page in _opened(browser, letters):
            page.screenshot(path=folder / f"{name}-{state}.png", full_page=True)
            number += 1
    return number


def _opened(browser: "Browser", letters: Mapping[str, str]) -> "Iterator[tuple[str, str, Page]]":
    for device, width in WIDTHS.items():
        for scheme in SCHEMES:
            context = browser.new_context(
                color_scheme="dark" if scheme == "dark" else "light",
                viewport={"width": width, "height": 900},
                offline=True,
            )
            page = context.new_page()
            for name, html in letters.items():
                page.set_content(html)
                yield name, f"{device}-{scheme}", page
            context.close()


@contextmanager
def _chromium() -> "Iterator[Browser]":
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise NotDone("a browser is needed for this: pip install 'physiopost[browser]'") from None
    if program is None:
        raise NotDone("Chromium is needed for this: install your system's package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=SWITCHES)
        yield browser
        browser.close()


def _axe() -> "Axe":
    try:
        from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise NotDone("axe-core is needed for this: pip install 'physiopost[browser]'") from None
    return Axe()
