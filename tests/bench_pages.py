"""How long each page takes in the server, with a busy clinic's database: part of `make bench`.

12,000 people, evenly over half a year, and each letter that has gone to them by now. Each page is
asked for again and again, all of them in turn; the median counts, and how many statements a page
costs, which must not grow with the people on it.
"""

import re
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from multiprocessing import get_context
from time import perf_counter
from typing import Any

import bench_delivery
from flask.testing import FlaskClient
from sqlalchemy import event, func, select

from scheduler.delivery.merge import merge_values
from scheduler.ledger import deliveries, people, staff
from scheduler.ledger.bulk import put
from scheduler.ledger.database import Database
from scheduler.ledger.people import Person, new_id
from scheduler.ledger.tables import delivery, edition
from scheduler.letters.editions import Press
from scheduler.settings import Settings
from scheduler.web.app import create
from scheduler.web.gate import COOKIE, Office

NOW = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)
CROWD, WEEKS, TIMES, CHUNK = 12_000, 26, 15, 1000
NAMES = ("Amy", "Bea", "Chloé", "Dev", "Elif", "Farid", "Grace", "Hana", "Ines", "Jon")
PAGES = {  # after a space, what is searched for
    "Today": "/",
    "find": "/people",
    "find, by name": "/people chloé",
    "find, by address": "/people person77",
    "caseload": "/mine",
    "a patient": "/people/{under_way}",
    "a patient, a hold": "/people/{under_way}/hold?first=2026-12-01&until=2026-12-15",
    "everything received": "/people/{finished}/received",
    "course": "/course",
    "a lesson": "/course/welcome",
    "evidence": "/course/evidence",
    "time machine, next week": "/post?day=2026-12-01",
    "time machine, last week": "/post?day=2026-11-17",
    "health": "/health",
    "staff": "/staff",
    "audit": "/audit",
    "a patient's own page": "{letters}",
}


def crowd(number: int) -> Iterator[Person]:
    """As they came, evenly over the weeks."""
    begin = NOW - timedelta(weeks=WEEKS)
    for each in range(number):
        came = begin + each * (NOW - begin) / number
        yield Person(
            id=f"p{each:05}",
            email=f"person{each}@example.org",
            name=f"{NAMES[each % len(NAMES)]} Example{each}",
            consent=came.date(),
            first_appointment=came.date(),
            enrolled_at=came,
            enrolment_id=new_id(),
            physiotherapist=("Priya Shah", "Tom Ellis")[each % 2],
        )


def fill(url: str, number: int) -> tuple[Person, Person]:
    """Write everybody down with what went to them; gives somebody under way and somebody done."""
    service = bench_delivery.Service(url)
    planner, press, database = service.planner, service.press, service.database
    everybody = crowd(number)
    done: Person | None = None
    while some := list(islice(everybody, CHUNK)):
        letters = {each: planner.plan(each, {}, each.enrolled_at) for each in some}
        gone = {
            each: [one for one in whole if one.utc and one.utc < NOW]
            for each, whole in letters.items()
        }
        with database.write() as db:
            people.add(db, [(each, planner.next_due(each, {}, each.enrolled_at)) for each in some])
            kept = {row.hash for row in db.execute(edition.select())}
            used = {press.edition(one.lesson, False) for whole in gone.values() for one in whole}
            new = [one for one in used if one.hash not in kept]
            put(db, edition, [{"hash": one.hash, "content": one.as_json()} for one in new])
            put(db, delivery, [_row(service, each, one) for each in some for one in gone[each]])
            sent = deliveries.sent(db, [each.enrolment_id for each in some])
            due = [
                (each, planner.next_due(each, sent.get(each.enrolment_id, {}), NOW))
                for each in some
            ]
            people.change(db, due)
            planner.finish(db, [each.enrolment_id for each in some], NOW)
        done = done or some[0]
        under_way = some[0]
    database.close()
    assert done
    return under_way, done


def _row(service: bench_delivery.Service, person: Person, letter: Any) -> Mapping[str, Any]:
    return {
        "id": new_id(),
        "enrolment_id": person.enrolment_id,
        "lesson": letter.lesson,
        "state": "accepted",
        "edition": service.press.edition(letter.lesson, False).hash,
        "merge": merge_values(person, None, service.keys, "Clinic"),
        "address": person.email,
        "reasons": list(letter.reasons),
        "planned_for": letter.utc,
        "claimed_at": letter.utc,
        "lease_until": letter.utc,
        "fence": 1,
        "tries": 0,
        "settled_at": letter.utc,
        "reference": "m",
        "outcome": "",
        "looks": 0,
        "fate": "delivered",
    }


def signed_in(database: Database, client: FlaskClient) -> None:
    """As an administrator."""
    with database.write() as db:
        token = staff.invite(db, "priya@example.org", "Priya Shah", "admin", NOW)
        member = staff.invited(db, token, NOW)
        assert member
        client.set_cookie(COOKIE, staff.open_session(db, member, NOW))


def pages() -> Iterator[tuple[str, str, str]]:
    """The rows."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/bench.db"
        with get_context("spawn").Pool(1) as apart:  # so that its memory is not counted
            under_way, finished = apart.apply(fill, (url, CROWD))
        service = bench_delivery.Service(url)
        settings = Settings.from_environment({"PHYSIOPOST_OUTBOX": folder})
        parts = service.database, service.planner, Press(service.material, settings.templates)
        client = create(Office(*parts, service.keys, settings, lambda: NOW)).test_client()
        signed_in(service.database, client)
        counted = [0]
        event.listen(
            service.database.engine,
            "before_cursor_execute",
            lambda *_: counted.__setitem__(0, counted[0] + 1),
        )
        where = {
            "under_way": under_way.enrolment_id,
            "finished": finished.enrolment_id,
            "letters": service.keys.stop_url(under_way.enrolment_id)
            .removeprefix(service.keys.url)
            .replace("/stop/", "/letters/"),
        }
        with service.database.read() as db:
            number = db.scalar(select(func.count()).select_from(delivery))
        yield f"pages: {CROWD:,} people, letters gone", f"{number:,}", ""
        took: dict[str, list[float]] = {name: [] for name in PAGES}
        statements = dict.fromkeys(PAGES, 0)
        seal = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/people").text)
        assert seal
        for _ in range(TIMES):
            for name, path in PAGES.items():
                page, _, words = path.format(**where).partition(" ")
                asked = {"words": words, "csrf_token": seal[1]}
                counted[0], began = 0, perf_counter()
                answer = client.post(page, data=asked) if words else client.get(page)
                took[name].append(perf_counter() - began)
                statements[name] = counted[0]
                assert answer.status_code == 200, (path, answer.status_code)
        for name, seconds in took.items():
            told = f"at most {1000 * max(seconds):.0f} ms; statements: {statements[name]}"
            yield f"page: {name}", f"{1000 * statistics.median(seconds):.0f} ms", told
        memory = bench_delivery.Watch().done(1).memory
        yield "pages: peak memory", f"{memory:.0f} MB", ""
        service.database.close()


if __name__ == "__main__":
    for what, measured, told in pages():
        print(f"{what:52} {measured:>16}   {told}", flush=True)  # noqa: T201
