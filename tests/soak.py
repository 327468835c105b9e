"""Every kill, storms and upheavals: what `make soak` runs, for some twenty minutes.

1. The kill matrix: every step of a round × every fault of SendGrid × SQLite and PostgreSQL × one
   and a hundred letters a request. What can be learnt afterwards, and whether a later round dies as
   well, is drawn from the seed.
2. The same faults for a service that tries again in doubt, to show that the checks see it.
3. Storms: four workers on one PostgreSQL, killed and stopped at random.
4. `physiopost run` twice at once on one PostgreSQL.
5. Upheavals: whatever happens, in whatever order.

It ends with a table, and with exit code 1 if a letter was lost or went twice.
"""

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import hypothesis
from conftest import signed
from hypothesis.stateful import run_state_machine_as_test
from kill_matrix import Kill, RetryAtOnce, Stage, Verdict, every_kill, some_kills, stage
from postgres import Server, programs, server
from upheaval import Upheaval
from workers import storm, two_services

from scheduler.letters.editions import Press
from scheduler.material import read_material
from scheduler.settings import Settings

ROOT = Path(__file__).parent.parent
HEAD = ("what", "times", "letters", "lost", "twice", "held for a person", "minutes")
LETTERS = 5  # of a case of the matrix

Job = tuple[str, Kill]
Line = tuple[str, ...]
URLS: dict[str, str] = {}
SCENES: list[Stage] = []
HELD_OPEN = ExitStack()


def main() -> None:
    """Run all of it, print the table."""
    read = argparse.ArgumentParser(description=main.__doc__)
    read.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    read.add_argument("--kills", type=int, default=0, help="so many cases, drawn; else every one")
    read.add_argument("--storms", type=int, default=6)
    read.add_argument("--people", type=int, default=10_000, help="for the two services")
    read.add_argument("--upheavals", type=int, default=200)
    given = read.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # PostgreSQL is stopped as well
    if (found := programs()) is None:
        sys.exit("PostgreSQL is not installed here")
    settings = Settings.from_environment({"PHYSIOPOST_CLINIC": str(ROOT / "clinic.yaml")})
    press = Press(signed(read_material(settings)), ROOT / "templates")
    press.all()
    print(f"seed {given.seed}", flush=True)  # noqa: T201
    lines: list[Line] = []

    def tell(*more: Line) -> None:
        for line in more:
            print(f"| {' | '.join(line)} |", flush=True)  # noqa: T201
        lines.extend(more)

    with server(found) as postgres, tempfile.TemporaryDirectory() as folder:
        tell(*matrix(press, postgres, Path(folder), given.seed, given.kills))
        tell(eager(press, Path(folder), given.seed))
        tell(storms(press, postgres, given.seed, given.storms))
        tell(services(postgres, given.people))
        tell(upheavals(press, given.seed, given.upheavals))
    for line in (HEAD, ("---",) * len(HEAD), *lines):
        print(f"| {' | '.join(line)} |")  # noqa: T201
    print(f"seed {given.seed}, {os.cpu_count()} cores")  # noqa: T201
    promised = [line for line in lines if not line[0].startswith("tries again")]
    sys.exit(any(line[3] != "0" or line[4] != "0" for line in promised))


def matrix(press: Press, postgres: Server, folder: Path, seed: int, number: int) -> Iterator[Line]:
    """Each case in one of as many processes as there are cores."""
    urls = {"SQLite": "", "PostgreSQL": ""}
    jobs: list[Job] = []
    for name in urls:
        url = postgres.database() if name == "PostgreSQL" else f"sqlite:///{folder / 'steps.db'}"
        with stage(url, press) as scene:
            every = every_kill(scene, random.Random(f"{seed} {name}"))  # noqa: S311
        jobs += [(name, kill) for kill in every]
    chance = random.Random(seed)  # noqa: S311 - to be repeated
    chance.shuffle(jobs)
    jobs = jobs[: number or len(jobs)]
    began = time.monotonic()
    context = multiprocessing.get_context("fork")
    numbers = context.Value("i", 0)
    prepared = (press, postgres, folder, numbers)
    verdicts: list[tuple[Job, Verdict]] = []
    with context.Pool(os.cpu_count(), _prepare, prepared) as pool:
        for done in pool.imap_unordered(_play, jobs, chunksize=4):
            verdicts.append(done)
            if not done[1].kept:
                print(*done, flush=True)  # noqa: T201
            if len(verdicts) % 500 == 0:
                print(f"{len(verdicts):,} of {len(jobs):,} cases", flush=True)  # noqa: T201
    minutes = (time.monotonic() - began) / 60
    for name in urls:
        for batch in (1, 100):
            for evidence in ("logs", "webhook", "nothing"):
                some = [
                    verdict
                    for (where, kill), verdict in verdicts
                    if (where, kill.case.batch, kill.case.evidence) == (name, batch, evidence)
                ]
                share = minutes * len(some) / len(verdicts)
                kills = sum(verdict.kills for verdict in some)
                what = f"kills on {name}, {batch} a request, then {evidence}"
                yield _line(what, kills, len(some) * LETTERS, some, share)


