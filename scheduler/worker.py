"""The worker: APScheduler as a ticker that runs a round a minute. The database says what is due.

There is one job, in memory: a job a patient would be lost when the process is killed between the
scheduler's "submitted" and the letter's "sent". Late ticks are run, but only once (coalesce), and
never two at a time.
"""

import logging
import signal
from collections.abc import Callable
from threading import Event

from apscheduler.schedulers.background import BackgroundScheduler

from scheduler.findings import NotDone, WrongInput

log = logging.getLogger(__name__)

TICK = 60  # seconds


def work(run_round: Callable[[Callable[[], bool]], str], every: float = TICK) -> None:
    """Call `run_round` at once and then every so many seconds, until SIGTERM or SIGINT.

    `run_round` may ask whether the signal has come: then it ends with the batch under way, and
    leaves nothing claimed. It gives a line for the log; one that fails is logged in words and tried
    again at the next tick.
    """
    stop = stopping()

    def tick() -> None:
        try:
            if line := run_round(stop.is_set):
                log.info("%s", line)
        except (NotDone, WrongInput) as error:
            log.error("%s", error)  # noqa: TRY400 - a reason for people, not a traceback
        except Exception as error:  # noqa: BLE001 - the next tick tries again
            log.error("the round stopped: %s", type(error).__name__)  # noqa: TRY400 - a traceback may hold names

    ticker = BackgroundScheduler(timezone="UTC")
    once = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
    ticker.add_job(tick, "interval", seconds=every, **once)
    tick()
    ticker.start()
    stop.wait()
    ticker.shutdown(wait=True)


def stopping() -> Event:
    """Set when SIGTERM or SIGINT comes."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop
