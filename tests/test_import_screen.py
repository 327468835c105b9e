"""Import on screen: everybody is seen before they are enrolled, and all of it is taken back."""

import csv
import io
import re
from collections.abc import Sequence
from datetime import timedelta
from html import unescape

import pytest
from test_screens import HTTPS, Screens, plain, screens, seed
from test_time_machine import run
from werkzeug.test import TestResponse

from scheduler.ledger import people
from scheduler.ledger.people import Person
from scheduler.ledger.suppressions import suppress
from scheduler.web.imports import ROOM, ROWS

__all__ = ["screens", "seed"]  # fixtures that these tests share with test_screens.py

HEADER = "id,email,name,first_appointment,consent"
NEW = """\
jo,jo@example.org,Jo Example,2026-11-30,2026-11-30
kim,kim@example.org,Kim Sample,2026-12-01,2026-12-01
"""
FOREIGN = """\
Ref,Full name,E-mail,First appointment
P1,Jo Example,jo@example.org,30/11/2026
P2,Kim Sample,kim@example.org,01/12/2026
"""
HOSTILE = "<script>alert(7)</script>"

Fields = Sequence[tuple[str, str]]


def drop(screens: Screens, *texts: str, names: Sequence[str] = ("people.csv",)) -> TestResponse:
    """Drop files on the page."""
    sent = [(io.BytesIO(text.encode()), name) for text, name in zip(texts, names, strict=True)]
    form = screens.client.get("/people/import")
    fields = {"csrf_token": dict(carried(form))["csrf_token"], "do": "look", "files": sent}
    return screens.client.post("/people/import", data=fields, headers=HTTPS)


def carried(answer: TestResponse) -> Fields:
    """What the form of an import carries on."""
    form = answer.text.partition("<main")[2]
    inputs = re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', form)
    return [(name, unescape(value)) for name, value in inputs if name not in ("many", "order")]


def go_on(screens: Screens, answer: TestResponse, do: str, **more: str) -> TestResponse:
    """Press a button of the page."""
    fields: dict[str, list[str]] = {"do": [do]}
    for name, value in carried(answer):
        fields.setdefault(name, []).append(value)
    fields |= {name: [value] for name, value in more.items()}
    return screens.client.post("/people/import", data=fields, headers=HTTPS)


def known(screens: Screens) -> dict[str, Person]:
    with screens.office.database.read() as db:
        return {each.id: each for each in people.everyone(db)}


def test_a_dry_run_names_everybody_and_saves_nothing(screens: Screens) -> None:
    before = known(screens)
    answer = drop(screens, f"{HEADER}\n{NEW}")
    page = plain(answer.text)
    assert "2 new Jo Example jo@example.org first letter Tue 1 Dec 2026 09:30" in page
    assert "Enrol 2 people; the first letter goes Tue 1 Dec 2026 09:30" in page
    assert known(screens) == before


def test_confirmed_they_are_enrolled_and_the_whole_import_is_taken_back(screens: Screens) -> None:
    before = known(screens)
    done = go_on(screens, drop(screens, f"{HEADER}\n{NEW}"), "confirm")
    assert done.status_code == 302
    assert {"jo", "kim"} < known(screens).keys()
    assert not re.search("jo|kim", done.location, re.IGNORECASE)
    page = screens.get(done.location)
    assert "2 people enrolled" in page
    assert "2 new, 0 changed" in screens.get("/people/import")
    assert screens.post(done.location, do="undo").status_code == 302
    assert known(screens) == before
    page = screens.get(done.location)
    assert "Taken back: everything that this import did to 2 people." in page
    assert "It was taken back." in page
    assert "Take the whole import back" not in page


def test_an_import_is_not_taken_back_once_somebody_of_it_was_changed(screens: Screens) -> None:
    done = go_on(screens, drop(screens, f"{HEADER}\n{NEW}"), "confirm").location
    screens.do(screens.address("kim", "/pace"), days="10")
    page = screens.get(done)
    assert "1 of the batch were changed since" in page
    screens.post(done, do="undo")
    assert "kim" in known(screens)


def test_an_import_whose_letters_have_gone_stays(screens: Screens) -> None:
    done = go_on(screens, drop(screens, f"{HEADER}\n{NEW}"), "confirm").location
    run(screens, screens.now.date())
    assert "Letters have gone to 1 person of it, and those stay." in screens.get(done)
    screens.post(done, do="undo")
    assert "Nothing was taken back." in screens.get(done)
    assert {"jo", "kim"} < known(screens).keys()


