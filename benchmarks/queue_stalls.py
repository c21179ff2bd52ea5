"""How long working the queue keeps the window's thread at most, action by action, beside the idle window.

    python -m benchmarks.queue_stalls [--failures 30000] [--proposals 5000]

Each size runs in a process of its own, which drives the real window by keys. A block is what the thread does between two
ticks of a timer in its event loop: its processor time, which other work on the machine makes no longer, and the time that passed.
"""

import argparse
import contextlib
import cProfile
import os
import pstats
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SIZES = ((5_000, 800), (30_000, 5_000))
"""Failures, and proposals that wait."""

MOST_S = 0.05
"""The window's thread may not work longer at a time: what takes less is not felt."""

N_SELECTED = 200
N_ASKED = 60
REPEATS = 4
SETTLED_MS = 40
LONGEST_MS = 60_000
OPENING = "opening"

_ENVIRONMENT = {"QT_QPA_PLATFORM": "offscreen", "OMP_NUM_THREADS": "1"}


@dataclass
class Blocks:
    """The longest block of each time that something was done: seconds of the thread's work, and seconds that passed."""

    name: str
    work: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def line(self) -> str:
        middle = statistics.median(self.work)
        return (
            f"{max(self.work) * 1000:7.1f} ms at most, {middle * 1000:6.1f} ms at the median of {len(self.work)}"
            f" ({max(self.wall) * 1000:,.0f} ms passed)  {self.name}"
        )


def run(folder: Path, sizes: tuple[tuple[int, int], ...] = SIZES) -> Iterator[str]:
    """Lines by size and action, and which keep the window's thread too long."""
    from benchmarks.queue_project import make_queue

    for n_failures, n_proposals in sizes:
        path = folder / f"queue-{n_failures}.errormap"
        if not path.exists():
            make_queue(path, n_failures=n_failures, n_proposals=n_proposals)
        yield f"working the queue of {n_proposals:,} proposals in a project of {n_failures:,} failures:"
        places = {"ERRORMAP_STUDIO_CONFIG": str(folder), "ERRORMAP_STUDIO_CACHE": str(folder / "cache")}
        words = [sys.executable, "-m", "benchmarks.queue_stalls", "--watch", str(path)]
        done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **places, **_ENVIRONMENT})
        assert not done.returncode, done.stdout + done.stderr
        yield from done.stdout.rstrip().splitlines()


class _Watch:
    """Does things in the event loop of the window, and keeps the longest block of each."""

    def __init__(self, profile: str) -> None:
        from PySide6.QtCore import QTimer

        self.found: dict[str, Blocks] = {}
        self._profile = profile
        self._gaps: list[tuple[float, float]] = []
        self._last = 0.0, 0.0
        self._timer = QTimer()
        self._timer.setInterval(2)
        self._timer.timeout.connect(self._tick)
        self.profiler = cProfile.Profile(time.thread_time)

    def _tick(self) -> None:
        wall, work = self._last
        self._last = time.perf_counter(), time.thread_time()
        self._gaps.append((self._last[1] - work, self._last[0] - wall - 0.002))

    def do(
        self, name: str, act: Callable[[], object], *, until: Callable[[], bool], least_ms: int = SETTLED_MS
    ) -> None:
        """Do it, and wait until all that follows is done."""
        from PySide6.QtCore import QEventLoop, QTimer

        loop = QEventLoop()
        looking = QTimer()
        looking.setInterval(least_ms)
        looking.timeout.connect(lambda: loop.quit() if until() else None)
        late = QTimer()
        late.setSingleShot(True)
        late.timeout.connect(loop.quit)
        late.start(LONGEST_MS)
        QTimer.singleShot(20, lambda: (act(), None)[1])
        QTimer.singleShot(20, looking.start)
        self._gaps.clear()
        self._last = time.perf_counter(), time.thread_time()
        self._timer.start()
        with self.profiler if name == self._profile else contextlib.nullcontext():
            loop.exec()
        self._timer.stop()
        looking.stop()
        assert late.isActive(), f"{name} does not come to an end"
        if name not in self.found:
            print(f"{time.perf_counter():.1f} {name}", file=sys.stderr, flush=True)
        blocks = self.found.setdefault(name, Blocks(name))
        blocks.work.append(max(work for work, _ in self._gaps))
        blocks.wall.append(max(wall for _, wall in self._gaps))


