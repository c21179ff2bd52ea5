"""The judge's queue over engines of the test's own: every record is answered once, whatever engines do."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errormap_core.judge import llama_judge
from errormap_core.judge.base import JudgeRequest, JudgeResult, RecordFailed
from errormap_core.judge.engine import EngineDied, EngineSettings
from errormap_core.judge.llama_judge import LlamaJudge
from errormap_core.judge.model_file import embedded_model_path

LOADED = {
    "n_ctx": 1000, "chat_template": "plain", "thinking": 0, "gpu_layers": 0, "gpu_layers_asked": 0, "threads": 1,
    "sequences": 2, "batch": 64, "flash": -1, "gpu_offload_supported": False, "library": "none", "system_info": "",
}  # fmt: skip
QUICK = {"evidence": "", "error_title": "Two words", "error_summary": "Five words of a summary"}


class Engines:
    """Makes engines that die, answer that a prompt is too long, or answer, as a seed says.

    Those asked about a record of `deadly` die of it, always.
    """

    def __init__(self, seed: int, *, deadly: tuple[str, ...] = (), dying: float = 0.0, long: float = 0.0) -> None:
        self.random = random.Random(seed)
        self.deadly = deadly
        self.dying = dying
        self.long = long
        self.n_deaths = 0

    def __call__(self, settings: EngineSettings, **_: Any) -> "Engine":
        return Engine(self)


class Engine:
    pid = 1

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self.loaded = LOADED
        self.asked: list[tuple[int, dict[str, Any]]] = []
        self.n = 0
        self.is_dead = False

    def is_alive(self) -> bool:
        return not self.is_dead

    def submit(self, request: dict[str, Any]) -> int:
        if self.is_dead:
            raise EngineDied("dead")
        self.n += 1
        self.asked.append((self.n, request))
        return self.n

    def receive(self, timeout: float) -> dict[str, Any] | None:
        engines = self._engines
        draw = engines.random.random()
        if self.is_dead or any(name in request["messages"][1]["content"] for _, request in self.asked
                               for name in engines.deadly) or draw < engines.dying:  # fmt: skip
            engines.n_deaths += not self.is_dead
            self.is_dead = True
            raise EngineDied("it fell")
        if not self.asked or draw < 0.3:
            return None
        key, request = self.asked.pop(engines.random.randrange(len(self.asked)))
        text = request["messages"][1]["content"]
        if len(text) > 900 or engines.random.random() < engines.long:
            return {"id": key, "too_long": {"prompt": max(1001, len(text)), "room": 100}}
        done = {"value": QUICK, "text": "", "thinking": "", "prompt_tokens": 1, "reused_tokens": 0,
                "completion_tokens": 1, "fed_tokens": 1, "seconds": 0.0}  # fmt: skip
        return {"id": key, "ok": done}

    def cancel(self) -> None:
        self.asked.clear()

    def kill(self) -> None:
        self.is_dead = True

    close = kill


def judge_with(engines: Engines, n: int, patch: pytest.MonkeyPatch) -> LlamaJudge:
    patch.setattr(llama_judge, "EngineProcess", engines)
    patch.setattr(llama_judge, "file_sha256", lambda path: "0" * 64)
    settings_of = EngineSettings(embedded_model_path(), sequences=2)
    return LlamaJudge([settings_of] * n, form="quick")


def answered(judge: LlamaJudge, requests: list[JudgeRequest], rng: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {}
    waiting = list(requests)
    for _ in range(20_000):
        while waiting and judge.n_asked < judge.capacity:
            judge.submit(waiting.pop(0), is_urgent=rng.random() < 0.2)
        if not waiting and not judge.n_asked:
            return found
        for request, result in judge.results(0.0):
            assert request.record_id not in found, "twice"
            found[request.record_id] = result
    raise AssertionError(f"{len(found)} of {len(requests)}: the rest is never answered")


def some(n: int, seed: int) -> list[JudgeRequest]:
    rng = random.Random(seed)
    return [
        JudgeRequest(f"r{i}", f"Question r{i}q. " + "why " * rng.choice((1, 50, 400)), "It is so, I think.", None)
        for i in range(n)
    ]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6), n=st.integers(1, 14), n_engines=st.integers(1, 3),
    dying=st.sampled_from([0.0, 0.05, 0.2]), long=st.sampled_from([0.0, 0.1, 0.5]),
)  # fmt: skip
def test_every_record_is_answered_once(seed: int, n: int, n_engines: int, dying: float, long: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        judge = judge_with(Engines(seed, dying=dying, long=long), n_engines, patch)
        found = answered(judge, some(n, seed), random.Random(seed))
        assert sorted(found) == sorted(f"r{i}" for i in range(n))
        assert judge.n_asked == 0
        for result in found.values():
            assert isinstance(result, JudgeResult) or result.code in ("engine_died", "too_long")
            if not dying:
                assert isinstance(result, JudgeResult) or result.code == "too_long"


@pytest.mark.parametrize("n_engines", [1, 2, 3])
def test_the_one_that_kills_is_set_aside_and_no_other(n_engines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    engines = Engines(3, deadly=("r4q", "r9q"))
    judge = judge_with(engines, n_engines, monkeypatch)
    found = answered(judge, some(12, 3), random.Random(1))
    failed = {key: result.code for key, result in found.items() if isinstance(result, RecordFailed)}
    assert failed == {"r4": "engine_died", "r9": "engine_died"}
    assert engines.n_deaths == judge.n_deaths


def test_a_record_too_long_is_not_lost_while_others_are_suspected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by a reviewer: it was put nowhere, and the run waited for it for ever."""
    judge = judge_with(Engines(0, deadly=("r0q",)), 2, monkeypatch)
    requests = [JudgeRequest("r0", "Question r0q.", "It is so.", None)]
    requests += [JudgeRequest(f"r{i}", "Question. " + "why " * 400, "It is so.", None) for i in range(1, 6)]
    found = answered(judge, requests, random.Random(0))
    assert sorted(found) == [f"r{i}" for i in range(6)]
    assert all(found[f"r{i}"].shortened for i in range(1, 6))


def test_withdrawing_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = judge_with(Engines(0, dying=0.3), 2, monkeypatch)
    for request in some(8, 1):
        judge.submit(request)
    judge.results(0.0)
    judge.withdraw()
    assert judge.n_asked == 0
    assert judge.results(0.0) == []
