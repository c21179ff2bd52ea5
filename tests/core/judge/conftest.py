"""One engine on the embedded model for all tests of this folder that only ask it things."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from errormap_core.judge.engine import EngineSettings
from errormap_core.judge.llama_judge import LlamaJudge
from errormap_core.judge.model_file import embedded_model_path


@pytest.fixture(scope="session")
def model() -> Path:
    return embedded_model_path()


@pytest.fixture(scope="session")
def judge(model: Path) -> Iterator[LlamaJudge]:
    with LlamaJudge(EngineSettings(model, threads=1, context=2048), max_criteria=1) as started:
        yield started
