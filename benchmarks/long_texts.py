"""The longest stall of the window's thread with records of any length: to select, paint, scroll, for another width or theme.

Another theme is given to every widget of the window, whatever the record: what it takes with a short answer is its own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

MOST_S = 0.05
"""What takes less is not felt."""

TRIES = 3
"""Other work on the machine only ever makes stalls longer: the shortest of so many counts."""

SHORT = "a short answer"

_WATCH = """
import base64, json, random, sys, time
from pathlib import Path
from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QApplication
from app.start.run import make_window
from errormap_core.project.store import Project
from errormap_core.settings import UserSettings
from tests.core.building import add_analyses, add_proposals, add_records

folder = Path(sys.argv[1])
path = folder / "long.errormap"
family = "\\U0001f468\\u200d\\U0001f469\\u200d\\U0001f467\\u200d\\U0001f466"
texts = {
    "a short answer": "42",
    "a word of 400,000 letters": "a" * 400_000,
    "5 MB on one line": "a word and another " * 270_000,
    "2 MB in lines": "a line of text\\n" * 140_000,
    "Arabic": "\\u062e\\u0637\\u0623 \\u0641\\u064a " * 20_000,
    "an Arabic word": "\\u0639" * 100_000,
    "CJK": "\\u6f22" * 400_000,
    "marks on one letter": "a" + "\\u0301" * 20_000,
    "emoji": family * 10_000,
    "base64": base64.b64encode(random.Random(0).randbytes(300_000)).decode(),
    "control characters": "\\x1b[31m\\u202e" * 60_000,
    "empty lines": "\\n" * 400_000,
}
app = QApplication(sys.argv[:1])
if not path.exists():
    project = Project.create(path)
    ids = add_records(project, [{"example_id": name, "model": "m", "dataset": "d", "output_text": text, "input_text": text}
                                for name, text in texts.items()])
    add_analyses(project, {record: f"Error {n}" for n, record in enumerate(ids)})
    add_proposals(project, [{"name": "n" * 100_000, "records": ids[:3], "description": "d " * 50_000}])
    project.close()
    (folder / "ids.json").write_text(json.dumps(ids))
ids = json.loads((folder / "ids.json").read_text())
settings = UserSettings(folder / "settings.json")
settings["queue.questions"] = False
window = make_window(app, settings)
window.resize(1440, 900)
window.show()
assert window.session.open(path)
window.show_page("records")
last, longest, own_last, own = 0.0, 0.0, 0.0, 0.0
timer = QTimer()
timer.setInterval(2)

def tick():
    global last, longest, own_last, own
    now, worked = time.perf_counter(), time.thread_time()
    longest, own = max(longest, now - last - 0.002), max(own, worked - own_last)
    last, own_last = now, worked

timer.timeout.connect(tick)

def watch(act, wait_ms=250):
    global last, longest, own_last, own
    loop = QEventLoop()
    last, own_last, longest, own = time.perf_counter(), time.thread_time(), 0.0, 0.0
    timer.start()
    QTimer.singleShot(0, act)
    QTimer.singleShot(wait_ms, loop.quit)
    loop.exec()
    tick()
    timer.stop()
    return longest, own

def scroll(steps=12):
    bar = window.record.text.verticalScrollBar()
    found = (0.0, 0.0)
    for _ in range(steps):
        found = max(found, watch(lambda: bar.setValue(bar.value() + bar.pageStep()), 30))
    return found

def keep(kind, did, measured):
    result.setdefault(kind, {})[did] = measured

result = {}
watch(lambda: window.session.select_record(ids[0]), 1500)
for name, record in zip(texts, ids):
    watch(lambda: window.session.select_record(ids[0]))
    keep(name, "select", watch(lambda: window.session.select_record(record), 400))
    keep(name, "scroll", scroll())
    keep(name, "the end", watch(lambda: window.record.text.go_to_end(), 400))
    keep(name, "back", watch(lambda: window.record.jump("answer"), 400))
    keep(name, "narrower", watch(lambda: window.resize(1300, 900), 300))
    keep(name, "wider", watch(lambda: window.resize(1440, 900), 300))
    keep(name, "dark", watch(lambda: window.theme.apply("dark", 1.0), 500))
    keep(name, "light", watch(lambda: window.theme.apply("light", 1.0), 500))
    keep(name, "again", watch(lambda: window.record.refresh(), 200))
for place in range(3):
    keep("a proposal's title of 100,000 letters", f"card {place + 1}", watch(lambda: window.show_page("review"), 500))
    watch(lambda: window.show_page("records"), 300)
print(json.dumps(result))
window.close()
"""


def measured(folder: Path) -> dict[str, dict[str, tuple[float, float]]]:
    """By kind of text and deed: the longest stall in seconds, and the most that the window's thread worked in one."""
    words = [sys.executable, "-c", _WATCH, str(folder)]
    places = {"ERRORMAP_STUDIO_CONFIG": str(folder), "ERRORMAP_STUDIO_CACHE": str(folder / "cache")}
    environment = {**os.environ, **places, "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, dict[str, tuple[float, float]]] = json.loads(done.stdout.splitlines()[-1])
    return found


def run(folder: Path, tries: int = TRIES) -> list[str]:
    """A line for each kind of text. Raises AssertionError where the window works longer than is felt."""
    folder = folder / "long_texts"
    folder.mkdir(exist_ok=True)
    best: dict[str, dict[str, tuple[float, float]]] = {}
    for _ in range(tries):
        for kind, deeds in measured(folder).items():
            for deed, stall in deeds.items():
                before = best.setdefault(kind, {}).get(deed, (9e9, 9e9))
                best[kind][deed] = min(before[0], stall[0]), min(before[1], stall[1])
    lines, too_long = [], []
    for kind, deeds in best.items():
        told = ", ".join(f"{deed} {stall * 1000:.0f} ({own * 1000:.0f})" for deed, (stall, own) in deeds.items())
        lines.append(f"longest stalls in ms (work of the window's own) with {kind}: {told}")
        themes = {deed: best[SHORT][deed][1] for deed in ("dark", "light")}
        too_long += [f"{kind}: {deed}" for deed, (_, own) in deeds.items() if own > MOST_S + themes.get(deed, 0.0)]
    assert not too_long, "\n".join([*lines, f"more than {MOST_S * 1000:.0f} ms: {'; '.join(too_long)}"])
    return lines


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory(prefix="errormap-long-") as made:
        print("\n".join(run(Path(made), tries=1)))
