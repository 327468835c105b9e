"""What an edit of the course does to those inside it (P12): no lesson is lost and none goes twice.

Everybody here was enrolled on Mon 23 Nov 2026; after two rounds some have had the welcome and the
letter what-it-is, and wait for what-you-may-feel.
"""

import json
import re
from pathlib import Path

import pytest
from conftest import Clinic

WEDNESDAY = ("--now", "2026-12-02T12:00Z")
COURSE = Path("course/course.yaml")
ORDER = [
    *("welcome", "what-it-is", "what-you-may-feel", "rest-or-move", "movement", "scans"),
    *("your-assessment", "flare-ups", "what-next"),
]


@pytest.fixture
def inside(clinic: Clinic) -> Clinic:
    """Amy has had two letters, Chloé, who began a week later, one."""
    for now in ("2026-11-23T15:00Z", "2026-11-24T09:30Z", "2026-12-01T09:30Z"):
        command = "enrol" if now.startswith("2026-11-23") else "send"
        assert clinic.physiopost(command, "--now", now).code == 0
    return clinic


def lessons(clinic: Clinic, *order: str) -> None:
    """Put the lessons in an order, by slug."""
    folder = clinic.folder / "course" / "lessons"
    files = {slug_of(path): path.name for path in folder.glob("*.md")}
    text = (clinic.folder / COURSE).read_text()
    head = text[: text.index("lessons:")]
    names = "".join(f"  - {files[slug]}\n" for slug in order)
    clinic.write(str(COURSE), f"{head}lessons:\n{names}")


def slug_of(path: Path) -> str:
    return next(line for line in path.read_text().splitlines() if "slug:" in line).split()[1]


def lesson(clinic: Clinic, slug: str) -> Path:
    folder = clinic.folder / "course" / "lessons"
    return next(path for path in folder.glob("*.md") if slug_of(path) == slug)


def write_lesson(clinic: Clinic, slug: str, was: str = "", like: str = "scans") -> None:
    """A lesson that is new: the words of another under a slug of its own."""
    text = lesson(clinic, like).read_text()
    front = f"slug: {slug}\n" + (f"was: {was}\n" if was else "")
    clinic.write(f"course/lessons/{slug}.md", text.replace(f"slug: {like}\n", front))


def teach_elsewhere(clinic: Clinic, slug: str, other: str) -> None:
    """Let another lesson take over what one teaches, as check asks for."""
    claims = re.search(r"claims: \[(.*)\]", lesson(clinic, slug).read_text())
    assert claims
    path = lesson(clinic, other)
    path.write_text(path.read_text().replace("claims: [", f"claims: [{claims[1]}, "))


def coming(clinic: Clinic, who: str) -> list[str]:
    """The lessons still to come for somebody, in their order."""
    said = clinic.physiopost("plan", who, "--json", *WEDNESDAY)
    letters = json.loads(said.out)[0]["letters"]
    return [letter["lesson"] for letter in letters if letter["state"] == "planned"]


def use(clinic: Clinic) -> None:
    """Let the service use the course as it is on disk."""
    said = clinic.physiopost("send", *WEDNESDAY)
    assert said.code == 0, said.err


def effects(clinic: Clinic) -> dict[str, tuple[str, int, int, int]]:
    """What impact says: lesson → edit, before, waiting, past."""
    said = clinic.physiopost("impact", "--json", *WEDNESDAY)
    assert said.code == 0, said.err
    return {
        each["lesson"]: (each["edit"], each["before"], each["waiting"], each["past"])
        for each in json.loads(said.out)["effects"]
    }


def test_a_lesson_put_in_goes_to_those_before_it_and_not_to_those_past_it(inside: Clinic) -> None:
    write_lesson(inside, "extra")
    lessons(inside, "welcome", "extra", *ORDER[1:])
    assert effects(inside)["extra"][0] == "put in"
    use(inside)
    assert coming(inside, "amy") == ORDER[2:]
    assert coming(inside, "chloe") == ["extra", *ORDER[1:]]


def test_a_lesson_taken_out_closes_the_gap(inside: Clinic) -> None:
    teach_elsewhere(inside, "what-you-may-feel", "movement")
    lessons(inside, *[slug for slug in ORDER if slug != "what-you-may-feel"])
    edit, before, waiting, _ = effects(inside)["what-you-may-feel"]
    assert (edit, before > 0, waiting > 0) == ("taken out", True, True)
    use(inside)
    assert coming(inside, "amy") == ORDER[3:]


