"""The clinic's screens: what staff see, what they can do, and what they are told."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import signed
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select, update
from werkzeug.test import TestResponse

from scheduler.delivery.behind import Heartbeat
from scheduler.delivery.channels.folder import Folder
from scheduler.delivery.round import Round
from scheduler.keys import Keys
from scheduler.ledger import deliveries, facts, people, staff, trail
from scheduler.ledger.database import Database
from scheduler.ledger.evidence import Evidence
from scheduler.ledger.people import Person
from scheduler.ledger.planner import Planner
from scheduler.ledger.search import search
from scheduler.ledger.staff import Role
from scheduler.ledger.suppressions import suppress
from scheduler.ledger.tables import delivery
from scheduler.letters.editions import Press
from scheduler.material import Material
from scheduler.plan.calendar import DAY
from scheduler.roster.entries import read_roster
from scheduler.roster.merge import apply, merge
from scheduler.roster.watch import Watch, applied
from scheduler.settings import Settings
from scheduler.web.app import create
from scheduler.web.gate import COOKIE, Office
from scheduler.web.passwords import HASHER

PASSWORD = "four walruses in a lighthouse"
SECRET = HASHER.hash(PASSWORD)
ROSA = "rosa@harbour-physio.example.org"
BEGIN = datetime(2026, 11, 16, 12, tzinfo=UTC)
TODAY = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)  # a Tuesday; letters go at 09:30


@dataclass
class Screens:
    """The shipped example's eight people, their letters so far, and a browser that is signed in."""

    office: Office
    app: Flask
    client: FlaskClient
    now: datetime = TODAY

    def sign_in(self, role: Role, email: str = ROSA) -> str:
        """Sign somebody in; gives the cookie's value."""
        with self.office.database.write() as db:
            token = staff.invite(db, email, "Rosa Green", role, self.now)
            member = staff.invited(db, token, self.now)
            assert member
            staff.set_password(db, member, SECRET)
            cookie = staff.open_session(db, member, self.now)
        self.client.set_cookie(COOKIE, cookie, domain="localhost", secure=True)
        return cookie

    def person(self, who: str) -> Person:
        with self.office.database.read() as db:
            person = people.find(db, who)
        assert person, who
        return person

    def address(self, who: str, rest: str = "") -> str:
        return f"/people/{self.person(who).enrolment_id}{rest}"

    def get(self, address: str) -> str:
        answer = self.client.get(address)
        assert answer.status_code == 200, (address, answer.status_code)
        return plain(answer.text)

    def post(self, address: str, **fields: str) -> TestResponse:
        page = self.client.get("/people")
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert token
        return self.client.post(address, data={"csrf_token": token[1], **fields}, headers=HTTPS)

    def do(self, address: str, **fields: str) -> TestResponse:
        """Look at what a form would do, and say to do it."""
        looked = self.post(address, do="look", **fields)
        assert looked.status_code == 200, plain(looked.text)
        return self.post(address, do="confirm", **fields, **sealed(looked))

    def doubt(self, who: str, lesson: str) -> None:
        """Let nobody know whether a letter arrived."""
        with self.office.database.write() as db:
            mine = delivery.c.enrolment_id == self.person(who).enrolment_id
            query = update(delivery).where(mine, delivery.c.lesson == lesson)
            db.execute(query.values(state="unknown", outcome="the line broke"))

    def states(self, who: str) -> dict[str, str]:
        with self.office.database.read() as db:
            query = select(delivery.c.lesson, delivery.c.state)
            query = query.where(delivery.c.enrolment_id == self.person(who).enrolment_id)
            return {row.lesson: row.state for row in db.execute(query)}


HTTPS = {"Origin": "https://localhost", "Referer": "https://localhost/"}


def plain(html: str) -> str:
    """What a page says, without its tags."""
    html = re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)
    words = " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())
    return re.sub(r" ([.,:;)?])", r"\1", words)


def sealed(answer: TestResponse) -> dict[str, str]:
    """What the word to do it carries of the page."""
    found = {}
    for name in ("mark", "shown"):
        if value := re.search(f'name="{name}" value="([^"]*)"', answer.text):
            found[name] = unescape(value[1])
    return found


