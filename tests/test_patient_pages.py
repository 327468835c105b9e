"""A patient's own pages: what they can change without asking anybody, and what nobody can."""

import json
import re
from dataclasses import replace
from datetime import date, time, timedelta
from html import unescape
from pathlib import Path

import pytest
from sqlalchemy import update
from test_screens import ROSA, Screens, plain, screens, sealed, seed
from werkzeug.test import TestResponse

from scheduler import tailoring
from scheduler.delivery.channels.folder import Folder
from scheduler.delivery.channels.sendgrid_mail import shared
from scheduler.delivery.gallery import write_gallery
from scheduler.delivery.round import Round
from scheduler.ledger import deliveries, people, trail
from scheduler.ledger.tables import delivery
from scheduler.ledger.trail import Line
from scheduler.plan.calendar import DAY

__all__ = ["screens", "seed"]  # fixtures that these tests share with test_screens.py

AMY = "amy"  # appointment Mon 16 Nov; two letters so far, the next today, Tue 1 Dec 09:30


class Letterbox:
    """Somebody at home with the link from a letter."""

    def __init__(self, screens: Screens, who: str = AMY) -> None:
        self.screens, self.who = screens, who
        self.client = screens.app.test_client()
        stop = screens.office.keys.stop_url(screens.person(who).enrolment_id)
        self.address = f"/letters/{stop.rpartition('/')[2]}"

    def get(self, rest: str = "", code: int = 200) -> str:
        answer = self.client.get(self.address + rest)
        assert answer.status_code == code, answer.text
        return answer.text

    def read(self, rest: str = "") -> str:
        return plain(self.get(rest))

    def post(self, wish: str, **fields: str) -> TestResponse:
        return self.client.post(f"{self.address}/{wish}", data=fields)

    def do(self, wish: str, value: str = "") -> str:
        """Look at the dates, press the button, and read what the page says."""
        mark = re.search(r'name="mark" value="(\w+)"', self.get(f"/{wish}?{wish}={value}"))
        assert mark
        done = self.post(wish, **{wish: value, "mark": mark[1]})
        assert done.status_code == 303, plain(done.text)
        return plain(self.client.get(done.location).text)

    def lines(self) -> list[Line]:
        with self.screens.office.database.read() as db:
            return trail.newest(db, self.who, 99)

    def received(self) -> list[str]:
        """The deliveries that can be read again, the newest first."""
        return re.findall(r"/again/(\w+)", self.get())

    def dates(self) -> list[date]:
        """The days of the letters to come."""
        office, person = self.screens.office, self.screens.person(self.who)
        with office.database.read() as db:
            sent = deliveries.sent(db, [person.enrolment_id]).get(person.enrolment_id, {})
        letters = office.planner.plan(person, sent, self.screens.now)
        return [each.local.date() for each in letters if each.state == "planned" and each.local]


@pytest.fixture
def amy(screens: Screens) -> Letterbox:
    return Letterbox(screens)


def test_the_page_says_when_the_next_letter_comes_and_names_nobody(amy: Letterbox) -> None:
    page = amy.get()
    assert "Your next letter comes on Tuesday 1 December 2026 at 09:30." in plain(page)
    assert "Amy" not in page
    assert "<title>Your letters</title>" in page
    assert not amy.client.get(amy.address).headers.getlist("Set-Cookie")


def test_a_letter_leads_to_the_page_and_so_does_the_page_that_stops(amy: Letterbox) -> None:
    stop = amy.client.get(amy.address.replace("/letters/", "/stop/")).text
    assert f'href="{amy.address}"' in stop
    again = re.findall(r'href="([^"]+/again/\w+)"', amy.get())
    frame = amy.client.get(f"{again[0]}/letter.html").text
    assert f'{amy.address}"' in frame


def test_a_pause_makes_every_letter_two_weeks_later_and_loses_none(amy: Letterbox) -> None:
    before = amy.dates()
    look = amy.read("/pause?pause=2")
    assert "Week 2 Tue 1 Dec 2026, 09:30 Tue 15 Dec 2026, 09:30" in look
    assert amy.dates() == before
    assert "Your letters are paused" in amy.do("pause", "2")
    assert amy.dates()[0] == date(2026, 12, 15)
    assert len(amy.dates()) == len(before)
    assert amy.lines()[-1].by == "the patient"


