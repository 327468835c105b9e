"""What people write in files, and addresses, spoilt: for fuzz.py."""

import random
import re
import shutil
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

from conftest import signed
from spoilt import Case, Fault, spoilt, spoilt_text
from test_csv import SYSTEMS

from scheduler.checks import layout, reading, wording
from scheduler.checks.prose import texts
from scheduler.findings import WrongInput
from scheduler.letters.editions import Press
from scheduler.letters.markdown import to_html, to_text
from scheduler.material import Material, read_material
from scheduler.material.clinic import read_clinic
from scheduler.material.countries import read_countries
from scheduler.material.evidence import Claim, Reference, read_register
from scheduler.material.fields import parse_address
from scheduler.material.lessons import read_course
from scheduler.material.signoff import read_signatures
from scheduler.material.yamlfile import Unusable
from scheduler.roster.entries import read_roster
from scheduler.roster.export import read_export, wrong_rows
from scheduler.roster.table import Sheet, read_table
from scheduler.settings import Settings

ROOT = Path(__file__).parent.parent
TODAY = date(2026, 11, 24)


def shipped(course: Path = ROOT / "course") -> Material:
    """The material as if a physiotherapist had signed it."""
    where = {"PHYSIOPOST_CLINIC": str(ROOT / "clinic.yaml"), "PHYSIOPOST_COURSE": str(course)}
    return signed(read_material(Settings.from_environment(where)))


def refused(read: Callable[[], object]) -> bool:
    """Whether it was refused, in words that can be printed."""
    try:
        read()
    except WrongInput as error:
        if not all(each.words and str(each).isprintable() for each in error.findings):
            raise Fault("it was refused in words that cannot be printed") from None
        return True
    return False


class Files:
    """What people write, one file of it spoilt at a time."""

    def __init__(self, folder: Path, material: Material, chance: random.Random) -> None:
        """Begin with the files as they are shipped."""
        self.folder, self.material, self.chance = folder, material, chance
        shutil.copytree(ROOT / "course", folder / "course")

    def close(self) -> None:
        """Nothing is open."""

    def roster(self) -> Case:
        return self._file("subscribers.yaml", self._roster)

    def _roster(self, path: Path) -> object:
        return read_roster(path, self.material.course, TODAY)

    def clinic(self) -> Case:
        return self._file("clinic.yaml", read_clinic)

    def course(self) -> Case:
        course = self.folder / "course"
        readers: dict[str, Callable[[], object]] = {
            "course.yaml": partial(read_course, course),
            "claims.yaml": partial(read_register, course / "claims.yaml", Claim),
            "references.yaml": partial(read_register, course / "references.yaml", Reference),
            "countries.yaml": partial(read_countries, course),
            "signoff.yaml": partial(read_signatures, course),
        }
        name = self.chance.choice(list(readers))
        return self._file(f"course/{name}", lambda _: readers[name]())

    def lesson(self) -> Case:
        places = sorted((ROOT / "course").glob("*/*.md"))
        place = self.chance.choice(places).relative_to(ROOT)
        compiled = self.chance.random() < 0.2
        return self._file(str(place), lambda path: self._lesson(path, compiled=compiled))

    def _lesson(self, path: Path, *, compiled: bool) -> object:
        if not compiled:
            read_course(self.folder / "course")
            return to_html(path.read_text(), {}), to_text(path.read_text())
        material = shipped(self.folder / "course")
        [text] = [each for each in texts(material) if each.passage.path == path]
        for part in (reading, wording, layout):
            list(part.findings(text))
        lessons = material.course.lessons
        slug = next((each.slug for each in lessons if each.path == path), lessons[0].slug)
        return Press(material, ROOT / "templates").edition(slug, True)

    def csv(self) -> Case:
        """The files of a practice system, one of them spoilt."""
        names, choices, *_ = self.chance.choice(list(SYSTEMS.values()))
        chosen = self.chance.randrange(len(names))
        sheets = [Sheet(ROOT / "tests" / "data" / name) for name in names]
        written = spoilt(self.chance, sheets[chosen].path.read_bytes(), most=4)
        sheets[chosen] = Sheet(Path("people.csv"), written)

        def read() -> object:
            tables = [read_table(sheet) for sheet in sheets]
            return wrong_rows(read_export(tables, self.material.course, TODAY, choices))

        return written, lambda: not refused(read)

    def address(self) -> Case:
        good = self.chance.choice(("amy.jones@example.org", "zoë@bücher.example", "a+b@x.co.uk"))
        text = spoilt_text(self.chance, good)

        def hand_in() -> bool:
            try:
                found = parse_address(text)
            except Unusable:
                return False
            if not re.fullmatch(r"[!-~]+@[a-z0-9.-]+", found):
                raise Fault("an address was taken that no header can carry")
            return True

        return text, hand_in

    def _file(self, name: str, read: Callable[[Path], object]) -> Case:
        written = spoilt(self.chance, (ROOT / name).read_bytes())
        path = self.folder / name

        def hand_in() -> bool:
            path.write_bytes(written)
            try:
                return not refused(lambda: read(path))
            finally:
                shutil.copy(ROOT / name, path)

        return written, hand_in
