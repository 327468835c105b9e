"""What the processes of this machine have begun to send: evidence for a channel that has none.

1. A batch is noted with its fences as soon as it is claimed, each letter again before its dialogue
   with the server, and with its outcome as soon as there is one. A note is one write().
2. After `kill -9` the kernel still has every note. A letter that was claimed and not begun surely
   did not go; one with an outcome has it; only those that were begun are in doubt. (So is the whole
   batch if the kill falls between the claim's commit and its note: well under a millisecond.)
3. A power cut may take the last notes with it, so notes from before the machine's last start say
   nothing: everything that was claimed then is in doubt. The same holds where a start has no name
   (/proc/sys/kernel/random/boot_id), for the notes of another machine, and for those of a process
   that lives, which it shows by a lock.
4. A second try has a higher fence, so no note of an earlier one speaks for it.

The files are for their owner's eyes, hold random ids and reply codes, and go when the channel is
closed; those of the dead go after a day, which the next round has long had to read them.
"""

import fcntl
import os
from collections.abc import Mapping
from contextlib import suppress
from errno import ENOSPC
from pathlib import Path
from secrets import token_hex

from scheduler.ledger.claims import Outcome

FULL = 1_000_000  # octets, some 8,000 letters; what is older than the last batch was recorded
BOOT = Path("/proc/sys/kernel/random/boot_id")


class Journal:
    """One process's notes, in a file of its own beside those of others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.boot = BOOT.read_text().strip() if BOOT.exists() else ""
        self.file: Path | None = None
        self.handle = -1
        self.fences: Mapping[str, int] = {}

    def claimed(self, fences: Mapping[str, int]) -> None:
        """Note a batch before anything else is done with it; OSError if it cannot be noted."""
        if not self.file:
            self.file, self.handle = self._open()
        elif os.fstat(self.handle).st_size > FULL:
            os.ftruncate(self.handle, 0)
        self.fences = dict(fences)
        self._write("".join(f"{each} {fence} claimed \n" for each, fence in fences.items()))

    def note(self, delivery: str, state: str, reason: str = "") -> None:
        """Note that a letter of the batch is begun, is not after all (claimed), or its outcome."""
        if fence := self.fences.get(delivery):
            self._write(f"{delivery} {fence} {state} {reason}\n")

    def known(self, fences: Mapping[str, int]) -> dict[str, Outcome]:
        """What the notes prove of these tries; nothing of one that was begun and not answered."""
        proven: dict[str, Outcome] = {}
        for file in self.folder.glob(f"{self.boot}.*") if self.boot else ():
            if file != self.file and not _abandoned(file):
                continue
            for line in file.read_text("ascii", "replace").splitlines():
                delivery, fence, state, reason = [*line.split(" ", 3), "", "", ""][:4]
                if fence != str(fences.get(delivery)):
                    continue
                match state:
                    case "claimed":
                        proven[delivery] = Outcome("deferred")
                    case "accepted" | "refused" | "deferred" | "unknown":
                        proven[delivery] = Outcome(state, reason)
                    case _:  # begun
                        proven.pop(delivery, None)
        return proven

    def close(self, *, done: bool) -> None:
        """Let go of the file; delete it if all of it was recorded."""
        if self.file:
            os.close(self.handle)
            if done:
                self.file.unlink(missing_ok=True)
        self.file = None

    def _open(self) -> tuple[Path, int]:
        """A new locked file; whoever was here before has been read by now."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self.folder / f"{self.boot}.{token_hex(8)}"
        handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        yesterday = file.stat().st_mtime - 86_400
        for other in self.folder.iterdir():
            with suppress(OSError):
                if other.stat().st_mtime < yesterday and _abandoned(other):
                    other.unlink()
        return file, handle

    def _write(self, lines: str) -> None:
        octets = lines.encode("ascii", "replace")
        if os.write(self.handle, octets) < len(octets):
            raise OSError(ENOSPC, os.strerror(ENOSPC))


def _abandoned(file: Path) -> bool:
    """Whether its process is dead: the lock went with it."""
    with suppress(OSError), file.open("rb") as notes:
        fcntl.flock(notes, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
