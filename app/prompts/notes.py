"""What the page of prompts says of a prompt: how it stands, filled in for a record, and beside the shipped one."""

from errormap_core.errors import KnownError
from errormap_core.judge.base import Message
from errormap_core.judge.own_prompt import OwnPrompt, difference, shipped_of
from errormap_core.judge.project_prompts import filled, prompt_of
from errormap_core.judge.prompts import Prompt, estimated_tokens
from errormap_core.project.queries import record_detail
from errormap_core.project.store import Project
from errormap_core.sentences import Sentence, tr, trn

ROOM_FOR_ANSWER = 400
"""Tokens; a guess for the note alone, the judge counts them."""


def load_prompt_of(project: Project, name: str) -> Prompt | None:
    """The prompt of this name; None where there is none any more, or it cannot be used."""
    try:
        return prompt_of(project, name)
    except KnownError:
        return None


def state_of(own: OwnPrompt | None, draft: OwnPrompt | None, n_problems: int, *, can_edit: bool) -> Sentence:
    """Whether what is shown is saved: `own` as it is saved (None for a shipped prompt), `draft` as it was typed."""
    if own is None:
        return tr("Shipped with the program, for reading only. “New copy” makes one that you can edit.")
    base = shipped_of(own)
    made = tr("Own prompt, made from {id} v{version}.", id=base.id, version=base.version)
    if n_problems:
        state = trn("Not saved: {n} text cannot be used as it is.", "Not saved: {n} texts cannot be used as they are.",
                    n_problems)  # fmt: skip
    elif draft != own:
        state = tr("Not saved yet: Ctrl+S, or leave the field.")
    else:
        state = tr("Saved.") if can_edit else tr("Opened for reading only.")
    return tr("{made} {state}", made=made, state=state)


def preview_of(project: Project, prompt: Prompt | None, record_id: str | None) -> tuple[list[Message] | None, Sentence]:
    """A prompt filled in for a record, and how long that is; None instead where what is shown stays.

    `prompt` is None where what was typed cannot be used.
    """
    if prompt is None:
        return None, tr("It is filled in again when its texts can be used.")
    if record_id is None:
        return [], tr("Select a failure in the list of records: the prompt is filled in for it.")
    try:
        detail = record_detail(project.reader, record_id)
        messages = filled(project, prompt, record_id)
    except KnownError as error:
        return [], tr("{text}", text=error)
    text = "\n".join(message["content"] for message in messages)
    tokens, context = estimated_tokens(text), project.setting("judge.context")
    said = trn(
        "{example}, {model}: {n:,} character, about {tokens:,} tokens, {own:,} of them instructions.",
        "{example}, {model}: {n:,} characters, about {tokens:,} tokens, {own:,} of them instructions.",
        len(text),
        example=detail.example_id,
        model=detail.model,
        tokens=tokens,
        own=estimated_tokens(prompt.system + prompt.after),
    )
    if tokens + ROOM_FOR_ANSWER > context:
        more = tr("⚠ Too long for the context of {n:,} tokens: the judge will be shown less of it.", n=context)
        said = tr("{said} {more}", said=said, more=more)
    return messages, said


def difference_of(draft: OwnPrompt | None) -> tuple[list[str], Sentence]:
    """The lines of an own prompt and of the shipped one that it was made from, and how many differ."""
    if draft is None:
        return [], tr("This is a shipped prompt; own ones are compared with it.")
    base = shipped_of(draft)
    lines = difference(draft.prompt(), base)
    if not lines:
        return [], tr("It says the same as {id} v{version}.", id=base.id, version=base.version)
    added, gone = (sum(1 for line in lines if line[0] == sign) for sign in "+-")
    said = trn("{id} v{version}: {n:,} line added (+), {gone:,} taken away (−).",
               "{id} v{version}: {n:,} lines added (+), {gone:,} taken away (−).",
               added, id=base.id, version=base.version, gone=gone)  # fmt: skip
    return lines, said
