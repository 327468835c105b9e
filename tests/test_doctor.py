"""The doctor: whatever is broken is named, with the cure, and nobody else is."""

import gc
import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import SIGN, Clinic
from dns.resolver import Resolver
from name_server import name_server
from sendgrid_standin import StandIn
from smtp_sink import sink

from scheduler.backup import FACT
from scheduler.doctor import CHECKS, Check, Ward, examine, machine, way_out
from scheduler.doctor.check import Unseen, Unwell
from scheduler.ledger import facts
from scheduler.ledger.database import Database
from scheduler.material import Material
from scheduler.settings import Settings

NOW = datetime(2026, 11, 24, 9, 31, tzinfo=UTC)
SECRET = "7f3b0c9e52d84a16b7e0f1a2c3d4958675fa"
PEOPLE = """
- {id: canaria, email: canaria@example.org, name: Canaria Testwell,
   first_appointment: 2026-11-23, consent: 2026-11-23}
"""
DOMAIN = "harbour-physio.example.org"


@pytest.fixture
def well(clinic: Clinic) -> Clinic:
    """A clinic whose first letter just went."""
    clinic.write("subscribers.yaml", PEOPLE)
    assert clinic.physiopost("enrol", "--now", "2026-11-23T15:00Z").code == 0
    assert clinic.physiopost("send", "--now", "2026-11-24T09:30Z").code == 0
    fact(clinic, FACT, NOW.isoformat())
    return clinic


def fact(clinic: Clinic, name: str, value: str) -> None:
    database = Database(f"sqlite:///{file_of(clinic)}")
    with database.write() as db:
        facts.put(db, name, value)
    database.close()  # else the log is carried over into the file at any time


def file_of(clinic: Clinic) -> Path:
    return clinic.folder / "var" / "physiopost.db"


def doctor(clinic: Clinic, now: datetime = NOW) -> dict[str, Check]:
    said = clinic.physiopost("doctor", "--json", "--now", now.isoformat())
    assert said.err == ""
    checks = {each["name"]: Check(**each) for each in json.loads(said.out)}
    assert said.code == int(any(each.well is False for each in checks.values()))
    assert set(checks) == set(CHECKS)
    assert "anaria" not in said.out
    return checks


def unwell(clinic: Clinic, now: datetime = NOW) -> dict[str, str]:
    """What is not well, each with what is wrong and what to do."""
    found = {name: each for name, each in doctor(clinic, now).items() if each.well is False}
    assert all(each.cure for each in found.values())
    return {name: f"{each.words}; {each.cure}" for name, each in found.items()}


def sql(clinic: Clinic, statement: str) -> None:
    with sqlite3.connect(file_of(clinic)) as db:
        db.execute(statement)
    db.close()


def test_where_all_is_well_the_doctor_says_so(well: Clinic) -> None:
    assert unwell(well) == {}
    said = well.physiopost("doctor", "--now", NOW.isoformat())
    assert (said.code, said.out.splitlines()[-1]) == (0, "all is well")


def test_the_doctor_changes_nothing(well: Clinic) -> None:
    def kept() -> dict[Path, bytes]:
        gc.collect()  # what is open still folds its log into the file when it goes
        inside = (well.folder / "var").rglob("*")
        return {each: each.read_bytes() for each in inside if each.suffix in (".db", ".eml")}

    before = kept()
    doctor(well)
    assert kept() == before


def test_before_the_first_start_the_doctor_makes_no_database(clinic: Clinic) -> None:
    told = "there is none yet; look at PHYSIOPOST_DATABASE; physiopost run makes a new one"
    assert unwell(clinic)["database"] == told
    assert not file_of(clinic).exists()


# Things broken on purpose


def break_database(clinic: Clinic) -> None:
    for each in file_of(clinic).parent.glob("physiopost.db*"):
        each.unlink()
    file_of(clinic).touch(0o600)
    file_of(clinic).write_text("a letter of complaint, much longer than a header" * 100)


def put_off(clinic: Clinic) -> None:
    sql(clinic, "UPDATE enrolment SET next_due_at = '2026-11-24 08:00:00.000000'")


def doubt(clinic: Clinic) -> None:
    sql(clinic, "UPDATE delivery SET state = 'unknown'")


def edit(clinic: Clinic) -> None:
    clinic.write("course/course.yaml", "pace: often\n")


def show_files(clinic: Clinic) -> None:
    file_of(clinic).chmod(0o644)


def show_the_roster(clinic: Clinic) -> None:
    (clinic.folder / "subscribers.yaml").chmod(0o640)


def block_the_way_out(clinic: Clinic) -> None:
    (clinic.folder / "var" / "outbox" / "tmp").rmdir()
    clinic.write("var/outbox/tmp", "not a folder")


