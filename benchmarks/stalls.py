"""The longest stall of the window's thread, by a timer in its event loop: while a real judge works, beside the idle window."""

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.operations import line

N_JUDGED = 8
IDLE_S = 5
MOST_S = 0.05
"""No stall may be longer while the judge runs: what takes less is not felt."""

TRIES = 5
"""Other work on the machine only ever makes stalls longer: the best of so many counts."""

_WATCH = """
import shutil, sys, time
from pathlib import Path
from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication
from app.start.run import make_window
from errormap_core.sample.build import build_sample
from errormap_core.settings import UserSettings

folder, n_judged, idle_s = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
project = folder / "stalls.errormap"
if not project.exists():
    build_sample(project).close()
app = QApplication(sys.argv[:1])
window = make_window(app, UserSettings(folder / "settings.json"))
window.resize(1440, 900)
window.show()
window.session.open(project)
window.show_page("records")
gaps, last, worked = [], 0.0, 0.0
timer = QTimer()
timer.setInterval(5)

def tick():
    global last, worked
    now, own = time.perf_counter(), time.thread_time()
    gaps.append((now - last, own - worked))
    last, worked = now, own

def watch(until):
    global last, worked
    gaps.clear()
    last, worked = time.perf_counter(), time.thread_time()
    timer.start()
    loop = QEventLoop()
    until(loop)
    loop.exec()
    timer.stop()
    longest = max(0.001, max(gap for gap, _ in gaps) - 0.005)  # the timer itself waits so long
    return longest, max(own for _, own in gaps)

def judge(loop):
    window.session.tasks.finished.connect(lambda job: QTimer.singleShot(1500, loop.quit))  # what came is shown, too
    assert window.session.start("judge", [str(project), "--again", "--limit", n_judged, "--as-id", window.session.actor])

timer.timeout.connect(tick)
watch(lambda loop: QTimer.singleShot(1500, loop.quit))
idle = watch(lambda loop: QTimer.singleShot(idle_s * 1000, loop.quit))
busy = watch(judge)
print(idle[0], *busy)
window.close()
"""


def longest(folder: Path) -> tuple[float, float, float]:
    """Longest stalls in seconds: of the idle window; of the same window while the embedded judge works on the sample; and
    what the window's thread itself worked at most meanwhile, which other work on the machine makes no longer."""
    words = [sys.executable, "-c", _WATCH, str(folder), str(N_JUDGED), str(IDLE_S)]
    places = {"ERRORMAP_STUDIO_CONFIG": str(folder), "ERRORMAP_STUDIO_CACHE": str(folder / "cache")}
    environment = {**os.environ, **places, "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    idle, busy, own = map(float, done.stdout.split()[-3:])
    return idle, busy, own


def run(folder: Path) -> list[str]:
    """One line with the ratio. Raises AssertionError where the window stalls while the judge works."""
    found: list[tuple[float, float, float]] = []
    while len(found) < TRIES and (not found or min(found, key=lambda times: times[1])[1] > MOST_S):
        found.append(longest(folder))
    idle, busy, own = min(found, key=lambda times: times[1])
    said = line("the longest stall of the window while the judge runs", busy, idle, "the idle window", aim=10)
    said = f"{said} ({own * 1000:.0f} ms of work of its own at most)"
    assert busy <= MOST_S, f"{said}: more than {MOST_S * 1000:.0f} ms"
    return [f"{said}; at most {MOST_S * 1000:.0f} ms"]
