"""Description and notes of a category, beside what is known of it: aliases, who proposed and who decided it."""

import json

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFormLayout, QWidget

from app.dialogs import Dialog, written_in
from app.plain import Label, WritingField
from app.session import Session
from errormap_core.sentences import tr, trn
from errormap_core.taxonomy.operations import AnnotateCategory, DescribeCategory


class DescribeDialog(Dialog):
    """Two texts; only what was changed is saved."""

    def __init__(self, session: Session, category_id: str, parent: QWidget) -> None:
        project = session.project
        assert project is not None
        super().__init__(tr("Describe “{name}”", name=project.tree.live(category_id).name), parent)
        self._session = session
        self._category = project.tree.live(category_id)
        self.resize(600, 480)
        self.description = WritingField(self._category.description, self)
        self.notes = WritingField(self._category.notes, self)
        for field in (self.description, self.notes):
            field.setTabChangesFocus(True)
        self.notes.setPlaceholderText(str(tr("What belongs, what does not, examples: for annotators")))
        self._words = Label(self)
        self._words.setForegroundRole(self._words.foregroundRole().PlaceholderText)
        self.description.textChanged.connect(self._count)
        self._count()
        form = QFormLayout()
        form.addRow(str(tr("&Description")), self.description)
        form.addRow("", self._words)
        form.addRow(str(tr("&Notes")), self.notes)
        aliases = json.loads(self._category.aliases)
        if aliases:
            form.addRow(str(tr("Also called")), self._said(", ".join(aliases)))
        provenance = json.loads(self._category.provenance)
        if provenance:
            text = tr(
                "Proposed by {proposed}, decided by {decided} on {at}",
                proposed=provenance["proposed_by"]["name"],
                decided=provenance["decided_by"]["name"],
                at=provenance["decided_at"][:16].replace("T", " "),
            )
            form.addRow(str(tr("Origin")), self._said(str(text)))
        form.addRow(str(tr("Id")), self._said(self._category.id))
        self.column.addLayout(form)
        self.add_buttons(tr("Save"), self._save)
        fields = {"description": written_in(self.description), "notes": written_in(self.notes)}
        self.keep_draft(session.drafts, f"category {category_id}", fields)

    def _said(self, text: str) -> Label:
        label = Label(text, self)
        label.setWordWrap(True)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        return label

    def _count(self) -> None:
        n = len(self.description.toPlainText().split())
        self._words.setText(str(trn("{n:,} word; about 30 read well", "{n:,} words; about 30 read well", n)))

    def _save(self) -> None:
        key = self._category.id
        if self.description.toPlainText().strip() != self._category.description:
            self._session.apply(DescribeCategory(category_id=key, description=self.description.toPlainText()))
        if self.notes.toPlainText().strip() != self._category.notes:
            self._session.apply(AnnotateCategory(category_id=key, notes=self.notes.toPlainText()))
        self.accept()