def test_the_columns_are_asked_for_once_and_remembered(screens: Screens) -> None:
    asked = drop(screens, FOREIGN)
    page = plain(asked.text)
    assert "Which column is which?" in page
    assert "<option selected>Full name</option>" in asked.text
    assert "<option selected>E-mail</option>" in asked.text
    columns = {"column.name": "Full name", "column.email": "E-mail", "column.id": "Ref"}
    looked = go_on(screens, asked, "look", consent="2026-11-30", **columns)
    assert "Enrol 2 people" in plain(looked.text)
    assert go_on(screens, looked, "confirm").status_code == 302
    assert known(screens)["P1"].consent.isoformat() == "2026-11-30"
    again = drop(screens, FOREIGN)
    assert "One thing the file does not say" in plain(again.text)  # the day of consent
    looked = go_on(screens, again, "look", consent="2026-11-30")
    assert "2 who are here already, unchanged" in plain(looked.text)
    anew = go_on(screens, looked, "columns")
    assert "Which column is which?" in plain(anew.text)


def test_a_column_may_say_when_each_agreed(screens: Screens) -> None:
    asked = drop(screens, FOREIGN.replace("Ref", "Yes on").replace("P1", "30/11/2026"))
    columns = {"column.name": "Full name", "column.email": "E-mail"}
    missing = go_on(screens, asked, "look", **columns)
    assert "One thing the file does not say" in plain(missing.text)
    looked = go_on(screens, missing, "look", **{"column.consent": "Yes on"})
    assert "Enrol 1 person" in plain(looked.text)
    assert "line 3: Consent is not a date" in plain(looked.text)


def test_a_consent_that_has_not_come_yet_is_asked_for_again(screens: Screens) -> None:
    again = go_on(screens, drop(screens, FOREIGN), "look", consent="2026-12-02")
    assert "Wed 2 Dec 2026 has not come yet" in plain(again.text)
    looked = go_on(screens, again, "look", consent="2026-12-01")
    assert "Which column is which?" in plain(looked.text)


def test_no_file_and_a_mangled_one_are_refused(screens: Screens) -> None:
    nothing = screens.post("/people/import", do="look")
    assert nothing.status_code == 422
    assert "No file was chosen" in plain(nothing.text)
    assert screens.post("/people/import", name="a.csv", content="!").status_code == 400


def test_dates_that_may_mean_two_things_are_asked_about(screens: Screens) -> None:
    text = f"{HEADER}\njo,jo@example.org,Jo Example,03/11/2026,03/11/2026\n"
    asked = drop(screens, text)
    assert "Tue 3 Nov 2026, or Wed 11 Mar 2026?" in plain(asked.text)
    looked = go_on(screens, asked, "look", order="day")
    assert "Enrol 1 person" in plain(looked.text)


def test_half_of_a_systems_files_asks_for_the_other_half(screens: Screens) -> None:
    header = "Patient Number,Member Since,First Name,Last Name,Email"
    page = plain(drop(screens, f"{header}\n1,2026-11-10,Jo,Example,jo@example.org\n").text)
    assert "there are no dates of a first appointment in it" in page
    assert "give the file of appointments as well" in page


def test_wrong_rows_keep_nobody_out_and_are_saved_with_their_reasons(screens: Screens) -> None:
    bad = f'=cmd(),no address,"{HOSTILE}",2026-11-30,2026-11-30'
    answer = drop(screens, f"{HEADER}\n{NEW}{bad}\n")
    page = plain(answer.text)
    assert "1 to be mended" in page
    assert "people.csv, line 4: Id" in page
    assert "Enrol 2 people" in page
    saved = go_on(screens, answer, "rows")
    assert saved.headers["Content-Disposition"] == "attachment; filename=wrong-rows.csv"
    header, row = csv.reader(io.StringIO(saved.get_data().decode("utf-8-sig")))
    assert header == ["reason", *HEADER.split(",")]
    assert row[1:4] == ["'=cmd()", "no address", HOSTILE]
    assert go_on(screens, answer, "confirm").status_code == 302
    assert {"jo", "kim"} < known(screens).keys()


