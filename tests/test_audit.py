"""The audit: who did what, to whom, when and from where; it grows, and tells no patient's name."""

import csv
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from conftest import Clinic
from sqlalchemy import delete, insert, update
from sqlalchemy.exc import DatabaseError
from test_gate import CANARY, GOOD, NOON, WORDS, Browser, House, found, house, path_of, seed
from test_screens import plain

from scheduler.ledger import facts, staff, trail
from scheduler.ledger.database import Database
from scheduler.ledger.evidence import Evidence
from scheduler.ledger.tables import audit
from scheduler.ledger.trail import Line, Wanted
from scheduler.roster.watch import Watch

__all__ = ["house", "seed"]  # fixtures that these tests share with test_gate.py
PAGE = "GET /people/<enrolment>"
LETTER = "GET /people/<enrolment>/received/<lesson>"


def told(house: House, action: str = "") -> list[Line]:
    """The oldest first."""
    with house.office.database.read() as db:
        return [*trail.lines(db, Wanted(action=action))][::-1]


def lines(house: House, action: str = "") -> list[tuple[str, str, str]]:
    """Who, what, from where; the oldest first."""
    return [(each.by, each.words, each.place) for each in told(house, action)]


def from_place(house: House, place: str, role: str = "admin") -> Browser:
    browser = house.browser(role)
    browser.client.environ_base["REMOTE_ADDR"] = place
    return browser


# Reads


def test_who_looks_at_a_patient_is_written_down_with_when_and_from_where(house: House) -> None:
    rosa = from_place(house, "10.0.0.7", "physiotherapist")
    assert rosa.get(path_of(house, PAGE)).status_code == 200
    assert rosa.get(path_of(house, LETTER)).status_code == 200
    assert {(each.at, each.who) for each in told(house, "read")} == {(NOON, "p1")}
    assert lines(house, "read") == [
        ("physiotherapist@example.org", "page", "10.0.0.7"),
        ("physiotherapist@example.org", "letter welcome", "10.0.0.7"),
    ]


def test_a_look_is_told_once_in_ten_minutes_and_by_each_who_looks(house: House) -> None:
    admin, rosa = house.browser("admin"), house.browser("physiotherapist")
    page = path_of(house, PAGE)
    for _ in range(3):
        admin.get(page)
        admin.client.head(page)
        admin.get(f"{page}/hold")
    rosa.get(page)
    house.clock.step(minutes=9, seconds=59)
    admin.get(page)
    assert len(lines(house, "read")) == 2
    house.clock.step(seconds=1)
    admin.get(page)
    assert len(lines(house, "read")) == 3
    from_place(house, "192.0.2.7").get(page)  # the same, from elsewhere
    admin.get(path_of(house, PAGE, "p2"))
    assert len(lines(house, "read")) == 5


def test_what_a_form_shows_is_a_look_and_what_it_does_is_a_change(house: House) -> None:
    admin, page = house.browser("admin"), path_of(house, PAGE)
    admin.post(f"{page}/hold", first="2026-12-01", until="2026-12-08", do="look")
    assert len(lines(house, "read")) == 1
    assert len(lines(house, "hold")) == 0


def test_nobody_who_was_sent_away_has_looked(house: House) -> None:
    house.browser("technician").get(path_of(house, PAGE))
    house.browser().get(path_of(house, PAGE))
    house.browser("admin").get("/people/nobodys")
    assert lines(house, "read") == []


def test_a_look_that_cannot_be_written_down_does_not_happen(house: House) -> None:
    page = path_of(house, PAGE)
    with house.office.database.write() as db:
        db.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    answer = house.browser("admin").get(page)
    assert (answer.status_code, CANARY[0] in answer.text) == (500, False)


def test_a_look_is_no_change_of_the_patient(house: House) -> None:
    """It stands on no time line, and nobody else's form is called outdated by it."""
    admin, page = house.browser("admin"), path_of(house, PAGE)
    before = plain(admin.get(page).text)
    assert plain(house.browser("admin").get(page).text) == before
    with house.office.database.read() as db:
        assert [each.action for each in trail.newest(db, "p1", 9)] == ["enrol"]


# From where


