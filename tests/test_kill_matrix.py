"""`kill -9` while SendGrid is in trouble: a sample. All of it, every step: `make soak`."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import signed
from kill_matrix import FAULTS, RetryAtOnce, some_kills, stage

from scheduler.letters.editions import Press
from scheduler.material import Material


@pytest.fixture(scope="module")
def press(root: Path, material: Material) -> Press:
    press = Press(signed(material), root / "templates")
    press.all()
    return press


@pytest.mark.slow
def test_after_a_kill_at_any_step_in_any_trouble_nothing_is_lost_and_nothing_goes_twice(
    ledger: str, press: Press
) -> None:
    with stage(ledger, press) as scene:
        chance = random.Random(ledger[:6])  # noqa: S311 - to be repeated
        kills = some_kills(scene, chance, 1, alive=ledger.startswith("sqlite"))
        verdicts = {kill: scene.play(kill) for kill in kills}
    assert {kill: verdict for kill, verdict in verdicts.items() if not verdict.kept} == {}
    assert {kill.case.fault for kill in kills} == set(FAULTS)
    for kill, verdict in verdicts.items():
        assert not (verdict.held and kill.case.evidence == "logs"), "the logs settle every doubt"


def test_a_service_that_tries_again_in_doubt_is_caught_by_the_same_test(
    tmp_path: Path, press: Press
) -> None:
    with stage(f"sqlite:///{tmp_path / 'ledger.db'}", press, RetryAtOnce) as scene:
        drawn = some_kills(scene, random.Random(1), 0)  # noqa: S311 - to be repeated
        kills = [replace(each, case=replace(each.case, evidence="nothing")) for each in drawn]
        twice = {kill: verdict for kill in kills if (verdict := scene.play(kill)).twice}
    assert not any(verdict.kept for verdict in twice.values())
    taken = {fault for fault in FAULTS if fault.endswith(", taken")}
    assert {kill.case.fault for kill in twice} == taken
