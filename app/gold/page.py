"""The page of gold: how close the tree and the judges' analyses come to what people wrote as the key."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QSplitter,
    QStackedLayout,
    QTableWidget,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.empty import EmptyState
from app.files import ask_folder
from app.plain import Label, TableItem, TreeItem, set_tooltip
from app.session import Session
from app.theme import HEADING, SPACE, SUBHEADING, make_primary
from errormap_core.gold.resting import Since
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.edits import Change, MachineChange

Row = tuple[Sentence, Mapping[str, Any] | None]

COMPARISONS: tuple[tuple[tuple[str, ...], Sentence], ...] = (
    (("verdict", "agreement"), tr("Error or no error: the same")),
    (("verdict", "kappa"), tr("Error or no error: kappa")),
    (("evidence", "f1"), tr("Evidence: overlap, F1")),
    (("category", "kappa"), tr("Category: kappa")),
    (("top_category", "kappa"), tr("Top category: kappa")),
)
CLUSTERINGS: tuple[tuple[tuple[str, ...], Sentence], ...] = (
    (("categories", "adjusted_rand"), tr("Categories: adjusted Rand")),
    (("categories", "v_measure"), tr("Categories: V-measure")),
    (("categories", "matched"), tr("Gold categories matched")),
    (("top_categories", "adjusted_rand"), tr("Top categories: adjusted Rand")),
    (("top_categories", "v_measure"), tr("Top categories: V-measure")),
    (("top_categories", "matched"), tr("Top gold categories matched")),
)


class GoldPage(QWidget):
    """Figures with interval and chance above, gold categories beside those of the tree below."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._folder: Path | None = None  # of the gold that is shown, None for the sample's
        self._asked: Path | None = None
        self._since = Since()
        self._result: dict[str, Any] = {}
        self._category_ids: list[str | None] = []
        self._title = Label(self)
        self._note = Label(self)
        self._note.setWordWrap(True)
        self._note.setForegroundRole(self._note.foregroundRole().PlaceholderText)
        self.again = QPushButton(str(tr("Compare &again")), self)
        tip = tr("Compare the tree and the analyses as they are now")
        session.keys.follow(lambda: set_tooltip(self.again, session.keys.hinted(tip, "judge.gold")))
        self.again.clicked.connect(self.compare)
        self.choose = QPushButton(str(tr("Choose other &gold…")), self)
        set_tooltip(self.choose, str(tr("A folder with taxonomy.json and analyses.jsonl")))
        self.choose.clicked.connect(self.choose_gold)
        self.figures = QTreeWidget(self)
        self.figures.setAccessibleName(str(tr("Figures with interval and chance")))
        self.figures.setHeaderLabels(
            [str(t) for t in (tr("Figure"), tr("Value"), tr("95 % interval"), tr("By chance"))]
        )
        self.figures.setUniformRowHeights(True)
        self.figures.setRootIsDecorated(False)
        self.figures.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        header = self.figures.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self._matches_title = Label(str(tr("Gold categories, and yours that fit them best")), self)
        self.matches = QTableWidget(0, 4, self)
        self.matches.setAccessibleName(str(tr("Gold categories, and yours that fit them best")))
        self.matches.setHorizontalHeaderLabels([str(t) for t in (tr("Gold"), tr("Yours"), tr("In both"), tr("F1"))])
        self.matches.verticalHeader().hide()
        self.matches.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.matches.setShowGrid(False)
        self.matches.setTabKeyNavigation(False)  # Tab leaves the table
        self.matches.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.matches.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.matches.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        for column in (0, 1):
            self.matches.horizontalHeader().setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
        self.matches.itemSelectionChanged.connect(self._on_match)
        self._empty = EmptyState(self)
        self._layers = QStackedLayout(self)
        self._layers.addWidget(self._empty)
        self._layers.addWidget(self._build())
        session.opened.connect(self._forget)
        session.closed.connect(self._forget)
        session.changed.connect(self._on_changed)
        session.machine_changed.connect(self._on_changed)
        session.theme.changed.connect(self._restyle)
        self._restyle()
        self._forget()

    def _build(self) -> QWidget:
        buttons = QHBoxLayout()
        buttons.addWidget(self.again)
        buttons.addWidget(self.choose)
        buttons.addStretch(1)
        below = QWidget(self)
        column = QVBoxLayout(below)
        column.setContentsMargins(0, SPACE, 0, 0)
        column.addWidget(self._matches_title)
        column.addWidget(self.matches, 1)
        split = QSplitter(Qt.Orientation.Vertical, self)
        split.setChildrenCollapsible(False)
        split.addWidget(self.figures)
        split.addWidget(below)
        full = QWidget(self)
        outer = QVBoxLayout(full)
        outer.setContentsMargins(2 * SPACE, 12, 2 * SPACE, 12)
        outer.addWidget(self._title)
        outer.addWidget(self._note)
        outer.addLayout(buttons)
        outer.addWidget(split, 1)
        return full

    # Deeds

    def compare(self) -> None:
        """Compare with the gold that is shown, or with the sample's, in a process of its own."""
        self._compare_with(self._folder)

    def compare_with_sample(self) -> None:
        self._compare_with(None)

    def _compare_with(self, folder: Path | None) -> None:
        project = self._session.project
        if project is None:
            return
        where = [] if folder is None else ["--gold", str(folder)]
        if self._session.start("score", [str(project.path), *where]) is not None:
            self._asked = folder
            self._since.begin()
            self._wait()

    def choose_gold(self) -> None:
        """Ask for a folder with gold, and compare with it."""
        folder = ask_folder(self, tr("Folder with gold analyses"))
        if folder is not None:
            self._compare_with(folder)

    def show_result(self, result: dict[str, Any]) -> None:
        """Show what a comparison gave."""
        self._result, self._folder = result, self._asked
        self._fill_figures()
        self._fill_matches()
        self._say_what()
        self._layers.setCurrentIndex(1)
        self._ready()

    def on_failed(self) -> None:
        """A comparison came to nothing; the reason is in the message strip."""
        self._since.give_up()
        if self._result:
            self._say_what()
            self._ready()
        else:
            self._forget()

    # What is shown

    def _forget(self) -> None:
        self._result, self._folder = {}, None
        self._since.begin()
        project = self._session.project
        if project is None:
            self._empty.say(tr("No project is open."))
        else:
            self._empty.say(
                tr(
                    "How close did you come? Compare your tree and the judges' analyses with gold: "
                    "analyses and a taxonomy that were written as the key. The sample brings its own."
                ),
                (str(tr("Compare with the sample's gold")), self.compare_with_sample),
                (str(tr("Choose other gold…")), self.choose_gold),
            )
        self._layers.setCurrentIndex(0)

    def _wait(self) -> None:
        if self._result:
            self._note.setText(str(tr("Comparing …")))
            self.again.setEnabled(False)
        else:
            self._empty.say(tr("Comparing … The classifier is being loaded; that takes a few seconds."))

    def _ready(self) -> None:
        self.again.setEnabled(True)

    def _say_what(self) -> None:
        gold = self._result["gold"]
        said = tr(
            "Gold “{title}”: {analyses}, {categories}.",
            title=gold["title"],
            analyses=trn("{n:,} analysis", "{n:,} analyses", gold["analyses"]),
            categories=trn("{n:,} category", "{n:,} categories", gold["categories_used"]),
        )
        parts = [str(said)]
        if gold["left_out"]:
            first = self._result["problems"][0]["text"]
            parts.append(
                str(
                    trn(
                        "{n:,} line of it was left out: {first}",
                        "{n:,} lines of it were left out, the first: {first}",
                        gold["left_out"],
                        first=first,
                    )
                )
            )
        if self._since.is_changed:
            parts.append(str(tr("The project changed since; compare again.")))
        self._note.setText(" ".join(parts))

    def _on_changed(self, change: Change | MachineChange) -> None:
        self._since.follow(change)
        if self._result and self.again.isEnabled():
            self._say_what()

    def _fill_figures(self) -> None:
        self.figures.clear()
        for title, rows in self._groups():
            group = TreeItem(texts=[str(title)])
            group.setFont(0, self._session.theme.font(semibold=True))
            self.figures.addTopLevelItem(group)
            group.setFirstColumnSpanned(True)
            for name, figure in rows:
                group.addChild(_figure_item(name, figure))
        self.figures.expandAll()
        for column in (1, 2, 3):
            self.figures.resizeColumnToContents(column)

    def _groups(self) -> Iterator[tuple[Sentence, list[Row]]]:
        result = self._result
        tree = result["tree"]
        yield (
            trn("Your tree: {n:,} failure placed by both, {k:,} of them looked at one by one; {rest:,} not placed yet",
                "Your tree: {n:,} failures placed by both, {k:,} of them looked at one by one; {rest:,} not placed yet",
                tree["n"], k=tree["looked_at"], rest=tree["not_placed"]),
            _rows(tree, CLUSTERINGS),
        )  # fmt: skip
        for source in result["analyses"]:
            if source["is_gold"]:
                yield (
                    trn("{name}: {n:,} analysis, the gold itself", "{name}: {n:,} analyses, the gold itself",
                        source["n"], name=source["name"]),
                    [],
                )  # fmt: skip
                continue
            title = trn(
                "{name}: {n:,} failure, {missing:,} not analysed",
                "{name}: {n:,} failures, {missing:,} not analysed",
                source["n"],
                name=source["name"],
                missing=source["missing"],
            )
            yield title, _rows(source, COMPARISONS)
        again = result["second_pass"]
        if again is not None:
            yield (
                trn("The gold against its own second pass: {n:,} failure",
                    "The gold against its own second pass: {n:,} failures", again["n"]),
                _rows(again, COMPARISONS),
            )  # fmt: skip
        ceiling = result["classifier"]
        if ceiling is not None:
            yield (
                tr("The classifier of categories on the gold's own words: {n:,}", n=ceiling["n"]),
                _rows(ceiling, COMPARISONS[3:]),
            )

    def _fill_matches(self) -> None:
        part = self._result["tree"]["categories"]
        matches = [] if part is None else part["matches"]
        unmatched = [] if part is None else part["unmatched"]
        self._matches_title.setVisible(bool(matches))
        self.matches.setVisible(bool(matches))
        self.matches.blockSignals(True)
        self.matches.setRowCount(len(matches) + len(unmatched))
        self._category_ids = [match["category"] for match in matches] + [None] * len(unmatched)
        for place, match in enumerate(matches):
            both = str(tr("{n:,} of {of:,}", n=match["n_both"], of=match["n_gold"]))
            self._put(place, (match["gold_name"], match["name"], both, f"{match['f1']:.2f}"))
        for place, category in enumerate(unmatched, start=len(matches)):
            self._put(
                place, (category["name"], str(tr("none")), str(tr("{n:,} of {of:,}", n=0, of=category["n"])), "–")
            )
        self.matches.blockSignals(False)
        for column in (2, 3):
            self.matches.resizeColumnToContents(column)

    def _put(self, row: int, texts: tuple[str, str, str, str]) -> None:
        for column, text in enumerate(texts):
            item = TableItem(text)
            set_tooltip(item, text)
            if column > 1:
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.matches.setItem(row, column, item)

    def _on_match(self) -> None:
        row = self.matches.currentRow()
        chosen = self._category_ids[row] if 0 <= row < len(self._category_ids) else None
        if chosen is not None and self.matches.selectedItems():
            self._session.select_categories([chosen])

    def _restyle(self) -> None:
        theme = self._session.theme
        self._title.setText(str(tr("How close did you come?")))
        self._title.setFont(theme.font(size=HEADING, semibold=True))
        self._matches_title.setFont(theme.font(size=SUBHEADING, semibold=True))
        self.matches.verticalHeader().setDefaultSectionSize(theme.row_height())
        make_primary(self.again)
        if self._result:
            self._fill_figures()


def _rows(part: Mapping[str, Any], names: tuple[tuple[tuple[str, ...], Sentence], ...]) -> list[Row]:
    found: list[Row] = []
    for way, title in names:
        value: Any = part
        for step in way:
            value = None if value is None else value.get(step)
        found.append((title, value))
    return found


def _figure_item(name: Sentence, figure: Mapping[str, Any] | None) -> QTreeWidgetItem:
    if figure is None:
        return TreeItem(texts=[str(name), "–", "", ""])
    interval = "" if figure["low"] is None else f"{figure['low']:z.2f} – {figure['high']:z.2f}"
    chance = "" if figure["chance"] is None else f"{figure['chance']:z.2f}"  # z: no minus before 0.00
    item = TreeItem(texts=[str(name), f"{figure['value']:z.2f}", interval, chance])
    set_tooltip(item, str(tr("Of {n:,}", n=figure["n"])), 0)
    for column in (1, 2, 3):
        item.setTextAlignment(column, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return item
