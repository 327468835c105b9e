"""Several processes on one PostgreSQL: what they must not do to one another."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest
from conftest import SIGN, Clinic, signed
from postgres import Server
from test_round import KEYS, WELCOME, Service, Told
from workers import storm, two_services

from scheduler import tailoring
from scheduler.ledger import changes, people
from scheduler.ledger.changes import Change
from scheduler.ledger.evidence import Evidence
from scheduler.letters.editions import Press
from scheduler.material import Material


@pytest.fixture(scope="module")
def press(root: Path, material: Material) -> Press:
    press = Press(signed(material), root / "templates")
    press.all()
    return press


@pytest.mark.slow
def test_four_workers_killed_and_stopped_at_any_moment_send_each_letter_once(
    postgres: Server, press: Press
) -> None:
    result = storm(postgres.database(), press, 120, seed=1, seconds=4)
    assert result.kills + result.stops > 5
    assert (result.lost, result.twice, result.held) == (0, 0, 0)


def test_the_service_started_twice_sends_each_letter_once(postgres: Server, tmp_path: Path) -> None:
    times = two_services(tmp_path, postgres.database(), 300, patience=60)
    assert len(times) == 300
    assert max(times.values()) == 1


def test_a_patients_stop_outlives_a_change_that_staff_make_at_the_same_moment(
    postgres: Server, material: Material, press: Press
) -> None:
    """Amy and Ben share an address, so that nothing but her status keeps Amy's letters back."""
    service = Service(material, press, postgres.database())
    service.change("ben", email="amy@example.org")

    def stop() -> None:
        with service.database.write() as db:
            person = people.find(db, "amy")
            assert person
            Evidence(KEYS, service.planner).stop(db, person, WELCOME)

    patient = Thread(target=stop)
    with service.database.write() as db:
        amy = people.find(db, "amy")
        assert amy
        patient.start()
        patient.join(0.5)  # she waits until staff are done
        noted = Change("note", amy, replace(amy, note="Well done."))
        changes.write(db, service.planner, [noted], WELCOME, "staff")
    patient.join()
    assert service.status("amy") == "stopped"
    channel = Told()
    service.run(channel, WELCOME)
    assert len(channel.letters) == 1
    service.database.close()


def test_what_staff_do_at_the_desk_works_on_postgresql_as_on_sqlite(
    postgres: Server, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHYSIOPOST_DATABASE", postgres.database())
    now = ("--now", "2026-11-23T15:00Z")
    said = [
        clinic.physiopost(*words)
        for words in (
            SIGN,
            ("enrol", *now),
            ("enrol", *now),
            ("move", "dev", "--start", "2026-12-07", "--yes", *now),
            ("hold", "dev", "--from", "2026-12-08", "--until", "2026-12-22", "--yes", *now),
            ("skip", "dev", "scans", "--yes", *now),
            ("undo", "dev", "--yes", *now),
            ("roster", *now),
            ("audit",),
            ("send", "--now", "2026-11-24T09:30Z"),
        )
    ]
    assert [each for each in said if each.code or each.err] == []
    assert "behind" in clinic.physiopost("plan", "--behind", "--now", "2026-11-24T09:31Z").out
    assert "Tue 22 Dec 2026" in clinic.physiopost("plan", "dev", *now).out
    assert len(clinic.letters()) > 1


def test_a_proposal_is_not_carried_out_over_somebody_elses_change(
    postgres: Server, material: Material, press: Press
) -> None:
    service = Service(material, press, postgres.database())
    now = datetime(2026, 11, 23, 15, tzinfo=UTC)
    moved = tailoring.propose(
        service.database, service.planner, "amy", lambda amy: tailoring.note(amy, "Hello"), now
    )
    service.change("amy", pace=10)
    with pytest.raises(Exception, match="changed meanwhile"):
        tailoring.commit(service.database, service.planner, [moved], now, "staff")
    service.database.close()
