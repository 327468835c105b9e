"""The gate: who may open what, how one gets in, and what never gets out."""

import logging
import re
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import signed
from flask import Flask, flash, request
from flask.testing import FlaskClient
from sendgrid_standin import StandIn
from sqlalchemy import select, true
from werkzeug.test import TestResponse

from scheduler.delivery.channels.folder import Folder
from scheduler.delivery.round import Round
from scheduler.findings import NotDone
from scheduler.keys import Keys
from scheduler.ledger import deliveries, people, staff, trail
from scheduler.ledger.database import Database
from scheduler.ledger.planner import Planner
from scheduler.ledger.staff import ROLES, Member, Role
from scheduler.ledger.tables import audit, metadata
from scheduler.letters.editions import Press
from scheduler.material import Material
from scheduler.roster.entries import read_roster
from scheduler.roster.merge import apply, merge
from scheduler.settings import Settings
from scheduler.web.app import create
from scheduler.web.gate import COOKIE, Office, allowed
from scheduler.web.passwords import HASHER
from scheduler.web.server import LARGEST, served
from scheduler.web.verbs import VERBS

PUBLIC = "public"
CLINICAL: tuple[Role, ...] = ("admin", "physiotherapist")  # who may see who the patients are

MATRIX: dict[str, tuple[Role, ...] | str] = {
    "GET /static/<filename>": PUBLIC,
    "GET /brand.css": PUBLIC,
    "GET /stop/<token>": PUBLIC,
    "POST /stop/<token>": PUBLIC,
    "GET /letters/<token>": PUBLIC,
    "GET /letters/<token>/<wish>": PUBLIC,
    "POST /letters/<token>/<wish>": PUBLIC,
    "GET /letters/<token>/again/<delivery>": PUBLIC,
    "GET /letters/<token>/again/<delivery>/letter.html": PUBLIC,
    "POST /events/sendgrid": PUBLIC,
    "GET /sign-in": PUBLIC,
    "POST /sign-in": PUBLIC,
    "POST /sign-in/code": PUBLIC,
    "POST /sign-out": PUBLIC,
    "GET /welcome/<token>": PUBLIC,
    "POST /welcome/<token>": PUBLIC,
    "GET /healthz": PUBLIC,
    "GET /readyz": PUBLIC,
    "GET /metrics": PUBLIC,
    "GET /": ROLES,
    "GET /account": ROLES,
    "POST /account/password": ROLES,
    "POST /account/sign-out": ROLES,
    "GET /account/second-factor": ROLES,
    "POST /account/second-factor": ROLES,
    "POST /account/second-factor/off": ROLES,
    "GET /health": ROLES,
    "POST /health": ROLES,
    "POST /health/test-letter": ("admin", "technician"),
    "GET /staff": ("admin",),
    "POST /staff/invite": ("admin",),
    "POST /staff/second-factor": ("admin",),
    "POST /staff/<member>/<deed>": ("admin",),
    "GET /audit": ("admin",),
    "POST /audit": ("admin",),
    "POST /audit/audit.csv": ("admin",),
    "GET /people": CLINICAL,
    "POST /people": CLINICAL,
    "GET /people/new": CLINICAL,
    "POST /people/new": CLINICAL,
    "GET /mine": CLINICAL,
    "GET /people/import": CLINICAL,
    "POST /people/import": CLINICAL,
    "GET /people/import/<name>": CLINICAL,
    "POST /people/import/<name>": CLINICAL,
    "GET /course": ROLES,
    "GET /course/evidence": ROLES,
    "GET /course/<what>": ROLES,
    "GET /course/<what>/letter.html": ROLES,
    "GET /course/<what>/sign": ("physiotherapist",),
    "POST /course/<what>/sign": ("physiotherapist",),
    "GET /post": ROLES,
    "GET /people/<enrolment>": CLINICAL,
    "GET /people/<enrolment>/<verb>": CLINICAL,
    "POST /people/<enrolment>/<verb>": CLINICAL,
    "POST /people/<enrolment>/settle/<lesson>": CLINICAL,
    "POST /people/<enrolment>/called": CLINICAL,
    "GET /people/<enrolment>/received": CLINICAL,
    "GET /people/<enrolment>/received/<lesson>": CLINICAL,
    "GET /people/<enrolment>/received/<lesson>/letter.html": CLINICAL,
    "GET /people/<enrolment>/received/<lesson>/letter.eml": CLINICAL,
}
"""Who may open which page. A route that is missing here fails, as does a row without a route."""

