"""Spoilt input for every way in: what `make fuzz` runs, a hundred thousand of it.

1. Take something that is right: a file, a signed body, a link, a query, a form.
2. Spoil it in one to six places, by chance and with a seed, so that it can be had again.
3. Hand it in. It is taken, or refused in words. A fault is an exception, an answer of 500, more
   than a second (thrice), a look that changes a row, or a row that is written by what is refused.

It ends with a table, and with exit code 1 and the faulty input if there was a fault.
"""

import argparse
import logging
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fuzz_files import Files, shipped
from fuzz_web import Web
from spoilt import Case, Fault, Input

from scheduler.material import Material

SLOW, TIMES = 1.0, 3  # seconds, tries
WHOLE = 100_000
SHARES = {  # how many of a hundred thousand
    "roster": ("YAML: the roster", 13_000),
    "clinic": ("YAML: the clinic", 12_000),
    "course": ("YAML: course, claims, sources, countries, signatures", 8_000),
    "lesson": ("Markdown: lessons and boxes", 6_000),
    "csv": ("CSV files", 15_000),
    "address": ("e-mail addresses", 15_000),
    "event": ("webhook bodies, signed", 10_000),
    "token": ("tokens: stop, letters, invitations, sessions, imports", 11_000),
    "query": ("query strings of every page", 6_000),
    "form": ("forms of every page", 4_000),
}


@dataclass
class Tally:
    """What became of one kind of input."""

    what: str
    tried: int = 0
    taken: int = 0
    slowest: float = 0.0
    faults: list[tuple[str, Input]] = field(default_factory=list)

    def line(self) -> str:
        refused = self.tried - self.taken - len(self.faults)
        parts = (self.what, f"{self.tried:,}", f"{self.taken:,}", f"{refused:,}")
        return " | ".join((*parts, f"{self.slowest * 1000:.0f}", f"{len(self.faults)}"))


def tried(what: str, make: Callable[[], Case], number: int, until: float) -> Tally:
    """Hand in so many of one kind, or as many as there is time for."""
    tally = Tally(what)
    while tally.tried < number and time.monotonic() < until:
        shown, hand_in = make()
        tally.tried += 1
        try:
            tally.taken += once(hand_in, tally)
        except Exception as error:  # noqa: BLE001 - any is a fault, and the next one is tried
            words = f"{type(error).__name__}: {error}"
            tally.faults.append((words, shown))
    return tally


def once(hand_in: Callable[[], bool], tally: Tally) -> bool:
    """Slow is what is slow each of three times: other programs run beside this one."""
    took: list[float] = []
    while not took or (took[-1] > SLOW and len(took) < TIMES):
        begun = time.perf_counter()
        taken = hand_in()
        took.append(time.perf_counter() - begun)
    tally.slowest = max(tally.slowest, min(took))
    if min(took) > SLOW:
        raise Fault(f"it took {min(took):.1f} s")
    return taken


def fuzz(
    folder: Path, material: Material, seed: int, inputs: int, minutes: float
) -> Iterator[Tally]:
    """All targets, each with its share of the inputs and a chance of its own."""
    until = time.monotonic() + 60 * minutes
    for of, (what, share) in SHARES.items():
        chance = random.Random(f"{seed} {what}")  # noqa: S311 - to be repeated
        kind = Files if hasattr(Files, of) else Web
        (folder / of).mkdir()
        target = kind(folder / of, material, chance)
        yield tried(what, getattr(target, of), share * inputs // WHOLE, until)
        target.close()


def main() -> None:
    """Run it, print the table and what was at fault."""
    read = argparse.ArgumentParser(description=main.__doc__)
    read.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    read.add_argument("--inputs", type=int, default=WHOLE)
    read.add_argument("--minutes", type=float, default=30)
    given = read.parse_args()
    logging.disable()
    begun = time.monotonic()
    print(f"seed {given.seed}", flush=True)  # noqa: T201
    print("| what | inputs | taken | refused | slowest, ms | faults |")  # noqa: T201
    print("| --- | --- | --- | --- | --- | --- |", flush=True)  # noqa: T201
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for tally in fuzz(Path(folder), shipped(), given.seed, given.inputs, given.minutes):
            print(f"| {tally.line()} |", flush=True)  # noqa: T201
            found.append(tally)
    number, minutes = sum(each.tried for each in found), (time.monotonic() - begun) / 60
    print(f"{number:,} inputs in {minutes:.1f} minutes, {os.cpu_count()} cores")  # noqa: T201
    for tally in found:
        for words, shown in tally.faults[:20]:
            print(f"{tally.what}: {words}: {shown[:400]!r}", file=sys.stderr)  # noqa: T201
    sys.exit(any(each.faults for each in found) or number < given.inputs * 0.99)


if __name__ == "__main__":
    main()