class _Worker:
    """Works the queue of one project in the real window, by keys."""

    def __init__(self, path: Path, profile: str) -> None:
        from PySide6.QtWidgets import QApplication

        from app import reading
        from app.start.run import make_window
        from errormap_core.settings import UserSettings

        reading.REST = 0  # what follows an action is not put off: otherwise most of the time is waiting
        self.path = path
        self.app = QApplication(sys.argv[:1])
        settings = UserSettings(path.parent / "settings.json")
        settings["queue.questions"] = False  # what its job writes is written by ask(), so that it is known when
        self.window = make_window(self.app, settings)
        self.window.resize(1440, 900)
        self.window.show()
        self.window.activateWindow()
        self.session, self.page = self.window.session, self.window.review
        self.watched = _Watch(profile)

    def is_settled(self) -> bool:
        return not self.session.reads.is_busy

    def work(self, name: str, act: Callable[[], object], until: Callable[[], bool] = lambda: True) -> None:
        """Do something, and wait until all that is read for it is shown."""
        self.watched.do(name, act, until=lambda: until() and self.is_settled())

    def press(self, keys: str) -> None:
        from PySide6.QtGui import QKeySequence
        from PySide6.QtTest import QTest

        pressed = QKeySequence(keys)[0]
        QTest.keyClick(self.app.focusWidget() or self.window, pressed.key(), pressed.keyboardModifiers())

    def key(self, keys: str, what: str) -> None:
        self.work(f"{keys}: {what}", lambda: self.press(keys))

    @property
    def n_steps(self) -> int:
        project = self.session.project
        assert project is not None
        return int(project.db.execute("SELECT count(*) FROM log").fetchone()[0])

    def ids(self, kind: str) -> list[str]:
        """Proposals of a kind that the list shows, but for those below others."""
        return [row.id for row in self.page.model.rows() if row.kind == kind and row.parent_id is None]

    # What is done

    def open(self) -> None:
        self.work("the idle window, without a project", lambda: None)
        shown = self.page.model
        self.work("opening the project", lambda: self.session.open(self.path), lambda: shown.rowCount() > 0)
        self.window.show_page("review")
        self.page.focus_list()
        self.watched.do("the idle window", lambda: None, until=self.is_settled, least_ms=1500)

    def one_by_one(self) -> None:
        for _ in range(REPEATS):
            for _ in range(3):
                self.key("J", "the next one")
            for key, what in (("X", "reject"), ("S", "skip"), ("F", "flag")):
                if self.page.chosen_kind == "place":
                    self.session.select_proposal(self.ids("rename")[0])
                before = self.page._current
                self.key(key, what)
                assert self.page._current != before, what
                self.key("Ctrl+Z", "undo")
                assert self.page._current == before, f"undoing {what}"

    def kinds(self) -> None:
        for kind in KINDS:
            for place in range(REPEATS):
                wanted, n = self.ids(kind)[place], self.n_steps
                self.work(f"showing another: {kind}", lambda wanted=wanted: self.session.select_proposal(wanted))
                assert self.page._current == wanted, kind
                self.key("Return", f"accept, {kind}")
                assert self.n_steps == n + 1, kind
                if place == 0:
                    self.key("Ctrl+Z", f"undo, {kind}")

    def about(self) -> None:
        filters = self.page.filters
        for _ in range(REPEATS):
            self.page.focus_list()
            self.key("Home", "the first")
            self.key("End", "the last")
            for box in (filters.kind, filters.worth):
                for key in ("Down", "Up"):
                    box.setFocus()
                    self.key(key, "another filter")
            filters.state.setFocus()
            self.key("End", "show all states")
            filters.state.setFocus()
            self.key("Home", "show what is pending")

    def background(self) -> None:
        for place in range(REPEATS):
            words = ["--ask", str(self.path), "--from", str(place * N_ASKED)]
            job = subprocess.Popen([sys.executable, "-m", "benchmarks.queue_stalls", *words])

            def came(job: "subprocess.Popen[bytes]" = job) -> bool:
                if job.poll() is None:
                    return False
                self.session.poll()
                return True

            self.work("questions from the job in the background", lambda: None, came)

    def batches(self) -> None:
        def select_more() -> None:
            self.press("Shift+Down")

        for key, what in (("S", "skip"), ("X", "reject"), ("Return", "accept")):
            self.page.focus_list()
            self.press("Home")
            for _ in range(N_SELECTED - 1):
                self.watched.do("Shift+Down: select one more", select_more, until=lambda: True)
            assert len(self.page.list.selected_rows()) == N_SELECTED
            self.work("Shift+Down: select one more", lambda: None)
            n = self.n_steps
            self.key(key, f"{what} {N_SELECTED}")
            assert self.n_steps == n + 1, what
            self.key("Ctrl+Z", f"undo {what} {N_SELECTED}")
        self.key("Ctrl+A", "select all")
        self.key("Escape", "back to one")


