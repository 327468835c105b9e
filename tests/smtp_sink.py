"""A mail server that takes everything and only counts, for measuring.

`python tests/smtp_sink.py` prints its port and serves until its standard input ends; then it prints
how many letters it took, for how many addresses, over how many connections. `sink()` is the same
from inside a test or a bench, in a process of its own.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

ANSWERS = {b"MAIL": b"250 ok\r\n", b"RCPT": b"250 ok\r\n", b"DATA": b"354 go on\r\n"}
HELLO = b"250-sink\r\n250 PIPELINING\r\n"


@dataclass
class Sink:
    """Where it listens, and once it is closed, what it counted."""

    port: int
    letters: int = 0
    addresses: int = 0
    connections: int = 0


@contextmanager
def sink(*how: str) -> Iterator[Sink]:
    """Start one; its counts are there when the context is left. "plain" offers no PIPELINING."""
    with subprocess.Popen(
        [sys.executable, __file__, *how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin
        assert server.stdout
        counted = Sink(int(server.stdout.readline()))
        try:
            yield counted
        finally:
            server.stdin.close()
            counts = map(int, server.stdout.readline().split())
            counted.letters, counted.addresses, counted.connections = counts


class Counting(asyncio.Protocol):
    """One connection."""

    letters = connections = 0
    addresses: set[bytes] = set()  # noqa: RUF012 - all connections count together
    hello = HELLO

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        Counting.connections += 1
        self.transport, self.waiting, self.in_text = transport, b"", False
        transport.write(b"220 sink\r\n")

    def data_received(self, octets: bytes) -> None:
        self.waiting += octets
        answers = []
        while True:
            end = b"\r\n.\r\n" if self.in_text else b"\r\n"
            taken, found, rest = self.waiting.partition(end)
            if not found:
                break
            self.waiting = rest
            answers.append(self.text() if self.in_text else self.command(taken))
        self.transport.write(b"".join(answers))

    def text(self) -> bytes:
        Counting.letters += 1
        self.in_text = False
        return b"250 counted\r\n"

    def command(self, line: bytes) -> bytes:
        verb = line[:4].upper()
        self.in_text = verb == b"DATA"
        if verb == b"RCPT":
            Counting.addresses.add(line)
        return self.hello if verb == b"EHLO" else ANSWERS.get(verb, b"250 ok\r\n")


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Counting, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - this is how it is found
    await loop.run_in_executor(None, sys.stdin.read)
    print(Counting.letters, len(Counting.addresses), Counting.connections, flush=True)  # noqa: T201


if __name__ == "__main__":
    if "plain" in sys.argv[1:]:
        Counting.hello = b"250 sink\r\n"
    asyncio.run(serve())
