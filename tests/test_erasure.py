"""What erasure promises: nothing of the person is left, nobody else is touched, and it stays so."""

import json
import zipfile
from dataclasses import replace
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
import time_machine
from conftest import Clinic
from sqlalchemy import select
from test_round import KEYS, WEEK, WELCOME, Service, Told

from scheduler.cli.desk import Desk
from scheduler.cli.service import Shift, office_of
from scheduler.delivery.channels import Outcome, open_channel
from scheduler.findings import NotDone
from scheduler.keeping import Keeping
from scheduler.ledger import holdings, trail
from scheduler.ledger.evidence import Event, Evidence
from scheduler.ledger.suppressions import among
from scheduler.ledger.tables import delivery, metadata
from scheduler.letters.editions import Press
from scheduler.material import Material
from scheduler.material.clinic import Retention
from scheduler.settings import Settings

LETTERS = 9
YEARS = timedelta(days=3 * 365)


@pytest.fixture(scope="module")
def press(root: Path, material: Material) -> Press:
    return Press(material, root / "templates")


@pytest.fixture
def service(material: Material, press: Press, ledger: str) -> Service:
    """Amy and Ben have had two letters; Amy's note was changed, and SendGrid spoke of her."""
    service = Service(material, press, ledger)
    for week in range(2):
        service.run(Told(), WELCOME + week * WEEK)
    service.change("amy", note="Well done, Amy.")
    service.change("amy", email="amy.canary@example.org")
    with service.database.write() as db:
        letter = db.scalars(select(delivery.c.id).where(delivery.c.address == "amy@example.org"))
        told = Event("e1", "deferred", letter.first(), "", WELCOME, "421")
        Evidence(KEYS, service.planner).take(db, [told], WELCOME)
    return service


def keeping(service: Service, tmp_path: Path, **retention: int) -> Keeping:
    settings = Settings.from_environment({"PHYSIOPOST_OUTBOX": str(tmp_path / "outbox")})
    material = service.planner.material
    clinic = material.clinic.model_copy(update={"retention": Retention(**retention)})
    return Keeping(service.database, KEYS, settings, replace(material, clinic=clinic))


def everything(service: Service) -> str:
    """Every row of every table, as text."""
    with service.database.read() as db:
        return repr([db.execute(select(table)).all() for table in metadata.sorted_tables])


def rows(service: Service, who: str) -> dict[str, int]:
    with service.database.read() as db:
        return {table: len(found) for table, found in holdings.of(db, who).items()}


def test_forgetting_leaves_nothing_but_counts_marks_and_lines_that_name_nobody(
    service: Service, tmp_path: Path
) -> None:
    assert "canary" in everything(service).casefold()
    before = rows(service, "ben")
    assert min(rows(service, "amy").values()) > 0, "each table has something of hers"
    keeping(service, tmp_path).forget("amy", WELCOME, "priya")
    left = everything(service).casefold()
    for word in ("canary", "amy.", "amy@", "amy example", "'amy'", "well done", "'e1'"):
        assert word not in left
    assert rows(service, "ben") == before
    with service.database.read() as db:
        assert holdings.counts(db) == (1, 2)
        lines = [line for line in trail.newest(db, None, 99) if line.who != "ben"]
        addresses = ["amy@example.org", "amy.canary@example.org", "ben@example.org"]
        assert list(among(db, KEYS, addresses).values()) == ["erased", "erased"]
    assert {line.who for line in lines} == {"somebody no longer known"}
    assert [line.action for line in lines][-1] == "erased"


def test_the_file_of_the_database_holds_no_byte_of_whom_it_forgot(
    material: Material, press: Press, tmp_path: Path
) -> None:
    file = tmp_path / "ledger.db"
    service = Service(material, press, f"sqlite:///{file}")
    service.change("amy", note="Canary words")
    service.run(Told(), WELCOME)

    def stored() -> bytes:
        return b"".join(each.read_bytes() for each in tmp_path.glob("ledger.db*"))

    assert stored().count(b"Canary words") > 1
    service.change("amy", status="discharged", note=None)
    keeping(service, tmp_path, letters=1).purge(WELCOME + YEARS)
    assert b"Canary words" not in stored()
    keeping(service, tmp_path).forget("amy", WELCOME, "priya")
    assert b"Canary words" not in stored()
    assert b"amy@example.org" not in stored()
    assert b"ben@example.org" in stored()


def test_the_courses_of_others_go_on_after_somebody_was_forgotten(
    service: Service, tmp_path: Path
) -> None:
    keeping(service, tmp_path).forget("amy", WELCOME, "priya")
    channel = Told()
    service.run(channel, WELCOME + 2 * WEEK)
    assert [to for to, _ in channel.letters] == ["ben@example.org"]


