"""What came of checking judges and of comparing two: figures with interval and chance, and where two agree least."""

from collections.abc import Iterator, Mapping
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QSplitter,
    QTableWidget,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.plain import Label, TableItem, TreeItem, set_tooltip
from app.records.document import VERDICTS
from app.session import Session
from app.theme import SPACE
from errormap_core.gold.check_report import about_key, what_is_missing
from errormap_core.project.judge_runs import SHORT_ID
from errormap_core.sentences import Sentence, tr, trn

Figure = Mapping[str, Any] | None

FIGURES: tuple[tuple[tuple[str, str], Sentence], ...] = (
    (("category", "kappa"), tr("Category: kappa")),
    (("top_category", "kappa"), tr("Top category: kappa")),
    (("evidence", "f1"), tr("Evidence: overlap, F1")),
    (("verdict", "kappa"), tr("Error or no error: kappa")),
    (("verdict", "agreement"), tr("Error or no error: the same")),
)
"""In the order in which they help to choose a judge."""

HALVES: tuple[tuple[str, Sentence], ...] = (("test", tr("Test half")), ("development", tr("Development half")))

_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class CheckView(QWidget):
    """Each figure with all judges below it, first of the test half, then of the development half."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._result: Mapping[str, Any] = {}
        self._numbers: Mapping[str, int] = {}
        self.note = _note(self)
        self.tree = _tree(tr("Judges checked, with interval and chance"), tr("Judge"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, SPACE, 0, 0)
        layout.addWidget(self.note)
        layout.addWidget(self.tree, 1)

    @property
    def has_result(self) -> bool:
        return bool(self._result)

    def forget(self) -> None:
        self._result = {}

    def show_result(self, result: Mapping[str, Any], numbers: Mapping[str, int]) -> None:
        """Show what a check gave; `numbers` are those of the runs in the table above, by id."""
        self._result, self._numbers = result, numbers
        self.tree.clear()
        for key in result["keys"]:
            self._add_key(key)
        said = [tr("Tune prompts on the development half only; the test half is for scores. Intervals are of 95 %.")]
        if result["problems"]:
            said.append(
                trn(
                    "{n:,} line of the gold was left out: {first}",
                    "{n:,} lines of the gold were left out, the first: {first}",
                    len(result["problems"]),
                    first=result["problems"][0]["text"],
                )
            )
        self.note.setText(" ".join(map(str, said)))

    def restyle(self) -> None:
        if self._result:
            self.show_result(self._result, self._numbers)

    def _add_key(self, key: Mapping[str, Any]) -> None:
        head = TreeItem()
        self.tree.addTopLevelItem(head)
        first, *rest = about_key(key)
        self._span(head, first, is_bold=True)
        for sentence in (*rest, *what_is_missing(key)):
            item = TreeItem(head)
            self._span(item, sentence)
            item.setForeground(0, self.palette().placeholderText())
        head.setExpanded(True)
        for half, title in HALVES if key["n"] else ():
            item = TreeItem(head)
            part = key["splits"][half]
            said = trn("{half}: {n:,} failure of {examples:,} examples", "{half}: {n:,} failures of {examples:,} examples",
                       part["n"], half=title, examples=part["examples"])  # fmt: skip
            self._span(item, said, is_bold=True)
            self._add_half(item, key, half)
            item.setExpanded(half == "test")

    def _add_half(self, head: QTreeWidgetItem, key: Mapping[str, Any], half: str) -> None:
        for (part, name), title in FIGURES:
            rows = [(run, _figure(run["splits"][half], part, name)) for run in key["runs"]]
            if not any(figure for _, figure in rows):
                continue
            item = TreeItem(head)
            self._span(item, title)
            for run, figure in rows:
                self._row(item, named(run, self._numbers), figure, is_bold=run["is_current"])
            if key["classifier"] is not None and part in key["classifier"][half]:
                own = _figure(key["classifier"][half], part, name)
                self._row(item, str(tr("for comparison: people's own words")), own)
            item.setExpanded(True)

    def _span(self, item: QTreeWidgetItem, said: Sentence, *, is_bold: bool = False) -> None:
        item.setText(0, str(said))
        set_tooltip(item, str(said), 0)
        item.setFirstColumnSpanned(True)
        if is_bold:
            item.setFont(0, self._session.theme.font(semibold=True))

    def _row(self, head: QTreeWidgetItem, name: str, figure: Figure, *, is_bold: bool = False) -> None:
        item = TreeItem(head, [name, *_texts(figure)])
        set_tooltip(item, name, 0)
        for column in range(item.columnCount()):
            if column:
                item.setTextAlignment(column, _RIGHT)
            if is_bold:
                item.setFont(column, self._session.theme.font(semibold=True))


class AgreementView(QWidget):
    """Figures of two judges above, the failures on which they agree least below; one that is selected is read."""

    record_chosen = Signal(str)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._result: Mapping[str, Any] = {}
        self._numbers: Mapping[str, int] = {}
        self._record_ids: list[str] = []
        self.note = _note(self)
        self.tree = _tree(tr("Agreement of two judges, with interval and chance"), tr("Figure"))
        self.tree.setRootIsDecorated(False)
        self.table = QTableWidget(0, 4, self)
        self.table.setAccessibleName(str(tr("Failures on which they agree least")))
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        self.table.setWordWrap(False)
        self.table.setTabKeyNavigation(False)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        header = self.table.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setHighlightSections(False)
        for place in (0, 1, 2):
            header.setSectionResizeMode(place, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(3, QHeaderView.ResizeMode.ResizeToContents)
        self.table.setStyleSheet("QTableView { outline: 0; } QTableView::item { padding: 0 8px; }")
        self.table.itemSelectionChanged.connect(self._on_selected)
        split = QSplitter(Qt.Orientation.Vertical, self)
        split.setChildrenCollapsible(False)
        split.addWidget(self.tree)
        split.addWidget(self.table)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, SPACE, 0, 0)
        layout.addWidget(self.note)
        layout.addWidget(split, 1)

    def show_result(self, result: Mapping[str, Any], numbers: Mapping[str, int]) -> None:
        """Show what a comparison gave; `numbers` are those of the runs in the table above, by id."""
        self._result, self._numbers = result, numbers
        first, second = (named(run, numbers) for run in result["runs"])
        said = trn("{first} and {second}: {n:,} failure that both analysed. Intervals are of 95 %.",
                   "{first} and {second}: {n:,} failures that both analysed. Intervals are of 95 %.",
                   result["n"], first=first, second=second)  # fmt: skip
        said_also = ""
        if result["category"] is None:
            said_also = str(
                tr("Categories are not compared: there is no gold, and people placed too few failures by hand.")
            )
        self.note.setText(f"{said} {said_also}".strip())
        self.tree.clear()
        for name, figure in self._figures():
            item = TreeItem(texts=[str(name), *_texts(figure)])
            for column in (1, 2, 3):
                item.setTextAlignment(column, _RIGHT)
            self.tree.addTopLevelItem(item)
        self._fill(first, second)

    @property
    def has_result(self) -> bool:
        return bool(self._result)

    def forget(self) -> None:
        self._result = {}

    def restyle(self) -> None:
        self.table.verticalHeader().setDefaultSectionSize(self._session.theme.row_height())
        if self._result:
            self.show_result(self._result, self._numbers)

    def _figures(self) -> Iterator[tuple[Sentence, Figure]]:
        for (part, name), title in FIGURES:
            yield title, _figure(self._result, part, name)
        yield tr("Titles and summaries: cosine"), self._result["similarity"]

    def _fill(self, first: str, second: str) -> None:
        rows = self._result["disagreements"]
        self._record_ids = [row["record_id"] for row in rows]
        self.table.blockSignals(True)
        self.table.clearSelection()
        self.table.setHorizontalHeaderLabels([str(tr("They agree least on")), first, second, str(tr("Apart"))])
        self.table.setRowCount(len(rows))
        for place, row in enumerate(rows):
            titles = [
                title if verdict == "error" else str(VERDICTS[verdict])
                for title, verdict in zip(row["titles"], row["verdicts"], strict=True)
            ]
            name = f"{row['example_id']} · {row['model']}"
            for column, text in enumerate((name, *titles, f"{row['disagreement']:.2f}")):
                item = TableItem(text)
                set_tooltip(item, f"{row['dataset']} · {name}" if column == 0 else text)
                if column == 3:
                    item.setTextAlignment(_RIGHT)
                self.table.setItem(place, column, item)
        self.table.blockSignals(False)

    def _on_selected(self) -> None:
        row = self.table.currentRow()
        if self.table.selectedItems() and 0 <= row < len(self._record_ids):
            self.record_chosen.emit(self._record_ids[row])


def named(run: Mapping[str, Any], numbers: Mapping[str, int]) -> str:
    """A run as results name it: its number in the table, what judged, its seed where there is one."""
    number = numbers.get(run["run"])
    name = f"{run['name']} · {run['run'][:SHORT_ID]}" if number is None else f"{number} · {run['name']}"
    return name if run.get("seed") is None else str(tr("{name}, seed {seed}", name=name, seed=run["seed"]))


def _figure(found: Mapping[str, Any], part: str, name: str) -> Figure:
    group = found.get(part)
    return None if group is None else group.get(name)


def _texts(figure: Figure) -> list[str]:
    """Value with interval, chance, and of how many."""
    if figure is None:
        return ["–", "", ""]
    value = f"{figure['value']:z.2f}"  # z: no minus before 0.00
    if figure["low"] is not None:
        value = f"{value}  ({figure['low']:z.2f} – {figure['high']:z.2f})"
    chance = "" if figure["chance"] is None else f"{figure['chance']:z.2f}"
    return [value, chance, f"{figure['n']:,}"]


def _note(parent: QWidget) -> Label:
    label = Label(parent)
    label.setWordWrap(True)
    label.setForegroundRole(label.foregroundRole().PlaceholderText)
    return label


def _tree(name: Sentence, first: Sentence) -> QTreeWidget:
    tree = QTreeWidget()
    tree.setAccessibleName(str(name))
    tree.setHeaderLabels([str(t) for t in (first, tr("Value (95 % interval)"), tr("Chance"), tr("n"))])
    tree.setUniformRowHeights(True)
    tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    tree.setIndentation(2 * SPACE)
    tree.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    header = tree.header()
    header.setStretchLastSection(False)
    header.setMinimumSectionSize(40)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    for column in (1, 2, 3):
        header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        tree.headerItem().setTextAlignment(column, _RIGHT)
    return tree