def open_office(folder: Path, material: Material, clock: Callable[[], datetime]) -> Office:
    settings = Settings.from_environment(
        {
            "PHYSIOPOST_DATABASE": f"sqlite:///{folder / 'physiopost.db'}",
            "PHYSIOPOST_OUTBOX": str(folder / "outbox"),
            "PHYSIOPOST_SECRET": "a-secret-of-the-tests-long-enough-to-be-one",
        }
    )
    keys, press = Keys(settings.secrets, settings.url), Press(material, settings.templates)
    return Office(Database(settings.database), Planner(material), press, keys, settings, clock)


def stage(folder: Path, material: Material) -> None:
    """The example people, enrolled on 16 November, and rounds until 30 November."""
    office = open_office(folder, material, lambda: BEGIN)
    database, planner, keys = office.database, office.planner, office.keys
    roster = Path(__file__).parent.parent / "subscribers.yaml"
    with database.write() as db:
        listing = read_roster(roster, material.course, date(2026, 11, 30))
        apply(db, merge(db, listing, keys, BEGIN), planner, BEGIN)
    planner.refresh(database, BEGIN)
    work = Round(database, planner, office.press, keys)
    with Folder(office.settings.outbox) as channel:
        for number in range(1, 15):
            for hour, minute in ((9, 31), (23, 16)):  # half past nine here, 18:15 in New York
                moment = (BEGIN + number * DAY).replace(hour=hour, minute=minute)
                work.run(channel, partial(datetime.fromtimestamp, moment.timestamp(), UTC))
    with database.write() as db:
        Heartbeat(TODAY - timedelta(seconds=40), None).keep(db)
    database.close()


@pytest.fixture(scope="session")
def seed(tmp_path_factory: pytest.TempPathFactory, material: Material) -> Path:
    folder = tmp_path_factory.mktemp("screens")
    stage(folder, signed(material))
    return folder


@pytest.fixture
def screens(seed: Path, tmp_path: Path, material: Material) -> Iterator[Screens]:
    made: list[Screens] = []
    shutil.copytree(seed, tmp_path / "clinic")
    office = open_office(tmp_path / "clinic", signed(material), lambda: made[0].now)
    app = create(office)
    client = app.test_client()
    client.environ_base["HTTP_HOST"] = "localhost"
    client.environ_base["wsgi.url_scheme"] = "https"
    made.append(Screens(office, app, client))
    made[0].sign_in("physiotherapist")
    yield made[0]
    office.database.close()


def test_today_says_what_needs_a_person_and_what_goes_out(screens: Screens) -> None:
    page = screens.get("/")
    assert "Tuesday 1 December 2026" in page
    assert "Sending works; the last round was 40 seconds ago." in page
    assert "Nothing. Nobody is behind, nothing came back, nothing is in doubt." in page
    assert "Today: 3 letters" in page
    assert "09:30 Amy Okafor Week 2: What you may feel" in page
    assert "Thu 3 Dec" in page


def test_a_day_of_the_next_two_weeks_shows_its_post(screens: Screens) -> None:
    page = screens.get("/?day=2026-12-04")
    assert "Friday 4 December 2026: 1 letter" in page
    assert "Ben Hughes" in page
    assert "Tuesday 1 December 2026" in screens.get("/?day=nonsense&from=-7")


def test_today_names_every_kind_of_trouble(screens: Screens) -> None:
    screens.doubt("amy", "what-it-is")
    office, lost = screens.office, screens.person("ben")
    with office.database.write() as db:
        evidence = Evidence(office.keys, office.planner)
        evidence.leave_alone(db, lost.email, "bounced", screens.now - DAY)
        mine = delivery.c.enrolment_id == screens.person("elif").enrolment_id
        gone = update(delivery).where(mine, delivery.c.lesson == "welcome")
        lately = screens.now - DAY
        db.execute(gone.values(state="refused", outcome="no such mailbox", lease_until=lately))
    screens.do(screens.address("chloe", "/hold"), first="2026-12-01", until="2026-12-03")
    page = screens.get("/")
    assert "Not sure: Amy Okafor" in page
    assert "Came back: Ben Hughes The address does not work, so the course stopped on" in page
    assert "Did not go: Elif Kaya" in page
    assert "no such mailbox" in page
    assert "Hold ends Thu 3 Dec 2026: Chloé Martin" in page
    assert "Needs a person 4" in page


