"""The page of signatures: each model's shares of the categories on the selected level."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QGridLayout, QStackedLayout, QVBoxLayout, QWidget

from app.empty import EmptyState
from app.plain import Label, set_tooltip
from app.session import Scope, Session
from errormap_core.measures.how import LOOKED_AT, looked_at_sentence
from errormap_core.measures.shares import shares_by_model
from errormap_core.project.queries import counted_by, looked_at_by, own_counts_by, states, totals
from errormap_core.sentences import Sentence, tr, trn

MOST_BARS = 25
"""More categories than this cannot be told apart; the largest are shown, and how many are not is said."""

MOST_MODELS = 12
MOST_LETTERS = 28


def _left_out(*, n_failures: int, n_in_none: int, n_beside: int) -> Iterator[Sentence]:
    """Of which failures there is no bar."""
    if n_in_none:
        yield trn(
            "{n:,} of {of:,} is in no category and has no bar",
            "{n:,} of {of:,} are in no category and have no bar",
            n_in_none,
            of=n_failures,
        )
    if n_beside:
        yield trn(
            "{n:,} other failure is left out (waiting, failed by the judge, excluded, disputed or not sampled)",
            "{n:,} other failures are left out (waiting, failed by the judge, excluded, disputed or not sampled)",
            n_beside,
        )


def _not_shown(*, n_models: int, n_empty: int, n_small: int) -> Iterator[Sentence]:
    """Which models and categories the chart lacks. `n_small` have failures or not: the chart is full."""
    if n_models:
        yield trn("{n:,} more model is not shown", "{n:,} more models are not shown", n_models)
    if n_small:
        yield trn(
            "{n:,} category is not shown: the chart has the {most:,} largest",
            "{n:,} categories are not shown: the chart has the {most:,} largest",
            n_small,
            most=MOST_BARS,
        )
    elif n_empty:
        yield trn("{n:,} category has no failures", "{n:,} categories have no failures", n_empty)


class SignaturesPage(QWidget):
    """Bars by category and model: the children of the selected category, or the top categories."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._is_stale = True
        self._title = Label(self)
        self._note = Label(self)
        self._note.setForegroundRole(self._note.foregroundRole().PlaceholderText)
        self._note.setWordWrap(True)
        self._legend = QGridLayout()
        self._legend.setHorizontalSpacing(16)
        self.plot = pg.PlotWidget(self)
        self.plot.setAccessibleName(str(tr("Shares of the categories by model")))
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.hideButtons()
        self.plot.setMenuEnabled(False)
        set_tooltip(self.plot, str(tr("Click a category to select it")))
        self.plot.scene().sigMouseClicked.connect(self._on_click)
        self._empty = EmptyState(self)
        chart = QWidget(self)
        column = QVBoxLayout(chart)
        column.setContentsMargins(16, 12, 16, 12)
        for widget in (self._title, self._note):
            column.addWidget(widget)
        column.addLayout(self._legend)
        column.addWidget(self.plot, 1)
        self._layers = QStackedLayout(self)
        self._layers.addWidget(self._empty)
        self._layers.addWidget(chart)
        self.category_ids: list[str] = []
        self.models: list[str] = []
        self.shares = np.zeros((0, 0))
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.reload)
        for signal in (session.opened, session.changed, session.machine_changed, session.scope_changed):
            signal.connect(lambda *_: self._mark_stale())
        session.theme.changed.connect(self._mark_stale)
        session.keys.changed.connect(self._mark_stale)
        session.closed.connect(self._on_closed)
        self._on_closed()

    def _mark_stale(self) -> None:
        self._is_stale = True
        if self.isVisible():
            self._soon.start(0)

    def showEvent(self, event: object) -> None:
        if self._is_stale:
            self._soon.start(0)
        super().showEvent(event)  # type: ignore[arg-type]

    def _on_closed(self) -> None:
        self._empty.say(tr("No project is open."))
        self._layers.setCurrentIndex(0)

    def _level(self, scope: Scope) -> str | None:
        """The category whose children are shown: the one selected where it has any, else its parent."""
        project = self._session.project
        assert project is not None
        chosen = [c for c in scope.category_ids or () if c in project.tree]
        if not chosen:
            return None
        if project.tree.children(chosen[0]):
            return chosen[0]
        return project.tree.live(chosen[0]).parent_id

    def reload(self) -> None:
        """Read the shares and draw them."""
        project = self._session.project
        if project is None:
            return
        self._is_stale = False
        level = self._level(self._session.scope)
        counted = {m: n for m, n in counted_by(project.reader, "model").items() if n}
        ids = list(project.tree.children(level))
        shares = shares_by_model(project.tree, own_counts_by(project.reader, "model"), counted, category_ids=ids)
        if not counted or not np.nansum(shares):
            self._empty.say(
                tr("Shares appear here once failures are diagnosed and placed in categories."),
                (self._session.keys.titled(tr("Review proposals"), "view.review"), self._go_review),
            )
            self._layers.setCurrentIndex(0)
            return
        order = np.argsort(-np.nansum(shares, axis=0), kind="stable")
        shown = [int(i) for i in order[:MOST_BARS] if np.nansum(shares[:, i]) > 0]
        self.models = list(counted)[:MOST_MODELS]
        self.category_ids = [ids[i] for i in shown]
        self.shares = shares[: len(self.models)][:, shown]
        name = project.tree.place(level) if level else str(tr("All categories"))
        self._title.setText(name)
        self._title.setFont(self._session.theme.font(size=1.1, semibold=True))
        n_failures = sum(counted.values())
        looked_at = looked_at_by(project.reader, "model")
        n_in_none = 0 if level else n_failures - sum(totals(project.reader).placed_by.values())
        left_out = [
            *_left_out(n_failures=n_failures, n_in_none=n_in_none,
                       n_beside=sum(states(project.reader).values()) - n_failures),
            *_not_shown(n_models=len(counted) - len(self.models),
                        n_empty=int((np.nansum(shares, axis=0) == 0).sum()), n_small=max(0, len(ids) - MOST_BARS)),
        ]  # fmt: skip
        said = tr(
            "Share of each model's failures that are placed or diagnosed (n). {looked_at}",
            looked_at=looked_at_sentence(n_failures, sum(looked_at.values())),
        )
        self._note.setText(" · ".join(str(part) for part in (said, *left_out)))
        set_tooltip(self._note, LOOKED_AT)
        self._draw(counted, looked_at)
        self._layers.setCurrentIndex(1)

    def _on_click(self, event: Any) -> None:
        """Select the category whose bars were clicked."""
        at = self.plot.getPlotItem().vb.mapSceneToView(event.scenePos())
        self.select_at(at.y())

    def select_at(self, y: float) -> None:
        """Select the category that is drawn at height `y` of the plot."""
        place = round(y)
        if 0 <= place < len(self.category_ids):
            self._session.select_categories([self.category_ids[place]])

    def _go_review(self) -> None:
        do = getattr(self.window(), "do", None)
        if do is not None:
            do("view.review")

    def _draw(self, counted: dict[str, int], looked_at: dict[str, int]) -> None:
        project = self._session.project
        assert project is not None
        scheme = self._session.theme.scheme
        self.plot.clear()
        self.plot.setBackground(scheme.surface)
        n, k = len(self.category_ids), len(self.models)
        height = 0.8 / max(1, k)
        for place, _ in enumerate(self.models):
            y = np.arange(n) + (place - (k - 1) / 2) * height
            bars = pg.BarGraphItem(x0=0, y=y, height=height * 0.9, width=np.nan_to_num(self.shares[place]) * 100,
                                   brush=scheme.series[place % len(scheme.series)], pen=None)  # fmt: skip
            self.plot.addItem(bars)
        names = [project.tree.live(c).name for c in self.category_ids]
        short = [name if len(name) <= MOST_LETTERS else name[: MOST_LETTERS - 1] + "…" for name in names]
        left, bottom = self.plot.getAxis("left"), self.plot.getAxis("bottom")
        left.setTicks([list(enumerate(short))])
        for axis in (left, bottom):
            axis.setPen(scheme.line)
            axis.setTextPen(scheme.text)
            axis.setTickFont(self._session.theme.font())
        width = max((self.fontMetrics().horizontalAdvance(s) for s in short), default=80)
        left.setWidth(width + 24)
        bottom.setLabel(str(tr("Share of the model's failures that are placed or diagnosed (n), %")), color=scheme.text)
        self.plot.showGrid(x=True, y=False, alpha=0.25)
        self.plot.invertY(True)
        top = float(np.nanmax(self.shares)) * 100 if self.shares.size else 1.0
        self.plot.setXRange(0, top * 1.05, padding=0)
        self.plot.setYRange(-0.6, max(n - 0.4, 5.6), padding=0)
        self._draw_legend(counted, looked_at)

    def _draw_legend(self, counted: dict[str, int], looked_at: dict[str, int]) -> None:
        while (item := self._legend.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        scheme = self._session.theme.scheme
        labels = []
        for place, model in enumerate(self.models):
            label = Label(self)
            labels.append(label)
            values = {"model": model, "n": counted[model], "k": looked_at.get(model, 0)}
            label.setText(str(tr("{place}. ■ {model} (n = {n:,}, looked at {k:,})", place=place + 1, **values)))
            label.setStyleSheet(f"color: {scheme.series[place % len(scheme.series)]};")
        widest = max((label.sizeHint().width() for label in labels), default=0)
        columns = 2 if 2 * widest + self._legend.horizontalSpacing() <= self.plot.width() else 1
        for place, label in enumerate(labels):
            self._legend.addWidget(label, place // columns, place % columns)
