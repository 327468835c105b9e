"""Import, the course and the post in Chromium: on a phone and on a desk, with and without scripts.

The frames of letters are left to the checks of the letters themselves.
"""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from test_course_screen import course, screens, states
from test_screens import Screens, seed
from test_screens_browser import BOTH, DESK, NARROW, PHONE, WAYS, chromium, opened, violations

__all__ = ["chromium", "screens", "seed"]  # fixtures that these tests share with others

pytestmark = [pytest.mark.browser, pytest.mark.slow]
FILE = """\
Ref,Full name,E-mail,First appointment
P1,Jo Example,jo@example.org,30/11/2026
P2,Kim Sample,kim at example.org,01/12/2026
P3,Lou Model,lou@example.org,01/12/2026
"""
WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def dropped(page: Page, folder: Path, text: str = FILE) -> None:
    """Choose a file, and have it looked at."""
    (folder / "people.csv").write_text(text, encoding="utf-8")
    page.get_by_label("One or two files").set_input_files(folder / "people.csv")
    page.get_by_role("button", name="Show what it would do").click()


def answered(page: Page) -> None:
    """Say which column is which."""
    expect(page.get_by_role("heading", level=1)).to_have_text("Which column is which?")
    page.get_by_label("All of them on").fill("2026-12-01")
    page.get_by_label("Number of the patient").select_option("Ref")
    page.get_by_role("button", name="Show what it would do").click()


@WAYS
def test_a_file_with_a_wrong_row_is_imported_and_taken_back(
    screens: Screens, chromium: Browser, tmp_path: Path, width: int, script: bool
) -> None:
    with opened(screens, chromium, width, script=script) as desk:
        page = desk.page
        desk.turn("Import")
        dropped(page, tmp_path)
        answered(page)
        expect(page.get_by_role("heading", name="1 to be mended")).to_be_visible()
        with page.expect_download() as saved:
            page.get_by_role("button", name="Save the row to be mended").click()
        assert "kim at example.org" in saved.value.path().read_text(encoding="utf-8-sig")
        desk.press("Enrol 2 people; the first letter goes Tue 1 Dec 2026 09:30")
        expect(page.get_by_role("heading", level=1)).to_have_text("2 people enrolled")
        assert screens.person("P3").name == "Lou Model"
        assert re.search(r"/people/import/import-20261201-[0-9a-f]{4}$", page.url)
        desk.press("Take the whole import back")
        expect(page.get_by_role("status")).to_contain_text("Taken back")
        page.get_by_role("link", name="To the people").click()
        expect(page.get_by_text("Lou Model")).to_have_count(0)


@WAYS
def test_a_letter_is_read_and_signed(
    screens: Screens, chromium: Browser, width: int, script: bool
) -> None:
    with opened(screens, chromium, width, script=script) as desk:
        page = desk.page
        desk.turn("Course")
        page.get_by_role("link", name="Week 1").click()
        page.get_by_role("link", name="Plain text").click()
        frame = page.frame_locator("iframe.letter")
        expect(frame.locator("pre")).to_contain_text("Dear Sam")
        page.get_by_role("link", name="Read and sign").click()
        expect(page.frame_locator("iframe.letter").get_by_role("heading", level=1)).to_be_visible()
        page.get_by_label("Your registration number").fill("PH123456")
        page.get_by_label("I am Rosa Green, a registered physiotherapist").check()
        desk.press("Sign this letter")
        expect(page.get_by_role("status")).to_contain_text("Signed. Thank you.")
        expect(page.locator(".course li").nth(1)).to_contain_text("Signed by Rosa Green (PH123456)")
        assert states(screens)["what-it-is"] == "signed"
        assert "PH123456" in (course(screens) / "signoff.yaml").read_text(encoding="utf-8")


@BOTH
def test_a_day_is_picked_and_its_post_shown(
    screens: Screens, chromium: Browser, width: int
) -> None:
    with opened(screens, chromium, width, script=False) as desk:
        page = desk.page
        desk.turn("Post")
        page.get_by_label("Day").fill("2026-12-04")
        desk.press("Show this day")
        expect(page.get_by_role("heading", level=1)).to_have_text(
            "The post of Friday 4 December 2026"
        )
        page.get_by_role("link", name="Ben Hughes").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Ben Hughes")


@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "dark"), (DESK, "light")])
def test_axe_finds_nothing_on_these_pages_and_none_is_too_wide(
    screens: Screens, chromium: Browser, tmp_path: Path, width: int, scheme: str
) -> None:
    with opened(screens, chromium, width, scheme) as desk:
        page = desk.page

        def clean(name: str) -> None:
            found = violations(page)
            assert [(name, each["id"], each["nodes"][0]["html"]) for each in found] == []
            if width == PHONE:
                page.set_viewport_size({"width": NARROW, "height": 800})
            assert page.evaluate(WIDE) == 0, name
            page.set_viewport_size({"width": width, "height": 800})

        addresses = ("/course", "/course/welcome", "/course/blocks", "/course/welcome/sign")
        for address in (*addresses, "/course/evidence", "/post", "/post?day=2026-12-25"):
            desk.open(address)
            clean(address)
        desk.open("/people/import")
        clean("import")
        dropped(page, tmp_path)
        clean("columns")
        answered(page)
        clean("look")
        desk.press("Enrol 2 people")
        clean("done")
        desk.open("/people/import")
        dropped(page, tmp_path, "nothing")
        clean("refused")
