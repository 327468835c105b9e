"""A person's mistake gets a line with the place and the cure, exit code 2, and changes nothing."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import SIGN, Clinic
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scheduler.cli import main
from scheduler.findings import WrongInput
from scheduler.material import Material
from scheduler.material.clinic import read_clinic
from scheduler.material.countries import read_countries
from scheduler.material.evidence import Claim, Reference, read_register
from scheduler.material.lessons import read_course
from scheduler.roster.entries import Roster, read_roster

NOW = "2026-11-24T10:00Z"
ENROL = ("enrol", "--now", NOW)
CHECK = ("check",)
SEND = ("send", "--now", NOW)

ROSTER = "subscribers.yaml"
LESSON = "course/lessons/05-scans.md"
MJML = "templates/letters/letter.mjml.j2"
TEXT = "templates/letters/letter.txt.j2"

BEA = """\
- id: bea
  email: bea@example.org
  name: Bea Example
  first_appointment: 2026-11-16
  consent: 2026-11-16
"""

Edit = Callable[[Clinic], int | None]
"""Make a mistake; the line of the file that it stands on, where that is of interest."""


def put(name: str, content: str | bytes) -> Edit:
    """A file in place of the one that ships."""

    def edit(clinic: Clinic) -> None:
        octets = content if isinstance(content, bytes) else content.encode()
        (clinic.folder / name).write_bytes(octets)

    return edit


def roster(content: str | bytes) -> Edit:
    return put(ROSTER, content)


def bea(old: str, new: str) -> Edit:
    """A roster of one, with one thing written otherwise."""
    assert old in BEA
    return roster(BEA.replace(old, new))


def bea_with(line: str) -> Edit:
    """A roster of one, with one line more: the file's sixth."""
    return roster(f"{BEA}  {line}\n")


def swap(name: str, old: str, new: str) -> Edit:
    """Edit a shipped file."""

    def edit(clinic: Clinic) -> int:
        text = (clinic.folder / name).read_text(encoding="utf-8")
        clinic.replace(name, old, new)
        return text[: text.index(old)].count("\n") + 1

    return edit


def lose(name: str) -> Edit:
    """Remove a file or a folder."""

    def edit(clinic: Clinic) -> None:
        path = clinic.folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()

    return edit


def nothing(_: Clinic) -> None:
    """The mistake is in the command."""


@dataclass(frozen=True)
class Wrong:
    """A mistake and what is said about it, a line each; ` … ` stands for any words.

    `{line}` is the line on which the edit was made.
    """

    edit: Edit
    says: Sequence[str]
    words: Sequence[str] = ENROL
    setting: tuple[str, str] = ("PHYSIOPOST_CHANNEL", "folder")


def laughs(levels: int) -> str:
    """A billion laughs, on a smaller scale: 9 to the power of `levels` words."""
    lines = ["- &a0 [" + ",".join(["lol"] * 9) + "]"]
    lines += [f"- &a{n} [" + ",".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, levels)]
    return "\n".join(lines)


