"""The letter as octets for SMTP and for a folder (RFC 5322, 2045, 2046).

The parts between the merge fields are put into quoted-printable once an edition; for each patient
only the values are, joined by soft line breaks, which a reader removes again (RFC 2045, 6.7).
Headers name the clinic and the week, never the patient: To is the bare address. A logo is the same
for everybody, and stands beside the HTML in a multipart/related (RFC 2387, 2392). A plain letter is
its text and nothing else.
"""

from binascii import b2a_qp
from collections.abc import Mapping
from dataclasses import dataclass
from email.header import Header
from email.utils import format_datetime
from functools import lru_cache
from html import escape

from scheduler.letters.editions import Edition
from scheduler.letters.fill import Envelope, completed

EOL = b"\r\n"
SOFT = b"=\r\n"
LINE = 76  # octets without the line end (RFC 2045, 6.7, rule 5)
PLAIN = "text/plain; charset=utf-8"
Parts = tuple[str | bytes, ...]


@dataclass(frozen=True)
class Skeleton:
    """What all letters of an edition share, in the order of the message."""

    top: bytes
    before_text: bytes
    text: Parts
    before_html: bytes
    html: Parts
    end: bytes


def message_id(edition: Edition, envelope: Envelope) -> str:
    """The same for every try of a delivery (RFC 5322, 3.6.4)."""
    return f"<{envelope.delivery}@{edition.from_email.rpartition('@')[2]}>"


def extra_headers(edition: Edition, envelope: Envelope) -> dict[str, str]:
    """What every channel adds to From, To, Subject and Reply-To.

    One-click stop (RFC 8058), "sent by a machine, do not auto-answer" (RFC 3834), the language of
    the letter (RFC 3282).
    """
    return {
        "List-Unsubscribe": f"<{envelope.values['stop_url']}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "Auto-Submitted": "auto-generated",
        "Content-Language": edition.language,
    }


def serialise(edition: Edition, envelope: Envelope) -> bytes:
    """The whole message with CRLF line ends, in lines that every server takes."""
    if any(value.split() != [value] for value in (envelope.to, envelope.values["stop_url"])):
        raise ValueError("an address must not hold white space")
    shared = _skeleton(edition)
    headers = {
        "To": envelope.to,
        "Date": format_datetime(envelope.date),
        "Message-ID": message_id(edition, envelope),
        **extra_headers(edition, envelope),
    }
    values = completed(envelope.values)
    escaped = {field: escape(value) for field, value in values.items()}
    return b"".join(
        (
            *(shared.top, _top(headers), EOL),
            *(shared.before_text, _fill(shared.text, values)),
            *(shared.before_html, _fill(shared.html, escaped)),
            shared.end,
        )
    )


def _fill(parts: Parts, values: Mapping[str, str]) -> bytes:
    pieces = list(parts)
    pieces[1::2] = [_quoted_printable(values[str(field)]) for field in parts[1::2]]
    return SOFT.join(pieces)  # type: ignore[arg-type]  # every piece is bytes by now


@lru_cache(maxsize=256)
def _skeleton(edition: Edition) -> Skeleton:
    boundary, inner = f"=_{edition.hash[:32]}", f"=_{edition.hash[32:]}"
    headers = {
        "From": f"{_phrase(edition.from_name)} <{edition.from_email}>",
        "Reply-To": edition.reply_to,
        "Subject": Header(
            edition.subject,
            "utf-8" if not edition.subject.isascii() else "ascii",
            header_name="Subject",
        ).encode(linesep="\r\n"),
        "MIME-Version": "1.0",
    }
    text = _encoded(edition.text_parts)
    if not edition.html:
        headers |= {"Content-Type": PLAIN, "Content-Transfer-Encoding": "quoted-printable"}
        return Skeleton(_top(headers), b"", text, b"", (), b"")
    headers["Content-Type"] = f'multipart/alternative; boundary="{boundary}"'
    before_html, end = _part(boundary, "text/html; charset=utf-8"), f"\r\n--{boundary}--\r\n"
    if logo := edition.logo:
        related = f'multipart/related; type="text/html"; boundary="{inner}"'
        before_html = f"--{boundary}\r\nContent-Type: {related}\r\n\r\n" + _part(
            inner, "text/html; charset=utf-8"
        )
        name = f"{logo.content_id}.{logo.media_type.rpartition('/')[2]}"
        image = _part(
            inner,
            f"{logo.media_type}\r\nContent-ID: <{logo.content_id}>"
            f'\r\nContent-Disposition: inline; filename="{name}"',
            "base64",
        )
        lines = [logo.content[at : at + LINE] for at in range(0, len(logo.content), LINE)]
        body = "\r\n".join(lines)
        end = f"\r\n{image}{body}\r\n--{inner}--\r\n{end}"
    return Skeleton(
        top=_top(headers),
        before_text=_part(boundary, PLAIN).encode(),
        text=text,
        before_html=f"\r\n{before_html}".encode(),
        html=_encoded(edition.html_parts),
        end=end.encode(),
    )


def _top(headers: Mapping[str, str]) -> bytes:
    return b"".join(f"{name}: {value}\r\n".encode("ascii") for name, value in headers.items())


def _part(boundary: str, kind: str, encoding: str = "quoted-printable") -> str:
    """What stands above the body of a part."""
    return f"--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"


def _encoded(parts: tuple[str, ...]) -> Parts:
    return tuple(part if place % 2 else _quoted_printable(part) for place, part in enumerate(parts))


def _quoted_printable(content: str) -> bytes:
    """Encode a piece that begins on a line of its own."""
    lines = content.replace("\r\n", "\n").replace("\r", "\n").encode()
    encoded = b2a_qp(lines, istext=True, header=False).replace(b"\n", EOL)
    last = encoded.rpartition(b"\n")[2]
    if len(last) < LINE:
        return encoded
    cut = next(at for at in range(LINE - 1, 0, -1) if b"=" not in last[at - 2 : at])
    return encoded[: len(encoded) - len(last) + cut] + SOFT + last[cut:]


def _phrase(name: str) -> str:
    """A display name (RFC 5322 quoted-string, or RFC 2047 when it is not ASCII)."""
    if name.isascii():
        return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return Header(name, "utf-8", header_name="From").encode(linesep="\r\n")
