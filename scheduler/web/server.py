"""waitress in a thread beside the worker."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from flask import Flask
from waitress import create_server, wasyncore

from scheduler.findings import wrong


@contextmanager
def served(app: Flask, host: str, port: int) -> Iterator[str]:
    """Serve until the context is left; gives the address.

    Raises:
        WrongInput: nothing can listen there.

    """
    try:
        sockets: dict[int, object] = {}
        server = create_server(app, map=sockets, host=host, port=port, threads=4, ident=None)
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
