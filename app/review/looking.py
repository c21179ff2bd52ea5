"""What the queue's page reads of a project and says of it: what a ruling would touch, progress, certainty."""

from typing import Any

from errormap_core.errors import KnownError
from errormap_core.project.pending import ProposalProgress
from errormap_core.project.previewing import AnswerPreview, preview_answer, preview_on
from errormap_core.sentences import Sentence, tr
from errormap_core.taxonomy.draft import Effect
from errormap_core.taxonomy.operations import DecideProposals, Operation
from errormap_core.taxonomy.tree import Tree


def effect_of(db: Any, tree: Tree, op: Operation, *, actor: str) -> Effect | KnownError:
    """What a step would touch, or why it is not possible."""
    try:
        return preview_on(db, tree, op, actor=actor)
    except KnownError as error:
        return error


def answer_of(db: Any, tree: Tree, op: DecideProposals, *, actor: str) -> AnswerPreview | KnownError:
    """What the answer to a question would do, or why it is not possible."""
    try:
        return preview_answer(db, tree, op, actor=actor)
    except KnownError as error:
        return error


def progress_sentence(progress: ProposalProgress) -> Sentence:
    """'12 of 38 decided · 3 skipped · 1 flagged'."""
    total = progress.total
    n = total.pending + total.skipped + total.flagged + total.done
    said = tr("{done:,} of {n:,} decided", done=total.done, n=n)
    if total.skipped:
        said = tr("{said} · {k:,} skipped", said=said, k=total.skipped)
    if total.flagged:
        said = tr("{said} · {k:,} flagged", said=said, k=total.flagged)
    return said
