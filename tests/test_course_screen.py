"""The course on screen: what patients read, on what grounds, and under whose name."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, update
from test_screens import Screens, open_office, plain, seed

from scheduler.ledger import people, trail
from scheduler.ledger.impact import waiting
from scheduler.ledger.planner import Planner
from scheduler.ledger.tables import delivery, enrolment
from scheduler.letters.editions import Press
from scheduler.material import Material, read_material, signoff
from scheduler.material.signoff import BLOCKS, standing
from scheduler.web.app import create

__all__ = ["seed"]  # a fixture that these tests share with test_screens.py

WELCOME = "lessons/00-welcome.md"
NUMBER = "PH123456"


@pytest.fixture
def screens(seed: Path, tmp_path: Path, root: Path, material: Material) -> Iterator[Screens]:
    """The example clinic with a course of its own, which nobody has signed."""
    made: list[Screens] = []
    shutil.copytree(seed, tmp_path / "clinic")
    shutil.copytree(root / "course", tmp_path / "course")
    office = open_office(tmp_path / "clinic", material, lambda: made[0].now)
    course, clinic = tmp_path / "course", root / "clinic.yaml"
    office.settings = replace(office.settings, course=course, clinic=clinic)
    fresh = read_material(office.settings)
    office.planner, office.press = Planner(fresh), Press(fresh, office.settings.templates)
    app = create(office)
    client = app.test_client()
    client.environ_base["HTTP_HOST"] = "localhost"
    client.environ_base["wsgi.url_scheme"] = "https"
    made.append(Screens(office, app, client))
    made[0].sign_in("physiotherapist")
    yield made[0]
    office.database.close()


def course(screens: Screens) -> Path:
    return screens.office.settings.course


def mark(screens: Screens, what: str) -> str:
    found = re.search(
        'name="mark" value="([^"]+)"', screens.client.get(f"/course/{what}/sign").text
    )
    assert found
    return found[1]


def sign(screens: Screens, what: str, **fields: str) -> int:
    filled = {"mark": mark(screens, what), "registration": NUMBER, "read": "yes", **fields}
    return screens.post(f"/course/{what}/sign", **filled).status_code


def edit(screens: Screens, name: str, old: str, new: str) -> None:
    path = course(screens) / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def states(screens: Screens) -> dict[str, str]:
    """How everything stands that the service sends."""
    material = screens.office.planner.material
    return {what: each.state for what, each in standing(material, screens.now.date()).items()}


def test_every_letter_is_listed_with_who_waits_for_it_and_that_nobody_has_signed(
    screens: Screens,
) -> None:
    page = screens.get("/course")
    assert "10 of 10 texts wait for a registered physiotherapist." in page
    assert "Week 8: " in page
    assert "The warning boxes They stand in every letter. ○ not signed" in page
    assert "7 people have it still before them." in page


def test_the_number_of_people_who_wait_is_what_the_plan_says(screens: Screens) -> None:
    office = screens.office
    screens.do(screens.address("amy", "/skip"), lesson="scans")
    screens.do(screens.address("elif", "/hold"), first="2026-12-02")
    material = office.planner.material
    with office.database.write() as db:  # one put off, and one that an edit left owing
        ben, grace = (screens.person(who).enrolment_id for who in ("ben", "grace"))
        mine = update(delivery).where(delivery.c.lesson == "welcome")
        db.execute(mine.where(delivery.c.enrolment_id == ben).values(state="deferred"))
        gone = delete(delivery).where(delivery.c.lesson == "welcome")
        db.execute(gone.where(delivery.c.enrolment_id == grace))
        owing = update(enrolment).where(enrolment.c.id == grace)
        db.execute(owing.values(owed=["welcome"]))
    with office.database.read() as db:
        counted = waiting(db, material.course)
        timelines = office.planner.timelines(db, screens.now)
        skipped = [each for each in people.everyone(db) if each.skip]
    assert skipped
    owed = next(letters for person, letters in timelines if person.id == "grace")[0]
    assert (owed.lesson, owed.state) == ("welcome", "planned")
    told = [letter for _, letters in timelines for letter in letters]
    for slug in material.course.by_slug:
        waits = [each for each in told if each.lesson == slug and each.state in ("planned", "held")]
        assert (slug, counted[slug]) == (slug, len(waits))


def test_a_letter_is_shown_as_it_looks_in_a_frame_that_runs_nothing(screens: Screens) -> None:
    page = screens.client.get("/course/welcome").text
    assert '<iframe class="letter phone" sandbox' in page
    for look in ("phone", "desktop", "dark", "text"):
        letter = screens.client.get(f"/course/welcome/letter.html?as={look}")
        policy = letter.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert policy.endswith("sandbox")
        assert "Sam" in letter.text
    assert "<pre>" in screens.client.get("/course/welcome/letter.html?as=text").text
    assert screens.client.get("/course/blocks/letter.html").status_code == 404
    assert screens.client.get("/course/nothing").status_code == 404


def test_a_text_leads_to_its_claims_and_sources(screens: Screens) -> None:
    page = screens.get("/course/what-it-is")
    assert "What it rests on: " in page
    assert "How the course words it: " in page
    assert "Source: Koes" in page
    assert "What it rests on: " in screens.get("/course/blocks")


def test_the_evidence_page_keeps_its_style_and_runs_no_script(screens: Screens) -> None:
    answer = screens.client.get("/course/evidence")
    assert "What the course claims, and on what grounds" in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert re.search(r"style-src 'sha256-[A-Za-z0-9+/]{43}=';", policy)
    assert "unsafe" not in policy
    assert "script" not in policy


def test_a_physiotherapist_signs_what_stood_on_the_page_and_the_service_takes_it_up(
    screens: Screens,
) -> None:
    page = screens.get("/course/welcome/sign")
    assert "I am Rosa Green, a registered physiotherapist, and have read this" in page
    assert "What it rests on: " in page
    assert sign(screens, "welcome") == 302
    assert states(screens)["welcome"] == "signed"
    assert states(screens)["scans"] == "unsigned"
    written = (course(screens) / "signoff.yaml").read_text(encoding="utf-8")
    assert f"registration: {NUMBER}\n" in written
    page = screens.get("/course")
    assert "Signed. Thank you." in page
    assert "Signed by Rosa Green (PH123456) on Tue 1 Dec 2026" in page
    with screens.office.database.read() as db:
        line = next(trail.lines(db, trail.Wanted(action="sign")))
    assert line.words.startswith(f"welcome, registration {NUMBER}")
    assert line.by == "rosa@harbour-physio.example.org"


def test_the_boxes_are_signed_by_themselves(screens: Screens) -> None:
    assert sign(screens, BLOCKS) == 302
    assert states(screens)[BLOCKS] == "signed"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"read": ""}, "Tick that you have read it"),
        ({"registration": ""}, "is no registration number"),
        ({"registration": "<b>1234</b>"}, "is no registration number"),
    ],
)
def test_nothing_is_signed_that_was_not_read_or_by_nobody(
    screens: Screens, fields: dict[str, str], words: str
) -> None:
    filled = {"mark": mark(screens, "welcome"), "registration": NUMBER, "read": "yes", **fields}
    answer = screens.post("/course/welcome/sign", **filled)
    assert answer.status_code == 422
    assert words in plain(answer.text)
    assert set(states(screens).values()) == {"unsigned"}


def test_a_text_that_was_edited_meanwhile_is_shown_again_and_not_signed(screens: Screens) -> None:
    before = mark(screens, "welcome")
    edit(screens, WELCOME, "weekly", "weekly, short")
    assert sign(screens, "welcome", mark=before) == 409
    assert states(screens)["welcome"] == "unsigned"
    assert sign(screens, "welcome") == 302
    assert states(screens)["welcome"] == "signed"


def test_an_edit_makes_the_signature_void_and_says_that_the_service_sends_the_older_text(
    screens: Screens,
) -> None:
    sign(screens, "welcome")
    edit(screens, WELCOME, "weekly", "weekly, short")
    page = screens.get("/course/welcome")
    assert "changed since it was signed Last signed by Rosa Green" in page
    assert "This text is newer than the one that the service sends." in page


@pytest.mark.parametrize(
    ("old", "new"),
    [("slug: welcome", "slug: WELCOME"), ("weekly", "{{ weekly }}")],
)
def test_a_course_that_cannot_be_read_says_what_to_mend_and_is_not_signed(
    screens: Screens, old: str, new: str
) -> None:
    before = mark(screens, "welcome")
    edit(screens, WELCOME, old, new)
    page = screens.get("/course/welcome/sign")
    assert "The course’s files cannot be read as they are." in page
    assert "Your signature" not in page
    sign_anyway = {"mark": before, "registration": NUMBER, "read": "yes"}
    screens.post("/course/welcome/sign", **sign_anyway)
    assert (course(screens) / "signoff.yaml").read_text().count(NUMBER) == 0


def test_a_course_that_cannot_be_written_says_so_and_what_to_do(
    screens: Screens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signoff, "PACKAGE", course(screens).resolve())
    filled = {"mark": mark(screens, "welcome"), "registration": NUMBER, "read": "yes"}
    answer = screens.post("/course/welcome/sign", **filled)
    page = plain(answer.text)
    assert answer.status_code == 422
    assert "Is part of the installed program and stays unsigned; copy it" in page
    assert "Your technician can mend this." in page
    with screens.office.database.read() as db:
        assert not [*trail.lines(db, trail.Wanted(action="sign"))]


def test_a_file_that_cannot_be_written_says_so_and_nothing_is_signed(screens: Screens) -> None:
    (course(screens) / f".signoff.yaml.{os.getpid()}").mkdir()  # where the new file is made
    filled = {"mark": mark(screens, "welcome"), "registration": NUMBER, "read": "yes"}
    answer = screens.post("/course/welcome/sign", **filled)
    assert answer.status_code == 422
    assert "Is a directory; mend its permissions" in plain(answer.text)


@pytest.mark.parametrize("role", ["admin", "technician"])
def test_others_read_the_course_and_do_not_sign(screens: Screens, role: str) -> None:
    before = mark(screens, "welcome")
    screens.sign_in(role, f"{role}@example.org")  # type: ignore[arg-type]  # one of the roles
    assert "Read and sign" not in screens.get("/course/welcome")
    answer = screens.post("/course/welcome/sign", mark=before, registration=NUMBER, read="yes")
    assert answer.status_code == 403
    assert set(states(screens).values()) == {"unsigned"}