WITHOUT_TOKEN = {"POST /stop/<token>", "POST /letters/<token>/<wish>", "POST /events/sendgrid"}
"""What mail programs and SendGrid send: no form of ours, so no seal against other sites. A patient
has no cookie that another site could ride on; the address itself is the secret."""

NAME = re.compile(r"<[^>]*:")  # of a parameter, what comes before its name
WEBHOOK_KEY = StandIn("").webhook_key
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
IMPORT = "import-20261123-c471"
WORDS = "correct horse battery staple"
CANARY = ("Canaria Testwell", "canaria.testwell@example.org")
HOSTILE = "<script>alert(7)</script>{{7*7}}"
ROSTER = f"""
- {{id: p1, email: {CANARY[1]}, name: "{CANARY[0]}", first_appointment: 2026-11-16,
   consent: 2026-11-16, physiotherapist: Priya Shah, note: Well done.}}
- {{id: p2, email: other@example.org, name: "{HOSTILE}", first_appointment: 2026-11-16,
   consent: 2026-11-16, physiotherapist: "{HOSTILE}", note: "{HOSTILE}",
   hold: [{{from: 2026-12-08, until: 2026-12-22, reason: "{HOSTILE}"}}]}}
"""


class Clock:
    """Noon, until somebody steps it on."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def step(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass
class House:
    """The application with a clock, two patients, and somebody of each role."""

    office: Office
    clock: Clock
    app: Flask

    def browser(self, role: str = "anonymous") -> "Browser":
        browser = Browser(self.app.test_client())
        if role != "anonymous":
            with self.office.database.write() as db:
                token = staff.open_session(db, self.member(role), self.clock())
            browser.client.set_cookie(COOKIE, token)
        return browser

    def member(self, role: str) -> Member:
        with self.office.database.read() as db:
            return next(each for each in staff.everyone(db) if each.role == role)

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything that the database holds, but not when a session was seen last.

        Nor who looked at a patient: that line of the audit is the one row that a look may write.
        """
        with self.office.database.read() as db:
            return {
                table.name: [
                    tuple(row)
                    for row in db.execute(
                        select(*[each for each in table.c if each.name != "seen_at"]).where(
                            audit.c.action != trail.READ if table is audit else true()
                        )
                    )
                ]
                for table in metadata.sorted_tables
            }


class Browser:
    """A browser: cookies, and forms with their tokens."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def get(self, path: str) -> TestResponse:
        return self.client.get(path)

    def post(self, path: str, **fields: Any) -> TestResponse:
        return self.client.post(path, data={"csrf_token": self.token(), **fields})

    def token(self) -> str:
        return field(self.get("/sign-in").text, "csrf_token")

    def sign_in(self, email: str, password: str = WORDS, **more: str) -> TestResponse:
        return self.post("/sign-in", email=email, password=password, **more)

    def sid(self) -> str:
        cookie = self.client.get_cookie(COOKIE)
        return cookie.value if cookie else ""


def field(page: str, name: str) -> str:
    """What a hidden field holds."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, page
    return found[1]


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory, material: Material) -> Path:
    return plant(tmp_path_factory.mktemp("seed"), material)


def plant(folder: Path, material: Material) -> Path:
    """A database with two patients, a letter to each, and somebody of each role."""
    office = open_office(folder, material, lambda: NOON)
    (folder / "people.yaml").write_text(ROSTER)
    roster = read_roster(folder / "people.yaml", material.course, NOON.date())
    hashed, before = HASHER.hash(WORDS), NOON - timedelta(days=1)
    with office.database.write() as db:
        merged = merge(db, roster, office.keys, before)
        apply(db, merged, office.planner, before, batch=IMPORT)
        for role in ROLES:
            token = staff.invite(db, f"{role}@example.org", f"{role} Example", role, NOON)
            staff.set_password(db, found(staff.invited(db, token, NOON)), hashed)
    service = Round(office.database, office.planner, office.press, office.keys)
    with Folder(folder / "outbox") as channel:
        assert service.run(channel, lambda: NOON - timedelta(hours=2)).letters["accepted"] == 2
    office.database.close()
    return folder


