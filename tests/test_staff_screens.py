"""Your account; staff and settings; health, with a test letter: what they promise."""

import re
from html import unescape
from pathlib import Path
from shutil import copytree

import pytest
from smtp_sink import sink
from sqlalchemy import event
from test_gate import GOOD, NOON, WORDS, Clock, House, found, house, open_office, seed
from test_screens import plain

from scheduler.delivery.behind import Heartbeat
from scheduler.ledger import staff, trail
from scheduler.material import Material
from scheduler.web.app import create

__all__ = ["house", "seed"]  # fixtures that these tests share with test_gate.py
SECRETS = ("a-secret-of-the-tests", "hunter2", "physiopost.db", "ping.example.org")


def link(page: str) -> str:
    return str(found(re.search(r"https://letters\.example\.org(/welcome/[\w-]{32})", page))[1])


# Your account


def test_a_password_is_changed_by_who_knows_it_and_ends_every_other_session(house: House) -> None:
    here, there = house.browser("physiotherapist"), house.browser("physiotherapist")
    wrong = here.post("/account/password", password="guess", new=GOOD)
    assert (wrong.status_code, "is not your present password" in wrong.text) == (422, True)
    weak = here.post("/account/password", password=WORDS, new="password1234")
    assert (weak.status_code, "easy to guess" in weak.text) == (422, True)
    assert here.post("/account/password", password=WORDS, new=GOOD).location == "/account"
    assert here.get("/account").status_code == 200
    assert there.get("/account").status_code == 302
    assert house.browser().sign_in("physiotherapist@example.org").status_code == 401
    assert house.browser().sign_in("physiotherapist@example.org", GOOD).status_code == 302


def test_guessing_there_is_as_slow_as_at_the_entrance(house: House) -> None:
    browser = house.browser("admin")
    for _ in range(5):
        browser.post("/account/password", password="guess", new=GOOD)
    slow = browser.post("/account/password", password=WORDS, new=GOOD)
    assert (slow.status_code, "Wait a quarter of an hour" in slow.text) == (422, True)
    assert house.browser().sign_in("admin@example.org").status_code == 429


def test_one_sees_where_one_is_signed_in_and_can_end_all_of_it(house: House) -> None:
    here, there = house.browser("technician"), house.browser("technician")
    house.clock.step(minutes=5)
    page = plain(here.get("/account").text)
    assert page.count("This browser") == page.count("Another browser") == 1
    assert "since Tue 24 Nov 2026 12:00" in page
    assert here.post("/account/sign-out").location == "/sign-in"
    assert there.get("/account").status_code == 302
    assert here.get("/account").status_code == 302


# Staff


def test_an_administrator_asks_somebody_in_with_a_link_that_stands_there_once(house: House) -> None:
    admin = house.browser("admin")
    fields = {"name": "Tom Ellis", "email": "Tom.Ellis@example.org", "role": "physiotherapist"}
    made = admin.post("/staff/invite", **fields)
    there = link(made.text)
    assert there not in admin.get("/staff").text
    assert "Tom Ellis … asked in" in plain(admin.get("/staff").text)
    tom = house.browser()
    assert tom.post(there, password=GOOD).location == "/"
    assert tom.get("/people").status_code == 200


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": " "}, "The name is missing."),
        ({"email": "tom"}, "This is no e-mail address."),
        ({"email": "ADMIN@example.org"}, "This is your own address."),
        ({"role": "owner"}, "Choose what they may do."),
    ],
)
def test_an_invitation_that_will_not_do_is_refused_in_words(
    house: House, change: dict[str, str], words: str
) -> None:
    admin, before = house.browser("admin"), house.rows()
    fields = {"name": "Tom Ellis", "email": "tom@example.org", "role": "technician"} | change
    answer = admin.post("/staff/invite", **fields)
    assert (answer.status_code, words in answer.text) == (422, True)
    assert house.rows() == before


