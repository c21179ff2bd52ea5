"""The judge that runs a GGUF model with llama.cpp in processes of its own."""

import collections
import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from errormap_core import tasks
from errormap_core.errors import KnownError
from errormap_core.judge.analysis import Analysis, cleaned
from errormap_core.judge.base import (
    BAD_JSON,
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
from errormap_core.judge.engine import SILENCE_S, EngineDied, EngineProcess, EngineSettings
from errormap_core.judge.model_file import file_sha256
from errormap_core.judge.prompts import Prompt, load_prompt
from errormap_core.judge.shortening import Shortening, shortened
from errormap_core.judge.writing import WRITER_VERSION, Limits
from errormap_core.sentences import tr

LIMITS = Limits()
"""Of the texts that a judge writes; recorded with every run."""

MOST_KILLS = 2
"""A record in whose presence an engine died so often is set aside."""

LEAST_SHOWN = 240
"""Characters of a record; a context that does not hold so many is too small to judge anything."""

_TRIES = 5
_TEXT_FIELDS = ("input_text", "output_text", "correct_answer")


@dataclass(slots=True, eq=False)
class _Asked:
    """A record that was asked about: as it is shown, and how often an engine died meanwhile."""

    request: JudgeRequest
    shown: JudgeRequest
    shortening: Shortening | None = None
    messages: tuple[Message, ...] = ()
    is_urgent: bool = False
    n_kills: int = 0
    n_tries: int = 1


class LlamaJudge:
    """Loads the model at once; an engine that dies is started again.

    Each record in whose presence an engine died is tried once more, alone, so that none is blamed for another; what an
    engine dies of then is set aside. `settings` are those of each engine, of one model. No further criterion is begun
    where an answer might have more than `most_tokens` (0: no such bound). `model` is the file that the user chose, where
    the engines run a copy of it, whose format `weights` names.

    Raises KnownError where the model cannot be used at all.
    """

    def __init__(
        self,
        settings: EngineSettings | Sequence[EngineSettings],
        *,
        temperature: float = 0.0,
        seed: int = 0,
        max_criteria: int = LIMITS.max_criteria,
        prompt: Prompt | None = None,
        form: str | None = None,
        most_tokens: int = 0,
        model: Path | None = None,
        weights: str = "as is",
        silence_s: float = SILENCE_S,
        cancelled: tasks.Cancelled = tasks.never_cancelled,
    ) -> None:
        self.settings = [settings] if isinstance(settings, EngineSettings) else list(settings)
        self.temperature = temperature
        self.seed = seed
        self.max_criteria = max_criteria
        self.prompt = prompt or load_prompt()
        self.form: str = form or self.prompt.profile
        self._limits = replace(LIMITS, max_criteria=max_criteria, tokens=most_tokens)
        self._silence_s = silence_s
        self._cancelled = cancelled
        self._asked: list[dict[int, _Asked]] = [{} for _ in self.settings]
        self._queued: collections.deque[_Asked] = collections.deque()
        self._suspects: collections.deque[_Asked] = collections.deque()
        self._ended: list[tuple[JudgeRequest, JudgeResult | RecordFailed]] = []
        self._is_paused = False
        self._engines: list[EngineProcess | None] = [None] * len(self.settings)
        self.n_deaths = 0
        try:
            for place in range(len(self.settings)):
                self._running(place)
            first = self._engines[0]
            assert first is not None
            self._info = self._described(first.loaded, model or self.settings[0].path, weights)
        except BaseException:
            self.close()
            raise

    def describe(self) -> JudgeInfo:
        return self._info

    @property
    def capacity(self) -> int:
        """Records that are worth asking about at once: those that are written, and as many that wait beside them."""
        return sum(2 * settings.sequences for settings in self.settings)

    @property
    def engine_pids(self) -> list[int]:
        """Process ids of the engines that run."""
        return [engine.pid for engine in self._engines if engine is not None and engine.is_alive()]

    @property
    def n_asked(self) -> int:
        return len(self._queued) + len(self._ended) + len({*self._suspects, *self._in_engines()})

    def submit(self, request: JudgeRequest, *, is_urgent: bool = False) -> None:
        """Ask about a record. Raises Cancelled and KnownError."""
        asked = _Asked(request, request, is_urgent=is_urgent)
        (self._queued.appendleft if is_urgent else self._queued.append)(asked)
        self._hand_out()

    def results(self, timeout: float) -> list[tuple[JudgeRequest, JudgeResult | RecordFailed]]:
        """What came of records. Raises Cancelled, and KnownError where an engine cannot be started again."""
        deadline = time.monotonic() + timeout
        while True:
            self._hand_out()
            found: list[tuple[JudgeRequest, JudgeResult | RecordFailed]] = [*self._ended]
            self._ended.clear()
            for place in range(len(self.settings)):
                found += self._heard(place, 0.0)
            left = deadline - time.monotonic()
            if found or left <= 0 or not self.n_asked:
                return found
            place = max(range(len(self.settings)), key=lambda n: len(self._asked[n]))
            found = self._heard(place, min(left, 0.05 if len(self.settings) > 1 else 0.2))
            if found:
                return found

    def analyse(self, request: JudgeRequest, *, cancelled: tasks.Cancelled = tasks.never_cancelled) -> JudgeResult:
        """Why this record failed, where nothing else was asked. Raises RecordFailed, Cancelled, KnownError."""
        if cancelled():
            raise Cancelled
        self.submit(request)
        while True:
            for _, result in self.results(0.05):
                if isinstance(result, RecordFailed):
                    raise result
                return result
            if cancelled():
                self.withdraw()
                raise Cancelled

    def withdraw(self) -> None:
        """Drop every record that was asked about; an engine that does not hear of it in time is killed."""
        self._queued.clear()
        self._suspects.clear()
        self._ended.clear()
        for place, engine in enumerate(self._engines):
            self._asked[place].clear()
            if engine is not None:
                engine.cancel()
        self._is_paused = False

    def pause(self) -> None:
        """Stop working until `resume`."""
        self._is_paused = True
        for place, engine in enumerate(self._engines):
            if engine is not None:
                try:
                    engine.pause()
                except EngineDied as error:
                    self._bury(place, error)

    def resume(self) -> None:
        """Go on after `pause`."""
        self._is_paused = False
        for place, engine in enumerate(self._engines):
            if engine is not None:
                try:
                    engine.resume()
                except EngineDied as error:
                    self._bury(place, error)

    def name_category(
        self, messages: Sequence[Message], *, cancelled: tasks.Cancelled = tasks.never_cancelled
    ) -> Completion:
        """The name and description of a group. Raises RecordFailed, Cancelled, KnownError."""
        done = self._ask({"do": "write", **self._options(form="name"), "messages": list(messages)}, cancelled)
        return Completion(
            value=cleaned(done["value"]),
            prompt_tokens=done["prompt_tokens"],
            completion_tokens=done["completion_tokens"],
            seconds=done["seconds"],
            text=done["text"],
        )

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
        """Of each text, how likely it is as what goes on after the prompt and the `opening` of an answer: the natural
        logarithm of its probability, summed over its tokens, and how many they are.

        The last `own` characters of the user's message are not shared with the next prompt. `plain` leaves the model's
        chat template out. With `remember`, the engine keeps the scores for when the same prompt comes again. Nothing
        else may be asked meanwhile.

        Raises RecordFailed (too_long where the prompt does not fit), Cancelled, KnownError.
        """
        request = {
            "do": "score",
            "messages": list(messages),
            "opening": opening,
            "continuations": list(continuations),
            "own": own,
            "plain": plain,
            "remember": remember,
        }
        scores = self._ask(request, cancelled)["scores"]
        return [(float(log_probability), int(n_tokens)) for log_probability, n_tokens in scores]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of texts, by this model."""
        counts: list[int] = self._ask({"do": "count", "texts": list(texts)}, tasks.never_cancelled)
        return counts

    def measured(self) -> dict[str, Any]:
        """Time in llama_decode so far; where a journal is kept, also what the same batches take alone."""
        found: dict[str, Any] = self._ask({"do": "measured"}, tasks.never_cancelled)
        return found

    def close(self) -> None:
        for place, engine in enumerate(self._engines):
            if engine is not None:
                engine.close()
                self._engines[place] = None

    def __enter__(self) -> "LlamaJudge":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Handing out

    def _in_engines(self) -> list[_Asked]:
        return [asked for by_key in self._asked for asked in by_key.values()]

    def _hand_out(self) -> None:
        """Give engines what they can take. While there are suspects, one of them runs, and nothing beside it."""
        if self._is_paused:
            return
        if self._suspects:
            if not any(self._asked):
                self._give(0, self._suspects[0])
            return
        while self._queued:
            place = min(range(len(self.settings)), key=lambda n: len(self._asked[n]) / self.settings[n].sequences)
            if len(self._asked[place]) >= 2 * self.settings[place].sequences and not self._queued[0].is_urgent:
                return
            asked = self._queued.popleft()
            self._running(place)
            if self._suspects:  # an engine was found dead just now: they are tried first, and alone
                self._queued.appendleft(asked)
                return
            if not self._give(place, asked):
                return

    def _give(self, place: int, asked: _Asked) -> bool:
        """Ask an engine about a record; False where it died of that."""
        engine = self._running(place)
        shown = asked.shown
        asked.messages = tuple(self.prompt.messages(shown, max_criteria=self.max_criteria))
        source = shown.output_text if asked.shortening is None else asked.shortening.source
        request = {
            "do": "write",
            **self._options(form=self.form),
            "messages": list(asked.messages),
            "own": self.prompt.own_length(shown),
            "source": source,
            "is_urgent": asked.is_urgent,
        }
        try:
            key = engine.submit(request)
        except EngineDied as error:
            self._asked[place][-1] = asked
            self._bury(place, error)
            return False
        self._asked[place][key] = asked
        return True

    def _options(self, *, form: str) -> dict[str, Any]:
        return {
            "form": form,
            "limits": asdict(self._limits),
            "temperature": self.temperature,
            "seed": self.seed,
            "own": 0,
            "source": "",
            "is_urgent": False,
        }

    # Hearing back

    def _heard(self, place: int, timeout: float) -> list[tuple[JudgeRequest, JudgeResult | RecordFailed]]:
        """What an engine has to say now."""
        engine = self._engines[place]
        found: list[tuple[JudgeRequest, JudgeResult | RecordFailed]] = []
        try:
            while engine is not None and self._asked[place]:
                answer = engine.receive(timeout if not found else 0.0)
                if answer is None:
                    break
                asked = self._asked[place].pop(answer["id"], None)
                if asked is not None:
                    result = self._result(asked, answer)
                    if result is not None:
                        self._clear(asked)
                        found.append((asked.request, result))
        except EngineDied as error:
            self._bury(place, error)
        return found

    def _clear(self, asked: _Asked) -> None:
        if asked in self._suspects:
            self._suspects.remove(asked)

    def _result(self, asked: _Asked, answer: dict[str, Any]) -> JudgeResult | RecordFailed | None:
        """None where the record is shown in a shorter form instead."""
        if "too_long" in answer:
            return self._again_shorter(asked, **answer["too_long"])
        if "cut_off" in answer:
            # What was written took more tokens than texts mostly take: more room has to be left for it.
            return self._again_shorter(asked, prompt=answer["cut_off"]["prompt"], room=2 * answer["cut_off"]["room"])
        if "ok" not in answer:
            said = answer.get("fault", "it was cancelled")
            return RecordFailed(ENGINE_ERROR, tr("llama.cpp gave up on this record: {said}", said=said))
        done = answer["ok"]
        try:
            analysis = Analysis.from_json(as_analysis(done["value"], self.form))
        except KnownError as error:
            return RecordFailed(BAD_JSON, tr("The judge's answer is no analysis: {reason}", reason=str(error)))
        return JudgeResult(
            analysis=analysis,
            prompt_tokens=done["prompt_tokens"],
            completion_tokens=done["completion_tokens"],
            seconds=done["seconds"],
            text=done["text"],
            thinking=done["thinking"],
            reused_tokens=done["reused_tokens"],
            fed_tokens=done["fed_tokens"],
            shortened=None if asked.shortening is None else asked.shortening.to_json(),
            prompt_hash=prompt_hash(asked.messages),
        )

    def _again_shorter(self, asked: _Asked, *, prompt: int, room: int) -> RecordFailed | None:
        """Show less of the record, by as much as its prompt is too long."""
        shown = asked.shown
        n_shown = sum(len(getattr(shown, name) or "") for name in _TEXT_FIELDS) + sum(map(len, shown.references))
        n_all = max(1, sum(len(message["content"]) for message in asked.messages))
        characters_a_token = n_all / prompt
        fits = (self._info.n_ctx - room) * characters_a_token
        most = int(fits * 0.9**asked.n_tries) - (n_all - n_shown)
        if asked.n_tries >= _TRIES or most < LEAST_SHOWN or room >= self._info.n_ctx:
            return self._too_long(prompt=prompt, room=room)
        asked.n_tries += 1
        asked.shown, asked.shortening = shortened(asked.request, most)
        if asked not in self._suspects:  # which are tried from there
            self._queued.appendleft(asked)
        return None

    def _bury(self, place: int, error: EngineDied | None = None) -> None:
        """An engine died: what it worked on is suspected, tried once more alone, and set aside if it kills again."""
        engine = self._engines[place]
        said = "" if error is None else str(error)[-500:]
        if engine is not None:
            engine.kill()
            self._engines[place] = None
        self.n_deaths += 1
        lost = list(self._asked[place].values())
        self._asked[place].clear()
        for asked in lost:
            asked.n_kills += 1
            if asked.n_kills < MOST_KILLS:
                self._suspects.append(asked)
                continue
            self._clear(asked)
            reason = tr("The judge's engine ended unexpectedly twice with this record. It said: {said}", said=said)
            self._ended.append((asked.request, RecordFailed(ENGINE_DIED, reason)))

    # Engines

    def _ask(self, request: dict[str, Any], cancelled: tasks.Cancelled) -> Any:
        """What the first engine gives for a request. Raises RecordFailed, Cancelled, KnownError."""
        if cancelled():
            raise Cancelled
        engine = self._running(0)
        try:
            answer = engine.ask(request, cancelled=cancelled)
        except EngineDied as error:
            self._bury(0, error)
            raise RecordFailed(
                ENGINE_DIED, tr("The judge's engine ended unexpectedly. It said: {said}", said=str(error)[-500:])
            ) from error
        if "too_long" in answer:
            raise self._too_long(**answer["too_long"])
        if "ok" not in answer:
            raise RecordFailed(ENGINE_ERROR, tr("llama.cpp gave up on this: {said}", said=answer.get("fault", "?")))
        return answer["ok"]

    def _running(self, place: int) -> EngineProcess:
        engine = self._engines[place]
        if engine is None or not engine.is_alive():
            if engine is not None:
                self._ended += self._heard(place, 0.0)  # what it said before it died counts; then it is buried
                if self._engines[place] is not None:
                    self._bury(place, None)
            engine = EngineProcess(self.settings[place], cancelled=self._cancelled, silence_s=self._silence_s)
            self._engines[place] = engine
        return engine

    def _too_long(self, *, prompt: int, room: int) -> RecordFailed:
        return RecordFailed(
            TOO_LONG,
            tr(
                "The prompt has {prompt:,} tokens and an answer needs {room:,} more; the context holds {context:,}. "
                "Choose a larger context size, a shorter prompt, or fewer criteria.",
                prompt=prompt,
                room=room,
                context=self._info.n_ctx,
            ),
        )

    def _described(self, loaded: dict[str, Any], model: Path, weights: str) -> JudgeInfo:
        return JudgeInfo(
            name=model.stem,
            model_file=model.name,
            model_sha256=file_sha256(model),
            model_size=model.stat().st_size,
            **loaded,
            weights=weights,
            n_engines=len(self.settings),
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


def prompt_hash(messages: Sequence[Message]) -> str:
    """SHA-256 of a prompt's messages, by which a prompt that is rebuilt later is known to be the same."""
    return hashlib.sha256(
        "\n\0".join(message["content"] for message in messages).encode("utf-8", "replace")
    ).hexdigest()


def as_analysis(value: dict[str, Any], form: str) -> dict[str, Any]:
    """What was written in a form as the fields of an analysis."""
    if form == "full":
        return value
    if form == "paper":
        return {**value, "verdict": "error"}
    evidence = value["evidence"]
    criterion = {
        "criterion": str(tr("Where the answer goes wrong")) if evidence else str(tr("An answer")),
        "present_in_wrong": bool(evidence),
        "quality": "incorrect" if evidence else None,
        "evidence": evidence,
        "comment": "",
    }
    return {
        "required_criteria": [criterion],
        "error_summary": value["error_summary"],
        "error_title": value["error_title"],
        "verdict": "error",
    }
