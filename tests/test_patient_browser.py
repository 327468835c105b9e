"""A patient's own pages in Chromium: on a phone, with JavaScript off and on, at 400 % zoom."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import pytest
from playwright.sync_api import Browser, Page, expect
from test_patient_pages import Letterbox
from test_screens import ROSA, Screens, screens, seed
from test_screens_browser import PHONE, WAYS, chromium, opened, violations, window

from scheduler.web.server import served

__all__ = ["chromium", "screens", "seed"]  # fixtures that these tests share

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ZOOMED = 320  # 1280 pixels at 400 %
WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@contextmanager
def at_home(
    screens: Screens, chromium: Browser, width: int, *, script: bool, scheme: str = "light"
) -> Iterator[tuple[Page, str, Letterbox]]:
    """A browser that has never been here, the address of the service, and Amy's link."""
    amy = Letterbox(screens)
    with (
        served(screens.app, "127.0.0.1", 0) as base,
        window(chromium, width, scheme, script=script) as page,
    ):
        yield page, base, amy
        assert page.context.cookies() == []


@WAYS
def test_a_patient_pauses_and_starts_again(
    screens: Screens, chromium: Browser, width: int, script: bool
) -> None:
    with at_home(screens, chromium, width, script=script) as (page, base, amy):
        before = amy.dates()
        page.goto(base + amy.address.replace("/letters/", "/stop/"))
        page.get_by_role("link", name="pause them").click()
        page.get_by_role("button", name="For two weeks").click()
        expect(page.get_by_text("7 letters move 14 days later.")).to_be_visible()
        assert amy.dates() == before
        page.get_by_role("button", name="Pause the letters").click()
        expect(page.get_by_role("status")).to_contain_text("Your letters are paused.")
        assert amy.dates()[0] == date(2026, 12, 15)
        page.get_by_role("button", name="Start the letters again").click()
        page.get_by_role("button", name="Start them again").click()
        expect(page.get_by_role("status")).to_contain_text("Your letters go on.")
        assert amy.dates() == before


@WAYS
def test_a_patient_changes_when_letters_come_and_how_they_look(
    screens: Screens, chromium: Browser, width: int, script: bool
) -> None:
    with at_home(screens, chromium, width, script=script) as (page, base, amy):
        page.goto(base + amy.address)
        page.get_by_label("On another day of the week").select_option("Thursday")
        page.get_by_role("button", name="Show the dates").first.click()
        page.get_by_role("button", name="Change the day").click()
        page.get_by_label("At another time of day").fill("18:15")
        page.get_by_role("button", name="Show the dates").last.click()
        page.get_by_role("button", name="Change the time").click()
        expect(page.get_by_text("Thursday 3 December 2026 at 18:15")).to_be_visible()
        page.get_by_label("In large print").check()
        page.get_by_role("button", name="Keep this").click()
        expect(page.get_by_role("status")).to_contain_text("Your next letter comes that way.")
        expect(page.get_by_label("In large print")).to_be_checked()


@WAYS
def test_a_patient_stops_the_letters_by_the_page(
    screens: Screens, chromium: Browser, width: int, script: bool
) -> None:
    with at_home(screens, chromium, width, script=script) as (page, base, amy):
        page.goto(base + amy.address)
        page.get_by_role("link", name="Stop these letters").click()
        page.get_by_role("button", name="Stop the letters").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Your letters have stopped")
        assert screens.person("amy").status == "stopped"
        page.goto(base + amy.address)
        page.get_by_role("link", name="welcome letter").click()
        inside = page.frame_locator("iframe").get_by_role("heading", level=1)
        expect(inside).to_have_text("Welcome to your weekly letters")


@pytest.mark.parametrize("width", [PHONE, 1280])
def test_a_mail_programs_own_button_stops_the_letters(
    screens: Screens, chromium: Browser, width: int
) -> None:
    with at_home(screens, chromium, width, script=False) as (page, base, amy):
        stop = base + amy.address.replace("/letters/", "/stop/")
        page.goto(stop)  # a scanner follows the link
        assert screens.person("amy").status == "active"
        answer = page.request.post(stop, form={"List-Unsubscribe": "One-Click"}, max_redirects=0)
        assert answer.status == 200
        assert screens.person("amy").status == "stopped"


@WAYS
def test_a_call_is_asked_for_at_home_and_ticked_at_the_clinic(
    screens: Screens, chromium: Browser, width: int, script: bool
) -> None:
    with at_home(screens, chromium, width, script=script) as (page, base, amy):
        page.goto(base + amy.address)
        alarm = page.get_by_role("heading", name="Emergency: call 999").bounding_box()
        button = page.get_by_role("button", name="Yes, please call me")
        below = button.bounding_box()
        assert alarm
        assert below
        assert alarm["y"] < below["y"]
        button.click()
        expect(page.get_by_role("status")).to_contain_text("The clinic can see it.")
    with opened(screens, chromium, width, script=script) as desk:
        desk.press("Called Amy Okafor")
        expect(desk.page.get_by_role("status")).to_contain_text("they were called")
    assert [line.by for line in amy.lines()[-2:]] == ["the patient", ROSA]


@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "dark"), (1280, "light")])
def test_axe_finds_nothing_on_a_patients_pages_and_none_is_too_wide(
    screens: Screens, chromium: Browser, width: int, scheme: str
) -> None:
    with at_home(screens, chromium, width, script=True, scheme=scheme) as (page, base, amy):
        again = f"/again/{amy.received()[0]}"
        for rest in ("", "/pause?pause=2", "/day?day=3", "?done=pause", "/time?time=no", again):
            page.goto(base + amy.address + rest)
            audit(page, rest)
        amy.post("style", style="plain")
        page.goto(base + amy.address.replace("/letters/", "/stop/"))
        audit(page, "stop")


@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "dark"), (1280, "light")])
def test_axe_finds_nothing_on_the_pages_that_staff_see_of_it(
    screens: Screens, chromium: Browser, width: int, scheme: str
) -> None:
    Letterbox(screens).post("call", call="yes")
    amy = screens.address("amy")
    with opened(screens, chromium, width, scheme) as desk:
        for address in ("/", "/mine", amy, f"{amy}/received"):
            audit(desk.open(address), address)


def test_a_letter_in_large_print_fits_a_small_phone(screens: Screens, chromium: Browser) -> None:
    edition = screens.office.press.edition("scans", True, "large")
    page = chromium.new_page(viewport={"width": ZOOMED, "height": 800})
    page.set_content(edition.html)
    assert page.evaluate(WIDE) == 0
    page.close()


def audit(page: Page, place: str) -> None:
    """No rule of axe is broken, and at 400 % nothing has to be scrolled sideways."""
    found = violations(page)
    assert [(place, each["id"], each["nodes"][0]["html"]) for each in found] == []
    before = page.viewport_size
    assert before
    if before["width"] == PHONE:
        page.set_viewport_size({"width": ZOOMED, "height": 800})
    assert page.evaluate(WIDE) == 0, place
    page.set_viewport_size(before)
