"""Why an analysis says what it says: what wrote it, with which prompt and parameters, and what it answered, word for word.

The prompt is not stored with each analysis; it is put together again from the record, its references and the wording
that the run used, and compared with the hash that was stored. Where it cannot be the same, that is said.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from errormap_core.errors import KnownError
from errormap_core.judge.base import JudgeRequest, Message
from errormap_core.judge.llama_judge import prompt_hash
from errormap_core.judge.own_prompt import OwnPrompt
from errormap_core.judge.project_prompts import OWN, own_prompts
from errormap_core.judge.prompts import Prompt, available_versions, load_prompt
from errormap_core.judge.shortening import LEAST_CHARACTERS, Shortening, shortened, size_of
from errormap_core.project import judging
from errormap_core.project.judge_runs import StoredAnalysis, flat, stored_analysis, values_of_choice
from errormap_core.project.store import Project
from errormap_core.sentences import Sentence, tr

PromptState = Literal["same", "unchecked", "differs", "missing", "none"]
"""The same as it was; not known whether, since no hash was stored; another than it was; not to be put together again;
or there was none."""

Fact = tuple[Sentence, str]

_NEARBY = 120
"""Shortenings of nearly the same room are tried too: word borders make what is left out jump."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that is known of how an analysis came about.

    `facts` are titled values in the order to be read; `prompt` the messages, empty where `prompt_state` is missing or
    none; `prompt_note` says how far they can be trusted; `answer` is what the judge wrote, `thinking` what it thought
    before.
    """

    analysis_id: str
    record_id: str
    is_by_judge: bool
    source_name: str
    facts: tuple[Fact, ...]
    prompt: tuple[Message, ...]
    prompt_state: PromptState
    prompt_note: Sentence
    shortened: Sentence | None
    thinking: str
    answer: str

    def lines(self) -> Iterator[str]:
        """The whole as text, to be copied."""
        for title, text in self.facts:
            yield f"{title}: {text}"
        if not self.is_by_judge:
            return
        if self.shortened is not None:
            yield str(self.shortened)
        yield f"\n{tr('Prompt')}: {self.prompt_note}"
        for message in self.prompt:
            yield f"\n[{message['role']}]\n{message['content']}"
        if self.thinking:
            yield f"\n{tr('Thinking')}:\n{self.thinking}"
        yield f"\n{tr('Answer')}:\n{self.answer}"

    def __str__(self) -> str:
        return "\n".join(self.lines())


def explain(project: Project, analysis_id: str) -> Explanation:
    """How an analysis came about. Raises KnownError where there is no such analysis."""
    stored = stored_analysis(project.reader, analysis_id)
    if stored.source_kind != "run":
        return Explanation(
            analysis_id=stored.id,
            record_id=stored.record_id,
            is_by_judge=False,
            source_name=stored.source_name,
            facts=((tr("Written by"), stored.source_name), (tr("At"), _time(stored.created_at))),
            prompt=(),
            prompt_state="none",
            prompt_note=tr("A person wrote this analysis; no judge was asked."),
            shortened=None,
            thinking="",
            answer="",
        )
    details = stored.details
    shortening = Shortening.from_json(details.get("shortened"))
    messages, state, note = _rebuilt(project, stored, shortening)
    return Explanation(
        analysis_id=stored.id,
        record_id=stored.record_id,
        is_by_judge=True,
        source_name=stored.source_name,
        facts=tuple(_facts(stored)),
        prompt=tuple(messages),
        prompt_state=state,
        prompt_note=note,
        shortened=shortening.sentence() if shortening.is_shortened else None,
        thinking=str(details.get("thinking") or ""),
        answer=str(details.get("text") or ""),
    )


def _facts(stored: StoredAnalysis) -> Iterator[Fact]:
    details, rest = stored.details, dict(stored.parameters)
    model, prompt = _part(rest.pop("model", None)), _part(rest.pop("prompt", None))
    yield tr("Judge"), stored.source_name
    yield tr("Run"), stored.source_id
    if model:
        yield tr("Model file"), str(model.get("name", ""))
        yield tr("SHA-256 of the model"), str(model.get("sha256", ""))
    if prompt:
        yield tr("Prompt"), str(tr("{id}, version {version}", id=prompt.get("id"), version=prompt.get("version")))
        yield tr("SHA-256 of the prompt"), str(prompt.get("sha256", ""))
    for key, title in (("seed", tr("Seed")), ("temperature", tr("Temperature"))):
        if key in rest:
            yield title, str(rest.pop(key))
    others = {**{f"model.{key}": value for key, value in model.items() if key not in ("name", "sha256")}, **flat(rest)}
    if others:
        yield tr("Other parameters"), ", ".join(f"{key} {value}" for key, value in others.items())
    for key, title in _DETAILS.items():
        if details.get(key) is not None:
            yield title, str(details[key])
    tokens = _tokens(details)
    if tokens is not None:
        yield tr("Tokens"), str(tokens)
    if isinstance(details.get("seconds"), int | float):
        yield tr("Time"), str(tr("{s:.1f} s", s=details["seconds"]))
    yield tr("At"), _time(stored.created_at)


_DETAILS: Mapping[str, Sentence] = {
    "library": tr("Library"),
    "threads": tr("Threads"),
    "sequences": tr("Records at once"),
    "gpu_layers": tr("Layers on the GPU"),
    "n_references": tr("References"),
}


def _tokens(details: Mapping[str, Any]) -> Sentence | None:
    """'1,204 read (of these 800 kept from before), 212 written (and 96 given by the form)'."""
    read, written = details.get("prompt_tokens"), details.get("completion_tokens")
    if not isinstance(read, int) or not isinstance(written, int):
        return None
    kept, fed = details.get("reused_tokens"), details.get("fed_tokens")
    if not isinstance(kept, int) or not isinstance(fed, int):
        return tr("{read:,} read, {written:,} written", read=read, written=written)
    return tr(
        "{read:,} read (of these {kept:,} kept from another record), {written:,} written (and {fed:,} given by the form)",
        read=read,
        kept=kept,
        written=written,
        fed=fed,
    )


# The prompt


def _rebuilt(
    project: Project, stored: StoredAnalysis, shortening: Shortening
) -> tuple[list[Message], PromptState, Sentence]:
    parameters = stored.parameters
    named, answer = _part(parameters.get("prompt")), _part(parameters.get("answer"))
    if stored.is_outdated:
        return [], "missing", tr("The record was replaced since; its text as the judge read it is gone.")
    prompt = _prompt_as_it_was(project, named)
    most = answer.get("max_criteria")
    if prompt is None or not isinstance(most, int):
        return [], "missing", tr("This program does not have the wording that the judge was asked with.")
    n_references = int(parameters.get("max_references") or 0)
    request = judging.request_for(project.reader, stored.record_id, max_references=n_references)
    wanted = stored.details.get("prompt_hash")
    found: list[Message] | None = None
    for shown in _shown(request, shortening):
        messages = prompt.messages(shown, max_criteria=most)
        if wanted and prompt_hash(messages) == wanted:
            return messages, "same", tr("This is the prompt as the judge read it, word for word.")
        found = found or messages
    if found is None:
        found = prompt.messages(request, max_criteria=most)
        return (
            found,
            "differs",
            tr("The judge read less than this: the record was shortened, and how is not known any more."),
        )
    if not wanted:
        said = tr("Put together again from the record; whether every word was the same was not stored.")
        return found, "unchecked", said
    return found, "differs", tr(
        "The judge read another prompt than this one, which is put together of what there is now: "
        "other answers may have passed, or the threshold was another."
    )  # fmt: skip


def _prompt_as_it_was(project: Project, named: Mapping[str, Any]) -> Prompt | None:
    """The very wording of a run: a shipped one, or one of the project's own, now or as the log has it; else None."""
    prompt_id, version, sha256 = named.get("id"), named.get("version"), named.get("sha256")
    if not isinstance(prompt_id, str):
        return None
    if version in available_versions(prompt_id):
        shipped = load_prompt(prompt_id, version)
        return shipped if shipped.sha256 == sha256 else None
    candidates = [*own_prompts(project).values(), *_past_prompts(project)]
    return next((prompt for own in candidates if (prompt := own.prompt()).sha256 == sha256), None)


