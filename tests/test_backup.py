"""What backups promise: whole or not at all, sealed, and after a restore nothing goes twice."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from conftest import Clinic
from postgres import Server
from sqlalchemy import func, insert, select, text
from test_round import KEYS, WEEK, WELCOME, Service, Told

from scheduler import backup, tailoring, vault
from scheduler.delivery.channels import Outcome
from scheduler.findings import NotDone, WrongInput
from scheduler.keeping import Keeping
from scheduler.ledger import changes, deliveries, doubts, facts, people
from scheduler.ledger.changes import Change
from scheduler.ledger.database import Database
from scheduler.ledger.evidence import Event, Evidence
from scheduler.ledger.suppressions import suppress
from scheduler.ledger.tables import HEAD, audit, metadata
from scheduler.letters.editions import Press
from scheduler.material import Material
from scheduler.settings import Settings

KEY, OLD = "the key of the tests, long enough", "the key that was in use before"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture(scope="module")
def press(root: Path, material: Material) -> Press:
    return Press(material, root / "templates")


@pytest.fixture
def service(material: Material, press: Press, ledger: str) -> Service:
    """Amy and Ben have had their welcome."""
    service = Service(material, press, ledger)
    service.run(Told(), WELCOME)
    return service


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "night.backup"


def back_up(service: Service, file: Path, now: datetime = WELCOME + DAY) -> backup.Backup:
    return backup.make(service.database, file, KEY, now)


def restore(service: Service, file: Path, now: datetime, until: datetime | None = None) -> int:
    """Over what is there; how many letters are held."""
    ways: dict[str, Any] = {"until": until or now, "now": now, "replace": True}
    return backup.restore(service.database, service.planner, file, [KEY], **ways)[1]


def everything(service: Service) -> dict[str, list[Any]]:
    left_out = {"session", "failure", "fact"}
    with service.database.read() as db:
        return {
            table.name: sorted(map(repr, db.execute(select(table)).all()))
            for table in metadata.sorted_tables
            if table.name not in left_out
        }


def undecided(service: Service) -> list[tuple[str, str]]:
    with service.database.read() as db:
        return sorted((claim.address, claim.lesson) for claim in doubts.unknown(db))


def lessons(service: Service) -> list[str]:
    return [lesson.slug for lesson in service.planner.material.course.lessons]


# The file


def test_a_restore_brings_back_every_row_as_it_was(service: Service, file: Path) -> None:
    service.change("amy", note="Well done ☀", pace=10)
    with service.database.write() as db:
        suppress(db, KEYS, "carl@example.org", reason="bounced", at=WELCOME, by="SendGrid")
    before = everything(service)
    made = back_up(service, file)
    assert made.rows["subscriber"] == 2
    service.change("amy", note="later")
    assert everything(service) != before
    assert restore(service, file, WELCOME + DAY) == 0
    assert everything(service) == before
    service.change("amy", note="the numbers of the audit go on")
    with service.database.read() as db:
        assert facts.get(db, backup.FACT) == (WELCOME + DAY).isoformat()


def test_a_backup_of_sqlite_goes_into_postgresql_and_back(
    material: Material, press: Press, tmp_path: Path, postgres: Server
) -> None:
    one = Service(material, press, f"sqlite:///{tmp_path / 'one.db'}")
    one.run(Told(), WELCOME)
    two = Database(postgres.database())
    three = Database(f"sqlite:///{tmp_path / 'three.db'}")
    for source, target, name in ((one.database, two, "a"), (two, three, "b")):
        backup.make(source, tmp_path / name, KEY, WELCOME + DAY)
        ways: dict[str, Any] = {"until": WELCOME, "now": WELCOME + DAY, "replace": False}
        backup.restore(target, one.planner, tmp_path / name, [KEY], **ways)
    before = everything(one)
    one.database = three
    assert everything(one) == before


def test_a_backup_is_sealed_for_its_owner_only_and_holds_no_readable_word(
    service: Service, file: Path
) -> None:
    back_up(service, file)
    assert file.stat().st_mode & 0o777 == 0o600
    content = file.read_bytes()
    assert content.startswith(vault.FORMAT)
    assert b"example" not in content
    assert b"subscriber" not in content
    assert list(file.parent.glob("*.part")) == []


def test_no_backup_is_written_over_another(service: Service, file: Path) -> None:
    back_up(service, file)
    content = file.read_bytes()
    with pytest.raises(WrongInput, match="is there already"):
        back_up(service, file)
    assert file.read_bytes() == content


def test_a_file_is_opened_by_any_of_the_keys_that_are_in_use(service: Service, file: Path) -> None:
    backup.make(service.database, file, OLD, WELCOME)
    assert backup.look(file, [KEY, OLD]).rows["subscriber"] == 2
    with pytest.raises(WrongInput, match="another key"):
        backup.look(file, [KEY])


def test_a_file_of_many_chunks_is_whole_or_refused_wherever_it_is_spoiled(tmp_path: Path) -> None:
    lines = [f"{number} {number**99}".encode() for number in range(4000)]
    file, spoiled = tmp_path / "whole", tmp_path / "spoiled"
    vault.write(file, KEY, lines)
    content = file.read_bytes()
    assert len(content) > 3 * vault.SEALED
    assert list(vault.read(file, [KEY])) == lines
    head = len(vault.FORMAT) + vault.SALT
    chunks = [content[at : at + vault.SEALED] for at in range(head, len(content), vault.SEALED)]
    cut = [content[: head + number * vault.SEALED] for number in range(len(chunks))]
    moved = [content[:head] + b"".join([chunks[1], chunks[0], *chunks[2:]])]
    less = [content[:head] + b"".join([chunks[0], *chunks[2:]])]
    more = [content + b"x", content + chunks[0]]
    flipped = []
    for at in range(0, len(content), len(content) // 50):
        changed = bytearray(content)
        changed[at] ^= 1
        flipped.append(bytes(changed))
    shorter = [content[:at] for at in range(0, len(content), len(content) // 20)]
    for wrong in [*cut, *moved, *less, *more, *flipped, *shorter]:
        spoiled.write_bytes(wrong)
        with pytest.raises(WrongInput):
            list(vault.read(spoiled, [KEY]))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda content: content[:-1], "cut off"),
        (lambda content: content[:200] + bytes([content[200] ^ 1]) + content[201:], "changed"),
        (lambda content: b"SQLite format 3" + content, "no backup"),
        (lambda content: content.replace(b"backup 1", b"backup 2", 1), "no backup"),
        (lambda _: b"", "no backup"),
    ],
)
def test_a_spoiled_file_is_refused_in_a_line_and_changes_nothing(
    service: Service, file: Path, spoil: Any, words: str
) -> None:
    back_up(service, file)
    file.write_bytes(spoil(file.read_bytes()))
    before = everything(service)
    with pytest.raises(WrongInput, match=words) as refused:
        restore(service, file, WELCOME + DAY)
    assert "\n" not in str(refused.value)
    assert everything(service) == before


def written(file: Path, *said: Any) -> None:
    file.unlink(missing_ok=True)
    vault.write(file, KEY, map(orjson.dumps, said))


def test_a_newer_backup_or_one_with_rows_missing_is_refused(service: Service, file: Path) -> None:
    before = everything(service)
    written(file, {"schema": "9999", "at": WELCOME}, {"rows": {}})
    with pytest.raises(
        WrongInput, match=f"newer version \\(9999\\) than this program \\({HEAD}\\)"
    ):
        restore(service, file, WELCOME)
    fact = {"table": "fact", "columns": ["name", "value"]}
    for rest in ([fact, ["a", "b"]], [fact, ["a", "b"], {"rows": {"fact": 2}}], [fact, ["a"]]):
        written(file, {"schema": HEAD, "at": WELCOME}, *rest)
        with pytest.raises(WrongInput, match="not whole"):
            restore(service, file, WELCOME)
    assert everything(service) == before


def test_a_backup_of_an_older_version_is_brought_up_to_todays_tables(
    service: Service, file: Path
) -> None:
    """As 0004 had them: no second factor, no wish for a call; a change that can be taken back."""
    way: dict[str, Any] = {"id": "e", "subscriber_id": "dev", "enrolled_at": WELCOME}
    way |= {"status": "stopped", "first_appointment": WELCOME.date(), "applied": {}}
    way |= {"hold": [], "skip": [], "owed": []}
    line = {"id": 7, "at": WELCOME, "by": "x", "action": "end", "enrolment_id": "e", "words": "w"}
    rows = {
        "subscriber": {
            "id": "dev",
            "email": "dev@example.org",
            "name": "D",
            "consent": "2026-01-01",
        },
        "enrolment": way,
        "audit": line,
        "undo": {"audit_id": 7, "before": {"status": "active"}},
    }
    said: list[Any] = [{"schema": "0004", "at": WELCOME}]
    for name, row in rows.items():
        said += [{"table": name, "columns": list(row)}, list(row.values())]
    written(file, *said, {"rows": dict.fromkeys(rows, 1)})
    restore(service, file, WELCOME)
    assert service.status("dev") == "stopped"
    with service.database.read() as db:
        person = people.find(db, "dev")
        assert person
        assert changes.last(db, person)
    with service.database.write() as db:
        db.execute(insert(audit).values(at=WELCOME, by="x", action="note", words="w"))
        assert db.execute(select(func.max(audit.c.id))).scalar() == 8


def test_an_older_database_with_changes_that_can_be_undone_is_brought_up(ledger: str) -> None:
    database = Database(ledger)
    with database.rebuild("0004", lambda _: None) as db:
        pass
    with database.rebuild(
        "0004",
        lambda db: [
            db.execute(text(words))
            for words in (
                "INSERT INTO audit VALUES (1, '2026-01-01', 'x', 'end', 'e', NULL, 'w')",
                "INSERT INTO undo VALUES (1, '{}')",
            )
        ],
    ) as db:
        assert db.execute(text("SELECT count(*) FROM undo")).scalar() == 1


# After a restore


def test_after_a_restore_nothing_goes_twice_and_what_may_have_gone_waits_for_a_person(
    service: Service, file: Path
) -> None:
    back_up(service, file)
    channel, second = Told(), lessons(service)[1]
    service.run(channel, WELCOME + WEEK)
    assert len(channel.letters) == 2
    after = WELCOME + WEEK + DAY
    assert restore(service, file, after) == 2
    assert undecided(service) == [("amy@example.org", second), ("ben@example.org", second)]
    for hours in range(0, 96, 6):
        report = service.run(channel, after + hours * HOUR)
        assert report.undecided == 2
    assert len(channel.letters) == 2
    assert service.states("amy", after)[:3] == ["sent", "undecided", "planned"]
    with service.database.read() as db:
        used = {row["edition"] for row in deliveries.of_person(db, "amy")}
        assert len(deliveries.editions(db, used)) == 2


def test_the_course_goes_on_after_a_restore_and_each_letter_arrives_once(
    service: Service, file: Path
) -> None:
    """Amy's second letter had gone, Ben's had not: staff ask them, and say so."""
    back_up(service, file)
    channel, second = Told(), lessons(service)[1]
    channel.answers["ben@example.org"] = Outcome("deferred", "421")
    service.run(channel, WELCOME + WEEK)
    channel.answers.clear()
    after = WELCOME + WEEK + HOUR
    restore(service, file, after)
    for who, arrived in (("amy", True), ("ben", False)):
        course = f"enrolment-of-{who}"
        assert service.round.settle(course, second, arrived=arrived, now=after, by="staff")
    for day in range(80):
        service.run(channel, after + day * DAY)
    assert Counter(channel.letters) == Counter(
        (f"{who}@example.org", lesson) for who in ("amy", "ben") for lesson in lessons(service)[1:]
    )
    assert service.status("amy") == service.status("ben") == "finished"


def test_a_letter_that_was_put_off_or_on_its_way_at_the_backup_is_in_doubt_after_it(
    service: Service, file: Path
) -> None:
    channel, then = Told(), WELCOME + WEEK
    channel.answers["amy@example.org"] = Outcome("deferred", "421")
    channel.answers["ben@example.org"] = Outcome("unknown", "it broke off")
    service.run(channel, then)
    back_up(service, file, then + timedelta(minutes=1))
    second = lessons(service)[1]
    channel.answers.clear()
    service.run(channel, then + timedelta(minutes=6))
    assert ("amy@example.org", second) in channel.letters
    assert restore(service, file, then + HOUR) == 2
    letters = list(channel.letters)
    service.run(channel, then + 2 * HOUR)
    assert channel.letters == letters
    assert len(undecided(service)) == 2


def test_letters_that_are_in_doubt_after_a_restore_are_never_looked_up_under_lost_ids(
    service: Service, file: Path
) -> None:
    """SendGrid would not find them, and they would go again (D5)."""
    back_up(service, file)
    after = WELCOME + WEEK + DAY
    restore(service, file, after)
    with service.database.read() as db:
        assert doubts.to_look_up(db, after + WEEK, after + WEEK, 99) == []


def test_events_that_come_after_the_restore_settle_the_letters_that_they_tell_of(
    service: Service, file: Path
) -> None:
    back_up(service, file)
    channel, second = Told(), lessons(service)[1]
    service.run(channel, WELCOME + WEEK)
    with service.database.read() as db:
        amys = deliveries.of_person(db, "amy")[-1]["id"]
    after = WELCOME + WEEK + DAY
    restore(service, file, after)
    evidence = Evidence(KEYS, service.planner)
    told = [
        Event("e1", "processed", amys, "m1", after, address="Amy@example.org"),
        Event("e2", "bounce", amys, "m1", after, "5.1.1", "amy@example.org"),
        Event("e3", "delivered", None, "m2", after, address="ben@example.org"),
        Event("e4", "delivered", "another's", "m3", after, address="zoe@example.org"),
    ]
    with service.database.write() as db:
        assert evidence.take(db, told, after) == 4
        assert evidence.take(db, told, after) == 0
    assert undecided(service) == [("ben@example.org", second)]
    assert service.status("amy") == "bounced"


def test_somebody_who_was_enrolled_after_the_backup_gets_no_letter_twice_either(
    service: Service, file: Path
) -> None:
    back_up(service, file)
    enrolled = WELCOME + 2 * DAY
    with service.database.read() as db:
        amy = people.find(db, "amy")
        assert amy
    seen = enrolled.date()
    carl = replace(amy, id="carl", email="carl@example.org", enrolment_id="c", enrolled_at=enrolled)
    carl = replace(carl, first_appointment=seen, consent=seen)

    def enrol(now: datetime) -> None:
        with service.database.write() as db:
            new = Change("enrol", None, replace(carl, enrolled_at=now))
            changes.write(db, service.planner, [new], now, "staff")

    enrol(enrolled)
    channel, after = Told(), WELCOME + 4 * DAY
    service.run(channel, WELCOME + 3 * DAY)
    assert channel.letters == [("carl@example.org", "welcome")]
    assert restore(service, file, after) == 0
    enrol(after + HOUR)
    assert undecided(service) == [("carl@example.org", "welcome")]
    for day in range(10):
        service.run(channel, after + day * DAY)
    mine = Counter(letter for letter in channel.letters if letter[0] == carl.email)
    assert mine == {(carl.email, "welcome"): 1, (carl.email, lessons(service)[1]): 1}


def test_a_start_that_is_brought_forward_once_more_sends_no_letter_twice(
    service: Service, file: Path
) -> None:
    """As the roster file does by itself, when it was changed after the backup."""
    service.change("amy", start=WELCOME.date() + 30 * DAY)
    back_up(service, file)
    service.change("amy", start=WELCOME.date())
    channel, second = Told(), lessons(service)[1]
    service.run(channel, WELCOME + WEEK + DAY)
    assert ("amy@example.org", second) in channel.letters
    after = WELCOME + WEEK + 2 * DAY
    assert restore(service, file, after) == 1
    service.change("amy", start=WELCOME.date())
    assert ("amy@example.org", second) in undecided(service)
    course = "enrolment-of-amy"
    assert service.round.settle(course, second, arrived=False, now=after, by="staff")
    service.change("amy", note="of no matter")
    assert ("amy@example.org", second) not in undecided(service)


def test_somebody_who_agreed_after_the_restore_has_nothing_in_doubt(
    service: Service, file: Path
) -> None:
    back_up(service, file)
    after = WELCOME + 6 * DAY
    restore(service, file, after)
    with service.database.read() as db:
        amy = people.find(db, "amy")
        assert amy
    seen = (after + DAY).date()
    dora = replace(amy, id="dora", email="dora@example.org", enrolment_id="d", consent=seen)
    dora = replace(dora, first_appointment=seen, enrolled_at=after + DAY)
    with service.database.write() as db:
        new = Change("enrol", None, dora)
        changes.write(db, service.planner, [new], after + DAY, "staff")
    assert undecided(service) == []
    channel = Told()
    service.run(channel, after + 2 * DAY)
    assert ("dora@example.org", "welcome") in channel.letters


def test_a_service_that_stood_still_since_the_backup_has_nothing_in_doubt(
    service: Service, file: Path
) -> None:
    """Moving to another machine: the last round was before the backup."""
    back_up(service, file)
    after = WELCOME + WEEK + HOUR
    assert restore(service, file, after, until=WELCOME + DAY) == 0
    channel = Told()
    service.run(channel, after)
    assert len(channel.letters) == 2


def test_whoever_must_not_be_written_to_or_was_forgotten_since_stays_so(
    service: Service, file: Path, tmp_path: Path
) -> None:
    back_up(service, file)
    settings = Settings.from_environment({"PHYSIOPOST_OUTBOX": str(tmp_path / "outbox")})
    keeping = Keeping(service.database, KEYS, settings, service.planner.material)
    keeping.forget("amy", WELCOME + DAY, "staff")
    with service.database.write() as db:
        suppress(db, KEYS, "ben@example.org", reason="stopped", at=WELCOME + DAY, by="Ben")
    restore(service, file, WELCOME + 2 * DAY)
    assert keeping.forget_again(WELCOME + 2 * DAY, "staff") == 1
    channel = Told()
    service.run(channel, WELCOME + WEEK)
    assert channel.letters == []
    with service.database.read() as db:
        assert people.find(db, "amy") is None
    assert service.status("ben") == "stopped"


def test_a_restore_never_goes_over_people_unasked(service: Service, file: Path) -> None:
    back_up(service, file)
    before = everything(service)
    ways: dict[str, Any] = {"until": WELCOME, "now": WELCOME, "replace": False}
    with pytest.raises(NotDone, match="--replace"):
        backup.restore(service.database, service.planner, file, [KEY], **ways)
    assert everything(service) == before


def test_after_a_restore_staff_can_tailor_and_undo_as_before(service: Service, file: Path) -> None:
    now = WELCOME + DAY
    service.change("amy", note="Hello")
    back_up(service, file)
    restore(service, file, now)
    back = tailoring.undo(service.database, service.planner, "amy", now)
    tailoring.commit(service.database, service.planner, [back], now, "staff")
    with service.database.read() as db:
        amy = people.find(db, "amy")
    assert amy
    assert amy.note is None


# At the terminal


SECRET = "0123456789abcdef" * 2


def test_backup_and_restore_at_the_terminal(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic.physiopost("enrol", "--now", "2026-11-23T15:00Z")
    refused = clinic.physiopost("backup")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("PHYSIOPOST_BACKUP_KEY: is not set")
    monkeypatch.setenv("PHYSIOPOST_SECRET", SECRET)
    made = clinic.physiopost("backup", "--now", "2026-11-24T02:00Z")
    assert made.out.startswith("var/backups/20261124-020000.backup: ")
    assert (clinic.folder / "var" / "backups").stat().st_mode & 0o777 == 0o700
    clinic.physiopost("send", "--now", "2026-11-24T09:30Z")
    sent = len(clinic.letters())
    assert sent > 0
    words = ("restore", "var/backups/20261124-020000.backup", "--now", "2026-11-24T10:00Z")
    assert clinic.physiopost(*words).code == 1
    monkeypatch.setenv("PHYSIOPOST_BACKUP_KEY", SECRET[::-1])
    monkeypatch.delenv("PHYSIOPOST_SECRET")
    wrong = clinic.physiopost(*words, "--replace")
    assert (wrong.code, len(wrong.err.splitlines())) == (2, 1)
    assert "another key" in wrong.err
    monkeypatch.setenv("PHYSIOPOST_SECRET", f"fedcba9876543210{SECRET} {SECRET}")
    done = clinic.physiopost(*words, "--replace")
    assert done.code == 0, done.err
    assert f"{sent} letters may have gone since" in done.out
    clinic.physiopost("send", "--now", "2026-11-24T10:01Z")
    assert len(clinic.letters()) == sent
    behind = clinic.physiopost("plan", "--behind", "--now", "2026-11-24T10:02Z")
    assert behind.out.count("restored from a backup") == sent
    assert clinic.physiopost("restore", "nowhere.backup").code == 2
