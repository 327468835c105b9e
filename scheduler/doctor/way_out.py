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
from scheduler.doctor.check import Unseen, Unwell, Ward
from scheduler.settings import Settings

PATIENCE = 4.0  # seconds for a name server
SENDS = "mail.send"  # SendGrid's name for the right


def channel(ward: Ward) -> str:
    """Whether it is there and lets us in; nothing is sent."""
    settings = ward.settings
    if settings.channel == "folder":
        with open_channel(settings):
            return "letters go into a folder; it can be written to"
    _asked(ward)
    server = settings.smtp
    if settings.channel == "sendgrid" or server is None:  # over SMTP there always is one
        return _sendgrid(settings)
    try:
        Session(server, ssl.create_default_context()).quit()
    except ChannelDown as down:
        cure = "look at PHYSIOPOST_SMTP, and at the mail server"
        raise Unwell(str(down), cure) from None
    return f"{server.host}:{server.port} takes our login"


def _sendgrid(settings: Settings) -> str:
    wire = Wire(settings.sendgrid_host)
    cure = "look at SENDGRID_API_KEY and PHYSIOPOST_SENDGRID_HOST"
    try:
        answer = client(settings.sendgrid_key, wire).client.scopes.get()
        rights = json.loads(answer.body)["scopes"]
    except HTTPError as error:
        words = "refuses the API key" if error.status_code in (401, 403) else "does not say"
        raise Unwell(f"SendGrid {words} ({error.status_code})", cure) from None
    except (NotConnected, OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        words = f"{settings.sendgrid_host} gives no answer ({type(error).__name__})"
        raise Unwell(words, cure) from None
    finally:
        wire.close()
    if SENDS not in rights:
        raise Unwell("SendGrid's key may not send mail", "give it that right")
    return "SendGrid knows the key, and it may send mail"


def spf(ward: Ward, resolver: Resolver | None = None) -> str:
    """Whether the domain says which servers send for it."""
    domain = _domain(ward)
    if ward.settings.channel == "sendgrid":
        raise Unseen("SendGrid sends with a return address of its own; its DKIM counts")
    if any(each.startswith("v=spf1") for each in _texts(domain, resolver)):
        return f"{domain} has a record"
    cure = f"put a TXT record with v=spf1 at {domain}; your mail provider says which"
    raise Unwell(f"{domain} has no record: letters look like spam", cure)


def dkim(ward: Ward, resolver: Resolver | None = None) -> str:
    """Whether what SendGrid signs with can be looked up."""
    domain = _domain(ward)
    if ward.settings.channel != "sendgrid":
        raise Unseen("only a letter shows its key: send a test letter, look for dkim=pass")
    if any("p=" in each for each in _texts(f"s1._domainkey.{domain}", resolver)):
        return f"{domain} has SendGrid's key"
    cure = "authenticate the domain in SendGrid, and put its records into the DNS"
    raise Unwell(f"{domain} lacks SendGrid's key: letters look like spam", cure)


def dmarc(ward: Ward, resolver: Resolver | None = None) -> str:
    """Whether the domain, or the one above it, says what to do with forgeries."""
    domain = _domain(ward)
    labels = domain.split(".")
    for name in (".".join(labels[at:]) for at in range(len(labels) - 1)):
        if any(each.startswith("v=DMARC1") for each in _texts(f"_dmarc.{name}", resolver)):
            return f"{name} has a record"
    cure = f"put a TXT record with v=DMARC1; p=none at _dmarc.{domain}, to begin with"
    raise Unwell(f"{domain} has no record: large providers ask for one", cure)


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