ROSTER_FAULTS = {
    "broken YAML": Wrong(
        roster("- id: bea\n  email: [bea\n  name: Bea\n"),
        ["subscribers.yaml:3: not YAML: … check the indentation"],
    ),
    "a tab": Wrong(
        bea("  name", "\tname"), ["subscribers.yaml:3: not YAML: … check the indentation"]
    ),
    "a key twice": Wrong(
        bea_with("name: Bee"), ['subscribers.yaml:6: "name" stands twice; keep one of them']
    ),
    "two documents": Wrong(
        roster(f"{BEA}---\n{BEA}"), ["subscribers.yaml:6: not YAML: … another document"]
    ),
    "empty": Wrong(
        roster(""), ["subscribers.yaml:1: is not a list … begin each entry with a dash"]
    ),
    "only a comment": Wrong(roster("# nobody\n"), ["subscribers.yaml:1: is not a list of people"]),
    "a mapping": Wrong(
        roster("bea: {email: bea@example.org}\n"),
        ["subscribers.yaml:1: is not a list of people; begin each entry with a dash: - email: …"],
    ),
    "a word": Wrong(roster("Bea\n"), ["subscribers.yaml:1: is not a list of people"]),
    "an entry that is a word": Wrong(
        roster("- Bea\n"), ["subscribers.yaml:1: this is not what belongs here; check the"]
    ),
    "an entry that is nothing": Wrong(
        roster("-\n"), ["subscribers.yaml:1: this is not what belongs here; check the"]
    ),
    "not UTF-8": Wrong(
        roster("- name: Zoë\n".encode("latin-1")),
        ["subscribers.yaml: is not UTF-8 text; save it as UTF-8"],
    ),
    "UTF-16": Wrong(
        roster(BEA.encode("utf-16")), ["subscribers.yaml: is not UTF-8 text; save it as UTF-8"]
    ),
    "NUL bytes": Wrong(roster(b"\0" * 100), ["subscribers.yaml"]),
    "a NUL byte": Wrong(bea("Bea", "B\0a"), ["subscribers.yaml"]),
    "an alias of itself": Wrong(roster("&a [*a]"), ["subscribers.yaml:1: "]),
    "an alias": Wrong(roster(f"- &a\n{BEA[2:]}- *a\n"), ["subscribers.yaml:"]),
    "an alias of nothing": Wrong(roster("- *a\n"), ["subscribers.yaml:1: "]),
    "a billion laughs": Wrong(roster(laughs(6)), ["subscribers.yaml:"]),
    "nested too deeply": Wrong(roster("[" * 5000 + "]" * 5000), ["subscribers.yaml:"]),
    "lists in lists": Wrong(roster("- " * 5000), ["subscribers.yaml:"]),
    "a tag": Wrong(bea_with("pace: !!int ten"), ["subscribers.yaml:6: "]),
    "a tag with a long number": Wrong(
        bea_with("pace: !!int " + "9" * 5000), ["subscribers.yaml:6: "]
    ),
    "a Python tag": Wrong(
        roster("- !!python/object/apply:os.getcwd []\n"), ["subscribers.yaml:1: "]
    ),
    "a character that cannot be": Wrong(bea_with('note: "\\UFFFFFFFF"'), ["subscribers.yaml:6: "]),
    "half a character": Wrong(bea_with('timezone: "x\\ud800"'), ["subscribers.yaml:6: "]),
    "half a character in a field's name": Wrong(
        bea_with('"x\\ud800": 1'), ["subscribers.yaml:6: "]
    ),
    "a list as a key": Wrong(
        bea_with("? [a]\n  : b"), ["subscribers.yaml:6: a key must be a word"]
    ),
    "the same id twice": Wrong(
        roster(BEA + BEA.replace("bea@", "bob@")),
        ["subscribers.yaml:6: id is the same as in line 1; give each person an id of their own"],
    ),
    "the same address twice": Wrong(
        roster(f"{BEA}{BEA}".replace("- id: bea\n ", "-")),
        ["subscribers.yaml:5: email is the same as in line 1; give each person an id"],
    ),
    "the same address in capitals": Wrong(
        roster(f"{BEA}{BEA.replace('bea@', 'BEA@')}".replace("- id: bea\n ", "-")),
        ["subscribers.yaml:5: email is the same as in line 1; give each person an id"],
    ),
    "an unknown field": Wrong(
        bea_with("sendat: 18:15"),
        ['subscribers.yaml:6: "sendat" is not a field here; did you mean send_at?'],
    ),
    "a field nobody could mean": Wrong(
        bea_with("shoe size: 44"),
        ['subscribers.yaml:6: "shoe size" is not a field here; known are … hold, skip, note'],
    ),
    "missing consent": Wrong(
        bea("  consent: 2026-11-16\n", ""),
        ["subscribers.yaml:1: consent is missing; add the day on which the person agreed"],
    ),
    "consent in the future": Wrong(
        bea("consent: 2026", "consent: 2027"),
        ["subscribers.yaml:5: consent 2027-11-16 is in the future; write the day on which"],
    ),
    "a malformed address": Wrong(
        bea("bea@example.org", "bea@example,org"),
        ["subscribers.yaml:2: email cannot be used ( … ','); write it as name@host"],
    ),
    "an address with a header": Wrong(
        bea("bea@example.org", '"bea@example.org\\r\\nBcc: x@example.org"'),
        ["subscribers.yaml:2: email cannot be used ( … write it as name@host"],
    ),
    "no name": Wrong(
        bea("Bea Example", '""'), ["subscribers.yaml:3: name is empty; write something"]
    ),
    "a name that is a list": Wrong(
        bea("Bea Example", "[Bea]"), ["subscribers.yaml:3: name is not text; write it in quotes"]
    ),
    "a date that does not exist": Wrong(
        bea("first_appointment: 2026-11-16", "first_appointment: 2026-02-30"),
        ['subscribers.yaml:4: first_appointment "2026-02-30" is a date that does not exist; write'],
    ),
    "a date the other way round": Wrong(
        bea_with("start: 30.11.2026"),
        ['subscribers.yaml:6: start "30.11.2026" is not a date; write year-month-day'],
    ),
    "a date at the end of time": Wrong(
        bea("first_appointment: 2026-11-16", "first_appointment: 9999-12-01"),
        ["subscribers.yaml:4: first_appointment "],
    ),
    "a start at the end of time": Wrong(
        bea_with("start: 9999-12-31"), ["subscribers.yaml:6: start "]
    ),
    "a hold to the end of time": Wrong(
        bea_with("hold: [{from: 2026-11-17, until: 9999-12-31}]"), ["subscribers.yaml:6: hold"]
    ),
    "a start before the first appointment": Wrong(
        bea_with("start: 2026-11-15"),
        ["subscribers.yaml:6: start 2026-11-15 is before the first appointment; use 2026-11-16"],
    ),
    "a time that does not exist": Wrong(
        bea_with("send_at: 25:10"),
        ['subscribers.yaml:6: send_at "25:10" is not a time of day; write hours and minutes'],
    ),
    "10:30 as YAML 1.1 has it": Wrong(
        bea_with("send_at: 630"), ['subscribers.yaml:6: send_at "630" is not a time of day']
    ),
    "a time in other digits": Wrong(
        bea_with('send_at: "0٩:30"'), ["subscribers.yaml:6: send_at … is not a time of day"]
    ),
    "an unknown time zone": Wrong(
        bea_with("timezone: Europe/Lodnon"),
        ['subscribers.yaml:6: timezone "Europe/Lodnon" is not known; did you mean Europe/London?'],
    ),
    "a time zone that is a list": Wrong(
        bea_with("timezone: [Europe/London]"), ["subscribers.yaml:6: timezone "]
    ),
    "a time zone that is a mapping": Wrong(
        bea_with("timezone: {Europe: London}"), ["subscribers.yaml:6: timezone "]
    ),
    "a time zone that is a path": Wrong(
        bea_with("timezone: ../../etc/passwd"), ["subscribers.yaml:6: timezone … is not known"]
    ),
    "two lines in one word": Wrong(
        bea_with('timezone: "Eu\\nrope"'), ["subscribers.yaml:6: timezone … is not known"]
    ),
    "two lines in a field's name": Wrong(
        bea_with('"shoe\\nsize": 44'), ["subscribers.yaml:6: … is not a field here"]
    ),
    "pace 2": Wrong(bea_with("pace: 2"), ['subscribers.yaml:6: pace "2" … give days, 3 to 28']),
    "pace 29": Wrong(bea_with("pace: 29"), ['subscribers.yaml:6: pace "29" … give days, 3 to 28']),
    "pace yes": Wrong(bea_with("pace: true"), ["subscribers.yaml:6: pace … give days, 3 to 28"]),
    "pace 7.5": Wrong(bea_with("pace: 7.5"), ["subscribers.yaml:6: pace … give days, 3 to 28"]),
    "pace huge": Wrong(
        bea_with("pace: " + "9" * 18), ["subscribers.yaml:6: pace … give days, 3 to 28"]
    ),
    "pace beyond all numbers": Wrong(
        bea_with("pace: " + "9" * 5000), ["subscribers.yaml:6: pace … give days, 3 to 28"]
    ),
    "a hold that ends before it begins": Wrong(
        bea_with("hold: [{from: 2026-12-08, until: 2026-12-08}]"),
        ["subscribers.yaml:6: hold until 2026-12-08 does not come after its from; until is"],
    ),
    "a hold without from": Wrong(
        bea_with("hold: [{until: 2026-12-08}]"),
        ["subscribers.yaml:6: hold.from is missing; add the first day without letters"],
    ),
    "a hold under the program's own name": Wrong(
        bea_with("hold: [{from: 2026-12-08, first: 2026-12-08}]"),
        ['subscribers.yaml:6: "first" is not a field here; known are from, until, reason'],
    ),
    "a hold that is a word": Wrong(
        bea_with("hold: always"), ["subscribers.yaml:6: hold is not what belongs here; a list of"]
    ),
    "an unknown lesson": Wrong(
        bea_with("skip: [scan]"),
        ['subscribers.yaml:6: skip "scan" is not a lesson; did you mean scans?'],
    ),
    "skip without a list": Wrong(
        bea_with("skip: scans"),
        ["subscribers.yaml:6: skip is not what belongs here; a list of lessons, as in [scans]"],
    ),
    "an unknown status": Wrong(
        bea_with("status: sleeping"), ['subscribers.yaml:6: status "sleeping" … give active']
    ),
    "an id with a slash": Wrong(
        bea("id: bea", "id: ../bea"), ['subscribers.yaml:1: id "../bea" … give letters, digits']
    ),
    "a long note": Wrong(
        bea_with("note: " + "a" * 801), ["subscribers.yaml:6: note has 801 characters; keep it to"]
    ),
    "two faulty entries": Wrong(
        roster(
            BEA.replace("consent: 2026-11-16", "consent: soon")
            + BEA.replace("bea", "bob").replace("email: bob@", "email: bob")
        ),
        ['subscribers.yaml:5: consent "soon" … 2026', "subscribers.yaml:7: email … name@host"],
    ),
    "two faults in an entry": Wrong(
        bea_with("pace: 2\n  timezone: Europe/Lodnon"),
        ["subscribers.yaml:7: timezone ", "subscribers.yaml:6: pace "],
    ),
    "two faults that no field knows by itself": Wrong(
        roster(f"{BEA}  skip: [scan]\n{BEA.replace('bea', 'bob')}  start: 2026-11-15\n"),
        ["subscribers.yaml:6: skip ", "subscribers.yaml:12: start "],
    ),
    "no roster": Wrong(lose(ROSTER), ["subscribers.yaml: there is no such file; check the path"]),
    "another roster that is not there": Wrong(
        nothing, ["nobody.yaml: there is no such file; check the path"], (*ENROL, "nobody.yaml")
    ),
    "a folder as a roster": Wrong(
        nothing, ["course: is a directory; check the path"], (*ENROL, "course")
    ),
}

