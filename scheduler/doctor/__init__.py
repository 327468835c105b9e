"""The doctor: one list of checks, for the command and for the page.

1. A check looks at one thing and changes nothing: not the database, which is not brought up to date
   here, and nothing outside. Only a folder for letters is made where there is none.
2. It gives words where all is well. What is not well is raised with the cure (Unwell), and what
   was not looked at with the reason (Unseen).
3. A check that fails by itself is not well; its own words are not told, since they may hold names.
"""

from collections.abc import Callable

from scheduler.doctor import machine, records, way_out
from scheduler.doctor.check import Check, Unseen, Unwell, Ward
from scheduler.findings import NotDone, WrongInput

__all__ = ["Check", "Ward", "examine"]

CHECKS: dict[str, Callable[[Ward], str]] = {
    "versions": machine.versions,
    "database": records.database,
    "course": records.course,
    "rounds": records.rounds,
    "late": records.late,
    "doubts": records.in_doubt,
    "signatures": records.signatures,
    "channel": way_out.channel,
    "events": records.events,
    "SPF": way_out.spf,
    "DKIM": way_out.dkim,
    "DMARC": way_out.dmarc,
    "backup": records.backup,
    "files": machine.files,
    "disk": machine.disk,
    "clock": records.clock,
    "zones": machine.zones,
}


def examine(ward: Ward) -> list[Check]:
    """Look at everything."""
    return [_looked(name, check, ward) for name, check in CHECKS.items()]


def _looked(name: str, check: Callable[[Ward], str], ward: Ward) -> Check:
    try:
        return Check(name, True, check(ward))
    except Unseen as reason:
        return Check(name, None, str(reason))
    except Unwell as error:
        return Check(name, False, str(error), error.cure)
    except WrongInput as error:
        return Check(name, False, error.findings[0].words, error.findings[0].cure)
    except NotDone as error:
        return Check(name, False, str(error), "see database, above")
    except Exception as error:  # noqa: BLE001 - one check never stops the others
        words = f"it could not be looked at ({type(error).__name__})"
        return Check(name, False, words, "tell whoever looks after the program")
