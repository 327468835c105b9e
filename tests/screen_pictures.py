"""The pictures of the screens in the README and the guides, taken from the real pages.

.venv/bin/python tests/screen_pictures.py writes them to docs/pictures/; with FILE.png it only makes
that one smaller. The day is always the same, and so is each picture. None has over 256 colours.
"""

import base64
import struct
import sys
import tempfile
import zlib
from datetime import date
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright
from test_paperwork_browser import answered, dropped
from test_screens import JO, TODAY, Screens, open_office, stage
from test_screens_browser import opened

from scheduler.checks.browser import SWITCHES
from scheduler.material import read_material
from scheduler.settings import Settings
from scheduler.web.app import create

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "pictures"
NAMES = ("Alex Moor", "Jo Winters", "Priya Rao", "Sam Green", "Noor Khan", "Mia Evans", "Ivo Silva")
EXPORT = """\
Ref,Full name,E-mail,First appointment
P1,Jo Example,jo@example.org,30/11/2026
P2,Kim Sample,kim at example.org,01/12/2026
P3,Lou Model,lou@example.org,01/12/2026
P4,Max Pattern,max@example.org,02/12/2026
"""
FEWER_COLOURS = """async picture => {
  const image = new Image();
  image.src = "data:image/png;base64," + picture;
  await image.decode();
  const { width, height } = image, place = document.createElement("canvas").getContext("2d");
  [place.canvas.width, place.canvas.height] = [width, height];
  place.drawImage(image, 0, 0);
  const pixels = new Uint32Array(place.getImageData(0, 0, width, height).data.buffer);
  const often = new Map();
  for (const pixel of pixels) often.set(pixel, (often.get(pixel) ?? 0) + 1);
  const parts = pixel => [pixel & 255, pixel >> 8 & 255, pixel >> 16 & 255];
  const all = [...often.keys()].sort((one, other) => often.get(other) - often.get(one));
  const colours = all.slice(0, 256).map(parts), nearest = new Map();
  for (const pixel of all) {
    const [red, green, blue] = parts(pixel);
    const far = colours.map(([r, g, b]) => (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2);
    nearest.set(pixel, far.indexOf(Math.min(...far)));
  }
  return { width, height, colours: colours.flat(), rows: Array.from(
    { length: height }, (_, row) => btoa(String.fromCharCode(
      ...pixels.subarray(row * width, (row + 1) * width).values().map(each => nearest.get(each)))))
  };
}"""


def pictures(browser: Browser, folder: Path) -> None:
    """Take them all."""
    places = {"PHYSIOPOST_CLINIC": str(ROOT / "clinic.yaml")}
    material = read_material(Settings.from_environment(places))
    with tempfile.TemporaryDirectory() as place:
        stage(Path(place), material)
        office = open_office(Path(place), material, lambda: TODAY)
        app = create(office)
        shown = Screens(office, app, app.test_client())
        shown.sign_in("physiotherapist")
        _busy(shown)
        with opened(shown, browser, 1180) as desk:
            _take(desk.open("/"), folder / "today.png", 920)
            _take(desk.open(shown.address("elif")), folder / "patient.png", 1240)
            page = desk.open("/people/import")
            dropped(page, Path(place), EXPORT)
            answered(page)
            _take(page, folder / "import.png", 640)
            _take(desk.open("/course"), folder / "course.png", 640)
            _take(desk.open("/health"), folder / "health.png", 560)
        token = office.keys.stop_url(shown.person("amy").enrolment_id).rpartition("/")[2]
        with opened(shown, browser, 390) as phone:
            _take(phone.open(f"/letters/{token}"), folder / "patients-page.png", 844)
        office.database.close()


def _busy(shown: Screens) -> None:
    """A clinic with some more people, a letter in doubt, two holds, and somebody to call."""
    for number, name in enumerate(NAMES * 3):
        day = date(2026, 12, 1 + number % 5 + 6 * (number % 2))
        fields = {**JO, "name": name, "email": f"p{number}@example.org", "another": "yes"}
        shown.post("/people/new", do="confirm", **(fields | {"first_appointment": str(day)}))
    shown.doubt("elif", "what-it-is")
    shown.do(shown.address("chloe", "/hold"), first="2026-12-01", until="2026-12-03")
    shown.do(shown.address("elif", "/hold"), first="2026-12-09", until="2026-12-16")


def _take(page: Page, file: Path, height: int) -> None:
    """The top of a page."""
    width = page.viewport_size["width"] if page.viewport_size else 0
    page.set_viewport_size({"width": width, "height": height})
    page.screenshot(path=file, animations="disabled")
    with page.context.new_page() as blank:
        smaller(blank, file)


def smaller(blank: Page, file: Path) -> None:
    """Draw a picture anew with its 256 most frequent colours."""
    taken = base64.b64encode(file.read_bytes()).decode()
    file.write_bytes(_packed(blank.evaluate(FEWER_COLOURS, taken)))


def _packed(drawn: dict[str, Any]) -> bytes:
    """A PNG with a palette."""
    size = struct.pack(">2I5B", drawn["width"], drawn["height"], 8, 3, 0, 0, 0)
    rows = b"".join(b"\0" + base64.b64decode(row) for row in drawn["rows"])
    parts = {
        b"IHDR": size,
        b"PLTE": bytes(drawn["colours"]),
        b"IDAT": zlib.compress(rows, 9),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part))
        for name, part in parts.items()
    )


if __name__ == "__main__":
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=SWITCHES)
        for name in sys.argv[1:]:
            smaller(chromium.new_page(), Path(name))
        if not sys.argv[1:]:
            pictures(chromium, PICTURES)
        chromium.close()
