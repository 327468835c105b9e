"""Kills a forked child of this process at its n-th step.

A step is: a statement sent to the database or answered, a commit, a file opened or renamed in the
outbox, a connection opened, something said to a mail server or to SendGrid, an answer read.
"""

import os
import signal
import sys
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any

from sqlalchemy import Engine, event

NEVER = 1 << 30
SAID = ("os.rename", "socket.connect", "smtplib.send", "http.client.send")


def dies_at(step: int, work: Callable[[], object]) -> bool:
    """Do the work in a child that is killed at its n-th step; True when it lives to the end."""
    child = os.fork()
    if child == 0:
        try:
            at_each_step(killer(step))
            work()
            os._exit(0)
        finally:
            os._exit(70)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == 0
    return True


def steps_of(work: Callable[[], object]) -> int:
    """How many steps a child takes that lives to the end."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            taken = [0]

            def count() -> None:
                taken[0] += 1

            at_each_step(count)
            work()
            os.write(write, str(taken[0]).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as told:
        steps = int(told.read() or -1)
    os.waitpid(child, 0)
    assert steps > 0
    return steps


def killer(step: int) -> Callable[[], None]:
    left = [step]

    def count() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return count


def at_each_step(count: Callable[[], None]) -> None:
    """For the rest of this process, which is a child of its own."""

    def listened(*_: object, **__: object) -> None:
        count()

    def audited(name: str, arguments: tuple[object, ...]) -> None:
        if name in SAID or (name == "open" and "outbox" in str(arguments[0])):
            count()

    heard = HTTPConnection.getresponse

    def answered(connection: HTTPConnection) -> Any:
        count()
        answer = heard(connection)
        count()
        return answer

    for name in ("before_cursor_execute", "after_cursor_execute", "commit"):
        event.listen(Engine, name, listened)
    sys.addaudithook(audited)
    HTTPConnection.getresponse = answered  # type: ignore[assignment, method-assign]
