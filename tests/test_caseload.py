"""What needs a look: a physiotherapist's people, the record of one of them, a mistyped address."""

import re
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, update
from test_patient_pages import Letterbox
from test_screens import BEGIN, JO, Screens, plain, screens, seed

from scheduler import tailoring
from scheduler.delivery.channels.folder import Folder
from scheduler.delivery.round import Round
from scheduler.keys import Keys
from scheduler.ledger import caseload, changes, people
from scheduler.ledger.database import Database
from scheduler.ledger.planner import Planner
from scheduler.ledger.post import Outlook
from scheduler.ledger.tables import delivery, enrolment
from scheduler.material import Material
from scheduler.material.fields import perhaps
from scheduler.plan.calendar import DAY
from scheduler.roster.entries import read_roster
from scheduler.roster.merge import apply, merge

__all__ = ["screens", "seed"]  # fixtures that these tests share with test_screens.py

ROSA = "Rosa Green"


@pytest.fixture
def mine(screens: Screens) -> Screens:
    """Everybody but Frank belongs to Rosa, who is signed in."""
    with screens.office.database.write() as db:
        rest = update(enrolment).where(enrolment.c.subscriber_id != "frank")
        db.execute(rest.values(physiotherapist=ROSA))
    return screens


def headings(page: str) -> dict[str, list[str]]:
    """Who stands under each heading."""
    cards = re.findall(r"<section.*?</section>", page, re.DOTALL)
    return {
        plain(re.findall(r"<h2.*?</h2>", card, re.DOTALL)[0]): re.findall(
            r"<strong>(.*?)</strong></a>", card
        )
        for card in cards
    }


def test_my_people_stand_by_what_needs_a_look_and_each_once(mine: Screens) -> None:
    amy, ben = Letterbox(mine, "amy"), Letterbox(mine, "ben")
    amy.post("call", call="yes")
    amy.do("pause", "4")  # a call comes before a pause
    ben.do("pause", "4")
    mine.doubt("elif", "what-it-is")
    found = headings(mine.client.get("/mine").text)
    assert found["Asked to be called 1"] == [mine.person("amy").name]
    assert found["Not sure, or did not go 1"] == [mine.person("elif").name]
    assert found["Paused at their own wish 1"] == [mine.person("ben").name]
    everybody = [name for names in found.values() for name in names]
    assert len(everybody) == len(set(everybody))
    assert mine.person("frank").name not in everybody


def test_each_bears_the_state_that_they_are_in(mine: Screens) -> None:
    mine.doubt("amy", "what-it-is")
    with mine.office.database.write() as db:
        whose = delivery.c.enrolment_id == mine.person("elif").enrolment_id
        first = update(delivery).where(whose, delivery.c.lesson == "welcome")
        db.execute(first.values(state="refused", lease_until=mine.now))
    today = mine.now.date()
    mine.do(mine.address("ben", "/hold"), first=str(today), until=str(today + 20 * DAY))
    page = mine.get("/mine")
    for who, state in (("Amy Okafor", "not sure"), ("Elif Kaya", "did not go"), ("Ben", "held")):
        assert re.search(rf"{who}[^✓→]*[?✕‖] {state}", page), who


def test_a_hold_that_ends_within_a_week_is_told(mine: Screens) -> None:
    today = mine.now.date()
    mine.do(mine.address("amy", "/hold"), first=str(today), until=str(today + 7 * DAY))
    mine.do(mine.address("ben", "/hold"), first=str(today), until=str(today + 8 * DAY))
    found = headings(mine.client.get("/mine").text)
    assert found["Hold ends within a week 1"] == [mine.person("amy").name]


def test_who_was_enrolled_today_waits_for_a_first_letter(mine: Screens) -> None:
    mine.post("/people/new", do="confirm", **(JO | {"physiotherapist": ROSA}))
    found = headings(mine.client.get("/mine").text)
    (fresh,) = [kind for kind in found if kind.startswith("First letter within a week")]
    assert "Jo Example" in found[fresh]


def test_an_administrator_chooses_whose_people_to_see(mine: Screens) -> None:
    frank = mine.person("frank")
    mine.sign_in("admin", "admin@example.org")
    assert f"People of {frank.physiotherapist}" in mine.get(f"/mine?of={frank.physiotherapist}")
    assert "Amy Okafor" in mine.get(f"/mine?of={ROSA}")
    assert "Nobody is under way with Somebody Else" in mine.get("/mine?of=Somebody Else")


def test_a_physiotherapist_sees_nobody_elses_people_there(mine: Screens) -> None:
    frank = mine.person("frank")
    assert frank.name not in mine.get(f"/mine?of={frank.physiotherapist}")


def test_the_caseload_asks_the_database_as_often_for_many_as_for_few(mine: Screens) -> None:
    asked: list[str] = []
    event.listen(
        mine.office.database.engine,
        "before_cursor_execute",
        lambda *told: asked.append(told[2]),
    )
    mine.get("/mine")
    few, asked[:] = len(asked), []
    for number in range(20):
        fields = JO | {"name": f"Jo {number}", "email": f"p{number}@example.org"}
        mine.post("/people/new", do="confirm", another="yes", **fields | {"physiotherapist": ROSA})
    asked[:] = []
    assert "Jo 19" in mine.get("/mine")
    assert len(asked) == few


