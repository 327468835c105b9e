"""staff: inviting people to the pages from the command line."""

import json
import re

from conftest import Clinic

TOM = ("Tom.Ellis@example.org", "--name", "Tom Ellis", "--role", "physiotherapist")


def test_nobody_has_an_account_to_begin_with(clinic: Clinic) -> None:
    assert json.loads(clinic.physiopost("staff", "list", "--json").out) == []


def test_an_invitation_is_a_link_and_says_when_it_ends(clinic: Clinic) -> None:
    said = clinic.physiopost("staff", "invite", *TOM, "--now", "2026-11-24T09:30Z")
    assert said.code == 0
    assert re.search(r"^http://127\.0\.0\.1:8000/welcome/[\w-]{32}$", said.out, re.MULTILINE)
    assert "good once, until Fri 27 Nov 2026 09:30 GMT" in said.out
    listed = json.loads(clinic.physiopost("staff", "list", "--json").out)
    assert listed == [
        {
            "email": "tom.ellis@example.org",
            "name": "Tom Ellis",
            "role": "physiotherapist",
            "joined": False,
        }
    ]
    assert "invited" in clinic.physiopost("staff", "list").out


def test_who_is_invited_anew_gets_a_new_link_and_the_role_that_was_named(clinic: Clinic) -> None:
    first = clinic.physiopost("staff", "invite", *TOM).out.split()[0]
    again = clinic.physiopost("staff", "invite", *TOM[:-1], "admin").out.split()[0]
    assert first != again
    (listed,) = json.loads(clinic.physiopost("staff", "list", "--json").out)
    assert listed["role"] == "admin"


def test_somebody_can_be_let_in_no_more(clinic: Clinic) -> None:
    clinic.physiopost("staff", "invite", *TOM)
    assert clinic.physiopost("staff", "end", "tom.ellis@example.org").code == 0
    assert json.loads(clinic.physiopost("staff", "list", "--json").out) == []


def test_a_slip_is_answered_with_the_cure(clinic: Clinic) -> None:
    clinic.physiopost("staff", "invite", *TOM)
    unknown = clinic.physiopost("staff", "end", "tom.elis@example.org")
    assert (unknown.code, "did you mean tom.ellis@example.org?" in unknown.err) == (2, True)
    for words in (
        ("staff", "invite", "tom", *TOM[1:]),
        ("staff", "invite", *TOM[:-1], "owner"),
        ("staff", "invite", TOM[0], "--name", " ", "--role", "admin"),
    ):
        assert clinic.physiopost(*words).code == 2
