"""The environment, read once into one frozen object.

Every setting is a variable named PHYSIOPOST_… (and SENDGRID_API_KEY); a secret may also come from
a file named by NAME_FILE. A value that cannot be used stops the start with one line that says what
to set. Nothing else in the package reads the environment.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from scheduler.findings import WrongInput, wrong

Channel = Literal["folder", "smtp", "sendgrid"]
CHANNELS: tuple[Channel, ...] = ("folder", "smtp", "sendgrid")
OnUnknown = Literal["hold", "resend"]
ON_UNKNOWN: tuple[OnUnknown, ...] = ("hold", "resend")
LAST_PORT = 65535
SHORTEST_SECRET = 32  # characters
MOST_LETTERS = 1000  # SendGrid's own limit for a request
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class MailServer:
    """Where SMTP letters go. `tls`: "implicit" (smtps), "starttls", or "none" on this machine."""

    host: str
    port: int
    tls: Literal["implicit", "starttls", "none"]
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        """Never the login: a settings object may reach a log."""
        return f"MailServer({self.host}:{self.port})"


@dataclass(frozen=True)
class Settings:
    """Everything that differs between two installations."""

    database: str
    channel: Channel
    outbox: Path
    smtp: MailServer | None
    smtp_connections: int
    smtp_per_minute: int
    on_unknown: OnUnknown
    sendgrid_key: str
    sendgrid_host: str
    sendgrid_batch: int
    secrets: tuple[str, ...]
    webhook_key: str
    url: str
    host: str
    port: int
    course: Path
    templates: Path
    clinic: Path
    subscribers: Path
    ping: str

    def __repr__(self) -> str:
        """Never a key or a password."""
        return f"Settings(channel={self.channel})"

    @property
    def journal(self) -> Path:
        """The folder for what is noted while letters go out: beside the database's file, if any."""
        kind, _, file = self.database.partition(":///")
        return Path(file).parent / "sending" if kind == "sqlite" else self.outbox / "sending"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Read and check every setting.

        Raises:
            WrongInput: a value cannot be used, or the chosen channel lacks one.

        """
        read = _Reader(environ)
        channel = read.text("PHYSIOPOST_CHANNEL", "folder")
        if channel not in CHANNELS:
            raise _unusable("PHYSIOPOST_CHANNEL", channel, "set folder, smtp or sendgrid")
        smtp = read.secret("PHYSIOPOST_SMTP")
        if channel == "smtp" and not smtp:
            raise _missing("PHYSIOPOST_SMTP", "set smtp://user:password@host:587")
        key = read.secret("SENDGRID_API_KEY")
        if channel == "sendgrid" and not key:
            raise _missing("SENDGRID_API_KEY", "set the key that SendGrid gave you")
        on_unknown = read.text("PHYSIOPOST_SMTP_ON_UNKNOWN", "hold")
        if on_unknown not in ON_UNKNOWN:
            raise _unusable("PHYSIOPOST_SMTP_ON_UNKNOWN", on_unknown, "set hold or resend")
        return cls(
            database=_database(read.secret("PHYSIOPOST_DATABASE")),
            channel=channel,
            outbox=Path(read.text("PHYSIOPOST_OUTBOX", "var/outbox")),
            smtp=_mail_server(smtp) if smtp else None,
            smtp_connections=read.count("PHYSIOPOST_SMTP_CONNECTIONS", 4, 1, 50),
            smtp_per_minute=read.count("PHYSIOPOST_SMTP_PER_MINUTE", 0, 0, 100_000),
            on_unknown=on_unknown,
            sendgrid_key=key,
            sendgrid_host=_host(read.text("PHYSIOPOST_SENDGRID_HOST", "https://api.sendgrid.com")),
            sendgrid_batch=_batch(read.text("PHYSIOPOST_SENDGRID_BATCH", "100")),
            secrets=_secrets(read.secret("PHYSIOPOST_SECRET"), channel),
            webhook_key=read.secret("PHYSIOPOST_WEBHOOK_KEY"),
            url=_public_url(read.text("PHYSIOPOST_URL", "http://127.0.0.1:8000"), channel),
            host=read.text("PHYSIOPOST_HOST", "127.0.0.1"),
            port=_port(read.text("PHYSIOPOST_PORT", "8000")),
            course=_place(read.text("PHYSIOPOST_COURSE"), shipped("course")),
            templates=_place(read.text("PHYSIOPOST_TEMPLATES"), shipped("templates")),
            clinic=_place(read.text("PHYSIOPOST_CLINIC"), _beside("clinic.yaml", channel)),
            subscribers=_place(
                read.text("PHYSIOPOST_SUBSCRIBERS"), _beside("subscribers.yaml", channel)
            ),
            ping=_ping(read.secret("PHYSIOPOST_PING")),
        )


def shipped(name: str) -> Path:
    """The shipped folder: inside the installed package, or beside it in a checkout."""
    package = Path(str(files("scheduler")))
    inside = package / name
    return inside if inside.exists() else package.parent / name


def _beside(name: str, channel: Channel) -> Path:
    """The user's own file in the current folder, else the example, which reaches nobody."""
    here = Path(name)
    inside = shipped("example") / name
    if here.exists() or not inside.exists():
        return here
    if channel != "folder":
        cure = "write yours, beginning with the example"
        raise wrong(name, None, "there is no such file here", cure)
    return inside