def open_office(
    folder: Path, material: Material, clock: Callable[[], datetime], **more: str
) -> Office:
    material = signed(material)
    settings = Settings.from_environment(
        {
            "PHYSIOPOST_DATABASE": f"sqlite:///{folder / 'physiopost.db'}",
            "PHYSIOPOST_OUTBOX": str(folder / "outbox"),
            "PHYSIOPOST_SECRET": "a-secret-of-the-tests-long-enough-to-be-one",
            "PHYSIOPOST_URL": "https://letters.example.org",
            "PHYSIOPOST_WEBHOOK_KEY": WEBHOOK_KEY,
        }
        | more
    )
    press = Press(material, settings.templates)
    keys = Keys(settings.secrets, settings.url)
    return Office(Database(settings.database), Planner(material), press, keys, settings, clock)


@pytest.fixture
def house(seed: Path, tmp_path: Path, material: Material) -> Iterator[House]:
    shutil.copytree(seed, tmp_path / "house")
    clock = Clock()
    office = open_office(tmp_path / "house", material, clock)
    app = create(office)
    for name, path in (("today.page", "/"), ("people.find", "/people")):
        if name not in app.view_functions:
            app.add_url_rule(path, endpoint=name, view_func=allowed(*ROLES)(lambda: "soon"))
    yield House(office, clock, app)
    office.database.close()


def test_after_a_change_of_secret_nobody_is_signed_out_and_an_open_form_can_still_be_sent(
    house: House, tmp_path: Path, material: Material
) -> None:
    browser = house.browser("admin")
    form = {"csrf_token": browser.token(), "words": "p1"}
    old = house.office.settings.secrets[0]
    for secrets, answer in ((f"{old[::-1]} {old}", 200), (old[::-1], 400)):
        anew = open_office(tmp_path / "house", material, house.clock, PHYSIOPOST_SECRET=secrets)
        app = create(anew)
        app.add_url_rule(
            "/form", view_func=allowed(*ROLES)(lambda: request.form["words"]), methods=["POST"]
        )
        client = app.test_client()
        for name in (COOKIE, "__Host-form"):
            kept = browser.client.get_cookie(name)
            assert kept
            client.set_cookie(name, kept.value)
        assert client.post("/form", data=form, base_url="https://localhost").status_code == answer
        assert client.get("/account", base_url="https://localhost").status_code == 200
        anew.database.close()


@pytest.fixture
def probed(house: House) -> House:
    """With views for what the real ones never do."""

    @allowed(*ROLES)
    def form() -> str:
        if request.method == "POST":
            flash(f"{CANARY[0]} was held")
        return request.form.get("words", "a form")

    @allowed("admin")
    def admins() -> str:
        return "for administrators"

    def forgotten() -> str:
        return "nobody said who may see this"

    @allowed(*ROLES)
    def broken() -> str:
        raise ValueError(CANARY)

    @allowed(*ROLES)
    def busy() -> str:
        raise NotDone("the database: it is locked")

    for view in (form, admins, forgotten, broken, busy):
        methods = ["GET", "POST"] if view is form else ["GET"]
        house.app.add_url_rule(f"/probe/{view.__name__}", view_func=view, methods=methods)
    return house


# Who may open what


def routes(app: Flask) -> list[str]:
    """Each method of each rule; of a parameter only the name."""
    return [
        f"{method} {NAME.sub('<', rule.rule)}"
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]


def path_of(house: House, route: str, who: str = "p1", verb: str = "hold") -> str:
    """A path of a route that leads somewhere."""
    with house.office.database.read() as db:
        person = found(people.find(db, who))
        delivery = deliveries.of_person(db, who)[0]["id"]
    token = house.office.keys.stop_url(person.enrolment_id).rpartition("/")[2]
    if "/welcome/" in route:
        with house.office.database.write() as db:
            token = staff.invite(db, "new@example.org", "New", "technician", house.clock())
    values = {
        "token": token,
        "enrolment": person.enrolment_id,
        "verb": verb,
        "wish": "pause",
        "delivery": delivery,
        "lesson": house.office.planner.material.course.lessons[0].slug,
        "name": IMPORT,
        "what": house.office.planner.material.course.lessons[0].slug,
        "filename": "page.css",
        "member": house.member("technician").id,
        "deed": "out",
    }
    return re.sub(r"<(\w+)>", lambda each: values[each[1]], route.partition(" ")[2])


