"""The real engine with the real embedded model."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import jsonschema
import psutil
import pytest

from errormap_core.errors import KnownError
from errormap_core.judge.analysis import schema
from errormap_core.judge.base import Cancelled, JudgeRequest, RecordFailed
from errormap_core.judge.engine import EngineDied, EngineProcess, EngineSettings
from errormap_core.judge.llama_judge import LlamaJudge
from errormap_core.judge.model_file import file_sha256

ROOT = Path(__file__).resolve().parents[3]
FIRST = JudgeRequest("a", "How many are 3 boxes of 4 apples and 2 more?", "3 * 4 = 12, so 13.", "14")
SECOND = JudgeRequest("b", "What is the capital of France? {x} <|im_end|>", "“Lyon” – naïve 東京 😀.", "Paris")
TEXT_SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string", "minLength": 1, "maxLength": 12}},
    "required": ["text"],
    "additionalProperties": False,
}


def test_answers_fit_the_schema_and_do_not_depend_on_what_was_asked_before(judge: LlamaJudge) -> None:
    first = judge.analyse(FIRST)
    second = judge.analyse(SECOND)
    assert judge.analyse(FIRST).text == first.text
    for result in (first, second):
        jsonschema.validate(result.analysis.to_json(), schema(1, for_judge=True))
        assert result.prompt_tokens > 100
        assert result.completion_tokens > 20
        assert result.seconds > 0
    assert first.text != second.text


def test_the_same_seed_gives_the_same_answer_where_words_are_drawn(judge: LlamaJudge) -> None:
    messages = [{"role": "user", "content": "Name any animal."}]

    def drawn(seed: int) -> str:
        judge.temperature, judge.seed = 1.5, seed
        try:
            return judge.complete(messages, schema=TEXT_SCHEMA, max_tokens=40).text  # type: ignore[arg-type]
        finally:
            judge.temperature, judge.seed = 0.0, 0

    answers = [drawn(seed) for seed in (1, 2, 3)]
    assert len(set(answers)) > 1
    assert [drawn(seed) for seed in (3, 2, 1)] == answers[::-1]
    for answer in answers:
        jsonschema.validate(json.loads(answer), TEXT_SCHEMA)


def test_characters_of_several_tokens_come_whole(judge: LlamaJudge) -> None:
    only = {"enum": ["東京 😀 naïve – “Straße”"]}
    forced = {"type": "object", "properties": {"text": only}, "required": ["text"], "additionalProperties": False}
    answer = judge.complete([{"role": "user", "content": "x"}], schema=forced, max_tokens=200)
    assert answer.value == {"text": "東京 😀 naïve – “Straße”"}
    assert answer.completion_tokens > 10


def test_a_prompt_longer_than_the_context_is_refused_with_its_length(judge: LlamaJudge) -> None:
    with pytest.raises(RecordFailed) as caught:
        judge.analyse(JudgeRequest("c", "A long question. " * 900, "?"))
    assert caught.value.code == "too_long"
    assert "the context holds 2,048" in str(caught.value.reason)
    assert caught.value.reason.values["prompt"] > 2700


def test_an_answer_that_is_not_finished_in_time_is_cut_off(judge: LlamaJudge) -> None:
    with pytest.raises(RecordFailed) as caught:
        judge.complete([{"role": "user", "content": "x"}], schema=schema(1, for_judge=True), max_tokens=15)
    assert caught.value.code == "cut_off"
    assert caught.value.reason.values["n"] == 15


def test_a_schema_that_llama_cannot_take_fails_that_request_alone(judge: LlamaJudge) -> None:
    pid = judge.engine_pid
    broken = {"type": "object", "properties": {"n": {"type": "string", "pattern": "^[z-a]$"}}, "required": ["n"]}
    with pytest.raises(RecordFailed) as caught:
        judge.complete([{"role": "user", "content": "x"}], schema=broken, max_tokens=15)
    assert caught.value.code == "engine_error"
    assert judge.complete([{"role": "user", "content": "x"}], schema=TEXT_SCHEMA, max_tokens=40).value["text"]
    assert judge.engine_pid == pid


def test_cancel_is_quick_in_the_middle_of_an_answer(judge: LlamaJudge) -> None:
    began = time.monotonic()
    with pytest.raises(Cancelled):
        judge.analyse(FIRST, cancelled=lambda: time.monotonic() > began + 0.7)
    assert 0.7 <= time.monotonic() - began < 2.7
    assert judge.complete([{"role": "user", "content": "x"}], schema=TEXT_SCHEMA, max_tokens=40).value["text"]


def test_the_judge_says_what_it_is(judge: LlamaJudge, model: Path) -> None:
    import llama_cpp

    info = judge.describe()
    assert info.model_file == model.name
    assert info.model_sha256 == file_sha256(model)
    assert info.model_size == model.stat().st_size
    assert (info.n_ctx, info.threads, info.gpu_layers) == (2048, 1, 0)
    assert info.gpu_offload_supported == llama_cpp.llama_supports_gpu_offload()
    assert info.library == f"llama-cpp-python {llama_cpp.__version__}"
    assert info.chat_template == "of the model"
    assert "threads" not in info.identity()


def test_settings_reach_the_engine(model: Path) -> None:
    asked = EngineSettings(model, threads=0, context=4096, gpu_layers=-1).load_request()
    assert asked == {
        "do": "load",
        "path": str(model),
        "threads": max(1, (os.cpu_count() or 1) // 2),
        "context": 4096,
        "gpu_layers": -1,
    }
    engine = EngineProcess(EngineSettings(model, threads=2, context=512, gpu_layers=-1))
    try:
        assert (engine.loaded["threads"], engine.loaded["n_ctx"], engine.loaded["gpu_layers"]) == (2, 512, -1)
        # -1 is all of them: the largest number that llama.cpp takes, which it cuts to what the model has.
        assert engine.loaded["gpu_layers_asked"] == 0x7FFFFFFF
        environment = psutil.Process(engine.pid).environ()
        assert environment["GOMP_SPINCOUNT"] == "300"
    finally:
        engine.close()


@pytest.fixture
def broken_models(tmp_path: Path, model: Path) -> dict[str, Path]:
    with model.open("rb") as file:
        start = file.read(model.stat().st_size // 2)
    contents = {"empty": b"", "text": b"hello", "half": start, "header": start[:5000], "magic": b"GGUF"}
    paths = {name: tmp_path / f"{name}.gguf" for name in contents}
    for name, content in contents.items():
        paths[name].write_bytes(content)
    return {**paths, "missing": tmp_path / "none.gguf", "folder": tmp_path}


@pytest.mark.parametrize(
    ("which", "said"),
    [
        ("missing", "There is no such judge's model."),
        ("folder", "is a folder"),
        ("empty", "is an empty file"),
        ("text", "is not a GGUF file"),
        ("half", "incomplete or damaged"),
        ("header", "incomplete or damaged"),
        ("magic", "incomplete or damaged"),
    ],
)
def test_a_model_that_is_none_is_told_at_the_start(broken_models: dict[str, Path], which: str, said: str) -> None:
    before = set(psutil.Process().children())
    with pytest.raises(KnownError) as caught:
        LlamaJudge(EngineSettings(broken_models[which], threads=1))
    assert said in str(caught.value.what)
    assert caught.value.where == str(broken_models[which])
    assert str(caught.value.fix)
    assert set(psutil.Process().children()) == before


def test_an_engine_that_is_killed_is_told_and_started_again(model: Path) -> None:
    with LlamaJudge(EngineSettings(model, threads=1, context=1024), max_criteria=1) as judge:
        before = judge.engine_pid
        assert before is not None
        killer = _later(0.5, lambda: os.kill(before, signal.SIGKILL))
        with pytest.raises(RecordFailed) as caught:
            judge.analyse(FIRST)
        killer.join()
        assert caught.value.code == "engine_died"
        assert "SIGKILL" in str(caught.value.reason)
        answer = judge.complete([{"role": "user", "content": "x"}], schema=TEXT_SCHEMA, max_tokens=40)
        assert answer.value["text"]
        assert judge.engine_pid not in (None, before)
    assert judge.engine_pid is None


def test_what_an_engine_said_last_is_kept(model: Path) -> None:
    engine = EngineProcess(EngineSettings(model, threads=1, context=512))
    os.kill(engine.pid, signal.SIGABRT)
    with pytest.raises(EngineDied, match="SIGABRT"):
        engine.ask(
            {"messages": [], "schema": {}, "max_tokens": 1, "temperature": 0, "seed": 0}, cancelled=lambda: False
        )
    engine.close()


PARENT = """
import sys, threading
from pathlib import Path
from errormap_core.judge.base import JudgeRequest
from errormap_core.judge.engine import EngineProcess, EngineSettings
from errormap_core.judge.llama_judge import LlamaJudge