def test_a_lesson_that_people_have_just_had_can_move_to_the_end(inside: Clinic) -> None:
    moved = [slug for slug in ORDER if slug != "what-it-is"]
    lessons(inside, *moved, "what-it-is")
    assert effects(inside)["what-it-is"][0] == "moved"
    use(inside)
    assert coming(inside, "amy") == ORDER[2:]
    assert coming(inside, "chloe") == [*moved[1:], "what-it-is"]


def test_a_lesson_that_moves_to_the_front_still_goes_to_those_who_have_not_had_it(
    inside: Clinic,
) -> None:
    others = [slug for slug in ORDER if slug != "scans"]
    lessons(inside, "scans", *others)
    use(inside)
    assert coming(inside, "amy") == ["scans", *others[2:]]


def test_moving_a_lesson_back_again_changes_nothing_for_anybody(inside: Clinic) -> None:
    lessons(inside, *[slug for slug in ORDER if slug != "what-it-is"], "what-it-is")
    use(inside)
    lessons(inside, *ORDER)
    use(inside)
    assert coming(inside, "amy") == ORDER[2:]
    assert coming(inside, "chloe") == ORDER[1:]


def test_a_new_slug_beside_a_vanished_one_is_refused_until_it_says_what_it_was(
    inside: Clinic,
) -> None:
    write_lesson(inside, "pictures")
    lessons(inside, *[slug.replace("scans", "pictures") for slug in ORDER])
    for command in ("send", "impact"):
        said = inside.physiopost(command, *WEDNESDAY)
        assert said.code == 2
        assert 'slug "pictures" is new while "scans" has gone' in said.err
        assert "add was: scans if it is that lesson under a new name, else was: none" in said.err


def test_a_renamed_lesson_is_the_same_lesson_to_those_who_had_it_or_skip_it(
    inside: Clinic,
) -> None:
    inside.physiopost("skip", "ben", "what-it-is", *WEDNESDAY, "--yes")
    inside.physiopost("skip", "chloe", "what-it-is", *WEDNESDAY, "--yes")
    write_lesson(inside, "the-nerve", was="what-it-is", like="what-it-is")
    lessons(inside, *[slug.replace("what-it-is", "the-nerve") for slug in ORDER])
    assert effects(inside)["the-nerve"][0] == "renamed, was what-it-is"
    use(inside)
    assert coming(inside, "amy") == ORDER[2:]
    assert coming(inside, "chloe") == ORDER[2:]
    assert "the-nerve" in inside.physiopost("roster", "export").out


def test_a_lesson_that_says_it_is_new_takes_the_place_of_another(inside: Clinic) -> None:
    write_lesson(inside, "pictures", was="none")
    lessons(inside, *[slug.replace("scans", "pictures") for slug in ORDER])
    use(inside)
    assert coming(inside, "amy") == [slug.replace("scans", "pictures") for slug in ORDER[2:]]


def test_another_pace_moves_dates_and_impact_counts_them(inside: Clinic) -> None:
    text = (inside.folder / COURSE).read_text()
    inside.write(str(COURSE), text.replace("pace: 7", "pace: 14"))
    said = json.loads(inside.physiopost("impact", "--json", *WEDNESDAY).out)
    assert said["effects"] == []
    assert said["moved"] == said["people"] - 1  # Grace has a pace of her own
    use(inside)
    assert json.loads(inside.physiopost("impact", "--json", *WEDNESDAY).out)["moved"] == 0


def test_nothing_is_refused_while_nobody_is_inside(clinic: Clinic) -> None:
    clinic.write("subscribers.yaml", "[]\n")
    clinic.physiopost("send", *WEDNESDAY)
    write_lesson(clinic, "pictures")
    lessons(clinic, *[slug.replace("scans", "pictures") for slug in ORDER])
    assert clinic.physiopost("send", *WEDNESDAY).code == 0


def test_the_courses_own_pace_changes_from_the_last_letter_on(inside: Clinic) -> None:
    text = (inside.folder / COURSE).read_text()
    inside.write(str(COURSE), text.replace("pace: 7", "pace: 14"))
    use(inside)
    said = inside.physiopost("plan", "amy", "--json", *WEDNESDAY)
    dates = [each["local"][:10] for each in json.loads(said.out)[0]["letters"]]
    assert dates[1:4] == ["2026-12-01", "2026-12-15", "2026-12-29"]