def test_what_is_done_to_somebody_is_said_first(house: House) -> None:
    admin, theirs = house.browser("admin"), house.browser("technician")
    path = f"/staff/{house.member('technician').id}"
    asked = admin.post(f"{path}/end")
    assert "technician Example is signed out at once" in asked.text
    assert theirs.get("/").status_code == 200
    assert admin.post(f"{path}/out", do="confirm").status_code == 302
    assert theirs.get("/").status_code == 302
    assert house.browser().sign_in("technician@example.org").status_code == 302
    renewed = link(admin.post(f"{path}/link", do="confirm").text)
    assert house.browser().post(renewed, password=GOOD).status_code == 302
    assert admin.post(f"{path}/end", do="confirm").status_code == 302
    assert house.browser().sign_in("technician@example.org", GOOD).status_code == 401
    assert admin.post(f"{path}/end", do="confirm").status_code == 404


@pytest.mark.parametrize("deed", ["link", "out", "reset", "end"])
def test_nobody_does_it_to_themselves_so_that_an_administrator_is_left(
    house: House, deed: str
) -> None:
    admin, before = house.browser("admin"), house.rows()
    path = f"/staff/{house.member('admin').id}/{deed}"
    assert admin.post(path, do="confirm").status_code == 404
    assert house.rows() == before


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "into a folder, as drafts"),
        (
            {
                "PHYSIOPOST_CHANNEL": "smtp",
                "PHYSIOPOST_SMTP": "smtp://us:hunter2@mail.example.org",
                "PHYSIOPOST_PING": "https://ping.example.org/hunter2",
            },
            "by SMTP through mail.example.org, port 587, 4 connections",
        ),
        (
            {"PHYSIOPOST_CHANNEL": "sendgrid", "SENDGRID_API_KEY": "hunter2"},
            "by SendGrid (https://api.sendgrid.com), 100 in a request",
        ),
    ],
)
def test_settings_are_shown_in_words_and_never_a_secret(
    seed: Path, tmp_path: Path, material: Material, settings: dict[str, str], words: str
) -> None:
    house = opened(seed, tmp_path, material, **settings)
    page = plain(house.browser("admin").get("/staff").text)
    assert words in page
    assert "SQLite 3." in page
    assert "https://letters.example.org" in page
    assert [each for each in SECRETS if each in page] == []


# Health


def test_who_sees_no_names_begins_at_health_and_sees_none(house: House) -> None:
    browser = house.browser()
    assert browser.sign_in("technician@example.org").location == "/health"
    page = browser.get("/health").text
    assert "Canaria" not in page
    assert "No round has run yet" in page
    assert "start physiopost run" in page


def test_the_page_asks_nobody_outside_until_it_is_told_to(
    seed: Path, tmp_path: Path, material: Material
) -> None:
    with sink() as server:
        there = f"smtp://127.0.0.1:{server.port}"
        way = {"PHYSIOPOST_CHANNEL": "smtp", "PHYSIOPOST_SMTP": there}
        browser = opened(seed, tmp_path, material, **way).browser("technician")
        assert "Other machines are asked only when somebody says so" in browser.get("/health").text
        assert "takes our login" in browser.post("/health").text
    assert server.connections == 1  # the second time
    assert server.letters == 0


def test_a_test_letter_goes_to_who_asks_and_into_no_patients_record(house: House) -> None:
    admin, before = house.browser("admin"), house.rows()
    assert admin.post("/health/test-letter").location == "/health"
    assert "Your test letter: it lies in the folder for letters." in plain(
        admin.get("/health").text
    )
    letters = [each.read_bytes() for each in (house.office.settings.outbox / "new").iterdir()]
    (mine,) = [each for each in letters if b"To: admin@example.org" in each]
    assert b"This is a test letter to you alone" in mine.replace(b"=\r\n", b"")
    after = house.rows()
    assert {name for name in after if after[name] != before[name]} == {"audit"}
    assert "test letter" in repr(after["audit"][-1])


def test_a_test_letter_that_did_not_go_says_why(
    seed: Path, tmp_path: Path, material: Material
) -> None:
    way = {"PHYSIOPOST_CHANNEL": "smtp", "PHYSIOPOST_SMTP": "smtp://127.0.0.1:9"}
    browser = opened(seed, tmp_path, material, **way).browser("technician")
    browser.post("/health/test-letter")
    words = "it did not go: the mail server 127.0.0.1:9 cannot be reached"
    assert words in unescape(browser.get("/health").text)