CLINIC_FAULTS = {
    "empty": Wrong(put("clinic.yaml", ""), ["clinic.yaml:1: "]),
    "missing": Wrong(lose("clinic.yaml"), ["clinic.yaml: there is no such file; check the path"]),
    "unknown country": Wrong(
        swap("clinic.yaml", "GB-ENG", "GB-ENK"),
        ['clinic.yaml:{line}: country "GB-ENK" is not known; did you mean GB-ENG?'],
    ),
    "country NO": Wrong(
        swap("clinic.yaml", "GB-ENG", "NO"),
        ['clinic.yaml:{line}: country "NO" is not known; known are AU, CA'],
    ),
    "country no": Wrong(
        swap("clinic.yaml", "GB-ENG", "no"),
        ['clinic.yaml:{line}: country "no" is not known; known are AU, CA'],
    ),
    "unknown time zone": Wrong(
        swap("clinic.yaml", "Europe/London", "London"),
        ['clinic.yaml:{line}: timezone "London" is not known; … Europe/London'],
    ),
    "a day in full": Wrong(
        swap("clinic.yaml", "Mon, Tue", "Mon, Tuesday"),
        ['clinic.yaml:{line}: open "Tuesday" cannot be used; give days, as in [Mon, Tue, Wed]'],
    ),
    "no days": Wrong(
        swap("clinic.yaml", "[Mon, Tue, Wed, Thu, Fri]", "[]"),
        ["clinic.yaml:{line}: open of this kind cannot be used; give days, as in [Mon, Tue"],
    ),
    "colour without quotes": Wrong(
        swap("clinic.yaml", '"#0b6e69"', "#0b6e69"),
        ["clinic.yaml:{line}: brand … give a colour, as in #0b6e69, in quotes"],
    ),
    "closure the wrong way round": Wrong(
        swap("clinic.yaml", "from: 2026-12-24", "from: 2026-12-27"),
        ["clinic.yaml:{line}: … swap from and to"],
    ),
    "closed for ever": Wrong(
        swap("clinic.yaml", "to: 2026-12-24", "to: 2066-12-24"),
        ["clinic.yaml: the clinic is closed for over a year; correct open: and closed:"],
    ),
    "unknown region": Wrong(
        swap("clinic.yaml", "country: GB-ENG", "country: GB-ENG\nsubdivision: YORKS"),
        ["clinic.yaml: … YORKS; use the region codes of ISO 3166-2"],
    ),
    "sender without an address": Wrong(
        swap("clinic.yaml", "  reply_to: reception@harbour-physio.example.org\n", ""),
        ["clinic.yaml:4: sender.reply_to is missing; add an address that reception reads"],
    ),
}

