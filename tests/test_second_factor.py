"""The second factor: a code that the right phone shows, once, and nobody else can make."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
import time_machine
from pyotp import TOTP
from sqlalchemy import select
from test_gate import GOOD, NOON, WORDS, Browser, House, field, found, house, seed
from werkzeug.test import TestResponse

from scheduler.keys import Keys
from scheduler.ledger import staff
from scheduler.ledger.database import Database
from scheduler.ledger.tables import staff as table
from scheduler.web.passwords import number_of

__all__ = ["house", "seed"]  # fixtures that these tests share with test_gate.py
ADMIN = "admin@example.org"
KEY = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def code(house: House, key: str, **later: float) -> str:
    return TOTP(key).at(house.clock() + timedelta(**later))


def set_up(house: House, browser: Browser, **given: str) -> tuple[str, TestResponse]:
    """Set a second factor up as a person does; gives its key."""
    page = browser.get("/account/second-factor").text
    key = found(re.search(r'<code class="key">([A-Z2-7 ]+)</code>', page))[1].replace(" ", "")
    fields = {"key": field(page, "key"), "code": code(house, key), "password": WORDS} | given
    return key, browser.post("/account/second-factor", **fields)


@pytest.fixture
def key(house: House) -> str:
    """The key of the administrator's phone, half a minute after it was set up."""
    key, answer = set_up(house, house.browser("admin"))
    assert answer.location == "/account"
    house.clock.step(seconds=30)
    return key


def half_in(browser: Browser, **more: str) -> dict[str, str]:
    """What the page that asks for the code holds."""
    asked = browser.sign_in(ADMIN, **more)
    assert (asked.status_code, "Your code" in asked.text) == (200, True)
    return {name: unescape(field(asked.text, name)) for name in ("half", "to", "kept")}


def prove(browser: Browser, digits: str, **held: str) -> TestResponse:
    return browser.post("/sign-in/code", code=digits, **(held or half_in(browser)))


def test_after_the_password_the_code_is_asked_for_and_lets_one_in(house: House, key: str) -> None:
    browser = house.browser()
    held = half_in(browser, to="/people")
    assert browser.sid() == ""  # the password alone opens nothing
    assert browser.get("/people").status_code == 302
    digits = code(house, key)
    entered = prove(browser, f"{digits[:3]} {digits[3:]}", **held)
    assert (entered.status_code, entered.location) == (302, "/people")
    assert browser.get("/people").status_code == 200


def test_a_wrong_code_lets_nobody_in(house: House, key: str) -> None:
    browser = house.browser()
    for digits in ("", "１２３４５６", code(house, KEY), code(house, key, minutes=5)):
        assert prove(browser, digits).status_code == 401
    assert not browser.sid()


def test_a_code_works_once(house: House, key: str) -> None:
    """Somebody who looks over a shoulder, or reads the line, has nothing."""
    digits = code(house, key)
    assert prove(house.browser(), digits).status_code == 302
    again = prove(house.browser(), digits)
    assert (again.status_code, "was used already" in again.text) == (401, True)
    assert (
        prove(house.browser(), code(house, key, seconds=-30)).status_code == 401
    )  # nor one before
    house.clock.step(seconds=30)
    assert prove(house.browser(), code(house, key)).status_code == 302


def test_the_code_that_set_it_up_lets_nobody_in(house: House) -> None:
    key, _ = set_up(house, house.browser("admin"))
    assert prove(house.browser(), code(house, key)).status_code == 401


@pytest.mark.parametrize(("off", "right"), [(-60, False), (-29, True), (29, True), (61, False)])
def test_a_clock_may_be_off_by_half_a_minute(off: int, right: bool) -> None:
    typed = TOTP(KEY).at(NOON + timedelta(seconds=15 + off))
    assert (number_of(KEY, typed, NOON + timedelta(seconds=15)) is not None) is right


def test_guessing_codes_is_as_slow_as_guessing_passwords(house: House, key: str) -> None:
    browser = house.browser()
    held = half_in(browser)
    assert [prove(browser, "000000", **held).status_code for _ in range(5)] == [401] * 5
    slow = prove(browser, code(house, key), **held)
    assert (slow.status_code, "Wait a quarter of an hour" in slow.text) == (429, True)
    assert house.browser().sign_in(ADMIN).status_code == 429
    house.clock.step(minutes=15, seconds=1)
    assert prove(browser, code(house, key), **held).status_code == 302


@pytest.mark.parametrize("half", ["", "x", "IjEi.ZZZZZZ.abc"])
def test_nobody_steps_over_the_password(house: House, key: str, half: str) -> None:
    answer = prove(house.browser(), code(house, key), half=half)
    assert (answer.status_code, "Begin anew with your password" in answer.text) == (401, True)


def test_between_the_password_and_the_code_there_are_ten_minutes(house: House, key: str) -> None:
    browser, now = house.browser(), datetime.now(UTC)
    with time_machine.travel(now, tick=False):
        held = half_in(browser)
    with time_machine.travel(now + timedelta(seconds=602), tick=False):
        late = prove(browser, code(house, key), **held)
    assert (late.status_code, "The code came too late" in late.text) == (401, True)
    with time_machine.travel(now + timedelta(seconds=598), tick=False):
        assert prove(browser, code(house, key), **held).status_code == 302


def test_what_was_kept_is_still_offered_after_the_code(house: House, key: str) -> None:
    browser = house.browser("admin")
    house.clock.step(minutes=31)
    kept = field(browser.post("/people", words="Canaria").text, "kept")
    held = half_in(browser, kept=kept)
    again = prove(browser, code(house, key), **held)
    assert 'name="words" value="Canaria"' in again.text


