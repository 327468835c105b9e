"""What Chromium and SpamAssassin say of the letters, where they are installed."""

from collections.abc import Callable

import pytest
from conftest import Clinic

from scheduler.checks import browser, spam

Needs = Callable[[str], str]


@pytest.mark.slow
@pytest.mark.browser
def test_axe_finds_nothing_in_any_letter_on_a_phone_in_light_and_dark(
    clinic: Clinic, needs: Needs, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("chromium")
    monkeypatch.setattr(browser, "WIDTHS", {"phone": browser.WIDTHS["phone"]})  # half the time
    said = clinic.physiopost("check", "--browser")
    assert (said.code, said.out.endswith("no findings\n")) == (0, True)


@pytest.mark.browser
def test_axe_finds_a_colour_that_nobody_can_read(needs: Needs) -> None:
    needs("chromium")
    words = '<p style="color:#d0d0d0;background-color:#ffffff">Dear</p>'
    page = f'<html lang="en"><head><title>t</title></head><body>{words}</body></html>'
    faults = [fault for fault in browser.findings({"pale": page}) if "contrast" in fault.words]
    assert len(faults) == 4
    assert faults[0].place == "pale"


@pytest.mark.browser
def test_a_picture_is_written_for_each_letter_and_state(clinic: Clinic, needs: Needs) -> None:
    needs("chromium")
    said = clinic.physiopost("render", "--pictures", "--to", "out", "--lesson", "scans")
    assert said.out == "1 letters in out\n4 pictures in out\n"
    names = sorted(path.name for path in (clinic.folder / "out").glob("*.png"))
    assert names == [
        f"scans-{device}-{scheme}.png"
        for device in ("desktop", "phone")
        for scheme in ("dark", "light")
    ]


def test_without_chromium_it_says_what_to_install(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    for words in (("check", "--browser"), ("render", "--pictures", "--to", "out")):
        said = clinic.physiopost(*words)
        assert (said.code, "install your system's package chromium" in said.err) == (1, True)
    said = clinic.physiopost("check", "--spam")
    assert (said.code, "install your system's package spamassassin" in said.err) == (1, True)


@pytest.mark.slow
def test_spamassassin_has_nothing_against_any_letter(clinic: Clinic, needs: Needs) -> None:
    needs("spamassassin")
    said = clinic.physiopost("check", "--spam")
    assert (said.code, said.out.endswith("no findings\n")) == (0, True)


def test_spamassassin_finds_what_it_is_told_to_find(needs: Needs) -> None:
    needs("spamassassin")
    gtube = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
    letter = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: x\r\n\r\n%s\r\n"
    plain, loud = letter % b"Good morning, and thank you.", letter % gtube
    faults = list(spam.findings({"plain": plain, "loud": loud}))
    assert {fault.place: "GTUBE" in fault.words for fault in faults} == {
        "plain": False,  # it lacks a date and an id
        "loud": True,
    }
