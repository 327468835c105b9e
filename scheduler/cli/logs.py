"""The service's log: lines for people, or with PHYSIOPOST_LOG=json an object a line for programs.

JSON holds more: each page that was asked for, by its pattern (an address may be a key) and with an
id that the answer carries too; and each letter that did not go, by its delivery's id. Neither names
anybody.
"""

import logging
from datetime import UTC, datetime

import orjson

MORE = ("request", "status", "milliseconds", "delivery")


class AsJson(logging.Formatter):
    """When (UTC), how grave, from which module, what; and whatever of MORE there is."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "at": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "from": record.name,
            "says": record.getMessage(),
        }
        known = vars(record)
        return orjson.dumps(told | {each: known[each] for each in MORE if each in known}).decode()


def begin(*, as_json: bool) -> None:
    """Write to standard error from now on."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    if as_json:
        for handler in logging.getLogger().handlers:
            handler.setFormatter(AsJson())
        logging.getLogger("scheduler").setLevel(logging.DEBUG)