def enrolled_by_the_file(screens: Screens) -> None:
    """Two people whom the file enrolled yesterday, without anybody."""
    office, then = screens.office, screens.now - DAY
    entries = "".join(
        f"- {{id: {who}, email: {who}@example.org, name: {who.title()} Ray,"
        " first_appointment: 2026-12-01, consent: 2026-11-30}\n"
        for who in ("kim", "lee")
    )
    file = office.settings.outbox.parent / "more.yaml"
    file.write_text(entries)
    with office.database.write() as db:
        listing = read_roster(file, office.planner.material.course, date(2026, 12, 1))
        apply(db, merge(db, listing, office.keys, then), office.planner, then)


def test_today_names_whom_the_file_enrolled_by_itself_and_a_technician_sees_how_many(
    screens: Screens,
) -> None:
    enrolled_by_the_file(screens)
    page = screens.get("/")
    assert "Needs a person 2" in page
    assert "New from the file: Kim Ray The first letter goes on Wed 2 Dec 2026." in page
    screens.sign_in("technician", "tech@harbour-physio.example.org")
    page = screens.get("/")
    assert "2 people new from the file" in page
    assert "Kim" not in page


@pytest.mark.parametrize("role", ["admin", "physiotherapist", "technician"])
def test_today_says_why_the_roster_file_was_not_applied_until_it_is(
    screens: Screens, monkeypatch: pytest.MonkeyPatch, role: Role
) -> None:
    office, file = screens.office, Path("subscribers.yaml")
    shipped = (Path(__file__).parent.parent / file).read_text()
    monkeypatch.chdir(office.settings.outbox.parent)
    screens.sign_in(role, "sam@harbour-physio.example.org")
    watch = Watch(file)

    def edited(old: str, new: str) -> str:
        file.write_text(shipped.replace(old, new))
        watch.look(office.database, office.planner, office.keys, screens.now)
        return screens.get("/").partition("Going out")[0]

    file.write_text(shipped)
    with office.database.write() as db:
        applied(db, file)
    page = edited("start: 2026-11-30", "start: of Kim Ray")
    assert "Needs a person 1 Not applied: subscribers.yaml The roster file was edited" in page
    assert 'Line 25: Start "…" is not a date; write year-month-day, as in 2026-11-23.' in page
    assert "Kim" not in page
    page = edited("Tom Ellis\n", "Tom Ellis\n  start: 2026-12-14\n")
    assert "This would move or end the courses of 3 of 7 people, more than a fifth. A" in page
    assert "If they are right, physiopost enrol --yes-many applies it." in page
    assert "Not applied" not in edited("", "")


def test_a_letter_that_waits_for_a_signature_says_so_without_a_command(
    screens: Screens, material: Material
) -> None:
    office = screens.office
    office.planner = Planner(material)  # nobody has signed it
    office.settings = replace(office.settings, channel="smtp")
    screens.now = datetime(2026, 12, 1, 10, tzinfo=UTC)
    screens.sign_in("admin")
    with office.database.write() as db:
        Heartbeat(screens.now, None).keep(db)
    page = screens.get("/")
    assert "10 texts not signed Their letters wait until a registered physiotherapist" in page
    assert "Late: Amy Okafor Week 2: What you may feel was due on Tue 1 Dec 2026." in page
    assert "not signed yet" in page
    assert "physiopost " not in page


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (None, "Nothing has been sent yet"),
        (Heartbeat(TODAY - DAY, None), "The service is silent."),
        (Heartbeat(TODAY, "login refused"), "The way out is closed: login refused."),
    ],
)
def test_sending_that_has_stopped_is_said_first_and_with_the_reason(
    screens: Screens, last: Heartbeat | None, words: str
) -> None:
    with screens.office.database.write() as db:
        if last:
            last.keep(db)
        else:
            facts.put(db, "round", "")
    page = screens.get("/")
    assert words in page
    assert page.index("Sending has stopped") < page.index("Going out")
    assert "Sending works" not in page


def test_a_technician_sees_numbers_and_no_patient(screens: Screens) -> None:
    screens.doubt("amy", "what-it-is")
    inside = screens.address("amy")
    screens.sign_in("technician", "tech@harbour-physio.example.org")
    answer = screens.client.get("/")
    assert "1 letter in doubt" in plain(answer.text)
    with screens.office.database.read() as db:
        for person in people.everyone(db):
            for secret in (person.name, person.email, person.enrolment_id):
                assert secret not in answer.text
    for address in ("/people", "/people/new", inside, f"{inside}/hold"):
        assert screens.client.get(address).status_code == 403, address


