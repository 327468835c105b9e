"""What is heard of letters after they were taken, and what is done about those in doubt."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from test_round import KEYS, WELCOME, Service, Told

from scheduler.delivery.behind import behind
from scheduler.delivery.channels import Outcome
from scheduler.delivery.channels.sendgrid_logs import Found, LookUp, Suppression, Unavailable
from scheduler.ledger import claims, deliveries, doubts, people
from scheduler.ledger.claims import Claim
from scheduler.ledger.evidence import Event, Evidence
from scheduler.ledger.suppressions import among
from scheduler.letters.editions import Press
from scheduler.material import Material
from scheduler.plan.enrolment import Hold

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
AMY = "amy@example.org"
DOUBT = Outcome("unknown", "the line broke")


class Seen(Told):
    """A channel that can be asked later; what its records show is up to the test."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, Found] = {}
        self.missing = True
        self.newest: datetime | None = None
        self.unavailable = ""
        self.lists: list[tuple[datetime, Suppression]] = []
        self.asked: list[Claim] = []

    def look_up(self, doubts: Sequence[Claim]) -> LookUp:
        self.asked += doubts
        rest = frozenset(each.delivery for each in doubts if each.delivery not in self.found)
        if self.unavailable:
            return LookUp({}, frozenset(), None, self.unavailable)
        return LookUp(self.found, rest if self.missing else frozenset(), self.newest)

    def suppressions(self, since: datetime) -> Iterator[Suppression]:
        if self.unavailable:
            raise Unavailable(self.unavailable)
        yield from (each for at, each in self.lists if at >= since)


@pytest.fixture(scope="module")
def press(root: Path, material: Material) -> Press:
    return Press(material, root / "templates")


@pytest.fixture
def service(material: Material, press: Press, ledger: str) -> Iterator[Service]:
    """On SQLite and on PostgreSQL."""
    service = Service(material, press, ledger)
    yield service
    service.database.close()


def in_doubt(service: Service, channel: Told) -> str:
    """Let Amy's welcome be in doubt; gives its delivery's id."""
    channel.answers[AMY] = DOUBT
    service.run(channel, WELCOME)
    channel.answers.clear()
    assert service.states("amy")[0] == "undecided"
    return next(claim.delivery for claim in unknown(service))


def unknown(service: Service) -> list[claims.Claim]:
    with service.database.read() as db:
        return doubts.unknown(db)


def delivered(service: Service, who: str) -> str:
    """The id of somebody's welcome."""
    with service.database.read() as db:
        rows = [row for row in deliveries.history(db) if row["subscriber_id"] == who]
    return str(rows[0]["id"])


def hear(service: Service, *events: Event, now: datetime = WELCOME + HOUR) -> int:
    evidence = Evidence(KEYS, service.planner)
    with service.database.write() as db:
        return evidence.take(db, events, now)


def event(kind: str, delivery: str | None, number: int = 1, **more: str) -> Event:
    words = {"message": "", "reason": "", "address": ""} | more
    return Event(f"event-{number}-{kind}", kind, delivery, at=WELCOME, **words)


# Letters in doubt: D5


def test_a_letter_that_the_records_show_has_arrived_and_the_course_goes_on(
    service: Service,
) -> None:
    channel = Seen()
    channel.found[in_doubt(service, channel)] = Found("message-1", "delivered")
    service.run(channel, WELCOME + 6 * MINUTE)
    assert service.states("amy")[0] == "sent"
    assert len([to for to, _ in channel.letters if to == AMY]) == 1


def test_a_letter_that_is_not_found_twice_while_a_later_one_is_seen_goes_again(
    service: Service,
) -> None:
    channel = Seen()
    in_doubt(service, channel)
    channel.newest = WELCOME + 10 * MINUTE
    service.run(channel, WELCOME + 6 * MINUTE)
    assert service.states("amy")[0] == "undecided", "once is not enough"
    service.run(channel, WELCOME + 61 * MINUTE)
    service.run(channel, WELCOME + 62 * MINUTE)
    assert service.states("amy")[0] == "undecided", "not an hour between the two looks"
    service.run(channel, WELCOME + 70 * MINUTE)
    assert service.states("amy")[0] == "sent"
    assert len([to for to, _ in channel.letters if to == AMY]) == 2, "the first was never taken"


@pytest.mark.parametrize(
    "newest", [None, WELCOME, WELCOME + MINUTE], ids=["no letter", "as old", "within the lease"]
)
def test_not_found_means_nothing_until_a_later_letter_of_ours_is_seen(
    service: Service, newest: datetime | None
) -> None:
    channel = Seen()
    in_doubt(service, channel)
    channel.newest = newest
    for hours in range(1, 9):
        service.run(channel, WELCOME + hours * 2 * HOUR)
    assert service.states("amy")[0] == "undecided"
    assert len([to for to, _ in channel.letters if to == AMY]) == 1


