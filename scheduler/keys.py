"""What is made from PHYSIOPOST_SECRET: the stop links, the marks of addresses, and sealed words.

Links and marks are keyed hashes (BLAKE2, RFC 7693), so that the database alone gives neither away.
A stop link names an enrolment by its opaque id and proves itself; its proof is stored nowhere. A
mark stands for an address that must not be written to; it outlives the address. Sealed words, the
keys of second factors, must be read again, so they are encrypted (Fernet: AES and HMAC).

Several secrets may be given, the newest first: it makes what is new, and all of them are believed.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from hashlib import blake2b

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

LENGTH = 16  # octets of a hash
PROOF = 2 * LENGTH  # characters at the end of a stop link


class Keys:
    """The secrets in use."""

    def __init__(self, secrets: Sequence[str], url: str) -> None:
        """Take the secrets, newest first, and the public address that links begin with."""
        self._keys = [blake2b(each.encode()).digest() for each in secrets]
        self._prints = [f"~{_hash(key, b'print', '')[:8]}" for key in self._keys]
        self.url = url

    def stop_url(self, enrolment: str) -> str:
        """The link with which a patient stops the letters."""
        return f"{self.url}/stop/{enrolment}{_hash(self._keys[0], b'stop', enrolment)}"

    def enrolment(self, token: str) -> str | None:
        """The enrolment that a stop link is about, or None if we never made that link."""
        enrolment, proof = token[:-PROOF], token[-PROOF:]
        made = [_hash(key, b"stop", enrolment) for key in self._keys]
        known = [hmac.compare_digest(each.encode(), proof.encode()) for each in made]
        return enrolment if any(known) else None

    def unproven_url(self, enrolment: str) -> str:
        """The stop link as it is kept: its proof gives way to its secret's fingerprint."""
        return f"{self.url}/stop/{enrolment}{self._prints[0]}"

    def proven(self, values: Mapping[str, str]) -> dict[str, str]:
        """Merge values as they went, from those that were kept; a lost secret leaves no link."""
        url = values["stop_url"]
        for key, fingerprint in zip(self._keys, self._prints, strict=True):
            if url.endswith(fingerprint):
                url = url.removesuffix(fingerprint)
                return {**values, "stop_url": url + _hash(key, b"stop", url.rpartition("/")[2])}
        return dict(values)

    def seals(self, purpose: str) -> list[str]:
        """Keys of their own for another purpose, newest first."""
        return [_hash(key, b"seal", purpose) for key in self._keys]

    def sealed(self, owner: str, words: str) -> str:
        """Words that nobody reads without the secret; `owner` is whose they are."""
        return self._box().encrypt(f"{owner} {words}".encode()).decode()

    def opened(self, owner: str, sealed: str) -> str | None:
        """What was sealed, or None if we never sealed it, or not for this owner."""
        try:
            whose, _, words = self._box().decrypt(sealed).decode().partition(" ")
        except (InvalidToken, ValueError):  # ValueError: what is not even ASCII
            return None
        return words if whose == owner else None

    def _box(self) -> MultiFernet:
        keys = [blake2b(key=key, person=b"box", digest_size=32).digest() for key in self._keys]
        return MultiFernet([Fernet(urlsafe_b64encode(key)) for key in keys])

    def marks(self, address: str) -> list[str]:
        """What an address is known by on the list of those not to be written to, newest first."""
        return [_hash(key, b"address", address.casefold()) for key in self._keys]


def _hash(key: bytes, purpose: bytes, words: str) -> str:
    return blake2b(words.encode(), key=key, person=purpose, digest_size=LENGTH).hexdigest()
