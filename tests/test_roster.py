"""What applying a roster file promises: all or nothing, twice is once, nobody's work is undone."""

import sqlite3

import pytest
from conftest import Clinic

SAME = "0 new, 0 changed, 8 unchanged: nothing to change\n"
SEEN = "first_appointment: 2026-11-23, consent: 2026-11-23"
MONDAY = ("--now", "2026-11-23T15:00Z")


@pytest.fixture
def enrolled(clinic: Clinic) -> Clinic:
    assert clinic.physiopost("enrol", *MONDAY).code == 0
    return clinic


def by_staff(clinic: Clinic, who: str, column: str, value: str | None) -> None:
    """What a later screen will do: change the database and not the file."""
    with sqlite3.connect(clinic.folder / "var" / "physiopost.db") as db:
        db.execute(f"UPDATE enrolment SET {column} = ? WHERE subscriber_id = ?", (value, who))  # noqa: S608 - the tests' own words


def column(clinic: Clinic, who: str, name: str) -> object:
    with sqlite3.connect(clinic.folder / "var" / "physiopost.db") as db:
        query = f"SELECT {name} FROM enrolment WHERE subscriber_id = ?"  # noqa: S608 - as above
        return db.execute(query, (who,)).fetchone()[0]


def test_enrolling_says_who_is_new_and_when_the_first_letter_comes(clinic: Clinic) -> None:
    said = clinic.physiopost("enrol", *MONDAY)
    assert said.code == 0
    assert "new      chloe  first letter Tue 1 Dec 2026 09:30 GMT" in said.out
    assert said.out.endswith("8 new, 0 changed, 0 unchanged\n")


def test_the_same_file_twice_changes_nothing(enrolled: Clinic) -> None:
    assert enrolled.physiopost("enrol", *MONDAY).out == SAME


def test_a_dry_run_changes_nothing(clinic: Clinic) -> None:
    clinic.physiopost("enrol", "--dry-run", *MONDAY)
    assert "8 new" in clinic.physiopost("enrol", *MONDAY).out


def test_what_the_file_changes_is_applied_with_the_dates_that_follow(enrolled: Clinic) -> None:
    enrolled.replace("subscribers.yaml", "start: 2026-11-30", "start: 2026-12-07")
    assert "changed  chloe  start" in enrolled.physiopost("enrol", *MONDAY).out
    assert (
        "chloe  Chloé Martin  active    0     Tue 8 Dec 2026" in enrolled.physiopost("roster").out
    )


def test_a_start_that_a_physiotherapist_moved_is_not_undone_by_an_old_line(
    enrolled: Clinic,
) -> None:
    by_staff(enrolled, "chloe", "start", "2026-12-14")
    enrolled.replace("subscribers.yaml", "stairs", "garden")
    assert "changed  chloe  note" in enrolled.physiopost("enrol", *MONDAY).out
    assert column(enrolled, "chloe", "start") == "2026-12-14"


def test_a_conflict_is_reported_and_nothing_at_all_is_applied(enrolled: Clinic) -> None:
    by_staff(enrolled, "chloe", "start", "2026-12-14")
    enrolled.replace("subscribers.yaml", "start: 2026-11-30", "start: 2026-12-07")
    enrolled.replace("subscribers.yaml", "pace: 10", "pace: 12")
    said = enrolled.physiopost("enrol", *MONDAY)
    assert said.code == 2
    assert said.err.startswith("subscribers.yaml:25: start was changed to 2026-12-14")
    assert column(enrolled, "grace", "pace") == 10


def test_the_same_change_on_both_sides_is_no_conflict(enrolled: Clinic) -> None:
    by_staff(enrolled, "chloe", "start", "2026-12-07")
    enrolled.replace("subscribers.yaml", "start: 2026-11-30", "start: 2026-12-07")
    assert enrolled.physiopost("enrol", *MONDAY).out == SAME
    by_staff(enrolled, "chloe", "start", "2026-12-21")  # and the file's word is the base now
    assert enrolled.physiopost("enrol", *MONDAY).code == 0
    assert column(enrolled, "chloe", "start") == "2026-12-21"


def test_nobody_is_removed_by_leaving_the_file(enrolled: Clinic) -> None:
    enrolled.write("subscribers.yaml", "[]\n")
    assert "0 new, 0 changed, 0 unchanged" in enrolled.physiopost("enrol", *MONDAY).out
    assert "amy" in enrolled.physiopost("roster").out


def test_a_patient_who_stopped_stays_stopped_when_the_file_is_applied_again(
    enrolled: Clinic,
) -> None:
    by_staff(enrolled, "amy", "status", "stopped")
    enrolled.replace("subscribers.yaml", "name: Amy Okafor", "name: Amy B Okafor")
    enrolled.physiopost("enrol", *MONDAY)
    assert column(enrolled, "amy", "status") == "stopped"


def test_an_entry_without_an_id_is_known_by_its_address(clinic: Clinic) -> None:
    entry = f"- {{email: Jo@Example.org, name: Jo, {SEEN}}}"
    clinic.write("subscribers.yaml", entry)
    assert "1 new" in clinic.physiopost("enrol", *MONDAY).out
    clinic.write("subscribers.yaml", entry.replace("Jo@E", "jo@e"))
    assert "1 new" not in clinic.physiopost("enrol", *MONDAY).out


def test_an_entry_that_is_given_an_id_later_is_still_the_same_person(clinic: Clinic) -> None:
    entry = f"email: jo@example.org, name: Jo, {SEEN}}}"
    clinic.write("subscribers.yaml", "- {" + entry)
    assert "1 new" in clinic.physiopost("enrol", *MONDAY).out
    for _ in range(2):
        clinic.write("subscribers.yaml", "- {id: jo, " + entry)
        assert "0 new, 0 changed, 1 unchanged" in clinic.physiopost("enrol", *MONDAY).out


def test_two_people_may_share_an_address_when_each_has_an_id(clinic: Clinic) -> None:
    home = "email: home@example.org"
    both = "".join(f"- {{id: {who}, {home}, name: {who}, {SEEN}}}\n" for who in ("kim", "lou"))
    clinic.write("subscribers.yaml", both)
    assert "2 new" in clinic.physiopost("enrol", *MONDAY).out
    clinic.physiopost("send", "--now", "2026-11-24T09:30Z")
    assert len(clinic.letters()) == 2


def test_another_file_can_be_named(clinic: Clinic) -> None:
    clinic.write("more.yaml", f"- {{id: kim, email: kim@example.org, name: Kim, {SEEN}}}")
    assert "1 new" in clinic.physiopost("enrol", "more.yaml", *MONDAY).out


def test_a_plan_can_be_asked_for_on_a_day_before_anybody_agreed(clinic: Clinic) -> None:
    said = clinic.physiopost("plan", "--now", "2026-07-01T12:00Z")
    assert (said.code, "Amy Okafor" in said.out) == (0, True)


def test_who_is_enrolled_has_a_plan_though_the_file_is_broken(enrolled: Clinic) -> None:
    enrolled.write("subscribers.yaml", "- id: [")
    assert enrolled.physiopost("plan", "amy").code == 0
    assert enrolled.physiopost("roster").code == 0
    assert enrolled.physiopost("enrol").code == 2
