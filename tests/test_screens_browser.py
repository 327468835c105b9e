"""The clinic's screens in Chromium: journeys on a phone and a desk, with JavaScript and without."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Page,
    expect,
    sync_playwright,
)
from test_screens import PASSWORD, ROSA, Screens, enrolled_by_the_file, screens, seed

from scheduler.checks.browser import SWITCHES
from scheduler.findings import wrong
from scheduler.ledger import facts
from scheduler.roster.watch import AS_JSON, WAITS, Waiting
from scheduler.web.gate import COOKIE
from scheduler.web.server import served

__all__ = ["screens", "seed"]  # fixtures that these tests share with test_screens.py

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PHONE, DESK, NARROW = 360, 1280, 320
BOTH = pytest.mark.parametrize("width", [PHONE, DESK])
WAYS = pytest.mark.parametrize(("width", "script"), [(PHONE, False), (DESK, True)])
LIVE = pytest.mark.parametrize(  # where something follows what is typed
    ("width", "script"), [(PHONE, True), (PHONE, False), (DESK, True)]
)


@pytest.fixture(scope="module")
def chromium(needs: Callable[[str], str]) -> Iterator[Browser]:
    program = needs("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=SWITCHES)
        yield browser
        browser.close()


@dataclass
class Desk:
    """A browser at the clinic, signed in."""

    screens: Screens
    page: Page
    base: str

    def open(self, address: str) -> Page:
        self.page.goto(self.base + address)
        return self.page

    def press(self, words: str) -> None:
        self.page.get_by_role("button", name=words).first.click()

    def turn(self, words: str) -> None:
        """Go to a page by its name; on a phone most wait behind "More"."""
        link = self.page.get_by_label("Pages").get_by_role("link", name=words, exact=True)
        if not link.is_visible():
            self.page.get_by_text("More", exact=True).click()
        link.click()


IDLE: dict[tuple[Browser, bool], Page] = {}


@contextmanager
def window(browser: Browser, width: int, scheme: str = "light", *, script: bool) -> Iterator[Page]:
    """A browser that has never been here, and that in the end complains of nothing.

    A new window takes Chromium as long as ten pages, so one is used again, without its cookies;
    but not after a test that failed.
    """
    page = IDLE.pop((browser, script), None)
    if page is None:
        page = browser.new_context(java_script_enabled=script, locale="en-GB").new_page()
        page.set_default_timeout(5000)
    faults: list[str] = []

    def erred(error: Error) -> None:
        faults.append(str(error))

    def told(said: ConsoleMessage) -> None:
        if "olicy" in said.text:
            faults.append(said.text)

    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.on("pageerror", erred)
    page.on("console", told)
    yield page
    page.goto("about:blank")
    page.remove_listener("pageerror", erred)
    page.remove_listener("console", told)
    page.context.clear_cookies()
    assert faults == []
    IDLE[browser, script] = page


def violations(page: Page) -> list[dict[str, Any]]:
    """What axe-core finds; a letter in a frame has a check of its own."""
    asked = {"iframes": False, "resultTypes": ["violations"]}
    found: list[dict[str, Any]] = Axe().run(page, options=asked).response["violations"]
    return found


@contextmanager
def opened(
    screens: Screens, browser: Browser, width: int, scheme: str = "light", *, script: bool = True
) -> Iterator[Desk]:
    with (
        served(screens.app, "127.0.0.1", 0) as base,
        window(browser, width, scheme, script=script) as page,
    ):
        cookie = screens.sign_in("physiotherapist")
        page.context.add_cookies(
            [
                {
                    "name": COOKIE,
                    "value": cookie,
                    "url": base.replace("http:", "https:"),  # this machine counts as safe
                    "secure": True,
                    "httpOnly": True,
                    "sameSite": "Lax",
                }
            ]
        )
        page.goto(base)
        expect(page.get_by_role("heading", level=1)).to_have_text("Tuesday 1 December 2026")
        yield Desk(screens, page, base)


def test_one_signs_in_and_out(screens: Screens, chromium: Browser) -> None:
    with opened(screens, chromium, PHONE, script=False) as desk:
        desk.press("Sign out")
        desk.page.get_by_label("E-mail address").fill(ROSA)
        desk.page.get_by_label("Password").fill(PASSWORD)
        desk.press("Sign in")
        expect(desk.page.get_by_role("heading", level=1)).to_have_text("Tuesday 1 December 2026")


def test_on_a_phone_the_pages_take_one_row_and_the_rest_wait_behind_more(
    screens: Screens, chromium: Browser
) -> None:
    with opened(screens, chromium, NARROW, script=False) as desk:
        bar = desk.page.get_by_label("Pages")
        box = bar.bounding_box()
        assert box
        assert box["height"] < 60  # one row of 44 pixels
        assert bar.get_by_role("link").all_inner_texts() == ["Today", "Caseload", "People"]
        for words in ("Enrol", "Import", "Course", "Post", "Health"):
            desk.turn(words)
            expect(bar.locator("summary.here")).to_have_text("More")
            assert desk.page.url != desk.base


@LIVE
def test_somebody_is_enrolled(
    screens: Screens, chromium: Browser, width: int, script: bool
) -> None:
    with opened(screens, chromium, width, script=script) as desk:
        page = desk.page
        page.get_by_role("link", name="Enrol somebody").click()
        desk.press("Show every date")
        expect(page.get_by_role("alert")).to_contain_text("3 things are to be mended")
        page.get_by_label("Name", exact=True).fill("Jo Example")
        page.get_by_label("E-mail address").fill("jo@example.org")
        page.get_by_label("First appointment").fill("2026-12-01")
        if script:
            expect(page.get_by_text("Tuesday 1 December 2026").first).to_be_visible()
        desk.press("Show every date")
        expect(page.locator(".plan li")).to_have_count(9)
        desk.press("Enrol; first letter Wed 2 Dec 2026")
        said = page.get_by_role("status")
        expect(said).to_contain_text("The first letter comes Wed 2 Dec 2026 at 09:30.")
        page.get_by_role("link", name="Take it back").click()
        desk.press("Take it back")
        expect(page.get_by_role("status").first).to_contain_text("Taken back")


@LIVE
def test_the_dates_follow_while_a_start_is_picked(
    screens: Screens, chromium: Browser, width: int, script: bool
) -> None:
    with opened(screens, chromium, width, script=script) as desk:
        page = desk.open(screens.address("amy"))
        page.get_by_role("link", name="Move the start").click()
        page.wait_for_load_state()  # what follows the fields is there once the page is whole
        there = page.url

        def pick(day: str) -> None:
            page.get_by_label("The course counts from").fill(day)
            if not script:
                desk.press("Show the new dates")

        # What a screen reader says as it changes; without a script the page is a new one.
        told = page.get_by_role("status") if script else page.locator("[data-told]")
        pick("2026-12-07")
        expect(told).to_contain_text("7 letters move 21 days later.")
        pick("2026-11-30")
        expect(told).to_contain_text("7 letters move 14 days later. The next comes Tue 15 Dec 2026")
        pick("2026-11-01")
        expect(page.get_by_role("alert")).to_contain_text("is before the first appointment")
        pick("2026-11-30")
        expect(told).to_contain_text("14 days later")
        assert page.url == there
        assert screens.person("amy").start is None
        page.locator("#proposal").get_by_role("button", name="Move the start").click()
        expect(page.get_by_role("status")).to_contain_text("Done. 7 letters move 14 days later.")
        assert screens.person("amy").start == date(2026, 11, 30)


@LIVE
def test_a_hold_is_set_and_ended_and_brought_back(
    screens: Screens, chromium: Browser, width: int, script: bool
) -> None:
    with opened(screens, chromium, width, script=script) as desk:
        page = desk.open(screens.address("amy"))
        page.get_by_role("link", name="Hold", exact=True).click()
        page.wait_for_load_state()
        page.get_by_label("Until").fill("2026-12-15")
        page.get_by_label("Reason, for staff").fill("flare-up")
        if not script:
            desk.press("Show the new dates")
        expect(page.locator("[data-told]")).to_contain_text("The next comes Tue 15 Dec 2026 09:30")
        desk.press("Hold the letters")
        expect(page.get_by_role("status")).to_contain_text("Done.")
        held = screens.person("amy").hold
        assert [each.reason for each in held] == ["flare-up"]
        page.get_by_role("link", name="Resume").click()
        desk.press("Resume the letters")
        assert screens.person("amy").hold == ()
        page.get_by_role("link", name="Undo the last change").click()
        desk.press("Take it back")
        expect(page.get_by_role("status")).to_contain_text("Taken back.")
        assert screens.person("amy").hold == held


@WAYS
def test_a_letter_in_doubt_is_settled_on_the_first_page(
    screens: Screens, chromium: Browser, width: int, script: bool
) -> None:
    screens.doubt("amy", "what-it-is")
    with opened(screens, chromium, width, script=script) as desk:
        desk.press("It arrived for Amy Okafor")
        expect(desk.page.get_by_role("status")).to_contain_text("Written down: it arrived.")
        expect(desk.page.get_by_text("Nothing. Nobody is behind")).to_be_visible()
    assert screens.states("amy")["what-it-is"] == "accepted"


@BOTH
def test_the_search_answers_while_it_is_typed(
    screens: Screens, chromium: Browser, width: int
) -> None:
    with opened(screens, chromium, width) as desk:
        page = desk.open("/people")
        page.keyboard.press("/")
        page.keyboard.type("chloe")
        expect(page.get_by_role("status")).to_contain_text("1 person")
        assert page.url == f"{desk.base}/people"
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Chloé Martin")


def test_a_letter_that_was_received_shows_in_its_own_colours(
    screens: Screens, chromium: Browser
) -> None:
    with opened(screens, chromium, DESK) as desk:
        page = desk.open(screens.address("amy"))
        page.get_by_role("link", name="Show what was received").first.click()
        frame = page.frame_locator("iframe.letter")
        expect(frame.get_by_role("heading", level=1)).to_have_text("Welcome to your weekly letters")
        painted = "element => getComputedStyle(element).fontFamily"
        assert "Times" not in str(frame.get_by_role("heading", level=1).evaluate(painted))


@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "dark"), (DESK, "light")])
def test_axe_finds_nothing_on_any_page_and_none_is_too_wide(
    screens: Screens, chromium: Browser, width: int, scheme: str
) -> None:
    screens.doubt("amy", "what-it-is")
    enrolled_by_the_file(screens)
    faults = wrong("subscribers.yaml", 25, "name is missing", "add a name").findings
    with screens.office.database.write() as db:
        waits = AS_JSON.dump_json(Waiting("subscribers.yaml", faults, 9))
        facts.put(db, WAITS, waits.decode())
    amy = screens.address("amy")
    pages = ("/", "/people", "/people/new", amy, f"{amy}/hold", f"{amy}/end", f"{amy}/undo")
    with opened(screens, chromium, width, scheme) as desk:
        for address in (*pages, f"{amy}/received/welcome"):
            page = desk.open(address)
            if width == PHONE:
                page.get_by_text("More", exact=True).click()
            if address.endswith("/hold"):
                page.get_by_label("Until").fill("2026-12-15")
                expect(page.locator(".dates")).to_be_visible()
            if address.endswith("/new"):
                desk.press("Show every date")
            found = violations(page)
            assert [(address, each["id"], each["nodes"][0]["html"]) for each in found] == []
            if width == PHONE:
                page.set_viewport_size({"width": NARROW, "height": 800})
            wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.evaluate(wide) == 0, address
