"""The time machine: months of the whole service in seconds, and the same again."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from conftest import Clinic

from scheduler.delivery.channels import Outcome
from scheduler.ledger.planner import Planner
from scheduler.letters.editions import Edition
from scheduler.letters.fill import Envelope
from scheduler.letters.theme import TEXT, ratio
from scheduler.material import Material
from scheduler.settings import Settings
from scheduler.simulate import simulation
from scheduler.simulate.simulation import Simulated, almanac, simulate
from scheduler.simulate.tally import Tally
from scheduler.simulate.world import Trial

SVG = "{http://www.w3.org/2000/svg}"
RUN = ("simulate", "--scale", "25", "--weeks", "12", "--seed", "7")


@pytest.fixture(scope="module")
def done(root: Path, material: Material, tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    settings = Settings.from_environment({"PHYSIOPOST_CLINIC": str(root / "clinic.yaml")})
    folder = tmp_path_factory.mktemp("simulation")
    return simulate(settings, material, folder, Trial(weeks=12, scale=60, seed=3))


def test_invented_people_get_every_letter_that_was_promised_and_no_file_is_kept(
    clinic: Clinic,
) -> None:
    said = clinic.physiopost(*RUN)
    assert said.code == 0
    planned, sent = re.findall(r"([\d,]+) letters (?:planned|sent)", said.out)
    assert planned == sent
    assert int(sent) > 150
    assert "0 early, 0 twice, 0 within the minimum gap, 0 lost" in said.out
    assert not list(clinic.folder.rglob("*.eml"))
    it_says_how_many_went_a_day_when_most_went_and_why_some_moved(said.out)


def it_says_how_many_went_a_day_when_most_went_and_why_some_moved(out: str) -> None:
    assert re.search(r"week of +Mon +Tue +Wed +Thu +Fri +Sat +Sun +week", out)
    assert re.search(r"29 Mar 2027 +closed .* closed +closed +\d+", out)  # Easter Monday
    assert re.search(
        r"Busiest minute: \w{3} \d+ \w{3} 2027 \d\d:\d\d (GMT|BST) \(\d\d:\d\d UTC\)", out
    )
    assert re.search(r"\d+ +moved: public holiday \(Good Friday\)", out)
    assert re.search(r"\d+ +moved: overdue", out)
    assert re.search(r"Clocks were changed between two letters of \d+ people", out)


def test_the_same_seed_tells_the_same_and_another_does_not(clinic: Clinic) -> None:
    pictures, said = [], []
    for seed in ("7", "7", "8"):
        said.append(clinic.physiopost("simulate", "--scale", "6", "--seed", seed).out)
        pictures.append((clinic.folder / "var" / "simulation" / "almanac.svg").read_bytes())
    assert said[0] == said[1] != said[2]
    assert pictures[0] == pictures[1] != pictures[2]


def test_nothing_goes_while_the_service_is_away(done: Simulated) -> None:
    assert done.world.away
    assert not [
        letter
        for letter in done.posted
        for gone, back in done.world.away
        if gone <= letter.at < back
    ]


def test_staff_change_things_on_the_way_and_no_promise_is_broken(done: Simulated) -> None:
    assert {"hold", "move", "skip", "pace", "reenrol"} <= set(done.world.changed)
    assert done.verdict.faults == []


def test_half_past_nine_stays_half_past_nine_when_the_clocks_change(done: Simulated) -> None:
    people = {person.enrolment_id: person for _, person in done.world.history}
    hours = defaultdict(set)
    for letter in done.posted:
        zone = people[letter.stop].timezone
        if zone is not None and str(zone) == "America/New_York":
            local = letter.at.astimezone(zone)
            if (local.hour, local.minute) == (9, 30):
                hours[letter.stop].add(letter.at.astimezone(UTC).hour)
    assert {13, 14} in hours.values()


def test_the_example_people_can_have_outages_too(clinic: Clinic) -> None:
    said = clinic.physiopost("simulate", "--seed", "2")
    assert said.code == 0
    assert "The service was away" in said.out
    assert "Leaf through them: var/simulation/index.html" in said.out
    assert list((clinic.folder / "var" / "simulation" / "new").glob("*.eml"))


def test_it_exits_with_1_and_names_the_fault_if_a_letter_goes_twice(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Twice(Tally):
        """As if a channel had posted its first letter again."""

        def post(
            self, edition: Edition, envelopes: Sequence[Envelope]
        ) -> Iterator[tuple[Envelope, Outcome]]:
            again = not self.posted
            yield from super().post(edition, envelopes)
            if again:
                self.posted.append(self.posted[0])

    monkeypatch.setattr(simulation, "Tally", Twice)
    said = clinic.physiopost(*RUN)
    assert said.code == 1
    assert "1 twice" in said.out
    assert re.search(r"twice: welcome to person\d+, 2027-", said.out)


@pytest.fixture
def picture(root: Path, planner: Planner) -> ET.Element:
    days = {date(2027, 3, 25): 7, date(2027, 3, 30): 1200, date(2027, 5, 4): 601}
    return ET.fromstring(almanac(days, planner.calendar, root / "templates"))  # noqa: S314 - ours


@pytest.fixture(scope="module")
def planner(material: Material) -> Planner:
    return Planner(material)


def test_the_picture_says_every_number_and_marks_closed_days_by_shape(
    picture: ET.Element,
) -> None:
    groups = [group for group in picture.iter(f"{SVG}g") if group[0].tag == f"{SVG}title"]
    days = {group[0].text: group for group in groups}
    assert len(days) == 31 + 30 + 31  # April, without letters, is there
    for words, text in (
        ("Thu 25 Mar 2027: 7 letters", "7"),
        ("Tue 30 Mar 2027: 1,200 letters", "1,200"),
    ):
        assert [each.text for each in days[words].iter(f"{SVG}text")][-1] == text
    friday = days["Fri 26 Mar 2027: 0 letters, public holiday (Good Friday)"]
    assert "url(#closed)" in ET.tostring(friday, "unicode")
    assert "url(#closed)" not in ET.tostring(days["Wed 31 Mar 2027: 0 letters"], "unicode")


def test_the_picture_speaks_to_screen_readers_and_runs_nothing(picture: ET.Element) -> None:
    assert picture.get("role") == "img"
    by_id = {each.get("id"): each for each in picture.iter() if each.get("id")}
    told = [by_id[key].text or "" for key in str(picture.get("aria-labelledby")).split()]
    assert told[0] == "Letters a day"
    assert told[1].startswith("1,808 letters from Thu 25 Mar 2027 to Tue 4 May 2027, at most 1,200")
    assert not list(picture.iter(f"{SVG}script"))
    assert "http" not in ET.tostring(picture, "unicode").replace(SVG[1:-1], "")


def test_every_number_in_the_picture_can_be_read_in_light_and_dark(root: Path) -> None:
    sheet = (root / "templates" / "pages" / "almanac.svg.j2").read_text()
    light, dark = sheet.split("@media (prefers-color-scheme: dark)")
    for style in (light.partition("<style>")[2], dark.partition("</style>")[0]):
        ink = re.search(r"(?:fill: |text {\s*fill: )(#\w{6})", style)
        assert ink
        assert ratio(ink[1], re.findall(r"\.ground { fill: (#\w{6})", style)[0]) >= TEXT
        tints = re.findall(r"rect { fill: (#\w{6}); } \.t\d text { fill: (#\w{6})", style)
        assert len(tints) == 4
        assert all(ratio(ground, words) >= TEXT for ground, words in tints)


def test_a_picture_of_nothing_is_still_a_picture(root: Path, planner: Planner) -> None:
    assert "0 letters" in almanac({}, planner.calendar, root / "templates")
