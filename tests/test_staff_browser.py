"""The pages about staff, audit and health in Chromium: a second factor end to end, and axe."""

from datetime import timedelta

import pytest
from playwright.sync_api import Browser, expect
from pyotp import TOTP
from test_screens import PASSWORD, Screens, screens, seed
from test_screens_browser import BOTH, DESK, NARROW, PHONE, Desk, chromium, opened, violations

from scheduler.web.gate import COOKIE

__all__ = ["chromium", "screens", "seed"]  # fixtures of test_screens.py and its browser
pytestmark = [pytest.mark.browser, pytest.mark.slow]
ALEX = "alex@harbour-physio.example.org"
WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def as_admin(desk: Desk) -> None:
    """Another session in the same browser."""
    cookie = desk.screens.sign_in("admin", ALEX)
    desk.page.context.add_cookies(
        [
            {
                "name": COOKIE,
                "value": cookie,
                "url": desk.base.replace("http:", "https:"),
                "secure": True,
                "httpOnly": True,
                "sameSite": "Lax",
            }
        ]
    )


@BOTH
def test_a_second_factor_is_set_up_and_asked_for(
    screens: Screens, chromium: Browser, width: int
) -> None:
    with opened(screens, chromium, width, script=False) as desk:
        as_admin(desk)
        page = desk.open("/staff")
        desk.press("Ask everybody for it")
        expect(page.get_by_role("heading", level=1)).to_have_text("Set up a second factor")
        expect(page.get_by_alt_text("A picture that an authenticator app reads")).to_be_visible()
        key = TOTP(page.locator("code.key").inner_text().replace(" ", ""))
        page.get_by_label("The code that the app shows").fill(key.at(screens.now))
        page.get_by_label("Your password").fill(PASSWORD)
        desk.press("Set it up")
        expect(page.get_by_role("status")).to_contain_text("with your password and a code")
        desk.press("Sign out everywhere")
        page.get_by_label("E-mail address").fill(ALEX)
        page.get_by_label("Password").fill(PASSWORD)
        desk.press("Sign in")
        screens.now += timedelta(seconds=30)
        page.get_by_label("Code").fill("000000")
        desk.press("Sign in")
        expect(page.get_by_role("alert")).to_contain_text("This code is not right")
        page.get_by_label("Code").fill(key.at(screens.now))
        desk.press("Sign in")
        expect(page.get_by_role("heading", level=1)).to_have_text("Tuesday 1 December 2026")


def go(desk: Desk, place: str) -> None:
    """Open a page, or what a button on it leads to."""
    address, _, then = place.partition("#")
    page = desk.open(address)
    match then:
        case "invite":
            page.get_by_label("Name, as colleagues know them").fill("Tom Ellis")
            page.get_by_label("E-mail address").fill("tom@harbour-physio.example.org")
            page.get_by_label("Technician").check()
            desk.press("Make the link")
            expect(page.get_by_role("status")).to_contain_text("A link for Tom Ellis")
        case "end":
            desk.press("Let in no more for Rosa Green")
            expect(page.get_by_role("heading", level=1)).to_have_text("Let in no more")
        case "fault" if address == "/account":
            page.get_by_label("Your present password").fill("guess")
            page.get_by_label("New password").fill("guess")
            desk.press("Change it")
            expect(page.get_by_role("alert")).to_contain_text("not your present password")


PLACES = (
    *("/account", "/account/second-factor", "/staff", "/health", "/staff#invite"),
    *("/staff#end", "/account#fault", "/audit"),
)


@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "dark"), (DESK, "light")])
def test_axe_finds_nothing_there_and_no_page_is_too_wide(
    screens: Screens, chromium: Browser, width: int, scheme: str
) -> None:
    with opened(screens, chromium, width, scheme) as desk:
        desk.open(screens.address("amy"))  # so that the audit has a look at a patient
        as_admin(desk)
        for place in PLACES:
            go(desk, place)
            found = violations(desk.page)
            assert [(place, each["id"], each["nodes"][0]["html"]) for each in found] == []
            if width == PHONE:
                desk.page.set_viewport_size({"width": NARROW, "height": 800})
            assert desk.page.evaluate(WIDE) == 0, place
