"""A short run of tests/fuzz.py; `make fuzz` is the long one."""

import random
import time
from pathlib import Path

import pytest
from fuzz import SHARES, fuzz, tried
from fuzz_web import Web
from spoilt import Case, Fault, spoilt
from sqlalchemy import text

from scheduler.material import Material
from scheduler.web.gate import public

SHORT = 250  # inputs


@pytest.mark.slow
def test_spoilt_input_is_taken_or_refused_in_words_and_what_is_refused_writes_nothing(
    tmp_path: Path, material: Material
) -> None:
    found = list(fuzz(tmp_path, material, seed=1, inputs=SHORT, minutes=5))
    assert [each.what for each in found] == [what for what, _ in SHARES.values()]
    for tally in found:
        assert tally.faults == []
        assert 0 < tally.taken < tally.tried, tally.what


def test_the_same_seed_spoils_in_the_same_way_and_another_does_not() -> None:
    good = b"- email: amy@example.org"

    def made(seed: int) -> list[bytes]:
        chance = random.Random(seed)  # noqa: S311 - to be repeated
        return [spoilt(chance, good) for _ in range(20)]

    assert made(1) == made(1) != made(2)


def test_an_exception_and_a_standstill_are_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fuzz.SLOW", 0.1)

    def broken() -> bool:
        raise KeyError

    def slow() -> bool:
        time.sleep(0.2)
        return True

    cases: list[tuple[Case, str]] = [(("x", broken), "KeyError"), (("x", slow), "it took 0.2 s")]
    until = time.monotonic() + 60
    for case, words in cases:
        [(said, shown)] = tried("anything", [case].pop, 1, until).faults
        assert words in said
        assert shown == "x"


def test_an_answer_of_500_and_a_row_that_should_not_be_there_are_faults(
    tmp_path: Path, material: Material
) -> None:
    web = Web(tmp_path, material, random.Random(1))  # noqa: S311 - to be repeated

    def broken() -> str:
        raise ValueError

    def writes(token: str) -> tuple[str, int]:
        with web.house.office.database.write() as db:
            db.execute(text("UPDATE subscriber SET name = name || '!'"))
        return token, 422

    views = web.house.app.view_functions
    views["health.alive"] = public(broken)
    views["stop.ask"] = views["stop.stop"] = public(writes)
    web.house.app.extensions["csrf"].exempt(writes)
    for method, path, words in (
        ("GET", "/healthz", "the answer was 500"),
        ("GET", "/stop/x", "422, and yet subscriber changed"),
        ("POST", "/stop/x", "422, and yet subscriber changed"),
    ):
        with pytest.raises(Fault, match=words):
            web.ask(method, path)
    web.close()