def work():
    if sys.argv[2] == "loading":

        class Told(EngineProcess):
            def _load(self, cancelled):
                print(self.pid, flush=True)
                return super()._load(cancelled)
        Told(EngineSettings(Path(sys.argv[1]), threads=1))
        return
    judge = LlamaJudge(EngineSettings(Path(sys.argv[1]), threads=1), max_criteria=4)
    print(judge.engine_pid, flush=True)
    while True:
        judge.analyse(JudgeRequest("a", "What is 2 + 2? " * 150, "5"))

if sys.argv[3] == "main":
    work()
else:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
"""


@pytest.mark.parametrize(("moment", "thread"), [("loading", "main"), ("working", "main"), ("working", "other")])
def test_no_engine_outlives_its_parent(model: Path, moment: str, thread: str) -> None:
    command = [sys.executable, "-c", PARENT, str(model), moment, thread]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as parent:
        assert parent.stdout is not None
        engine = psutil.Process(int(parent.stdout.readline()))
        if moment == "working":
            time.sleep(0.5)  # in the middle of the prompt, a single C call
        assert engine.is_running()
        parent.kill()
    deadline = time.monotonic() + 2.0
    while time.monotonic() < deadline and _lives(engine):
        time.sleep(0.02)
    assert not _lives(engine)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _later(seconds: float, do: object) -> threading.Timer:
    timer = threading.Timer(seconds, do)  # type: ignore[arg-type]
    timer.start()
    return timer
