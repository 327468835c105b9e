"""A sealed file: written once, read in order, and nothing of it is believed that was changed.

1. The head names the format and holds a salt; the file's own key is made from it and the owner's
   (BLAKE2, RFC 7693), so that two files never share one.
2. The content is compressed and goes in chunks, so that no size of it fills the memory. Each chunk
   is encrypted and signed with its number, and the last one with the word that it is the last
   (AES-256-GCM in the STREAM construction): a chunk that is changed, moved or missing is noticed,
   and so is a file that was cut off.
3. Only the file's owner may read it.

Whoever reads a file must act on nothing before the last line has come: it comes if all is well.
"""

import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from scheduler.findings import private, wrong

FORMAT = b"physiopost backup 1\n"
SALT = 16  # octets
CHUNK = 64 * 1024  # octets before they are encrypted
SEALED = CHUNK + 16  # and after


def write(path: Path, key: str, lines: Iterable[bytes]) -> None:
    """Write lines, each without its end, into a new file; WrongInput if it cannot be made."""
    salt = os.urandom(SALT)
    cipher, number, held = _cipher(key, salt), 0, b""
    with private(path, "name a new file in a folder of yours") as file:
        file.write(FORMAT + salt)
        for piece in _squeezed(lines):
            held += piece
            while len(held) > CHUNK:
                file.write(cipher.encrypt(_nonce(number, last=False), held[:CHUNK], FORMAT))
                held, number = held[CHUNK:], number + 1
        file.write(cipher.encrypt(_nonce(number, last=True), held, FORMAT))
        file.flush()
        os.fsync(file.fileno())


def read(path: Path, keys: Sequence[str]) -> Iterator[bytes]:
    """The lines of a file; WrongInput if no key opens it, or it was changed or cut off."""
    rest, loosen = b"", zlib.decompressobj()
    try:
        with path.open("rb") as file:
            if file.read(len(FORMAT)) != FORMAT:
                cure = "name a file that physiopost backup wrote, in a version that this one knows"
                raise wrong(path, None, "is no backup that can be read here", cure)
            for chunk in _chunks(file, keys):
                *lines, rest = (rest + loosen.decompress(chunk)).split(b"\n")
                yield from lines
    except OSError as error:
        reason = f"cannot be read ({(error.strerror or '').lower()})"
        raise wrong(path, None, reason, "name a backup") from None
    except (InvalidTag, zlib.error):
        reason = "was sealed with another key, or it was changed or cut off since"
        cure = "set PHYSIOPOST_BACKUP_KEY or PHYSIOPOST_SECRET as it was then, or take another one"
        raise wrong(path, None, reason, cure) from None


def _chunks(file: BinaryIO, keys: Sequence[str]) -> Iterator[bytes]:
    """What was sealed, a chunk at a time; the first one shows which key it is."""
    salt = file.read(SALT)
    ciphers = [_cipher(key, salt) for key in keys]
    number, chunk = 0, file.read(SEALED)
    while True:
        after = file.read(SEALED)
        cipher, content = _decrypted(ciphers, _nonce(number, last=not after), chunk)
        yield content
        if not after:
            return
        ciphers, number, chunk = [cipher], number + 1, after


def _decrypted(ciphers: Sequence[AESGCM], nonce: bytes, chunk: bytes) -> tuple[AESGCM, bytes]:
    for cipher in ciphers:
        with suppress(InvalidTag):
            return cipher, cipher.decrypt(nonce, chunk, FORMAT)
    raise InvalidTag


def _cipher(key: str, salt: bytes) -> AESGCM:
    owners = blake2b(key.encode()).digest()
    return AESGCM(blake2b(salt, key=owners, person=b"backup", digest_size=32).digest())


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11) + bytes([last])


def _squeezed(lines: Iterable[bytes]) -> Iterator[bytes]:
    squeeze = zlib.compressobj()
    for line in lines:
        yield squeeze.compress(line + b"\n")
    yield squeeze.flush()