COURSE_FAULTS = {
    "no course folder": Wrong(
        lose("course"), ["course: there is no such course folder; set PHYSIOPOST_COURSE"]
    ),
    "empty course.yaml": Wrong(put("course/course.yaml", ""), ["course/course.yaml:1: "]),
    "empty lesson": Wrong(put(LESSON, ""), [f"{LESSON}:1: has no front matter; begin with ---"]),
    "empty claims": Wrong(
        put("course/claims.yaml", ""), ["course/claims.yaml:1: is not a list; begin each entry"]
    ),
    "empty references": Wrong(
        put("course/references.yaml", ""), ["course/references.yaml:1: is not a list; begin each"]
    ),
    "empty countries": Wrong(
        put("course/countries.yaml", ""), ["course/countries.yaml:1: is not a mapping; begin each"]
    ),
    "no block": Wrong(
        lose("course/blocks/emergency.md"),
        ["course/blocks/emergency.md: there is no such file; check the path"],
    ),
    "a lesson that is not there": Wrong(
        swap("course/course.yaml", "05-scans.md", "05-scan.md"),
        ['course/course.yaml:{line}: there is no lesson file "05-scan.md" … correct the name'],
    ),
    "a lesson with a very long name": Wrong(
        swap("course/course.yaml", "05-scans.md", "a" * 300), ["course/course.yaml:{line}: "]
    ),
    "a lesson from elsewhere": Wrong(
        swap("course/course.yaml", "05-scans.md", "../../clinic.yaml"),
        ["course/course.yaml:{line}: "],
    ),
    "the same slug twice": Wrong(
        swap(LESSON, "slug: scans", "slug: movement"),
        ['course/course.yaml:31: the slug "movement" of 05-scans.md is taken; give each lesson'],
    ),
    "a lesson without front matter": Wrong(
        put(LESSON, "Many people think they need a scan.\n"),
        [f"{LESSON}:1: has no front matter; begin with --- and the fields, then ---"],
    ),
    "front matter without an end": Wrong(
        swap(LESSON, "---\nMany", "Many"), [f"{LESSON}:1: has no front matter; begin with ---"]
    ),
    "an unknown field": Wrong(
        swap(LESSON, "preheader:", "preheder:"),
        [
            f"{LESSON}:2: preheader is missing; add 40 to 130 discreet characters",
            f'{LESSON}:{{line}}: "preheder" is not a field here; did you mean preheader?',
        ],
    ),
    "review_by a day that does not exist": Wrong(
        swap(LESSON, "review_by: 2027-11-30", "review_by: 2027-11-31"),
        [f'{LESSON}:{{line}}: review_by "2027-11-31" is a date that does not exist; write'],
    ),
    "review_by a word": Wrong(
        swap("course/blocks/same-day.md", "2027-11-30", "soon"),
        ['course/blocks/same-day.md:{line}: review_by "soon" is not a date; write year-month-day'],
    ),
    "a citation without a reference": Wrong(
        swap(LESSON, "[@ng59]", "[@ng95]"),
        [f"{LESSON}:{{line}}: [@ng95] cites a source that is not there; did you mean ng59?"],
    ),
    "a claim that is not there": Wrong(
        swap(LESSON, "claims: [C13,", "claims: [C13, C999,"),
        [f"{LESSON}:{{line}}: claims C999 is not there; "],
    ),
    "a claim taught nowhere": Wrong(
        swap(LESSON, "claims: [C13,", "claims: ["),
        ["course/claims.yaml:88: C13 is taught in no lesson; add it to the claims"],
    ),
    "a claim's source that is not there": Wrong(
        swap("course/claims.yaml", "sources: [ng59, koes2007]", "sources: [ng59, koes2070]"),
        ['course/claims.yaml: … sources "koes2070" is not there; did you mean koes2007?'],
    ),
    "a source without a year": Wrong(
        swap("course/references.yaml", "[[2007]]", "[[]]"), ["course/references.yaml:{line}: "]
    ),
    "a source without authors": Wrong(
        swap("course/references.yaml", "[{family: Dove}, {literal: others}]", "[]"),
        ["course/references.yaml:{line}: author … give a list of names"],
    ),
    "a country without a hospital": Wrong(
        swap("course/countries.yaml", "  hospital: A&E\n", ""),
        ["course/countries.yaml:13: hospital is missing; add what its emergency department"],
    ),
    "pace": Wrong(
        swap("course/course.yaml", "pace: 7", "pace: 2"),
        ['course/course.yaml:{line}: pace "2" … give days between letters, 3 to 28'],
    ),
}

