"""The jobs about prompts: list them, show one filled in for a record, keep one from a file, choose, remove.

As those in jobs.py, each takes an open project and a Reporter and returns what came of it.
"""

from pathlib import Path
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.jobs import Outcome
from errormap_core.judge.own_prompt import as_toml, difference, lines_of, shipped_of
from errormap_core.judge.project_prompts import (
    choose_prompt,
    earlier_prompts,
    filled,
    listed_prompts,
    own_prompts,
    prompt_from_file,
    prompt_of,
    remove_prompt,
    save_prompt,
)
from errormap_core.judge.prompts import estimated_tokens, load_prompt
from errormap_core.output_paths import OutputKind, check_output, write_output
from errormap_core.project.queries import failure_ids
from errormap_core.project.store import Project
from errormap_core.reporting import Reporter
from errormap_core.sentences import tr, trn

FIRST = "first"
"""The record that is shown where none is named: the first failure of the list."""

SHORT_HASH = 12


def prompts_job(project: Project, reporter: Reporter) -> Outcome:
    """List the prompts that can be chosen, and those that there are analyses of besides."""
    listed, earlier = listed_prompts(project), earlier_prompts(project)
    width = max(len(one.name) for one in listed)
    for one in listed:
        made = trn("{n:,} analysis", "{n:,} analyses", one.n_analyses)
        whose = tr("own") if one.is_own else tr("shipped")
        mark = "*" if one.is_chosen else " "
        version = f"{one.prompt.id} v{one.prompt.version}"
        reporter.say(
            f"{mark} {one.name:<{width}}  {one.prompt.profile:<5}  {whose}, {version}  {one.prompt.sha256[:SHORT_HASH]}  {made}"
        )
    for gone in earlier:
        made = trn("{n:,} analysis", "{n:,} analyses", gone.n_analyses)
        reporter.say(f"  {gone.id} v{gone.version}  {gone.sha256[:SHORT_HASH]}  {made}, {tr('with an earlier text')}")
    others = [
        {"id": gone.id, "version": gone.version, "sha256": gone.sha256, "analyses": gone.n_analyses} for gone in earlier
    ]
    return Outcome({"prompts": [one.to_json() for one in listed], "earlier": others})


def prompt_job(
    project: Project,
    reporter: Reporter,
    *,
    name: str,
    actor: str = "",
    record: str | None = None,
    edit: str | None = None,
    write: str | None = None,
    use: bool = False,
    remove: bool = False,
) -> Outcome:
    """Show a prompt filled in for a record, and what it changes; or keep it from a file, choose it, remove it.

    Raises KnownError, OSError.
    """
    if remove and (edit or write or use):
        raise KnownError(tr("A prompt that is removed cannot be changed too."), where="prompt")
    if write is not None:  # looked at before anything is changed
        kind, inputs = _prompt_file(project), () if edit is None else (edit,)
        check_output(write, kind, project=project.path, inputs=inputs)
    if remove:
        remove_prompt(project, name, actor=actor)
        reporter.say(tr("Removed the prompt “{name}”. What was made with it stays.", name=name))
        return Outcome({"removed": name})
    if edit is not None:
        is_new = save_prompt(project, prompt_from_file(project, name, Path(edit)), actor=actor)
        reporter.say(
            tr("Saved the prompt “{name}”.", name=name) if is_new else tr("“{name}” is so already.", name=name)
        )
    if use:
        choose_prompt(project, name, actor=actor)
        reporter.say(tr("The judge uses the prompt “{name}” from its next run on.", name=name))
    if write is not None:
        text = as_toml(prompt_of(project, name))
        write_output(write, text.encode(), kind, project=project.path, inputs=inputs)
        reporter.say(tr("Wrote {path}.", path=write))
    numbers = _shown(project, name, record)
    if record is not None or not (edit or use or write):
        _say(reporter, numbers)
    return Outcome(numbers)


def _prompt_file(project: Project) -> OutputKind:
    """A prompt as a file. One may be replaced that says what a prompt of the project says: nothing is lost by that, while
    one that was edited is somebody's work."""
    written = {as_toml(one.prompt).encode() for one in listed_prompts(project)}
    return OutputKind(tr("a prompt as the project has it"), ".toml", written.__contains__)


def _shown(project: Project, name: str, record: str | None) -> dict[str, Any]:
    """A prompt for a record; without one in the project, its texts as they are."""
    prompt = prompt_of(project, name)
    own = own_prompts(project).get(name)
    shipped = load_prompt(prompt.id) if own is None else shipped_of(own)
    if record is None or record == FIRST:
        record = next(iter(failure_ids(project.db)), None)
    messages = [] if record is None else filled(project, prompt, record)
    text = "\n".join(message["content"] for message in messages) if messages else "\n".join(lines_of(prompt))
    return {
        "name": name,
        "id": prompt.id,
        "version": prompt.version,
        "sha256": prompt.sha256,
        "profile": prompt.profile,
        "is_own": own is not None,
        "record": record,
        "messages": messages,
        "characters": len(text),
        "estimated_tokens": estimated_tokens(text),
        "shipped": {"id": shipped.id, "version": shipped.version},
        "difference": difference(prompt, shipped),
        "text": text,
    }


def _say(reporter: Reporter, numbers: dict[str, Any]) -> None:
    if numbers["record"] is None:
        reporter.say(tr("No failure is there to fill it in for. Its texts:"))
        reporter.say_text(numbers["text"])
    for message in numbers["messages"]:
        reporter.say(f"--- {message['role']}")
        reporter.say_text(message["content"])
    reporter.say("---")
    reporter.say(
        tr("{n:,} characters, about {tokens:,} tokens.", n=numbers["characters"], tokens=numbers["estimated_tokens"])
    )
    if not numbers["is_own"]:
        return
    base = f"{numbers['shipped']['id']} v{numbers['shipped']['version']}"
    if not numbers["difference"]:
        reporter.say(tr("It says the same as {base}.", base=base))
        return
    reporter.say(tr("What it changes of {base}:", base=base))
    for line in numbers["difference"]:
        if line[0] in "+-":
            reporter.say(line)
