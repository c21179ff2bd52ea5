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
    what llama.cpp was given for it. `weights` is 'as is', or the format of the copy that is used for speed; `thinking`
    the most tokens that a model that thinks first may think, 0 for one that does not. `sequences` records are written
    at once by each of `n_engines`.
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
    thinking: int
    sequences: int
    batch: int
    flash: int
    weights: str
    n_engines: int
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
            "template": self.chat_template,
            "weights": self.weights,
            "thinking": self.thinking,
        }

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class JudgeResult:
    """An analysis and what it took.

    `text` is what the model wrote, `thinking` what it thought before. Of `prompt_tokens`, `reused_tokens` were evaluated
    for an earlier record; `completion_tokens` were chosen by the model, `fed_tokens` demanded by the form. `seconds` is
    from asking to answer, beside others. `shortened` tells what was left out of the record, None for nothing;
    `prompt_hash` is the SHA-256 of the prompt's messages.
    """

    analysis: Analysis
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    text: str
    thinking: str = ""
    reused_tokens: int = 0
    fed_tokens: int = 0
    shortened: dict[str, Any] | None = None
    prompt_hash: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """The parts of an answer of a form, and what it took."""

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
    """Anything that can say why an answer failed. Several records may be asked about at once, up to `capacity`."""

    @property
    def capacity(self) -> int: ...

    def describe(self) -> JudgeInfo: ...

    def submit(self, request: JudgeRequest, *, is_urgent: bool = False) -> None:
        """Ask about a record; `results` tells of it. An urgent one goes before all that wait.

        Raises Cancelled, or KnownError where the judge cannot work at all.
        """

    def results(self, timeout: float) -> list[tuple[JudgeRequest, "JudgeResult | RecordFailed"]]:
        """What came of records, waiting at most `timeout` seconds for the first. Raises as `submit` does."""

    def withdraw(self) -> None:
        """Drop every record that was asked about, within a second."""

    def pause(self) -> None:
        """Stop working until `resume`, within a second."""

    def resume(self) -> None: ...

    def name_category(
        self, messages: Sequence[Message], *, cancelled: tasks.Cancelled = tasks.never_cancelled
    ) -> Completion:
        """The name and description of a group. Raises RecordFailed, Cancelled, KnownError."""

    def close(self) -> None: ...