def test_a_letter_that_did_not_go_before_a_later_one_did_is_named_and_not_forgotten(
    service: Service,
) -> None:
    channel = Seen()
    in_doubt(service, channel)
    service.run(channel, WELCOME + timedelta(days=7))
    channel.newest = WELCOME + timedelta(days=7)
    for hours in (2, 4, 6):
        service.run(channel, WELCOME + timedelta(days=7, hours=hours))
    assert service.states("amy")[:2] == ["refused", "sent"]


def thought_not_gone(service: Service, channel: Seen) -> str:
    """Let Amy's welcome be in doubt and then be due again; gives its delivery's id."""
    delivery = in_doubt(service, channel)
    channel.newest = WELCOME + 10 * MINUTE
    service.run(channel, WELCOME + 6 * MINUTE)
    service.change("amy", hold=(Hold(WELCOME.date()),))
    service.run(channel, WELCOME + 70 * MINUTE)
    assert unknown(service) == []
    assert service.states("amy")[0] == "held"
    return delivery


def test_a_letter_that_was_thought_not_to_have_gone_is_known_by_its_event_and_goes_no_more(
    service: Service,
) -> None:
    channel = Seen()
    delivery = thought_not_gone(service, channel)
    hear(service, event("processed", delivery, message="message-1"))
    service.change("amy", hold=())
    service.run(channel, WELCOME + 2 * DAY)
    assert service.states("amy")[0] == "sent"
    assert len([to for to, _ in channel.letters if to == AMY]) == 1


def test_a_sender_that_wakes_up_late_and_was_answered_is_believed(service: Service) -> None:
    channel = Seen()
    in_doubt(service, channel)
    unsure = unknown(service)
    with service.database.write() as db:
        claims.record(db, [(each, Outcome("deferred")) for each in unsure], WELCOME + HOUR)
        late = [(each, Outcome("accepted")) for each in unsure]
        assert claims.record(db, late, WELCOME + 2 * HOUR) == late
    assert service.states("amy")[0] == "sent"


def test_a_letter_that_cannot_go_any_more_because_a_later_one_went_is_listed(
    service: Service,
) -> None:
    channel = Seen()
    in_doubt(service, channel)
    service.run(channel, WELCOME + 6 * MINUTE)
    service.run(channel, WELCOME + 7 * DAY)  # no letter of ours was seen in the meantime
    channel.newest = WELCOME + 7 * DAY
    now = WELCOME + 7 * DAY + 2 * HOUR
    service.run(channel, now)
    assert service.states("amy", now)[:2] == ["refused", "sent"]
    with service.database.read() as db:
        listed = behind(service.planner.timelines(db, now), {}, None, now)
    assert [(each.id, each.lesson) for each in listed] == [("amy", "welcome")]
    assert "a later letter has gone since" in listed[0].why


def test_records_that_cannot_be_read_leave_the_doubt_and_say_why(service: Service) -> None:
    channel = Seen()
    in_doubt(service, channel)
    channel.unavailable = "Email Logs cannot be read (403)"
    report = service.run(channel, WELCOME + 2 * HOUR)
    assert report.unread == "Email Logs cannot be read (403)"
    assert report.undecided == 1
    assert not report.well


def test_a_letter_of_which_nothing_was_heard_for_a_day_is_looked_up_once(
    service: Service,
) -> None:
    channel = Seen()
    channel.answers[AMY] = Outcome("accepted", reference="message-1")
    service.run(channel, WELCOME)
    service.run(channel, WELCOME + 23 * HOUR)
    assert channel.asked == []
    for hours in (25, 26, 27):
        service.run(channel, WELCOME + hours * HOUR)
    assert [each.address for each in channel.asked] == [AMY]


# What is heard afterwards, D7


def test_an_event_about_a_letter_in_doubt_shows_that_it_was_taken(service: Service) -> None:
    channel = Told()
    delivery = in_doubt(service, channel)
    hear(service, event("processed", delivery, message="message-1"))
    assert service.states("amy")[0] == "sent"


def test_a_course_whose_last_letter_is_known_by_its_event_is_finished(service: Service) -> None:
    channel = Told()
    for week in range(8):
        service.run(channel, WELCOME + week * 7 * DAY + HOUR)
    channel.answers[AMY] = DOUBT
    service.run(channel, WELCOME + 8 * 7 * DAY + HOUR)
    assert (service.status("amy"), service.status("ben")) == ("active", "finished")
    hear(service, event("processed", unknown(service)[0].delivery, message="message-1"))
    assert service.status("amy") == "finished"


