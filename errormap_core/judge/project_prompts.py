"""The prompts that a project can choose from: the shipped ones, and its own, which change only by operations.

A project's own prompts are the setting 'judge.own_prompts', the chosen one is 'judge.prompt'. A run is made of the hash
of its prompt (project/runs.py), so the results of every wording stay beside each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.ids import new_id
from errormap_core.judge.base import Message
from errormap_core.judge.own_prompt import PROFILE_OF, OwnPrompt, begin_with, check_prompt, from_toml, is_unprintable
from errormap_core.judge.prompts import PROFILES, SHIPPED, Prompt, load_prompt
from errormap_core.project.judge_runs import judge_runs
from errormap_core.project.judging import request_for
from errormap_core.project.queries import record_detail
from errormap_core.project.store import Project
from errormap_core.sentences import Sentence, tr
from errormap_core.taxonomy.operations import SetChoice

CHOSEN, OWN = "judge.prompt", "judge.own_prompts"

MOST_NAME = 40

_RESERVED = {*PROFILES, *SHIPPED.values(), "name_category"}


@dataclass(frozen=True, slots=True)
class ListedPrompt:
    """A prompt as lists show it. `n_analyses` are those of the present records that were made with this very text."""

    prompt: Prompt
    is_own: bool
    is_chosen: bool
    n_analyses: int

    @property
    def name(self) -> str:
        return self.prompt.name

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "is_own": self.is_own,
            "profile": self.prompt.profile,
            "id": self.prompt.id,
            "version": self.prompt.version,
            "sha256": self.prompt.sha256,
            "is_chosen": self.is_chosen,
            "analyses": self.n_analyses,
        }


@dataclass(frozen=True, slots=True)
class EarlierPrompt:
    """A prompt that analyses were made with and that is not in the list: an older version, or an own one as it was."""

    id: str
    version: int | None
    sha256: str
    n_analyses: int


def own_prompts(project: Project) -> dict[str, OwnPrompt]:
    """The project's own prompts by name. What is no prompt, as another program may have left it, is not taken."""
    stored = project.setting(OWN)
    found: dict[str, OwnPrompt] = {}
    for name, data in stored.items() if isinstance(stored, Mapping) else ():
        try:
            found[name] = OwnPrompt.from_json(name, data)
        except KnownError:
            continue
    return dict(sorted(found.items(), key=lambda item: item[0].casefold()))


def prompt_of(project: Project, name: str | None = None) -> Prompt:
    """The prompt of this name, or the project's chosen one. Raises KnownError where there is none, or it cannot be used."""
    wanted = project.setting(CHOSEN) if name is None else name
    if wanted in PROFILES:
        return load_prompt(SHIPPED[wanted])
    own = own_prompts(project).get(wanted)
    if own is None:
        known = ", ".join([*PROFILES, *own_prompts(project)])
        raise KnownError(
            tr("There is no prompt “{name}” in this project.", name=wanted),
            fix=tr("Choose one of these: {known}.", known=known),
        )
    check_prompt(own)
    return own.prompt()


def listed_prompts(project: Project) -> list[ListedPrompt]:
    """The prompts that can be chosen: the shipped ones, then the project's own by name."""
    counts = {sha256: earlier.n_analyses for sha256, earlier in _used(project).items()}
    chosen = project.setting(CHOSEN)
    shipped = [(load_prompt(SHIPPED[profile]), False) for profile in PROFILES]
    own = [(prompt.prompt(), True) for prompt in own_prompts(project).values()]
    return [
        ListedPrompt(prompt, is_own, prompt.name == chosen, counts.get(prompt.sha256, 0))
        for prompt, is_own in (*shipped, *own)
    ]


def earlier_prompts(project: Project) -> list[EarlierPrompt]:
    """Prompts that there are analyses of, but which can no longer be chosen as they were."""
    known = {listed.prompt.sha256 for listed in listed_prompts(project)}
    return [earlier for sha256, earlier in _used(project).items() if sha256 not in known and earlier.n_analyses]


def filled(project: Project, prompt: Prompt, record_id: str) -> list[Message]:
    """What the judge is told of a record with this prompt where its context holds all of it: system's and user's message.

    Raises KnownError where there is no such record.
    """
    record_detail(project.db, record_id)
    request = request_for(project.db, record_id, max_references=project.setting("judge.max_references"))
    return prompt.messages(request, max_criteria=project.setting("judge.max_criteria"))


# Changing


def prompt_from_file(project: Project, name: str, path: Path) -> OwnPrompt:
    """An own prompt from a TOML file; it is not saved. What the file lacks is as the project's prompt of this name has it.

    Raises KnownError, OSError.
    """
    return from_toml(path, name, own_prompts(project).get(name))


