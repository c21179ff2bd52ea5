"""Writing an analysis oneself: it counts before any judge's."""

from collections.abc import Callable

from PySide6.QtWidgets import QFormLayout, QLineEdit, QWidget

from app.dialogs import Dialog, written_in
from app.fields import ChoiceField
from app.plain import Label, WritingField
from app.records.document import VERDICTS
from app.text_drafts import TextDrafts
from errormap_core.judge.analysis import MAX_SUMMARY, MAX_TITLE
from errormap_core.project.queries import RecordDetail
from errormap_core.sentences import tr
from errormap_core.taxonomy.operations import WriteAnalysis


class AnalysisDialog(Dialog):
    """Verdict, title and summary, filled from the analysis that counts; its criteria are kept."""

    def __init__(
        self, detail: RecordDetail, *, write: Callable[[WriteAnalysis], object], drafts: TextDrafts, parent: QWidget
    ) -> None:
        super().__init__(tr("Write an analysis"), parent)
        self._detail, self._write = detail, write
        before = detail.analysis
        self.verdict = ChoiceField(self)
        for key, name in VERDICTS.items():
            self.verdict.addItem(str(name), key)
        self.title = QLineEdit(self)
        self.title.setMaxLength(MAX_TITLE)
        self.summary = WritingField(self)
        self.summary.setTabChangesFocus(True)
        if before is not None:
            self.verdict.setCurrentIndex(self.verdict.findData(before.verdict))
            self.title.setText(before.error_title)
            self.summary.setPlainText(before.error_summary)
        form = QFormLayout()
        form.addRow(str(tr("&Verdict")), self.verdict)
        form.addRow(str(tr("&Title, about five words")), self.title)
        form.addRow(str(tr("&Summary")), self.summary)
        said = Label(str(tr("Your analysis counts before any judge's; the judge's is kept beside it.")), self)
        said.setForegroundRole(said.foregroundRole().PlaceholderText)
        self.column.addLayout(form)
        self.column.addWidget(said)
        self.add_buttons(tr("Save the analysis"), self.save)
        fields = {
            "verdict": (self.verdict.currentData, lambda key: self.verdict.setCurrentIndex(self.verdict.findData(key))),
            "title": written_in(self.title),
            "summary": written_in(self.summary),
        }
        self.keep_draft(drafts, f"analysis {detail.id}", fields)
        self.resize(560, 340)
        self.title.setFocus()

    def save(self) -> None:
        """Write it; the dialog stays where it is refused."""
        before = self._detail.analysis
        op = WriteAnalysis(
            record_id=self._detail.id,
            verdict=self.verdict.currentData(),
            error_title=self.title.text(),
            error_summary=self.summary.toPlainText()[:MAX_SUMMARY],
            required_criteria=before.required_criteria if before is not None else (),
        )
        if self._write(op) is not None:
            self.accept()
