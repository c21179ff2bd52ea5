"""Judges for tests of what uses a judge: no model, the same answer for the same record every time."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence

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
        self._asked: list[tuple[JudgeRequest, float]] = []
        self.is_closed = self.is_paused = False

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
            thinking=0,
            sequences=1,
            batch=512,
            flash=-1,
            weights="as is",
            n_engines=1,
            temperature=0.0,
            seed=0,
            prompt_id="analyse",
            prompt_version=1,
            prompt_sha256="0" * 64,
            max_criteria=2,
        )

    @property
    def capacity(self) -> int:
        return 1

    def submit(self, request: JudgeRequest, *, is_urgent: bool = False) -> None:
        until = time.monotonic() + self.slow.get(request.record_id, 0.0)
        self.requests.append(request)
        self._asked.insert(0, (request, until)) if is_urgent else self._asked.append((request, until))

    def results(self, timeout: float) -> list[tuple[JudgeRequest, JudgeResult | RecordFailed]]:
        if not self._asked:
            return []
        request, until = self._asked[0]
        if self.is_paused or time.monotonic() < until:
            time.sleep(min(timeout, 0.01))
            return []
        self._asked.pop(0)
        try:
            return [(request, self.analyse(request))]
        except RecordFailed as failed:
            return [(request, failed)]

    def withdraw(self) -> None:
        self._asked.clear()

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def analyse(self, request: JudgeRequest) -> JudgeResult:
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

    def name_category(
        self, messages: Sequence[Message], *, cancelled: tasks.Cancelled = tasks.never_cancelled
    ) -> Completion:
        """A name and a description with a number made from the messages."""
        if cancelled():
            raise Cancelled
        number = _number("".join(message["content"] for message in messages))
        value = {name: f"{name} {number % 1000}" for name in ("name", "description")}
        return Completion(value, 100, 20, 0.01, json.dumps(value))

    def close(self) -> None:
        self.is_closed = True


class FakeScores:
    """Scores texts: `likes` gives names what they have after anything, `knows` what they have more where a prompt holds a
    text. `asked` are the messages and continuations of each request; those named in `failing` fail with that code."""

    def __init__(
        self,
        *,
        likes: Mapping[str, float] | None = None,
        knows: Mapping[str, Mapping[str, float]] | None = None,
        failing: Mapping[str, str] | None = None,
    ) -> None:
        self.likes = dict(likes or {})
        self.knows = dict(knows or {})
        self.failing = dict(failing or {})
        self.asked: list[tuple[list[Message], list[str]]] = []

    def describe(self) -> JudgeInfo:
        return FakeJudge().describe()

    def score(
        self,
        messages: Sequence[Message],
        continuations: Sequence[str],
        *,
        opening: str,
        own: int = 0,
        plain: bool = False,
        remember: bool = False,
        cancelled: tasks.Cancelled = tasks.never_cancelled,
    ) -> list[tuple[float, int]]:
        if cancelled():
            raise Cancelled
        text = messages[-1]["content"]
        for held, code in self.failing.items():
            if held in text:
                raise RecordFailed(code, tr("It was told to fail with {code}.", code=code))
        self.asked.append((list(messages), list(continuations)))
        known = [more for held, more in self.knows.items() if held in text]
        names = [continuation.strip() for continuation in continuations]
        return [
            (-10.0 + self.likes.get(n, 0.0) + sum(more.get(n, 0.0) for more in known), len(n.split())) for n in names
        ]

    @property
    def n_failures_asked(self) -> int:
        """How many requests were about a failure that something is known of."""
        free = ("Text:", "Text: N/A", "Text: [MASK]")
        return sum(messages[-1]["content"].strip() not in free for messages, _ in self.asked)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