def test_an_address_that_somebody_else_has_too_goes_on_getting_letters(
    service: Service, tmp_path: Path
) -> None:
    service.change("ben", email="amy.canary@example.org")
    assert keeping(service, tmp_path).shared("amy")
    keeping(service, tmp_path).forget("amy", WELCOME, "priya")
    channel = Told()
    service.run(channel, WELCOME + 2 * WEEK)
    assert [to for to, _ in channel.letters] == ["amy.canary@example.org"]


def test_somebody_is_not_forgotten_while_a_letter_is_on_its_way(
    service: Service, tmp_path: Path
) -> None:
    class Impatient(Told):
        def claimed(self, deliveries: object) -> None:  # noqa: ARG002
            for who in ("amy", "ben"):
                with pytest.raises(NotDone, match="on its way"):
                    keeping(service, tmp_path).forget(who, WELCOME, "priya")

    service.run(Impatient(), WELCOME + 2 * WEEK)
    assert rows(service, "amy")["delivery"] == 3


def test_an_event_that_comes_after_its_letter_was_forgotten_changes_nothing(
    service: Service, tmp_path: Path
) -> None:
    with service.database.read() as db:
        letter = holdings.of(db, "amy")["delivery"][0]["id"]
    keeping(service, tmp_path).forget("amy", WELCOME, "priya")
    late = Event("late", "bounce", letter, "m", WELCOME, "5.1.1", "amy@example.org")
    with service.database.write() as db:
        Evidence(KEYS, service.planner).take(db, [late], WELCOME)
    assert "amy@" not in everything(service)


# What is old


def finished(service: Service) -> datetime:
    """Both have had the whole course; when the last letter went."""
    last = WELCOME
    for day in range(90):
        last = WELCOME + timedelta(days=day)
        service.run(Told(), last)
    assert service.status("amy") == "finished"
    return last


def test_nothing_is_removed_unless_clinic_yaml_says_when(service: Service, tmp_path: Path) -> None:
    long_after = finished(service) + 10 * YEARS
    due = keeping(service, tmp_path).due(long_after)
    assert (due.letters, due.people) == ({}, [])
    assert keeping(service, tmp_path).nightly(long_after) == ""


def test_letters_lose_their_words_first_and_people_go_when_their_time_is_over(
    service: Service, tmp_path: Path
) -> None:
    over = finished(service)
    kept = keeping(service, tmp_path, letters=24, people=96)
    with service.database.write() as db:  # to look at somebody keeps nothing longer
        then = over + timedelta(days=700)
        trail.tell(db, "enrolment-of-amy", trail.READ, "the letters", at=then, by="priya")
    assert not kept.purge(over + timedelta(days=600)).letters
    due = kept.purge(over + timedelta(days=735))
    assert due.words == f"{2 * LETTERS} letters of 2 courses and 0 people"
    with service.database.read() as db:
        letters = holdings.of(db, "amy")["delivery"]
    assert {(row["address"], str(row["merge"])) for row in letters} == {("", "{}")}
    assert rows(service, "amy")["undo"] == 0
    later = over + timedelta(days=8 * 366)
    assert sorted(kept.due(later).people) == ["amy", "ben"]
    kept.purge(later)
    left = everything(service)
    assert [word for word in ("amy@", "canary@", "ben@") if word in left] == []


def test_nobody_whose_course_is_under_way_is_ever_old(service: Service, tmp_path: Path) -> None:
    kept = keeping(service, tmp_path, letters=1, people=1)
    due = kept.due(WELCOME + 10 * YEARS)
    assert (due.letters, due.people) == ({}, [])


def test_a_letter_in_doubt_keeps_its_words(service: Service, tmp_path: Path) -> None:
    channel = Told()
    channel.answers["ben@example.org"] = Outcome("unknown", "it broke off")
    service.run(channel, WELCOME + 2 * WEEK)
    service.change("ben", status="discharged")
    due = keeping(service, tmp_path, letters=1).due(WELCOME + YEARS)
    assert [len(letters) for letters in due.letters.values()] == [2]


def test_the_nightly_purge_runs_once_a_night_after_three_at_the_clinic(
    service: Service, tmp_path: Path
) -> None:
    night = (finished(service) + YEARS).replace(hour=2, minute=59, month=12)
    kept = keeping(service, tmp_path, letters=1)
    assert kept.nightly(night) == ""
    assert "18 letters" in kept.nightly(night + timedelta(minutes=1))
    service.change("amy", status="active")
    assert kept.nightly(night + timedelta(hours=2)) == ""


# At the terminal


NOW = ("--now", "2026-12-03T10:00Z")


@pytest.fixture
def posted(clinic: Clinic) -> Clinic:
    """The example people, with letters in the folder."""
    clinic.physiopost("enrol", "--now", "2026-11-23T15:00Z")
    for day in ("2026-11-24T09:30Z", "2026-12-01T09:30Z"):
        assert clinic.physiopost("send", "--now", day).code == 0
    return clinic


