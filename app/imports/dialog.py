"""The import: what is in the files before anything is done, what happens to broken rows, thresholds and sampling."""

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QFormLayout,
    QHBoxLayout,
    QRadioButton,
    QTableWidget,
    QVBoxLayout,
    QWidget,
)

from app.dialogs import Dialog
from app.fields import DecimalField, WholeField
from app.plain import Label, TableItem, WritingField
from app.session import Session
from errormap_core.errors import KnownError
from errormap_core.importers.atlas import open_atlas
from errormap_core.importers.errormap_csv import Preview, preview, told_columns
from errormap_core.importers.inputs import check_readable, found, shown
from errormap_core.importers.survey import guess_sentence
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.settings import MOST_SEED

SHOWN_ROWS = 12
MOST_LOOKED_AT = 200_000
MOST_NOTICES = 200
SHOWN_LETTERS = 120


class ImportDialog(Dialog):
    """Shows the beginning of the files; Import starts the work, which then shows in the status bar."""

    def __init__(self, session: Session, paths: list[Path], parent: QWidget) -> None:
        super().__init__(tr("Import"), parent)
        self._session = session
        self._paths = paths
        self.resize(980, 680)
        self.about = Label(self)
        self.about.setWordWrap(True)
        self.table = QTableWidget(0, 6, self)
        self.table.setAccessibleName(str(tr("The first rows")))
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.problems = WritingField(self)
        self.problems.setReadOnly(True)
        self.problems.setAccessibleName(str(tr("Problems in the rows read so far")))
        self.problems.setMaximumHeight(120)
        self.keep = QRadioButton(str(tr("&Keep the good rows, report the others")), self)
        self.roll_back = QRadioButton(str(tr("Import &nothing if a row is broken")), self)
        self.keep.setChecked(True)
        errors = QButtonGroup(self)
        errors.addButton(self.keep)
        errors.addButton(self.roll_back)
        self.replace = QCheckBox(
            str(tr("&Replace records that are there with other content (their analyses become outdated)")), self
        )
        self.ratio = DecimalField(self)
        self.ratio.setRange(0.0, 1.0)
        self.ratio.setSingleStep(0.05)
        self.ratio.setDecimals(6)
        self.seed = WholeField(self)
        self.seed.setRange(0, MOST_SEED)
        project = session.project
        if project is not None:
            self.ratio.setValue(project.setting("sampling.ratio"))
            self.seed.setValue(project.setting("sampling.seed"))
        self._given = (self.ratio.value(), self.seed.value())
        form = QFormLayout()
        rows = QVBoxLayout()
        rows.addWidget(self.keep)
        rows.addWidget(self.roll_back)
        form.addRow(str(tr("Broken rows")), rows)
        form.addRow(str(tr("Conflicts")), self.replace)
        sampling = QHBoxLayout()
        sampling.addWidget(self.ratio)
        sampling.addWidget(Label(str(tr("of the failed examples are analysed, seed")), self))
        sampling.addWidget(self.seed)
        sampling.addStretch(1)
        form.addRow(str(tr("Sampling")), sampling)
        self.column.addWidget(self.about)
        self.column.addWidget(self.table, 1)
        self.column.addWidget(self.problems)
        self.column.addLayout(form)
        self.ok = self.add_buttons(tr("Import"), self._start)
        self._look()

    def _look(self) -> None:
        """Read the beginning of each file; one that cannot be imported stops the import."""
        if self._paths[0].suffix.lower() == ".json":
            self._show_atlas(found(self._paths[0]))
            return
        said, problems = [], []
        first: Preview | None = None
        for path in self._paths:
            try:
                seen = preview(path)
            except KnownError as error:
                said.append(f"⚠  {error}")
                self.ok.setEnabled(False)
                continue
            first = first or seen
            said.append(str(self._sentence(seen)))
            problems += [str(p) for p in seen.problems]
        self.about.setText("\n\n".join(said))
        self.problems.setPlainText("\n".join(problems))
        self.problems.setVisible(bool(problems))
        self.table.setVisible(first is not None)
        if first is not None:
            self._fill(first)

    def _sentence(self, seen: Preview) -> object:
        part = tr("") if seen.whole_file else tr(" in the beginning of the file")
        scores = tr("no row that can be imported{part}", part=part)
        if seen.mean_score is not None:
            scores = tr(
                "{rows}{part}, {models}, mean score {mean:.3g}; {failures} at the threshold {threshold:g}",
                rows=trn("{n:,} row", "{n:,} rows", seen.rows_read),
                part=part,
                models=trn("{n:,} model", "{n:,} models", len(seen.models)),
                mean=seen.mean_score,
                failures=trn("{n:,} fails", "{n:,} fail", seen.n_failures),
                threshold=seen.threshold,
            )
        return tr(
            "{name}: dataset “{dataset}”, {scores}. {problems}. "
            "Read as {encoding}{guess}, separated by “{mark}”.{more}",
            name=shown(seen.path.name),
            dataset=seen.dataset,
            scores=scores,
            problems=trn("{n:,} problem", "{n:,} problems", seen.n_problems),
            encoding=seen.encoding,
            guess=guess_sentence(seen.is_guess, seen.not_utf8),
            mark="tab" if seen.delimiter == "\t" else seen.delimiter,
            more=self._kept(seen),
        )

    def _kept(self, seen: Preview) -> Sentence:
        """The columns that are imported beside those that the format knows; few of them by name."""
        if not seen.kept_columns:
            return tr("")
        return trn(
            " {n:,} other column is kept: {names}.",
            " {n:,} other columns are kept: {names}.",
            len(seen.kept_columns),
            names=told_columns(seen.kept_columns),
        )

    def _show_atlas(self, path: Path) -> None:
        """Say of an atlas what an import would; a large one takes too long to be looked through here."""
        said = tr("An atlas: {name}. It needs a project without categories.", name=shown(path.name))
        notices: list[Sentence] = []
        try:
            check_readable(path)
            if path.stat().st_size <= MOST_LOOKED_AT:
                notices = open_atlas(path).notices
        except KnownError as error:
            said = tr("⚠  {error}", error=error)
            self.ok.setEnabled(False)
        self.about.setText(str(said))
        self.table.hide()
        self.problems.setPlainText("\n".join(str(notice) for notice in notices[:MOST_NOTICES]))
        self.problems.setVisible(bool(notices))

    def _fill(self, seen: Preview) -> None:
        titles = (tr("Line"), tr("Example"), tr("Model"), tr("Score"), tr("Question"), tr("Answer"))
        self.table.setHorizontalHeaderLabels([str(t) for t in titles])
        rows = seen.rows[:SHOWN_ROWS]
        self.table.setRowCount(len(rows))
        for place, row in enumerate(rows):
            texts = (
                f"{row.source_line:,}",
                row.example_id,
                row.model,
                f"{row.score:g}",
                row.input_text,
                row.output_text,
            )
            for column, text in enumerate(texts):
                item = TableItem(" ".join(text[: 2 * SHOWN_LETTERS].split())[:SHOWN_LETTERS])
                if column in (0, 3):
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.table.setItem(place, column, item)
        for column in range(4):
            self.table.resizeColumnToContents(column)
        self.table.setColumnWidth(4, 320)
        self.table.horizontalHeader().setStretchLastSection(True)

    def _start(self) -> None:
        project = self._session.project
        if project is None:
            return
        arguments = [str(project.path), *map(shown, self._paths), "--as-id", self._session.actor]
        if self._paths[0].suffix.lower() != ".json":
            arguments += ["--on-error", "rollback" if self.roll_back.isChecked() else "keep"]
            arguments += ["--on-conflict", "replace" if self.replace.isChecked() else "keep"]
            if (self.ratio.value(), self.seed.value()) != self._given:  # what was not touched stays as it is
                arguments += ["--ratio", repr(self.ratio.value()), "--seed", str(self.seed.value())]
        self.accept()
        self._session.start("import", arguments)
