"""What a stop link promises: it proves itself, stops one person's letters, and tells nothing."""

import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from test_round import WELCOME, Service

from scheduler import tailoring
from scheduler.findings import NotDone
from scheduler.keys import Keys
from scheduler.ledger import people
from scheduler.ledger.people import Person
from scheduler.ledger.suppressions import among, suppress
from scheduler.letters.editions import Press
from scheduler.material import Material
from scheduler.settings import Settings
from scheduler.web.app import create
from scheduler.web.gate import Office

URL = "https://letters.example.org"
OLD, NEW = "an old secret", "a new secret"
KEYS = Keys([OLD], URL)
ROTATED = Keys([NEW, OLD], URL)
FORGOTTEN = Keys([NEW], URL)
ONE_CLICK = {"List-Unsubscribe": "One-Click"}  # RFC 8058


# The links


def token(keys: Keys, enrolment: str) -> str:
    return keys.stop_url(enrolment).removeprefix(f"{URL}/stop/")


def test_a_link_leads_back_to_its_enrolment() -> None:
    assert KEYS.enrolment(token(KEYS, "0f3a")) == "0f3a"
    assert "/" not in token(KEYS, "0f3a")


@given(at=st.integers(0, 35), other=st.sampled_from("0123456789abcdef"))
def test_a_link_with_one_character_changed_is_nobodys(at: int, other: str) -> None:
    made = token(KEYS, "0f3a")
    changed = made[:at] + other + made[at + 1 :]
    assert changed == made or KEYS.enrolment(changed) is None


@given(st.text(max_size=80))
def test_nothing_that_somebody_makes_up_is_a_link(text: str) -> None:
    assert KEYS.enrolment(text) is None


def test_no_enrolment_at_all_is_not_proved_by_the_proof_of_another() -> None:
    made = token(KEYS, "0f3a")
    assert KEYS.enrolment(made[4:]) is None
    assert KEYS.enrolment(made[:4]) is None
    assert KEYS.enrolment(made + made[-32:]) is None


def test_after_a_change_of_secret_old_links_work_as_long_as_it_is_listed() -> None:
    old = token(KEYS, "0f3a")
    assert ROTATED.enrolment(old) == "0f3a"
    assert FORGOTTEN.enrolment(old) is None


def test_new_links_are_made_with_the_newest_secret() -> None:
    assert token(ROTATED, "0f3a") == token(FORGOTTEN, "0f3a") != token(KEYS, "0f3a")


def test_a_mark_is_no_link_and_the_mark_of_an_address_is_the_same_in_any_letters() -> None:
    (mark,) = KEYS.marks("Amy@Example.org")
    assert [mark] == KEYS.marks("amy@example.org")
    assert KEYS.enrolment(f"amy@example.org{mark}") is None
    assert "amy" not in mark


@pytest.mark.parametrize("words", ["", "x", "gAAAAAB", "gAAAAABrBé", "\u202e", "=" * 400])
def test_what_was_never_sealed_opens_as_nothing(words: str) -> None:
    assert KEYS.opened("priya", KEYS.sealed("priya", "a key")) == "a key"
    assert KEYS.opened("priya", words) is None


def test_no_repr_shows_a_secret() -> None:
    assert "secret" not in f"{KEYS!r}{KEYS}{[KEYS]}"


# The page


@pytest.fixture(scope="module")
def press(root: Path, material: Material) -> Press:
    return Press(material, root / "templates")


@pytest.fixture
def service(material: Material, press: Press, tmp_path: Path) -> Iterator[Service]:
    service = Service(material, press, f"sqlite:///{tmp_path / 'physiopost.db'}")
    yield service
    service.database.close()


def site(service: Service, keys: Keys = KEYS) -> FlaskClient:
    settings = Settings.from_environment({})
    parts = service.database, service.planner, service.round.press, keys, settings
    return create(Office(*parts, lambda: WELCOME)).test_client()


def link(person: Person, keys: Keys = KEYS) -> str:
    return keys.stop_url(person.enrolment_id).removeprefix(URL)


def begins_anew(service: Service, name: str) -> None:
    """Discharged, and back after three months."""
    later = WELCOME + timedelta(days=90)
    verbs: list[tailoring.Verb] = [
        lambda person: tailoring.end(person, "discharged"),
        lambda person: tailoring.reenrol(person, later.date(), later.date(), later),
    ]
    for verb in verbs:
        change = tailoring.propose(service.database, service.planner, name, verb, later)
        tailoring.commit(service.database, service.planner, [change], later, "a test")


def test_the_page_asks_and_the_button_stops_the_letters(service: Service) -> None:
    amy, page = service.people[0], site(service)
    asked = page.get(link(amy))
    assert (asked.status_code, "Stop the letters" in asked.text) == (200, True)
    assert page.post(link(amy)).status_code == 200
    assert (service.status("amy"), service.status("ben")) == ("stopped", "active")


