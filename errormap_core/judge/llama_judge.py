"""The judge that runs a GGUF model with llama.cpp in a process of its own."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from errormap_core import tasks
from errormap_core.errors import KnownError
from errormap_core.judge import analysis as analyses
from errormap_core.judge.analysis import Analysis
from errormap_core.judge.base import (
    BAD_JSON,
    CUT_OFF,
    ENGINE_DIED,
    ENGINE_ERROR,
    TOO_LONG,
    Cancelled,
    Completion,
    JudgeInfo,
    JudgeRequest,
    JudgeResult,
    Message,
    RecordFailed,
)
from errormap_core.judge.engine import EngineDied, EngineProcess, EngineSettings
from errormap_core.judge.model_file import file_sha256
from errormap_core.judge.prompts import Prompt, load_prompt
from errormap_core.judge.writing import WRITER_VERSION, Limits
from errormap_core.sentences import tr, trn

LIMITS = Limits()
"""Of the texts that a judge writes; recorded with every run."""


class LlamaJudge:
    """Loads the model at once; an engine that dies is started again for the next record.

    Raises KnownError where the model cannot be used at all.
    """

    def __init__(
        self,
        settings: EngineSettings,
        *,
        temperature: float = 0.0,
        seed: int = 0,
        max_criteria: int = 4,
        prompt: Prompt | None = None,
        cancelled: tasks.Cancelled = tasks.never_cancelled,
    ) -> None:
        self.settings = settings
        self.temperature = temperature
        self.seed = seed
        self.max_criteria = max_criteria
        self.prompt = prompt or load_prompt()
        self._engine: EngineProcess | None = EngineProcess(settings, cancelled=cancelled)
        self._info = self._described(self._engine.loaded)

    def describe(self) -> JudgeInfo:
        return self._info

    @property
    def engine_pid(self) -> int | None:
        """Process id of the engine, None where none runs."""
        return self._engine.pid if self._engine is not None and self._engine.is_alive() else None

    def analyse(self, request: JudgeRequest, *, cancelled: tasks.Cancelled = tasks.never_cancelled) -> JudgeResult:
        """Why this record failed.

        Raises RecordFailed; Cancelled; KnownError where the engine cannot be started again.
        """
        messages = self.prompt.messages(request, max_criteria=self.max_criteria)
        done = self._ask(
            {
                "do": "analyse",
                "messages": list(messages),
                "own": self.prompt.own_length(request),
                "source": request.output_text,
                "max_criteria": self.max_criteria,
            },
            cancelled,
        )
        try:
            analysis = Analysis.from_json(done["value"])
        except KnownError as error:
            raise RecordFailed(
                BAD_JSON, tr("The judge's answer is no analysis: {reason}", reason=str(error))
            ) from error
        return JudgeResult(
            analysis=analysis.without_contradiction(),
            prompt_tokens=done["prompt_tokens"],
            completion_tokens=done["completion_tokens"],
            seconds=done["seconds"],
            text=done["text"],
        )

    def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: dict[str, Any],
        max_tokens: int,
        cancelled: tasks.Cancelled = tasks.never_cancelled,
    ) -> Completion:
        """Answer a chat with JSON of that schema. Raises as `analyse` does."""
        request = {"do": "complete", "messages": list(messages), "schema": schema, "max_tokens": max_tokens}
        done = self._ask(request, cancelled)
        if not done["is_whole"]:
            raise RecordFailed(
                CUT_OFF,
                trn(
                    "The judge's answer was not finished after {n:,} token. A larger context size leaves more room.",
                    "The judge's answer was not finished after {n:,} tokens. A larger context size leaves more room.",
                    done["completion_tokens"],
                ),
            )
        return Completion(
            value=analyses.cleaned(json.loads(done["text"])),
            prompt_tokens=done["prompt_tokens"],
            completion_tokens=done["completion_tokens"],
            seconds=done["seconds"],
            text=done["text"],
        )

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def __enter__(self) -> "LlamaJudge":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, request: dict[str, Any], cancelled: tasks.Cancelled) -> dict[str, Any]:
        """What the engine gives for a request. Raises RecordFailed, Cancelled, and KnownError as `_running` does."""
        if cancelled():
            raise Cancelled
        engine = self._running(cancelled)
        try:
            answer = engine.ask({**request, "temperature": self.temperature, "seed": self.seed}, cancelled=cancelled)
        except EngineDied as error:
            engine.kill()
            raise RecordFailed(
                ENGINE_DIED, tr("The judge's engine ended unexpectedly. It said: {said}", said=str(error)[-500:])
            ) from error
        if "too_long" in answer:
            raise self._too_long(**answer["too_long"])
        if "fault" in answer:
            raise RecordFailed(ENGINE_ERROR, tr("llama.cpp gave up on this record: {said}", said=answer["fault"]))
        done: dict[str, Any] = answer["ok"]
        return done

    def _running(self, cancelled: tasks.Cancelled) -> EngineProcess:
        if self._engine is None or not self._engine.is_alive():
            self.close()
            self._engine = EngineProcess(self.settings, cancelled=cancelled)
        return self._engine

    def _too_long(self, *, prompt: int, room: int) -> RecordFailed:
        return RecordFailed(
            TOO_LONG,
            tr(
                "The prompt has {prompt:,} tokens and an answer needs {room:,} more; the context holds {context:,}. "
                "Choose a larger context size, or show the judge fewer references.",
                prompt=prompt,
                room=room,
                context=self._info.n_ctx,
            ),
        )

    def _described(self, loaded: dict[str, Any]) -> JudgeInfo:
        path: Path = self.settings.path
        return JudgeInfo(
            name=path.stem,
            model_file=path.name,
            model_sha256=file_sha256(path),
            model_size=path.stat().st_size,
            **loaded,
            temperature=self.temperature,
            seed=self.seed,
            prompt_id=self.prompt.id,
            prompt_version=self.prompt.version,
            prompt_sha256=self.prompt.sha256,
            max_criteria=self.max_criteria,
            bounds={
                "criterion": LIMITS.criterion,
                "evidence": LIMITS.evidence,
                "comment": LIMITS.comment,
                "error_title": LIMITS.title,
                "error_summary": LIMITS.summary,
                "writer": WRITER_VERSION,
            },
        )
