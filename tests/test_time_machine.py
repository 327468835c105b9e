"""The time machine on screen: what it says of a day is what the rounds do on that day."""

import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import event
from test_screens import BEGIN, JO, Screens, screens, seed

from scheduler.delivery.channels.folder import Folder
from scheduler.delivery.round import Round
from scheduler.keys import Keys
from scheduler.ledger import post
from scheduler.ledger.database import Database
from scheduler.ledger.impact import waiting
from scheduler.ledger.planner import Planner
from scheduler.letters.editions import Press
from scheduler.material import Material
from scheduler.plan.calendar import DAY
from scheduler.plan.reasons import on
from scheduler.roster.entries import read_roster
from scheduler.roster.merge import apply, merge
from scheduler.web.post import PAGE

__all__ = ["screens", "seed"]  # fixtures that these tests share with test_screens.py


def number(screens: Screens, day: date) -> int:
    """How many letters the page has for a day."""
    page = screens.get(f"/post?day={day}").partition("Letters by day")[2]
    found = re.search(rf"{on(day)}\D* (\d+)", page)
    assert found, day
    return int(found[1])


def run(screens: Screens, day: date) -> int:
    """Send what is due on a day, as the service would; how many letters went."""
    office = screens.office
    work = Round(office.database, office.planner, office.press, office.keys)
    sent = 0
    with Folder(office.settings.outbox) as channel:
        for hour, minute in ((9, 31), (23, 16)):  # half past nine here, 18:15 in New York
            moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
            clock = partial(datetime.fromtimestamp, moment.timestamp(), UTC)
            sent += work.run(channel, clock).letters["accepted"]
    return sent


def test_what_is_shown_of_the_days_to_come_is_what_then_goes(screens: Screens) -> None:
    today = screens.now.date()
    days = [today + n * DAY for n in range(14)]
    shown = [number(screens, day) for day in days]
    assert sum(shown) > 10
    assert [run(screens, day) for day in days] == shown


def test_a_day_that_has_passed_shows_what_went(screens: Screens) -> None:
    page = screens.get("/post?day=2026-11-24")
    assert "The post of Tuesday 24 November 2026" in page
    assert "2 letters, with what became of each." in page
    assert "09:30 Week 1: " in page
    assert "Amy Okafor ✓ sent Own date Tue 24 Nov: 8 days after the first appointment" in page


def test_today_shows_what_went_and_what_is_still_to_go(screens: Screens) -> None:
    assert "0 went already, 3 are still to go." in screens.get("/post")
    run(screens, screens.now.date())
    screens.now = datetime(2026, 12, 1, 23, 30, tzinfo=UTC)
    screens.sign_in("physiotherapist")
    assert "3 went already, 0 are still to go." in screens.get("/post")


def test_a_future_letter_stands_with_its_reason_and_a_link_to_its_patient(screens: Screens) -> None:
    page = screens.client.get("/post?day=2026-12-04").text
    assert f'href="{screens.address("ben")}"' in page
    assert "1 letter would go if nothing changes until then." in screens.get("/post?day=2026-12-04")
    assert "Own date" in screens.get("/post?day=2026-12-04")


@pytest.mark.parametrize(
    ("day", "words"),
    [
        ("2026-12-25", "No letter is planned on this day: public holiday (Christmas Day)."),
        ("2026-12-05", "No letter is planned on this day: closed on Sat."),
        ("2026-11-28", "No letter went on this day: closed on Sat."),
        ("2027-12-01", "Nobody’s letter falls on this day."),
        ("2026-11-02", "Nobody’s letter fell on this day."),
    ],
)
def test_a_day_without_post_says_why(screens: Screens, day: str, words: str) -> None:
    assert words in screens.get(f"/post?day={day}")


def test_the_days_follow_every_change_at_once(screens: Screens) -> None:
    before = number(screens, date(2026, 12, 1))
    screens.do(screens.address("amy", "/hold"), first="2026-12-01", until="2026-12-15")
    assert number(screens, date(2026, 12, 1)) == before - 1
    screens.post("/people/new", do="confirm", **JO | {"first_appointment": "2026-11-30"})
    assert number(screens, date(2026, 12, 1)) == before
    screens.now += timedelta(hours=5)  # nobody sent it: overdue letters go tomorrow
    screens.sign_in("physiotherapist")
    assert number(screens, date(2026, 12, 1)) == 0


