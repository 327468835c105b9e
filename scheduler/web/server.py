"""waitress in a thread beside the worker.

Its log would hold addresses of pages, and so stop links, so it only says that something failed. On
this machine's own address the caller is the web server in front, which says for whom it asks: wrong
passwords are counted for that place.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from flask import Flask
from waitress import create_server, wasyncore

from scheduler.findings import wrong
from scheduler.settings import LOOPBACK

THREADS = 4
LARGEST = 4_000_000  # octets of a request: SendGrid sends up to 768 KB of events at once


@contextmanager
def served(app: Flask, host: str, port: int) -> Iterator[str]:
    """Serve until the context is left; gives the address, or WrongInput if it cannot listen."""
    logging.getLogger("waitress").addFilter(_no_address)
    near = "::1" if host == "::1" else "127.0.0.1"
    front = {"trusted_proxy": near, "trusted_proxy_headers": "x-forwarded-for"}
    try:
        sockets: dict[int, object] = {}
        server = create_server(
            app,
            map=sockets,
            host=host,
            port=port,
            threads=THREADS,
            ident=None,
            max_request_body_size=2 * LARGEST,  # up to here the answer is a page
            **(front if host in LOOPBACK else {}),
        )
    except OSError as error:
        reason = f"cannot listen on {host}:{port} ({(error.strerror or '').lower()})"
        raise wrong("PHYSIOPOST_PORT", None, reason, "set a free port") from None
    thread = Thread(target=server.run, name="web", daemon=True)
    thread.start()
    try:
        yield f"http://{server.effective_host}:{server.effective_port}"
    finally:
        server.task_dispatcher.shutdown()
        wasyncore.close_all(sockets)
        thread.join(timeout=5)


def _no_address(record: logging.LogRecord) -> bool:
    """Leave out what a page was asked for, and every traceback."""
    if "while serving" in str(record.msg):
        kind = record.exc_info[0] if record.exc_info else None
        record.msg, record.args = f"a page stopped: {kind.__name__ if kind else 'cut off'}", ()
        record.exc_info = None
    return True
