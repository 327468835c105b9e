"""SpamAssassin's verdict on each letter, by its local rules only: nothing leaves the machine."""

import re
import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping
from email import message_from_bytes

from scheduler.findings import Finding, NotDone

MOST = 0.5
SECONDS = 300
STATUS = re.compile(r"score=(-?[0-9.]+).*?tests=([A-Z0-9_,\s]*)", re.DOTALL)


def findings(letters: Mapping[str, bytes]) -> Iterator[Finding]:
    """Letters (octets by name) that score over half a point; NotDone without SpamAssassin."""
    program = shutil.which("spamassassin")
    if program is None:
        raise NotDone("SpamAssassin is needed for this: install your system's package spamassassin")
    names = list(letters)
    for number, letter in _marked(program, letters.values()):
        status = STATUS.search(str(message_from_bytes(letter)["X-Spam-Status"]))
        if status is None:
            raise NotDone("SpamAssassin's answer has no score: try spamassassin --lint")
        if (score := float(status[1])) > MOST:
            words = f"scores {score:g} with SpamAssassin ({''.join(status[2].split())})"
            yield Finding(names[number], None, words, f"{MOST:g} at most", "spam")


def _marked(program: str, letters: Collection[bytes]) -> Iterator[tuple[int, bytes]]:
    """All letters in one run, as a mailbox (RFC 4155), since starting it takes two seconds.

    They come back in any order; the number in a mailbox's "From" line says which is which.
    """
    box = b"".join(
        b"From letter-%d Mon Nov 23 00:00:00 2026\n%s\n"
        % (number, re.sub(rb"(?m)^From ", b">From ", letter.replace(b"\r\n", b"\n")))
        for number, letter in enumerate(letters)
    )
    command = [program, "--local", "--mbox"]
    try:
        done = subprocess.run(command, input=box, capture_output=True, timeout=SECONDS, check=True)  # noqa: S603 - a fixed command
    except (subprocess.SubprocessError, OSError):
        raise NotDone("SpamAssassin does not answer: try spamassassin --lint") from None
    _, *marked = re.split(rb"(?m)^From letter-(\d+) .*\n", done.stdout)
    if len(marked) != 2 * len(letters):
        raise NotDone("SpamAssassin's answer is not whole: try spamassassin --lint")
    return zip(map(int, marked[::2]), marked[1::2], strict=True)
