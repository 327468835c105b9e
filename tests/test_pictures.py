"""The pictures of the screens: they can be taken, they show what is shown, and they are small."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser
from screen_pictures import PICTURES, pictures
from test_screens_browser import chromium

__all__ = ["chromium"]  # a fixture that these tests share with others
pytestmark = pytest.mark.browser
SMALL = 150_000


def test_the_pictures_of_the_screens_are_taken_of_the_pages_as_they_are(
    chromium: Browser, tmp_path: Path
) -> None:
    """If this fails, look at them: .venv/bin/python tests/screen_pictures.py."""
    pictures(chromium, tmp_path)
    taken = {path.name: path.read_bytes() for path in tmp_path.glob("*.png")}
    assert len(taken) == 6
    for name, picture in taken.items():
        kept = (PICTURES / name).read_bytes()
        assert picture[:24] == kept[:24], name  # a PNG of the same size
        assert 0.8 < len(picture) / len(kept) < 1.25, name  # other fonts differ by less


def test_no_picture_in_the_documents_is_large() -> None:
    large = [path.name for path in PICTURES.glob("*") if path.stat().st_size > SMALL]
    assert large == []
