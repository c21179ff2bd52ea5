"""Time to a usable window: from starting the program to a tree with counts, a list of failures and a record, painted."""

import os
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.operations import line
from benchmarks.projects import make_project

RUNS = 5

_OPEN = """
import sys, time
start = time.perf_counter()
from pathlib import Path
from PySide6.QtWidgets import QApplication
from app.start.run import make_window
from errormap_core.settings import UserSettings
app = QApplication(sys.argv[:1])
window = make_window(app, UserSettings(Path(sys.argv[2])))
window.resize(1440, 900)
window.show()
window.session.open(Path(sys.argv[1]))
app.processEvents()
window.grab()
assert window.tree.model.rowCount() > 2 and window.records.model.rowCount() > 0 and window.record.detail is not None
print(time.perf_counter() - start)
window.close()
"""


def open_s(project: Path, folder: Path) -> float:
    """Seconds of one start, in a process of its own."""
    words = [sys.executable, "-c", _OPEN, str(project), str(folder / "settings.json")]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    return float(done.stdout.split()[-1])


def run(folder: Path) -> list[str]:
    """One line with the ratio."""
    large, small = folder / "window-large.errormap", folder / "window-small.errormap"
    make_project(large, n_records=100_000, n_categories=1_000).close()
    make_project(small, n_records=1_000, n_categories=20).close()
    times = {path: statistics.median(open_s(path, folder) for _ in range(RUNS)) for path in (large, small)}
    what = "a usable window on 100,000 records and 1,000 categories"
    return [line(what, times[large], times[small], "one on 1,000 records", aim=2)]
