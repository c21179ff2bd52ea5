"""The record pane: one failure whole, always at the right, the answer the largest thing in it."""

from collections.abc import Callable

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QMenu,
    QPushButton,
    QStackedLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.empty import EmptyState
from app.plain import set_tooltip
from app.records.document import Colours, RecordDocument, evidence_spans, quotes_of
from app.records.long_text import LongText
from app.records.quotes import Looking
from app.session import Session
from errormap_core.errors import KnownError
from errormap_core.judge.evidence import Span
from errormap_core.project.queries import RecordDetail, record_detail
from errormap_core.sentences import Sentence, tr, trn

PARTS = (
    ("question", tr("Question")),
    ("answer", tr("Answer")),
    ("reference", tr("Reference")),
    ("analysis", tr("Analysis")),
)


class RecordPane(QWidget):
    """Shows the selected record; buttons jump to its parts, and ask for an analysis where there is none."""

    analyse_now = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.detail: RecordDetail | None = None
        self._shown: tuple[object, ...] = ()
        self.text = LongText(self)
        self.text.setReadOnly(True)
        self.text.setAccessibleName(str(tr("Record")))
        self.text.setTextInteractionFlags(
            self.text.textInteractionFlags().TextSelectableByMouse
            | self.text.textInteractionFlags().TextSelectableByKeyboard
        )
        self.text.document().setDocumentMargin(16)
        self.text.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.text.customContextMenuRequested.connect(self._show_menu)
        self._menu: Callable[[], QMenu] | None = None
        self.now_button = QPushButton(self)
        self.now_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the focus where the keys are
        self.now_button.clicked.connect(self.analyse_now)
        self._empty = EmptyState(self)
        self._evidence = QToolButton(self)
        set_tooltip(self._evidence, tr("Go to the next quote in the answer"))
        self._evidence.clicked.connect(self.next_quote)
        self._quote = -1
        self._spans: list[Span] = []
        head = QHBoxLayout()
        head.setContentsMargins(8, 4, 8, 4)
        for key, title in PARTS:
            button = QToolButton(self)
            button.setText(str(title))
            set_tooltip(button, str(tr("Go to: {part}", part=title)))
            button.clicked.connect(lambda _=False, k=key: self.jump(k))
            head.addWidget(button)
        head.addStretch(1)
        head.addWidget(self._evidence)
        head.addWidget(self.now_button)
        head.addStrut(self.now_button.sizeHint().height())  # the text stays where it is when the button goes
        full = QWidget(self)
        column = QVBoxLayout(full)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        column.addWidget(self.text, 1)
        self._looking = Looking(self)
        self._looking.done.connect(self._on_looked)
        self._layers = QStackedLayout(self)
        self._layers.addWidget(self._empty)
        self._layers.addWidget(full)
        session.record_selected.connect(self.show_record)
        session.changed.connect(lambda _: self.refresh())
        session.machine_changed.connect(lambda _: self.refresh())
        session.theme.changed.connect(self.refresh)
        session.keys.follow(self._say_keys)
        session.closed.connect(lambda: self.show_record(None))
        self.show_record(None)

    def _say_keys(self) -> None:
        keys = self._session.keys
        self.now_button.setText(keys.hinted(tr("Analyse now"), "records.analyse_now"))
        tip = tr("The judge takes this failure next, before all others")
        set_tooltip(self.now_button, keys.hinted(tip, "records.analyse_now"))
        self.refresh()

    def _to_do(self) -> Sentence:
        """What can be done where a record has no analysis."""
        keys = self._session.keys
        return tr(
            "No analysis yet. Have it analysed now{now}, run the judge{run}, or write one yourself{own}.",
            now=keys.bracketed("records.analyse_now"),
            run=keys.bracketed("judge.run"),
            own=keys.bracketed("records.analyse"),
        )

    def show_record(self, record_id: str | None) -> None:
        """Show a record from its top; None shows what to do to see one."""
        if record_id is None or self._session.project is None:
            self.detail = None
            self._empty.say(
                tr("Select a failure to read it here: in the list of records, or a typical one of a proposal.")
            )
            self._layers.setCurrentIndex(0)
            return
        self._read(record_id)

    def _on_looked(self) -> None:
        """Mark what was found in an answer that is long."""
        self._shown = ()
        self.refresh()

    def refresh(self) -> None:
        """Read the record again, staying where one reads."""
        if self.detail is not None and self._session.project is not None:
            self._read(self.detail.id, is_again=True)

    def _read(self, record_id: str, *, is_again: bool = False) -> None:
        """Write the record; with `is_again` only where it is not as it is shown, and staying where one reads."""
        project = self._session.project
        assert project is not None
        try:
            detail = record_detail(project.reader, record_id)
        except KnownError as error:
            self._session.failed.emit(error)
            return
        counted = next((a for a in detail.assignments if a.counts), None)
        category = project.tree.place(counted.category_id) if counted else str(tr("not placed yet"))
        scheme = self._session.theme.scheme
        to_do = self._to_do()
        shown = (detail, category, scheme.name, self._session.theme.factor, str(to_do))
        if is_again and shown == self._shown:
            return
        self._shown = shown
        colours = Colours(scheme.text, scheme.muted, scheme.evidence, scheme.bad, scheme.good)
        document = RecordDocument(self.text, colours, base=self._session.theme.font(size=1.05), stay=is_again)
        document.write(detail, category=category, references=detail.correct_predictions, to_do=to_do)
        self.detail = detail
        self._looking.begin(detail.output_text, quotes_of(detail))
        self._spans = evidence_spans(detail)
        if not is_again:
            self._quote = -1
        n = len(self._spans)
        self._evidence.setText(str(trn("{n:,} quote found", "{n:,} quotes found", n)))
        self._evidence.setVisible(detail.analysis is not None)
        self._evidence.setEnabled(bool(n))
        waits = detail.state in ("waiting", "engine_failed", "placed")
        self.now_button.setVisible(waits and self._session.can_edit)
        self._layers.setCurrentIndex(1)

    def set_menu(self, make: Callable[[], QMenu]) -> None:
        """Where the commands of the context menu come from."""
        self._menu = make

    def _show_menu(self, point: QPoint) -> None:
        menu = self.text.createStandardContextMenu(point)
        if self._menu is not None:
            menu.addSeparator()
            menu.addActions(self._menu().actions())
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.text.viewport().mapToGlobal(point))

    def next_quote(self) -> None:
        """Scroll to the next place in the answer that the analysis quotes; after the last to the first."""
        if self._spans and "answer" in self.text.places:
            self._quote = (self._quote + 1) % len(self._spans)
            self.text.go_to(self.text.places["answer"] + 1, self._spans[self._quote][0])

    def jump(self, part: str) -> None:
        """Scroll to a part of the record."""
        self.text.jump(part)
