"""One thing that was looked at: well, not well with the cure, or not looked at with the reason."""

from dataclasses import dataclass
from datetime import datetime

from scheduler.ledger.database import Database
from scheduler.material import Material
from scheduler.settings import Settings


@dataclass(frozen=True)
class Check:
    """What was found. `well` is None where nobody looked; `cure` is what to type or do."""

    name: str
    well: bool | None
    words: str
    cure: str = ""


@dataclass(frozen=True)
class Ward:
    """What there is to look at, and when (UTC).

    A part that cannot be used is None, and `faults` says why under its name. `outside` is whether
    other machines may be asked: the mail server, SendGrid, the name server.
    """

    settings: Settings
    material: Material | None
    database: Database | None
    faults: dict[str, str]
    now: datetime
    outside: bool


class Unwell(Exception):
    """It is not well: what is amiss, and the cure."""

    def __init__(self, words: str, cure: str) -> None:
        super().__init__(words)
        self.cure = cure


class Unseen(Exception):
    """It was not looked at, for this reason."""
