"""Judges for tests of what uses a judge: no model, the same answer for the same record every time."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from errormap_core import tasks
from errormap_core.judge.analysis import Analysis, Criterion
from errormap_core.judge.base import Cancelled, Completion, JudgeInfo, JudgeRequest, JudgeResult, Message, RecordFailed
from errormap_core.sentences import tr

TITLES = ("Wrong arithmetic", "Missed a condition", "Misread the question", "Stopped too early", "Wrong unit")


class FakeJudge:
    """Derives each analysis from the record's texts.

    `failing` gives record ids the code with which they fail; `slow` gives them seconds that an answer
    takes (a cancel is heeded meanwhile). `analysed` are the ids in the order in which they were asked for.
    """

    def __init__(
        self,
        *,
        name: str = "fake",
        failing: Mapping[str, str] | None = None,
        slow: Mapping[str, float] | None = None,
        title: Callable[[JudgeRequest], str] | None = None,
    ) -> None:
        self.name = name
        self.failing = dict(failing or {})
        self.slow = dict(slow or {})
        self.title = title or (lambda request: TITLES[_number(request.output_text) % len(TITLES)])
        self.requests: list[JudgeRequest] = []
        self.is_closed = False

    @property
    def analysed(self) -> list[str]:
        return [request.record_id for request in self.requests]

    def describe(self) -> JudgeInfo:
        return JudgeInfo(
            name=self.name,
            model_file=f"{self.name}.gguf",
            model_sha256=hashlib.sha256(self.name.encode()).hexdigest(),
            model_size=0,
            n_ctx=4096,
            threads=1,
            gpu_layers=0,
            gpu_layers_asked=0,
            gpu_offload_supported=False,
            library="none",
            system_info="",
            chat_template="plain",
            temperature=0.0,
            seed=0,
            prompt_id="analyse",
            prompt_version=1,
            prompt_sha256="0" * 64,
            max_criteria=2,
        )

    def analyse(self, request: JudgeRequest, *, cancelled: tasks.Cancelled = tasks.never_cancelled) -> JudgeResult:
        self.requests.append(request)
        until = time.monotonic() + self.slow.get(request.record_id, 0.0)
        while time.monotonic() < until:
            if cancelled():
                raise Cancelled
            time.sleep(0.01)
        if request.record_id in self.failing:
            code = self.failing[request.record_id]
            raise RecordFailed(code, tr("It was told to fail with {code}.", code=code))
        title = self.title(request)
        quote = " ".join(request.output_text.split()[:4])[:200]
        analysis = Analysis(
            required_criteria=(
                Criterion("Takes the right steps", bool(quote), "incorrect" if quote else None, quote, "It does not."),
                Criterion("States the result", False, None, "", "It is missing."),
            ),
            error_summary=f"The answer shows: {title.lower()}.",
            error_title=title,
            verdict="error",
        )
        return JudgeResult(analysis, 100, 50, 0.01, json.dumps(analysis.to_json()))

    def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: dict[str, Any],
        max_tokens: int,
        cancelled: tasks.Cancelled = tasks.never_cancelled,
    ) -> Completion:
        """Fills each text of an object's schema with its name and a number made from the messages."""
        if cancelled():
            raise Cancelled
        number = _number("".join(message["content"] for message in messages))
        value = {
            name: f"{name} {number % 1000}"[: part.get("maxLength")] for name, part in schema["properties"].items()
        }
        return Completion(value, 100, 20, 0.01, json.dumps(value))

    def close(self) -> None:
        self.is_closed = True


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
