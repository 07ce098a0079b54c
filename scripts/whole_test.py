"""``make test``: the whole test run, in two lanes, and in one more than processors once labs are done.

    python -m scripts.whole_test

Each folder of tests is a run of pytest of its own. Labs boot machines, which wait most of their time:
the first lane starts with them, one lab at a time, and then helps the second one with the rest, as
further lanes do, since deploys into doubles of clouds wait, too. None of those runs beside a lab, whose
drills are bounded in time. A folder's output is kept in .clustermesos/logs/tests while it runs, and
printed as a whole when it ends, so that none is torn.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event

from scripts.progress import ROOT, STATE, state_folder

LABS = ("tests/lab", "tests/machines")
"""What boots machines: memory for one lab at a time, and its own bound on how long it may take."""
LONGEST = (
    "tests/embedded",
    "tests/roll",
    "tests/sites",
    "tests/components",
    "tests/rollout",
    "tests/hooks",
    "tests/cli",
    "tests/simulator",
)
"""What takes minutes, the longest first, so that no lane waits for the other in the end."""
MOST_LANES = 4
"""What is longest ends no sooner by more of them."""
LOOSE = "tests/test_*.py"
"""The tests that are in no folder, which run together."""
LOGS = STATE / "logs" / "tests"


@dataclass(frozen=True)
class Ended:
    """A part that has run."""

    name: str
    code: int
    """As a shell has it."""
    seconds: float


def parts(root: Path = ROOT) -> list[str]:
    """What pytest runs apart, in the order in which it begins: the labs, what is long, the rest."""
    folders = {f"tests/{path.parent.name}" for path in (root / "tests").glob("*/__init__.py")}
    first = [*LABS, *LONGEST]
    return [*first, *sorted(folders - set(first)), LOOSE]


def main() -> int:
    """Run all of them; the worst exit code."""
    state_folder()
    LOGS.mkdir(parents=True, exist_ok=True)
    labs = _queue(LABS)
    rest = _queue(part for part in parts() if part not in LABS)
    booted = Event()
    processors = os.cpu_count() or 1
    with ThreadPoolExecutor(MOST_LANES) as pool:
        try:
            lanes = [pool.submit(_first_lane, labs, rest, booted)]
            if processors > 1:
                lanes.append(pool.submit(_lane, rest))
            for _ in range(min(processors - 1, MOST_LANES - 2)):
                lanes.append(pool.submit(_later_lane, rest, booted))
            ended = [one for lane in lanes for one in lane.result()]
        except KeyboardInterrupt:
            # What runs was told by the terminal as well; nothing more begins.
            for waiting in (labs, rest):
                list(_taken(waiting))
            booted.set()
            raise
    _sum_up(ended)
    return max(one.code for one in ended)


def _queue(wanted: Iterable[str]) -> SimpleQueue[str]:
    made = SimpleQueue[str]()
    for part in wanted:
        made.put(part)
    return made


def _lane(queue: SimpleQueue[str]) -> list[Ended]:
    """What it gets of the queue, as long as there is any."""
    return [_run(part) for part in _taken(queue)]


def _first_lane(labs: SimpleQueue[str], rest: SimpleQueue[str], booted: Event) -> list[Ended]:
    try:
        ended = _lane(labs)
    finally:
        booted.set()
    return ended + _lane(rest)


def _later_lane(rest: SimpleQueue[str], booted: Event) -> list[Ended]:
    booted.wait()
    return _lane(rest)


def _taken(queue: SimpleQueue[str]) -> Iterator[str]:
    with suppress(Empty):
        while True:
            yield queue.get_nowait()


def _run(part: str) -> Ended:
    log = LOGS / f"{Path(part).name.replace('*', 'all')}.log"
    print(f"==> {part} begins ({os.path.relpath(log)})", flush=True)
    began = time.monotonic()
    with log.open("wb") as output:
        # A Ctrl-C reaches it as well, from the terminal, and it cleans up after itself.
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *_arguments(part)],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
        )
    ended = Ended(part, _exit_code(done.returncode), time.monotonic() - began)
    said = log.read_text(encoding="utf-8", errors="replace").rstrip()
    print(f"{said}\n==> {part} ended: {_verdict(ended)}\n", flush=True)
    return ended


def _arguments(part: str) -> Sequence[str]:
    """pytest's: two runs at once can't both keep the names of what failed last."""
    files = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(part)) if part == LOOSE else [part]
    return ["-p", "no:cacheprovider", *files]


def _exit_code(returned: int) -> int:
    """As a shell has it: 128 and the signal's number where one ended the process."""
    return returned if returned >= 0 else 128 - returned


def _verdict(one: Ended) -> str:
    return f"{'passed' if one.code == 0 else f'FAILED ({one.code})'} in {one.seconds:.0f} s"


def _sum_up(ended: Sequence[Ended]) -> None:
    for one in sorted(ended, key=lambda one: (one.code != 0, one.seconds)):
        print(f"    {one.name}: {_verdict(one)}")
    for one in ended:
        if one.code:
            files = " ".join(_arguments(one.name)[2:])
            print(f"!!! again, by itself: .venv/bin/python -m pytest {files}", file=sys.stderr)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