def _secrets(value: str, channel: Channel) -> tuple[str, ...]:
    """The secrets, newest first. Into a folder nothing is secret, so there it may be left out."""
    given = tuple(value.split())
    if not given and channel == "folder":
        return ("letters in a folder reach nobody",)
    if given and min(map(len, given)) < SHORTEST_SECRET:
        cure = f"each has {SHORTEST_SECRET} characters or more, and no space"
        raise wrong("PHYSIOPOST_SECRET", None, "is too short", cure)
    if not given:
        cure = f"set {SHORTEST_SECRET} random characters or more (openssl rand -hex 32)"
        raise _missing("PHYSIOPOST_SECRET", cure)
    return given


def _ping(value: str) -> str:
    """Where a good round reports; not quoted, because such an address is often a secret."""
    if value and not re.fullmatch(r"https?://[^\s/]+(/\S*)?", value):
        raise _missing("PHYSIOPOST_PING", "set an address that begins with https://")
    return value


class _Reader:
    """The environment with NAME_FILE for secrets."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    def text(self, name: str, default: str = "") -> str:
        return self.environ.get(name, "").strip() or default

    def secret(self, name: str) -> str:
        file = self.text(f"{name}_FILE")
        if not file:
            return self.text(name)
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(f"{name}_FILE", file, "name a file that can be read") from error

    def count(self, name: str, default: int, least: int, most: int) -> int:
        value = self.text(name, str(default))
        if re.fullmatch("[0-9]{1,9}", value) and least <= int(value) <= most:
            return int(value)
        raise _unusable(name, value, f"set a number from {least} to {most}")


def _place(value: str, default: Path) -> Path:
    return Path(value) if value else default


def _database(value: str) -> str:
    if not value:
        return "sqlite:///var/physiopost.db"
    if not value.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise _unusable(
            "PHYSIOPOST_DATABASE", "(not shown)", "set sqlite:///FILE or postgresql+psycopg://…"
        )
    return value


def _mail_server(value: str) -> MailServer:
    """Take smtp://user:pass@host:port apart; TLS is left out only on this machine itself."""
    cure = "set smtp://user:password@host:587 or smtps://user:password@host:465"
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in ("smtp", "smtps") or not host:
        raise _unusable("PHYSIOPOST_SMTP", "(not shown)", cure)
    implicit = parts.scheme == "smtps"
    return MailServer(
        host=host,
        port=port or (465 if implicit else 587),
        tls="implicit" if implicit else "none" if host in LOOPBACK else "starttls",
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def _host(value: str) -> str:
    scheme, host = _origin(value)
    if host and (scheme == "https" or (scheme == "http" and host in LOOPBACK)):
        return value.rstrip("/")
    cure = "set https://api.eu.sendgrid.com, say"
    raise _unusable("PHYSIOPOST_SENDGRID_HOST", _without_login(value), cure)


def _public_url(value: str, channel: str) -> str:
    """The address patients reach; a real channel needs https there (RFC 8058, section 3.1)."""
    scheme, host = _origin(value)
    if host and scheme in (("http", "https") if channel == "folder" else ("https",)):
        return value.rstrip("/")
    cure = "set the public address of this service, as in https://letters.example.org"
    raise _unusable("PHYSIOPOST_URL", _without_login(value), cure)


def _origin(value: str) -> tuple[str, str]:
    """Scheme and host of an address that others can be built on, else two empty texts."""
    try:
        parts = urlsplit(value)
        plain = re.fullmatch(r"[A-Za-z0-9:/._~%\[\]-]+", value) and parts.port != 0
    except ValueError:
        plain = False
    return (parts.scheme, parts.hostname or "") if plain else ("", "")


def _without_login(value: str) -> str:
    return re.sub(r"//.*@", "//(not shown)@", value)


def _port(value: str) -> int:
    if value.isascii() and value.isdigit() and 0 <= int(value) <= LAST_PORT:
        return int(value)
    raise _unusable("PHYSIOPOST_PORT", value, "set a number, as in 8000")


def _batch(value: str) -> int:
    if re.fullmatch("[0-9]{1,4}", value) and 1 <= int(value) <= MOST_LETTERS:
        return int(value)
    cure = f"set how many letters go to SendGrid in a request, 1 to {MOST_LETTERS}"
    raise _unusable("PHYSIOPOST_SENDGRID_BATCH", value, cure)


def _unusable(name: str, value: str, cure: str) -> WrongInput:
    return wrong(name, None, f'"{value}" cannot be used', cure)


def _missing(name: str, cure: str) -> WrongInput:
    return wrong(name, None, "is not set", cure)
