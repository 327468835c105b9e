"""Whatever happens in whatever order: nothing twice, nothing lost, nothing early."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from upheaval import Upheaval

from scheduler.letters.editions import Press
from scheduler.material import Material


@pytest.fixture(scope="module")
def press(root: Path, material: Material) -> Press:
    return Press(material, root / "templates")


@pytest.mark.slow
def test_whatever_happens_in_whatever_order_every_promise_is_kept(press: Press) -> None:
    how = settings(
        max_examples=25,
        stateful_step_count=25,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Upheaval.on(press), settings=how)
