"""The longest stall of the window's thread on a tree of 20,000 categories: opening, undo, redo, filter, selecting.

`python -m benchmarks.large_trees [SIZE]`; part of the soak, not of `make bench`. Times are of the thread's own processor time,
which other work on the machine makes no longer.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import sizes
from errormap_core.importers.atlas import import_atlas
from errormap_core.project.store import Project

_WATCH = """
import json, sys, time
from pathlib import Path
from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication
from app.start.run import make_window
from errormap_core.settings import UserSettings
from errormap_core.taxonomy.operations import DeleteCategories, MergeCategories, RenameCategory
from benchmarks.sizes import key

folder, project = Path(sys.argv[1]), Path(sys.argv[2])
app = QApplication(sys.argv[:1])
window = make_window(app, UserSettings(folder / "settings.json"))
window.resize(1440, 900)
window.show()
took = {}

def settle():
    end = time.monotonic() + 0.4
    longest = 0.0
    while time.monotonic() < end:
        start = time.thread_time()
        app.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 5)
        longest = max(longest, time.thread_time() - start)
    return longest

def timed(what, work):
    start = time.thread_time()
    work()
    first = time.thread_time() - start
    took[what] = max(first, settle())

timed("open", lambda: window.session.open(project))
dock, session = window.tree, window.session
timed("undo", session.undo)
timed("redo", session.redo)
timed("expand all", dock.expand_all)
timed("rename", lambda: session.apply(RenameCategory(category_id=key(1), name="Another")))
timed("filter", lambda: dock.filter.setText("number 77"))
timed("no filter", dock.filter.clear)
timed("select one", lambda: dock.select([key(5)]))
timed("select all", dock.view.selectAll)
ids = tuple(c.id for c in session.project.tree if c.reserved is None)
timed("merge all", lambda: session.apply(MergeCategories(category_ids=ids, into=ids[0])))
timed("undo merge", session.undo)
timed("delete all", lambda: session.apply(DeleteCategories(category_ids=ids)))
timed("undo delete", session.undo)
print(json.dumps(took))
window.close()
"""


def longest(folder: Path, shape: str, n: int) -> dict[str, float]:
    """Seconds of the longest stall in each deed."""
    path = folder / f"{shape}-{n}.json"
    path.write_text(json.dumps(sizes.atlas_of(folder, shape, n)), encoding="utf-8")
    with Project.create(folder / f"{shape}-{n}.errormap") as project:
        import_atlas(project, path, actor=project.annotator("Benchmark"))
    words = [sys.executable, "-c", _WATCH, str(folder), str(folder / f"{shape}-{n}.errormap")]
    places = {"ERRORMAP_STUDIO_CONFIG": str(folder), "ERRORMAP_STUDIO_CACHE": str(folder / "cache")}
    environment = {**os.environ, **places, "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory(prefix="errormap-trees-") as name:
        for shape in ("wide", "deep", "bushy"):
            print(f"{shape}, {n:,} categories: longest stall in seconds", flush=True)
            for what, seconds in longest(Path(name), shape, n).items():
                print(f"  {what:16}{seconds:8.3f}", flush=True)


if __name__ == "__main__":
    main()