def every_page(house: House, who: str) -> list[str]:
    """A path of each page that can be looked at, and of the form for each verb."""
    verbs = [
        path_of(house, route, who, verb)
        for route in gets()
        for verb in (VERBS if "<verb>" in route else ["hold"])
    ]
    return list(dict.fromkeys(each for each in verbs if "/welcome/" not in each))


def gets() -> list[str]:
    return [route for route in MATRIX if route.startswith("GET")]


def posts() -> list[str]:
    return [route for route in MATRIX if not route.startswith("GET")]


def test_every_page_stands_in_the_table_and_every_row_is_a_page(house: House) -> None:
    assert sorted(routes(house.app)) == sorted(MATRIX)


@pytest.mark.parametrize("visitor", ["anonymous", *ROLES])
def test_a_page_opens_for_whom_the_table_says_and_for_nobody_else(
    house: House, visitor: str
) -> None:
    for route in sorted(MATRIX):  # GET before POST
        browser, path = house.browser(visitor), path_of(house, route)
        before = house.rows()
        looks = route.startswith("GET")
        answer = browser.get(path) if looks else browser.post(path)
        code, to = answer.status_code, answer.headers.get("Location", "")
        if MATRIX[route] == PUBLIC:
            # Their own words: a wrong password (401), an event that SendGrid did not sign (403).
            own = ("POST /sign-in", "POST /sign-in/code", "POST /events/sendgrid")
            assert code not in (401, 403) or route in own
        elif visitor in MATRIX[route]:
            assert (route, code) == (route, 200) if looks else code not in (401, 403, 500), route
        else:
            expected = 403 if visitor != "anonymous" else 302 if looks else 401
            assert (route, code) == (route, expected)
            assert code != 302 or to.startswith("/sign-in?to=")
            assert house.rows() == before


def test_a_view_that_says_nothing_opens_for_nobody(probed: House) -> None:
    assert probed.browser().get("/probe/forgotten").status_code == 302
    assert [probed.browser(role).get("/probe/forgotten").status_code for role in ROLES] == [403] * 3


def test_a_role_is_asked_for_on_every_request(probed: House) -> None:
    admin = probed.browser("admin")
    assert admin.get("/probe/admins").status_code == 200
    with probed.office.database.write() as db:  # made a physiotherapist meanwhile
        staff.invite(db, "admin@example.org", "admin Example", "physiotherapist", NOON)
    assert admin.get("/probe/admins").status_code == 403


@pytest.mark.parametrize("route", [each for each in posts() if each not in WITHOUT_TOKEN])
def test_no_form_is_taken_that_another_site_could_have_sent(house: House, route: str) -> None:
    admin, path = house.browser("admin"), path_of(house, route)
    before = house.rows()
    for data in ({}, {"csrf_token": "made-up"}, {"csrf_token": house.browser().token()}):
        assert admin.client.post(path, data=data).status_code == 400
    assert house.rows() == before


def test_looking_changes_nothing(house: House) -> None:
    browsers = [house.browser(), *(house.browser(role) for role in ROLES)]
    paths = [path for who in ("p1", "p2") for path in every_page(house, who)]
    paths.append(path_of(house, "GET /welcome/<token>"))
    house.clock.step(minutes=2)
    before = house.rows()
    for browser in browsers:
        for path in paths:
            browser.client.get(path)
            browser.client.head(path)
    assert house.rows() == before


# Getting in, staying in, getting out


def test_with_the_right_password_one_is_in_and_lands_where_one_wanted_to_go(probed: House) -> None:
    browser = probed.browser()
    asked = browser.get("/probe/form?x=1&y=2")
    assert asked.status_code == 302
    to = field(browser.get(asked.location).text, "to").replace("&amp;", "&")
    entered = browser.sign_in("Admin@Example.org ", to=to)
    assert (entered.status_code, entered.location) == (302, "/probe/form?x=1&y=2")
    assert browser.get("/probe/form").text == "a form"


