"""Copies of weights in the cache: bounded, the oldest dropped, none that an engine runs on."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from errormap_core.judge.kept_copies import drop_copies, in_use, kept_copies, kept_folder, say_copies
from errormap_core.judge.models_report import report, table


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ERRORMAP_STUDIO_CACHE", str(tmp_path / "cache"))
    kept_folder().mkdir(parents=True)
    return tmp_path


def make(folder: Path, name: str, *, n_bytes: int = 1000, days: float = 0.0, model: bool = True) -> Path:
    """A copy that was used so many days ago; `model`: its source is still there."""
    source = folder / f"{name}-source.gguf"
    if model:
        source.write_bytes(b"x")
    path = kept_folder() / f"{name}-q8_0.gguf"
    path.write_bytes(b"x" * n_bytes)
    (kept_folder() / f"{name}-m.json").write_text(json.dumps({"copy": str(path), "model": str(source)}))
    at = time.time() - days * 86_400
    os.utime(path, (at, at))
    return path


def left() -> list[str]:
    return [copy.path.name.partition("-")[0] for copy in kept_copies()]


def test_the_ones_used_longest_ago_go_first(folder: Path) -> None:
    for days, name in enumerate(("new", "middle", "old")):
        make(folder, name, days=days)
    assert drop_copies(3000) == [] and left() == ["new", "middle", "old"]
    assert [copy.path.name for copy in drop_copies(2500)] == ["old-q8_0.gguf"]
    keep = kept_folder() / "middle-q8_0.gguf"
    drop_copies(0, keep=keep)
    assert left() == ["middle"]


def test_copies_of_models_that_are_gone_go(folder: Path) -> None:
    make(folder, "gone", model=False)
    make(folder, "there")
    (kept_folder() / "unnamed-q8_0.gguf").write_bytes(b"x")  # just made: it is being measured
    drop_copies(1_000_000)
    assert sorted(left()) == ["there", "unnamed"]
    at = time.time() - 7200
    os.utime(kept_folder() / "unnamed-q8_0.gguf", (at, at))
    drop_copies(1_000_000)
    assert left() == ["there"]


def test_what_an_engine_runs_on_stays(folder: Path) -> None:
    path = make(folder, "used", days=9, model=False)
    with in_use(path):
        assert drop_copies(0) == [] and kept_copies()[0].is_in_use
        assert kept_copies()[0].used_at > time.time() - 60
    assert [copy.path for copy in drop_copies(0)] == [path]
    assert list(kept_folder().glob("*.use")) == []


def test_a_process_that_was_killed_uses_nothing(folder: Path) -> None:
    path = make(folder, "used")
    words = (
        "import sys, time; from pathlib import Path; from errormap_core.judge.kept_copies import in_use\n"
        "with in_use(Path(sys.argv[1])): print(1, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", words, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline()
    assert drop_copies(0) == []
    process.kill()
    process.communicate()
    assert len(drop_copies(0)) == 1
    assert list(kept_folder().glob("*.use")) == []


def test_a_model_itself_is_not_marked(folder: Path) -> None:
    own = folder / "own.gguf"
    with in_use(own):
        assert list(folder.glob("*.use")) == []


def test_copies_are_listed_with_their_sizes(folder: Path) -> None:
    make(folder, "one", n_bytes=2_000_000)
    make(folder, "two", n_bytes=1_000_000, days=1, model=True)
    said = str(say_copies(kept_copies(), 5_000_000))
    assert said.startswith("2 copies of weights in a faster format take 3 MB of at most 5 MB, in ")
    found = report([], context=2048, most_copies=5_000_000)
    assert said in list(table(found)) and "  one-q8_0.gguf: 2 MB, one-source.gguf" in list(table(found))
    assert [copy["bytes"] for copy in found.to_json()["copies"]] == [2_000_000, 1_000_000]
