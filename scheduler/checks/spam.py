"""SpamAssassin's verdict on each letter, by its local rules only: nothing leaves the machine."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from email import message_from_bytes

from scheduler.findings import Finding, NotDone

RULES = {"spam": "above half a point some servers begin to hesitate"}
MOST = 0.5
SECONDS = 300
STATUS = re.compile(r"score=(-?[0-9.]+).*?tests=([A-Z0-9_,\s]*)", re.DOTALL)


def findings(letters: Mapping[str, bytes]) -> Iterator[Finding]:
    """Letters (as octets, by name) that score more than half a point.

    Raises:
        NotDone: SpamAssassin is not installed, or does not answer.

    """
    program = shutil.which("spamassassin")
    if program is None:
        raise NotDone("SpamAssassin is needed for this: install your system's package spamassassin")
    for name, score, tests in _scores(program, letters):
        if score > MOST:
            words = f"scores {score:g} with SpamAssassin ({tests})"
            yield Finding(name, None, words, f"{MOST:g} at most", "spam")


def _scores(program: str, letters: Mapping[str, bytes]) -> Iterator[tuple[str, float, str]]:
    """All letters in one run, as a mailbox (RFC 4155), since starting it takes two seconds.

    They come back in any order; the number in a mailbox's "From" line says which is which.
    """
    names = list(letters)
    box = b"".join(
        b"From letter-%d Mon Nov 23 00:00:00 2026\n%s\n" % (number, _quoted(letter))
        for number, letter in enumerate(letters.values())
    )
    command = [program, "--local", "--mbox"]
    try:
        done = subprocess.run(command, input=box, capture_output=True, timeout=SECONDS, check=True)  # noqa: S603 - a fixed command
    except (subprocess.SubprocessError, OSError):
        raise NotDone("SpamAssassin does not answer: try spamassassin --lint") from None
    _, *marked = re.split(rb"(?m)^From letter-(\d+) .*\n", done.stdout)
    if len(marked) != 2 * len(names):
        raise NotDone("SpamAssassin's answer is not whole: try spamassassin --lint")
    for number, letter in zip(marked[::2], marked[1::2], strict=True):
        status = STATUS.search(str(message_from_bytes(letter)["X-Spam-Status"]))
        if status is None:
            raise NotDone("SpamAssassin's answer has no score: try spamassassin --lint")
        yield names[int(number)], float(status[1]), re.sub(r"\s+", "", status[2])


def _quoted(letter: bytes) -> bytes:
    """A letter as a mailbox holds it."""
    return re.sub(rb"(?m)^From ", b">From ", letter.replace(b"\r\n", b"\n"))