@pytest.mark.parametrize(
    "to",
    [
        *(
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "evil",
        ),
        *("/\t/evil.example", "/\n/evil.example", "\t//evil.example", " //evil.example", ""),
    ],
)
def test_after_signing_in_nobody_is_sent_elsewhere(probed: House, to: str) -> None:
    assert probed.browser().sign_in("admin@example.org", to=to).location == "/"


def test_a_copied_cookie_is_worth_nothing_after_signing_out(probed: House) -> None:
    browser, thief = probed.browser("admin"), probed.browser()
    thief.client.set_cookie(COOKIE, browser.sid())
    assert thief.get("/probe/form").status_code == 200
    assert browser.post("/sign-out").status_code == 302
    assert browser.sid() == ""
    assert thief.get("/probe/form").status_code == 302


def test_signing_in_gives_a_new_session_and_ends_the_browsers_old_one(probed: House) -> None:
    browser, old = probed.browser("admin"), probed.browser()
    old.client.set_cookie(COOKIE, browser.sid())
    browser.sign_in("technician@example.org")
    assert browser.sid() not in ("", old.sid())
    assert old.get("/probe/form").status_code == 302


def test_a_session_ends_half_an_hour_after_the_last_page(probed: House) -> None:
    browser = probed.browser("admin")
    for _ in range(3):
        probed.clock.step(minutes=29)
        assert browser.get("/probe/form").status_code == 200
    probed.clock.step(minutes=30)
    assert browser.get("/probe/form").status_code == 302


def test_a_session_ends_after_ten_hours_whatever_happens(probed: House) -> None:
    browser = probed.browser("admin")
    for _ in range(29):
        probed.clock.step(minutes=20)
        assert browser.get("/probe/form").status_code == 200
    probed.clock.step(minutes=20)
    assert browser.get("/probe/form").status_code == 302


def test_who_is_let_in_no_more_is_out_at_once_and_stays_out(probed: House) -> None:
    browser = probed.browser("physiotherapist")
    with probed.office.database.write() as db:
        assert staff.end(db, "Physiotherapist@example.org", NOON)
    assert browser.get("/probe/form").status_code == 302
    assert browser.sign_in("physiotherapist@example.org").status_code == 401
    with probed.office.database.write() as db:  # asked in again: the old password is gone
        staff.invite(db, "physiotherapist@example.org", "P", "physiotherapist", NOON)
    assert browser.sign_in("physiotherapist@example.org").status_code == 401


def test_a_new_password_ends_every_other_session(probed: House) -> None:
    before, browser = probed.browser("admin"), probed.browser()
    with probed.office.database.write() as db:
        token = staff.invite(db, "admin@example.org", "admin Example", "admin", NOON)
    assert before.get("/probe/form").status_code == 200
    assert browser.post(f"/welcome/{token}", password=GOOD).status_code == 302
    assert before.get("/probe/form").status_code == 302
    assert browser.get("/probe/form").status_code == 200
    assert browser.sign_in("admin@example.org").status_code == 401
    assert browser.sign_in("admin@example.org", GOOD).status_code == 302


# Invitations and passwords

GOOD = "a lighthouse eats quiet marmalade"


@pytest.fixture
def invitation(house: House) -> str:
    with house.office.database.write() as db:
        token = staff.invite(db, "tom.ellis@example.org", "Tom Ellis", "technician", NOON)
    return f"/welcome/{token}"


def test_an_invitation_works_once(house: House, invitation: str) -> None:
    browser = house.browser()
    assert "Welcome, Tom Ellis" in browser.get(invitation).text
    assert browser.sign_in("tom.ellis@example.org", "").status_code == 401  # not before
    assert browser.post(invitation, password=GOOD).location == "/health"  # a technician's first
    assert browser.sid()
    other = house.browser()
    assert other.get(invitation).status_code == 404
    assert other.post(invitation, password=GOOD + "!").status_code == 404
    assert not other.sid()


