"""The folder channel: a Maildir of .eml files, for demonstrations, tests and other mailers.

1. Write the letter to tmp/, flush it to the disk, and link it into new/ under the delivery's id.
2. The file's name is the evidence: a letter that is there was accepted, one that is not was not.
   So a letter that was written before a crash is found again and never written twice.
3. Before a draft is written, a file in drafts/ under the same id says why it is one: the letter
   itself is to the byte what a patient would get.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Self

from scheduler.delivery.channels import Channel, ChannelDown, Outcome
from scheduler.findings import wrong
from scheduler.letters.editions import Edition
from scheduler.letters.fill import Envelope
from scheduler.letters.mime import serialise


class Folder(Channel):
    """Letters as files. A claim's lease is nil: looking into the folder settles any doubt."""

    name = "folder"
    lease = timedelta(0)
    batch = 200
    drafts = True

    def __init__(self, outbox: Path) -> None:
        """Make the folders (tmp, new, cur, drafts); WrongInput if they cannot be written to."""
        self.outbox = outbox
        try:
            for name in ("", "tmp", "new", "cur", "drafts"):
                (outbox / name).mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = outbox / "tmp" / "probe"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            reason = f"the outbox cannot be written to ({(error.strerror or '').lower()})"
            cure = "set PHYSIOPOST_OUTBOX to a folder of yours, or mend its permissions"
            raise wrong(outbox, None, reason, cure) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def post(
        self, edition: Edition, envelopes: Sequence[Envelope]
    ) -> Iterator[tuple[Envelope, Outcome]]:
        """Write each letter as new/DELIVERY.eml; the folder is flushed once at the end."""
        try:
            self._mark(envelopes)
            for envelope in envelopes:
                self._write(envelope.delivery, serialise(edition, envelope))
                yield envelope, Outcome("accepted")
            _flush(self.outbox / "new")
        except OSError as error:
            reason = (error.strerror or "cannot be written").lower()
            raise ChannelDown(f"the outbox {self.outbox}: {reason}") from None

    def evidence(self, deliveries: Iterable[str]) -> dict[str, Outcome]:
        """Accepted when the file is there, under new/ or moved to cur/ by a mail reader."""
        read = {path.name.partition(".")[0] for path in (self.outbox / "cur").iterdir()}
        return {
            each: Outcome("accepted" if self._file(each).exists() or each in read else "deferred")
            for each in deliveries
        }

    def _file(self, delivery: str) -> Path:
        return self.outbox / "new" / f"{delivery}.eml"

    def _mark(self, envelopes: Sequence[Envelope]) -> None:
        """Say of each letter whether it is a draft; durable before the letters are there."""
        for envelope in envelopes:
            mark = self.outbox / "drafts" / f"{envelope.delivery}.txt"
            if envelope.draft:
                mark.write_text(envelope.draft, encoding="utf-8")
            else:
                mark.unlink(missing_ok=True)
        _flush(self.outbox / "drafts")

    def _write(self, delivery: str, message: bytes) -> None:
        draft = self.outbox / "tmp" / f"{delivery}.{os.getpid()}"
        owners = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(os.open(draft, owners, 0o600), "wb") as file:
            file.write(message)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._file(delivery))


def remove(outbox: Path, deliveries: Collection[str]) -> int:
    """Delete letters, wherever a mail reader or the gallery has put them; how many files went."""
    ids, places = set(deliveries), ("tmp", "new", "cur", "drafts", "letters")
    files = [file for place in places for file in (outbox / place).glob("*")]
    mine = [file for file in files if file.name.partition(".")[0] in ids]
    for file in mine:
        file.unlink(missing_ok=True)
    return len(mine)


def _flush(folder: Path) -> None:
    """Make the new names durable too; not every system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
