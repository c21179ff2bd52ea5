"""What a run of the judge would take, asked of the command line in a process of its own while the dialog is open."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.models.asking import Asker
from errormap_core.errors import KnownError
from errormap_core.sentences import Sentence, tr, trn

ASK_AFTER_MS = 400
"""So long after the last change it is asked again."""


class Estimator(QObject):
    """Asks for the estimate of a run; a question that comes meanwhile takes the place of the one before.

    A model that is being measured for the first time is not disturbed by a question about the same model, which waits:
    the measurement would begin anew.
    """

    asking = Signal(object)  # Sentence: what is under way
    answered = Signal(dict)
    failed = Signal(object)  # KnownError

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._asker = Asker(self)
        self._asker.line.connect(self._on_line)
        self._asker.ended.connect(self._on_ended)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(ASK_AFTER_MS)
        self._timer.timeout.connect(self._ask)
        self._wanted: tuple[Sequence[str], object] | None = None
        self._about: object = None
        self._is_measuring = self._has_answer = False

    @property
    def is_running(self) -> bool:
        return self._asker.is_running or self._timer.isActive()

    def ask(self, words: Sequence[str], *, about: object) -> None:
        """Ask soon what `judge WORDS` would take; `about` is what a measurement of the model depends on."""
        self._wanted = (words, about)
        if not (self._is_measuring and self._about == about):
            self.asking.emit(tr("Measuring …"))
            self._asker.stop()
            self._is_measuring = False
            self._timer.start()

    def stop(self) -> None:
        """Ask no more; what was asked ends at once."""
        self._wanted = None
        self._timer.stop()
        self._asker.stop()
        self._is_measuring = False

    def _ask(self) -> None:
        if self._wanted is None:
            return
        (words, self._about), self._wanted = self._wanted, None
        self._has_answer = False
        job = ("judge", *words, "--estimate", "--progress", "json")
        self._asker.start([sys.executable, "-m", "errormap_core.cli", *job])

    def _on_line(self, line: str) -> None:
        try:
            message = json.loads(line)
        except ValueError:  # another line that a library printed
            return
        if "progress" in message:
            self._is_measuring = True
            note = message["progress"].get("note", "")
            self.asking.emit(tr("Measuring how the model runs best here, this once: {note} …", note=note))
        elif self._wanted is not None:
            return  # no longer what is asked
        elif "error" in message:
            self._has_answer = True
            self.failed.emit(KnownError.from_json(message["error"]))
        elif "estimate" in message.get("result", {}):
            self._has_answer = True
            self.answered.emit(message["result"])

    def _on_ended(self, _is_well: bool, said: str) -> None:
        self._is_measuring = False
        if self._wanted is not None:
            if not self._timer.isActive():
                self.asking.emit(tr("Measuring …"))
                self._timer.start()
        elif not self._has_answer:
            last = (said.strip().splitlines() or [""])[-1]
            self.failed.emit(KnownError(tr("How long it takes could not be found out. {last}", last=last)))


def how_it_runs(engine: Mapping[str, Any]) -> Sentence:
    """'How it runs here: 1 thread, 4 records at once, batches of 512, from a copy of the weights as q8_0 (145 MB)'."""
    parts = [
        trn("{n:,} thread", "{n:,} threads", engine["threads"]),
        trn("{n:,} record at once", "{n:,} records at once", engine["sequences"]),
        tr("batches of {n:,} tokens", n=engine["batch"]),
    ]
    if engine.get("engines", 1) > 1:
        parts.insert(0, trn("{n:,} engine", "{n:,} engines, each with", engine["engines"]))
    copy = (engine.get("measured") or {}).get("copy")
    if copy and engine.get("weights") == copy["format"]:
        said = tr(
            "from a copy of the weights as {format} ({mb:,.0f} MB)", format=copy["format"], mb=copy["bytes"] / 1e6
        )
        parts.append(said)
    else:
        parts.append(tr("from the file as it is"))
    return tr("How it runs here: {parts}", parts=", ".join(map(str, parts)))


def how_it_was_found(engine: Mapping[str, Any]) -> str:
    """What was measured, for a tooltip; '' where nothing was."""
    measured = engine.get("measured")
    if not measured:
        return ""
    return str(
        tr(
            "Measured on {at}: reads {read:,.0f} and writes {write:,.0f} tokens a second.\nChat template: {chat_template}",
            at=str(measured["measured_at"])[:10],
            read=measured["prefill_tokens_per_s"],
            write=measured["decode_tokens_per_s"],
            chat_template=engine.get("chat_template", ""),
        )
    )
