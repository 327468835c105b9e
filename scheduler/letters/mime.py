"""The letter as octets for SMTP and for a folder (RFC 5322, 2045, 2046).

The parts between the merge fields are put into quoted-printable once an edition; for each patient
only the values are, joined by soft line breaks, which a reader removes again (RFC 2045, 6.7).
Headers name the clinic and the week, never the patient: To is the bare address. A logo is the same
for everybody, and stands beside the HTML in a multipart/related (RFC 2387, 2392). A plain letter is
its text and nothing else.
"""

from binascii import b2a_qp
from collections.abc import Mapping
from email.header import Header
from email.utils import format_datetime
from functools import lru_cache
from html import escape

from scheduler.letters.editions import Edition
from scheduler.letters.fill import Envelope, completed

EOL = b"\r\n"
SOFT = b"=\r\n"
LINE = 76  # octets without the line end (RFC 2045, 6.7, rule 5)
PLAIN, HTML = "text/plain; charset=utf-8", "text/html; charset=utf-8"
IN_HTML = "html "  # before the name of a field whose value is escaped


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
    top, literals, fields = _skeleton(edition)
    headers = {
        "To": envelope.to,
        "Date": format_datetime(envelope.date),
        "Message-ID": message_id(edition, envelope),
        **extra_headers(edition, envelope),
    }
    values = completed(envelope.values)
    values = {**values, **{f"{IN_HTML}{field}": escape(value) for field, value in values.items()}}
    pieces = [b""] * (len(literals) + len(fields))
    pieces[::2] = literals
    pieces[1::2] = [_quoted_printable(values[field]) for field in fields]
    return b"".join((top, _top(headers), EOL, SOFT.join(pieces)))


@lru_cache(maxsize=256)
def _skeleton(edition: Edition) -> tuple[bytes, list[bytes], list[str]]:
    """What all letters of an edition share: headers, the body cut at its fields, and the fields."""
    boundary, inner = f"=_{edition.hash[:32]}", f"=_{edition.hash[32:]}"
    charset = "ascii" if edition.subject.isascii() else "utf-8"
    subject = Header(edition.subject, charset, header_name="Subject")
    headers = {
        "From": f"{_phrase(edition.from_name)} <{edition.from_email}>",
        "Reply-To": edition.reply_to,
        "Subject": subject.encode(linesep="\r\n"),
        "MIME-Version": "1.0",
    }
    literals = [*map(_quoted_printable, edition.text_parts[::2])]
    fields = [*edition.text_parts[1::2]]
    if not edition.html:
        headers |= {"Content-Type": PLAIN, "Content-Transfer-Encoding": "quoted-printable"}
        return _top(headers), literals, fields
    headers["Content-Type"] = f'multipart/alternative; boundary="{boundary}"'
    before_html, end = _part(boundary, HTML), f"\r\n--{boundary}--\r\n"
    if logo := edition.logo:
        related = f'multipart/related; type="text/html"; boundary="{inner}"'
        before_html = f"--{boundary}\r\nContent-Type: {related}\r\n\r\n{_part(inner, HTML)}"
        name = f"{logo.content_id}.{logo.media_type.rpartition('/')[2]}"
        shown = f'Content-ID: <{logo.content_id}>\r\nContent-Disposition: inline; filename="{name}"'
        image = _part(inner, f"{logo.media_type}\r\n{shown}", "base64")
        lines = [logo.content[at : at + LINE] for at in range(0, len(logo.content), LINE)]
        body = "\r\n".join(lines)
        end = f"\r\n{image}{body}\r\n--{inner}--\r\n{end}"
    first, *html = map(_quoted_printable, edition.html_parts[::2])
    literals[0] = _part(boundary, PLAIN).encode() + literals[0]
    literals[-1] += f"\r\n{before_html}".encode() + first
    literals += html
    literals[-1] += end.encode()
    return _top(headers), literals, fields + [IN_HTML + field for field in edition.html_parts[1::2]]


def _top(headers: Mapping[str, str]) -> bytes:
    return b"".join(f"{name}: {value}\r\n".encode("ascii") for name, value in headers.items())


def _part(boundary: str, kind: str, encoding: str = "quoted-printable") -> str:
    """What stands above the body of a part."""
    return f"--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"


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