@pytest.mark.parametrize(
    ("words", "who"),
    [
        ("okafor", "Amy Okafor"),
        ("AMY oka", "Amy Okafor"),
        ("chloe", "Chloé Martin"),
        ("CHLOÉ", "Chloé Martin"),
        ("dev.pat", "Dev Patel"),
        ("grace.lin@example.org", "Grace Lin"),
        ("frank", "Frank Weber"),
    ],
)
def test_somebody_is_found_by_name_address_or_id(screens: Screens, words: str, who: str) -> None:
    page = plain(screens.post("/people", words=words).text)
    assert f"1 person {who}" in page


def test_signs_that_mean_something_in_a_pattern_mean_themselves(screens: Screens) -> None:
    for words in ("%%", "__", "a%o", "\\\\", "'; drop table", "<script>"):
        assert f"Nobody has “{words}” in their name" in plain(
            screens.post("/people", words=words).text
        )


def test_what_was_searched_for_stands_in_no_address(screens: Screens) -> None:
    part = screens.client.post(
        "/people",
        data={"words": "amy", **token(screens)},
        headers={**HTTPS, "X-Part": "1"},
    )
    assert plain(part.text).startswith("1 person Amy Okafor")
    assert "<html" not in part.text
    answer = screens.client.get("/people?words=amy")
    assert "Enrolled last" in answer.text
    for address in re.findall(r'(?:href|src|action)="([^"]*)"', part.text + answer.text):
        assert "amy" not in address.lower()


def token(screens: Screens) -> dict[str, str]:
    found = re.search(r'name="csrf_token" value="([^"]+)"', screens.client.get("/people").text)
    assert found
    return {"csrf_token": found[1]}


JO = {
    "name": "Jo Example",
    "email": "jo@example.org",
    "first_appointment": "2026-12-01",
    "physiotherapist": "Priya Shah",
    "consent": "2026-12-01",
}


def everyone(screens: Screens) -> list[Person]:
    with screens.office.database.read() as db:
        return people.everyone(db)


def test_enrolling_shows_the_whole_plan_before_anything_is_saved(screens: Screens) -> None:
    page = plain(screens.post("/people/new", do="look", **JO).text)
    for day in ("Wed 2 Dec 2026 09:30", "Wed 9 Dec 2026", "Wed 27 Jan 2027"):
        assert day in page
    assert "9 letters, the first on Wednesday 2 December 2026" in page
    assert len(everyone(screens)) == 8

    answer = screens.post("/people/new", do="confirm", **JO)
    assert answer.status_code == 302
    page = screens.get(answer.headers["Location"])
    assert "Enrolled. The first letter comes Wed 2 Dec 2026 at 09:30." in page
    assert "Changed just now. Take it back" in page
    new = next(each for each in everyone(screens) if each.name == "Jo Example")
    assert (new.email, new.physiotherapist, new.consent) == (
        *("jo@example.org", "Priya Shah"),
        date(2026, 12, 1),
    )
    with screens.office.database.read() as db:
        assert [(line.by, line.action) for line in trail.newest(db, new.id, 9)] == [(ROSA, "enrol")]


def test_an_enrolment_can_be_taken_back_and_the_offer_moves_down_after_ten_minutes(
    screens: Screens,
) -> None:
    there = screens.post("/people/new", do="confirm", **JO).headers["Location"]
    screens.now += timedelta(minutes=11)
    page = screens.get(there)
    assert "Changed just now" not in page
    assert "Undo the last change" in page
    looked = screens.client.get(f"{there}/undo")
    assert "9 letters do not go any more" in plain(looked.text)
    answer = screens.post(f"{there}/undo", do="confirm", **sealed(looked))
    assert "Taken back" in screens.get(answer.headers["Location"])
    assert len(everyone(screens)) == 8
    assert screens.client.get(there).status_code == 404


