"""The one merge view: the categories beside each other, which of them survives, under which name, what it touches."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QRadioButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.dialogs import Dialog
from app.session import Session
from errormap_core.errors import KnownError
from errormap_core.project.queries import failure_ids, failure_rows
from errormap_core.sentences import tr, trn
from errormap_core.taxonomy.operations import MergeCategories

TYPICAL = 5

SHORT = 36


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
        self._survivor = QButtonGroup(self)
        sides = QHBoxLayout()
        counts = {c: len(failure_ids(project.reader, category_ids=tree.subtree(c))) for c in category_ids}
        reserved = [c for c in category_ids if tree.live(c).reserved is not None]
        first = into or (reserved[0] if reserved else max(category_ids, key=lambda c: counts[c]))
        for place, category_id in enumerate(category_ids):
            sides.addWidget(self._side(place, category_id, counts[category_id]), 1)
        self._survivor.button(category_ids.index(first)).setChecked(True)
        area = QScrollArea(self)
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        inner = QWidget(self)
        inner.setLayout(sides)
        area.setWidget(inner)
        self.name = QComboBox(self)
        self.name.setEditable(True)
        self.name.addItems([tree.live(c).name for c in category_ids])
        self.description = QPlainTextEdit(self)
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
        self.effect = QLabel(self)
        self.effect.setWordWrap(True)
        self.effect.setAccessibleName(str(tr("What the merge touches")))
        n = len(category_ids)
        self.column.addWidget(area, 1)
        self.column.addLayout(form)
        self.column.addWidget(self.effect)
        self.ok = self.add_buttons(trn("Merge {n:,} category", "Merge {n:,} categories", n), self._merge)
        self._survivor.idToggled.connect(lambda _, on: self._on_survivor() if on else None)
        collisions.idToggled.connect(lambda _, on: self._preview() if on else None)
        self.name.currentTextChanged.connect(lambda _: self._preview())
        self._on_survivor()
        self.ok.setFocus()

    def _side(self, place: int, category_id: str, count: int) -> QWidget:
        """One category: whether it survives, its numbers, its description, a few typical errors."""
        tree = self._project.tree
        category = tree.live(category_id)
        side = QWidget(self)
        column = QVBoxLayout(side)
        short = category.name if len(category.name) <= SHORT else category.name[: SHORT - 1] + "…"
        radio = QRadioButton(short, side)
        radio.setToolTip(str(tr("{path}\nIts id survives", path=tree.path(category_id))))
        radio.setFont(self._session.theme.font(semibold=True))
        self._survivor.addButton(radio, place)
        column.addWidget(radio)
        said = [str(trn("{n:,} failure", "{n:,} failures", count)), category.description]
        ids = failure_ids(self._project.reader, category_ids=tree.subtree(category_id))[:TYPICAL]
        rows = failure_rows(self._project.reader, ids)
        said += ["\N{NO-BREAK SPACE}"]
        said += [f"– {rows[i].error_title}" for i in ids if i in rows and rows[i].error_title]
        label = QLabel("\n".join(text for text in said if text), side)
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setWordWrap(True)
        label.setAlignment(Qt.AlignmentFlag.AlignTop)
        column.addWidget(label, 1)
        return side

    @property
    def into(self) -> str:
        return self._ids[self._survivor.checkedId()]

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
