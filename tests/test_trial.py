"""demo and simulate: everybody's nine weeks in seconds, with nothing real touched."""

import json
import time
from pathlib import Path

import pytest
from conftest import Clinic
from playwright.sync_api import sync_playwright


def test_the_demo_shows_everybodys_letters_and_where_to_leaf_through_them(clinic: Clinic) -> None:
    began = time.monotonic()
    said = clinic.physiopost("demo")
    assert said.code == 0
    assert time.monotonic() - began < 30
    assert "62 letters to 8 people" in said.out
    assert "Leaf through them: var/demo/index.html" in said.out
    amy = said.out[said.out.index("Amy Okafor") : said.out.index("Ben Hughes")]
    assert [line[:40].split()[1:6] for line in amy.split("\n") if " sent " in line][:2] == [
        ["sent", "Tue", "17", "Nov", "2026"],
        ["sent", "Tue", "24", "Nov", "2026"],
    ]
    assert amy.count(" sent ") == 9
    assert not (clinic.folder / "var" / "physiopost.db").exists()


def test_a_simulation_can_be_repeated_and_comes_out_the_same(clinic: Clinic) -> None:
    first = clinic.physiopost("demo").out
    assert clinic.physiopost("demo").out == first


def test_a_simulation_clears_away_nothing_but_an_earlier_simulation(clinic: Clinic) -> None:
    (clinic.folder / "thesis").mkdir()
    clinic.write("thesis/chapter.txt", "years of work")
    said = clinic.physiopost("simulate", "--to", "thesis")
    assert (said.code, "holds something" in said.err) == (2, True)
    assert (clinic.folder / "thesis" / "chapter.txt").read_text() == "years of work"


def test_a_simulation_can_begin_on_a_day_and_last_some_weeks(clinic: Clinic) -> None:
    said = clinic.physiopost("simulate", "--from", "2026-11-23", "--weeks", "2", "--to", "sim")
    assert said.code == 0
    letters = list((clinic.folder / "sim" / "new").glob("*.eml"))
    assert len(letters) == 13  # two letters each to six people, one to Chloé
    assert "Mon 23 Nov 2026 to Mon 7 Dec 2026" in said.out


def test_what_was_simulated_is_what_the_service_then_does(clinic: Clinic) -> None:
    clinic.physiopost("demo")
    clinic.physiopost("enrol", "--now", "2026-11-16T12:00Z")
    planned = json.loads(clinic.physiopost("plan", "amy", "--json").out)[0]["letters"]
    demo = clinic.physiopost("demo").out
    for letter in planned[1:]:
        assert letter["local"][8:10].lstrip("0") in demo


@pytest.mark.slow
@pytest.mark.browser
def test_the_gallery_opens_in_a_browser_and_shows_the_letter_that_is_picked(
    clinic: Clinic, needs: object
) -> None:
    chromium = needs("chromium")  # type: ignore[operator]
    clinic.physiopost("demo")
    index = Path("var/demo/index.html").resolve().as_uri()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
        for width in (375, 1280):
            page = browser.new_page(viewport={"width": width, "height": 800})
            page.goto(index)
            assert page.locator("a.letter").count() == 62
            assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
            page.locator("a.letter").nth(3).click()
            heading = page.frame_locator("iframe").locator("h1")
            assert heading.inner_text() == "Rest and staying active"
        browser.close()


CHROMIUM = [
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