# What other programs ask


def test_a_program_learns_whether_the_service_lives_and_works(house: House) -> None:
    browser = house.browser()
    assert browser.get("/healthz").text == "alive\n"
    assert (browser.get("/readyz").status_code, browser.get("/readyz").text) == (
        503,
        "no round runs\n",
    )
    with house.office.database.write() as db:
        Heartbeat(NOON, None).keep(db)
    assert browser.get("/readyz").text == "ready\n"
    house.clock.step(minutes=11)
    assert browser.get("/readyz").status_code == 503
    house.office.database.engine.dispose()
    for each in (house.office.settings.file or Path()).parent.glob("physiopost.db*"):
        each.unlink()
    (house.office.settings.file or Path()).mkdir()
    gone = browser.get("/readyz")
    assert (gone.status_code, gone.text) == (503, "the database does not answer\n")
    assert browser.get("/healthz").status_code == 200


def test_numbers_are_shown_where_they_were_asked_for_and_name_nobody(
    house: House, seed: Path, tmp_path: Path, material: Material
) -> None:
    assert house.browser().get("/metrics").status_code == 404
    house = opened(seed, tmp_path, material, PHYSIOPOST_METRICS="on")
    with house.office.database.write() as db:
        Heartbeat(NOON, "SendGrid asks us to wait").keep(db)
    house.clock.step(seconds=42)
    answer = house.browser().get("/metrics")
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    numbers = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if line[0] != "#")
    assert numbers == {
        'physiopost_letters{state="accepted"}': "2",
        "physiopost_due": "0",
        "physiopost_late": "0",
        "physiopost_undecided": "0",
        "physiopost_channel_up": "0",
        "physiopost_heartbeat_age_seconds": "42",
    }
    kinds = re.findall(r"^# TYPE (\w+) gauge$", answer.text, re.MULTILINE)
    assert kinds == [name.partition("{")[0] for name in numbers]


def opened(seed: Path, folder: Path, material: Material, **settings: str) -> House:
    """The same house with other settings."""
    copytree(seed, folder / "other")
    clock = Clock()
    office = open_office(folder / "other", material, clock, **settings)
    return House(office, clock, create(office))


# All of them


def test_names_of_staff_are_only_text(house: House) -> None:
    admin, name = house.browser("admin"), '<script>alert(7)</script>{{7*7}}"><img src=x>'
    admin.post("/staff/invite", name=name, email="tom@example.org", role="technician")
    with house.office.database.read() as db:
        who = next(each for each in staff.everyone(db) if each.email == "tom@example.org")
    pages = [admin.get("/staff"), admin.post(f"/staff/{who.id}/end")]
    tom = house.browser()
    tom.post(link(admin.post(f"/staff/{who.id}/link", do="confirm").text), password=GOOD)
    pages += [tom.get("/account"), tom.get("/account/second-factor"), tom.get("/health")]
    for page in pages:
        assert (page.status_code, name in unescape(page.text)) == (200, True)
        assert not re.search(r"<script>alert|49\"|<img src=x", page.text)


def test_no_page_asks_the_database_once_a_row(house: House) -> None:
    admin, numbers = house.browser("admin"), list[int]()
    with house.office.database.write() as db:
        for number in range(60):
            staff.invite(db, f"s{number}@example.org", f"S{number}", "technician", NOON)
            trail.tell(db, None, "invite", f"s{number}", at=NOON, by="admin@example.org")
            staff.open_session(db, house.member("admin"), NOON)
    engine = house.office.database.engine
    event.listen(engine, "before_cursor_execute", lambda *_: numbers.append(1))
    for address in ("/account", "/staff", "/audit", "/health"):
        numbers.clear()
        assert admin.get(address).status_code == 200
        assert len(numbers) <= 24, (address, len(numbers))


def test_pages_hold_no_style_and_no_script_of_their_own(house: House) -> None:
    admin = house.browser("admin")
    for address in ("/account", "/account/second-factor", "/staff", "/audit", "/health"):
        html = re.sub(r'src="data:[^"]*"', "", admin.get(address).text)
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src)", html), address
