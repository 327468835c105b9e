"""The verbs of a physiotherapist: what each does to the dates, what it refuses, its undoing."""

import io
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, time
from itertools import pairwise
from typing import Any

import pytest
from conftest import Clinic

from scheduler import tailoring
from scheduler.findings import WrongInput
from scheduler.ledger.people import Person
from scheduler.material import Material
from scheduler.plan.enrolment import Hold

MONDAY = ("--now", "2026-11-23T15:00Z")
YES = (*MONDAY, "--yes")
TODAY = date(2026, 11, 23)


@pytest.fixture
def enrolled(clinic: Clinic) -> Clinic:
    """The example people, enrolled on Mon 23 Nov 2026."""
    assert clinic.physiopost("enrol", *MONDAY).code == 0
    return clinic


def amy(**tailored: Any) -> Person:
    """Somebody whose first appointment was on Mon 23 Nov 2026."""
    person = Person(
        id="amy",
        email="amy@example.org",
        name="Amy",
        consent=TODAY,
        first_appointment=TODAY,
        enrolled_at=datetime(2026, 11, 23, 15, tzinfo=UTC),
        enrolment_id="enrolment",
    )
    return replace(person, **tailored)


def first(clinic: Clinic, who: str) -> str:
    """The line of somebody's next letter in the roster."""
    return next(
        line for line in clinic.physiopost("roster", *MONDAY).out.splitlines() if who in line
    )


# What a verb refuses, in words

HELD = amy(hold=(Hold(date(2026, 12, 8), date(2026, 12, 22)),))
ENDED = amy(status="discharged")


