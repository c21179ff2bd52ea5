"""What becomes of the project's file while it is open, and what the program makes of it: one row of a table for each trouble.

`python -m tests.soak.troubles window KIND FOLDER` works in the real window, `... job KIND FOLDER` in a command; each prints
a line of JSON: what was told, what was acknowledged, what of it is where the user is led to, the longest stall of the window.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import AddCategory
from tests.soak import work

HELD_S = 4
N_STEPS = 6

_HOLD = (
    "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN EXCLUSIVE'); \
print('held', flush=True); time.sleep(float(sys.argv[2])); c.execute('ROLLBACK')"
)


def moved(path: Path) -> None:
    path.rename(path.with_name("renamed.errormap"))


def deleted(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    other = path.with_name("other.errormap")
    Project.create(other).close()
    other.replace(path)


def folder_moved(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))


def log_deleted(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


TROUBLES: dict[str, Callable[[Path], None]] = {
    "moved": moved,
    "deleted": deleted,
    "replaced": replaced,
    "folder moved": folder_moved,
    "log deleted": log_deleted,
}
"""What other programs do to a file that is open."""


def steps_in(path: Path) -> set[str]:
    """Ids of the steps in a project that is opened by somebody else."""
    with Project.open(path) as project:
        return {row[0] for row in project.db.execute("SELECT id FROM log")}


def in_window(kind: str, folder: Path) -> dict[str, Any]:
    """Steps in the real window before, during and after the trouble."""
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    from app.start.run import make_window
    from errormap_core.settings import UserSettings

    home = folder / "home"
    home.mkdir()
    path = home / "p.errormap"
    work.make(path)
    app = QApplication(["troubles"])
    settings = UserSettings(folder / "settings.json")
    settings["queue.questions"] = False
    window = make_window(app, settings)
    window.show()
    session = window.session
    assert session.open(path)
    acknowledged: list[str] = []
    told: list[str] = []
    session.changed.connect(lambda change: acknowledged.append(change.entry_id) if change.is_own else None)
    session.failed.connect(lambda error: told.append(str(error)))
    beats = [time.perf_counter()]
    stalls = [0.0]

    def beat() -> None:
        now = time.perf_counter()
        stalls.append(now - beats[-1] - 0.005)
        beats.append(now)

    def pump(seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            app.processEvents()
            time.sleep(0.001)

    pump(1.0)
    timer = QTimer()
    timer.setInterval(5)
    timer.timeout.connect(beat)
    timer.start()
    pump(0.5)
    beats.append(time.perf_counter())
    stalls.clear()

    def steps(n: int) -> None:
        for number in range(n):
            session.apply(AddCategory(name=f"{kind} {number} {len(acknowledged)} {len(told)}"))
            pump(0.1)

    steps(N_STEPS)
    waited = ""
    holder = None
    if kind == "locked":
        holder = subprocess.Popen([sys.executable, "-c", _HOLD, str(path), str(HELD_S)], stdout=subprocess.PIPE)
        assert holder.stdout is not None
        holder.stdout.readline()
    elif kind == "disk full":
        _fill(home)
    else:
        TROUBLES[kind](path)
    steps(N_STEPS)
    if kind == "disk full":
        for number in range(400):
            session.apply(AddCategory(name=f"full {number}", description="x" * 20_000))
            if told:
                break
        (home / "filler").unlink()
        steps(2)
    pump(3.0)
    waited = window._saved.text().split(" · ")[0]
    told += [window.waiting.text] if window.waiting.text else []
    if holder is not None:
        pump(2.0 * HELD_S, until=lambda: holder.poll() is not None)
        pump(2.0, until=lambda: len(acknowledged) >= 2 * N_STEPS)
    longest = max(stalls)
    timer.stop()
    project = session.project
    assert project is not None
    there = path
    if kind not in ("locked", "disk full"):
        there = folder / "copy.errormap"
        window.saving.save_to(there)
        pump(20.0, until=lambda: session.has_copy)
    window.close()
    pump(0.5)
    found = steps_in(there)
    return {
        "kind": kind, "told": told[:1], "n_told": len(told), "state": waited, "acknowledged": len(acknowledged),
        "lost": len(set(acknowledged) - found), "in": there.name, "longest_stall_ms": round(1000 * longest),
    }  # fmt: skip


def _fill(folder: Path, left: int = 300_000) -> None:
    """Leave so little room on the disk of a folder."""
    free = shutil.disk_usage(folder).free
    with (folder / "filler").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free - left))


def in_job(kind: str, folder: Path) -> dict[str, Any]:
    """A judge at work when the trouble comes: what it said, its exit code, and where its analyses are."""
    home = folder / "home"
    home.mkdir()
    path = home / "p.errormap"
    work.make(path)
    command = [sys.executable, "-m", "errormap_core.cli", "judge", str(path), "--limit", "12", "--prompt", "quick",
               "--threads", "1", "--progress", "json"]  # fmt: skip
    job = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=os.getcwd()
    )
    assert job.stdout is not None
    n_told = 0
    is_done = False
    for line in job.stdout:
        data = json.loads(line).get("progress") or {}
        if data.get("stage") == "judge" and data.get("done", 0) > n_told:
            n_told = data["done"]
        if n_told >= 2 and not is_done:
            is_done = True
            if kind == "disk full":
                _fill(home, left=20_000)
            else:
                TROUBLES[kind](path)
    _, errors = job.communicate()
    copies = sorted(folder.rglob("*.rescued-*.errormap"))
    there = copies[0] if copies else path
    kept = None
    if there.exists():
        with Project.open(there) as project:
            (kept,) = project.db.execute("SELECT count(*) FROM analysis").fetchone()
    return {
        "kind": kind, "told": errors.strip().splitlines()[-1:], "rc": job.returncode, "told_done": n_told, "kept": kept,
        "in": there.name if there.exists() else None,
    }  # fmt: skip


if __name__ == "__main__":
    where, trouble, folder_name = sys.argv[1:]
    does = in_window if where == "window" else in_job
    print(json.dumps(does(trouble, Path(folder_name))))
