"""Consent: which words somebody agreed to is kept with them, and the words stay as they were."""

import json
import sqlite3
from dataclasses import replace
from html import unescape

import pytest
from conftest import Clinic
from test_screens import JO, Screens, everyone, plain, screens, seed

from scheduler.ledger import facts, trail
from scheduler.ledger.planner import Planner
from scheduler.material import Material
from scheduler.material.clinic import CONSENT

__all__ = ["screens", "seed"]  # fixtures that these tests share with test_screens.py
NOW = ("--now", "2026-11-23T15:00Z")
LATER = ("--now", "2026-11-24T15:00Z")
NEW = "We write to you once a week. You can stop."
OURS = "d92f9f61"
CSV = "id,email,name,first_appointment\nzoe,zoe@example.org,Zoe Example,2026-11-24\n"


@pytest.fixture
def enrolled(clinic: Clinic) -> Clinic:
    assert clinic.physiopost("enrol", *NOW).code == 0
    return clinic


def say(clinic: Clinic, words: str) -> None:
    """Other words of consent from now on."""
    clinic.replace("clinic.yaml", "retention:", f"retention:\nconsent: {json.dumps(words)}\n#")


def agreed(clinic: Clinic) -> dict[str, str]:
    with sqlite3.connect(clinic.folder / "var" / "physiopost.db") as db:
        return dict(db.execute("SELECT id, agreed_to FROM subscriber").fetchall())


def words_of(clinic: Clinic, version: str) -> str:
    with sqlite3.connect(clinic.folder / "var" / "physiopost.db") as db:
        name = facts.CONSENT + version
        found: str = db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()[0]
        return found


def test_whoever_agrees_agrees_to_the_words_of_that_day(enrolled: Clinic) -> None:
    assert set(agreed(enrolled).values()) == {OURS}
    say(enrolled, NEW)
    enrolled.write("new.csv", CSV)
    enrolled.physiopost("enrol", "new.csv", "--consent", "2026-11-24", *LATER)
    enrolled.physiopost("end", "ben", "--reason", "discharged", "--yes", *LATER)
    again = ("--appointment", "2026-11-24", "--consent", "2026-11-24", "--yes")
    enrolled.physiopost("reenrol", "ben", *again, *LATER)
    enrolled.replace("subscribers.yaml", "consent: 2026-11-17", "consent: 2026-11-24")  # Elif's
    enrolled.physiopost("enrol", *LATER)
    new = agreed(enrolled)["zoe"]
    assert new != OURS
    assert {who for who, version in agreed(enrolled).items() if version == new} == {
        *("zoe", "ben", "elif")
    }
    assert (words_of(enrolled, OURS), words_of(enrolled, new)) == (CONSENT, NEW)


def test_another_consent_in_a_practice_systems_file_is_to_the_words_of_now(
    enrolled: Clinic,
) -> None:
    enrolled.physiopost("roster", "export", "--to", "again.yaml")
    enrolled.physiopost("enrol", "again.yaml", *NOW)  # names the wording
    say(enrolled, NEW)
    head, row = "id,email,name,first_appointment,consent", "Amy Okafor,2026-11-16,2026-11-24"
    enrolled.write("again.csv", f"{head}\namy,amy.okafor@example.org,{row}\n")
    assert "1 changed" in enrolled.physiopost("enrol", "again.csv", *LATER).out
    assert agreed(enrolled)["amy"] not in (OURS, None)
    assert "0 changed" in enrolled.physiopost("enrol", "again.csv", *LATER).out


def test_taking_a_second_course_back_brings_the_earlier_wording_back(enrolled: Clinic) -> None:
    say(enrolled, NEW)
    enrolled.physiopost("end", "ben", "--reason", "discharged", "--yes", *LATER)
    again = ("--appointment", "2026-11-24", "--consent", "2026-11-24", "--yes")
    assert enrolled.physiopost("reenrol", "ben", *again, *LATER).code == 0
    assert enrolled.physiopost("undo", "ben", "--yes", *LATER).code == 0
    assert agreed(enrolled)["ben"] == OURS


def test_an_entry_may_name_other_words_and_leaving_that_out_later_forgets_nothing(
    clinic: Clinic,
) -> None:
    day = "consent: 2026-11-17"
    clinic.replace("subscribers.yaml", day, f"{day}\n  agreed_to: form of 2024")
    clinic.physiopost("enrol", *NOW)
    assert agreed(clinic)["elif"] == "form of 2024"
    clinic.replace("subscribers.yaml", "  agreed_to: form of 2024\n", "")
    assert "0 new, 0 changed" in clinic.physiopost("enrol", *NOW).out
    assert agreed(clinic)["elif"] == "form of 2024"


def test_the_roster_as_the_database_has_it_says_who_agreed_to_what(enrolled: Clinic) -> None:
    enrolled.physiopost("roster", "export", "--to", "again.yaml")
    say(enrolled, NEW)
    (enrolled.folder / "var" / "physiopost.db").unlink()
    enrolled.physiopost("enrol", "again.yaml", *LATER)
    assert set(agreed(enrolled).values()) == {OURS}


def test_the_export_and_the_audit_say_to_what_somebody_agreed(enrolled: Clinic) -> None:
    line = f"enrolled; agreed to wording {OURS} on Mon 16 Nov 2026"
    assert line in enrolled.physiopost("audit", "amy").out
    enrolled.physiopost("export", "amy", "--to", "amy", *NOW)
    about = (enrolled.folder / "amy" / "about.txt").read_text()
    assert f"agreed to: {OURS}" in about
    assert f"words: {CONSENT}" in about
    kept = json.loads((enrolled.folder / "amy" / "data.json").read_text())
    assert kept["consent"] == [{"words": CONSENT}]


# On the pages


def test_the_words_stand_above_the_day_and_afterwards_on_the_patients_page(
    screens: Screens,
) -> None:
    form = screens.client.get("/people/new").text
    assert unescape(form).index(CONSENT) < form.index('id="consent"')
    for page in ("/people/import", f"/people/{everyone(screens)[0].enrolment_id}/reenrol"):
        assert CONSENT in screens.get(page)
    assert f"to wording {OURS}" in plain(screens.post("/people/new", do="look", **JO).text)
    answer = screens.post("/people/new", do="confirm", agreed_to=OURS, **JO)
    page = screens.get(answer.headers["Location"])
    assert "agreed Tue 1 Dec 2026" in page
    assert f"What they agreed to (wording {OURS}) {CONSENT}" in page
    new = next(each for each in everyone(screens) if each.name == "Jo Example")
    with screens.office.database.read() as db:
        (line,) = trail.newest(db, new.id, 9)
    assert line.words == f"enrolled; agreed to wording {OURS} on Tue 1 Dec 2026"


def test_words_that_were_changed_while_the_form_was_open_are_said_anew(
    screens: Screens, material: Material
) -> None:
    clinic = material.clinic.model_copy(update={"consent": NEW})
    screens.office.planner = Planner(replace(material, clinic=clinic))
    answer = screens.post("/people/new", do="confirm", agreed_to=OURS, **JO)
    assert answer.status_code == 422
    page = plain(answer.text)
    assert "The words of consent were changed just now. Say the new ones, and ask again." in page
    assert NEW in page
    assert len(everyone(screens)) == 8


def test_the_example_shows_the_words_as_they_are(clinic: Clinic) -> None:
    _, _, shown = (clinic.folder / "clinic.yaml").read_text().partition("#consent: >-\n")
    lines = shown.partition("\n\n")[0].splitlines()
    assert " ".join(line.removeprefix("#  ") for line in lines) == CONSENT