def be_of_an_older_version(clinic: Clinic) -> None:
    sql(clinic, "UPDATE alembic_version SET version_num = '0004'")


def close_the_channel(clinic: Clinic) -> None:
    down = {"at": NOW.isoformat(), "down": "SendGrid asks us to wait (429)"}
    fact(clinic, "round", json.dumps(down))


def forget_backups(clinic: Clinic) -> None:
    fact(clinic, FACT, "2026-11-20T03:00:00+00:00")


@pytest.mark.parametrize(
    ("broken", "name", "words"),
    [
        (break_database, "database", "move it away and physiopost restore FILE"),
        (be_of_an_older_version, "database", "of version 0004, the program's of "),
        (edit, "course", "course.yaml"),
        (put_off, "late", "1 letter should have gone; physiopost plan --behind"),
        (doubt, "doubts", "1 letter may have arrived, and nobody knows; "),
        (show_files, "files", "chmod 600 var/physiopost.db"),
        (show_the_roster, "files", "chmod 600 subscribers.yaml"),
        (block_the_way_out, "channel", "the outbox cannot be written to"),
        (close_the_channel, "rounds", "the channel is down: SendGrid asks us to wait (429)"),
        (forget_backups, "backup", "the last one is of 2026-11-20 03:00 UTC; physiopost backup"),
    ],
)
def test_what_is_broken_is_named_with_the_cure(
    well: Clinic, broken: Callable[[Clinic], None], name: str, words: str
) -> None:
    broken(well)
    found = unwell(well)
    assert words in found.pop(name)
    assert found == {}


def test_several_faults_at_once_are_all_named(well: Clinic) -> None:
    for broken in (show_files, doubt, put_off, forget_backups, block_the_way_out, edit):
        broken(well)
    assert set(unwell(well)) == {"files", "doubts", "late", "backup", "channel", "course"}


def test_an_older_database_is_left_as_it_is(well: Clinic) -> None:
    """Another process may still be at work on it, with the older program."""
    be_of_an_older_version(well)
    doctor(well)
    with sqlite3.connect(file_of(well)) as db:
        assert db.execute("SELECT version_num FROM alembic_version").fetchone() == ("0004",)
    db.close()


@pytest.mark.parametrize(
    ("now", "name", "words"),
    [
        ("2026-11-24T09:45:00+00:00", "rounds", "none since 2026-11-24 09:30 UTC"),
        ("2026-11-24T09:20:00+00:00", "clock", "but rows are from 2026-11-24 09:30; set it"),
        ("2030-11-24T09:20:00+00:00", "zones", "the zone data is of 20"),
    ],
)
def test_a_silence_and_a_wrong_clock_are_noticed(
    well: Clinic, now: str, name: str, words: str
) -> None:
    assert words in unwell(well, datetime.fromisoformat(now))[name]


def test_a_disk_that_fills_up_is_noticed(well: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "ROOM", 10**9)
    assert "MB are free beside the database; make room" in unwell(well)["disk"]


