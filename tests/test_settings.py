"""What the settings promise: defaults, each variable, its file, and no secret in any word."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from scheduler.findings import WrongInput
from scheduler.settings import MailServer, Settings, shipped

SECRET = "hunter2-Zx9"
LONG = "0123456789abcdef" * 2
SMTP = {
    "PHYSIOPOST_SECRET": LONG,
    "PHYSIOPOST_CHANNEL": "smtp",
    "PHYSIOPOST_SMTP": f"smtp://clinic:{SECRET}@mail.example.org",
    "PHYSIOPOST_URL": "https://letters.example.org",
}
SENDGRID = {
    "PHYSIOPOST_SECRET": LONG,
    "PHYSIOPOST_CHANNEL": "sendgrid",
    "SENDGRID_API_KEY": SECRET,
    "PHYSIOPOST_URL": "https://letters.example.org",
}


def read(**environ: str) -> Settings:
    return Settings.from_environment(environ)


def refusal(environ: dict[str, str]) -> str:
    """The one line that a bad environment gets."""
    with pytest.raises(WrongInput) as error:
        Settings.from_environment(environ)
    (finding,) = error.value.findings
    assert finding.cure
    line = str(finding)
    assert "\n" not in line
    return line


def test_with_nothing_set_it_is_an_example_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    given = read()
    assert given.database == "sqlite:///var/physiopost.db"
    assert (given.channel, given.outbox) == ("folder", Path("var/outbox"))
    assert (given.smtp, given.sendgrid_key) == (None, "")
    assert given.sendgrid_host == "https://api.sendgrid.com"
    assert given.sendgrid_batch == 100
    assert (given.smtp_connections, given.smtp_per_minute, given.on_unknown) == (4, 0, "hold")
    assert given.journal == Path("var/sending")
    assert given.url == "http://127.0.0.1:8000"
    assert (given.course, given.templates) == (root / "course", root / "templates")
    assert (given.clinic, given.subscribers) == (Path("clinic.yaml"), Path("subscribers.yaml"))


@pytest.mark.parametrize(
    ("name", "value", "field", "read_as"),
    [
        ("PHYSIOPOST_DATABASE", "sqlite:///x.db", "database", "sqlite:///x.db"),
        (
            *("PHYSIOPOST_DATABASE", "postgresql+psycopg://u:p@h/d"),
            *("database", "postgresql+psycopg://u:p@h/d"),
        ),
        ("PHYSIOPOST_CHANNEL", "folder", "channel", "folder"),
        ("PHYSIOPOST_OUTBOX", "/srv/out", "outbox", Path("/srv/out")),
        ("PHYSIOPOST_SMTP", "smtp://h", "smtp", MailServer("h", 587, "starttls")),
        ("PHYSIOPOST_SMTP_CONNECTIONS", "1", "smtp_connections", 1),
        ("PHYSIOPOST_SMTP_PER_MINUTE", "30", "smtp_per_minute", 30),
        ("PHYSIOPOST_SMTP_ON_UNKNOWN", "resend", "on_unknown", "resend"),
        ("SENDGRID_API_KEY", "SG.x", "sendgrid_key", "SG.x"),
        (
            *("PHYSIOPOST_SENDGRID_HOST", "https://api.eu.sendgrid.com/"),
            *("sendgrid_host", "https://api.eu.sendgrid.com"),
        ),
        (
            *("PHYSIOPOST_SENDGRID_HOST", "http://127.0.0.1:9"),
            *("sendgrid_host", "http://127.0.0.1:9"),
        ),
        ("PHYSIOPOST_URL", "https://letters.example.org/", "url", "https://letters.example.org"),
        ("PHYSIOPOST_COURSE", "a course", "course", Path("a course")),
        ("PHYSIOPOST_TEMPLATES", "t", "templates", Path("t")),
        ("PHYSIOPOST_SECRET", f"{LONG} {LONG}x", "secrets", (LONG, f"{LONG}x")),
        ("PHYSIOPOST_BACKUP_KEY", f"{LONG}y {LONG}", "backup_keys", (f"{LONG}y", LONG)),
        ("PHYSIOPOST_WEBHOOK_KEY", "MFkw", "webhook_key", "MFkw"),
        ("PHYSIOPOST_PING", "https://ping.example.org/a", "ping", "https://ping.example.org/a"),
        ("PHYSIOPOST_METRICS", "on", "metrics", True),
        ("PHYSIOPOST_METRICS", "", "metrics", False),
        ("PHYSIOPOST_LOG", "json", "json_log", True),
        ("PHYSIOPOST_SENDGRID_BATCH", "1", "sendgrid_batch", 1),
        ("PHYSIOPOST_SENDGRID_BATCH", "1000", "sendgrid_batch", 1000),
        ("PHYSIOPOST_CLINIC", "c.yaml", "clinic", Path("c.yaml")),
        ("PHYSIOPOST_SUBSCRIBERS", "s.yaml", "subscribers", Path("s.yaml")),
    ],
)
def test_a_variable_sets_its_field_and_no_other(
    name: str, value: str, field: str, read_as: object
) -> None:
    changes: dict[str, Any] = {field: read_as}
    base = {} if name == "PHYSIOPOST_SECRET" else {"PHYSIOPOST_SECRET": LONG}
    assert read(**base | {name: value}) == replace(read(**base), **changes)
    assert read(**base | {name: f" {value}\n"}) == replace(read(**base), **changes)
    assert read(**base | {name: "  "}) == read(**base)


@pytest.mark.parametrize(
    ("database", "folder"),
    [
        ("sqlite:///var/x.db", "var/sending"),
        ("sqlite:////srv/clinic/x.db", "/srv/clinic/sending"),
        ("postgresql+psycopg://u:p@h/d", "/srv/out/sending"),
    ],
)
def test_what_is_noted_while_sending_lies_beside_the_database_else_in_the_outbox(
    database: str, folder: str
) -> None:
    given = read(PHYSIOPOST_DATABASE=database, PHYSIOPOST_OUTBOX="/srv/out")
    assert given.journal == Path(folder)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example.org", MailServer("mail.example.org", 587, "starttls")),
        ("smtp://mail.example.org:2525", MailServer("mail.example.org", 2525, "starttls")),
        ("smtps://mail.example.org", MailServer("mail.example.org", 465, "implicit")),
        ("smtps://localhost:4650", MailServer("localhost", 4650, "implicit")),
        ("smtp://127.0.0.1:25", MailServer("127.0.0.1", 25, "none")),
        ("smtp://[::1]:25", MailServer("::1", 25, "none")),
        (
            "smtp://clinic%40example.org:p%40ss%3Aw%2F@mail.example.org",
            MailServer("mail.example.org", 587, "starttls", "clinic@example.org", "p@ss:w/"),
        ),
    ],
)
def test_a_mail_server_is_encrypted_unless_it_is_this_machine(url: str, server: MailServer) -> None:
    assert read(PHYSIOPOST_SMTP=url).smtp == server


@pytest.mark.parametrize(
    ("name", "field", "value", "shown"),
    [
        ("SENDGRID_API_KEY", "sendgrid_key", "SG.x", "SG.x"),
        ("PHYSIOPOST_DATABASE", "database", "sqlite:///x.db", "sqlite:///x.db"),
        ("PHYSIOPOST_SMTP", "smtp", "smtp://h", MailServer("h", 587, "starttls")),
    ],
)
def test_a_secret_may_come_from_a_file_which_goes_before_the_variable(
    tmp_path: Path, name: str, field: str, value: str, shown: object
) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{value}\n", encoding="utf-8")
    assert getattr(read(**{f"{name}_FILE": str(file)}), field) == shown
    both = {f"{name}_FILE": str(file), name: "smtp://other"}
    assert getattr(read(**both), field) == shown


@pytest.mark.parametrize(
    "name", ["SENDGRID_API_KEY_FILE", "PHYSIOPOST_DATABASE_FILE", "PHYSIOPOST_SMTP_FILE"]
)
@pytest.mark.parametrize(
    "spoil",
    [
        Path.exists,
        Path.mkdir,
        lambda path: path.write_bytes(SECRET.encode() + b"\xff"),
    ],
    ids=["missing", "a folder", "not text"],
)
def test_a_secret_file_that_cannot_be_read_is_named_and_not_shown(
    tmp_path: Path, name: str, spoil: Callable[[Path], object]
) -> None:
    file = tmp_path / "secret"
    spoil(file)
    line = refusal({name: str(file)})
    assert line.startswith(f"{name}: ")
    assert str(file) in line
    assert SECRET not in line


@pytest.mark.parametrize(
    ("environ", "name", "cure"),
    [
        ({"PHYSIOPOST_CHANNEL": "pigeon"}, "PHYSIOPOST_CHANNEL", "folder, smtp or sendgrid"),
        ({"PHYSIOPOST_CHANNEL": "SMTP"}, "PHYSIOPOST_CHANNEL", "folder, smtp or sendgrid"),
        ({"PHYSIOPOST_CHANNEL": "smtp"}, "PHYSIOPOST_SMTP", "smtp://user:password@host:587"),
        ({"PHYSIOPOST_CHANNEL": "sendgrid"}, "SENDGRID_API_KEY", "the key"),
        ({"PHYSIOPOST_SMTP": "mail.example.org"}, "PHYSIOPOST_SMTP", "smtp://user:password"),
        ({"PHYSIOPOST_SMTP": f"http://u:{SECRET}@h"}, "PHYSIOPOST_SMTP", "smtp://user:"),
        ({"PHYSIOPOST_SMTP": f"smtp://u:{SECRET}@"}, "PHYSIOPOST_SMTP", "smtp://user:"),
        ({"PHYSIOPOST_SMTP": f"smtp://u:{SECRET}@h:port"}, "PHYSIOPOST_SMTP", "smtp://user:"),
        ({"PHYSIOPOST_SMTP": f"smtp://u:{SECRET}@h:99999"}, "PHYSIOPOST_SMTP", "smtp://user:"),
        ({"PHYSIOPOST_SMTP": f"smtp://u:{SECRET}@[::1"}, "PHYSIOPOST_SMTP", "smtp://user:"),
        ({"PHYSIOPOST_SMTP_CONNECTIONS": "0"}, "PHYSIOPOST_SMTP_CONNECTIONS", "from 1 to 50"),
        ({"PHYSIOPOST_SMTP_CONNECTIONS": "²"}, "PHYSIOPOST_SMTP_CONNECTIONS", "from 1 to 50"),
        ({"PHYSIOPOST_SMTP_PER_MINUTE": "-1"}, "PHYSIOPOST_SMTP_PER_MINUTE", "from 0 to"),
        ({"PHYSIOPOST_SMTP_PER_MINUTE": "9" * 30}, "PHYSIOPOST_SMTP_PER_MINUTE", "from 0 to"),
        ({"PHYSIOPOST_SMTP_ON_UNKNOWN": "retry"}, "PHYSIOPOST_SMTP_ON_UNKNOWN", "hold or resend"),
        ({"PHYSIOPOST_DATABASE": f"mysql://u:{SECRET}@h/d"}, "PHYSIOPOST_DATABASE", "sqlite:///"),
        ({"PHYSIOPOST_DATABASE": "physiopost.db"}, "PHYSIOPOST_DATABASE", "sqlite:///"),
        ({"PHYSIOPOST_URL": "letters.example.org"}, "PHYSIOPOST_URL", "https://"),
        ({"PHYSIOPOST_URL": "https://"}, "PHYSIOPOST_URL", "https://"),
        ({"PHYSIOPOST_URL": "https://a.example b"}, "PHYSIOPOST_URL", "https://"),
        ({"PHYSIOPOST_URL": "https://[::1"}, "PHYSIOPOST_URL", "https://"),
        ({"PHYSIOPOST_URL": "https://a.example:port"}, "PHYSIOPOST_URL", "https://"),
        ({"PHYSIOPOST_URL": "https://bücher.example"}, "PHYSIOPOST_URL", "https://"),
        ({"PHYSIOPOST_URL": "https://a.example/>,<http://b.example"}, "PHYSIOPOST_URL", "https://"),
        ({"PHYSIOPOST_URL": "https://a.example/?x=1"}, "PHYSIOPOST_URL", "https://"),
        (SMTP | {"PHYSIOPOST_URL": "http://letters.example.org"}, "PHYSIOPOST_URL", "https://"),
        (SENDGRID | {"PHYSIOPOST_URL": ""}, "PHYSIOPOST_URL", "https://"),
        (
            {"PHYSIOPOST_SENDGRID_HOST": "http://api.sendgrid.com"},
            *("PHYSIOPOST_SENDGRID_HOST", "https://"),
        ),
        (
            {"PHYSIOPOST_SENDGRID_HOST": "api.eu.sendgrid.com"},
            *("PHYSIOPOST_SENDGRID_HOST", "https://"),
        ),
        (SMTP | {"PHYSIOPOST_SECRET": ""}, "PHYSIOPOST_SECRET", "32 random characters"),
        ({"PHYSIOPOST_SECRET": SECRET}, "PHYSIOPOST_SECRET", "32 characters or more"),
        ({"PHYSIOPOST_SECRET": "x" * 40}, "PHYSIOPOST_SECRET", "openssl rand"),
        (SMTP | {"PHYSIOPOST_SECRET": "change-me" * 4}, "PHYSIOPOST_SECRET", "openssl rand"),
        ({"PHYSIOPOST_HOST": "0.0.0.0"}, "PHYSIOPOST_SECRET", "32 random characters"),  # noqa: S104 - the point
        ({"PHYSIOPOST_URL": "https://a.example.org"}, "PHYSIOPOST_SECRET", "32 random characters"),
        ({"PHYSIOPOST_BACKUP_KEY": SECRET}, "PHYSIOPOST_BACKUP_KEY", "32 characters or more"),
        ({"PHYSIOPOST_SECRET": f"{LONG} {SECRET}"}, "PHYSIOPOST_SECRET", "32 characters or more"),
        ({"PHYSIOPOST_PING": f"ftp://{SECRET}"}, "PHYSIOPOST_PING", "https://"),
        ({"PHYSIOPOST_METRICS": "yes"}, "PHYSIOPOST_METRICS", "set off or on"),
        ({"PHYSIOPOST_LOG": "xml"}, "PHYSIOPOST_LOG", "set text or json"),
        ({"PHYSIOPOST_SENDGRID_BATCH": "0"}, "PHYSIOPOST_SENDGRID_BATCH", "1 to 1000"),
        ({"PHYSIOPOST_SENDGRID_BATCH": "1001"}, "PHYSIOPOST_SENDGRID_BATCH", "1 to 1000"),
        ({"PHYSIOPOST_SENDGRID_BATCH": "-1"}, "PHYSIOPOST_SENDGRID_BATCH", "1 to 1000"),
        ({"PHYSIOPOST_SENDGRID_BATCH": "1e2"}, "PHYSIOPOST_SENDGRID_BATCH", "1 to 1000"),
        ({"PHYSIOPOST_SENDGRID_BATCH": "²"}, "PHYSIOPOST_SENDGRID_BATCH", "1 to 1000"),
        ({"PHYSIOPOST_SENDGRID_HOST": "https://"}, "PHYSIOPOST_SENDGRID_HOST", "https://"),
        ({"PHYSIOPOST_SENDGRID_HOST": "https://[::1"}, "PHYSIOPOST_SENDGRID_HOST", "https://"),
    ],
    ids=lambda given: " ".join(given.values()) if isinstance(given, dict) else "",
)
def test_a_bad_value_is_refused_with_its_name_and_the_cure(
    environ: dict[str, str], name: str, cure: str
) -> None:
    line = refusal(environ)
    assert line.startswith(f"{name}: ")
    assert cure in line.rpartition("; ")[2]
    assert SECRET not in line


NAMES = [
    *("PHYSIOPOST_DATABASE", "PHYSIOPOST_CHANNEL", "PHYSIOPOST_OUTBOX", "PHYSIOPOST_SMTP"),
    *("SENDGRID_API_KEY", "PHYSIOPOST_SENDGRID_HOST", "PHYSIOPOST_URL", "PHYSIOPOST_COURSE"),
    "PHYSIOPOST_SENDGRID_BATCH",
]
URLISH = st.text(st.sampled_from(":/@[]%?#. \tabcé19"), max_size=20)


@hypothesis_settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(NAMES), start=st.sampled_from(["", "smtp://", "https://"]), rest=URLISH)
def test_any_value_is_read_or_refused(name: str, start: str, rest: str) -> None:
    try:
        Settings.from_environment({"PHYSIOPOST_SECRET": LONG, name: start + rest})
    except WrongInput as error:
        said = str(error)
    else:
        return
    assert said.startswith(f"{name}: ")


@pytest.mark.parametrize("name", ["PHYSIOPOST_SENDGRID_HOST", "PHYSIOPOST_URL"])
def test_a_password_inside_an_address_is_not_shown(name: str) -> None:
    line = refusal({name: f"ftp://u:{SECRET}@letters.example.org"})
    assert SECRET not in line


@pytest.mark.parametrize("environ", [SMTP, SENDGRID], ids=["smtp", "sendgrid"])
def test_no_secret_is_in_a_repr(environ: dict[str, str]) -> None:
    database = {"PHYSIOPOST_DATABASE": f"postgresql+psycopg://u:{SECRET}@h/d"}
    given = Settings.from_environment(environ | database)
    for shown in (repr(given), str(given), f"{given.smtp!r} {given.smtp}"):
        assert SECRET not in shown
        assert "clinic" not in shown


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        read().channel = "smtp"  # type: ignore[misc]  # the point


def test_what_ships_is_found_in_a_checkout(root: Path) -> None:
    for name in ("course", "templates"):
        assert shipped(name) == root / name
        assert shipped(name).is_dir()


def test_a_file_of_ones_own_goes_before_the_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clinic.yaml").write_text("name: Mine\n", encoding="utf-8")
    assert read().clinic.read_text(encoding="utf-8") == "name: Mine\n"