def test_an_invitation_ends_after_three_days(house: House, invitation: str) -> None:
    browser = house.browser()
    house.clock.step(days=3, seconds=-1)
    assert browser.get(invitation).status_code == 200
    house.clock.step(seconds=1)
    assert browser.get(invitation).status_code == 404
    assert browser.post(invitation, password=GOOD).status_code == 404


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("", "Use 12 characters or more"),
        ("Kx9#qLm2$vT", "Use 12 characters or more"),
        ("password1234", "easy to guess"),
        ("aaaaaaaaaaaaaaaaaaaaaaaa", "easy to guess"),
        ("tom.ellis@example.org", "easy to guess"),
        ("physiopostellis", "easy to guess"),
        ("qwertyuiop[]" * 7, "easy to guess"),
        (GOOD * 7, "Use 200 characters or fewer"),
    ],
)
def test_a_password_that_will_not_do_is_refused_in_words(
    house: House, invitation: str, password: str, words: str
) -> None:
    answer = house.browser().post(invitation, password=password)
    assert (answer.status_code, words in answer.text) == (422, True)
    assert house.browser().get(invitation).status_code == 200  # the invitation is still good


@pytest.mark.parametrize("password", [GOOD, GOOD * 6, "ein Glühwürmchen 🦊 frisst Käse"])
def test_a_password_may_be_long_and_of_any_letters(
    house: House, invitation: str, password: str
) -> None:
    assert house.browser().post(invitation, password=password).status_code == 302
    assert house.browser().sign_in("tom.ellis@example.org", password).status_code == 302
    assert house.browser().sign_in("tom.ellis@example.org", password + "x").status_code == 401


def test_only_hashes_are_kept(house: House, invitation: str) -> None:
    browser = house.browser()
    browser.post(invitation, password=GOOD)
    kept = repr(house.rows())
    for secret in (GOOD, browser.sid(), invitation.rpartition("/")[2]):
        assert secret not in kept
    assert "$argon2id$" in kept


# Guessing


def test_after_five_wrong_passwords_even_the_right_one_waits_a_quarter_of_an_hour(
    house: House,
) -> None:
    browser = house.browser()
    for _ in range(5):
        assert browser.sign_in("admin@example.org", "guess").status_code == 401
    slow = browser.sign_in("ADMIN@example.org")
    assert (slow.status_code, "Wait a quarter of an hour" in slow.text) == (429, True)
    assert browser.sign_in("technician@example.org").status_code == 302  # others are let in
    house.clock.step(minutes=15, seconds=1)
    assert browser.sign_in("admin@example.org").status_code == 302


def test_after_thirty_wrong_passwords_from_one_place_everybody_there_waits(house: House) -> None:
    marks = house.office.keys.marks("where:127.0.0.1")
    with house.office.database.write() as db:
        for _ in range(29):
            staff.fail(db, marks[0], NOON)
    assert house.browser().sign_in("nobody@example.org").status_code == 401
    assert house.browser().sign_in("admin@example.org").status_code == 429
    elsewhere = house.app.test_client()
    elsewhere.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    assert Browser(elsewhere).sign_in("admin@example.org").status_code == 302


def test_nobody_is_told_whether_an_address_is_known(house: House) -> None:
    def tried(email: str) -> tuple[int, str, float]:
        browser = house.browser()
        token, began = browser.token(), time.process_time()
        data = {"csrf_token": token, "email": email, "password": "guess"}
        answer = browser.client.post("/sign-in", data=data)
        page = answer.text.replace(email, "").replace(token, "")
        page = re.sub(r'name="csrf_token" value="[^"]*"', "", page)
        return answer.status_code, page, time.process_time() - began

    known = [tried(f"{role}@example.org") for role in ROLES]
    unknown = [tried(f"{role}@example.com") for role in ROLES]
    assert len({each[:2] for each in known + unknown}) == 1
    least, most = min(each[2] for each in known), min(each[2] for each in unknown)
    assert 1 / 3 < least / most < 3
    for row in house.rows()["failure"]:  # and the table of failures names nobody
        assert "@" not in repr(row)


def test_the_web_server_in_front_says_who_asks_and_nobody_else_can() -> None:
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: request.remote_addr or "")

    def seen(host: str, said: str) -> str:
        with served(app, host, 0) as at:
            asked = urllib.request.Request(  # noqa: S310 - ours
                at.replace("0.0.0.0", "127.0.0.1"),  # noqa: S104
                headers={"X-Forwarded-For": said},
            )
            with urllib.request.urlopen(asked, timeout=5) as answer:  # noqa: S310
                return str(answer.read().decode())

    assert seen("127.0.0.1", "198.51.100.1, 192.0.2.7") == "192.0.2.7"
    assert seen("0.0.0.0", "192.0.2.7") == "127.0.0.1"  # noqa: S104


