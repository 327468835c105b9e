"""The roster file while the service runs, who is behind, and what waits for a person's word."""

import json
from datetime import UTC, datetime

import pytest
from conftest import Clinic

from scheduler.cli.desk import Desk
from scheduler.ledger import caseload
from scheduler.plan.calendar import DAY
from scheduler.roster.merge import BY
from scheduler.roster.watch import TOLD, Waiting, Watch, waiting

MONDAY = ("--now", "2026-11-23T15:00Z")
NOW = datetime(2026, 11, 23, 16, tzinfo=UTC)
SEEN = "first_appointment: 2026-11-23, consent: 2026-11-23"


@pytest.fixture
def enrolled(clinic: Clinic) -> Clinic:
    assert clinic.physiopost("enrol", *MONDAY).code == 0
    return clinic


def look(watch: Watch, desk: Desk) -> str:
    return "\n".join(watch.look(desk.database, desk.planner, desk.keys, NOW))


def test_a_file_that_changes_is_applied_once(enrolled: Clinic) -> None:
    desk = Desk()
    watch = Watch(desk.settings.subscribers)
    assert look(watch, desk) == ""
    enrolled.replace("subscribers.yaml", "start: 2026-11-30", "start: 2026-12-07")
    assert look(watch, desk) == "subscribers.yaml was applied: 0 new, 1 changed"
    assert look(watch, desk) == ""
    assert "Tue 8 Dec 2026" in enrolled.physiopost("roster", *MONDAY).out


def waits(desk: Desk) -> Waiting | None:
    with desk.database.read() as db:
        return waiting(db)


def test_nothing_is_applied_before_somebody_has_enrolled_from_the_file(clinic: Clinic) -> None:
    desk = Desk()
    assert look(Watch(desk.settings.subscribers), desk) == ""
    assert json.loads(clinic.physiopost("roster", "--json").out) == []


def test_a_file_that_was_never_enrolled_is_not_applied_because_another_was(
    clinic: Clinic,
) -> None:
    clinic.write("more.yaml", f"- {{id: kim, email: kim@example.org, name: Kim, {SEEN}}}")
    clinic.physiopost("enrol", "more.yaml", *MONDAY)
    desk = Desk()
    assert look(Watch(desk.settings.subscribers), desk) == ""


def test_a_wrong_file_is_told_once_and_applied_when_it_is_mended(enrolled: Clinic) -> None:
    desk = Desk()
    watch = Watch(desk.settings.subscribers)
    enrolled.replace("subscribers.yaml", "start: 2026-11-30", "start: 2026-13-30")
    assert "subscribers.yaml:25: start" in look(watch, desk)
    assert look(watch, desk) == ""
    enrolled.replace("subscribers.yaml", "start: 2026-13-30", "start: 2026-12-07")
    assert "0 new, 1 changed" in look(watch, desk)


@pytest.mark.parametrize("end", ["mended", "as before", "gone", "enrolled by hand"])
def test_that_a_file_waits_is_known_to_the_pages_until_it_does_not(
    enrolled: Clinic, end: str
) -> None:
    desk, file = Desk(), enrolled.folder / "subscribers.yaml"
    watch, before = Watch(desk.settings.subscribers), file.read_text()
    look(watch, desk)
    assert waits(desk) is None
    enrolled.replace(file.name, "start: 2026-11-30", "start: 2026-13-30")
    look(watch, desk)
    held = waits(desk)
    assert held
    words = 'start "…" is a date that does not exist'
    assert [(each.line, each.words) for each in held.faults] == [(25, words)]
    match end:
        case "gone":
            file.unlink()
        case "as before":
            enrolled.write(file.name, before)
        case _:
            enrolled.replace(file.name, "start: 2026-13-30", "start: 2026-12-07")
    if end == "enrolled by hand":
        assert enrolled.physiopost("enrol", *MONDAY).code == 0
    else:
        look(watch, desk)
    assert waits(desk) is None


def test_a_file_that_is_wrong_again_in_the_same_way_is_told_again(enrolled: Clinic) -> None:
    desk = Desk()
    watch = Watch(desk.settings.subscribers)
    for _ in range(2):
        enrolled.replace("subscribers.yaml", "start: 2026-11-30", "start: 2026-13-30")
        assert "subscribers.yaml:25: start" in look(watch, desk)
        assert waits(desk)
        enrolled.replace("subscribers.yaml", "start: 2026-13-30", "start: 2026-11-30")
        look(watch, desk)
        assert waits(desk) is None


def test_of_a_wrong_file_neither_log_nor_database_tells_who_stands_there(enrolled: Clinic) -> None:
    desk = Desk()
    wrong = "{id: Amy Okafor, Ben Hughes: 1, start: 'as \"Chloe\" says', name: Dev Patel"
    enrolled.write("subscribers.yaml", f"- {wrong}, {SEEN}}}\n" * 9)
    said = look(Watch(desk.settings.subscribers), desk)
    held = waits(desk)
    assert held
    assert (len(held.faults), held.number) == (TOLD, 36)
    assert "subscribers.yaml:1: email is missing" in said
    assert said.splitlines()[-1] == f"and {36 - TOLD} more: physiopost enrol --dry-run names them"
    for who in ("Amy", "Ben", "Chloe", "Dev"):
        assert who not in f"{said}{held}"