def test_an_enrolment_whose_letters_have_gone_offers_no_undo_that_would_be_refused(
    screens: Screens,
) -> None:
    assert "Undo the last change" not in screens.get(screens.address("amy"))
    screens.do(screens.address("amy", "/pace"), days="10")
    assert "Undo the last change" in screens.get(screens.address("amy"))


def test_a_form_with_mistakes_names_each_with_its_field_and_keeps_what_was_typed(
    screens: Screens,
) -> None:
    wrong = {**JO, "name": " ", "email": "jo@", "first_appointment": "", "consent": "2026-12-02"}
    answer = screens.post("/people/new", do="look", **wrong)
    assert answer.status_code == 422
    page = plain(answer.text)
    assert "4 things are to be mended" in page
    assert "This is no e-mail address." in page
    assert "Wed 2 Dec 2026 has not come yet" in page
    assert 'value="jo@"' in answer.text
    for field in ("name", "email", "first_appointment", "consent"):
        assert f'href="#{field}"' in answer.text
        assert f'id="{field}-fault"' in answer.text


def test_a_shared_address_is_asked_about_and_then_taken(screens: Screens) -> None:
    couple = {**JO, "email": "Amy.Okafor@example.org"}
    asked = screens.post("/people/new", do="confirm", **couple)
    assert asked.status_code == 200
    assert "Amy Okafor has this address (gets letters)" in plain(asked.text)
    assert len(everyone(screens)) == 8
    assert screens.post("/people/new", do="confirm", another="yes", **couple).status_code == 302
    assert len(everyone(screens)) == 9
    page = plain(screens.post("/people/new", do="look", **{**JO, "name": "chloe MARTIN"}).text)
    assert "Chloé Martin has this name" in page


def test_an_address_that_is_not_to_be_written_to_is_refused_in_words(screens: Screens) -> None:
    with screens.office.database.write() as db:
        suppress(db, screens.office.keys, "jo@example.org", reason="stopped", at=BEGIN, by="x")
    for do in ("look", "confirm"):
        answer = screens.post("/people/new", do=do, another="yes", **JO)
        assert answer.status_code == 422
        assert "Whoever has this address stopped the letters." in plain(answer.text)
    assert len(everyone(screens)) == 8


def test_the_time_line_tells_everything_in_one_column(screens: Screens) -> None:
    page = screens.get(screens.address("elif"))
    assert "Next: Week 2: What you may feel, on Wednesday 2 December 2026 at 09:30." in page
    places = [
        page.index(words)
        for words in (
            *("Enrolled", "Tue 17 Nov 2026 First appointment", "Welcome to your weekly letters"),
            *("Wed 25 Nov 2026 Week 1", "Wed 2 Dec 2026 Week 2", "no date Week 5", "Week 8"),
        )
    ]
    assert places == sorted(places)
    assert "→ next" in page
    assert "↷ skipped" in page
    assert page.count("✓ sent") == 2
    assert "Own date Wed 9 Dec: 22 days after the first appointment, Tue 17 Nov." in page


def test_no_address_holds_a_name(screens: Screens) -> None:
    pages = ["/", "/people", screens.address("amy"), screens.address("amy", "/hold")]
    names = {word.lower() for each in everyone(screens) for word in each.name.split()}
    for page in pages:
        for address in re.findall(r'(?:href|src|action)="([^"]*)"', screens.client.get(page).text):
            assert not [name for name in names if name in urlsplit(address).path.lower()], address


CHANGES = [
    ("start", {"start": "2026-12-07"}, "7 letters move 21 days later. The next comes Tue 22 Dec"),
    ("appointment", {"appointment": "2026-11-17"}, "7 letters move 1 day later. The next comes"),
    ("hold", {"until": "2026-12-15", "reason": "flare-up"}, "7 letters move 14 days later."),
    ("hold", {}, "7 letters wait, with no date."),
    ("skip", {"lesson": "scans"}, "1 letter does not go any more"),
    ("pace", {"days": "10"}, "letters move. The next comes"),
    ("at", {"clock": "18:15"}, "7 letters keep their days and come at another time. The next"),
    ("note", {"words": "Well done."}, "No letter’s date changes. The next comes Tue 1 Dec"),
    ("correct", {"name": "Amaka", "email": "a@example.org"}, "No letter’s date changes."),
    ("end", {"ending": "discharged"}, "7 letters do not go any more."),
]


