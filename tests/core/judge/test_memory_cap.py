"""An engine takes no more memory than its model explains, whatever the model's file or chat template asks for."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from errormap_core.errors import KnownError
from errormap_core.judge.engine import EngineProcess, EngineSettings
from errormap_core.judge.gguf_file import read_model_file
from errormap_core.judge.llama_judge import LlamaJudge
from errormap_core.judge.memory import memory_needed
from errormap_core.judge.memory_cap import Watch, memory_cap, own_memory
from errormap_core.judge.model_file import embedded_model_path

pytest.importorskip("llama_cpp")

GREEDY = "import sys, time; kept = bytearray(int(sys.argv[1])); kept[::4096] = b'x' * len(kept[::4096]); time.sleep(60)"

GROWING = {
    "output": (
        "{% for i in range(99999) %}{% for j in range(99999) %}growing {% endfor %}{% endfor %}",
        "writes more than",
    ),
    "one value": ("{% set x = 'x' * 40000000000 %}{{ messages[0].content }}", "too much memory"),
    "inside": (
        "{% set n = namespace(x='x') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ messages[0].content }}",
        "too much memory",
    ),
}


@pytest.mark.skipif(not psutil.LINUX, reason="only Linux holds a process to an amount")
@pytest.mark.parametrize("growing", GROWING)
def test_a_template_that_grows_is_told(tmp_path: Path, growing: str) -> None:
    text, said = GROWING[growing]
    path = tmp_path / "growing.jinja"
    path.write_text(text, encoding="utf-8")
    settings = EngineSettings(embedded_model_path(), threads=1, context=512, template=str(path), memory=600 << 20)
    with pytest.raises(KnownError, match=said) as caught:
        LlamaJudge(settings)
    assert "judge.template" in str(caught.value.fix)


def test_a_model_that_asks_for_more_than_it_may_have_is_not_loaded() -> None:
    settings = EngineSettings(embedded_model_path(), threads=1, context=2048, sequences=8, memory=20 << 20)
    with pytest.raises(KnownError) as caught:
        EngineProcess(settings)
    assert str(embedded_model_path()) in str(caught.value)


def test_the_watch_ends_what_grows_and_leaves_the_rest() -> None:
    ended: list[int] = []
    processes = [subprocess.Popen([sys.executable, "-c", GREEDY, str(n)]) for n in (1 << 20, 200 << 20)]
    watches = [Watch(p.pid, 100 << 20, mapped=0, end=lambda p=p: (ended.append(p.pid), p.kill())) for p in processes]  # type: ignore[misc]
    try:
        assert processes[1].wait(20) != 0
        assert ended == [processes[1].pid]
        assert (watches[1].over or 0) > 100 << 20 and watches[0].over is None
        assert processes[0].poll() is None
    finally:
        for watch, process in zip(watches, processes, strict=True):
            watch.stop()
            process.kill()
            process.wait()


@pytest.mark.skipif(not psutil.LINUX, reason="only Linux tells mapped files from the rest")
def test_a_mapped_file_is_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(1 << 20) * 150)
    mapping = (
        "import mmap, sys, time; f = open(sys.argv[1], 'rb'); m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ); "
        "n = sum(m[i] for i in range(0, len(m), 4096)); print(n, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", mapping, str(path)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and process.stdout.readline()
        assert psutil.Process(process.pid).memory_info().rss > 150 << 20
        assert own_memory(process.pid) < 60 << 20
    finally:
        process.kill()
        process.communicate()


def test_the_cap_follows_what_is_needed() -> None:
    model = read_model_file(embedded_model_path())
    cap = memory_cap(model, 2048, 1)
    assert memory_needed(model, 2048).total < cap < memory_needed(model, 2048).total + (900 << 20)
    assert memory_cap(model, 2048, 16) - cap >= 15 * 2 * 2048 * model.kv_bytes_per_token


def private_peak(settings: EngineSettings) -> tuple[int, int, int]:
    """The most that an engine had for itself while it counted and scored, its whole memory then, and its cap."""
    engine = EngineProcess(settings)
    try:
        key = engine.submit({"do": "count", "texts": ["word " * 200] * 50})
        own, whole, end = 0, 0, time.monotonic() + 120
        while time.monotonic() < end:
            found = psutil.Process(engine.pid).memory_info()
            own, whole = max(own, own_memory(engine.pid)), max(whole, found.rss)
            answer = engine.receive(0.05)
            if answer is not None and answer["id"] == key:
                break
        return own, whole, settings.memory_cap()
    finally:
        engine.close()


@pytest.mark.soak
def test_a_large_model_that_is_mapped_stays_within_its_cap() -> None:
    """A model of over 1 GB, named by ERRORMAP_LARGE_MODEL; else the embedded one."""
    path = Path(os.environ.get("ERRORMAP_LARGE_MODEL") or embedded_model_path())
    for sequences in (1, 8):
        own, whole, cap = private_peak(EngineSettings(path, threads=1, context=4096, sequences=sequences))
        print(
            f"{path.name}, {sequences} at once: {own / 1e6:,.0f} MB of its own, {whole / 1e6:,.0f} in all, cap {cap / 1e6:,.0f}"
        )
        assert own < cap
