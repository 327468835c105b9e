"""The checker sees every broken promise, whoever broke it: the channel, the service or the plan."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from scheduler.ledger.people import Person
from scheduler.ledger.planner import Planner
from scheduler.material import Material
from scheduler.plan.enrolment import Hold, Sent
from scheduler.simulate.checker import Away, Checker, Verdict, Version
from scheduler.simulate.tally import Posted

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ENROLLED = datetime(2026, 11, 2, 12, tzinfo=UTC)
END = datetime(2027, 2, 1, tzinfo=UTC)
AMY = Person(
    id="amy",
    email="amy@example.org",
    name="Amy Okafor",
    consent=date(2026, 11, 2),
    first_appointment=date(2026, 11, 2),
    enrolled_at=ENROLLED,
    enrolment_id="e" * 32,
)


@dataclass(frozen=True)
class Box:
    """A letter box, and what staff had set."""

    letters: tuple[Posted, ...]
    history: tuple[Version, ...] = ((ENROLLED, AMY),)
    away: tuple[Away, ...] = ()

    def with_letter(self, number: int, **changes: object) -> "Box":
        letters = list(self.letters)
        letters[number] = replace(letters[number], **changes)  # type: ignore[arg-type]
        return replace(self, letters=tuple(letters))

    def moved(self, number: int, by: timedelta) -> "Box":
        return self.with_letter(number, at=self.letters[number].at + by)

    def without(self, *numbers: int) -> "Box":
        left = [each for place, each in enumerate(self.letters) if place not in numbers]
        return replace(self, letters=tuple(left))

    def and_also(self, letter: Posted) -> "Box":
        return replace(self, letters=(*self.letters, letter))

    def had_been(self, at: datetime = ENROLLED, **changes: object) -> "Box":
        """What staff had set, without the service taking notice."""
        person = replace(AMY, **changes)  # type: ignore[arg-type]
        return replace(self, history=(*self.history, (at, person)))


def kept(planner: Planner, person: Person = AMY) -> Box:
    """Every letter at the instant that was promised."""
    letters: list[Posted] = []
    sent: dict[str, datetime] = {}
    for lesson in planner.material.course.lessons:
        due = planner.next_due(person, sent, person.enrolled_at)
        if due is not None:
            letter = Posted(f"d{lesson.week}", person.email, person.enrolment_id, lesson.slug, due)
            letters.append(letter)
            sent[lesson.slug] = due
    return Box(tuple(letters), ((person.enrolled_at, person),))


def judged(planner: Planner, box: Box) -> Verdict:
    return Checker(planner, box.away, END).verdict(box.letters, box.history)


def kinds(verdict: Verdict) -> set[str]:
    return {fault.kind for fault in verdict.faults}


@pytest.fixture(scope="module")
def planner(material: Material) -> Planner:
    return Planner(material)


@pytest.fixture(scope="module")
def box(planner: Planner) -> Box:
    return kept(planner)


def test_letters_that_went_as_promised_are_all_right(planner: Planner, box: Box) -> None:
    verdict = judged(planner, box)
    assert verdict.faults == []
    assert verdict.line.startswith(
        "9 letters planned = 9 letters sent, 0 early, 0 twice, 0 within the minimum gap, 0 lost"
    )
    assert verdict.days[date(2026, 11, 3)] == 1


Spoil = Callable[[Box], Box]
SPOILT: dict[str, tuple[str, Spoil]] = {
    "a letter in the middle is missing": ("lost", lambda box: box.without(4)),
    "the last letters are missing": ("lost", lambda box: box.without(7, 8)),
    "no letter ever went": ("lost", lambda box: box.without(*range(9))),
    "an hour before its time": ("early", lambda box: box.moved(3, -HOUR)),
    "a minute before its time": ("early", lambda box: box.moved(3, -HOUR / 60)),
    "on the day before": ("early", lambda box: box.moved(3, -DAY)),
    "before the first appointment": ("early", lambda box: box.moved(0, -4 * DAY)),
    "before a start that was set": (
        "early",
        lambda box: box.had_been(start=date(2026, 11, 9)),
    ),
    "half an hour late": ("late", lambda box: box.moved(3, HOUR / 2)),
    "in the evening": ("late", lambda box: box.moved(3, 8 * HOUR)),
    "a day late": ("late", lambda box: box.moved(3, DAY)),
    "again a week later": ("twice", lambda box: box.and_also(later(box.letters[2], 7 * DAY))),
    "again at once": ("twice", lambda box: box.and_also(box.letters[2])),
    "two days after the one before": (
        "within the minimum gap",
        lambda box: box.moved(3, -5 * DAY),
    ),
    "two in the wrong order": (
        "out of order",
        lambda box: box.with_letter(3, lesson=box.letters[4].lesson).with_letter(
            4, lesson=box.letters[3].lesson
        ),
    ),
    "a lesson that was skipped": ("skipped", lambda box: box.had_been(skip=("scans",))),
    "on a Saturday": ("on a closed day", lambda box: box.moved(3, 4 * DAY)),
    "on Christmas Day": ("on a closed day", lambda box: box.moved(7, 3 * DAY)),
    "inside a hold": (
        "inside a hold",
        lambda box: box.had_been(hold=(Hold(date(2026, 12, 1), date(2026, 12, 2)),)),
    ),
    "inside a hold with no end": (
        "inside a hold",
        lambda box: box.had_been(hold=(Hold(date(2026, 12, 1)),)),
    ),
    "after the person had stopped": (
        "after the end",
        lambda box: box.had_been(ENROLLED + 30 * DAY, status="stopped"),
    ),
    "to somebody else": ("astray", lambda box: box.with_letter(3, to="ben@example.org")),
    "with somebody else's stop link": ("astray", lambda box: box.with_letter(3, stop="t" * 32)),
}


def later(letter: Posted, by: timedelta) -> Posted:
    return replace(letter, delivery="another", at=letter.at + by)


@pytest.mark.parametrize("fault", SPOILT)
def test_the_checker_sees(planner: Planner, box: Box, fault: str) -> None:
    kind, spoil = SPOILT[fault]
    verdict = judged(planner, spoil(box))
    assert kind in kinds(verdict)
    assert f" 0 {kind}," not in f"{verdict.line},"


def test_one_fault_is_told_once_and_does_not_spoil_what_comes_after(
    planner: Planner, box: Box
) -> None:
    for spoil, number in ((box.without(4), 1), (box.and_also(box.letters[2]), 1)):
        assert len(judged(planner, spoil).faults) == number
    assert len(judged(planner, box.without(7, 8)).faults) == 2
    verdict = judged(planner, box.without(4))
    assert (verdict.planned, verdict.sent, "≠" in verdict.line) == (9, 8, True)


def test_a_round_a_minute_may_be_that_minute_late(planner: Planner, box: Box) -> None:
    assert judged(planner, box.moved(3, timedelta(seconds=59))).faults == []
    assert kinds(judged(planner, box.moved(3, timedelta(seconds=61)))) == {"late"}


def test_what_comes_while_the_service_is_away_goes_at_its_return_or_the_next_send_time(
    planner: Planner, box: Box
) -> None:
    due = box.letters[3].at  # Tue 24 Nov, 09:30
    soon, long = due + HOUR, due + 30 * HOUR
    a_little = replace(box, away=((due - HOUR, soon),)).with_letter(3, at=soon)
    assert judged(planner, a_little).faults == []
    assert kinds(judged(planner, replace(a_little, away=()))) == {"late"}
    overdue = replace(box, away=((due - HOUR, long),)).with_letter(3, at=due + 2 * DAY)
    assert judged(planner, overdue).faults == []
    assert "early" in kinds(judged(planner, overdue.with_letter(3, at=long)))


def test_a_letter_that_goes_after_midnight_counts_for_the_day_it_was_promised_for(
    planner: Planner,
) -> None:
    night = replace(AMY, send_at=time(23, 30), timezone=ZoneInfo("America/New_York"))
    box = kept(planner, night)
    due = box.letters[3].at
    delayed = replace(box, away=((due, due + HOUR),)).moved(3, HOUR)
    assert judged(planner, delayed).faults == []
    assert judged(planner, delayed).days == judged(planner, box).days


def test_clock_changes_neither_make_a_letter_late_nor_early(planner: Planner) -> None:
    for zone, first in (
        ("Europe/London", date(2027, 3, 1)),
        ("Africa/Cairo", date(2027, 4, 1)),  # Friday 30 April has no 00:30 there
        ("Australia/Lord_Howe", date(2027, 3, 8)),
    ):
        person = replace(
            AMY,
            first_appointment=first,
            enrolled_at=datetime.combine(first, time(12), UTC),
            timezone=ZoneInfo(zone),
            send_at=time(0, 30),
        )
        box = kept(planner, person)
        checker = Checker(planner, (), END + 365 * DAY, timedelta(0))
        verdict = checker.verdict(box.letters, box.history)
        assert (verdict.faults, verdict.planned, verdict.clocks) == ([], 9, 1), zone


def test_the_checker_does_not_take_a_plan_at_its_word(material: Material) -> None:
    class Forgetful(Planner):
        """Knows of no hold and no closed day."""

        def next_due(self, person: Person, sent: Sent, now: datetime) -> datetime | None:
            due = super().next_due(replace(person, hold=()), sent, now)
            return due + 4 * DAY if due else None

    planner = Forgetful(material)
    box = kept(planner, replace(AMY, hold=(Hold(date(2026, 11, 20), date(2026, 12, 20)),)))
    assert kinds(judged(planner, box)) == {"on a closed day", "inside a hold"}
