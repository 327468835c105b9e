"""Staff: who may sign in, their invitations, second factors, sessions, and attempts that failed.

Whatever opens a door is random and kept as a hash only, so that the database lets nobody in. The
key of a second factor must be read again, so it comes here sealed; of its codes, each of which is
good for half a minute, the number of the last one used is kept, so that none is used twice. An
invitation is good once and for three days. A session ends after half an hour without a page, after
ten hours whatever happens, and at once when it is signed out or its owner's password changes.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Literal, get_args

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from scheduler.ledger import facts
from scheduler.ledger.people import new_id
from scheduler.ledger.tables import failure, session, staff

Role = Literal["admin", "physiotherapist", "technician"]
ROLES: tuple[Role, ...] = get_args(Role)

INVITED = timedelta(days=3)
IDLE, LONGEST = timedelta(minutes=30), timedelta(hours=10)
FORGOTTEN = timedelta(days=1)  # until then it is known whose session it was
SEEN = timedelta(minutes=1)  # how exactly a session's last page is known
WINDOW = timedelta(minutes=15)  # in which failed attempts are counted
EVERYBODY = "second_factor"  # the fact that says whether all staff need one


@dataclass(frozen=True)
class Member:
    """Somebody who works at the clinic; whether they have set a password, and a second factor."""

    id: str
    email: str
    name: str
    role: Role
    joined: bool = True
    factor: bool = False

    def __repr__(self) -> str:
        """Never a name or an address."""
        return f"Member({self.id})"


@dataclass(frozen=True)
class Session:
    """Where somebody is signed in: since when, the last page (UTC), whether it is this browser."""

    began_at: datetime
    seen_at: datetime
    here: bool


def invite(db: Connection, email: str, name: str, role: Role, now: datetime) -> str:
    """Ask somebody in, or in anew; gives the one-time token of the invitation."""
    token = secrets.token_urlsafe(24)
    values = {"name": name, "role": role, "invite": _hash(token), "invited_at": now}
    known = update(staff).where(staff.c.email == email.casefold())
    if not db.execute(known.values(values | {"ended_at": None})).rowcount:
        row = {"id": new_id(), "email": email.casefold(), "password": "", **values}
        db.execute(insert(staff).values(row))
    return token


def invited(db: Connection, token: str, now: datetime) -> Member | None:
    """Whose invitation this is, while it is good."""
    query = select(staff).where(staff.c.invite == _hash(token), staff.c.invited_at > now - INVITED)
    row = db.execute(query.where(staff.c.ended_at.is_(None))).mappings().first()
    return _member(row) if row else None


def set_password(db: Connection, member: Member, password: str) -> None:
    """Keep a new password's hash; the invitation is used up, and every session ends."""
    query = update(staff).where(staff.c.id == member.id)
    db.execute(query.values(password=password, invite=None))
    end_sessions(db, member)


def by_email(db: Connection, email: str) -> tuple[Member, str] | None:
    """Somebody who may sign in, with the hash of their password."""
    query = select(staff).where(staff.c.email == email.casefold(), staff.c.ended_at.is_(None))
    row = db.execute(query).mappings().first()
    return (_member(row), row["password"]) if row and row["password"] else None


def by_id(db: Connection, member_id: str) -> Member | None:
    """Somebody who may sign in or has been asked in, by id."""
    query = select(staff).where(staff.c.id == member_id, staff.c.ended_at.is_(None))
    row = db.execute(query).mappings().first()
    return _member(row) if row else None


def everyone(db: Connection) -> list[Member]:
    """Everybody who may sign in or has been asked in, by name."""
    query = select(staff).where(staff.c.ended_at.is_(None)).order_by(staff.c.name)
    return [_member(row) for row in db.execute(query).mappings()]


def end(db: Connection, email: str, now: datetime) -> bool:
    """Let somebody in no more; False when there is nobody of that address."""
    if not (found := [each for each in everyone(db) if each.email == email.casefold()]):
        return False
    gone = {"ended_at": now, "invite": None, "password": "", "totp": None, "totp_used": None}
    db.execute(update(staff).where(staff.c.id == found[0].id).values(gone))
    end_sessions(db, found[0])
    return True