LETTER_FAULTS = {
    "a lesson's body uses an unknown merge field": Wrong(
        swap(LESSON, "So a bulge", "So {{ first_nam }} a bulge"),
        [f'{LESSON}:{{line}}: the merge field "first_nam" is not known; did you mean first_name?'],
    ),
    "a lesson's body uses an unknown part of a field": Wrong(
        swap(LESSON, "So a bulge", "So {{ clinic.fone }} a bulge"),
        [f'{LESSON}:{{line}}: the merge field "fone" is not known; did you mean phone?'],
    ),
    "a lesson's subject uses an unknown merge field": Wrong(
        swap(LESSON, "week {{ week }}", "week {{ weak }}"),
        [f'{LESSON}:{{line}}: the merge field "weak" is not known; did you mean week?'],
    ),
    "a block uses an unknown merge field": Wrong(
        swap("course/blocks/same-day.md", "country.urgent_doctor", "country.urgent_docto"),
        ['course/blocks/same-day.md:{line}: the merge field "urgent_docto" is not known; did you'],
    ),
    "a lesson with a syntax error": Wrong(
        swap(LESSON, "So a bulge", "So {{ first_name a bulge"),
        [f"{LESSON}:{{line}}: template: … check the braces"],
    ),
    "a lesson with an unknown filter": Wrong(
        swap(LESSON, "So a bulge", "So {{ week | loudly }} a bulge"),
        [f"{LESSON}:{{line}}: template: … loudly"],
    ),
    "a lesson that leaves the sandbox": Wrong(
        swap(LESSON, "So a bulge", "So {{ ''.__class__.__mro__ }} a bulge"),
        [f"{LESSON}:{{line}}: template: … unsafe"],
    ),
    "a lesson that divides by nothing": Wrong(
        swap(LESSON, "So a bulge", "So {{ 1 / 0 }} a bulge"), [f"{LESSON}:{{line}}: "]
    ),
    "a lesson that adds a word to a number": Wrong(
        swap(LESSON, "So a bulge", "So {{ week + 'a' }} a bulge"), [f"{LESSON}:{{line}}: "]
    ),
    "a lesson that calls a number": Wrong(
        swap(LESSON, "So a bulge", "So {{ week() }} a bulge"), [f"{LESSON}:{{line}}: "]
    ),
    "a lesson that counts for ever": Wrong(
        swap(LESSON, "So a bulge", "So {{ range(10 ** 9) | list }} a bulge"),
        [f"{LESSON}:{{line}}: "],
    ),
    "a lesson that includes a file": Wrong(
        swap(LESSON, "So a bulge", "So {% include 'letter.txt.j2' %} a bulge"),
        [f"{LESSON}:{{line}}: "],
    ),
    "a lesson that uses our own word": Wrong(
        swap(LESSON, "So a bulge", "So zqfieldnoteqz a bulge"),
        [f"{LESSON}:{{line}}: … zqfield"],
    ),
    "the MJML template uses an unknown name": Wrong(
        swap(MJML, "{{ next_letter }}", "{{ next_leter }}"),
        [f'{MJML}:{{line}}: the merge field "next_leter" is not known; did you mean next_letter?'],
    ),
    "the text template uses an unknown name": Wrong(
        swap(TEXT, "{{ clinic.phone }}", "{{ clinic.fone }}"),
        [f'{TEXT}:{{line}}: the merge field "fone" is not known; did you mean phone?'],
    ),
    "a template with a syntax error": Wrong(
        swap(TEXT, "{{ note }}", "{{ note"), [f"{TEXT}:20: template: … check the braces"]
    ),
    "a template that divides by nothing": Wrong(
        swap(MJML, "{{ next_letter }}", "{{ 1 / 0 }}"), [f"{MJML}:{{line}}: "]
    ),
    "a template that is not there": Wrong(lose(TEXT), [f"{TEXT}: "]),
    "a template that is not UTF-8": Wrong(
        put(TEXT, b"\xff\xfe{"), [f"{TEXT}: is not UTF-8 text; save it as UTF-8"]
    ),
    "no templates folder": Wrong(
        lose("templates"), ["templates: there is no such templates folder; set PHYSIOPOST_TEMPL"]
    ),
    "MJML without its head": Wrong(
        swap(MJML, "<mj-head>", ""), [f"{MJML}: MJML does not compile: … check its tags"]
    ),
    "an MJML tag that does not exist": Wrong(
        swap(MJML, '<mj-text css-class="ink">', '<mj-txt css-class="ink">'), [f"{MJML}: … mj-txt"]
    ),
    "an empty MJML template": Wrong(put(MJML, ""), [f"{MJML}: "]),
    "a merge field in a width": Wrong(
        swap(MJML, 'width="62%"', 'width="{{ first_name }}"'),
        [f'{MJML}: the merge field "first_name" is lost … put it into text or a link'],
    ),
}

