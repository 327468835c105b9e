"""Spoilt input for every way in: what `make fuzz` runs, a hundred thousand of it.

1. Take something that is right: a file, a signed body, a link, a query, a form.
2. Spoil it in one to six places, by chance and with a seed, so that it can be had again.
3. Hand it in. It is taken, or refused in words. A fault is an exception, an answer of 500, more
   than a second (thrice), a look that changes a row, or a row that is written by what is refused.

It ends with a table, and with exit code 1 and the faulty input if there was a fault.
"""

import argparse
import json
import logging
import os
import random
import re
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

from conftest import signed
from sendgrid_standin import StandIn
from test_csv import SYSTEMS
from test_gate import CANARY, MATRIX, Clock, House, gets, open_office, path_of, plant, posts
from werkzeug.test import TestResponse

from scheduler.checks import layout, reading, wording
from scheduler.checks.prose import texts
from scheduler.delivery.events import ARGUMENT
from scheduler.findings import WrongInput
from scheduler.ledger.staff import ROLES
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
from scheduler.roster.table import Sheet
from scheduler.settings import Settings
from scheduler.web.app import create
from scheduler.web.gate import COOKIE
from scheduler.web.verbs import VERBS

ROOT = Path(__file__).parent.parent
TODAY = date(2026, 11, 24)
SLOW, TIMES = 1.0, 3  # seconds, tries
ANEW = 400  # inputs after which the clinic is made anew
WHOLE = 100_000
SHARES = {
    "YAML: the roster": 13_000,
    "YAML: the clinic": 12_000,
    "YAML: course, claims, sources, countries, signatures": 8_000,
    "Markdown: lessons and boxes": 6_000,
    "CSV files": 15_000,
    "e-mail addresses": 15_000,
    "webhook bodies, signed": 10_000,
    "tokens: stop, letters, invitations, sessions, imports": 11_000,
    "query strings of every page": 6_000,
    "forms of every page": 4_000,
}
"""How many of a hundred thousand."""

TARGETS = (
    "roster",
    "clinic",
    "course",
    "lesson",
    "csv",
    "address",
    "event",
    "token",
    "query",
    "form",
)
NASTY = [
    *(
        "",
        " ",
        "\0",
        "\r\n",
        "\n\n",
        "\t",
        "\x1b[31m",
        "\u202e",
        "\ufeff",
        "\ud800",
        "é",
        "😀",
        "ß",
    ),
    *("'", '"', "`", "<script>", "{{7*7}}", "{% for", "%s", "%00", "%ff", "../../etc/passwd", "\\"),
    *(
        "-1",
        "0",
        "9" * 25,
        "1e999",
        "NaN",
        "null",
        "true",
        "[]",
        "{}",
        "&a [*a]",
        "!!int",
        "*a",
        "|",
    ),
    *("0000-00-00", "9999-12-31", "2026-02-30", "10:61", "24:00", "Europe/Lodnon", "A" * 3000),
    *(
        "[" * 500,
        "(" * 300,
        "*" * 400,
        "> " * 300,
        "- " * 300,
        "![](" * 200,
        "@",
        ".",
        ",",
        ";",
        "=",
    ),
]
GUESSED = {"audit", "failure", "session"}
"""Tables that may grow though nothing was done: who mistyped a password, whose time is over."""

MAY_BE_DOWN = {"/readyz"}  # it says 503, for no round runs here
UNTRIED = {"POST /health"}  # it asks name servers, and waits for them


class Fault(AssertionError):
    """Something that must not happen."""


Input = bytes | str
Case = tuple[Input, Callable[[], bool]]
"""An input, and what hands it in: whether it was taken."""


def spoilt(chance: random.Random, good: bytes, most: int = 6) -> bytes:
    """Something that is right, in one to `most` places no longer."""
    for _ in range(chance.randint(1, most)):
        at = chance.randrange(len(good) + 1)
        length = chance.choice((1, 1, 2, 5, 20, 80))
        piece, rest = good[at : at + length], good[at + length :]
        match chance.randrange(7):
            case 0:
                piece = b""
            case 1:
                piece *= chance.choice((2, 3, 50))
            case 2:
                piece = chance.choice(NASTY).encode("utf-8", "surrogatepass") + piece
            case 3:
                piece = chance.choice(NASTY).encode("utf-8", "surrogatepass")
            case 4:
                piece = bytes(each ^ (1 << chance.randrange(8)) for each in piece)
            case 5:
                piece, rest = rest[:length], piece + rest[length:]
            case 6:
                rest = rest if chance.random() < 0.9 else b""
        good = good[:at] + piece + rest
    return good


def spoilt_text(chance: random.Random, good: str) -> str:
    return spoilt(chance, good.encode()).decode("utf-8", "surrogateescape")


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
            return wrong_rows(read_export(sheets, self.material.course, TODAY, choices))

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