@pytest.mark.parametrize(("verb", "fields", "words"), CHANGES)
def test_a_change_is_shown_then_done_then_can_be_undone(
    screens: Screens, verb: str, fields: dict[str, str], words: str
) -> None:
    before, address = screens.person("amy"), screens.address("amy", f"/{verb}")
    looked = screens.post(address, do="look", **fields)
    assert words in plain(looked.text)
    assert screens.person("amy") == before

    done = screens.post(address, do="confirm", **fields, **sealed(looked))
    assert done.status_code == 302, plain(done.text)
    assert words in screens.get(done.headers["Location"])
    assert screens.person("amy") != before
    with screens.office.database.read() as db:
        assert trail.newest(db, "amy", 1)[0].by == ROSA

    undo = screens.address("amy", "/undo")
    back = screens.post(undo, do="confirm", **sealed(screens.client.get(undo)))
    assert "Taken back." in screens.get(back.headers["Location"])
    assert screens.person("amy") == before


def test_the_next_letter_goes_now_if_staff_say_so_and_the_others_on_their_dates(
    screens: Screens,
) -> None:
    amy, office = screens.address("amy"), screens.office
    looked = screens.client.get(f"{amy}/now")
    assert "At once, as staff asked" in plain(looked.text)
    assert "The next letter goes at once" in plain(looked.text)
    screens.now += timedelta(minutes=2)  # somebody reads it first
    assert screens.post(f"{amy}/now", do="confirm", **sealed(looked)).status_code == 302
    before = len(screens.states("amy"))
    work = Round(office.database, office.planner, office.press, office.keys)
    with Folder(office.settings.outbox) as channel:
        for _ in range(2):
            work.run(channel, lambda: screens.now)
    assert len(screens.states("amy")) == before + 1
    assert "at once" in screens.get(amy).lower()


def test_resume_and_keep_and_a_second_course(screens: Screens) -> None:
    dev = screens.address("dev")
    assert "Resume" in screens.get(dev)
    resumed = screens.post(
        f"{dev}/resume", do="confirm", **sealed(screens.client.get(f"{dev}/resume"))
    )
    assert resumed.status_code == 302
    assert screens.person("dev").hold == ()
    assert screens.client.get(f"{dev}/resume").status_code == 422
    assert screens.do(screens.address("elif", "/keep"), lesson="scans").status_code == 302
    assert screens.person("elif").skip == ()
    hana = screens.address("hana")
    page = screens.get(hana)
    assert "The course is finished. Nothing more is sent." in page
    assert "Begin a second course" in page
    again = {"appointment": "2026-12-01", "consent": "2026-12-01"}
    done = screens.do(f"{hana}/reenrol", **again)
    assert done.headers["Location"] == screens.address("hana") != hana
    assert screens.client.get(hana).headers["Location"] == screens.address("hana")


@pytest.mark.parametrize(
    ("verb", "fields", "words"),
    [
        ("start", {"start": ""}, "A date is missing. Choose one."),
        ("start", {"start": "2026-11-01"}, "is before the first appointment"),
        ("start", {"start": "yesterday"}, "is not a date"),
        ("hold", {"first": "2026-12-08", "until": "2026-12-08"}, "does not come after"),
        ("pace", {"days": "fast"}, "is no number of days"),
        ("pace", {"days": "60"}, "60 days cannot be kept. Use 3 to 28."),
        ("at", {"clock": "25:00"}, "is not a time of day"),
        ("skip", {"lesson": "nonsense"}, "is not a lesson"),
        ("note", {"words": "x" * 801}, "has 801 characters"),
        ("correct", {"name": "Amy", "email": "amy@"}, "This is no e-mail address."),
        ("correct", {"name": "", "email": "amy@example.org"}, "The name is missing."),
        ("end", {"ending": "bored"}, "Say why it ends"),
        ("keep", {"lesson": "scans"}, "That is how it is for Amy Okafor already"),
        ("reenrol", {"appointment": "2026-12-01", "consent": "2027-12-01"}, "has not come yet"),
        ("reenrol", {"appointment": "2026-12-01", "consent": "2026-12-01"}, "is under way."),
    ],
)
def test_what_cannot_be_done_is_said_in_words_and_changes_nothing(
    screens: Screens, verb: str, fields: dict[str, str], words: str
) -> None:
    before = screens.person("amy")
    answer = screens.post(screens.address("amy", f"/{verb}"), do="confirm", **fields)
    assert answer.status_code == 422
    assert words.casefold() in plain(answer.text).casefold()
    assert "physiopost " not in plain(answer.text)
    assert screens.person("amy") == before