@pytest.mark.parametrize(
    ("verb", "person", "words"),
    [
        (lambda p: tailoring.move(p, start=date(2026, 11, 22)), amy(), "before the first appointm"),
        (lambda p: tailoring.move(p, start=date(2026, 11, 30)), ENDED, "reenrol amy begins it"),
        (lambda p: tailoring.hold(p, TODAY, TODAY, "", TODAY), amy(), "does not come after"),
        (
            lambda p: tailoring.hold(p, date(2026, 11, 2), date(2026, 11, 9), "", TODAY),
            amy(),
            "has come already",
        ),
        (lambda p: tailoring.resume(p, TODAY), amy(), "amy has no hold to end"),
        (lambda p: tailoring.resume(p, date(2026, 12, 22)), HELD, "amy has no hold to end"),
        (
            lambda p: tailoring.at_once(
                p, datetime(2026, 12, 9, 12, tzinfo=UTC), date(2026, 12, 9)
            ),
            HELD,
            "held until Tue 22 Dec 2026; resume the letters first",
        ),
        (lambda p: tailoring.pace(p, 2), amy(), "use 3 to 28"),
        (lambda p: tailoring.pace(p, 29), amy(), "use 3 to 28"),
        (lambda p: tailoring.pace(p, None), amy(), "that is how it is for amy already"),
        (lambda p: tailoring.at(p, time(9)), amy(send_at=time(9)), "that is how it is"),
        (lambda p: tailoring.note(p, "x" * 801), amy(), "keep it to 800"),
        (lambda p: tailoring.correct(p, email="b@example.org"), ENDED, "has ended (discharged)"),
        (lambda p: tailoring.correct(p, name=p.name), amy(), "that is how it is for amy already"),
        (lambda p: tailoring.correct(p, name="Al"), amy(status="bounced"), "ended (bounced)"),
        (lambda p: tailoring.end(p, "died"), ENDED, "has ended (discharged)"),
        (
            lambda p: tailoring.reenrol(p, TODAY, TODAY, p.enrolled_at),
            amy(),
            "end it first: physiopost end amy",
        ),
        (
            lambda p: tailoring.reenrol(p, TODAY, TODAY, p.enrolled_at),
            amy(status="stopped"),
            "ask again",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_cure(verb: Any, person: Person, words: str) -> None:
    with pytest.raises(WrongInput, match=words.replace("(", r"\(").replace(")", r"\)")):
        verb(person)


def test_a_lesson_that_does_not_exist_cannot_be_skipped(material: Material) -> None:
    with pytest.raises(WrongInput, match="did you mean scans"):
        tailoring.skip(amy(), "scan", material.course)


# What a verb does


def test_moving_the_first_appointment_keeps_a_start_that_is_still_to_come() -> None:
    later, start = date(2026, 12, 1), date(2026, 12, 7)
    assert tailoring.move(amy(start=start), appointment=later).person.start == start
    assert tailoring.move(amy(start=TODAY), appointment=later).person.start is None


def test_resuming_ends_the_hold_under_way_today_and_drops_one_that_has_not_begun() -> None:
    under_way = tailoring.resume(HELD, date(2026, 12, 10)).person
    assert under_way.hold == (Hold(date(2026, 12, 8), date(2026, 12, 10)),)
    assert tailoring.resume(HELD, date(2026, 12, 1)).person.hold == ()
    assert tailoring.resume(HELD, date(2026, 12, 8)).person.hold == ()


@pytest.mark.parametrize("until", [date(2027, 1, 5), date(2026, 12, 15), None])
def test_a_hold_under_way_is_made_longer_or_shorter(until: date | None) -> None:
    today = date(2026, 12, 10)
    changed = tailoring.hold(HELD, today, until, "away", today).person
    assert changed.hold == (Hold(date(2026, 12, 8), until, "away"),)


def test_a_hold_that_touches_no_other_stands_beside_it() -> None:
    after = tailoring.hold(HELD, date(2026, 12, 22), date(2027, 1, 5), "", TODAY).person
    assert [each.first.day for each in after.hold] == [8, 22]


def test_a_new_episode_begins_without_the_tailoring_of_the_old_one() -> None:
    old = amy(
        status="finished",
        start=date(2026, 12, 1),
        hold=HELD.hold,
        skip=("scans",),
        note="Well done",
        pace=10,
        send_at=time(18),
    )
    new = tailoring.reenrol(old, date(2027, 6, 1), date(2027, 6, 1), old.enrolled_at).person
    assert (new.start, new.hold, new.skip, new.note, new.status) == (None, (), (), None, "active")
    assert (new.pace, new.send_at, new.email) == (10, time(18), old.email)
    assert new.enrolment_id != old.enrolment_id


# On the command line


def test_a_hold_shows_old_dates_beside_new_ones_and_then_is_kept(enrolled: Clinic) -> None:
    words = ("hold", "amy", "--from", "2026-12-08", "--until", "2026-12-22", "--reason", "away")
    looked = enrolled.physiopost(*words, "--dry-run", *MONDAY)
    assert "nothing was changed" in looked.out
    row = next(line for line in looked.out.splitlines() if line.startswith("2 "))
    assert row.index("Tue 8 Dec 2026") < row.index("Tue 22 Dec 2026")
    assert "away" in row
    before = enrolled.physiopost("plan", "amy", *MONDAY).out
    assert "Tue 8 Dec 2026" in before
    assert enrolled.physiopost(*words, *YES).code == 0
    assert "Tue 8 Dec 2026 09:30" not in enrolled.physiopost("plan", "amy", *MONDAY).out


def test_without_a_yes_nothing_happens(enrolled: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    before = enrolled.physiopost("plan", "amy", "--json", *MONDAY).out
    said = enrolled.physiopost("pace", "amy", "14", *MONDAY)
    assert said.code == 130
    assert enrolled.physiopost("plan", "amy", "--json", *MONDAY).out == before


@pytest.mark.parametrize(
    "words",
    [
        ("move", "amy", "--start", "2026-11-30"),
        ("hold", "amy", "--from", "2026-12-08"),
        ("skip", "amy", "scans"),
        ("pace", "amy", "14"),
        ("at", "amy", "18:15"),
        ("note", "amy", "Well done on the stairs."),
        ("correct", "amy", "--email", "a.okafor@example.org", "--name", "Amaka Okafor"),
        ("end", "amy", "--reason", "discharged"),
    ],
    ids=lambda words: words[0],
)
def test_every_verb_can_be_taken_back_whole(enrolled: Clinic, words: tuple[str, ...]) -> None:
    before = enrolled.physiopost("roster", "export").out
    assert enrolled.physiopost(*words, *YES).code == 0
    assert enrolled.physiopost("roster", "export").out != before
    assert enrolled.physiopost("undo", "amy", *YES).code == 0
    assert enrolled.physiopost("roster", "export").out == before


def test_undo_walks_back_one_change_at_a_time_and_then_to_before_the_enrolment(
    enrolled: Clinic,
) -> None:
    enrolled.physiopost("pace", "amy", "14", *YES)
    enrolled.physiopost("at", "amy", "18:15", *YES)
    assert "18:15" in first(enrolled, "amy")
    enrolled.physiopost("undo", "amy", *YES)
    assert "09:30" in first(enrolled, "amy")
    assert "pace: 14" in enrolled.physiopost("roster", "export").out
    enrolled.physiopost("undo", "amy", *YES)
    assert "pace: 14" not in enrolled.physiopost("roster", "export").out
    enrolled.physiopost("undo", "amy", *YES)
    assert "amy" not in enrolled.physiopost("roster", *MONDAY).out


def test_an_enrolment_is_not_taken_back_once_a_letter_went(enrolled: Clinic) -> None:
    enrolled.physiopost("send", "--now", "2026-11-24T09:30Z")
    said = enrolled.physiopost("undo", "amy", "--now", "2026-11-24T10:00Z", "--yes")
    assert said.code == 1
    assert "amy has been written to" in said.err


def test_an_old_line_of_the_file_does_not_undo_what_was_tailored(enrolled: Clinic) -> None:
    enrolled.physiopost("move", "amy", "--start", "2026-11-30", *YES)
    assert "0 changed" in enrolled.physiopost("enrol", *MONDAY).out
    assert "Tue 1 Dec" in first(enrolled, "amy")


def test_letters_go_to_the_new_address_and_the_file_with_the_old_one_knows_the_person(
    enrolled: Clinic,
) -> None:
    enrolled.physiopost("correct", "amy", "--email", "a.okafor@example.org", *YES)
    enrolled.write(
        "practice.yaml",
        "- {email: amy.okafor@example.org, name: Amy Okafor, first_appointment: 2026-11-16, "
        "consent: 2026-11-16}",
    )
    assert "0 new" in enrolled.physiopost("enrol", "practice.yaml", *MONDAY).out
    assert "0 new, 1 changed" in enrolled.physiopost("enrol", *MONDAY).out
    enrolled.physiopost("send", "--now", "2026-11-24T09:30Z")
    assert any(b"To: a.okafor@" in path.read_bytes() for path in enrolled.letters())
    assert not any(b"amy.okafor@" in path.read_bytes() for path in enrolled.letters())


def test_a_course_that_bounced_goes_on_at_an_address_that_may_be_written_to(
    enrolled: Clinic,
) -> None:
    enrolled.physiopost("end", "ben", "--reason", "stopped", *YES)
    stopped = "ben.hughes@example.org"
    with closing(sqlite3.connect(enrolled.folder / "var" / "physiopost.db")) as db, db:
        db.execute("UPDATE enrolment SET status = 'bounced', next_due_at = NULL")
    said = enrolled.physiopost("correct", "amy", "--email", stopped, *YES)
    assert said.code == 1
    assert "not to be written to (stopped); ask the person" in said.err
    assert enrolled.physiopost("correct", "amy", "--email", "new@example.org", *YES).code == 0
    assert "Tue 24 Nov" in first(enrolled, "amy")


def test_a_second_course_sends_every_letter_again_and_keeps_the_first_in_history(
    enrolled: Clinic,
) -> None:
    enrolled.physiopost("send", "--now", "2026-11-24T09:30Z")
    gone = len(enrolled.letters())
    enrolled.physiopost("end", "amy", "--reason", "discharged", *YES)
    again = ("reenrol", "amy", "--appointment", "2027-06-01", "--consent", "2027-06-01")
    later = ("--now", "2027-06-01T15:00Z")
    assert enrolled.physiopost(*again, *later, "--yes").code == 0
    assert "0 changed" in enrolled.physiopost("enrol", *later).out
    enrolled.physiopost("skip", "amy", "scans", *later, "--yes")
    enrolled.physiopost("send", "--now", "2027-06-02T08:30Z")
    amys = [path for path in enrolled.letters() if b"amy.okafor@" in path.read_bytes()]
    assert len(amys) == 2
    assert len(enrolled.letters()) > gone


def test_a_new_episode_can_be_taken_back_to_the_old_one(enrolled: Clinic) -> None:
    enrolled.physiopost("end", "amy", "--reason", "discharged", *YES)
    before = enrolled.physiopost("roster", "export").out
    again = ("reenrol", "amy", "--appointment", "2026-11-23", "--consent", "2026-11-23")
    enrolled.physiopost(*again, *YES)
    assert enrolled.physiopost("undo", "amy", *YES).code == 0
    assert enrolled.physiopost("roster", "export").out == before


def test_who_wants_no_more_letters_gets_none_under_another_id_either(enrolled: Clinic) -> None:
    enrolled.physiopost("end", "amy", "--reason", "stopped", *YES)
    again = "{email: amy.okafor@example.org, first_appointment: 2026-11-23, consent: 2026-11-23"
    enrolled.write("again.yaml", f"- {again}, id: new, name: A Okafor}}")
    said = enrolled.physiopost("enrol", "again.yaml", *MONDAY)
    assert said.code == 2
    assert "not to be written to (stopped); ask the person, then physiopost allow" in said.err
    enrolled.write("again.yaml", f"- {again}, id: new, name: Amy Okafor}}")
    assert "0 new" in enrolled.physiopost("enrol", "again.yaml", *MONDAY).out
    enrolled.physiopost("undo", "amy", *YES)  # what the file changed
    enrolled.physiopost("undo", "amy", *YES)  # the end
    enrolled.write("again.yaml", f"- {again}, id: other, name: A Okafor}}")
    assert "1 new" in enrolled.physiopost("enrol", "again.yaml", *MONDAY).out


def test_a_dry_run_does_not_take_up_an_edited_course(enrolled: Clinic) -> None:
    enrolled.replace("course/course.yaml", "pace: 7", "pace: 14")
    before = enrolled.physiopost("impact", *MONDAY).out
    enrolled.physiopost("at", "ben", "18:15", "--dry-run", *MONDAY)
    assert enrolled.physiopost("impact", *MONDAY).out == before


def test_the_audit_says_who_did_what_and_never_a_name_an_address_or_a_note(
    enrolled: Clinic,
) -> None:
    enrolled.physiopost("note", "amy", "Canary on the stairs", *YES)
    enrolled.physiopost("hold", "amy", "--from", "2026-12-08", *YES)
    said = enrolled.physiopost("audit").out
    assert "amy  note: note changed" in said
    assert "amy  hold: hold: none → Tue 8 Dec 2026 until further notice" in said
    assert "terminal (" in said
    for secret in ("Canary", "Okafor", "@"):
        assert secret not in said


def test_somebody_nobody_knows_is_refused(enrolled: Clinic) -> None:
    said = enrolled.physiopost("hold", "nobody", *MONDAY)
    assert (said.code, "nobody has the id" in said.err) == (2, True)


def week_by_week(clinic: Clinic, who: str, now: str) -> list[int]:
    """The days between somebody's letters, sent and coming."""
    letters = json.loads(clinic.physiopost("plan", who, "--json", "--now", now).out)[0]["letters"]
    days = [date.fromisoformat(each["local"][:10]) for each in letters if each["local"]]
    return [(after - before).days for before, after in pairwise(days)]


@pytest.mark.parametrize("days", [4, 14])
def test_another_pace_half_way_counts_from_the_last_letter_on(enrolled: Clinic, days: int) -> None:
    enrolled.replace(
        "clinic.yaml", "[Mon, Tue, Wed, Thu, Fri]", "[Mon, Tue, Wed, Thu, Fri, Sat, Sun]"
    )
    for day in ("11-24", "12-01", "12-08", "12-15"):
        enrolled.physiopost("send", "--now", f"2026-{day}T09:30Z")
    now = "2026-12-16T12:00Z"
    enrolled.physiopost("pace", "amy", str(days), "--now", now, "--yes")
    assert week_by_week(enrolled, "amy", now)[:3] == [7, 7, 7]
    assert set(week_by_week(enrolled, "amy", now)[5:]) == {days}
    assert abs(week_by_week(enrolled, "amy", now)[3] - days) <= 5  # Christmas moves it a little
    enrolled.physiopost("undo", "amy", "--now", now, "--yes")
    assert "anchor" not in enrolled.physiopost("audit").out


def test_another_pace_after_a_hold_counts_from_the_last_letter_on(enrolled: Clinic) -> None:
    for words in (
        ("hold", "amy", "--from", "2026-12-01", "--until", "2026-12-08"),
        ("send", "--now", "2026-11-24T09:30Z"),
        ("send", "--now", "2026-12-08T09:30Z"),
        ("send", "--now", "2026-12-15T09:30Z"),
    ):
        extra = YES if words[0] == "hold" else ()
        assert enrolled.physiopost(*words, *extra).code == 0
    now = "2026-12-16T12:00Z"
    enrolled.physiopost("pace", "amy", "14", "--now", now, "--yes")
    assert week_by_week(enrolled, "amy", now)[:4] == [14, 7, 14, 14]
    enrolled.physiopost("move", "amy", "--start", "2026-11-24", "--now", now, "--yes")
    assert week_by_week(enrolled, "amy", now)[2] in range(14, 24), "it moves with the start"