class Web:
    """The pages of a clinic; after each answer the database is looked at."""

    def __init__(self, folder: Path, material: Material, chance: random.Random) -> None:
        """Plant a clinic, open it, and learn what its forms are made of."""
        self.folder, self.material, self.chance = folder / "clinic", material, chance
        self.seed, self.sendgrid, self.used = folder / "seed", StandIn(""), 0
        self.fields: list[tuple[str, str]] = []
        self.seed.mkdir()
        plant(self.seed, material)
        shutil.copytree(ROOT / "course", self.seed / "course")
        self._open()

    def _open(self) -> None:
        """The clinic as it was planted, with a browser of each role."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.seed, self.folder)
        more = {"PHYSIOPOST_COURSE": str(self.folder / "course")}
        more["PHYSIOPOST_WEBHOOK_KEY"] = self.sendgrid.webhook_key
        clock = Clock()
        office = open_office(self.folder, self.material, clock, **more)
        self.house = House(office, clock, create(office))
        browsers = {role: self.house.browser(role) for role in ("anonymous", *ROLES)}
        self.clients = {role: each.client for role, each in browsers.items()}
        self.seals = {role: each.token() for role, each in browsers.items()}
        self.session = browsers["admin"].sid()
        self.paths = {route: path_of(self.house, route) for route in MATRIX}
        self.watch = sqlite3.connect(self.folder / "physiopost.db", isolation_level=None)
        self.fields = self.fields or sorted(set(self._fields()))
        office.planner.refresh(office.database, clock())
        self.version, self.rows = self._version(), self.house.rows()

    def close(self) -> None:
        self.watch.close()
        self.house.office.database.close()

    def _version(self) -> int:
        """A number that is another one after whatever somebody else has written."""
        found: int = self.watch.execute("PRAGMA data_version").fetchone()[0]
        return found

    def _fields(self) -> Iterator[tuple[str, str]]:
        """Each field of each form, with what stands in it."""
        for path in sorted({self.paths[route] for route in gets()}):
            page = self.clients["admin"].get(path).text
            yield from re.findall(r'name="([a-z_.]+)"(?: value="([^"]*)")?', page)

    def event(self) -> Case:
        """Events as SendGrid tells them, signed, and spoilt before they were."""
        chance = self._begin()
        told = [
            {"email": CANARY[1], "event": kind, "timestamp": 1795428300, ARGUMENT: delivery}
            | {"sg_event_id": f"{kind}-{self.used}", "sg_message_id": "m.f", "status": "5.1.1"}
            for kind in ("delivered", "bounce", "spamreport")
            for delivery in self.paths["GET /letters/<token>/again/<delivery>"].split("/")[-1:]
        ]
        body = spoilt(chance, json.dumps(told).encode())
        return body, lambda: self.ask("POST", "/events/sendgrid", data=body, as_json=True)

    def token(self) -> Case:
        """An address that is a key, or the cookie of a session."""
        chance = self._begin()
        if chance.random() < 0.1:
            cookie = spoilt(chance, self.session.encode()).decode("latin-1")
            return cookie, lambda: self._with_cookie(cookie)
        route = chance.choice([each for each in MATRIX if re.search("<(token|name)>", each)])
        method, _, _ = route.partition(" ")
        path = "/" + quote(spoilt(chance, self.paths[route].encode()), safe="/").lstrip("/")
        who = "admin" if "/import/" in route else "anonymous"
        return path, lambda: self.ask(method, path, who)

    def _with_cookie(self, cookie: str) -> bool:
        client = self.house.app.test_client()
        header = re.sub(r"[\r\n\0]", "", f"{COOKIE}={cookie}")
        answer = client.get("/people", headers={"Cookie": header})
        return self._told(answer, looks=True)

    def query(self) -> Case:
        """A page that is looked at, with words after its address that nobody meant."""
        chance = self._begin()
        path = self.paths[chance.choice(gets())]
        words = "&".join(f"{name}={value}" for name, value in self._some())
        words = quote(spoilt(chance, words.encode()), safe="=&%+")
        who = chance.choice(list(self.clients))
        return f"{path}?{words}", lambda: self.ask("GET", f"{path}?{words}", who)

    def form(self) -> Case:
        """A form with fields of any form, some of them spoilt."""
        chance = self._begin()
        route = chance.choice([each for each in posts() if each not in UNTRIED])
        verb = chance.choice(list(VERBS))
        path = re.sub(r"(?<=/)hold$", verb, self.paths[route])
        data: dict[str, Any] = {}
        for name, value in self._some():
            text = spoilt_text(chance, value) if chance.random() < 0.5 else value
            data[name] = text.encode("utf-8", "replace").decode()
        if "import" in path and chance.random() < 0.5:
            one = chance.choice(sorted((ROOT / "tests" / "data").glob("*.csv")))
            data["files"] = (BytesIO(spoilt(chance, one.read_bytes())), one.name)
        who = chance.choice(ROLES)
        shown = f"{who} {path} {data}"
        return shown, lambda: self.ask(
            "POST", path, who, data={"csrf_token": self.seals[who]} | data
        )

    def _some(self) -> list[tuple[str, str]]:
        return self.chance.choices(self.fields, k=self.chance.randint(1, 9))

    def ask(self, method: str, path: str, who: str = "anonymous", **more: Any) -> bool:
        if more.pop("as_json", False):
            more["headers"] = self.sendgrid.sign(more["data"])
        answer = self.clients[who].open(path, method=method, **more)
        return self._told(answer, looks=method == "GET")

    def _told(self, answer: TestResponse, *, looks: bool) -> bool:
        """Whether it was taken; what was refused or only looked at has written nothing."""
        code, self.used = answer.status_code, self.used + 1
        taken = code < 400
        if code >= 500 and answer.request.path not in MAY_BE_DOWN:
            raise Fault(f"the answer was {code}")
        if self._version() != self.version:
            before, self.rows, self.version = self.rows, self.house.rows(), self._version()
            changed = {name for name, rows in self.rows.items() if rows != before[name]}
            if changed - GUESSED and (looks or not taken):
                raise Fault(f"{code}, and yet {', '.join(sorted(changed))} changed")
            if changed & {"session", "staff"}:
                self.used = ANEW
        return taken

    def _begin(self) -> random.Random:
        """Before an input: the clinic anew where much has changed, or somebody is signed out."""
        if self.used >= ANEW:
            self.used = 0
            self.close()
            self._open()
        return self.chance


@dataclass
class Tally:
    """What became of one kind of input."""

    what: str
    tried: int = 0
    taken: int = 0
    slowest: float = 0.0
    faults: list[tuple[str, Input]] = field(default_factory=list)

    def line(self) -> str:
        refused = self.tried - self.taken - len(self.faults)
        parts = (self.what, f"{self.tried:,}", f"{self.taken:,}", f"{refused:,}")
        return " | ".join((*parts, f"{self.slowest * 1000:.0f}", f"{len(self.faults)}"))


def tried(what: str, make: Callable[[], Case], number: int, until: float) -> Tally:
    """Hand in so many of one kind, or as many as there is time for."""
    tally = Tally(what)
    while tally.tried < number and time.monotonic() < until:
        shown, hand_in = make()
        tally.tried += 1
        try:
            tally.taken += once(hand_in, tally)
        except Exception as error:  # noqa: BLE001 - any is a fault, and the next one is tried
            words = f"{type(error).__name__}: {error}"
            tally.faults.append((words, shown))
    return tally


def once(hand_in: Callable[[], bool], tally: Tally) -> bool:
    """Slow is what is slow each of three times: other programs run beside this one."""
    took: list[float] = []
    while not took or (took[-1] > SLOW and len(took) < TIMES):
        begun = time.perf_counter()
        taken = hand_in()
        took.append(time.perf_counter() - begun)
    tally.slowest = max(tally.slowest, min(took))
    if min(took) > SLOW:
        raise Fault(f"it took {min(took):.1f} s")
    return taken


def fuzz(
    folder: Path, material: Material, seed: int, inputs: int, minutes: float
) -> Iterator[Tally]:
    """All targets, each with its share of the inputs and a chance of its own."""
    until = time.monotonic() + 60 * minutes
    for (what, share), of in zip(SHARES.items(), TARGETS, strict=True):
        chance = random.Random(f"{seed} {what}")  # noqa: S311 - to be repeated
        kind = Files if hasattr(Files, of) else Web
        (folder / of).mkdir()
        target = kind(folder / of, material, chance)
        yield tried(what, getattr(target, of), share * inputs // WHOLE, until)
        target.close()


def shipped(course: Path = ROOT / "course") -> Material:
    """The material as if a physiotherapist had signed it."""
    where = {"PHYSIOPOST_CLINIC": str(ROOT / "clinic.yaml"), "PHYSIOPOST_COURSE": str(course)}
    return signed(read_material(Settings.from_environment(where)))


def main() -> None:
    """Run it, print the table and what was at fault."""
    read = argparse.ArgumentParser(description=main.__doc__)
    read.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    read.add_argument("--inputs", type=int, default=WHOLE)
    read.add_argument("--minutes", type=float, default=30)
    given = read.parse_args()
    logging.disable()
    begun = time.monotonic()
    print(f"seed {given.seed}", flush=True)  # noqa: T201
    print("| what | inputs | taken | refused | slowest, ms | faults |")  # noqa: T201
    print("| --- | --- | --- | --- | --- | --- |", flush=True)  # noqa: T201
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for tally in fuzz(Path(folder), shipped(), given.seed, given.inputs, given.minutes):
            print(f"| {tally.line()} |", flush=True)  # noqa: T201
            found.append(tally)
    number, minutes = sum(each.tried for each in found), (time.monotonic() - begun) / 60
    print(f"{number:,} inputs in {minutes:.1f} minutes, {os.cpu_count()} cores")  # noqa: T201
    for tally in found:
        for words, shown in tally.faults[:20]:
            print(f"{tally.what}: {words}: {shown[:400]!r}", file=sys.stderr)  # noqa: T201
    sys.exit(any(each.faults for each in found) or number < given.inputs * 0.99)


if __name__ == "__main__":
    main()