def _prepare(press: Press, postgres: Server, folder: Path, numbers: object) -> None:
    """A process's own stage and databases."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with numbers.get_lock():  # type: ignore[attr-defined]
        numbers.value += 1  # type: ignore[attr-defined]
        mine = numbers.value  # type: ignore[attr-defined]
    sys.stderr = (folder / f"errors-{mine}").open("w")
    name = f"soak{mine}"
    postgres.run("createdb", "-h", str(postgres.folder), "-U", "postgres", name)
    urls = {
        "SQLite": f"sqlite:///{folder / name}.db",
        "PostgreSQL": f"postgresql+psycopg://postgres@/{name}?host={postgres.folder}",
    }
    URLS.update(urls)
    SCENES.append(HELD_OPEN.enter_context(stage(urls["SQLite"], press)))


def _play(job: Job) -> tuple[Job, Verdict]:
    kind, kill = job
    SCENES[0].url = URLS[kind]
    return job, SCENES[0].play(kill)


def eager(press: Press, folder: Path, seed: int) -> Line:
    """What the same checks find in a service that tries again in doubt."""
    began = time.monotonic()
    with stage(f"sqlite:///{folder / 'eager.db'}", press, RetryAtOnce) as scene:
        kills = some_kills(scene, random.Random(seed), 5)  # noqa: S311 - to be repeated
        verdicts = [scene.play(kill) for kill in kills]
    minutes = (time.monotonic() - began) / 60
    number = sum(verdict.kills for verdict in verdicts)
    what = "tries again in doubt (for comparison; not ours)"
    return _line(what, number, len(kills) * LETTERS, verdicts, minutes)


def storms(press: Press, postgres: Server, seed: int, number: int) -> Line:
    """Several, each from a seed of its own."""
    began = time.monotonic()
    found = [storm(postgres.database(), press, 400, seed + each) for each in range(number)]
    kills, stops = sum(each.kills for each in found), sum(each.stops for each in found)
    return (
        f"four workers on PostgreSQL: {kills} killed, {stops} stopped for longer than the lease",
        f"{kills + stops:,}",
        f"{sum(each.letters for each in found):,}",
        str(sum(each.lost for each in found)),
        str(sum(each.twice for each in found)),
        str(sum(each.held for each in found)),
        f"{(time.monotonic() - began) / 60:.1f}",
    )


def services(postgres: Server, people: int) -> Line:
    """`physiopost run` twice at once."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        times = two_services(Path(folder), postgres.database(), people, patience=300)
    return (
        *("`physiopost run` twice at once on PostgreSQL", "1", f"{people:,}"),
        *(str(people - len(times)), str(sum(each - 1 for each in times.values())), "0"),
        f"{(time.monotonic() - began) / 60:.1f}",
    )


def upheavals(press: Press, seed: int, number: int) -> Line:
    """Hypothesis turns the machine; a broken promise ends it with the way there."""
    began = time.monotonic()
    taken: Counter[str] = Counter()

    class Counted(Upheaval.on(press)):  # type: ignore[misc]
        def teardown(self) -> None:
            super().teardown()
            if hasattr(self, "provider"):
                taken["letters"] += len(self.provider.taken)
                taken["held"] += len(self.unsure())

    how = hypothesis.settings(
        max_examples=number,
        stateful_step_count=30,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    run_state_machine_as_test(hypothesis.seed(seed)(Counted), settings=how)
    return (
        *("upheavals: whatever happens, in whatever order", f"{number:,}"),
        *(f"{taken['letters']:,}", "0", "0", str(taken["held"])),
        f"{(time.monotonic() - began) / 60:.1f}",
    )


def _line(what: str, times: int, letters: int, verdicts: Sequence[Verdict], minutes: float) -> Line:
    return (
        what,
        f"{times:,}",
        f"{letters:,}",
        str(sum(verdict.lost + verdict.untrue for verdict in verdicts)),
        str(sum(verdict.twice for verdict in verdicts)),
        str(sum(verdict.held for verdict in verdicts)),
        f"{minutes:.1f}",
    )


if __name__ == "__main__":
    main()