def test_each_change_says_from_where_it_was_made(house: House, tmp_path: Path) -> None:
    """By staff the network address; by anybody else what they used, and no address of theirs."""
    office, who = house.office, path_of(house, PAGE).rpartition("/")[2]
    rosa = from_place(house, "10.0.0.7", "physiotherapist")
    day = {"first_appointment": "2026-11-24", "consent": "2026-11-24"}
    rosa.post("/people/new", name="Jo", email="jo@example.org", do="confirm", **day)
    patient = from_place(house, "192.0.2.7", "anonymous").client
    token = office.keys.stop_url(who).rpartition("/")[2]
    patient.post(f"/letters/{token}/style", data={"style": "large"})
    file = tmp_path / "people.yaml"
    file.write_text(
        "- {id: ann, email: ann@example.org, name: Ann, ADDED}\n".replace(
            "ADDED", "first_appointment: 2026-11-24, consent: 2026-11-24"
        )
    )
    with office.database.write() as db:
        facts.put(db, "roster_file", f"before {file}")
    Watch(file).look(office.database, office.planner, office.keys, NOON)
    with office.database.write() as db:
        Evidence(office.keys, office.planner).leave_alone(db, "ann@example.org", "bounced", NOON)
    newest = [(each.by, each.action, each.place) for each in told(house)[-4:]]
    assert newest == [
        ("physiotherapist@example.org", "enrol", "10.0.0.7"),
        ("the patient", "style", "their pages"),
        ("roster file", "enrol", "people.yaml"),
        ("SendGrid", "bounced", "its events and logs"),
    ]
    assert "192.0.2.7" not in repr(told(house))
    assert "SendGrid its events and logs Bounced" in shown(house)


# Getting in and out, and staff


def test_getting_in_failing_to_and_leaving_are_written_down(house: House) -> None:
    browser = from_place(house, "10.0.0.7", "anonymous")
    browser.sign_in("Nobody@example.org", "guess")
    browser.sign_in("Admin@example.org")
    browser.post("/sign-out")
    browser.post("/sign-out")  # nobody leaves twice
    mark = house.office.keys.marks("who:nobody@example.org")[0]
    assert lines(house)[-3:] == [
        (f"mark {mark[:12]}", "", "10.0.0.7"),
        ("admin@example.org", "", "10.0.0.7"),
        ("admin@example.org", "", "10.0.0.7"),
    ]
    assert "nobody" not in repr(lines(house)).replace("nobody@example.org", "")
    assert [len(lines(house, each)) for each in ("sign-in failed", "sign-in", "sign-out")] == [
        1
    ] * 3


def test_what_is_done_to_staff_is_written_down(house: House) -> None:
    admin = house.browser("admin")
    who = house.member("technician").id
    tom = {"name": "Tom Ellis", "email": "tom@example.org", "role": "technician"}
    admin.post("/staff/invite", **tom)
    for deed in ("link", "out", "reset", "end"):
        admin.post(f"/staff/{who}/{deed}", do="confirm")
    admin.post("/staff/second-factor", need="no")
    admin.post("/account/password", password=WORDS, new=GOOD)
    newest = lines(house)[-7:]
    assert {(by, place) for by, _, place in newest} == {("admin@example.org", "127.0.0.1")}
    assert [words for _, words, _ in newest] == [
        "tom@example.org as technician",
        "new link: technician@example.org",
        "sign out everywhere: technician@example.org",
        "reset the second factor: technician@example.org",
        "let in no more: technician@example.org",
        "left to each",
        "",
    ]


def test_what_is_done_at_the_terminal_is_written_down_too(clinic: Clinic) -> None:
    tom = "tom.ellis@example.org"
    clinic.physiopost("staff", "invite", tom, "--name", "Tom", "--role", "admin")
    database = Database(f"sqlite:///{clinic.folder / 'var' / 'physiopost.db'}")
    with database.write() as db:
        member = found(staff.by_email(db, tom) or staff.everyone(db)[0])
        staff.set_factor(db, member, "sealed", 1)
    assert clinic.physiopost("staff", "reset", tom.upper()).code == 0
    assert clinic.physiopost("staff", "end", tom).code == 0
    with database.read() as db:
        told = [*trail.lines(db, Wanted())][::-1]
        assert staff.everyone(db) == []
    assert [each.words for each in told] == [
        f"{tom} as admin",
        f"reset the second factor: {tom}",
        f"let in no more: {tom}",
    ]
    assert all(each.by.startswith("terminal (") for each in told)
    assert {each.place for each in told} == {"the command line"}
    slip = clinic.physiopost("staff", "reset", tom)
    assert (slip.code, "nobody has this address" in slip.err) == (2, True)


# The page


def tell(house: House, number: int = 1, **line: object) -> None:
    row = {"at": NOON, "by": "rosa@example.org", "action": "hold", "words": "hold: none → …"}
    with house.office.database.write() as db:
        db.execute(insert(audit), [row | line] * number)


def shown(house: House, **asked: str) -> str:
    return plain(house.browser("admin").post("/audit", **asked).text)


