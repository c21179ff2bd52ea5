"""What people set of a project by name: checked, all of it, before anything is changed."""

import difflib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.judge.project_prompts import CHOSEN, prompt_of
from errormap_core.project.queries import datasets, models
from errormap_core.project.store import Project
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.settings import setting
from errormap_core.taxonomy.operations import SetChoice, SetThreshold

MODELS = "models.analysed"

MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Choices:
    """Settings of a project by key, and success thresholds by dataset."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def check(
        self, project: Project, *, new_datasets: Collection[str] = (), new_models: Collection[str] | None = ()
    ) -> None:
        """Raises KnownError where a value is none, or names what neither is there nor comes.

        `new_models` is None as long as nobody knows which models come: they are not checked then.
        """
        known = {row.name for row in datasets(project.db)} | set(new_datasets)
        for name, threshold in self.thresholds.items():
            refuse_unknown([name], known, tr("dataset"), where="--threshold")
            if not math.isfinite(threshold):
                raise KnownError(
                    tr("The threshold of {name} is not a number.", name=name),
                    where="--threshold",
                    fix=tr("Give one within the range of the scores."),
                )
        for key, value in self.settings.items():
            wanted = setting(key, "project")
            checked = wanted.check(value)
            if wanted.key == CHOSEN:
                prompt_of(project, checked)
            elif wanted.key == MODELS and checked is not None and new_models is not None:
                there = {row.name for row in models(project.db)} | set(new_models)
                refuse_unknown(checked, there, tr("model"), where=wanted.title)

    def apply(self, project: Project, *, actor: str) -> list[Sentence]:
        """Set what differs from what is set; returns what was done. Raises KnownError."""
        done = []
        for key, value in self.settings.items():
            wanted = setting(key, "project")
            checked = wanted.check(value)
            if project.setting(wanted.key) != checked:
                done.append(project.apply(SetChoice(key=wanted.key, value=checked), actor=actor).summary)
        for name, threshold in self.thresholds.items():
            step = SetThreshold(dataset=name, threshold=threshold)
            done.append(project.apply(step, actor=actor).summary)
        return done


def choose(project: Project, values: Mapping[str, Any], *, actor: str) -> None:
    """Set settings of the project that differ from what they are: all of them, or with a KnownError none."""
    choices = Choices(values)
    choices.check(project)
    choices.apply(project, actor=actor)


def refuse_unknown(names: Sequence[str], known: Collection[str], what: Sentence, *, where: str) -> None:
    """Raises KnownError for the first of `names` that is not among the `known` ones, which it lists, the nearest first."""
    for name in names:
        if name in known:
            continue
        near = difflib.get_close_matches(name, known, MOST_NAMED, 0.6)
        listed = [*near, *sorted(set(known) - set(near), key=str.casefold)]
        told = ", ".join(listed[:MOST_NAMED])
        if len(listed) > MOST_NAMED:
            told = str(tr("{told} and {n:,} more", told=told, n=len(listed) - MOST_NAMED))
        raise KnownError(
            tr("There is no {what} “{name}”.", what=what, name=name),
            where=where,
            fix=trn("There is {told}.", "There are {told}.", len(listed), told=told)
            if listed
            else tr("There is none yet."),
        )