def test_whom_the_file_enrolled_by_itself_is_new_until_the_first_letter(enrolled: Clinic) -> None:
    def new() -> list[str]:
        with desk.database.read() as db:
            found, number = caseload.enrolled(db, BY, NOW - DAY, 1)
            assert number == len(found)
            return [each.id for each in found]

    desk = Desk()
    assert new() == []  # somebody typed `enrol` for all of them
    with (enrolled.folder / "subscribers.yaml").open("a") as file:
        file.write(f"- {{id: kim, email: kim@example.org, name: Kim Ray, {SEEN}}}\n")
    assert "1 new, 0 changed" in look(Watch(desk.settings.subscribers), desk)
    assert new() == ["kim"]
    assert enrolled.physiopost("send", "--now", "2026-11-24T09:31Z").code == 0
    assert new() == []


def test_a_file_that_would_move_more_than_a_fifth_waits_for_a_persons_word(
    enrolled: Clinic,
) -> None:
    desk = Desk()
    text = (enrolled.folder / "subscribers.yaml").read_text()
    later = text.replace("Tom Ellis\n", "Tom Ellis\n  start: 2026-12-14\n")
    enrolled.write("subscribers.yaml", later)
    assert "more than a fifth" in look(Watch(desk.settings.subscribers), desk)
    held = waits(desk)
    assert held
    assert "3 of 7" in held.many
    before = enrolled.physiopost("roster", "export").out
    said = enrolled.physiopost("enrol", *MONDAY)
    assert said.code == 1
    assert "--yes-many" in said.err
    assert "letters move: next" in said.out
    assert enrolled.physiopost("roster", "export").out == before
    assert enrolled.physiopost("enrol", "--yes-many", *MONDAY).code == 0
    assert waits(desk) is None
    assert enrolled.physiopost("roster", "export").out != before


def test_one_person_is_never_too_many(clinic: Clinic) -> None:
    clinic.write("subscribers.yaml", f"- {{id: kim, email: kim@example.org, name: Kim, {SEEN}}}")
    clinic.physiopost("enrol", *MONDAY)
    clinic.replace("subscribers.yaml", "2026-11-23, c", "2026-11-16, c")
    assert clinic.physiopost("enrol", *MONDAY).code == 0


def test_an_exported_roster_changes_nothing_when_it_is_enrolled(enrolled: Clinic) -> None:
    tailored = [
        ("hold", "amy", "--from", "2026-12-08", "--until", "2026-12-22", "--reason", "a: b"),
        ("skip", "amy", "scans"),
        ("at", "amy", "18:15"),
        ("note", "ben", "Ünïcode, 'quotes' and #hash: {braces}"),
        ("end", "chloe", "--reason", "discharged"),
    ]
    for words in tailored:
        assert enrolled.physiopost(*words, "--yes", *MONDAY).code == 0
    enrolled.physiopost("roster", "export", "--to", "again.yaml")
    assert "8 unchanged: nothing" in enrolled.physiopost("enrol", "again.yaml", *MONDAY).out
    assert enrolled.physiopost("roster", "export", "--to", "again.yaml").code == 2


def test_the_file_that_a_person_wrote_is_never_written_to(enrolled: Clinic) -> None:
    before = (enrolled.folder / "subscribers.yaml").read_bytes()
    enrolled.physiopost("pace", "amy", "14", "--yes", *MONDAY)
    enrolled.physiopost("send", "--now", "2026-11-24T09:30Z")
    assert (enrolled.folder / "subscribers.yaml").read_bytes() == before


def test_who_is_behind_is_listed_with_the_reason(enrolled: Clinic) -> None:
    assert enrolled.physiopost("plan", "--behind", *MONDAY).out == "nobody is behind\n"
    thursday = ("--now", "2026-11-26T15:00Z")
    said = enrolled.physiopost("plan", "--behind", *thursday)
    assert said.code == 1
    assert "amy  welcome  since Tue 24 Nov: no round has run yet: start physiopost run" in said.out
    enrolled.physiopost("send", *thursday)
    said = enrolled.physiopost("plan", "--behind", *thursday)
    assert "overdue, goes at the next send time: 2026-11-27 09:30" in said.out
    enrolled.physiopost("send", "--now", "2026-11-27T09:31Z")
    said = enrolled.physiopost("plan", "--behind", "--now", "2026-11-27T09:35Z")
    assert "amy" not in said.out


def test_who_waits_for_a_signature_is_behind_for_that_reason(
    enrolled: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHYSIOPOST_CHANNEL", "smtp")
    monkeypatch.setenv("PHYSIOPOST_SECRET", "0123456789abcdef" * 2)
    monkeypatch.setenv("PHYSIOPOST_SMTP", "smtp://127.0.0.1:1")
    monkeypatch.setenv("PHYSIOPOST_URL", "https://letters.example.org")
    said = enrolled.physiopost("plan", "--behind", "--json", "--now", "2026-11-26T15:00Z")
    assert "must read and sign" in json.loads(said.out)[0]["why"]


def test_the_chain_of_reasons_of_one_letter(enrolled: Clinic) -> None:
    enrolled.physiopost("move", "amy", "--start", "2026-12-03", "--yes", *MONDAY)
    said = enrolled.physiopost("plan", "amy", "--why", "rest-or-move", *MONDAY)
    assert said.out.splitlines()[0].startswith("week 3: own date Fri 25 Dec: 22 days after")
    assert "moved from Fri 25 Dec: public holiday" in said.out
    assert said.out.splitlines()[-1] == "  goes Tue 29 Dec 2026 09:30 GMT"


def test_the_post_of_one_day(enrolled: Clinic) -> None:
    said = enrolled.physiopost("plan", "--on", "2026-12-01", *MONDAY)
    assert said.out.splitlines()[-1] == "5 letters"
    assert "Tue 1 Dec 2026 09:30 GMT  chloe" in said.out
