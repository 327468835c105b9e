"""What reading a practice system's files promises: the right people, or a line and a reason."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from conftest import Clinic
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scheduler.findings import WrongInput
from scheduler.material import Material
from scheduler.roster.export import Choices, Export, read_export, wrong_rows
from scheduler.roster.source import header_signature
from scheduler.roster.table import Sheet, read_table, write_file

TODAY = date(2026, 11, 23)
AGREED = Choices(consent=TODAY)
HEADER = "id,email,name,first_appointment"
AMY = "amy-1,amy@example.org,Amy Okafor,2026-11-16"
OWN = {
    "id": "Kundennr",
    "name": "Vor- und Nachname",
    "email": "E-Mail-Adresse",
    "first_appointment": "Erster Termin",
    "consent": "Einwilligung",
}
Read = Callable[..., Export]


@pytest.fixture(scope="module")
def read(material: Material, root: Path) -> Read:
    """Read files of tests/data by their names, or others by their paths."""

    def read(*names: str | Path, choices: Choices = AGREED) -> Export:
        tables = [read_table(Sheet(root / "tests" / "data" / name)) for name in names]
        return read_export(tables, material.course, TODAY, choices)

    return read


@pytest.fixture
def table(tmp_path: Path, read: Read) -> Callable[..., Export]:
    """Read what these lines, or these bytes, say."""

    def table(*lines: str | bytes, choices: Choices = AGREED) -> Export:
        path = tmp_path / "people.csv"
        whole = (line.encode() if isinstance(line, str) else line for line in lines)
        path.write_bytes(b"\n".join(whole))
        return read(path, choices=choices)

    return table


def people(export: Export) -> list[tuple[str | None, str, str, str]]:
    return [(e.id, e.email, e.name, f"{e.first_appointment}") for e in export.entries]


def left_out(export: Export) -> dict[int, str]:
    return {row.line: row.reason for row in export.left_out}


BOB = ("bob@example.org", "Bob Adeyemi", "2026-11-16")
SYSTEMS = {
    "Jane": (
        ["jane-appointments.csv", "jane-patients.csv"],
        AGREED,
        [("jane-1", *BOB), ("jane-2", "home@example.org", "Chloé Brandt", "2026-11-25")],
        {
            4: "not the first visit",
            5: "cancelled",
            6: "did not come",
            8: "a break and not a visit",
            9: "discharged",
            10: "no e-mail address",
            11: "not in the file of patients",
            12: "the first visit was on Mon 2 Jun 2025, over a year ago",
        },
    ),
    "Cliniko": (
        ["cliniko-appointments.csv", "cliniko-patients.csv"],
        replace(AGREED, zone=ZoneInfo("Australia/Sydney")),
        [("cliniko-1558354464010667075", *BOB)],
        {3: "not the first visit", 4: "did not come", 5: "archived"},
    ),
    "WriteUpp": (
        ["writeupp-activity.csv", "writeupp-patients.csv"],
        AGREED,
        [("writeupp-WU000001", "bob@example.org", "Robert Adeyemi", "2026-11-16")],
        {3: "not the first visit", 4: "cancelled", 5: "not the first visit"},
    ),
    "SimplePractice": (
        ["simplepractice-clients.csv"],
        replace(AGREED, columns={"first_appointment": "Next appointment"}),
        [(None, "bob@example.org", "Robert Adeyemi", "2026-11-16")],
        {3: "archived", 4: "no date of an appointment"},
    ),
    "your mapping": (
        ["own-excel.csv"],
        Choices(columns=OWN),
        [
            ("K-1", "zoe@example.org", "Zoë Müller", "2026-11-16"),
            ("K-2", "joerg@example.org", "Jörg Groß", "2026-11-09"),
        ],
        {4: "no date of consent"},
    ),
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_is_known_by_its_columns_and_first_visits_come_out(
    read: Read, system: str
) -> None:
    files, choices, entries, aside = SYSTEMS[system]
    export = read(*files, choices=choices)
    assert (export.system, people(export), left_out(export)) == (system, entries, aside)
    assert read(*reversed(files), choices=choices).entries == export.entries


def test_clients_and_appointments_without_ids_are_joined_by_name(
    read: Read, tmp_path: Path
) -> None:
    visits = tmp_path / "visits.csv"
    visits.write_text(
        f"Date of service,Client\n11/16/2026,{'Adeyemi, Robert'!r}\n".replace("'", '"')
    )
    choices = replace(AGREED, columns={"first_appointment": "date_of_service"})
    export = read(visits, "simplepractice-clients.csv", choices=choices)
    assert people(export) == [(None, "bob@example.org", "Robert Adeyemi", "2026-11-16")]


def test_what_excel_escaped_is_what_was_meant(read: Read) -> None:
    assert people(read("excel-escaped.csv", choices=Choices())) == [
        ("0012", "amy@example.org", "Amy Okafor", "2026-01-27"),
        ("0013", "ben@example.org", "Ben; the elder", "2026-01-28"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_spelling_of_a_file_says_the_same(
    table: Callable[..., Export], encoding: str, delimiter: str, newline: str
) -> None:
    text = newline.join([HEADER, 'zoe,zoe@example.org,"Zoë\nMüller",2026-11-16', ",,,", ""])
    export = table(text.replace(",", delimiter).encode(encoding))
    assert people(export) == [("zoe", "zoe@example.org", "Zoë Müller", "2026-11-16")]
    assert export.lines == (2,)


DATES = {
    "2026-11-16": "2026-11-16",
    "2026/11/16 09:30": "2026-11-16",
    "2026-11-16T23:30:00Z": "2026-11-17",
    "2026-11-16 9:30:00 -0400": "2026-11-17",
    "16/11/2026 9:30 am": "2026-11-16",
    "11/16/26": "2026-11-16",
    "16.11.2026": "2026-11-16",
    "27 Jan 2026": "2026-01-27",
    "27-Sept-2026": "2026-09-27",
    "Tuesday, January 27th, 2026, 10:15": "2026-01-27",
    "05/05/2026": "2026-05-05",
}


@pytest.mark.parametrize("written", DATES)
def test_a_date_is_understood_as_it_is_written(table: Callable[..., Export], written: str) -> None:
    choices = replace(AGREED, zone=ZoneInfo("Australia/Sydney"))
    export = table(HEADER, f'amy,amy@example.org,Amy,"{written}"', choices=choices)
    assert people(export)[0][3] == DATES[written]


@pytest.mark.parametrize(
    "written", ["31.02.2026", "soon", "2026", "1/2/3/2026", "Smith Jane 2026", "46000", "0/0/2026"]
)
def test_a_date_that_is_none_is_a_wrong_row_with_its_line(
    table: Callable[..., Export], written: str
) -> None:
    export = table(HEADER, AMY, f"ben,ben@example.org,Ben,{written}")
    assert [(row.line, row.field) for row in export.wrong] == [(3, "first_appointment")]
    assert [entry.id for entry in export.entries] == ["amy-1"]


def test_an_order_of_day_and_month_that_nobody_can_know_is_asked_about(
    table: Callable[..., Export],
) -> None:
    lines = [HEADER, "amy,amy@example.org,Amy,03/04/2026"]
    with pytest.raises(WrongInput, match=r'people.csv:2: is "03/04/2026" Fri 3 Apr 2026, or Wed 4'):
        table(*lines)
    for first, day in ((True, "2026-04-03"), (False, "2026-03-04")):
        assert people(table(*lines, choices=replace(AGREED, day_first=first)))[0][3] == day


def test_one_number_above_twelve_decides_for_all_and_is_held_against_the_answer(
    table: Callable[..., Export],
) -> None:
    lines = [HEADER, "amy,amy@example.org,Amy,03/04/2026", "ben,ben@example.org,Ben,16/04/2026"]
    assert [who[3] for who in people(table(*lines))] == ["2026-04-03", "2026-04-16"]
    with pytest.raises(WrongInput, match='csv:3: "16/04/2026" does not have the month first'):
        table(*lines, choices=replace(AGREED, day_first=False))
    with pytest.raises(WrongInput, match=r"csv:4: .* line 3 has the day first"):
        table(*lines, "cy,cy@example.org,Cy,04/16/2026")


@pytest.mark.parametrize(
    ("files", "columns", "said"),
    [
        (["jane-appointments.csv"], {}, "no e-mail addresses in it; give the file of patients"),
        (["jane-patients.csv"], {}, "first appointment in it; give the file of appointments"),
        (["jane-patients.csv", "cliniko-patients.csv"], {}, "give the two files of one system"),
        (["jane-appointments.csv"] * 2, {}, "is one file too many"),
        (["own-excel.csv"], {}, "perhaps --column email=E-Mail-Adresse"),
        (["own-excel.csv"], {"email": "Mail"}, 'has no column "Mail"; the columns are "Kundennr"'),
        (["own-excel.csv"], {"mail": "Kundennr"}, '"mail" is not a field of --column; known are'),
        (["none.csv"], {}, "there is no such file"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_type(
    read: Read, files: list[str], columns: dict[str, str], said: str
) -> None:
    with pytest.raises(WrongInput) as refused:
        read(*files, choices=replace(AGREED, columns=columns))
    assert said in str(refused.value)


def test_nobody_is_enrolled_without_a_day_of_consent(table: Callable[..., Export]) -> None:
    with pytest.raises(WrongInput, match=r"who agreed to get the letters; .*--consent 2026"):
        table(HEADER, AMY, choices=Choices())
    future = table(f"{HEADER},consent", f"{AMY},2026-11-24", choices=Choices())
    assert [row.words for row in future.wrong] == ["consent 2026-11-24 is in the future"]


WRONG = {
    "two addresses of one id": ["amy-1,amy2@example.org,Amy Okafor,2026-11-17"],
    "no id that can be used": ["amy 1,amy@example.org,Amy Okafor,2026-11-17"],
    "a mistyped address": ["x,Secret Person@example,Amy Okafor,2026-11-17"],
    "no name": ["x,x@example.org,,2026-11-17"],
    "more cells than columns": ["x,x@example.org,Okafor,Amy,2026-11-17"],
    "an endless cell": [f"x,x@example.org,{'Secret' * 500},2026-11-17"],
    "no id, and the address of another": [",amy@example.org,Secret Person,2026-11-17"],
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_row_is_named_without_the_person_and_keeps_nobody_else_out(
    table: Callable[..., Export], what: str
) -> None:
    export = table(HEADER, AMY, *WRONG[what], "zoe,zoe@example.org,Zoë,2026-11-16")
    assert 3 in [row.line for row in export.wrong]
    assert "zoe" in [entry.id for entry in export.entries]
    told = " ".join(str(row.finding) for row in export.wrong) + repr(export)
    assert not [word for word in ("Secret", "amy@", "amy2", "Okafor") if word in told]


def test_a_couple_may_share_an_address_when_each_has_an_id(table: Callable[..., Export]) -> None:
    assert len(table(HEADER, AMY, AMY.replace("amy-1", "kim")).entries) == 2


def test_a_header_that_is_a_person_is_not_repeated(table: Callable[..., Export]) -> None:
    with pytest.raises(WrongInput, match="looks like a person") as refused:
        table(AMY)
    assert "amy" not in str(refused.value)


def test_wrong_rows_are_written_so_that_no_spreadsheet_runs_them_and_can_be_read_again(
    table: Callable[..., Export], read: Read, tmp_path: Path
) -> None:
    export = table(HEADER, '=cmd(),@x,+1,"\t=2"', "kim,kim,-Kim,2026-11-16")
    again = tmp_path / "wrong.csv"
    write_file(again, wrong_rows(export))
    text = again.read_text(encoding="utf-8-sig")
    assert text.splitlines()[0] == f"reason,{HEADER}"
    assert "write it as name@host,kim,kim,'-Kim,2026-11-16" in text
    assert not [cell for line in text.splitlines() for cell in line.split(",") if cell[0] in "=+-@"]
    assert again.stat().st_mode & 0o077 == 0
    again.write_text(text.replace("kim,kim,", "kim,kim@example.org,"), encoding="utf-8")
    assert people(read(again)) == [("kim", "kim@example.org", "-Kim", "2026-11-16")]
    assert header_signature([read_table(Sheet(again))]) == export.signature


def test_a_source_without_a_flag_for_first_visits_moves_no_first_appointment(read: Read) -> None:
    told = {
        system: read(*SYSTEMS[system][0], choices=SYSTEMS[system][1]).says for system in SYSTEMS
    }
    assert {system for system in told if "first_appointment" in told[system]} == {
        "Jane",
        "your mapping",
    }
    assert {system for system in told if "consent" in told[system]} == {"your mapping"}


GOOD = f'{HEADER}\n{AMY}\nzoe,zoe@example.org,"Zoë, M",03 Nov 2026\n'.encode()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@example(b"PK\x03\x04\x14\x00")
@example(b'id,email\n"never closed')
@example(GOOD.replace(b"Amy", b"A" * 200_000))
@example(GOOD.replace(b"Amy", b'"A"my'))
@example(b"\xff\xfe\x00\xd8")
@example(b"sep=;\n")
@given(
    st.one_of(
        st.binary(max_size=300),
        st.builds(
            lambda at, cut, put: GOOD[:at] + put + GOOD[at + cut :],
            st.integers(0, len(GOOD)),
            st.integers(0, 20),
            st.one_of(st.binary(max_size=8), st.sampled_from([b'"', b"\n", b",", b"\x00", b'="'])),
        ),
    )
)
def test_any_bytes_are_people_or_a_clean_refusal(
    table: Callable[..., Export], written: bytes
) -> None:
    try:
        export = table(written)
    except WrongInput as error:
        told = error.findings
    else:
        told = tuple(row.finding for row in export.wrong)
        assert len(export.entries) == len(export.lines)
    assert all(finding.words and finding.cure for finding in told)


def test_what_staff_changed_is_set_aside_from_an_export_and_the_others_are_enrolled(
    clinic: Clinic,
) -> None:
    now = ("--now", "2026-11-23T15:00Z")
    file = f"{HEADER},consent\n{AMY},2026-11-16\n"
    clinic.write("people.csv", file)
    assert clinic.physiopost("enrol", "people.csv", *now).code == 0
    moved = clinic.physiopost("move", "amy-1", "--appointment", "2026-11-20", "--yes", *now)
    assert moved.code == 0
    kim = "kim,kim@example.org,Kim Sample,2026-11-17,2026-11-17\n"
    clinic.write("people.csv", file.replace("Okafor,2026-11-16", "Okafor,2026-11-18") + kim)
    said = clinic.physiopost("enrol", "people.csv", *now)
    assert said.code == 1
    assert "people.csv:2: first_appointment was changed to 2026-11-20" in said.err
    assert "1 new, 0 changed" in said.out
    assert "kim" in clinic.physiopost("roster", *now).out


def test_a_column_that_is_named_as_nothing_is_forgotten(clinic: Clinic) -> None:
    now = ("--now", "2026-11-23T15:00Z")
    clinic.write("people.csv", f"{HEADER},Agreed\n{AMY},2026-11-16\n")
    named = clinic.physiopost("enrol", "people.csv", "--column", "consent=Agreed", *now)
    assert named.code == 0
    assert clinic.physiopost("enrol", "people.csv", *now).code == 0
    said = clinic.physiopost("enrol", "people.csv", "--column", "consent=", *now)
    assert said.code == 2
    assert "does not say who agreed" in said.err