def test_an_event_is_taken_once_however_often_it_comes(service: Service) -> None:
    service.run(Told(), WELCOME)
    bounce = event("bounce", delivered(service, "amy"))
    assert [hear(service, bounce, bounce), hear(service, bounce)] == [1, 0]


@pytest.mark.parametrize(
    ("kind", "status"),
    [("bounce", "bounced"), ("spamreport", "complained"), ("unsubscribe", "stopped")],
)
def test_an_address_that_bounces_or_complains_is_not_written_to_again(
    service: Service, kind: str, status: str
) -> None:
    channel = Told()
    service.run(channel, WELCOME)
    hear(service, event(kind, delivered(service, "amy")))
    assert service.status("amy") == status
    with service.database.read() as db:
        assert among(db, KEYS, [AMY, "ben@example.org"]) == {AMY: status}
    for weeks in range(1, 10):
        service.run(channel, WELCOME + weeks * timedelta(days=7))
    assert len([to for to, _ in channel.letters if to == AMY]) == 1


def test_a_late_bounce_without_our_id_finds_its_letter_by_message_and_address(
    service: Service,
) -> None:
    channel = Told()
    channel.answers = {
        name: Outcome("accepted", reference="message-1") for name in (AMY, "ben@example.org")
    }
    service.run(channel, WELCOME)
    hear(service, event("bounce", None, message="message-1", address="AMY@example.org"))
    assert (service.status("amy"), service.status("ben")) == ("bounced", "active")


def test_a_fate_only_moves_forward_in_whatever_order_the_events_come(service: Service) -> None:
    service.run(Told(), WELCOME)
    delivery = delivered(service, "amy")
    for number, kind in enumerate(("delivered", "deferred", "processed")):
        hear(service, event(kind, delivery, number))
    with service.database.read() as db:
        fates = {row["id"]: row["fate"] for row in deliveries.history(db)}
    assert fates[delivery] == "delivered"


def test_a_letter_dropped_for_want_of_quota_goes_again(service: Service) -> None:
    channel = Told()
    service.run(channel, WELCOME)
    quota = "Recipient List over Package Quota"
    hear(service, event("dropped", delivered(service, "amy"), reason=quota))
    service.run(channel, WELCOME + HOUR)
    assert len([to for to, _ in channel.letters if to == AMY]) == 2
    assert service.status("amy") == "active"


def test_an_event_about_no_letter_of_ours_is_kept_and_harms_nobody(service: Service) -> None:
    service.run(Told(), WELCOME)
    assert hear(service, event("bounce", "unknown-delivery")) == 1
    assert hear(service, event("group_unsubscribe", None, message="m", address=AMY)) == 1
    assert (service.status("amy"), service.status("ben")) == ("active", "active")


# Suppressions


def test_the_channels_own_list_is_read_once_a_day(service: Service) -> None:
    channel = Seen()
    channel.lists = [(WELCOME, Suppression("bounce", AMY))]
    service.run(channel, WELCOME + HOUR)
    assert service.status("amy") == "bounced"
    channel.lists.append((WELCOME + 2 * HOUR, Suppression("spamreport", "ben@example.org")))
    service.run(channel, WELCOME + 3 * HOUR)
    assert service.status("ben") == "active"
    service.run(channel, WELCOME + 26 * HOUR)
    assert service.status("ben") == "complained"


def test_a_suppressed_address_is_seen_inside_the_claim(service: Service) -> None:
    channel = Told()
    with service.database.write() as db:
        person = people.find(db, "amy")
        assert person
        Evidence(KEYS, service.planner).leave_alone(db, "other@example.org", "stopped", WELCOME)
    service.change("amy", email="other@example.org")
    service.run(channel, WELCOME)
    assert [to for to, _ in channel.letters] == ["ben@example.org"]
    assert service.status("amy") == "stopped"


def test_a_patients_stop_leaves_somebody_at_the_same_address_their_letters(
    service: Service,
) -> None:
    channel = Told()
    service.change("ben", email=AMY)
    evidence = Evidence(KEYS, service.planner)
    with service.database.write() as db:
        person = people.find(db, "amy")
        assert person
        evidence.stop(db, person, WELCOME - HOUR)
    service.run(channel, WELCOME)
    assert [to for to, _ in channel.letters] == [AMY]
    assert service.states("amy") == ["ended"] * 9