def test_a_setting_that_stops_the_service_stops_the_doctor_in_words_too(
    well: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHYSIOPOST_URL", f"https://letters.{DOMAIN}")
    said = well.physiopost("doctor")
    assert (said.code, said.err[:29]) == (2, "PHYSIOPOST_SECRET: is not set")


# The way out


@pytest.fixture
def smtp(well: Clinic, monkeypatch: pytest.MonkeyPatch) -> Clinic:
    monkeypatch.setenv("PHYSIOPOST_CHANNEL", "smtp")
    monkeypatch.setenv("PHYSIOPOST_SMTP", "smtp://127.0.0.1:9")
    monkeypatch.setenv("PHYSIOPOST_URL", f"https://letters.{DOMAIN}")
    monkeypatch.setenv("PHYSIOPOST_SECRET", SECRET)
    return well


def test_a_mail_server_is_asked_whether_it_takes_the_login(
    smtp: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "127.0.0.1:9 cannot be reached: connection refused" in unwell(smtp)["channel"]
    with sink() as server:
        monkeypatch.setenv("PHYSIOPOST_SMTP", f"smtp://127.0.0.1:{server.port}")
        assert doctor(smtp)["channel"].well
    assert (server.connections, server.letters) == (1, 0)


def test_by_e_mail_unsigned_texts_are_a_fault_and_into_a_folder_they_are_not(
    well: Clinic, smtp: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "10 of 10 texts are not signed: their letters wait" in unwell(smtp)["signatures"]
    assert smtp.physiopost(*SIGN).code == 0
    assert doctor(smtp)["signatures"].well
    monkeypatch.setenv("PHYSIOPOST_CHANNEL", "folder")
    assert doctor(well)["signatures"].well


def test_sendgrid_is_asked_what_the_key_may_do(
    smtp: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHYSIOPOST_CHANNEL", "sendgrid")
    with StandIn("the-key") as sendgrid:
        monkeypatch.setenv("PHYSIOPOST_SENDGRID_HOST", sendgrid.url)
        monkeypatch.setenv("SENDGRID_API_KEY", "another")
        assert "SendGrid refuses the API key (401)" in unwell(smtp)["channel"]
        monkeypatch.setenv("SENDGRID_API_KEY", "the-key")
        assert doctor(smtp)["channel"].well
        sendgrid.scopes = ("suppression.read",)
        assert "SendGrid's key may not send mail" in unwell(smtp)["channel"]
        sendgrid.next_fault("answer", status=503)
        assert "SendGrid does not say (503)" in unwell(smtp)["channel"]
    found = unwell(smtp)
    assert "gives no answer (NotConnected)" in found["channel"]
    assert "the-key" not in repr(found)
    assert "no verification key is set" in found["events"]


def test_silence_of_sendgrids_events_is_noticed(
    smtp: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHYSIOPOST_CHANNEL", "sendgrid")
    monkeypatch.setenv("SENDGRID_API_KEY", "the-key")
    monkeypatch.setenv("PHYSIOPOST_SENDGRID_HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("PHYSIOPOST_WEBHOOK_KEY", StandIn("").webhook_key)
    assert "letters went, and no event came for two days" in unwell(smtp)["events"]
    columns = "id, kind, taken_at, reason"
    sql(smtp, f"INSERT INTO event ({columns}) VALUES ('e', 'delivered', '{NOW:%F %T}.000000', '')")  # noqa: S608 - ours
    assert doctor(smtp)["events"].well


RECORDS = {
    DOMAIN: "v=spf1 include:_spf.example.net -all",
    f"s1._domainkey.{DOMAIN}": "k=rsa; t=s; p=MIGf",
    "_dmarc.example.org": "v=DMARC1; p=none",  # of the domain above it
}


@pytest.mark.parametrize(
    ("check", "channel", "record"),
    [
        (way_out.spf, "smtp", DOMAIN),
        (way_out.dkim, "sendgrid", f"s1._domainkey.{DOMAIN}"),
        (way_out.dmarc, "smtp", "_dmarc.example.org"),
        (way_out.dmarc, "sendgrid", "_dmarc.example.org"),
    ],
)
def test_the_sender_is_looked_up(
    material: Material,
    check: Callable[[Ward, Resolver | None], str],
    channel: str,
    record: str,
) -> None:
    ward = outside(material, channel)
    with name_server(RECORDS) as there:
        assert check(ward, there)
    others = {name: text for name, text in RECORDS.items() if name != record}
    others |= {DOMAIN: "some-site-verification=1"}
    with name_server(others) as there, pytest.raises(Unwell) as found:
        check(ward, there)
    assert DOMAIN in f"{found.value}; {found.value.cure}"


def test_either_database_can_be_looked_at(ledger: str, material: Material) -> None:
    """And both alike: before the first round there is nothing to be told of."""
    settings = Settings.from_environment({"PHYSIOPOST_DATABASE": ledger})
    database = Database(ledger)
    checks = {
        each.name: each
        for each in examine(Ward(settings, material, database, {}, NOW, outside=False))
    }
    assert not [each for each in checks.values() if "could not be looked at" in each.words]
    assert (checks["database"].well, checks["clock"].well, checks["late"].well) == (True,) * 3
    assert checks["rounds"].words == "no round has run yet"
    assert database.kind.split()[0] in checks["versions"].words
    database.close()


def test_where_no_name_server_answers_nothing_is_claimed(
    material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way_out, "PATIENCE", 0.2)
    with name_server({}) as there:
        pass
    with pytest.raises(Unseen, match="no name server answers"):
        way_out.spf(outside(material, "smtp"), there)


def test_nobody_outside_is_asked_unless_somebody_says_so(material: Material) -> None:
    with sink() as server:
        there = f"smtp://127.0.0.1:{server.port}"
        ward = outside(material, "smtp", there, asked=False)
        checks = {each.name: each for each in examine(ward)}
    assert server.connections == 0
    assert {checks[name].well for name in ("channel", "SPF", "DKIM", "DMARC")} == {None}


def outside(
    material: Material, channel: str, smtp: str = "smtp://127.0.0.1:9", *, asked: bool = True
) -> Ward:
    """A ward with the channel and no database."""
    given = {"PHYSIOPOST_CHANNEL": channel, "PHYSIOPOST_SMTP": smtp, "SENDGRID_API_KEY": "x"}
    given |= {"PHYSIOPOST_SECRET": SECRET, "PHYSIOPOST_URL": f"https://letters.{DOMAIN}"}
    settings = Settings.from_environment(given | {"PHYSIOPOST_CLINIC": "clinic.yaml"})
    return Ward(settings, material, None, {"database": "none"}, NOW, outside=asked)