def test_a_pause_ends_when_the_patient_says_so(amy: Letterbox) -> None:
    before = amy.dates()
    amy.do("pause", "4")
    assert "For two weeks" not in amy.read()
    assert "Your letters go on." in amy.do("resume")
    assert amy.dates() == before


def test_a_pause_shows_on_the_time_line_and_staff_take_it_back(amy: Letterbox) -> None:
    before, screens = amy.dates(), amy.screens
    amy.do("pause", "2")
    page = screens.get(screens.address(AMY))
    assert "the patient, 08:00" in page
    assert "Changed just now." in page
    undo = screens.post(screens.address(AMY, "/undo"))
    screens.post(screens.address(AMY, "/undo"), do="confirm", **sealed(undo))
    assert amy.dates() == before


@pytest.mark.parametrize("until", [date(2026, 12, 22), None])
def test_a_hold_that_staff_have_set_is_not_the_patients_to_end(
    amy: Letterbox, until: date | None
) -> None:
    office, today = amy.screens.office, amy.screens.now.date()
    parts = office.database, office.planner
    held = tailoring.propose(
        *parts, AMY, lambda who: tailoring.hold(who, today, until, "", today), amy.screens.now
    )
    tailoring.commit(*parts, [held], amy.screens.now, "staff")
    page = amy.read()
    assert "Start the letters again" not in page
    assert "For two weeks" not in page
    assert amy.post("resume").status_code == amy.post("pause", pause="2").status_code == 422
    assert amy.screens.person(AMY).hold == held.change.person.hold


def test_another_weekday_brings_no_letter_sooner_and_keeps_the_pace(amy: Letterbox) -> None:
    before = amy.dates()
    look = amy.read("/day?day=3")
    assert "Tue 1 Dec 2026, 09:30 Thu 3 Dec 2026, 09:30" in look
    amy.do("day", "3")
    after = amy.dates()
    assert [each.weekday() for each in after[:3]] == [3, 3, 3]
    assert all(new >= old for new, old in zip(after, before, strict=True))
    assert 'value="5"' not in amy.get()  # Saturday: the clinic is closed


def test_after_a_hold_another_weekday_is_still_the_one_that_was_asked_for(
    amy: Letterbox,
) -> None:
    amy.do("pause", "2")
    work = Round(
        amy.screens.office.database,
        amy.screens.office.planner,
        amy.screens.office.press,
        amy.screens.office.keys,
    )
    amy.screens.now += timedelta(days=14, hours=2)
    with Folder(amy.screens.office.settings.outbox) as channel:
        work.run(channel, lambda: amy.screens.now)
    amy.do("day", "4")
    friday = date(2026, 12, 25)
    assert amy.dates()[0] == friday + 4 * DAY  # the clinic is closed until then
    assert amy.dates()[2] == friday + 14 * DAY


def test_who_has_a_pace_of_their_own_is_not_offered_a_weekday(screens: Screens) -> None:
    elif_ = Letterbox(screens, "elif")
    screens.do(screens.address("elif", "/pace"), days="10")
    assert "day of the week" not in elif_.read()
    assert elif_.get("/day?day=3", 422)


def test_another_time_of_day_holds_where_the_patient_is(amy: Letterbox) -> None:
    assert "Tue 1 Dec 2026, 09:30 Tue 1 Dec 2026, 18:15" in amy.read("/time?time=18:15")
    amy.do("time", "18:15")
    assert amy.screens.person(AMY).send_at == time(18, 15)
    assert "at 18:15" in amy.read()
    assert "is not a time of day. Write it as in 18:15." in plain(amy.get("/time?time=late", 422))
    assert "That is how it is already" in plain(amy.get("/time?time=18:15", 422))


def test_the_dates_that_were_shown_are_the_dates_that_are_kept(amy: Letterbox) -> None:
    mark = re.search(r'name="mark" value="(\w+)"', amy.get("/pause?pause=2"))
    assert mark
    amy.screens.do(amy.screens.address(AMY, "/start"), start="2026-11-23")
    late = amy.post("pause", pause="2", mark=mark[1])
    assert late.status_code == 409
    assert "something else was quicker" in plain(late.text)
    assert amy.screens.person(AMY).hold == ()
    assert amy.post("pause", pause="2").status_code == 409  # nothing was shown at all


