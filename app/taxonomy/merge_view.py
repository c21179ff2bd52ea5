"""The one merge view: the categories beside each other, which of them survives, under which name, what it touches."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QFormLayout,
    QHBoxLayout,
    QRadioButton,
    QWidget,
)

from app.dialogs import Dialog, Field, written_in
from app.fields import ChoiceField
from app.plain import Label, WritingField
from app.session import Session
from app.taxonomy.merge_sides import MergeSides
from errormap_core.errors import KnownError
from errormap_core.sentences import tr, trn
from errormap_core.taxonomy.operations import MergeCategories


class MergeView(Dialog):
    """Merges on its button; what would be touched is said before."""

    merged = Signal(str)

    def __init__(self, session: Session, category_ids: list[str], *, into: str | None, parent: QWidget) -> None:
        super().__init__(tr("Merge"), parent)
        project = session.project
        assert project is not None
        self._session, self._project, self._ids = session, project, category_ids
        self.resize(min(360 * len(category_ids) + 60, 1180), 620)
        tree = project.tree
        self.sides = MergeSides(session, self)
        self.sides.show_categories(category_ids, into=into)
        self.sides.record_chosen.connect(session.select_record)
        self.name = ChoiceField(self)
        self.name.setEditable(True)
        self.name.addItems([tree.live(c).name for c in category_ids])
        self.description = WritingField(self)
        self.description.setTabChangesFocus(True)
        self.description.setMaximumHeight(80)
        self.rename = QRadioButton(str(tr("&rename them")), self)
        self.fold = QRadioButton(str(tr("mer&ge them as well")), self)
        self.fold.setChecked(True)
        collisions = QButtonGroup(self)
        collisions.addButton(self.fold)
        collisions.addButton(self.rename)
        choice = QHBoxLayout()
        choice.addWidget(self.fold)
        choice.addWidget(self.rename)
        choice.addStretch(1)
        form = self._form = QFormLayout()
        form.addRow(str(tr("&Name")), self.name)
        form.addRow(str(tr("&Description")), self.description)
        form.addRow(str(tr("Children with the same name")), choice)
        self._choice = choice
        self.effect = Label(self)
        self.effect.setWordWrap(True)
        self.effect.setAccessibleName(str(tr("What the merge touches")))
        n = len(category_ids)
        self.column.addWidget(self.sides, 1)
        self.column.addLayout(form)
        self.column.addWidget(self.effect)
        self.ok = self.add_buttons(trn("Merge {n:,} category", "Merge {n:,} categories", n), self._merge)
        self.sides.changed.connect(self._on_survivor)
        collisions.idToggled.connect(lambda _, on: self._preview() if on else None)
        self.name.currentTextChanged.connect(lambda _: self._preview())
        self._on_survivor()
        fields: dict[str, Field] = {
            "into": (lambda: self.into, lambda into: self.sides.choose(left_out=(), into=into)),
            "name": (self.name.currentText, self.name.setCurrentText),
            "description": written_in(self.description),
        }
        self.keep_draft(session.drafts, f"merge {' '.join(sorted(category_ids))}", fields)
        self.ok.setFocus()

    @property
    def into(self) -> str:
        return self.sides.into

    def _on_survivor(self) -> None:
        category = self._project.tree.live(self.into)
        self.name.setCurrentText(category.name)
        self.name.setEnabled(category.reserved is None)
        self.description.setPlainText(category.description)
        self._preview()

    def operation(self) -> MergeCategories:
        """The merge as it is chosen now."""
        return MergeCategories(
            category_ids=tuple(self._ids),
            into=self.into,
            name=self.name.currentText(),
            description=self.description.toPlainText(),
            on_collision="rename" if self.rename.isChecked() else "merge",
        )

    def _preview(self) -> None:
        """Say what the merge would touch, or why it is not possible."""
        try:
            effect = self._project.preview(self.operation(), actor=self._session.actor)
        except KnownError as error:
            self.effect.setText(f"⚠  {error}")
            self.ok.setEnabled(False)
            return
        self._form.setRowVisible(self._choice, bool(effect.merged_children or effect.renamed_children))
        said = [str(s) for s in effect.sentences()] or [str(tr("Moves no failure."))]
        self.effect.setText(" ".join(said))
        self.ok.setEnabled(True)

    def _merge(self) -> None:
        into = self.into
        if self._session.apply(self.operation()) is not None:
            self.accept()
            self.merged.emit(into)
