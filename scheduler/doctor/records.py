"""What the database tells: is it the right one, do rounds run, and does a letter wait?"""

from datetime import datetime, timedelta

from scheduler.backup import FACT
from scheduler.delivery.behind import SILENCE, Heartbeat
from scheduler.doctor.check import Unseen, Unwell, Ward
from scheduler.ledger import deliveries, doubts, facts, people, vitals
from scheduler.ledger.database import Database
from scheduler.ledger.tables import HEAD
from scheduler.material import Material
from scheduler.material.signoff import standing
from scheduler.plan.reasons import count

LATE = timedelta(minutes=10)  # what is due for longer than this waits for something
ASTRAY = timedelta(minutes=5)  # how far clocks may differ
KEPT = timedelta(days=2)  # how old the newest backup may be
HEARD = timedelta(days=2)  # SendGrid tells of a letter within minutes
LETTERS = "physiopost plan --behind names them, with the reasons"


def database(ward: Ward) -> str:
    """Opened, and of this program's version."""
    if ward.database is None:
        file = ward.settings.file
        new = file is not None and not file.exists()
        broken = "if it is broken, move it away and physiopost restore FILE, the last backup"
        cure = "physiopost run makes a new one" if new else broken
        raise Unwell(ward.faults["database"], f"look at PHYSIOPOST_DATABASE; {cure}")
    if (there := ward.database.version) != HEAD:
        words = f"its tables are of version {there or 'none'}, the program's of {HEAD}"
        cure = "stop the service, back up, physiopost run; or install the newer program"
        raise Unwell(words, cure)
    return f"it opens, and its tables are the newest ({HEAD})"


def course(ward: Ward) -> str:
    """Read and found usable, with the clinic and the countries."""
    if ward.material is None:
        raise Unwell(ward.faults["course"], "physiopost check")
    return f"{len(ward.material.course.lessons)} lessons, and the clinic"


def clock(ward: Ward) -> str:
    """A clock that was set back would send letters late, and one set forward early."""
    with _opened(ward).read() as db:
        last = Heartbeat.last(db)
        written = max(filter(None, [vitals.newest(db), last.at if last else None]), default=None)
    if written and written - ward.now > ASTRAY:
        words = f"it says {ward.now:%Y-%m-%d %H:%M} UTC, but rows are from {written:%Y-%m-%d %H:%M}"
        raise Unwell(words, "set it: timedatectl set-ntp true")
    return f"{ward.now:%Y-%m-%d %H:%M} UTC, after the newest row"


def rounds(ward: Ward) -> str:
    """Whether the worker is at work."""
    cure = "start physiopost run, and look at what it says"
    with _opened(ward).read() as db:
        last = Heartbeat.last(db)
    if last is None:
        raise Unwell("no round has run yet", cure)
    if ward.now - last.at > SILENCE:
        raise Unwell(f"none since {last.at:%Y-%m-%d %H:%M} UTC", cure)
    if last.down:
        raise Unwell(f"the channel is down: {last.down}", "see channel, below")
    return f"the last one ended at {last.at:%H:%M} UTC"


def signatures(ward: Ward) -> str:
    """By e-mail nothing goes that no physiotherapist signed."""
    material = _material(ward)
    stands = standing(material, material.clinic.today(ward.now))
    number = sum(each.state != "signed" for each in stands.values())
    if not number:
        return f"all {len(stands)} texts are signed"
    words = f"{number} of {len(stands)} texts are not signed"
    if ward.settings.channel == "folder":
        return f"{words}: into the folder they go as drafts"
    cure = "a physiotherapist reads and signs: physiopost sign all --name … --registration …"
    raise Unwell(f"{words}: their letters wait", cure)


def in_doubt(ward: Ward) -> str:
    """Letters of which nobody knows whether they arrived."""
    with _opened(ward).read() as db:
        number = len(doubts.unknown(db))
    if number:
        words = f"{count(number, 'letter')} may have arrived, and nobody knows"
        raise Unwell(words, f"{LETTERS}; then physiopost settle ID LESSON")
    return "no letter is in doubt"


def late(ward: Ward) -> str:
    """Letters that are due and have not gone."""
    with _opened(ward).read() as db:
        number = sum(people.due_at(db, ward.now - LATE).values())
    if number:
        raise Unwell(f"{count(number, 'letter')} should have gone", LETTERS)
    return "no letter is late"


def events(ward: Ward) -> str:
    """Whether SendGrid tells us what becomes of letters."""
    if ward.settings.channel != "sendgrid":
        raise Unseen("only SendGrid sends events")
    if not ward.settings.webhook_key:
        cure = "turn on the signed Event Webhook, and set PHYSIOPOST_WEBHOOK_KEY_FILE"
        raise Unwell("no verification key is set, so no event is taken", cure)
    with _opened(ward).read() as db:
        sent, told = (each(db, ward.now - HEARD) for each in (deliveries.went, vitals.heard))
    if sent and not told:
        cure = "look in SendGrid's Event Webhook whether it is on, and at which address"
        raise Unwell("letters went, and no event came for two days", cure)
    return "they come in" if told else "no letter went for two days"


def backup(ward: Ward) -> str:
    """How old the last one is."""
    with _opened(ward).read() as db:
        kept, written = facts.get(db, FACT), vitals.newest(db)
    if not kept and not written:
        raise Unseen("there is nothing to back up yet")
    if not kept:
        raise Unwell("none was made yet", "physiopost backup")
    made = datetime.fromisoformat(kept)
    words = f"the last one is of {made:%Y-%m-%d %H:%M} UTC"
    if ward.now - made > KEPT:
        raise Unwell(words, "physiopost backup, each night")
    return words


def _opened(ward: Ward) -> Database:
    if ward.database is None or ward.database.version != HEAD:
        raise Unseen("the database cannot be read")
    return ward.database


def _material(ward: Ward) -> Material:
    if ward.material is None:
        raise Unseen("the course cannot be read")
    return ward.material
