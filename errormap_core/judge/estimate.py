"""What a run of a judge will take, before it is started: records, tokens, time.

Tokens are counted by the model itself on a sample of the records that wait; what is shared (instructions once, question
and references once an example) is counted once. What is written is as long as in this judge's earlier analyses, or as a
first run was measured to be. Time is that of the measured speeds, or of the judge's own earlier runs here where there are
enough of them.
"""

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from errormap_core.judge.base import JudgeRequest
from errormap_core.judge.llama_judge import LlamaJudge
from errormap_core.judge.prompts import Prompt
from errormap_core.judge.starting import JudgePlan
from errormap_core.project import judging
from errormap_core.project.store import Project
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.tasks import duration

SAMPLED = 60
"""Records that are counted; the rest is taken to be like them."""

ENOUGH_EARLIER = 20
"""So many earlier analyses of the same judge tell its speed better than a measurement does."""

WRITTEN = {"full": (200, 80), "quick": (60, 16)}
"""Tokens that are chosen and that are fed, a record, where nothing is known yet: as measured with the embedded model."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of a run over `n` records. `read_tokens` are evaluated, `written_tokens` chosen or fed; `seconds` is None where the
    speed was not measured. `known_from` says whence the time is: 'earlier' runs or the 'measured' speed."""

    n: int
    n_examples: int
    read_tokens: int
    written_tokens: int
    seconds: float | None
    known_from: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def sentence(self) -> Sentence:
        """For people."""
        about = tr(
            "{failures} of {examples}: about {read:,} tokens to read and {write:,} to write",
            failures=trn("{n:,} failure", "{n:,} failures", self.n),
            examples=trn("{n:,} example", "{n:,} examples", self.n_examples),
            read=_rounded(self.read_tokens),
            write=_rounded(self.written_tokens),
        )
        if self.seconds is None:
            return tr("{about}; how long it takes is known once this model's speed was measured here", about=about)
        return tr("{about}, {time}", about=about, time=str(duration(self.seconds)).removesuffix(" left"))


def estimate(
    project: Project, plan: JudgePlan, judge: LlamaJudge, record_ids: Sequence[str], *, run_id: str = ""
) -> Estimate:
    """Estimate a run of `judge`, which was started from `plan`, over these records; `run_id` where it goes on with one."""
    n = len(record_ids)
    if not n:
        return Estimate(0, 0, 0, 0, 0.0, "measured")
    max_references = int(project.setting("judge.max_references"))
    chosen = random.Random(0).sample(list(record_ids), min(SAMPLED, n))
    requests = [judging.request_for(project.db, record_id, max_references=max_references) for record_id in chosen]
    instructions, shared, own = _counted(judge, plan.prompt, requests, max_criteria=plan.max_criteria)
    examples = judging.examples_of(project.db, record_ids)
    info = judge.describe()
    earlier = judging.earlier_speed(project.db, run_id, threads=info.threads, sequences=info.sequences)
    sampled, fed = WRITTEN[plan.prompt.profile]
    if earlier is not None and earlier.n >= ENOUGH_EARLIER:
        sampled, fed = round(earlier.completion_tokens), round(earlier.fed_tokens)
    else:
        sampled += info.thinking
    read = round(instructions + len(examples) * shared + n * own)
    seconds: float | None = None
    known_from = "measured"
    if earlier is not None and earlier.n >= ENOUGH_EARLIER:
        seconds, known_from = earlier.seconds * n, "earlier"
    elif plan.tuning is not None:
        tuning = plan.tuning
        seconds = (read + n * fed) / tuning.prefill_tokens_per_s + n * sampled / tuning.decode_tokens_per_s
        seconds /= info.n_engines
    return Estimate(n, len(examples), read, n * (sampled + fed), seconds, known_from)


def _counted(
    judge: LlamaJudge, prompt: Prompt, requests: Sequence[JudgeRequest], *, max_criteria: int
) -> tuple[float, float, float]:
    """Tokens of the instructions, mean tokens of question and references, and of what is a record's alone."""
    texts = [prompt.messages(requests[0], max_criteria=max_criteria)[0]["content"]]
    for request in requests:
        user = prompt.messages(request, max_criteria=max_criteria)[-1]["content"]
        own = prompt.own_length(request)
        texts += [user[: len(user) - own], user[len(user) - own :]]
    counts = judge.count_tokens(texts)
    instructions, rest = counts[0], counts[1:]
    return instructions, sum(rest[::2]) / len(requests), sum(rest[1::2]) / len(requests)


def _rounded(n: int) -> int:
    """Two figures are known; the rest would only look so."""
    return int(round(n, 2 - len(str(n))))