def test_looking_at_the_page_changes_nothing_however_it_is_looked_at(service: Service) -> None:
    amy, page = service.people[0], site(service)
    for _ in range(3):
        assert page.get(link(amy)).status_code == 200
        assert page.head(link(amy)).status_code == 200
        assert page.options(link(amy)).status_code == 200
    for verb in (page.put, page.patch, page.delete):
        assert verb(link(amy)).status_code == 405
    assert service.status("amy") == "active"
    with service.database.read() as db:
        assert among(db, KEYS, [amy.email]) == {}


def test_one_click_stops_at_once_and_twice_is_as_good_as_once(service: Service) -> None:
    amy, page = service.people[0], site(service)
    answers = [page.post(link(amy), data=ONE_CLICK) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert service.status("amy") == "stopped"
    with service.database.read() as db:
        assert among(db, KEYS, [amy.email]) == {amy.email: "stopped"}


def test_no_answer_holds_a_cookie_a_redirect_or_a_name(service: Service) -> None:
    amy, page = service.people[0], site(service)
    forged = f"{link(amy)[:-1]}x"
    for answer in (page.get(link(amy)), page.get(forged), page.post(forged), page.post(link(amy))):
        assert answer.status_code in (200, 404)
        assert {"Set-Cookie", "Location"} & set(answer.headers) == set()
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        said = answer.text.replace(link(amy).replace("/stop/", "/letters/"), "")
        for word in ("amy", "Amy", "sciatica", amy.enrolment_id):
            assert word not in said


def test_a_page_needs_nothing_but_what_the_guide_lets_through(service: Service) -> None:
    page, place = site(service), link(service.people[0])
    for answer in (page.get(place), page.get("/stop/false"), page.post(place)):
        needed = re.findall(r'(?:href|src|action)="([^"]+)"', answer.text)
        assert needed
        looks = [each for each in needed if each.startswith("/static/")]
        assert [each for each in needed if not each.startswith("/letters/")] == looks
        assert {page.get(each).status_code for each in looks} == {200}


def test_a_link_that_was_tampered_with_is_nobodys_and_stops_nobody(service: Service) -> None:
    amy, ben = service.people
    page, mine = site(service), link(amy)
    proof = mine[-32:]
    others = link(ben)[:-32]
    for place in (f"{others}{proof}", mine[:-1], f"{mine}0", mine.upper(), f"/stop/{proof}"):
        assert page.get(place).status_code == 404
        assert page.post(place, data=ONE_CLICK).status_code == 404
    for at in range(len("/stop/"), len(mine)):
        changed = mine[:at] + ("0" if mine[at] != "0" else "1") + mine[at + 1 :]
        assert page.post(changed, data=ONE_CLICK).status_code == 404
    assert (service.status("amy"), service.status("ben")) == ("active", "active")


def test_a_true_link_of_nobody_is_answered_like_a_false_one(service: Service) -> None:
    page = site(service)
    gone = page.get(KEYS.stop_url("an-enrolment-of-yore").removeprefix(URL))
    false = page.get("/stop/false")
    assert (gone.status_code, gone.text) == (false.status_code, false.text)
    assert gone.status_code == 404


def test_the_link_in_a_letter_of_an_earlier_course_stops_the_newest_one(service: Service) -> None:
    amy, page = service.people[0], site(service)
    begins_anew(service, "amy")
    with service.database.read() as db:
        newest = people.find(db, "amy")
    assert newest
    assert (newest.status, newest.enrolment_id != amy.enrolment_id) == ("active", True)
    assert page.post(link(amy), data=ONE_CLICK).status_code == 200
    assert (service.status("amy"), service.status("ben")) == ("stopped", "active")


def test_an_old_letters_link_stops_the_course_while_its_secret_is_listed(service: Service) -> None:
    amy = service.people[0]
    assert site(service, FORGOTTEN).post(link(amy)).status_code == 404
    assert service.status("amy") == "active"
    assert site(service, ROTATED).post(link(amy)).status_code == 200
    assert service.status("amy") == "stopped"


def test_who_wanted_no_letters_is_known_after_a_change_of_secret(service: Service) -> None:
    amy = service.people[0].email
    site(service).post(link(service.people[0]))
    with service.database.read() as db:
        assert among(db, ROTATED, [amy]) == {amy: "stopped"}
        assert among(db, FORGOTTEN, [amy]) == {}


def test_a_page_that_fails_is_logged_without_its_link(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    amy = service.people[0]

    def fails(*_: object) -> None:
        raise NotDone(f"the database: somebody wrote of {amy.name}")

    monkeypatch.setattr(service.database, "write", fails)
    with caplog.at_level(logging.DEBUG):
        answer = site(service).post(link(amy), data=ONE_CLICK)
    assert answer.status_code == 503
    assert "a page stopped: NotDone" in caplog.text
    for word in (link(amy), amy.enrolment_id, amy.name):
        assert word not in caplog.text
        assert word not in answer.text


def test_the_database_alone_gives_no_link_and_no_address_that_was_suppressed(
    service: Service, tmp_path: Path
) -> None:
    with service.database.write() as db:
        suppress(db, KEYS, "zoe@example.org", reason="stopped", at=WELCOME, by="a test")
    octets = b"".join(path.read_bytes() for path in tmp_path.glob("physiopost.db*"))
    assert b"zoe" not in octets
    assert link(service.people[0])[-32:].encode() not in octets