def test_a_time_elsewhere_is_said(screens: Screens) -> None:
    page = screens.get("/post?day=2026-12-03")
    assert "23:15 Week 2: What you may feel" in page
    assert f"{screens.person('frank').name} 18:15 where they are" in page


def test_a_technician_sees_numbers_and_no_names(screens: Screens) -> None:
    screens.sign_in("technician", "tech@example.org")
    for day in ("2026-12-01", "2026-11-24"):
        page = screens.get(f"/post?day={day}")
        assert "Amy" not in page
        assert "Okafor" not in page
        assert "/people/" not in screens.client.get(f"/post?day={day}").text
        assert re.search(r"09:30 Week \d: .*? \d letters? ", page)


def enrol(screens: Screens, number: int) -> None:
    """People whose first letter goes on 4 December, when Ben's goes too."""
    for n in range(number):
        who = {"name": f"Jo {n}", "email": f"jo{n}@example.org", "another": "yes"}
        day = {"first_appointment": "2026-12-03"}
        screens.post("/people/new", do="confirm", **JO | who | day)


def test_many_letters_come_a_page_at_a_time(screens: Screens) -> None:
    enrol(screens, PAGE)
    assert "The next 1" in screens.get("/post?day=2026-12-04")
    assert "Earlier ones" in screens.get(f"/post?day=2026-12-04&from={PAGE}")
    names = []
    for skip in (0, PAGE):
        page = screens.client.get(f"/post?day=2026-12-04&from={skip}").text
        names += re.findall(r'href="/people/[0-9a-f]{32}">([^<]+)<', page)
    assert len(names) == len(set(names)) == PAGE + 1


def test_a_page_asks_the_same_number_of_questions_however_many_letters_it_has(
    screens: Screens,
) -> None:
    asked: list[object] = []
    event.listen(
        screens.office.database.engine, "before_cursor_execute", lambda *told: asked.append(told)
    )

    def questions() -> int:
        screens.get("/post?day=2026-12-04")  # everybody is planned once, after each change
        asked.clear()
        screens.get("/post?day=2026-12-04")
        return len(asked)

    few = questions()
    enrol(screens, PAGE - 1)
    assert questions() == few


def test_nonsense_shows_today(screens: Screens) -> None:
    assert "Tuesday 1 December 2026" in screens.get("/post?day=nonsense&from=-7")


def test_the_numbers_are_what_the_plan_and_the_rounds_say_on_either_database(
    ledger: str, material: Material, root: Path, tmp_path: Path
) -> None:
    """SQLite and PostgreSQL count alike: who waits for a lesson, what went, what is to come."""
    database, planner, keys = Database(ledger), Planner(material), Keys(["x" * 40], "")
    roster = read_roster(root / "subscribers.yaml", material.course, date(2026, 11, 30))
    with database.write() as db:
        apply(db, merge(db, roster, keys, BEGIN), planner, BEGIN)
    planner.refresh(database, BEGIN)
    work = Round(database, planner, Press(material, root / "templates"), keys)
    sent = 0
    with Folder(tmp_path / "outbox") as channel:
        for n in range(1, 10):
            moment = (BEGIN + n * DAY).replace(hour=9, minute=31)
            clock = partial(datetime.fromtimestamp, moment.timestamp(), UTC)
            sent += work.run(channel, clock).letters["accepted"]
    assert sent
    now = BEGIN + 9 * DAY
    with database.read() as db:
        told = [each for _, letters in planner.timelines(db, now) for each in letters]
        coming = Counter(each.lesson for each in told if each.state in ("planned", "held"))
        assert dict(waiting(db, material.course)) == coming
        assert sum(post.claimed(db, BEGIN, now).values()) == sent
        assert sum(each.number for each in post.groups(db, BEGIN, now)) == sent
        assert len(post.went(db, BEGIN, now, skip=0, most=PAGE)) == sent
        days = post.Outlook().days(db, planner, now)
        planned = sum(each.state == "planned" for each in told)
        assert sum(map(len, days.values())) == planned
    database.close()