# What somebody was sending when the session ended


@pytest.fixture
def kept(probed: House) -> tuple[Browser, str]:
    """A browser whose session ended while a form was open, and what was kept of it."""
    browser = probed.browser("admin")
    browser.get("/probe/form")
    probed.clock.step(minutes=31)
    answer = browser.post("/probe/form?x=1", words="Well done, Kim", password="not this")
    assert (answer.status_code, "Nothing is lost" in answer.text) == (401, True)
    return browser, field(answer.text, "kept")


def test_a_form_sent_too_late_is_offered_again_after_signing_in(
    kept: tuple[Browser, str],
) -> None:
    browser, sealed = kept
    wrong = browser.sign_in("admin@example.org", "a slip", kept=sealed)
    again = browser.sign_in("admin@example.org", kept=field(wrong.text, "kept")).text
    assert 'action="/probe/form?x=1"' in again
    assert "not this" not in again
    sent = browser.post(
        "/probe/form?x=1", words=field(again, "words"), csrf_token=field(again, "csrf_token")
    )
    assert sent.text == "Well done, Kim"


def test_a_kept_form_is_for_nobody_but_its_sender(kept: tuple[Browser, str]) -> None:
    browser, sealed = kept
    entered = browser.sign_in("technician@example.org", kept=sealed)
    assert (entered.status_code, entered.location) == (302, "/health")
    assert "Kim" not in entered.text


def test_a_kept_form_that_was_tampered_with_is_dropped(kept: tuple[Browser, str]) -> None:
    browser, sealed = kept
    payload, _, signature = sealed.partition(".")
    for changed in (f"{payload[:-1]}.{signature}", f"{payload}.x{signature}", sealed[:-3], "x", ""):
        assert browser.sign_in("admin@example.org", kept=changed).location == "/"


def test_of_a_stranger_nothing_is_kept(probed: House) -> None:
    answer = probed.browser().post("/probe/form", words="hello")
    assert (answer.status_code, field(answer.text, "kept")) == (401, "")


def test_what_was_to_be_said_to_one_is_not_said_to_the_next(probed: House) -> None:
    browser = probed.browser("admin")
    browser.post("/probe/form")  # leaves a line for the next page
    assert CANARY[0] not in browser.get("/sign-in").text


# What every answer carries, and what none does


def test_cookies_are_for_this_host_and_no_script(house: House) -> None:
    browser = house.browser()
    page = browser.get("/sign-in")
    entered = browser.sign_in("admin@example.org")
    left = browser.post("/sign-out")
    for answer in (page, entered, left):
        assert answer.headers.getlist("Set-Cookie")
        for cookie in answer.headers.getlist("Set-Cookie"):
            name, *rest = cookie.split("; ")
            assert name.startswith("__Host-")
            assert {"Secure", "Path=/"} <= set(rest)
            assert not [each for each in rest if each.startswith("Domain")]
            if "Max-Age=0" not in rest:  # not when it is taken away
                assert {"HttpOnly", "SameSite=Lax"} <= set(rest)


def test_every_answer_carries_the_headers_errors_included(probed: House) -> None:
    browser, admin = probed.browser("technician"), probed.browser("admin")
    answers = [admin.get(path_of(probed, route)) for route in gets()]
    answers += [
        browser.get("/nowhere"),
        browser.get("/stop/nobodys"),
        browser.get("/probe/admins"),
        browser.get("/probe/broken"),
        browser.get("/probe/busy"),
        browser.get("/sign-out"),
        browser.client.post("/sign-in"),
        browser.client.post("/sign-in", data={"password": "x" * (LARGEST + 1)}),
        browser.sign_in("admin@example.org", "guess"),
        probed.browser().get("/probe/form"),
    ]
    codes = {answer.status_code for answer in answers}
    assert codes >= {200, 302, 400, 401, 403, 404, 405, 413, 500, 503}
    for answer in answers:
        said, policy = answer.headers, answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "base-uri 'none'" in policy
        if "sandbox" in policy:  # a letter, in a frame of ours: its own colours, and no script
            assert "frame-ancestors 'self'" in policy
            assert "script-src" not in policy
        else:
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
        assert said["X-Content-Type-Options"] == "nosniff"
        assert said["Referrer-Policy"] == "no-referrer"
        assert said["Cache-Control"] == ("no-cache" if "ETag" in said else "no-store")  # static
        assert said["Strict-Transport-Security"] == "max-age=31536000"
        assert "Server" not in said


