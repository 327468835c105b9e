"""How long what is known about people is kept: until they ask, or until clinic.yaml says.

1. forget() removes one person in one transaction: rows, letters in the folder, pages made of them.
   What stays are the audit's lines, which name nobody, two numbers, and a keyed mark of each
   address, so that no file enrols the same person again.
2. The mark is left out where somebody else gets letters at the address.
3. due() says what is older than clinic.yaml allows: letters that can no longer be shown, and people
   who are forgotten as if they had asked. Someone whose course is under way is never among them.
4. purge() removes that, once a night at the clinic, in the first round after three o'clock.

A letter that is being sent just now keeps its person from being forgotten for that moment.
"""

from calendar import monthrange
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from scheduler.delivery.channels import folder
from scheduler.delivery.gallery import write_gallery
from scheduler.findings import NotDone
from scheduler.keys import Keys
from scheduler.ledger import facts, holdings, people, trail
from scheduler.ledger.database import Database
from scheduler.ledger.holdings import Rows
from scheduler.ledger.suppressions import among, lift, suppress
from scheduler.material import Material
from scheduler.settings import Settings

REASON = "erased"
NIGHT = 3  # o'clock at the clinic
FACT = "purged_on"


@dataclass(frozen=True)
class Due:
    """What is kept for longer than the clinic wants: enrolments with letters, and people's ids."""

    letters: dict[str, list[str]]
    people: list[str]

    @property
    def words(self) -> str:
        """`21 letters of 3 courses and 2 people`."""
        number = sum(map(len, self.letters.values()))
        return f"{number} letters of {len(self.letters)} courses and {len(self.people)} people"


@dataclass(frozen=True)
class Keeping:
    database: Database
    keys: Keys
    settings: Settings
    material: Material

    def held(self, who: str) -> Rows:
        """Everything about a person; WrongInput if nobody has that id."""
        with self.database.read() as db:
            people.known(db, who)
            return holdings.of(db, who)

    def shared(self, who: str) -> bool:
        """Whether somebody else gets letters at one of the person's addresses."""
        with self.database.read() as db:
            homes = holdings.addresses(holdings.of(db, who))
            return any(people.in_use(db, each, but=who) for each in homes)

    def forget(self, who: str, now: datetime, by: str) -> None:
        """Remove a person for good; WrongInput if nobody is that, NotDone while a letter goes."""
        with self.database.write() as db:
            people.known(db, who)
            rows = holdings.of(db, who)
            if any(row["state"] == "claimed" for row in rows["delivery"]):
                words = f"a letter to {who} is on its way, so nothing was removed"
                raise NotDone(f"{words}; try again after the next round (physiopost send)")
            for address in holdings.addresses(rows):
                if not people.in_use(db, address, but=who):
                    lift(db, self.keys, address)
                    suppress(db, self.keys, address, reason=REASON, at=now, by=by)
            for row in rows["enrolment"]:
                trail.tell(db, row["id"], REASON, "everything removed", at=now, by=by)
            holdings.remove(db, rows)
            self._sweep([row["id"] for row in rows["delivery"]])
        self.database.flush()

    def forget_again(self, now: datetime, by: str) -> int:
        """Forget whoever a restore has brought back though they were forgotten; how many."""
        with self.database.read() as db:
            everyone = people.everyone(db)
            marked = among(db, self.keys, {person.email for person in everyone})
        back = [person.id for person in everyone if marked.get(person.email) == REASON]
        for who in back:
            self.forget(who, now, by)
        return len(back)

    def due(self, now: datetime) -> Due:
        """What clinic.yaml says is to go."""
        retention, zone = self.material.clinic.retention, self.material.clinic.timezone
        local = now.astimezone(zone)
        with self.database.read() as db:
            bare = holdings.ended(db, _earlier(local, retention.letters))
            letters = holdings.full(db, list(bare))
            over = holdings.ended(db, _earlier(local, retention.people))
            gone = sorted(set(over.values()) - holdings.others(db, list(over)))
        return Due(letters, gone)

    def purge(self, now: datetime, by: str = "the service · its nightly purge") -> Due:
        due = self.due(now)
        stripped = [letter for letters in due.letters.values() for letter in letters]
        with self.database.write() as db:
            holdings.strip(db, list(due.letters), stripped)
            self._sweep(stripped)
            if due.letters or due.people:
                trail.tell(db, None, "retention", due.words, at=now, by=by)
        self.database.flush()
        for who in due.people:
            self.forget(who, now, by)
        return due

    def nightly(self, now: datetime) -> str:
        """The purge of a night that has not had one; a line for the log if anything went."""
        local = now.astimezone(self.material.clinic.timezone)
        limits = self.material.clinic.retention
        if local.hour < NIGHT or not (limits.letters or limits.people):
            return ""
        with self.database.write() as db:
            if facts.get(db, FACT) == f"{local.date()}":
                return ""
            facts.put(db, FACT, f"{local.date()}")
        due = self.purge(now)
        return f"removed, as clinic.yaml says: {due.words}" if due.letters or due.people else ""

    def _sweep(self, letters: Collection[str]) -> None:
        """Delete letters from the folder, and from the pages that show what is in it."""
        outbox = self.settings.outbox
        if folder.remove(outbox, letters) and (outbox / "index.html").exists():
            write_gallery(outbox, self.settings.templates, self.material.clinic.timezone)


def _earlier(local: datetime, months: int | None) -> datetime:
    """So many months before; before everything if there is no limit."""
    if months is None:
        return datetime.min.replace(tzinfo=UTC)
    year, month = divmod(local.year * 12 + local.month - 1 - months, 12)
    day = min(local.day, monthrange(year, month + 1)[1])
    return local.replace(year=year, month=month + 1, day=day)
