"""The environment, read once into one frozen object.

Every setting is a variable named PHYSIOPOST_… (and SENDGRID_API_KEY); a secret may also come from
a file named by NAME_FILE. A value that cannot be used stops the start with one line that says what
to set. Nothing else in the package reads the environment.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Literal, TypeVar, get_args
from urllib.parse import SplitResult, unquote, urlsplit

from scheduler.findings import WrongInput, wrong

Channel = Literal["folder", "smtp", "sendgrid"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
Option = TypeVar("Option", bound=str)
LAST_PORT = 65535
SHORTEST_SECRET = 32  # characters
LEAST_VARIED = 8  # of them differ
EXAMPLE = re.compile("change.?(me|it|this)|example|password|your.?secret", re.IGNORECASE)
MOST_LETTERS = 1000  # SendGrid's own limit for a request
NO_SECRET = "letters in a folder reach nobody"  # noqa: S105 - stands for none
PUBLIC = "set the public address of this service, as in https://letters.example.org"
REGION = "set https://api.eu.sendgrid.com, say"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class MailServer:
    """Where SMTP letters go. `tls`: "implicit" (smtps), "starttls", or "none" on this machine.

    Neither this nor Settings tells a secret when it is printed: it may reach a log.
    """

    host: str
    port: int
    tls: Literal["implicit", "starttls", "none"]
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


@dataclass(frozen=True, repr=False)
class Settings:
    """Everything that differs between two installations."""

    database: str
    channel: Channel
    outbox: Path
    smtp: MailServer | None
    smtp_connections: int
    smtp_per_minute: int
    on_unknown: Literal["hold", "resend"]
    sendgrid_key: str
    sendgrid_host: str
    sendgrid_batch: int
    secrets: tuple[str, ...]
    backup_keys: tuple[str, ...]
    webhook_key: str
    url: str
    host: str
    port: int
    course: Path
    templates: Path
    clinic: Path
    subscribers: Path
    ping: str
    metrics: bool
    json_log: bool

    @property
    def journal(self) -> Path:
        """The folder for what is noted while letters go out: beside the database's file, if any."""
        return self.file.parent / "sending" if self.file else self.outbox / "sending"

    @property
    def file(self) -> Path | None:
        """The database's file, if it is one."""
        kind, _, file = self.database.partition(":///")
        return Path(file) if kind == "sqlite" else None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Read all; WrongInput if a value cannot be used, or the chosen channel lacks one."""
        read = _Reader(environ)
        channel = read.choice("PHYSIOPOST_CHANNEL", *CHANNELS)
        smtp = read.secret("PHYSIOPOST_SMTP")
        if channel == "smtp" and not smtp:
            raise _missing("PHYSIOPOST_SMTP", "set smtp://user:password@host:587")
        key = read.secret("SENDGRID_API_KEY")
        if channel == "sendgrid" and not key:
            raise _missing("SENDGRID_API_KEY", "set the key that SendGrid gave you")
        given = read.text("PHYSIOPOST_URL", "http://127.0.0.1:8000")
        # A real channel needs https there (RFC 8058, section 3.1).
        url = _address("PHYSIOPOST_URL", given, PUBLIC, plain=channel == "folder")
        api = read.text("PHYSIOPOST_SENDGRID_HOST", "https://api.sendgrid.com")
        near = _origin(api)[1] in LOOPBACK
        host = read.text("PHYSIOPOST_HOST", "127.0.0.1")
        return cls(
            database=_database(read.secret("PHYSIOPOST_DATABASE")),
            channel=channel,
            outbox=Path(read.text("PHYSIOPOST_OUTBOX", "var/outbox")),
            smtp=_mail_server(smtp) if smtp else None,
            smtp_connections=read.count("PHYSIOPOST_SMTP_CONNECTIONS", 4, 1, 50),
            smtp_per_minute=read.count("PHYSIOPOST_SMTP_PER_MINUTE", 0, 0, 100_000),
            on_unknown=read.choice("PHYSIOPOST_SMTP_ON_UNKNOWN", "hold", "resend"),
            sendgrid_key=key,
            sendgrid_host=_address("PHYSIOPOST_SENDGRID_HOST", api, REGION, plain=near),
            sendgrid_batch=read.count("PHYSIOPOST_SENDGRID_BATCH", 100, 1, MOST_LETTERS),
            secrets=_secrets(read, channel, url, host),
            backup_keys=_long("PHYSIOPOST_BACKUP_KEY", read.secret("PHYSIOPOST_BACKUP_KEY")),
            webhook_key=read.secret("PHYSIOPOST_WEBHOOK_KEY"),
            url=url,
            host=host,
            port=read.count("PHYSIOPOST_PORT", 8000, 0, LAST_PORT),
            course=read.path("PHYSIOPOST_COURSE", shipped("course")),
            templates=read.path("PHYSIOPOST_TEMPLATES", shipped("templates")),
            clinic=read.path("PHYSIOPOST_CLINIC", _beside("clinic.yaml", channel)),
            subscribers=read.path("PHYSIOPOST_SUBSCRIBERS", _beside("subscribers.yaml", channel)),
            ping=_ping(read.secret("PHYSIOPOST_PING")),
            metrics=read.choice("PHYSIOPOST_METRICS", "off", "on") == "on",
            json_log=read.choice("PHYSIOPOST_LOG", "text", "json") == "json",
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
    if channel == "folder":
        return inside
    raise wrong(name, None, "there is no such file here", "write yours, beginning with the example")


def _secrets(read: "_Reader", channel: Channel, url: str, host: str) -> tuple[str, ...]:
    """The secrets, newest first; they may be left out where nothing leaves this machine."""
    if given := _long("PHYSIOPOST_SECRET", read.secret("PHYSIOPOST_SECRET")):
        return given
    if channel != "folder" or not {host, _origin(url)[1]} <= LOOPBACK:
        cure = f"set {SHORTEST_SECRET} random characters or more (openssl rand -hex 32)"
        raise _missing("PHYSIOPOST_SECRET", cure)
    return (NO_SECRET,)


def _long(name: str, value: str) -> tuple[str, ...]:
    """Secrets, newest first, each of them long enough and no word that others know."""
    given = tuple(value.split())
    for each in given:
        if len(each) < SHORTEST_SECRET:
            cure = f"each has {SHORTEST_SECRET} characters or more, and no space"
            raise wrong(name, None, "is too short", cure)
        if len(set(each)) < LEAST_VARIED or EXAMPLE.search(each):
            cure = "let the machine choose one (openssl rand -hex 32)"
            raise wrong(name, None, "is easy to guess", cure)
    return given


def _ping(value: str) -> str:
    """Where a good round reports; not quoted, because such an address is often a secret."""
    if value and not re.fullmatch(r"https?://[^\s/]+(/\S*)?", value):
        raise _missing("PHYSIOPOST_PING", "set an address that begins with https://")
    return value


@dataclass(frozen=True)
class _Reader:
    """The environment with NAME_FILE for secrets."""

    environ: Mapping[str, str]

    def text(self, name: str, default: str = "") -> str:
        return self.environ.get(name, "").strip() or default

    def path(self, name: str, default: Path) -> Path:
        return Path(self.text(name) or default)

    def choice(self, name: str, *options: Option) -> Option:
        """One of some words; the first if none is given."""
        value = self.text(name, options[0])
        for option in options:
            if option == value:
                return option
        raise _unusable(name, value, f"set {', '.join(options[:-1])} or {options[-1]}")

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


def _database(value: str) -> str:
    if value and not value.startswith(("sqlite:///", "postgresql+psycopg://")):
        cure = "set sqlite:///FILE or postgresql+psycopg://…"
        raise _unusable("PHYSIOPOST_DATABASE", "(not shown)", cure)
    return value or "sqlite:///var/physiopost.db"


def _mail_server(value: str) -> MailServer:
    """Take smtp://user:pass@host:port apart; TLS is left out only on this machine itself."""
    cure = "set smtp://user:password@host:587 or smtps://user:password@host:465"
    parts = _parts(value)
    if parts.scheme not in ("smtp", "smtps") or not (host := parts.hostname):
        raise _unusable("PHYSIOPOST_SMTP", "(not shown)", cure)
    implicit = parts.scheme == "smtps"
    return MailServer(
        host=host,
        port=parts.port or (465 if implicit else 587),
        tls="implicit" if implicit else "none" if host in LOOPBACK else "starttls",
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def _address(name: str, value: str, cure: str, *, plain: bool) -> str:
    """An address that others can be built on; without TLS only if `plain`."""
    scheme, host = _origin(value)
    if host and scheme in (("http", "https") if plain else ("https",)):
        return value.rstrip("/")
    raise _unusable(name, re.sub(r"//.*@", "//(not shown)@", value), cure)


def _origin(value: str) -> tuple[str, str]:
    """Scheme and host of an address that others can be built on, else two empty texts."""
    parts = _parts(value if re.fullmatch(r"[A-Za-z0-9:/._~%\[\]-]+", value) else "")
    return parts.scheme, parts.hostname or ""


def _parts(value: str) -> SplitResult:
    """An address taken apart; nothing of one that has a port which is none."""
    with suppress(ValueError):
        if (parts := urlsplit(value)).port != 0:
            return parts
    return urlsplit("")


def _unusable(name: str, value: str, cure: str) -> WrongInput:
    return wrong(name, None, f'"{value}" cannot be used', cure)


def _missing(name: str, cure: str) -> WrongInput:
    return wrong(name, None, "is not set", cure)