def test_staff_choose_large_print_for_somebody_who_asks_for_it(screens: Screens) -> None:
    for chosen, kept in (("large", "large"), ("", None)):
        done = screens.do(screens.address("amy", "/style"), style=chosen)
        assert done.status_code == 302
        assert screens.person("amy").style == kept


def test_everything_received_stands_on_one_page_as_it_was_sent(screens: Screens) -> None:
    page = screens.get(screens.address("amy", "/received"))
    assert "Everything Amy Okafor received" in page
    assert "2 letters" in page
    assert page.index("Sent Tuesday 17 November 2026 at 09:31") < page.index("24 November 2026")
    assert page.count("Dear Amy,") == 2
    assert screens.get(screens.address("hana", "/received")).count("Nothing has been sent yet") == 1


def test_a_letter_in_doubt_stands_in_the_record_as_one(screens: Screens) -> None:
    screens.doubt("amy", "what-it-is")
    page = screens.get(screens.address("amy", "/received"))
    assert page.count("Perhaps sent: nobody knows whether it arrived.") == 1


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        *(("jo@gmial.com", "jo@gmail.com"), ("jo@gmail.co", "jo@gmail.com")),
        *(("jo@hotmial.co.uk", "jo@hotmail.co.uk"), ("jo@yaho.com", "jo@yahoo.com")),
        *(("jo@outlok.com", "jo@outlook.com"), ("jo@gmail.com", None), ("jo@mail.com", None)),
        *(("jo@ymail.com", None), ("jo@harbour-physio.example.org", None), ("jo@nhs.net", None)),
    ],
)
def test_a_mistyped_host_brings_the_one_that_was_meant_to_mind(
    typed: str, meant: str | None
) -> None:
    assert perhaps(typed) == meant


def test_a_mistyped_address_is_asked_about_and_not_refused(screens: Screens) -> None:
    looked = screens.post("/people/new", do="look", **(JO | {"email": "jo@gmial.com"}))
    assert "If you meant jo@gmail.com, press “Change something”." in plain(looked.text)
    done = screens.post("/people/new", do="confirm", **(JO | {"email": "jo@gmial.com"}))
    assert done.status_code == 302
    screens.now += timedelta(minutes=1)
    assert "jo@gmial.com" in screens.get(done.location)


def test_both_databases_know_who_needs_a_look(ledger: str, material: Material) -> None:
    database, planner = Database(ledger), Planner(material)
    keys = Keys(["a-secret-of-the-tests-long-enough-to-be-one"], "https://letters.example.org")
    roster = Path(__file__).parent.parent / "subscribers.yaml"
    with database.write() as db:
        listing = read_roster(roster, material.course, date(2026, 11, 30))
        apply(db, merge(db, listing, keys, BEGIN), planner, BEGIN)
        amy, ben = people.find(db, "amy"), people.find(db, "ben")
        assert amy
        assert ben
        asked = tailoring.call(amy, BEGIN)
        changes.write(db, planner, [asked, tailoring.call(ben, BEGIN - DAY)], BEGIN, "the patient")
    with database.read() as db:
        waiting, number = caseload.asked(db, 1)
        assert ([each.id for each in waiting], number) == (["ben"], 2)
        names = caseload.physiotherapists(db)
        assert "Priya Shah" in names
        looks = [look for name in names for look in caseload.of(db, name, BEGIN)]
        assert {(look.trouble, look.fresh) for look in looks} == {("", True)}
        assert [look.person for look in looks if look.person.id == "amy"] == [asked.after]
    database.close()


def test_today_counts_every_planned_letter_and_not_only_the_next_ones(screens: Screens) -> None:
    page = screens.get("/")
    assert "Today, Tue 1 Dec 3" in page
    week = Letterbox(screens, "amy")
    assert week.dates()[1] == date(2026, 12, 8)
    day = screens.get("/?day=2026-12-08")
    assert "Tuesday 8 December 2026: 2 letters" in day
    assert "09:30 Amy Okafor Week 3: Rest and staying active" in day
    week.do("pause", "2")
    assert "Amy Okafor" not in screens.get("/?day=2026-12-08")
    assert "Amy Okafor" in screens.get("/?day=2026-12-15")


def test_the_days_that_are_kept_are_those_that_would_be_planned_anew(screens: Screens) -> None:
    office, amy = screens.office, Letterbox(screens, "amy")

    def a_round() -> None:
        screens.now += timedelta(hours=2)
        with Folder(office.settings.outbox) as channel:
            work = Round(office.database, office.planner, office.press, office.keys)
            assert work.run(channel, lambda: screens.now).letters["accepted"] == 3

    def silence() -> None:
        screens.now += timedelta(days=3)

    steps = (
        lambda: amy.do("pause", "2"),
        lambda: amy.do("resume"),
        a_round,
        lambda: amy.do("time", "18:15"),
        silence,
        silence,
        lambda: amy.client.post(amy.address.replace("/letters/", "/stop/")),
    )
    seen = set()
    for step in steps:
        step()
        with office.database.read() as db:
            kept = office.outlook.days(db, office.planner, screens.now)
            assert kept == Outlook().days(db, office.planner, screens.now)
        seen.add(str(kept))
    assert len(seen) == len(steps)
