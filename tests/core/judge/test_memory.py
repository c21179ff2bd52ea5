"""Memory needed: the estimate beside a real engine, and what is refused."""

from pathlib import Path

import psutil
import pytest

from errormap_core.errors import KnownError
from errormap_core.judge import memory
from errormap_core.judge.base import JudgeRequest
from errormap_core.judge.engine import EngineSettings
from errormap_core.judge.gguf_file import read_model_file
from errormap_core.judge.llama_judge import LlamaJudge
from errormap_core.judge.memory import MemoryThere, memory_needed, memory_there, refuse_if_too_large, size_text
from tests.core.judge.gguf_making import CHAT, write


@pytest.mark.parametrize("context", [1024, 4096])
def test_the_estimate_is_a_little_above_what_an_engine_takes(model: Path, context: int) -> None:
    """Within a third; llama.cpp and the interpreter differ from machine to machine."""
    need = memory_needed(read_model_file(model), context)
    with LlamaJudge(EngineSettings(model, threads=1, context=context), max_criteria=1) as judge:
        judge.analyse(JudgeRequest("a", "Where are the boxes?", "They are in the van. " * (context // 40), "Here."))
        taken = psutil.Process(judge.engine_pids[0]).memory_info().rss
    assert 0.67 * need.total < taken < need.total


def test_what_grows_with_what(model: Path) -> None:
    found = read_model_file(model)
    one = memory_needed(found, 2048)
    assert one.cache == 2048 * 23_040
    assert memory_needed(found, 2048, 4).cache == 4 * one.cache
    assert memory_needed(found, 2048, flash_attention=False).graph > one.graph
    assert memory_needed(found, 2048, gpu_layers=-1).device == one.weights + one.cache
    assert memory_needed(found, 2048, gpu_layers=15).total < one.total
    assert memory_needed(found, 100_000) == memory_needed(found, 8192), "the engine makes none larger"
    assert memory_needed(found, 2048, gpu_layers=1000).total == memory_needed(found, 2048, gpu_layers=-1).total


def test_what_is_too_large_is_refused_with_the_numbers(tmp_path: Path) -> None:
    wide = {**CHAT, "llama.block_count": 1000, "llama.embedding_length": 1 << 20, "llama.attention.head_count_kv": 8,
            "llama.context_length": 1 << 17}  # fmt: skip
    found = read_model_file(write(tmp_path / "wide.gguf", wide))
    with pytest.raises(KnownError) as caught:
        refuse_if_too_large(found, 1 << 17)
    assert "of memory with a context of 131,072 tokens, and " in str(caught.value)
    assert "TB" in str(caught.value)
    refuse_if_too_large(read_model_file(write(tmp_path / "tiny.gguf", CHAT)), 512)
    with pytest.raises(KnownError, match="50 MB are free"):
        refuse_if_too_large(read_model_file(tmp_path / "tiny.gguf"), 4096, there=MemoryThere(5 * 10**7, 10**9))


def test_the_memory_that_is_there_heeds_a_control_group(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = memory_there()
    assert 0 < plain.available <= plain.total
    monkeypatch.setattr(memory, "_group_limits", lambda: iter([(10**9, 4 * 10**8), (1 << 62, 5)]))
    assert memory_there() == MemoryThere(6 * 10**8, 10**9)


def test_sizes_as_people_write_them() -> None:
    shown = [size_text(n) for n in (0, 999, 98_362_432, 999_600_000, 4_370_000_000, 2_500_000_000_000)]
    assert shown == ["0 kB", "1 kB", "98 MB", "1.0 GB", "4.4 GB", "2.5 TB"]
