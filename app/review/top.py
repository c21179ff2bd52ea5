"""What stands above the queue: the filters, how far it has come, how sure it has become, why no questions come."""

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.plain import Label, set_tooltip
from app.queue_reading import Reading
from app.review.filters import FilterRow
from app.review.looking import progress_sentence
from app.review.parts import Clipped, Text
from app.session import Session
from errormap_core.proposals.certainty import certainty_explained, certainty_sentence
from errormap_core.sentences import Sentence, tr


class QueueTop(QWidget):
    """Filters, then lines that are there where they have something to say."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.filters = FilterRow(self)
        self.progress = Label(self)
        self.progress.setAccessibleName(str(tr("How far the queue has come")))
        self.sure = Clipped(self, muted=True)
        self.note = Text(self, muted=True)
        for text in (self.sure, self.note):
            text.say("")
        far = QHBoxLayout()
        far.setSpacing(12)
        far.addWidget(self.progress)
        far.addWidget(self.sure, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 8, 12, 4)
        column.setSpacing(4)
        column.addWidget(self.filters)
        column.addLayout(far)
        column.addWidget(self.note)
        self.hide()

    def show_reading(self, reading: Reading) -> None:
        """Say how far it has come, and how sure it has become."""
        self.progress.setText(str(progress_sentence(reading.progress)))
        sure = reading.certainty
        self.sure.say("" if sure is None else certainty_sentence(sure))
        set_tooltip(self.sure, "" if sure is None else f"{certainty_sentence(sure)}\n{certainty_explained(sure)}")

    def say_questions(self, said: Sentence | None) -> None:
        self.note.say(said or "")

    def restyle(self) -> None:
        self.progress.setFont(self._session.theme.font(semibold=True))