def test_two_people_who_tailor_one_patient_overwrite_nothing_unseen(screens: Screens) -> None:
    address = screens.address("amy", "/start")
    looked = screens.post(address, do="look", start="2026-12-07")
    screens.now += timedelta(minutes=1)
    screens.sign_in("admin", "tom@harbour-physio.example.org")
    other = screens.do(screens.address("amy", "/pace"), days="10")
    assert other.status_code == 302
    changed = screens.person("amy")

    screens.sign_in("physiotherapist")
    answer = screens.post(address, do="confirm", start="2026-12-07", **sealed(looked))
    assert answer.status_code == 409
    page = plain(answer.text)
    assert "Nothing was changed yet: something else was quicker." in page
    assert "tom@harbour-physio.example.org: Pace: none → 10" in page
    assert screens.person("amy") == changed

    decided = screens.post(address, do="confirm", start="2026-12-07", **sealed(answer))
    assert decided.status_code == 302
    assert screens.person("amy").pace == 10
    assert screens.person("amy").start == date(2026, 12, 7)


def test_a_letter_that_went_meanwhile_is_shown_before_anything_is_moved(screens: Screens) -> None:
    address = screens.address("amy", "/start")
    looked = screens.post(address, do="look", start="2026-12-07")
    screens.now = datetime(2026, 12, 1, 9, 31, tzinfo=UTC)
    screens.sign_in("physiotherapist")
    office = screens.office
    with Folder(office.settings.outbox) as channel:
        work = Round(office.database, office.planner, office.press, office.keys)
        work.run(channel, office.clock)
    answer = screens.post(address, do="confirm", start="2026-12-07", **sealed(looked))
    assert answer.status_code == 409
    assert "A letter went, or its time passed." in plain(answer.text)
    assert screens.person("amy").start is None


@pytest.mark.parametrize(("do", "state"), [("arrived", "accepted"), ("again", "deferred")])
@pytest.mark.parametrize("to", ["today", ""])
def test_a_letter_in_doubt_is_settled(screens: Screens, do: str, state: str, to: str) -> None:
    screens.doubt("amy", "what-it-is")
    there = screens.address("amy")
    assert "It may have arrived. Ask, then say so" in screens.get(there)
    answer = screens.post(f"{there}/settle/what-it-is", do=do, to=to)
    assert answer.headers["Location"] == ("/" if to else there)
    assert screens.states("amy")["what-it-is"] == state
    assert "Not sure" not in screens.get("/")
    twice = screens.post(f"{there}/settle/what-it-is", do=do)
    assert "has settled this letter already" in screens.get(twice.headers["Location"])
    assert screens.post(f"{there}/settle/what-it-is", do="maybe").status_code == 400


def test_what_was_received_is_shown_to_the_byte(screens: Screens) -> None:
    there = screens.address("amy", "/received/welcome")
    page = screens.client.get(there)
    assert "This is the letter as it was sent" in page.text
    assert "sandbox" in page.text
    message = screens.client.get(f"{there}/letter.eml")
    with screens.office.database.read() as db:
        mine = delivery.c.enrolment_id == screens.person("amy").enrolment_id
        query = select(delivery.c.id).where(mine, delivery.c.lesson == "welcome")
        which = db.execute(query).scalar_one()
    outbox = screens.office.settings.outbox
    assert message.data == (outbox / "new" / f"{which}.eml").read_bytes()
    head = message.data.partition(b"\r\n\r\n")[0].decode().replace("\r\n", "\n")
    assert head in unescape(page.text)


def test_the_received_letter_runs_nothing_and_is_framed_by_us_alone(screens: Screens) -> None:
    answer = screens.client.get(screens.address("amy", "/received/welcome/letter.html"))
    policy = answer.headers["Content-Security-Policy"]
    assert "sandbox" in policy
    assert "frame-ancestors 'self'" in policy
    assert "script-src" not in policy
    assert policy.startswith("default-src 'none'")
    assert "Dear Amy," in answer.text
    for lesson in ("scans", "nonsense"):
        assert screens.client.get(screens.address("amy", f"/received/{lesson}")).status_code == 404