def holder(clinic: Clinic) -> str:
    """Somebody who has had letters, by id."""
    rows = json.loads(clinic.physiopost("roster", "--json", *NOW).out)
    return str(next(row["id"] for row in rows if row["sent"]))


def mail(clinic: Clinic, address: str) -> list[str]:
    outbox = clinic.folder / "var" / "outbox"
    files = [file for file in outbox.rglob("*") if file.is_file()]
    return [file.name for file in files if address in file.read_text(errors="replace")]


def test_forget_takes_the_letters_out_of_the_folder_and_keeps_the_file_from_enrolling_again(
    posted: Clinic,
) -> None:
    who = holder(posted)
    address = next(
        line.split()[-1]
        for line in posted.physiopost("roster", "export").out.split("- id: ")
        if line.startswith(f"{who}\n")
        for line in line.splitlines()
        if "email" in line
    )
    assert len(mail(posted, address)) > 1
    looked = posted.physiopost("forget", who, "--dry-run", *NOW)
    assert f"everything about {who} goes (courses: 1, letters: 2, " in looked.out
    assert "subscribers.yaml:" in looked.out
    assert "nothing was removed" in looked.out
    assert len(mail(posted, address)) > 1
    assert posted.physiopost("forget", who, "--yes", *NOW).code == 0
    assert mail(posted, address) == []
    again = posted.physiopost("enrol", *NOW)
    assert again.code == 2
    assert "(erased); take this entry out" in again.err
    assert posted.physiopost("plan", who, *NOW).code == 2
    assert who not in posted.physiopost("audit").out


def test_forget_asks_and_without_a_yes_removes_nothing(
    posted: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = holder(posted)
    monkeypatch.setattr("sys.stdin", StringIO("n\n"))
    assert posted.physiopost("forget", who, *NOW).code == 130
    assert posted.physiopost("plan", who, *NOW).code == 0
    assert posted.physiopost("forget", "nobody", "--yes").code == 2
    assert posted.physiopost("forget").code == 2
    assert posted.physiopost("forget", who, "--due").code == 2


def test_forget_due_says_what_is_old_and_removes_it(posted: Clinic) -> None:
    posted.write("clinic.yaml", (posted.folder / "clinic.yaml").read_text() + "retention:\n")
    posted.replace("clinic.yaml", "\nretention:\n", "\nretention:\n  people: 12\n")
    who = holder(posted)
    posted.physiopost("end", who, "--reason", "discharged", "--yes", *NOW)
    old = ("--now", "2028-01-01T10:00Z")
    assert f"\n  {who}\n" in posted.physiopost("forget", "--due", "--dry-run", *old).out
    posted.physiopost("forget", "--due", "--yes", *old)
    assert "nothing is older" in posted.physiopost("forget", "--due", *old).out


def test_the_running_service_removes_what_is_old_without_being_asked(posted: Clinic) -> None:
    posted.write("clinic.yaml", (posted.folder / "clinic.yaml").read_text() + "retention:\n")
    posted.replace("clinic.yaml", "\nretention:\n", "\nretention:\n  people: 12\n")
    who = holder(posted)
    posted.physiopost("end", who, "--reason", "discharged", "--yes", *NOW)
    desk = Desk()
    with time_machine.travel("2028-01-01T10:00Z", tick=False), open_channel(desk.settings) as way:
        Shift(office_of(desk), way).round()
    assert posted.physiopost("plan", who).code == 2


def test_a_retention_that_is_no_number_of_months_is_refused_with_its_line(clinic: Clinic) -> None:
    text = (clinic.folder / "clinic.yaml").read_text()
    clinic.write("clinic.yaml", f"{text}retention:\n  letters: 0\n")
    said = clinic.physiopost("roster")
    assert said.code == 2
    assert "retention" in said.err


@pytest.mark.parametrize("name", ["amy-export", "amy.zip"])
def test_export_gives_everything_about_a_person_and_nothing_about_others(
    posted: Clinic, name: str
) -> None:
    who = holder(posted)
    assert posted.physiopost("export", who, "--to", name, *NOW).code == 0
    place = posted.folder / name
    if name.endswith(".zip"):
        assert place.stat().st_mode & 0o777 == 0o600
        with zipfile.ZipFile(place) as packed:
            packed.extractall(posted.folder / "out")
        place = posted.folder / "out"
    about, data = (place / "about.txt").read_text(), json.loads((place / "data.json").read_text())
    assert [row["id"] for row in data["subscriber"]] == [who]
    address = data["subscriber"][0]["email"]
    assert f"email: {address}" in about
    letters = sorted((place / "letters").glob("*.eml"))
    assert len(letters) == len(data["delivery"])
    received = {file.read_bytes() for file in posted.letters()}
    assert {letter.read_bytes() for letter in letters} <= received, "to the byte"
    whole = about + (place / "data.json").read_text()
    assert whole.count("@example.org") == whole.count(address)
    assert posted.physiopost("export", who, "--to", name, *NOW).code == 2, "nothing is overwritten"
