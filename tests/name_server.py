"""A name server that knows a few TXT records, on this machine."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from socketserver import BaseRequestHandler, UDPServer

import dns.message
import dns.rcode
import dns.rrset
from dns.resolver import Resolver


@contextmanager
def name_server(records: Mapping[str, str]) -> Iterator[Resolver]:
    """Give a resolver that asks it; a name without a record does not exist."""

    class Answering(BaseRequestHandler):
        def handle(self) -> None:
            octets, socket = self.request
            asked = dns.message.from_wire(octets)
            name = asked.question[0].name
            answer = dns.message.make_response(asked)
            if text := records.get(name.to_text(omit_final_dot=True)):
                answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", f'"{text}"'))
            else:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            socket.sendto(answer.to_wire(), self.client_address)

    with UDPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        resolver = Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], server.server_address[1]
        yield resolver
        server.shutdown()
