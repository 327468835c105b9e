"""Everything that comes in by the web, spoilt: for fuzz.py."""

import json
import random
import re
import shutil
import sqlite3
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sendgrid_standin import StandIn
from spoilt import Case, Fault, spoilt, spoilt_text
from test_gate import CANARY, MATRIX, Clock, House, gets, open_office, path_of, plant, posts
from werkzeug.test import TestResponse

from scheduler.delivery.events import ARGUMENT
from scheduler.ledger.staff import ROLES
from scheduler.material import Material
from scheduler.web.app import create
from scheduler.web.gate import COOKIE
from scheduler.web.verbs import VERBS

ROOT = Path(__file__).parent.parent
ANEW = 400  # inputs after which the clinic is made anew
GUESSED = {"audit", "failure", "session"}
"""Tables that may grow though nothing was done: who mistyped a password, whose time is over."""

MAY_BE_DOWN = {"/readyz"}  # it says 503, for no round runs here
UNTRIED = {"POST /health"}  # it asks name servers, and waits for them


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
        return body, lambda: self.ask("POST", "/events/sendgrid", data=body, signed=True)

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
        if more.pop("signed", False):
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