@pytest.mark.parametrize(
    ("wish", "value"), [("pause", "52"), ("pause", ""), ("day", "6"), ("style", "huge")]
)
def test_what_stands_on_no_button_is_refused(amy: Letterbox, wish: str, value: str) -> None:
    before = amy.screens.person(AMY)
    assert amy.post(wish, **{wish: value}).status_code == 422
    assert amy.screens.person(AMY) == before


@pytest.mark.parametrize(("style", "kind"), [("plain", "text/plain"), ("large", "multipart")])
def test_the_next_letter_comes_as_it_was_asked_for(amy: Letterbox, style: str, kind: str) -> None:
    office = amy.screens.office
    assert amy.post("style", style=style).status_code == 303
    amy.screens.now += timedelta(hours=2)
    work = Round(office.database, office.planner, office.press, office.keys)
    outbox = office.settings.outbox / "new"
    before = set(outbox.glob("*.eml"))
    with Folder(office.settings.outbox) as channel:
        work.run(channel, lambda: amy.screens.now)
    new = [each.read_text() for each in set(outbox.glob("*.eml")) - before]
    (mine,) = [each for each in new if f"To: {amy.screens.person(AMY).email}" in each]
    assert f"Content-Type: {kind}" in mine
    assert ("font-size:24px" in mine.replace("=\n", "")) == (style == "large")
    amy.screens.sign_in("physiotherapist")
    received = amy.screens.get(amy.screens.address(AMY, "/received/what-you-may-feel"))
    assert ("The letter, as plain text" in received) == (style == "plain")
    newest = re.findall(r'href="([^"]+/again/\w+)"', amy.get())[0]
    assert ("<iframe" in amy.client.get(newest).text) == (style == "large")


def test_a_plain_letter_can_be_leafed_through_in_the_folder_too(amy: Letterbox) -> None:
    office = amy.screens.office
    office_zone, outbox = office.planner.material.clinic.timezone, office.settings.outbox
    with office.database.write() as db:
        person = replace(amy.screens.person(AMY), style="plain", name="<b>Amy</b>")
        people.change(db, [(person, amy.screens.now)])
    amy.screens.now += timedelta(hours=2)
    with Folder(outbox) as channel:
        Round(office.database, office.planner, office.press, office.keys).run(
            channel, lambda: amy.screens.now
        )
    write_gallery(outbox, office.settings.templates, office_zone)
    shown = [each.read_text() for each in (outbox / "letters").glob("*.html")]
    (mine,) = [each for each in shown if "Dear &lt;b&gt;Amy&lt;/b&gt;" in each and "<pre" in each]
    assert "<b>" not in mine


def test_a_plain_letter_goes_by_sendgrid_without_html(amy: Letterbox) -> None:
    press = amy.screens.office.press
    for style, kinds in ((None, ["text/plain", "text/html"]), ("plain", ["text/plain"])):
        head = shared(press.edition("scans", False, style)).head.decode()
        mail = json.loads(head.removesuffix(',"personalizations":[') + "}")
        assert [each["type"] for each in mail["content"]] == kinds


def test_the_emergency_words_stand_above_the_wish_for_a_call(amy: Letterbox) -> None:
    page = amy.read()
    emergency = page.index("Emergency: call 999 or go to A&E now if:")
    assert emergency < page.index("Yes, please call me")


def test_a_call_is_asked_for_seen_by_staff_and_ticked(amy: Letterbox) -> None:
    screens = amy.screens
    assert amy.post("call", call="yes").status_code == 303
    assert "You asked us to call you." in amy.read()
    assert screens.person(AMY).call_asked_at == screens.now
    assert "Asked to be called: Amy Okafor" in screens.get("/")
    assert "asked to be called" in screens.get(screens.address(AMY))
    called = screens.post(screens.address(AMY, "/called"))
    assert called.status_code == 302
    assert screens.person(AMY).call_asked_at is None
    assert "Asked to be called" not in screens.get("/")
    assert [line.by for line in amy.lines()[-2:]] == ["the patient", ROSA]
    screens.post(screens.address(AMY, "/called"))  # pressed twice: nothing more happens
    assert len([line for line in amy.lines() if line.action == "call"]) == 2


def test_staff_take_back_each_wish(amy: Letterbox) -> None:
    first = amy.screens.person(AMY)
    amy.post("style", style="large")
    amy.post("call", call="yes")
    wished = amy.screens.person(AMY)
    amy.screens.post(amy.screens.address(AMY, "/called"))
    for was in (wished, replace(first, style="large"), first):
        undo = amy.screens.post(amy.screens.address(AMY, "/undo"))
        amy.screens.post(amy.screens.address(AMY, "/undo"), do="confirm", **sealed(undo))
        assert amy.screens.person(AMY) == was