def test_what_staff_changed_is_set_aside_and_not_overwritten(screens: Screens) -> None:
    go_on(screens, drop(screens, f"{HEADER}\n{NEW}"), "confirm")
    screens.do(screens.address("jo", "/appointment"), appointment="2026-12-02")
    text = f"{HEADER}\n{NEW}".replace("Jo Example,2026-11-30", "Jo Example,2026-11-27")
    answer = drop(screens, text.replace("Kim Sample", "Kim Samples"))
    page = plain(answer.text)
    assert "1 set aside" in page
    assert "line 2: First appointment was changed to 2026-12-02" in page
    assert "Change 1 person" in page
    assert go_on(screens, answer, "confirm").status_code == 302
    assert known(screens)["kim"].name == "Kim Samples"
    assert known(screens)["jo"].first_appointment.isoformat() == "2026-12-02"


def test_an_address_that_is_not_to_be_written_to_is_set_aside(screens: Screens) -> None:
    with screens.office.database.write() as db:
        keys, at = screens.office.keys, screens.now
        suppress(db, keys, "jo@example.org", reason="stopped", at=at, by="rosa")
    page = plain(drop(screens, f"{HEADER}\n{NEW}").text)
    assert "Email is on the list of those not to be written to (stopped)" in page
    assert "Enrol 1 person" in page
    assert "physiopost " not in page


def many(screens: Screens) -> TestResponse:
    """A file that moves the dates of everybody it enrolled."""
    rows = [f"p{n},p{n}@example.org,P {n},2026-11-30,2026-11-30" for n in range(9)]
    text = "\n".join([HEADER, *rows])
    go_on(screens, drop(screens, text), "confirm")
    return drop(screens, text.replace("2026-11-30,2026-11-30", "2026-12-02,2026-11-30"))


def test_a_file_that_moves_more_than_a_fifth_waits_for_a_second_word(screens: Screens) -> None:
    answer = many(screens)
    page = plain(answer.text)
    assert "9 whose dates move P 0: next letter Tue 1 Dec 2026 → Thu 3 Dec 2026" in page
    assert "This would move or end the courses of 9 of" in page
    assert "--yes-many" not in page
    refused = go_on(screens, answer, "confirm")
    assert refused.status_code == 422
    assert known(screens)["p1"].first_appointment.isoformat() == "2026-11-30"
    assert go_on(screens, refused, "confirm", many="yes").status_code == 302
    assert known(screens)["p1"].first_appointment.isoformat() == "2026-12-02"


def test_what_has_changed_since_the_dry_run_is_shown_again_and_nothing_is_done(
    screens: Screens,
) -> None:
    answer = drop(screens, f"{HEADER}\n{NEW}")
    screens.now += timedelta(hours=9)  # the first letter cannot go today any more
    screens.sign_in("physiotherapist")
    late = go_on(screens, answer, "confirm")
    assert late.status_code == 409
    assert "Something changed since you looked, so nothing was done." in plain(late.text)
    assert "jo" not in known(screens)
    assert go_on(screens, late, "confirm").status_code == 302


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([f"{HEADER}\n" + "x" * ROOM], "The files are larger than 2 MB"),
        ([f"{HEADER}\n" + "\n" * ROWS], "Has more than 5,000 rows"),
        (["PK\3\4\0\0"], "Is not text in UTF-8, UTF-16 or Windows-1252"),
        ([f'{HEADER}\n"jo,jo@example.org\n'], "line 2: The row cannot be read"),
        ([HEADER, HEADER, HEADER], "3 files are too many"),
        ([""], "Has no row of column names"),
    ],
)
def test_what_cannot_be_taken_is_refused_in_words(
    screens: Screens, texts: list[str], words: str
) -> None:
    answer = drop(screens, *texts, names=["people.csv"] * len(texts))
    assert answer.status_code == 422
    assert words in plain(answer.text)


def test_a_body_beyond_all_bounds_is_refused(screens: Screens) -> None:
    answer = drop(screens, "x" * 5_000_000)
    assert answer.status_code == 413
    assert "Send less at once" in plain(answer.text)


def test_hostile_text_is_inert(screens: Screens) -> None:
    text = f'{HEADER}\njo,jo@example.org,"{HOSTILE}",2026-11-30,2026-11-30\n'
    answer = drop(screens, text, names=[f"{HOSTILE}.csv"])
    assert HOSTILE not in answer.text
    assert "alert(7)" in answer.text
    asked = drop(screens, FOREIGN.replace("Full name", HOSTILE), names=["x.csv"])
    assert HOSTILE not in asked.text


def test_a_technician_does_not_import(screens: Screens) -> None:
    screens.sign_in("technician", "tech@example.org")
    assert screens.client.get("/people/import").status_code == 403
    assert "Import" not in screens.get("/")