SETTING_FAULTS = {
    "unknown channel": Wrong(
        nothing,
        ['PHYSIOPOST_CHANNEL: "pigeon" cannot be used; set folder, smtp or sendgrid'],
        SEND,
        ("PHYSIOPOST_CHANNEL", "pigeon"),
    ),
    "SMTP without a server": Wrong(
        nothing,
        ["PHYSIOPOST_SMTP: is not set; set smtp://user:password@host:587"],
        SEND,
        ("PHYSIOPOST_CHANNEL", "smtp"),
    ),
    "outbox below a plain file": Wrong(
        nothing,
        ["clinic.yaml/outbox: the outbox cannot be written to ( … set PHYSIOPOST_OUTBOX"],
        SEND,
        ("PHYSIOPOST_OUTBOX", "clinic.yaml/outbox"),
    ),
    "outbox a plain file": Wrong(
        nothing,
        ["clinic.yaml: the outbox cannot be written to ( … set PHYSIOPOST_OUTBOX to a folder"],
        SEND,
        ("PHYSIOPOST_OUTBOX", "clinic.yaml"),
    ),
    "no templates when sending": Wrong(
        lose("templates"), ["templates: there is no such templates folder; set PHYSIOPOST_"], SEND
    ),
    "a faulty lesson when sending": Wrong(
        swap(LESSON, "So a bulge", "So {{ bulge }}"), [f"{LESSON}:{{line}}: the merge field"], SEND
    ),
    "a gallery with a fault": Wrong(
        swap("templates/pages/gallery.html.j2", "{{ number }}", "{{ nmber }}"),
        ["templates/pages/gallery.html.j2"],
        SEND,
    ),
    "unknown ID in plan": Wrong(
        nothing, ['ID: nobody has the id "amyy"; did you mean amy?'], ("plan", "amyy", "--now", NOW)
    ),
    "unknown lesson in render": Wrong(
        nothing,
        ['--lesson: "scan" is not a lesson; did you mean scans?'],
        ("render", "--to", "out", "--lesson", "scan"),
    ),
    "render into a file": Wrong(
        nothing, ["clinic.yaml: … name another folder"], ("render", "--to", "clinic.yaml")
    ),
    "simulate into a folder that holds something": Wrong(
        nothing,
        ["course: holds something that is not a simulation; name a new or empty folder"],
        ("simulate", "--to", "course"),
    ),
}


