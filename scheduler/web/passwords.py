"""What proves who somebody is: a password, and the code of an authenticator app (RFC 6238).

A password is long and not easily guessed; nothing is asked of its digits. A code is good for half a
minute; the one before and the one after are taken too, because clocks differ.
"""

import hmac
import re
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from pyotp import TOTP
from zxcvbn import zxcvbn

from scheduler.ledger.staff import Member

SHORTEST, LONGEST = 12, 200  # characters of a password
STRONG = 3  # zxcvbn's score, 0 to 4
READ = 72  # characters that zxcvbn takes
STEP = timedelta(seconds=30)  # for which a code is good

# OWASP's least: 19 MiB and two passes take some 40 ms.
HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
NOBODY = HASHER.hash("a password that nobody has")  # so that an unknown address takes as long


def fits(hashed: str, password: str) -> bool:
    """Whether a password is the one that was hashed."""
    try:
        return HASHER.verify(hashed, password[: LONGEST + 1])
    except (Argon2Error, InvalidHashError):
        return False


def weakness(password: str, member: Member) -> str:
    """Why a password cannot be used, in words; empty when it can."""
    if len(password) < SHORTEST:
        return f"Use {SHORTEST} characters or more. A few words in a row are easy to remember."
    if len(password) > LONGEST:
        return f"Use {LONGEST} characters or fewer."
    near = [member.email, *re.split(r"[@.]", member.email), *member.name.split(), "physiopost"]
    if zxcvbn(password[:READ], user_inputs=near)["score"] < STRONG:
        return "This password is easy to guess. A few words that do not belong together are better."
    return ""


def number_of(key: str, code: str, now: datetime) -> int | None:
    """The number of the code that was typed, counted in half minutes, or None if it is wrong."""
    typed = "".join(code.split())
    right = None
    for near in (now - STEP, now, now + STEP):
        app = TOTP(key)
        if hmac.compare_digest(app.at(near).encode(), typed.encode()):
            right = app.timecode(near)
    return right