def copy_of(project: Project, prompt: Prompt) -> OwnPrompt:
    """A prompt to begin with: a copy under a name that is free. It is not saved."""
    own = own_prompts(project)
    taken = {name.casefold() for name in own}
    stem = str(tr("{name} copy", name=prompt.name))[: MOST_NAME - 4].strip()
    names = (stem if n == 1 else f"{stem} {n}" for n in range(1, len(taken) + 2))
    name = next(name for name in names if name.casefold() not in taken)
    base = own.get(prompt.name)
    if base is None:
        return begin_with(prompt, name)
    return begin_with(prompt, name, based_on=base.based_on, version_of_base=base.version_of_base)


def save_prompt(project: Project, own: OwnPrompt, *, actor: str) -> bool:
    """Keep an own prompt under its name, as a step that can be undone; False where it is there already as it is.

    Raises KnownError, which names the field, where it cannot be used.
    """
    before = own_prompts(project)
    if before.get(own.name) == own:
        return False
    if own.name not in before:
        check_name(project, own.name)
    check_prompt(own)
    said = tr("“{name}” edited", name=own.name) if own.name in before else tr("“{name}” added", name=own.name)
    _keep(project, {**before, own.name: own}, actor=actor, reason=said)
    return True


def rename_prompt(project: Project, name: str, new_name: str, *, actor: str) -> None:
    """Give an own prompt another name; one that is chosen stays chosen. Raises KnownError."""
    before = own_prompts(project)
    own = _the_own(project, name)
    if new_name == name:
        return
    check_name(project, new_name, instead_of=name)
    renamed = {key: value for key, value in before.items() if key != name}
    renamed[new_name] = replace(own, name=new_name)
    group = new_id()
    said = tr("“{name}” is called “{new}” now", name=name, new=new_name)
    _keep(project, renamed, actor=actor, reason=said, group=group)
    if project.setting(CHOSEN) == name:
        project.apply(SetChoice(key=CHOSEN, value=new_name), actor=actor, group=group)


def remove_prompt(project: Project, name: str, *, actor: str) -> None:
    """Take an own prompt away; where it was chosen, the shipped one of its profile is. Its analyses stay.

    Raises KnownError where there is no such own prompt.
    """
    own = _the_own(project, name)
    group = new_id()
    if project.setting(CHOSEN) == name:
        project.apply(SetChoice(key=CHOSEN, value=PROFILE_OF[own.based_on]), actor=actor, group=group)
    left = {key: value for key, value in own_prompts(project).items() if key != name}
    _keep(project, left, actor=actor, reason=tr("“{name}” removed", name=name), group=group)


def choose_prompt(project: Project, name: str, *, actor: str) -> None:
    """Let the judge use this prompt from its next run on. Raises KnownError where it cannot be used."""
    prompt_of(project, name)
    if project.setting(CHOSEN) != name:
        project.apply(SetChoice(key=CHOSEN, value=name), actor=actor)


def check_name(project: Project, name: str, *, instead_of: str | None = None) -> None:
    """Raises KnownError where an own prompt cannot have this name."""
    fix = tr("Choose another name.")
    if not name.strip() or name != name.strip():
        raise KnownError(tr("A prompt needs a name without blanks around it."), where="name", fix=fix)
    if len(name) > MOST_NAME:
        raise KnownError(tr("This name has {n} characters.", n=len(name)), where="name",
                         fix=tr("Choose one of at most {n}.", n=MOST_NAME))  # fmt: skip
    if is_unprintable(name) or name.startswith("-"):
        raise KnownError(tr("“{name}” cannot be the name of a prompt.", name=name), where="name", fix=fix)
    if name.casefold() in _RESERVED:
        raise KnownError(tr("“{name}” is the name of a shipped prompt.", name=name), where="name", fix=fix)
    taken = {key.casefold() for key in own_prompts(project) if key != instead_of}
    if name.casefold() in taken:
        raise KnownError(tr("This project has a prompt “{name}” already.", name=name), where="name", fix=fix)


def _used(project: Project) -> dict[str, EarlierPrompt]:
    """The prompts of all judge runs by their hash, with the number of analyses."""
    found: dict[str, EarlierPrompt] = {}
    for run in judge_runs(project.db):
        if run.prompt_sha256:
            n = found[run.prompt_sha256].n_analyses if run.prompt_sha256 in found else 0
            found[run.prompt_sha256] = EarlierPrompt(
                run.prompt_id, run.prompt_version, run.prompt_sha256, n + run.n_analysed
            )
    return found


def _the_own(project: Project, name: str) -> OwnPrompt:
    own = own_prompts(project).get(name)
    if own is None:
        known = ", ".join(own_prompts(project)) or str(tr("none yet"))
        raise KnownError(
            tr("This project has no prompt “{name}” of its own.", name=name),
            fix=tr("It has these: {known}.", known=known),
        )
    return own


def _keep(
    project: Project, prompts: Mapping[str, OwnPrompt], *, actor: str, reason: Sentence, group: str | None = None
) -> None:
    value = {name: own.to_json() for name, own in prompts.items()}
    project.apply(SetChoice(key=OWN, value=value), actor=actor, reason=str(reason), group=group)