def test_without_https_no_browser_is_told_to_insist_on_it(
    tmp_path: Path, material: Material
) -> None:
    plain = {"PHYSIOPOST_URL": "http://127.0.0.1:8000", "PHYSIOPOST_CHANNEL": "folder"}
    office = open_office(tmp_path, material, lambda: NOON, **plain)
    assert "Strict-Transport-Security" not in create(office).test_client().get("/sign-in").headers


def test_what_is_too_large_is_refused_in_words(house: House) -> None:
    answer = house.browser("admin").post("/sign-in", password="x" * (LARGEST + 1))
    assert (answer.status_code, "too large" in answer.text) == (413, True)


def test_a_page_that_fails_says_so_in_words_and_logs_no_names(
    probed: House, caplog: pytest.LogCaptureFixture
) -> None:
    answer = probed.browser("admin").get("/probe/broken")
    assert (answer.status_code, "Something went wrong here" in answer.text) == (500, True)
    assert "a page stopped: ValueError" in caplog.text
    busy = probed.browser("admin").get("/probe/busy")
    assert (busy.status_code, "the database: it is locked. Try" in busy.text) == (503, True)
    for words in ("Traceback", *CANARY, "/probe"):
        assert words not in caplog.text + answer.text


def test_a_server_that_fails_logs_no_address(caplog: pytest.LogCaptureFixture) -> None:
    app = Flask(__name__)
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.add_url_rule("/stop/<token>", view_func=lambda token: {}[token])
    with served(app, "127.0.0.1", 0) as at, pytest.raises(OSError, match="500"):
        urllib.request.urlopen(f"{at}/stop/secret", timeout=5)  # noqa: S310 - ours
    told = [record for record in caplog.records if record.name == "waitress"]
    assert [record.getMessage() for record in told] == ["a page stopped: KeyError"]
    assert not any(record.exc_info for record in told)


def test_a_patients_name_and_address_stand_in_no_log_and_no_url(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    asked: list[str] = []
    for role in ("anonymous", *ROLES):
        browser = house.browser(role)
        for route in MATRIX:
            path = path_of(house, route)
            answer = browser.get(path) if route in gets() else browser.post(path)
            asked += [path, answer.headers.get("Location", "")]
            asked += re.findall(r'(?:href|src|action)="([^"]*)"', answer.text)
    for words in CANARY:
        for part in re.split(r"[ .@]", words)[:2]:
            assert part.casefold() not in caplog.text.casefold()
            assert part.casefold() not in " ".join(asked).casefold()


def inert(page: str) -> bool:
    """Whether the hostile words, if they are there, are only words."""
    harmless = "&lt;script&gt;alert(7)&lt;/script&gt;"
    page = page.replace(f"{harmless}{{{{7*7}}}}", "")
    return not re.search(r"<script>alert|alert\(7\)</script>|/script(>|&gt;)49", page)


def test_hostile_text_in_the_database_is_only_text(house: House) -> None:
    admin = house.browser("admin")
    pages = {path: admin.get(path).text for path in every_page(house, "p2")}
    assert [path for path, page in pages.items() if not inert(page)] == []
    shown = [path for path, page in pages.items() if "alert(7)" in page]
    assert {"/people", path_of(house, "GET /people/<enrolment>", "p2")} <= set(shown)


@pytest.mark.parametrize("route", [route for route in posts() if route != "POST /events/sendgrid"])
def test_hostile_text_that_is_sent_is_only_text(house: House, route: str) -> None:
    names = ("email", "name", "words", "reason", "first", "until", "first_appointment", "consent")
    sent = dict.fromkeys((*names, "physiotherapist", "to", "kept", "do", "mark", "shown"), HOSTILE)
    for verb in VERBS:
        answer = house.browser("admin").post(path_of(house, route, verb=verb), **sent)
        assert answer.status_code < 500
        assert inert(answer.text)
        if "<verb>" not in route:
            break


def found(value: Any) -> Any:
    assert value is not None
    return value
