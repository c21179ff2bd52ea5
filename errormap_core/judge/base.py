"""The one interface of judges: what is asked, what comes back, and how one record or a whole judge can fail."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, TypedDict

from errormap_core import tasks
from errormap_core.judge.analysis import Analysis
from errormap_core.sentences import Sentence

TOO_LONG = "too_long"
CUT_OFF = "cut_off"
BAD_JSON = "bad_json"
ENGINE_DIED = "engine_died"
ENGINE_ERROR = "engine_error"


class Message(TypedDict):
    """One message of a chat; `role` is system or user."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class JudgeRequest:
    """A failed record as a judge sees it. `references` are answers of other models that passed.

    `record_hash` is the content hash of the record when this was read.
    """

    record_id: str
    input_text: str
    output_text: str
    correct_answer: str | None = None
    references: tuple[str, ...] = ()
    record_hash: str = ""


@dataclass(frozen=True, slots=True)
class JudgeInfo:
    """What a judge is. `identity` is what its answers depend on, the rest how this machine runs it.

    Sizes are in bytes, `n_ctx` in tokens; `gpu_layers` is the setting (-1 for all), `gpu_layers_asked`
    what llama.cpp was given for it.
    """

    name: str
    model_file: str
    model_sha256: str
    model_size: int
    n_ctx: int
    threads: int
    gpu_layers: int
    gpu_layers_asked: int
    gpu_offload_supported: bool
    library: str
    system_info: str
    chat_template: str
    temperature: float
    seed: int
    prompt_id: str
    prompt_version: int
    prompt_sha256: str
    max_criteria: int
    bounds: dict[str, int] = field(default_factory=dict)

    def identity(self) -> dict[str, Any]:
        """What makes a run: the same identity is the same run on every machine."""
        return {
            "model": {"name": self.model_file, "sha256": self.model_sha256},
            "prompt": {"id": self.prompt_id, "version": self.prompt_version, "sha256": self.prompt_sha256},
            "answer": {"max_criteria": self.max_criteria, **self.bounds},
            "temperature": self.temperature,
            "seed": self.seed,
            "context": self.n_ctx,
        }

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class JudgeResult:
    """An analysis and what it took; `text` is what the model wrote."""

    analysis: Analysis
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    text: str


@dataclass(frozen=True, slots=True)
class Completion:
    """Parsed JSON of an answer that was forced to a schema, and what it took."""

    value: Any
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    text: str


class RecordFailed(Exception):
    """A judge could not answer about one record; the next may well work.

    `code` is one of too_long, cut_off, bad_json, engine_died, engine_error.
    """

    def __init__(self, code: str, reason: Sentence) -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return str(self.reason)


class Cancelled(Exception):
    """The work was asked to stop before an answer was there."""


class Judge(Protocol):
    """Anything that can say why an answer failed."""

    def describe(self) -> JudgeInfo: ...

    def analyse(self, request: JudgeRequest, *, cancelled: tasks.Cancelled = tasks.never_cancelled) -> JudgeResult:
        """Raises RecordFailed, Cancelled, or KnownError where the judge cannot work at all."""

    def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: dict[str, Any],
        max_tokens: int,
        cancelled: tasks.Cancelled = tasks.never_cancelled,
    ) -> Completion:
        """Answer a chat with JSON of that schema. Raises as `analyse` does."""

    def close(self) -> None: ...
