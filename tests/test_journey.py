"""A clinic's whole course: nine weeks at the desk, told as it happens."""

import json
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime

import pytest
from conftest import Clinic

# Amy was seen on Mon 16 Nov 2026 and enrolled that day: P1 to P5 by hand.
AMY = [
    *("2026-11-17", "2026-11-24", "2026-12-01", "2026-12-08", "2026-12-15", "2026-12-22"),
    *("2026-12-29", "2027-01-05", "2027-01-12"),
]
# Ben, Thu 19 Nov: Fri 25 Dec is a holiday, then a weekend and Boxing Day's substitute; Fri 1 Jan is
# a holiday, then a weekend. The other Fridays stay where they are.
BEN = [
    *("2026-11-20", "2026-11-27", "2026-12-04", "2026-12-11", "2026-12-18", "2026-12-29"),
    *("2027-01-04", "2027-01-08", "2027-01-15"),
]
# Dev, Mon 16 Nov, away from 8 to 22 Dec: the fourth letter waits, the others keep their distance.
DEV = [
    *("2026-11-17", "2026-11-24", "2026-12-01", "2026-12-22", "2026-12-29", "2027-01-05"),
    *("2027-01-12", "2027-01-19", "2027-01-26"),
]


@pytest.mark.slow
def test_nine_weeks_at_a_clinic(clinic: Clinic) -> None:
    # Reception enrols the three on the days of their first appointments.
    roster = (clinic.folder / "subscribers.yaml").read_text()
    entries = {part[:3]: f"- id: {part}" for part in roster.split("- id: ")[1:]}
    clinic.write("subscribers.yaml", entries["amy"] + entries["dev"])
    assert clinic.physiopost("enrol", "--now", "2026-11-16T15:00Z").code == 0
    clinic.write("subscribers.yaml", entries["amy"] + entries["dev"] + entries["ben"])
    assert "1 new" in clinic.physiopost("enrol", "--now", "2026-11-19T15:00Z").out

    # The service runs every day at ten for eleven weeks.
    day = datetime(2026, 11, 16, 10, tzinfo=UTC)
    while day.date() < date(2027, 2, 1):
        sent = clinic.physiopost("send", "--now", day.isoformat())
        assert sent.code == 0, sent
        day += timedelta(days=1)

    # Each has the nine letters, on the right days, in the course's order.
    got: dict[str, list[tuple[str, str]]] = {}
    for path in clinic.letters():
        message = message_from_bytes(path.read_bytes(), policy=policy.default)
        went = parsedate_to_datetime(str(message["Date"])).date().isoformat()
        got.setdefault(str(message["To"]), []).append((went, str(message["Subject"])))
    weeks = ["your welcome letter", *(f"your week {week} information" for week in range(1, 9))]
    subjects = [f"Harbour Physio: {week}" for week in weeks]
    for address, days in (
        ("amy.okafor@example.org", AMY),
        ("ben.hughes@example.org", BEN),
        ("dev.patel@example.org", DEV),
    ):
        assert sorted(got[address]) == list(zip(days, subjects, strict=True))

    # The record says why, and that it is over.
    record = json.loads(
        clinic.physiopost("plan", "ben", "--json", "--now", "2027-02-01T10:00Z").out
    )
    assert record[0]["status"] == "finished"
    fifth = record[0]["letters"][5]
    assert fifth["local"].startswith("2026-12-29T10:00:00+00:00")
    assert "moved from Fri 25 Dec: public holiday (Christmas Day)" in fifth["reasons"][1]
    assert clinic.physiopost("send", "--now", "2027-02-01T10:00Z").out == "nothing is due\n"


def test_each_letter_says_when_the_next_one_comes_and_the_last_says_that_it_is_the_last(
    clinic: Clinic,
) -> None:
    clinic.physiopost("enrol", "--now", "2026-11-16T15:00Z")
    clinic.physiopost("simulate", "--to", "sim")
    texts = [path.read_text() for path in (clinic.folder / "sim" / "letters").glob("*.txt")]
    assert sum("This is the last letter of the course." in text for text in texts) == 7
    assert any("Your next letter comes on Tuesday 29 December." in text for text in texts)