KINDS = ("create", "assign", "merge", "move", "split", "promote", "rename", "describe", "place")
PARTS = ("one_by_one", "kinds", "about", "background", "batches")


def watch(path: Path, *, parts: Sequence[str] = PARTS, profile: str = "") -> None:
    """Work the queue of this project, and print the longest blocks, and which of them are too long."""
    worker = _Worker(path, profile)
    worker.open()
    for part in parts:
        getattr(worker, part)()
    worker.window.close()
    found = worker.watched.found.values()
    for blocks in found:
        print(blocks.line())
    if profile:
        pstats.Stats(worker.watched.profiler).sort_stats("cumulative").print_stats(70)
    long = [b.name for b in found if max(b.work) > MOST_S and not b.name.startswith(OPENING)]
    if long:
        print(f"more than {MOST_S * 1000:.0f} ms of work at a time: {', '.join(long)}")


def ask(path: Path, *, start: int) -> None:
    """Keep other questions, as the job of the queue does."""
    from errormap_core.ids import content_id
    from errormap_core.project.proposing import NewProposal
    from errormap_core.project.queries import failure_ids
    from errormap_core.project.store import Project
    from errormap_core.project.teaching import save_questions

    with Project.open(path) as project:
        ids = failure_ids(project.reader, unplaced=True)[::-1][start : start + N_ASKED]
        names = [(c.id, c.name) for c in project.tree if c.reserved is None][:5]
        likely = [{"category_id": c, "name": name, "probability": 0.3} for c, name in names]
        questions = [
            NewProposal(
                id=content_id("proposal", "place", record_id),
                kind="place",
                arguments={"record_id": record_id, "candidates": likely},
                evidence={"worth": 3.0 + place / 100},
                score=0.3,
                parent_id=None,
                members=[(record_id, 0.3)],
            )
            for place, record_id in enumerate(ids)
        ]
        with project.writing() as db:
            save_questions(db, {"n": start}, questions, {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--failures", type=int)
    parser.add_argument("--proposals", type=int, default=1_000)
    parser.add_argument("--folder", type=Path, help="where the projects are made, or found again")
    parser.add_argument("--watch", type=Path, help="only work the queue of this project, and print")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="with --watch: only these")
    parser.add_argument("--profile", default="", help="with --watch: print the profile of the action of this name")
    parser.add_argument("--ask", type=Path, help="only write questions into this project, as the job of the queue does")
    parser.add_argument("--from", type=int, default=0, dest="start")
    given = parser.parse_args()
    if given.watch is not None:
        watch(given.watch, parts=given.parts, profile=given.profile)
        return
    if given.ask is not None:
        ask(given.ask, start=given.start)
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="errormap-bench-") as made:
        sizes = SIZES if given.failures is None else ((given.failures, given.proposals),)
        for text in run(given.folder or Path(made), sizes):
            print(text, flush=True)


if __name__ == "__main__":
    main()
