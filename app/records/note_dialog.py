"""Writing a note on a record."""

from collections.abc import Callable

from PySide6.QtWidgets import QWidget

from app.dialogs import Dialog, written_in
from app.plain import WritingField
from app.text_drafts import TextDrafts
from errormap_core.project.queries import RecordDetail
from errormap_core.sentences import tr
from errormap_core.taxonomy.operations import AnnotateRecord


class NoteDialog(Dialog):
    """One text; an empty one takes the note away."""

    def __init__(
        self, detail: RecordDetail, *, write: Callable[[AnnotateRecord], object], drafts: TextDrafts, parent: QWidget
    ) -> None:
        super().__init__(tr("Note"), parent)
        self._detail, self._write = detail, write
        self.text = WritingField(detail.note, self)
        self.text.setAccessibleName(str(tr("Note on this record")))
        self.text.setTabChangesFocus(True)
        self.column.addWidget(self.text)
        self.add_buttons(tr("Save the note"), self.save)
        self.keep_draft(drafts, f"note {detail.id}", {"text": written_in(self.text)})
        self.resize(520, 260)
        self.text.setFocus()

    def save(self) -> None:
        """Write it; the dialog stays where it is refused."""
        text = self.text.toPlainText()
        is_same = text.strip() == self._detail.note
        if is_same or self._write(AnnotateRecord(record_id=self._detail.id, text=text)) is not None:
            self.accept()
