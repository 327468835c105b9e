"""Something that is right, spoilt by chance: for fuzz.py."""

import random
from collections.abc import Callable

NASTY = [
    *("", " ", "\0", "\r\n", "\n\n", "\t", "\x1b[31m", "\u202e", "\ufeff", "\ud800"),
    *("é", "😀", "ß", "'", '"', "`", "<script>", "{{7*7}}", "{% for", "%s", "%00", "%ff"),
    *("../../etc/passwd", "\\", "-1", "0", "9" * 25, "1e999", "NaN", "null", "true", "[]", "{}"),
    *("&a [*a]", "!!int", "*a", "|", "0000-00-00", "9999-12-31", "2026-02-30", "10:61", "24:00"),
    *("Europe/Lodnon", "A" * 3000, "[" * 500, "(" * 300, "*" * 400, "> " * 300, "- " * 300),
    *("![](" * 200, "@", ".", ",", ";", "="),
]


class Fault(AssertionError):
    """Something that must not happen."""


Input = bytes | str
Case = tuple[Input, Callable[[], bool]]
"""An input, and what hands it in: whether it was taken."""


def spoilt(chance: random.Random, good: bytes, most: int = 6) -> bytes:
    """Something that is right, in one to `most` places no longer."""
    for _ in range(chance.randint(1, most)):
        at = chance.randrange(len(good) + 1)
        length = chance.choice((1, 1, 2, 5, 20, 80))
        piece, rest = good[at : at + length], good[at + length :]
        match chance.randrange(7):
            case 0:
                piece = b""
            case 1:
                piece *= chance.choice((2, 3, 50))
            case 2:
                piece = chance.choice(NASTY).encode("utf-8", "surrogatepass") + piece
            case 3:
                piece = chance.choice(NASTY).encode("utf-8", "surrogatepass")
            case 4:
                piece = bytes(each ^ (1 << chance.randrange(8)) for each in piece)
            case 5:
                piece, rest = rest[:length], piece + rest[length:]
            case 6:
                rest = rest if chance.random() < 0.9 else b""
        good = good[:at] + piece + rest
    return good


def spoilt_text(chance: random.Random, good: str) -> str:
    return spoilt(chance, good.encode()).decode("utf-8", "surrogateescape")
