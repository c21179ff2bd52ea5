"""Kills processes that work on a project, at random moments and in the middle of checkpoints, and looks what is lost.

`python -m tests.soak.kills N SEED` prints a line of JSON. Processes are forked from this one, which has all it needs
imported and never opens a project, so that a kill takes a fraction of a second.
"""

import itertools
import json
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.soak import work

ROUNDS_A_PROJECT = 40
MOST_S = 0.5
"""A process works at most so long before it is killed."""

STARTING_S = 60.0


def fork(does: Callable[[work.Say], None]) -> tuple[int, int]:
    """Run something in a process of its own; its id, and where the lines come that it says."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    code = 1
    try:
        os.close(reading)
        does(lambda line: (os.write(writing, f"{line}\n".encode()), None)[1])
        code = 0
    except BaseException as error:  # noqa: BLE001  # the process ends here, whatever it was
        os.write(writing, f"error {type(error).__name__}: {error}\n".encode())
        traceback.print_exc()
    finally:
        os._exit(code)


class Lines:
    """The lines that a process said so far."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._rest = b""
        self.told: list[str] = []
        self.is_over = False

    def read(self, seconds: float) -> None:
        """Read what comes within so many seconds."""
        until = time.monotonic() + seconds
        while not self.is_over and (left := until - time.monotonic()) > 0:
            if select.select([self._pipe], [], [], left)[0]:
                self._take(os.read(self._pipe, 1 << 16))

    def read_until(self, line: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        while line not in self.told and not self.is_over and time.monotonic() < until:
            if select.select([self._pipe], [], [], 0.2)[0]:
                self._take(os.read(self._pipe, 1 << 16))

    def read_all(self) -> None:
        while not self.is_over:
            self._take(os.read(self._pipe, 1 << 16))
        os.close(self._pipe)

    def _take(self, chunk: bytes) -> None:
        self.is_over = not chunk
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        self.told += [line.decode() for line in whole]


class Aim:
    """When to kill a process that began a checkpoint, so that it is in the middle of it; learns from kills that came too late."""

    def __init__(self) -> None:
        self.seconds = 0.05

    def draw(self, chance: random.Random) -> float:
        return chance.random() * self.seconds

    def learn(self, *, came_too_late: bool) -> None:
        self.seconds = min(1.0, max(0.002, self.seconds * (0.7 if came_too_late else 1.15)))


def once(path: Path, kind: str, chance: random.Random, aim: Aim) -> list[str]:
    """Let one process work and kill it; what it acknowledged."""
    seed = chance.random()

    def does(say: work.Say) -> None:
        own = random.Random(seed)
        if kind == "window":
            work.work_in_window(path, say, own)
            return
        with work.Project.open(path) as project:
            say("ready")
            work.WORK[kind](project, say, own)

    pid, pipe = fork(does)
    lines = Lines(pipe)
    lines.read_until("ready", STARTING_S)
    if kind == "checkpoint":
        lines.read_until("checkpoint", STARTING_S)
        time.sleep(aim.draw(chance))
    else:
        lines.read(chance.random() * MOST_S * (4 if kind == "export" else 1))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    lines.read_all()
    if kind == "checkpoint":
        aim.learn(came_too_late="closed" in lines.told)
    return lines.told


def look(path: Path, told: list[str], *, is_thorough: bool) -> list[str]:
    """What is lost, as a process sees it that opens the project next."""

    def does(say: work.Say) -> None:
        for line in work.find_lost(path, told, is_thorough=is_thorough):
            say(f"lost {line}")

    pid, pipe = fork(does)
    lines = Lines(pipe)
    lines.read_all()
    os.waitpid(pid, 0)
    return lines.told


def main(n: int, seed: int) -> dict[str, object]:
    """Kill `n` processes: one in five in a checkpoint, one in twenty is a window, the others in turn."""
    chance, aim = random.Random(seed), Aim()
    in_turn = itertools.cycle(kind for kind in work.WORK if kind != "checkpoint")
    kinds: Counter[str] = Counter()
    acknowledged: Counter[str] = Counter()
    lost: list[str] = []
    refused: list[str] = []
    failed: list[str] = []  # a process ended by an error before it was killed
    in_checkpoint, is_refused = 0, False
    folder = Path(tempfile.mkdtemp(prefix="errormap-kills-"))
    path, all_told = Path(), list[str]()
    try:
        for number in range(n):
            if number % ROUNDS_A_PROJECT == 0 or is_refused:
                place = folder / f"p{number}"
                place.mkdir()
                path, all_told = place / "p.errormap", []
                pid, pipe = fork(lambda _, new=path: work.make(new))
                Lines(pipe).read_all()
                os.waitpid(pid, 0)
            kind = "checkpoint" if number % 5 == 4 else "window" if number % 20 == 7 else next(in_turn)
            kinds[kind] += 1
            told = once(path, kind, chance, aim)
            in_checkpoint += kind == "checkpoint" and "closed" not in told
            failed += [f"{number} {kind}: {line}" for line in told if line.startswith("error ")]
            acknowledged.update(line.split()[0] for line in told)
            all_told += told
            is_last = number % ROUNDS_A_PROJECT == ROUNDS_A_PROJECT - 1 or number == n - 1
            found = look(path, all_told if is_last else told, is_thorough=is_last or number % 10 == 0)
            is_refused = any(line.startswith("error ") for line in found)
            refused += [f"{number} {kind}: {line}" for line in found if line.startswith("error ")]
            lost += [f"{number} {kind}: {line}" for line in found if line.startswith("lost ")]
            if is_last or is_refused:
                shutil.rmtree(path.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    steps = {key: acknowledged[key] for key in ("step", "rows", "judged", "exported")}
    return {
        "seed": seed, "kills": n, "kinds": dict(kinds), "killed_in_checkpoint": in_checkpoint, "acknowledged": steps,
        "lost": lost, "refused": refused, "failed": failed,
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