def test_an_edited_course_does_not_change_what_was_received(
    screens: Screens, material: Material
) -> None:
    before = screens.client.get(screens.address("amy", "/received/welcome/letter.html")).data
    clinic = material.clinic.model_copy(update={"name": "Another Name"})
    screens.office.planner = Planner(replace(material, clinic=clinic))
    assert (
        screens.client.get(screens.address("amy", "/received/welcome/letter.html")).data == before
    )


def test_a_name_with_markup_is_text_on_every_page(screens: Screens) -> None:
    hostile = "<script>alert(1)</script> {{7*7}} \"'><img src=x>"
    there = screens.post("/people/new", do="confirm", **{**JO, "name": hostile}).headers["Location"]
    pages = [there, "/people", f"{there}/hold", "/?day=2026-12-02"]
    for page in pages:
        html = screens.client.get(page).text
        assert "<script>alert" not in html
        assert "<img src=x" not in html
        assert hostile in unescape(html)


def test_no_page_asks_the_database_once_a_row(screens: Screens) -> None:
    numbers: list[int] = []
    engine = screens.office.database.engine
    event.listen(engine, "before_cursor_execute", lambda *_: numbers.append(1))
    for address in ("/", "/people", screens.address("amy"), "/?day=2026-12-04"):
        numbers.clear()
        screens.get(address)
        assert len(numbers) <= 18, (address, len(numbers))


def test_the_clinics_colour_reaches_the_screens(screens: Screens, material: Material) -> None:
    clinic = material.clinic.model_copy(update={"brand": "#7a1f5c"})
    screens.office.planner = Planner(replace(material, clinic=clinic))
    answer = screens.client.get("/brand.css")
    assert answer.mimetype == "text/css"
    assert "--brand: #7a1f5c;" in answer.text
    assert "prefers-color-scheme: dark" in answer.text


def test_pages_hold_no_style_and_no_script_of_their_own(screens: Screens) -> None:
    screens.doubt("amy", "what-it-is")
    for address in (
        "/",
        "/people",
        "/people/new",
        screens.address("amy"),
        screens.address("amy", "/end"),
    ):
        html = screens.client.get(address).text
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src)", html), address


def test_both_databases_answer_alike(ledger: str, material: Material) -> None:
    database, planner = Database(ledger), Planner(material)
    keys = Keys(["a-secret-of-the-tests-long-enough-to-be-one"], "https://letters.example.org")
    roster = Path(__file__).parent.parent / "subscribers.yaml"
    with database.write() as db:
        listing = read_roster(roster, material.course, date(2026, 11, 30))
        apply(db, merge(db, listing, keys, BEGIN), planner, BEGIN)
        frank = people.find(db, "frank")
        assert frank
        Evidence(keys, planner).leave_alone(db, frank.email, "bounced", BEGIN)
    with database.read() as db:
        for words in ("chloe", "CHLOÉ mart", "dev.patel@example", "amy"):
            assert search(db, words, 9)[1] == 1, words
        assert search(db, "%", 9) == ([], 0)
        held = people.held_until(db, [date(2026, 12, 22), date(2026, 12, 23)])
        assert [each.id for each in held] == ["dev"]
        assert people.held_until(db, [date(2026, 12, 8)]) == []
        due = people.due(db, BEGIN + 2 * DAY, 9)
        assert [each.id for each in due][1:] == ["dev", "grace", "elif"]
        assert sum(people.due_at(db, BEGIN + 2 * DAY).values()) == 4
        assert [each.id for each in people.newest(db, 2)] == ["amy", "ben"]
        assert [(each.id, at) for each, at in trail.lost(db, BEGIN - DAY)] == [("frank", BEGIN)]
        assert trail.lost(db, BEGIN + DAY) == []
        assert deliveries.troubled(db, BEGIN) == deliveries.of_person(db, "amy") == []
        assert deliveries.went(db, BEGIN) == 0
    database.close()


def test_a_lesson_that_was_skipped_is_not_counted_among_those_that_go_no_more(
    screens: Screens,
) -> None:
    looked = screens.post(screens.address("elif", "/end"), do="look", ending="discharged")
    assert "6 letters do not go any more." in plain(looked.text)
