"""The window stays free while a judge works. How long it stalls at most is measured here, and asserted by the benchmark."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QTimer

from app.window import Window
from errormap_core.project import queries
from errormap_core.sample.build import build_sample

N_JUDGED = 4


def test_results_appear_while_the_window_stays_free(
    window: Window, tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """benchmarks/stalls.py asserts that no stall is longer than 50 ms; other tests beside this one would spoil that here."""
    monkeypatch.setenv("ERRORMAP_STUDIO_CACHE", str(tmp_path / "cache"))
    (Path(os.environ["ERRORMAP_STUDIO_CONFIG"]) / "settings.json").write_text(
        '{"judge.tuning": false}', encoding="utf-8"
    )
    build_sample(tmp_path / "sample.errormap", with_analyses=False).close()
    assert window.session.open(tmp_path / "sample.errormap")
    window.resize(1440, 900)
    window.show_page("records")
    qtbot.wait(500)
    gaps: list[float] = []
    last = time.perf_counter()

    def tick() -> None:
        nonlocal last
        now = time.perf_counter()
        gaps.append(now - last)
        last = now

    timer = QTimer()
    timer.setInterval(5)
    timer.timeout.connect(tick)
    timer.start()
    project = window.session.project
    assert project is not None
    with qtbot.waitSignal(window.session.tasks.finished, timeout=180_000) as done:
        window.session.start("judge", [str(project.path), "--limit", str(N_JUDGED), "--as-id", window.session.actor])
    job = done.args[0]
    assert job.error is None
    assert job.result["analysed"] == N_JUDGED
    n_waiting = queries.totals(project.reader).states["waiting"]
    qtbot.waitUntil(lambda: f"{n_waiting:,} wait for the judge" in window._saved.text(), timeout=5000)
    shown = [window.records.model.failure(row) for row in range(window.records.model.rowCount())]
    assert sum(failure is not None and failure.state != "waiting" for failure in shown) == N_JUDGED
    timer.stop()
    print(f"longest stall of the window's thread while the judge ran: {max(gaps) * 1000:.1f} ms of {len(gaps):,} looks")
