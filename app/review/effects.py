"""What deciding would touch, asked beside the window's thread; only the answer to the last question is told."""

from collections.abc import Callable, Sequence
from typing import Any

from app.review.looking import answer_of, effect_of
from app.session import Session
from errormap_core.errors import KnownError
from errormap_core.project.previewing import AnswerPreview, BatchPreview, preview_batch
from errormap_core.sentences import tr
from errormap_core.taxonomy.draft import Effect
from errormap_core.taxonomy.operations import DecideProposals, Operation, Ruling
from errormap_core.taxonomy.tree import Tree

KEY = "queue-effect"
"""What the thread of app/reading.py knows the questions by; a dialog beside the queue asks by another."""

WITH_OTHER = ("merge", "split", "create", "assign")
"""Kinds of which it is said too where the share of Other stays as it is."""


class Effects:
    """Asks for one thing at a time; who reads only is told nothing."""

    def __init__(self, session: Session, *, key: str = KEY) -> None:
        self._session = session
        self._key = key
        self._n = 0

    def forget(self) -> None:
        """Tell no answer to what was asked so far."""
        self._n += 1

    def ask(self, op: Operation, then: Callable[[Effect | KnownError], None]) -> None:
        """Ask what one step would touch."""
        self._ask(lambda db, tree, actor: (effect_of(db, tree, op, actor=actor),), lambda answer: then(answer[0]))

    def ask_answer(self, op: DecideProposals, then: Callable[[AnswerPreview | KnownError], None]) -> None:
        """Ask what the answer to a question would do."""
        self._ask(lambda db, tree, actor: (answer_of(db, tree, op, actor=actor),), lambda answer: then(answer[0]))

    def ask_batch(self, rulings: Sequence[Ruling], then: Callable[[BatchPreview], None]) -> None:
        """Ask what several would touch together."""
        self._ask(lambda db, tree, actor: preview_batch(db, tree, rulings, actor=actor), then)

    def _ask(self, read: Callable[[Any, Tree, str], Any], then: Callable[[Any], None]) -> None:
        project = self._session.project
        self.forget()
        if project is None or not self._session.can_edit:
            return
        asked, tree, actor = self._n, project.tree.copy(), self._session.actor
        self._session.reads.ask(
            self._key,
            lambda db: read(db, tree, actor),
            lambda answer: then(answer) if asked == self._n else None,
        )


def effect_text(effect: Effect | KnownError, kind: str) -> str:
    """What it would touch in a line, or why it is not possible."""
    if isinstance(effect, KnownError):
        return f"⚠  {effect}"
    said = [str(sentence) for sentence in effect.sentences()]
    other = effect.other_before
    if other is not None and other == effect.other_after and effect.n_total and kind in WITH_OTHER:
        said.append(str(tr("Other stays at {share:.1%}.", share=other / effect.n_total)))
    if not said and kind in ("promote", "move"):
        said.append(str(tr("Its failures stay in it.")))
    return " ".join(said)