def test_a_call_is_taken_back_by_the_patient(amy: Letterbox) -> None:
    amy.post("call", call="yes")
    amy.post("call", call="no")
    assert amy.screens.person(AMY).call_asked_at is None


def test_the_web_server_in_front_lets_through_what_the_pages_need(
    amy: Letterbox, root: Path
) -> None:
    server = (root / "deploy" / "nginx.conf").read_text()
    passed = re.compile(re.findall(r"location ~ (\S+) {", server)[0])
    for rest in ("", "/pause?pause=2", f"/again/{amy.received()[0]}"):
        needed = re.findall(r'(?:href|src|action)="([^"]+)"', amy.get(rest))
        assert needed
        assert [each for each in needed if not passed.match(each)] == []


def test_letters_are_read_again_as_they_were_received(amy: Letterbox) -> None:
    links = re.findall(r'href="([^"]+/again/(\w+))"', amy.get())
    assert len(links) == 2
    with amy.screens.office.database.read() as db:
        rows = deliveries.of_person(db, AMY)
    assert [delivery for _, delivery in links] == [row["id"] for row in reversed(rows)]
    page = amy.client.get(links[1][0])
    assert "Sent on Tuesday 17 November 2026" in plain(page.text)
    assert "sandbox" in page.text
    frame = amy.client.get(f"{links[1][0]}/letter.html")
    staff = amy.screens.client.get(amy.screens.address(AMY, "/received/welcome/letter.html"))
    assert frame.text == staff.text
    assert frame.headers["Content-Security-Policy"].endswith("sandbox")


def test_nobody_reads_the_letters_of_somebody_else(amy: Letterbox) -> None:
    (link, _), *_ = re.findall(r'href="([^"]+/again/(\w+))"', Letterbox(amy.screens, "ben").get())
    theirs = link.rpartition("/")[2]
    assert amy.get(f"/again/{theirs}", 404)
    assert amy.get(f"/again/{theirs}/letter.html", 404)


def test_a_letter_in_doubt_is_not_shown_as_one_that_was_sent(amy: Letterbox) -> None:
    amy.screens.doubt(AMY, "welcome")
    assert len(amy.received()) == 1


def test_a_letter_that_came_back_can_be_read_here(amy: Letterbox) -> None:
    first = amy.received()[-1]
    with amy.screens.office.database.write() as db:
        db.execute(update(delivery).where(delivery.c.id == first).values(fate="bounce"))
    assert first in amy.received()
    assert amy.client.get(f"{amy.address}/again/{first}/letter.html").status_code == 200


def test_after_the_end_the_letters_can_be_read_and_nothing_else_be_done(amy: Letterbox) -> None:
    amy.client.post(amy.address.replace("/letters/", "/stop/"))
    page = amy.get()
    assert "Your letters have stopped." in plain(page)
    assert page.count("/again/") == 2
    assert "<button" not in page
    for wish in ("pause", "resume", "day", "time", "style", "call"):
        assert amy.post(wish).status_code == 422


def test_who_has_had_all_letters_can_still_ask_for_a_call(amy: Letterbox) -> None:
    amy.screens.do(amy.screens.address(AMY, "/end"), ending="finished")
    assert "You have had all your letters." in amy.read()
    assert amy.post("call", call="yes").status_code == 303
    assert amy.screens.person(AMY).status == "finished"


def test_a_link_that_lost_a_part_is_answered_in_words(amy: Letterbox) -> None:
    for rest in ("", "/pause?pause=2", "/again/x"):
        answer = amy.client.get(amy.address[:-1] + rest)
        assert answer.status_code == 404
        assert "The link may have lost a part of itself." in plain(unescape(answer.text))


def test_looking_changes_nothing_however_it_is_looked_at(amy: Letterbox) -> None:
    before = amy.screens.person(AMY)
    for rest in ("", "/pause?pause=2", "/resume", "/day?day=3", "/time?time=18:15", "?done=pause"):
        amy.client.get(amy.address + rest)
        amy.client.head(amy.address + rest)
    assert amy.screens.person(AMY) == before
    assert [line.by for line in amy.lines() if line.by == "the patient"] == []
    assert before.first_appointment + 15 * DAY == date(2026, 12, 1)
