"""From settings to a judge that runs: which model, how it is run here, with which prompt."""

import os
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from errormap_core import tasks
from errormap_core.judge.devices import ask_devices
from errormap_core.judge.engine import EngineSettings, default_threads
from errormap_core.judge.gguf_file import ModelFile, read_model_file
from errormap_core.judge.kept_copies import drop_copies
from errormap_core.judge.llama_judge import LlamaJudge
from errormap_core.judge.memory import memory_needed, memory_there, refuse_if_too_large, refuse_unfit
from errormap_core.judge.model_file import check_model_file, embedded_model_path
from errormap_core.judge.project_prompts import prompt_of
from errormap_core.judge.prompts import Prompt
from errormap_core.judge.tuning import AS_IS, Tuning, known_tuning, tune, tuned_settings
from errormap_core.project.store import Project
from errormap_core.sentences import tr
from errormap_core.settings import UserSettings
from errormap_core.tasks import Progress

_FLASH = {"on": 1, "off": 0}


@dataclass(frozen=True, slots=True)
class JudgePlan:
    """A judge that is not started yet: its model, its engines, its prompt, and what its answers depend on."""

    model: Path
    file: ModelFile
    engines: tuple[EngineSettings, ...]
    prompt: Prompt
    weights: str
    temperature: float
    seed: int
    max_criteria: int
    tuning: Tuning | None

    def start(self, *, cancelled: tasks.Cancelled = tasks.never_cancelled) -> LlamaJudge:
        """Load the model. Raises KnownError where that fails, Cancelled where it was asked to stop."""
        return LlamaJudge(
            self.engines,
            temperature=self.temperature,
            seed=self.seed,
            max_criteria=self.max_criteria,
            prompt=self.prompt,
            model=self.model,
            weights=self.weights,
            cancelled=cancelled,
        )


def judge_model(user_settings: UserSettings, model: str | Path | None = None) -> Path:
    """The GGUF that is named, here or in the settings, else the embedded one."""
    named = Path(model if model is not None else user_settings["judge.model"] or "")
    return embedded_model_path() if named == Path() else named.expanduser().absolute()


def plan_judge(
    project: Project,
    user_settings: UserSettings,
    *,
    model: str | Path | None = None,
    threads: int | None = None,
    gpu_layers: int | None = None,
    prompt: str | None = None,
    tried: Mapping[str, Any] | None = None,
    cancelled: tasks.Cancelled = tasks.never_cancelled,
) -> Generator[Progress, None, JudgePlan]:
    """What the settings say, what is given here winning; measures the model where that was not done on this machine.

    `tried` are settings of the project that hold for this plan without being kept.

    Raises KnownError where the model cannot be used, is too large for the memory that is free, or the prompt is
    missing; tasks.Stopped where it was asked to stop.
    """

    def chosen_in_project(key: str) -> Any:
        return tried[key] if tried and key in tried else project.setting(key)

    path = judge_model(user_settings, model)
    check_model_file(path)
    file = read_model_file(path)
    refuse_unfit(file)
    layers = user_settings["judge.gpu_layers"] if gpu_layers is None else gpu_layers
    context = int(chosen_in_project("judge.context"))
    refuse_if_too_large(file, context, gpu_layers=layers)
    settings = EngineSettings(
        path=path,
        context=context,
        gpu_layers=layers,
        template=chosen_in_project("judge.template"),
        thinking=chosen_in_project("judge.thinking"),
    )
    copies = user_settings["judge.copies"]
    drop_copies(user_settings["judge.copies_megabytes"] * 1_000_000)
    tuning = known_tuning(path, gpu_layers=layers, copies=copies)
    if tuning is None and user_settings["judge.tuning"]:
        tuning = yield from tune(path, gpu_layers=layers, context=context, copies=copies, cancelled=cancelled)
    chosen = {"threads": user_settings["judge.threads"] if threads is None else threads}
    chosen |= {name: user_settings[f"judge.{name}"] for name in ("sequences", "batch")}
    if user_settings["judge.flash_attention"] in _FLASH:
        chosen["flash"] = _FLASH[user_settings["judge.flash_attention"]]
    if tuning is not None:
        settings = tuned_settings(tuning, settings, chosen=chosen)
        drop_copies(user_settings["judge.copies_megabytes"] * 1_000_000, keep=settings.path)  # one may have come
    else:
        settings = replace(
            settings,
            threads=chosen["threads"],
            sequences=chosen["sequences"] or settings.sequences,
            batch=chosen["batch"] or settings.batch,
            flash=chosen.get("flash", settings.flash),
        )
    run = file if settings.path == path else read_model_file(settings.path)  # a copy takes other memory
    n_engines = int(user_settings["judge.engines"])
    settings = replace(settings, sequences=_most_sequences(run, settings, n_engines))
    return JudgePlan(
        model=path,
        file=file,
        engines=placements(settings, n_engines),
        prompt=prompt_of(project, prompt),
        weights=tuning.weights if tuning is not None and settings.path != path else AS_IS,
        temperature=chosen_in_project("judge.temperature"),
        seed=chosen_in_project("judge.seed"),
        max_criteria=chosen_in_project("judge.max_criteria"),
        tuning=tuning,
    )