def test_an_invitation_does_not_go_round_it(house: House, key: str) -> None:
    with house.office.database.write() as db:
        token = staff.invite(db, ADMIN, "admin Example", "admin", house.clock())
    browser = house.browser()
    asked = browser.post(f"/welcome/{token}", password=GOOD)
    assert "Your code" in asked.text
    assert not browser.sid()
    held = {name: unescape(field(asked.text, name)) for name in ("half", "to", "kept")}
    assert prove(browser, code(house, key), **held).status_code == 302


# Setting it up


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"code": "000000"}, "This code is not right"),
        ({"password": "guess"}, "is not your present password"),
    ],
)
def test_it_is_set_up_by_who_knows_the_password_and_has_the_app(
    house: House, given: dict[str, str], words: str
) -> None:
    browser = house.browser("admin")
    key, answer = set_up(house, browser, **given)
    assert (answer.status_code, words in unescape(answer.text)) == (422, True)
    assert key in answer.text.replace(" ", "")  # the same picture: the app need not be asked again
    assert not house.member("admin").factor


def test_the_picture_says_what_the_letters_say(house: House) -> None:
    page = house.browser("admin").get("/account/second-factor").text
    assert re.search(r'<img class="code" src="data:image/svg\+xml;[^"]+"', page)
    assert re.search(r'<code class="key">([A-Z2-7]{4} ){7}[A-Z2-7]{4}</code>', page)


def test_somebody_elses_key_is_not_taken(house: House) -> None:
    """A form that was filled for another must not set up a phone that they hold."""
    theirs = house.office.keys.sealed(house.member("technician").id, KEY)
    _, answer = set_up(house, house.browser("admin"), key=theirs, code=code(house, KEY))
    assert answer.status_code == 422


@pytest.mark.usefixtures("key")
def test_it_can_be_taken_away_with_the_password(house: House) -> None:
    browser = house.browser("admin")
    wrong = browser.post("/account/second-factor/off", password="guess")
    assert (wrong.status_code, house.member("admin").factor) == (422, True)
    browser.post("/account/second-factor/off", password=WORDS)
    assert house.browser().sign_in(ADMIN).location == "/"


# Where everybody needs one


def test_who_has_none_is_led_to_set_it_up_and_can_do_nothing_else(house: House) -> None:
    admin = house.browser("admin")
    assert admin.post("/staff/second-factor", need="yes").status_code == 302
    for path in ("/", "/people", "/staff", "/account", "/health"):
        assert admin.get(path).location == "/account/second-factor", path
    answer = admin.post("/people/new", do="confirm")
    assert answer.location == "/account/second-factor"
    assert admin.get("/brand.css").status_code == 200
    set_up(house, admin)
    assert admin.get("/staff").status_code == 200
    assert "Take it away" not in admin.get("/account").text
    assert admin.post("/staff/second-factor", need="no").status_code == 302
    assert house.browser("technician").get("/health").status_code == 200


@pytest.mark.usefixtures("key")
def test_an_administrator_resets_it_for_who_lost_the_phone(house: House) -> None:
    with house.office.database.write() as db:
        token = staff.invite(db, "boss@example.org", "zoe", "admin", house.clock())
        staff.set_password(db, found(staff.invited(db, token, house.clock())), "-")
        boss = found(staff.by_email(db, "boss@example.org"))[0]
        session = staff.open_session(db, boss, house.clock())
    browser, lost = house.browser(), house.browser("admin")
    browser.client.set_cookie("__Host-sid", session)
    path = f"/staff/{house.member('admin').id}/reset"
    asked = browser.post(path)
    assert "needs no code until a new app is set up" in asked.text
    assert house.member("admin").factor
    assert browser.post(path, do="confirm").status_code == 302
    assert lost.get("/people").status_code == 302  # signed out
    assert house.browser().sign_in(ADMIN).location == "/"


# What is kept


def test_the_database_alone_makes_no_code(house: House, key: str) -> None:
    assert key not in repr(house.rows())
    with house.office.database.read() as db:
        sealed = found(db.execute(select(table.c.totp).where(table.c.email == ADMIN)).scalar())
    who = house.member("admin").id
    assert house.office.keys.opened(who, sealed) == key
    assert Keys(["another-secret-that-is-long-enough"], "").opened(who, sealed) is None
    assert house.office.keys.opened(house.member("technician").id, sealed) is None


def test_a_new_secret_in_front_of_the_old_one_shuts_nobody_out() -> None:
    old, new = "an-old-secret-of-the-clinics-own", "a-new-secret-of-the-clinics-own"
    sealed = Keys([old], "").sealed("rosa", KEY)
    assert Keys([new, old], "").opened("rosa", sealed) == KEY
    assert Keys([new], "").opened("rosa", sealed) is None


def test_either_database_takes_a_code_once_and_forgets_who_left(ledger: str) -> None:
    database = Database(ledger)
    with database.write() as db:
        token = staff.invite(db, ADMIN, "Alex", "admin", NOON)
        alex = found(staff.invited(db, token, NOON))
        assert (staff.needed(db), staff.factor(db, alex)) == (False, "")
        staff.need(db, everybody=True)
        staff.set_factor(db, alex, "sealed", 7)
        assert (staff.needed(db), found(staff.by_id(db, alex.id)).factor) == (True, True)
        used = [staff.use_code(db, alex, number) for number in (7, 8, 8, 6)]
        assert used == [False, True, False, False]
        here, _ = (staff.open_session(db, alex, NOON) for _ in range(2))
        assert sorted(each.here for each in staff.sessions(db, alex, here, NOON)) == [False, True]
        assert staff.end(db, ADMIN, NOON)
        assert (staff.by_id(db, alex.id), staff.factor(db, alex)) == (None, "")
    database.close()