def needed(db: Connection) -> bool:
    """Whether everybody needs a second factor."""
    return facts.get(db, EVERYBODY) == "yes"


def need(db: Connection, *, everybody: bool) -> None:
    """Say whether everybody needs a second factor."""
    facts.put(db, EVERYBODY, "yes" if everybody else "no")


def factor(db: Connection, member: Member) -> str:
    """The sealed key of somebody's second factor; empty when there is none."""
    return db.execute(select(staff.c.totp).where(staff.c.id == member.id)).scalar() or ""


def set_factor(db: Connection, member: Member, key: str | None, used: int | None = None) -> None:
    """Keep a second factor's sealed key and the number of the code that proved it, or neither."""
    query = update(staff).where(staff.c.id == member.id)
    db.execute(query.values(totp=key, totp_used=used))


def reset(db: Connection, member: Member) -> None:
    """Take somebody's second factor away, and sign them out everywhere."""
    set_factor(db, member, None)
    end_sessions(db, member)


def use_code(db: Connection, member: Member, number: int) -> bool:
    """Note that a code is used up; False if it, or a later one, was used before."""
    unused = or_(staff.c.totp_used.is_(None), staff.c.totp_used < number)
    query = update(staff).where(staff.c.id == member.id, unused)
    return bool(db.execute(query.values(totp_used=number)).rowcount)


def open_session(db: Connection, member: Member, now: datetime) -> str:
    """Begin a session; gives the token for the cookie."""
    token = secrets.token_urlsafe(32)
    db.execute(delete(session).where(session.c.began_at < now - FORGOTTEN))
    row = {"hash": _hash(token), "staff_id": member.id, "began_at": now, "seen_at": now}
    db.execute(insert(session).values(row))
    return token


def of_session(db: Connection, token: str, now: datetime) -> tuple[Member, bool] | None:
    """Whose session this is, while it lasts, and whether it is time to note that it was seen."""
    query = (
        select(staff, session.c.seen_at)
        .join(session, session.c.staff_id == staff.c.id)
        .where(session.c.hash == _hash(token), staff.c.ended_at.is_(None))
        .where(session.c.began_at > now - LONGEST, session.c.seen_at > now - IDLE)
    )
    row = db.execute(query).mappings().first()
    return (_member(row), row["seen_at"] < now - SEEN) if row else None


def sessions(db: Connection, member: Member, token: str, now: datetime) -> list[Session]:
    """Where somebody is signed in now, the newest first; `token` is this browser's."""
    query = select(session).where(session.c.staff_id == member.id)
    query = query.where(session.c.began_at > now - LONGEST, session.c.seen_at > now - IDLE)
    return [
        Session(row.began_at, row.seen_at, row.hash == _hash(token))
        for row in db.execute(query.order_by(session.c.began_at.desc()))
    ]


def owner(db: Connection, token: str) -> str | None:
    """Whose session this is or was, by id."""
    query = select(session.c.staff_id).where(session.c.hash == _hash(token))
    return db.execute(query).scalar()


def seen(db: Connection, token: str, now: datetime) -> None:
    """Note that a session was used."""
    db.execute(update(session).where(session.c.hash == _hash(token)).values(seen_at=now))


def end_session(db: Connection, token: str) -> None:
    """Sign out."""
    db.execute(delete(session).where(session.c.hash == _hash(token)))


def end_sessions(db: Connection, member: Member) -> None:
    """Sign somebody out everywhere."""
    db.execute(delete(session).where(session.c.staff_id == member.id))


def fail(db: Connection, mark: str, now: datetime) -> None:
    """Note an attempt that failed, under a mark that names nobody."""
    db.execute(delete(failure).where(failure.c.at < now - WINDOW))
    db.execute(insert(failure).values(mark=mark, at=now))


def failures(db: Connection, mark: str, now: datetime) -> int:
    """How many attempts have failed lately."""
    recent = select(func.count()).where(failure.c.mark == mark, failure.c.at >= now - WINDOW)
    return db.execute(recent).scalar_one()


def _member(row: Mapping[Any, Any]) -> Member:
    known = row["id"], row["email"], row["name"], row["role"]
    return Member(*known, bool(row["password"]), bool(row["totp"]))


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()