@pytest.fixture(scope="module")
def service(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """var/ of a clinic that has enrolled its people and sent letters."""
    folder = tmp_path_factory.mktemp("service")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("clinic", "subscribers"):
            patch.setenv(f"PHYSIOPOST_{name.upper()}", str(root / f"{name}.yaml"))
        for words in (["enrol"], ["send"]):
            patch.setattr("sys.argv", ["physiopost", *words, "--now", "2026-11-23T10:00Z"])
            with pytest.raises(SystemExit) as exited:
                main()
            assert exited.value.code == 0
    return folder / "var"


@pytest.fixture
def serving(clinic: Clinic, service: Path) -> Clinic:
    """The example clinic, at work: rows in its database, letters in its outbox."""
    shutil.copytree(service, clinic.folder / "var")
    return clinic


def kept(clinic: Clinic) -> dict[str, Any]:
    """Everything that a mistake must not change."""
    found: dict[str, Any] = {}
    with sqlite3.connect(clinic.folder / "var" / "physiopost.db") as db:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            found[table] = db.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - our own
    db.close()
    for path in (clinic.folder / "var" / "outbox").rglob("*.*"):
        found[str(path)] = path.read_bytes()
    return found


def has(line: str, promised: str) -> bool:
    """Whether a line begins as promised and holds the other words in order."""
    begins, *others = promised.split(" … ")
    at = len(begins)
    for words in others:
        at = line.find(words.rstrip("…"), at)
        if at < 0:
            return False
    return line.startswith(begins.rstrip("…"))


@pytest.mark.parametrize("case", ROSTER_FAULTS.values(), ids=ROSTER_FAULTS)
def test_a_faulty_roster_is_refused_in_a_line(serving: Clinic, case: Wrong) -> None:
    refused(serving, case, case.words)


@pytest.mark.parametrize("case", CLINIC_FAULTS.values(), ids=CLINIC_FAULTS)
def test_a_faulty_clinic_is_refused_in_a_line(serving: Clinic, case: Wrong) -> None:
    refused(serving, case, case.words)


@pytest.mark.parametrize("case", COURSE_FAULTS.values(), ids=COURSE_FAULTS)
def test_a_faulty_course_is_refused_in_a_line(serving: Clinic, case: Wrong) -> None:
    refused(serving, case, CHECK)


@pytest.mark.parametrize("case", LETTER_FAULTS.values(), ids=LETTER_FAULTS)
def test_a_faulty_lesson_or_template_is_refused_in_a_line(serving: Clinic, case: Wrong) -> None:
    refused(serving, case, CHECK)


@pytest.mark.parametrize("case", SETTING_FAULTS.values(), ids=SETTING_FAULTS)
def test_a_faulty_setting_or_word_is_refused_in_a_line(
    serving: Clinic, monkeypatch: pytest.MonkeyPatch, case: Wrong
) -> None:
    monkeypatch.setenv(*case.setting)
    refused(serving, case, case.words)


def refused(clinic: Clinic, case: Wrong, words: Sequence[str]) -> None:
    line = case.edit(clinic)
    before = kept(clinic)
    said = clinic.physiopost(*words)
    assert said.code == 2, said.err
    assert not said.out or words[0] == "simulate"  # which has begun to draw its bar
    lines = said.err.splitlines()
    assert len(lines) == len(case.says), said.err
    for told, promised in zip(lines, case.says, strict=True):
        assert has(told, promised.replace("{line}", str(line))), told
        assert told.isprintable(), told
        assert len(told) <= 500, told
    assert kept(clinic) == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["enrl"], "'enrl'"),
        (["enrol", "--nwo", NOW], "'--nwo'"),
        (["enrol", "a.yaml", "b.yaml"], "name one roster file"),
        (["render"], "'--to'"),
        (["send", "--now", "2026-11-24T09:30"], '"2026-11-24T09:30" is not an instant; write one'),
        (["send", "--now", "2026-11-24"], '"2026-11-24" is not an instant; write one'),
        (["send", "--now", "soon"], '"soon" is not an instant; write one'),
        (["send", "--now", ""], '"" is not an instant; write one'),
        (["send", "--now", "9999-12-31T23:59-14:00"], "--now"),
        (["send", "--now", "0001-01-01T00:00+14:00"], "--now"),
        (["roster", "--now", "9999-12-31T23:59Z"], "--now"),
        (["roster", "--now", "0001-01-01T00:00Z"], "--now"),
        (["simulate", "--from", "2026-02-30"], '"2026-02-30" is a date that does not exist'),
        (["simulate", "--from", "9999-12-30"], "--from"),
        (["simulate", "--weeks", "0"], "--weeks"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_a_command_that_cannot_be_is_refused(serving: Clinic, words: list[str], says: str) -> None:
    before = kept(serving)
    said = serving.physiopost(*words)
    assert said.code == 2, said.err
    assert says in said.err.splitlines()[-1]
    assert "Traceback" not in said.err
    assert kept(serving) == before


@pytest.mark.parametrize("piece", ["[", "- ", "{a: "])
def test_a_bottomless_file_does_not_bring_the_program_down(
    clinic: Clinic, root: Path, piece: str
) -> None:
    """In a process of its own: a parser in C may take the whole process with it."""
    clinic.write(ROSTER, piece * 200_000)
    environ = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "scheduler", *ENROL]
    done = subprocess.run(
        command, cwd=clinic.folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("subscribers.yaml")
    assert len(done.stderr.splitlines()) == 1


def test_no_command_shows_what_there_is(clinic: Clinic) -> None:
    said = clinic.physiopost()
    assert said.code == 2
    assert "enrol" in said.err


@pytest.mark.parametrize(
    ("url", "code", "says"),
    [
        ("mysql://u:secret@host/x", 2, "PHYSIOPOST_DATABASE: "),
        ("postgresql+psycopg://u:secret@localhost:port/x", 2, "PHYSIOPOST_DATABASE: "),
        ("sqlite:///course", 1, "the database "),
        ("sqlite:///clinic.yaml/x.db", 1, "the database"),
        ("sqlite:///clinic.yaml", 1, "the database "),
    ],
)
def test_a_database_that_cannot_be_opened_is_told_in_a_line(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, url: str, code: int, says: str
) -> None:
    monkeypatch.setenv("PHYSIOPOST_DATABASE", url)
    said = clinic.physiopost(*ENROL)
    assert (said.code, said.out) == (code, "")
    assert said.err.startswith(says)
    assert len(said.err.splitlines()) == 1
    assert "secret" not in said.err


def test_a_course_of_one_letter_is_a_course(clinic: Clinic) -> None:
    course = clinic.folder / "course" / "course.yaml"
    course.write_text("title: One\npurpose: One.\nlessons: [00-welcome.md]\n", encoding="utf-8")
    register = "- {{id: {0}, claim: a, verdict: ok, sources: [], found: a, wording: a}}\n"
    claims = "".join(map(register.format, ("C1", "C2", "C3", "C21", "C22", "C23")))
    clinic.write("course/claims.yaml", claims)
    clinic.write(ROSTER, BEA)
    said = clinic.physiopost("render", "--to", "out")
    assert (said.code, said.err) == (0, "")


def test_where_there_was_no_database_nobody_is_in_it(clinic: Clinic) -> None:
    clinic.write(ROSTER, f"{BEA}  pace: 2\n")
    assert clinic.physiopost(*ENROL).code == 2
    database = clinic.folder / "var" / "physiopost.db"
    assert not database.exists() or not any(kept(clinic)[t] for t in ("subscriber", "enrolment"))
    assert not clinic.letters()


def test_plain_scalars_are_what_people_mean(clinic: Clinic, material: Material) -> None:
    lines = ["send_at: 10:30", "name: NO", "physiotherapist: Yes", "note: 007", "pace: 10"]
    path = clinic.write(ROSTER, BEA.replace("name: Bea Example", "\n  ".join(lines)))
    entry = read_roster(path, material.course, date(2026, 11, 24)).entries[0]
    assert entry.send_at == time(10, 30)
    assert (entry.name, entry.physiotherapist, entry.note) == ("NO", "Yes", "007")
    assert entry.pace == 10


def test_one_address_with_and_without_an_id_is_refused_at_once_or_never(clinic: Clinic) -> None:
    """A file that was taken is taken again."""
    clinic.write(ROSTER, BEA + BEA.replace("- id: bea\n ", "-"))
    first = clinic.physiopost(*ENROL)
    assert clinic.physiopost(*ENROL).code == first.code


def test_a_mail_server_that_is_not_there_loses_nothing(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    clinic.physiopost("enrol", "--now", "2026-11-23T10:00Z")
    due = clinic.physiopost(*SEND, "--dry-run").out.count("due  ")
    assert due > 1
    assert clinic.physiopost(*SIGN).code == 0
    monkeypatch.setenv("PHYSIOPOST_CHANNEL", "smtp")
    monkeypatch.setenv("PHYSIOPOST_URL", "https://letters.example.org")
    monkeypatch.setenv("PHYSIOPOST_SECRET", "0123456789abcdef" * 2)
    monkeypatch.setenv("PHYSIOPOST_SMTP", f"smtp://clinic:secret@127.0.0.1:{port}")
    said = clinic.physiopost(*SEND)
    assert said.code == 1
    assert f"127.0.0.1:{port} cannot be reached" in said.out
    assert "Traceback" not in said.out + said.err
    assert "secret" not in said.out + said.err
    assert not clinic.letters()
    monkeypatch.setenv("PHYSIOPOST_CHANNEL", "folder")
    assert clinic.physiopost(*SEND).out.splitlines()[0] == f"{due} accepted"
    assert clinic.physiopost(*SEND).out == "nothing is due\n"
    assert len(clinic.letters()) == due


# Whatever stands in a file, the reader gives what it holds or says what is wrong.

YAMLISH = st.sampled_from("-:#&*!|>'\"%@`{}[],?~<=\\ \t\n\r\0\x07\x1b\x85\u2028\ufeff0123nNyYé😀")
MUTATION = st.tuples(
    st.sampled_from(("delete", "double", "swap", "insert")),
    st.floats(0, 1, exclude_max=True),
    st.integers(1, 40),
    st.text(YAMLISH, min_size=1, max_size=3),
)
FEW = settings(max_examples=120, deadline=None)


def mutated(text: str, changes: Sequence[tuple[str, float, int, str]]) -> str:
    for kind, where, length, inserted in changes:
        at = int(where * len(text))
        piece, rest = text[at : at + length], text[at + length :]
        new = {
            "delete": "",
            "double": piece * 2,
            "swap": rest[:length] + piece,
            "insert": inserted + piece,
        }[kind]
        text = text[:at] + new + (rest[length:] if kind == "swap" else rest)
    return text


def reads(read: Callable[[], object]) -> object:
    """What is read, or None after a refusal that is fit to print."""
    try:
        return read()
    except WrongInput as error:
        findings = error.findings
    assert findings
    for finding in findings:
        assert finding.words
        assert str(finding).isprintable(), repr(str(finding))
    return None


@pytest.fixture(scope="module")
def scratch(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the material to spoil."""
    folder = tmp_path_factory.mktemp("scratch")
    shutil.copytree(root / "course", folder / "course")
    return folder


class Reader:
    """Reads octets as subscribers.yaml. Hypothesis shows it, so it is short."""

    def __init__(self, path: Path, material: Material) -> None:
        self.path, self.course = path, material.course

    def __call__(self, content: bytes) -> None:
        self.path.write_bytes(content)
        found = reads(partial(read_roster, self.path, self.course, date(2026, 11, 24)))
        assert found is None or isinstance(found, Roster)


@pytest.fixture(scope="module")
def read_as_roster(scratch: Path, material: Material) -> Reader:
    return Reader(scratch / ROSTER, material)


@FEW
@given(content=st.binary(max_size=200) | st.text(max_size=200) | st.text(YAMLISH, max_size=60))
@example(content="&a [*a]")
@example(content="? ? ? a")
@example(content="- !!int x")
@example(content='- "\\UFFFFFFFF"')
@example(content="[" * 4000)
@example(content=BEA + "  timezone: []")
@example(content=BEA + '  hold: [{from: 2026-12-01, reason: "\\e[31m\\n"}]')
@example(content=BEA + '  id: "a\\n"')
def test_any_content_is_a_roster_or_wrong_input(
    read_as_roster: Reader, content: str | bytes
) -> None:
    read_as_roster(content if isinstance(content, bytes) else content.encode())


@settings(FEW, max_examples=80)
@given(changes=st.lists(MUTATION, min_size=1, max_size=6))
def test_a_spoilt_roster_is_a_roster_or_wrong_input(
    read_as_roster: Reader, root: Path, changes: list[tuple[str, float, int, str]]
) -> None:
    read_as_roster(mutated((root / ROSTER).read_text(encoding="utf-8"), changes).encode())


@FEW
@given(changes=st.lists(MUTATION, min_size=1, max_size=6))
def test_a_spoilt_clinic_is_a_clinic_or_wrong_input(
    scratch: Path, root: Path, changes: list[tuple[str, float, int, str]]
) -> None:
    path = scratch / "clinic.yaml"
    shipped = (root / "clinic.yaml").read_text(encoding="utf-8")
    path.write_bytes(mutated(shipped, changes).encode())
    reads(partial(read_clinic, path))


@settings(FEW, max_examples=60)
@given(changes=st.lists(MUTATION, min_size=1, max_size=4))
@pytest.mark.parametrize(
    "name",
    ["course.yaml", "lessons/05-scans.md", "blocks/emergency.md"],
)
def test_a_spoilt_course_is_a_course_or_wrong_input(
    scratch: Path, root: Path, name: str, changes: list[tuple[str, float, int, str]]
) -> None:
    shipped = (root / "course" / name).read_text(encoding="utf-8")
    front, mark, body = shipped.partition("review_by")  # the fields, where most can go wrong
    path = scratch / "course" / name
    path.write_bytes((mutated(front, changes) + mark + body).encode())
    try:
        reads(partial(read_course, scratch / "course"))
    finally:
        path.write_text(shipped, encoding="utf-8")


@settings(FEW, max_examples=60)
@given(changes=st.lists(MUTATION, min_size=1, max_size=4))
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("claims.yaml", lambda folder: read_register(folder / "claims.yaml", Claim)),
        ("references.yaml", lambda folder: read_register(folder / "references.yaml", Reference)),
        ("countries.yaml", read_countries),
    ],
)
def test_a_spoilt_register_is_a_register_or_wrong_input(
    scratch: Path,
    root: Path,
    name: str,
    read: Callable[[Path], object],
    changes: list[tuple[str, float, int, str]],
) -> None:
    shipped = (root / "course" / name).read_text(encoding="utf-8")
    start = shipped[: shipped.index("\n\n", 1500)]  # a few records are enough, and quicker
    path = scratch / "course" / name
    path.write_bytes(mutated(start, changes).encode())
    try:
        reads(partial(read, scratch / "course"))
    finally:
        path.write_text(shipped, encoding="utf-8")
