"""What is made from PHYSIOPOST_SECRET: the stop links, and the marks of addresses.

Both are keyed hashes (BLAKE2, RFC 7693), so that the database alone gives neither away. A stop link
names an enrolment by its opaque id and proves itself; nothing about it is stored. A mark stands for
an address that must not be written to; it outlives the address.

Several secrets may be given, the newest first: it makes what is new, and all of them are believed.
"""

import hmac
from collections.abc import Sequence
from hashlib import blake2b

LENGTH = 16  # octets of a hash
PROOF = 2 * LENGTH  # characters at the end of a stop link


class Keys:
    """The secrets in use."""

    def __init__(self, secrets: Sequence[str], url: str) -> None:
        """Take the secrets, newest first, and the public address that links begin with."""
        self._keys = [blake2b(each.encode()).digest() for each in secrets]
        self.url = url

    def __repr__(self) -> str:
        """Never a secret."""
        return "Keys()"

    def stop_url(self, enrolment: str) -> str:
        """The link with which a patient stops the letters."""
        return f"{self.url}/stop/{enrolment}{_hash(self._keys[0], b'stop', enrolment)}"

    def enrolment(self, token: str) -> str | None:
        """The enrolment that a stop link is about, or None if we never made that link."""
        enrolment, proof = token[:-PROOF], token[-PROOF:]
        made = [_hash(key, b"stop", enrolment) for key in self._keys]
        known = [hmac.compare_digest(each.encode(), proof.encode()) for each in made]
        return enrolment if any(known) else None

    def seal(self, purpose: str) -> str:
        """A key of its own for another purpose, made from the newest secret."""
        return _hash(self._keys[0], b"seal", purpose)

    def marks(self, address: str) -> list[str]:
        """What an address is known by on the list of those not to be written to, newest first."""
        return [_hash(key, b"address", address.casefold()) for key in self._keys]


def _hash(key: bytes, purpose: bytes, words: str) -> str:
    return blake2b(words.encode(), key=key, person=purpose, digest_size=LENGTH).hexdigest()