def default_judge(
    project: Project,
    user_settings: UserSettings,
    *,
    model: str | Path | None = None,
    threads: int | None = None,
    gpu_layers: int | None = None,
    prompt: str | None = None,
    cancelled: tasks.Cancelled = tasks.never_cancelled,
) -> LlamaJudge:
    """The judge that the settings name, started. Raises as `plan_judge` and `JudgePlan.start` do."""
    work = plan_judge(
        project,
        user_settings,
        model=model,
        threads=threads,
        gpu_layers=gpu_layers,
        prompt=prompt,
        cancelled=cancelled,
    )
    return tasks.driven(work).start(cancelled=cancelled)


def placements(settings: EngineSettings, n: int) -> tuple[EngineSettings, ...]:
    """Settings of `n` engines that work one queue: one a GPU where there are so many, else one a share of the cores.

    The cores of one memory node (NUMA) stay together.
    """
    if n <= 1:
        return (settings,)
    if settings.gpu_layers != 0:
        gpus = ask_devices().gpus
        if len(gpus) >= n:
            return tuple(replace(settings, main_gpu=place) for place in range(n))
    shares = _shares(_memory_nodes(), n)
    threads = max(1, (settings.threads or default_threads()) // n)
    return tuple(replace(settings, threads=min(threads, len(share) or threads), cpus=tuple(share)) for share in shares)


def _shares(nodes: Sequence[Sequence[int]], n: int) -> list[list[int]]:
    """The cores in `n` shares, those of a node together; empty ones (any core) where a core would be in two."""
    cores = [core for node in nodes for core in node]
    if len(cores) < n:
        return [[] for _ in range(n)]
    size = len(cores) // n
    return [cores[place * size : (place + 1) * size] for place in range(n)]


def _memory_nodes() -> list[list[int]]:
    """The cores that this process may use, by memory node; one node where the system does not tell."""
    if not hasattr(os, "sched_getaffinity"):
        return [[]]
    allowed = os.sched_getaffinity(0)
    nodes = []
    for path in sorted(Path("/sys/devices/system/node").glob("node[0-9]*")):
        cores = [int(core.name[3:]) for core in path.glob("cpu[0-9]*") if core.name[3:].isdecimal()]
        nodes.append(sorted(core for core in cores if core in allowed))
    return [node for node in nodes if node] or [sorted(allowed)]


def _most_sequences(file: ModelFile, settings: EngineSettings, n_engines: int) -> int:
    """As many records at once as there is memory for now."""
    sequences = max(1, settings.sequences)
    there = memory_there().available
    while sequences > 1:
        need = memory_needed(file, settings.context, sequences, gpu_layers=settings.gpu_layers, batch=settings.batch)
        if need.total * n_engines <= there:
            break
        sequences //= 2
    return sequences


def tuning_of(plan: JudgePlan) -> str:
    """How the judge is run here, in words."""
    engine = plan.engines[0]
    return str(
        tr(
            "{threads} threads, {sequences} records at once, batches of {batch}, weights {weights}",
            threads=engine.threads or default_threads(),
            sequences=engine.sequences,
            batch=engine.batch,
            weights=plan.weights,
        )
    )
