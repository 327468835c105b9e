"""The way out: does the channel take our login, and do strangers believe the sender?

Other machines are asked, so each check here is left out where nobody asked for that. What cannot be
known from here is said: which DKIM key a mail server signs with, only its letters show.
"""

import json
import ssl
from http.client import HTTPException

from dns.exception import DNSException
from dns.resolver import NXDOMAIN, NoAnswer, Resolver
from python_http_client.exceptions import HTTPError

from scheduler.delivery.channels import ChannelDown, open_channel
from scheduler.delivery.channels.sendgrid_http import NotConnected, Wire, client
from scheduler.delivery.channels.smtp_session import Session
from scheduler.doctor.check import Check, Unseen, Ward
from scheduler.findings import WrongInput
from scheduler.settings import Settings

PATIENCE = 4.0  # seconds for a name server
SENDS = "mail.send"  # SendGrid's name for the right


def channel(ward: Ward) -> Check:
    """Whether it is there and lets us in; nothing is sent."""
    settings = ward.settings
    if settings.channel == "folder":
        return _folder(settings)
    _asked(ward)
    return _smtp(settings) if settings.channel == "smtp" else _sendgrid(settings)


def _folder(settings: Settings) -> Check:
    try:
        with open_channel(settings):
            return Check("channel", True, "letters go into a folder; it can be written to")
    except WrongInput as error:
        finding = error.findings[0]
        return Check("channel", False, finding.words, finding.cure)


def _smtp(settings: Settings) -> Check:
    server = settings.smtp
    if server is None:
        raise AssertionError  # Settings.from_environment sees to it
    try:
        Session(server, ssl.create_default_context()).quit()
    except ChannelDown as down:
        return Check("channel", False, str(down), "look at PHYSIOPOST_SMTP, and at the mail server")
    return Check("channel", True, f"{server.host}:{server.port} takes our login")


def _sendgrid(settings: Settings) -> Check:
    wire = Wire(settings.sendgrid_host)
    cure = "look at SENDGRID_API_KEY and PHYSIOPOST_SENDGRID_HOST"
    try:
        answer = client(settings.sendgrid_key, wire).client.scopes.get()
        rights = json.loads(answer.body)["scopes"]
    except HTTPError as error:
        words = "refuses the API key" if error.status_code in (401, 403) else "does not say"
        return Check("channel", False, f"SendGrid {words} ({error.status_code})", cure)
    except (NotConnected, OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        words = f"{settings.sendgrid_host} gives no answer ({type(error).__name__})"
        return Check("channel", False, words, cure)
    finally:
        wire.close()
    if SENDS not in rights:
        return Check("channel", False, "SendGrid's key may not send mail", "give it that right")
    return Check("channel", True, "SendGrid knows the key, and it may send mail")


def spf(ward: Ward, resolver: Resolver | None = None) -> Check:
    """Whether the domain says which servers send for it."""
    domain = _domain(ward)
    if ward.settings.channel == "sendgrid":
        raise Unseen("SendGrid sends with a return address of its own; its DKIM counts")
    if any(each.startswith("v=spf1") for each in _texts(domain, resolver)):
        return Check("SPF", True, f"{domain} has a record")
    cure = f"put a TXT record with v=spf1 at {domain}; your mail provider says which"
    return Check("SPF", False, f"{domain} has no record: letters look like spam", cure)


def dkim(ward: Ward, resolver: Resolver | None = None) -> Check:
    """Whether what SendGrid signs with can be looked up."""
    domain = _domain(ward)
    if ward.settings.channel != "sendgrid":
        raise Unseen("only a letter shows its key: send a test letter, look for dkim=pass")
    if any("p=" in each for each in _texts(f"s1._domainkey.{domain}", resolver)):
        return Check("DKIM", True, f"{domain} has SendGrid's key")
    cure = "authenticate the domain in SendGrid, and put its records into the DNS"
    return Check("DKIM", False, f"{domain} lacks SendGrid's key: letters look like spam", cure)


def dmarc(ward: Ward, resolver: Resolver | None = None) -> Check:
    """Whether the domain, or the one above it, says what to do with forgeries."""
    domain = _domain(ward)
    labels = domain.split(".")
    for name in (".".join(labels[at:]) for at in range(len(labels) - 1)):
        if any(each.startswith("v=DMARC1") for each in _texts(f"_dmarc.{name}", resolver)):
            return Check("DMARC", True, f"{name} has a record")
    cure = f"put a TXT record with v=DMARC1; p=none at _dmarc.{domain}, to begin with"
    return Check("DMARC", False, f"{domain} has no record: large providers ask for one", cure)


def _texts(name: str, resolver: Resolver | None) -> list[str]:
    """The TXT records of a name; none where it has none."""
    try:
        asked = resolver or Resolver()
        found = asked.resolve(f"{name}.", "TXT", lifetime=PATIENCE)
    except (NXDOMAIN, NoAnswer):
        return []
    except DNSException:
        raise Unseen("no name server answers here") from None
    return [b"".join(each.strings).decode("ascii", "replace") for each in found]


def _domain(ward: Ward) -> str:
    if ward.settings.channel == "folder":
        raise Unseen("letters into a folder have no sender to believe")
    _asked(ward)
    if ward.material is None:
        raise Unseen("the clinic cannot be read")
    return ward.material.clinic.sender.email.rpartition("@")[2]


def _asked(ward: Ward) -> None:
    if not ward.outside:
        raise Unseen("other machines are asked only when somebody says so")