def _past_prompts(project: Project) -> Iterator[OwnPrompt]:
    for value in values_of_choice(project.reader, OWN):
        for name, data in value.items() if isinstance(value, dict) else ():
            try:
                yield OwnPrompt.from_json(name, data)
            except KnownError:
                continue


def _shown(request: JudgeRequest, shortening: Shortening) -> Iterator[JudgeRequest]:
    """The record as it may have been shown: whole, or shortened so that just what is known to be missing is missing.

    The room that it was shortened to was not stored; what is missing grows as the room gets less.
    """
    if not shortening.is_shortened:
        yield request
        return
    wanted = shortening.to_json()
    missing = (shortening.references, sum(shortening.left_out.values()))
    low, high = LEAST_CHARACTERS, max(LEAST_CHARACTERS, size_of(request))
    while low < high:
        middle = (low + high) // 2
        found = shortened(request, middle)[1]
        if (found.references, sum(found.left_out.values())) <= missing:
            high = middle
        else:
            low = middle + 1
    seen: set[tuple[str, ...]] = set()
    for most in range(max(LEAST_CHARACTERS, low - _NEARBY), low + _NEARBY):
        shown, found = shortened(request, most)
        key = (shown.input_text, shown.output_text, shown.correct_answer or "", *shown.references)
        if found.to_json() == wanted and key not in seen:
            seen.add(key)
            yield shown


def _part(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _time(at: str) -> str:
    return at[:19].replace("T", " ")