def test_the_page_shows_what_is_asked_for(house: House) -> None:
    enrolment = path_of(house, PAGE).rpartition("/")[2]
    tell(house, words="one", by="tom@example.org", place="10.0.0.7")
    tell(house, words="two", action="skip", enrolment_id=enrolment)
    tell(house, words="three", at=NOON - timedelta(days=3))

    def among(**asked: str) -> list[str]:
        page = shown(house, **asked)
        return [
            each
            for each in ("one", "two", "three")
            if f"Hold {each} " in page + " " or f"Skip {each} " in page + " "
        ]

    assert among() == ["one", "two", "three"]
    assert among(by="TOM@") == ["one"]
    assert among(by="10.0.0.7") == ["one"]
    assert "tom@example.org 10.0.0.7 Hold one" in shown(house)
    assert among(action="skip") == ["two"]
    assert among(who="p1") == ["two"]
    assert among(who="p2") == []
    assert among(since="2026-11-24") == ["one", "two"]
    assert among(until="2026-11-21") == ["three"]
    assert among(since="2026-11-21", until="2026-11-21", by="rosa") == ["three"]
    assert among(by="%") == []
    assert "There is no such line." in shown(house, by="%")
    assert "Choose a day." in shown(house, since="yesterday")


def test_a_day_is_the_clinics_from_its_midnight_on(house: House) -> None:
    """In summer midnight is at 23:00 UTC of the day before."""
    tell(house, words="late on the first", at=NOON.replace(month=7, day=1, hour=22, minute=59))
    tell(house, words="early on the second", at=NOON.replace(month=7, day=1, hour=23, minute=0))
    page = shown(house, since="2026-07-02", until="2026-07-02")
    assert ("early on the second" in page, "late on the first" in page) == (True, False)


def test_older_lines_are_a_page_further_and_none_is_lost_between(house: House) -> None:
    for number in range(120):
        tell(house, words=f"line {number:03}")
    admin, seen, older = house.browser("admin"), list[str](), ""
    for _ in range(3):
        page = plain(admin.post("/audit", action="hold", older=older).text)
        seen += [each for each in page.split() if each.isdigit() and len(each) == 3]
        html = admin.post("/audit", action="hold", older=older).text
        _, found_it, rest = html.partition('name="older" value="')
        older = rest.partition('"')[0] if found_it else ""
    assert seen == [f"{number:03}" for number in reversed(range(120))]
    assert older == ""


def test_the_csv_holds_what_is_asked_for_and_nothing_that_a_sheet_would_run(house: House) -> None:
    tell(house, words='=HYPERLINK("http://evil.example")', by="@evil", batch="+1", place="-1.2.3.4")
    tell(house, number=60, action="skip", words="enough for two pages")
    admin = house.browser("admin")
    answer = admin.post("/audit/audit.csv", action="hold", older="3")
    assert answer.headers["Content-Disposition"] == "attachment; filename=audit.csv"
    head, row = csv.reader(StringIO(answer.text))
    assert head == ["at", "by", "from", "action", "patient", "words", "batch"]
    assert row[:5] == ["2026-11-24 12:00:00Z", "'@evil", "'-1.2.3.4", "hold", ""]
    assert row[5:] == ['\'=HYPERLINK("http://evil.example")', "'+1"]
    whole = [*csv.reader(StringIO(admin.post("/audit/audit.csv", action="skip").text))]
    assert len(whole) == 61
    assert lines(house)[-1] == ("admin@example.org", "audit", "127.0.0.1")


def test_no_patient_is_named_in_the_audit(house: House) -> None:
    admin = house.browser("admin")
    page = path_of(house, PAGE)
    admin.get(page)
    admin.post("/people", words=CANARY[0])
    admin.post(f"{page}/note", words=f"Well done, {CANARY[0]}", do="look")
    said = admin.post("/audit").text + admin.post("/audit/audit.csv").text
    assert [part for whole in CANARY for part in (whole, whole.split()[0]) if part in said] == []


# The database


def test_both_databases_refuse_to_change_or_delete_a_line(ledger: str) -> None:
    database = Database(ledger)
    with database.write() as db:
        trail.tell(db, None, "sign-in", "", at=NOON, by="rosa@example.org · 10.0.0.7")
    for statement in (update(audit).values(by="tom"), delete(audit)):
        with (
            pytest.raises(DatabaseError, match="the audit only grows"),
            database.engine.begin() as db,
        ):
            db.execute(statement)
    with database.read() as db:
        (line,) = trail.lines(db, Wanted(by="ROSA", since=NOON, until=NOON + timedelta(seconds=1)))
        told = NOON, "rosa@example.org", "", "sign-in", "", None, 1, None, "10.0.0.7"
        assert line == Line(*told)
        assert [*trail.lines(db, Wanted(by="10.0.0."))] == [line]
        assert trail.actions(db) == ["sign-in"]
        assert not trail.looked(db, "x", "page", at=NOON, by="rosa@example.org")
        assert trail.newest(db, None, 9) == []
    database.close()
