"""One model: what its file says, the memory it needs and that is there, what came of trying and measuring it."""

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QTableWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.plain import Label, TableItem, WritingField, set_tooltip
from app.session import Session
from app.theme import HEADING, SPACE, SUBHEADING, make_primary
from errormap_core.errors import KnownError
from errormap_core.judge.catalogue import Entry
from errormap_core.judge.gguf_file import KINDS, ModelFile
from errormap_core.judge.memory import MemoryThere, context_of, memory_needed, size_text
from errormap_core.judge.models_report import JUDGES, count_text, too_large
from errormap_core.sentences import Sentence, tr, trn

PROMPT_TOKENS, ANSWER_TOKENS = 1500, 250
"""What a failure comes to, for saying how long one takes."""

MOST_ROWS = 12

MEASURE = 860
"""Wider lines are hard to read; in pixels at 100 %."""


class Details(QScrollArea):
    """Shows one entry of the list; buttons ask for deeds, which the page does."""

    use = Signal()
    try_it = Signal()
    measure = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setAccessibleName(str(tr("The selected model")))
        self._title, self._path, self._verdict, self._memory = (self._label() for _ in range(4))
        self._path.setForegroundRole(self._path.foregroundRole().PlaceholderText)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setAccessibleName(str(tr("Memory needed of what is free")))
        self.use_button = self._button(
            tr("&Use as the judge"), tr("The next run of the judge asks this model"), self.use
        )
        self.try_button = self._button(
            tr("&Try on the selected failure"),
            tr("Let the model diagnose the failure that the record pane shows; nothing is kept of it"),
            self.try_it,
        )
        self.measure_button = self._button(
            tr("&Measure speed"), tr("How fast it reads and writes here, and with which settings"), self.measure
        )
        self.speed, self.tried = self._label(), self._label()
        self._facts = QFormLayout()
        self._facts.setHorizontalSpacing(3 * SPACE)
        self._facts.setVerticalSpacing(4)
        self.template = WritingField()
        self.template.setReadOnly(True)
        self.template.setMinimumHeight(160)
        self.template.setTabChangesFocus(True)
        self.template.setAccessibleName(str(tr("Chat template")))
        self.metadata = _table()
        self.template_toggle = self._toggle(tr("Chat template"), self.template)
        self.metadata_toggle = self._toggle(tr("All that the file says"), self.metadata)
        self._heads = [self._label() for _ in range(2)]
        self.setWidget(self._build())
        session.theme.changed.connect(self._restyle)
        self._restyle()

    def _build(self) -> QWidget:
        buttons = QHBoxLayout()
        for button in (self.use_button, self.try_button, self.measure_button):
            buttons.addWidget(button)
        buttons.addStretch(1)
        self._inside = inside = QWidget(self)
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, SPACE, SPACE, SPACE)
        column.setSpacing(SPACE)
        column.addWidget(self._title)
        column.addWidget(self._path)
        column.addWidget(self._verdict)
        column.addLayout(buttons)
        column.addWidget(self._memory)
        column.addWidget(self.bar)
        for head, label in zip(self._heads, (self.speed, self.tried), strict=True):
            column.addWidget(head)
            column.addWidget(label)
        column.addSpacing(4)
        column.addLayout(self._facts)
        for toggle, shown in ((self.template_toggle, self.template), (self.metadata_toggle, self.metadata)):
            column.addWidget(toggle)
            column.addWidget(shown)
        column.addStretch(1)
        return inside

    def _label(self) -> Label:
        label = Label()
        label.setWordWrap(True)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        return label

    def _button(self, title: Sentence, tip: Sentence, deed: Any) -> QPushButton:
        button = QPushButton(str(title))
        set_tooltip(button, str(tip))
        button.clicked.connect(lambda _=False: deed.emit())
        return button

    def _toggle(self, title: Sentence, shown: QWidget) -> QToolButton:
        toggle = QToolButton()
        toggle.setText(str(title))
        toggle.setCheckable(True)
        toggle.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        toggle.setArrowType(Qt.ArrowType.RightArrow)

        def turn(is_open: bool) -> None:
            toggle.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)
            shown.setVisible(is_open)

        toggle.toggled.connect(turn)
        shown.hide()
        return toggle

    # What is shown

    def show_entry(
        self,
        entry: Entry | None,
        *,
        context: int,
        there: MemoryThere,
        is_judge: bool,
        speed: Mapping[str, Any] | None,
        tried: Mapping[str, Any] | None,
    ) -> None:
        """Show this model, with what was measured and tried of it since the window opened."""
        model = None if entry is None else entry.model
        problem = None if entry is None else entry.problem or too_large(entry, context, there)
        self._title.setText(str(tr("Select a model.")) if entry is None else entry.name)
        self._path.setText("" if entry is None else str(entry.path))
        self._say_verdict(entry, problem, is_judge=is_judge)
        self._say_memory(model, context, there)
        self._say_facts(model)
        template = "" if model is None else model.chat_template or ""
        self.template.setPlainText(template)
        self.template_toggle.setVisible(bool(template))
        self.template.setVisible(bool(template) and self.template_toggle.isChecked())
        self._fill_metadata(model)
        self.show_speed(speed)
        self.show_try(tried)

    def _say_verdict(self, entry: Entry | None, problem: KnownError | None, *, is_judge: bool) -> None:
        scheme = self._session.theme.scheme
        self._verdict.setVisible(entry is not None)
        self._verdict.setStyleSheet(f"color: {scheme.bad};" if problem else "")
        if entry is None:
            return
        if problem is not None:
            self._verdict.setText(f"⚠  {problem.what} {problem.fix}")
        elif is_judge:
            self._verdict.setText(str(tr("✓  This is the judge.")))
        elif entry.model is not None and entry.model.kind == "base":
            said = tr(
                "It can judge, but it has no chat template: it was not made to follow instructions. A chat model is better."
            )
            self._verdict.setText(str(said))
        else:
            self._verdict.setText(str(tr("A chat model: it can judge.")))

    def _say_memory(self, model: ModelFile | None, context: int, there: MemoryThere) -> None:
        is_shown = model is not None and model.kind in JUDGES
        self._memory.setVisible(is_shown)
        self.bar.setVisible(is_shown)
        if model is None or not is_shown:
            return
        need = memory_needed(model, context)
        self._memory.setText(
            str(
                tr(
                    "With a context of {context:,} tokens it needs about {need} of memory: {weights} for its weights, "
                    "{cache} for the context, the rest for computing.",
                    context=context_of(model, context),
                    need=size_text(need.total),
                    weights=size_text(need.weights),
                    cache=size_text(need.cache),
                )
            )
        )
        self.bar.setValue(min(1000, round(1000 * need.total / max(1, there.available))))
        self.bar.setFormat(
            str(
                tr(
                    "{need} of {free} that are free",
                    need=size_text(need.total),
                    free=size_text(there.available),
                )
            )
        )

    def _say_facts(self, model: ModelFile | None) -> None:
        while self._facts.rowCount():
            self._facts.removeRow(0)
        for name, value in [] if model is None else facts(model):
            label = self._label()
            label.setText(value)
            head = Label(str(name))
            head.setForegroundRole(head.foregroundRole().PlaceholderText)
            self._facts.addRow(head, label)

    def _fill_metadata(self, model: ModelFile | None) -> None:
        rows = [] if model is None else [(k, v) for k, v in model.metadata.items() if k != "tokenizer.chat_template"]
        self.metadata_toggle.setVisible(bool(rows))
        self.metadata.setVisible(bool(rows) and self.metadata_toggle.isChecked())
        self.metadata.setRowCount(len(rows))
        for row, (key, value) in enumerate(rows):
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            for column, shown in enumerate((key, " ".join(text.split()))):
                item = TableItem(shown)
                set_tooltip(item, shown if len(shown) < 500 else "")
                self.metadata.setItem(row, column, item)
        height = self._session.theme.row_height()
        self.metadata.setFixedHeight(height * (min(MOST_ROWS, len(rows)) + 1) + 4)

    def say_speed(self, text: Sentence) -> None:
        """What measuring is at."""
        self._show(0, str(text))

    def say_try(self, text: Sentence) -> None:
        """What trying is at."""
        self._show(1, str(text))

    def show_speed(self, result: Mapping[str, Any] | None) -> None:
        """What `tune` measured, or nothing."""
        self._show(0, "" if result is None else "\n".join(map(str, speed_sentences(result))))

    def show_try(self, result: Mapping[str, Any] | None) -> None:
        """What `try` gave, or nothing."""
        self._show(1, "" if result is None else analysis_text(result))

    def _show(self, place: int, text: str) -> None:
        label = (self.speed, self.tried)[place]
        label.setText(text)
        for widget in (self._heads[place], label):
            widget.setVisible(bool(text))

    def _restyle(self) -> None:
        theme = self._session.theme
        self._inside.setMaximumWidth(round(MEASURE * theme.factor))
        self._title.setFont(theme.font(size=HEADING, semibold=True))
        for head, text in zip(self._heads, (tr("Speed"), tr("Tried on one failure")), strict=True):
            head.setFont(theme.font(size=SUBHEADING, semibold=True))
            head.setText(str(text))
        code = theme.font()
        code.setFamily("monospace")
        code.setStyleHint(code.StyleHint.Monospace)
        self.template.setFont(code)
        self.metadata.verticalHeader().setDefaultSectionSize(theme.row_height())
        make_primary(self.use_button)
        self.bar.setStyleSheet(
            f"QProgressBar {{ border: 1px solid {theme.scheme.line}; border-radius: 6px; text-align: center;"
            f" background: {theme.scheme.surface}; color: {theme.scheme.text}; min-height: {theme.row_height() - 8}px; }}"
            f"QProgressBar::chunk {{ background: {theme.scheme.selection}; border-radius: 5px; }}"
        )


def facts(model: ModelFile) -> list[tuple[Sentence, str]]:
    """What is worth knowing of a model, as names and values."""
    mix = ", ".join(f"{name} {size_text(n)}" for name, _, n in model.tensor_types)
    rows = [
        (tr("Calls itself"), model.name),
        (tr("Kind"), str(KINDS[model.kind])),
        (tr("Architecture"), model.architecture),
        (tr("Parameters"), count_text(model.n_parameters) if model.n_parameters else ""),
        (tr("Quantisation"), f"{model.quantisation} ({mix})" if mix else model.quantisation),
        (tr("Size"), size_text(model.size_bytes)),
        (tr("Context it was made for"), str(trn("{n:,} token", "{n:,} tokens", model.context_length))
         if model.context_length else ""),
        (tr("Layers"), f"{model.n_layers:,}" if model.n_layers else ""),
        (tr("Vocabulary"), str(trn("{n:,} token", "{n:,} tokens", model.n_vocabulary)) if model.n_vocabulary else ""),
        (tr("Context in memory"), str(tr("{size} a token", size=size_text(model.kv_bytes_per_token)))
         if model.kv_bytes_per_token else ""),
        (tr("Sliding window"), str(trn("{n:,} token", "{n:,} tokens", model.sliding_window)) if model.sliding_window else ""),
        (tr("Parts"), f"{model.n_parts:,}" if model.n_parts > 1 else ""),
        (tr("Licence"), model.licence or str(tr("the file does not say"))),
    ]  # fmt: skip
    if model.kind == "base":
        rows.append((tr("Chat template"), str(tr("none: prompts are written as plain text"))))
    return [(name, value) for name, value in rows if value]


def speed_sentences(result: Mapping[str, Any]) -> list[Sentence]:
    """What `tune` measured: the speed, what it makes of one failure, the settings, a copy that was written."""
    reads, writes = float(result["prefill_tokens_per_s"]), float(result["decode_tokens_per_s"])
    said = [tr("It reads {reads:,.0f} tokens a second and writes {writes:,.1f}.", reads=reads, writes=writes)]
    if reads > 0 and writes > 0:
        said.append(
            tr(
                "A failure with a prompt of {prompt:,} tokens and an analysis of {answer:,} takes about {s:,.0f} s.",
                prompt=PROMPT_TOKENS,
                answer=ANSWER_TOKENS,
                s=max(1.0, PROMPT_TOKENS / reads + ANSWER_TOKENS / writes),
            )
        )
    names = {
        "threads": tr("threads"),
        "sequences": tr("failures at once"),
        "batch": tr("tokens a batch"),
        "flash_attention": tr("flash attention"),
    }
    parts = [f"{name} {_plain(result[key])}" for key, name in names.items() if result.get(key) is not None]
    if parts:
        said.append(tr("Fastest with: {settings}.", settings=", ".join(parts)))
    copy = result.get("copy")
    if copy:
        said.append(
            tr(
                "A copy in the format {format} is faster here: {path} ({size}).",
                format=copy["format"],
                path=copy["path"],
                size=size_text(copy["bytes"]),
            )
        )
    return said


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(tr("on") if value else tr("off"))
    return f"{value:,}" if isinstance(value, int) else str(value)


def analysis_text(result: Mapping[str, Any]) -> str:
    """What `try` gave, as lines: title, summary, criteria with their evidence, tokens and seconds."""
    analysis = result.get("analysis") or {}
    lines = [str(analysis[key]) for key in ("error_title", "error_summary") if analysis.get(key)]
    for criterion in analysis.get("required_criteria") or ():
        quality = criterion.get("quality") or (tr("missing") if not criterion.get("present_in_wrong") else tr("there"))
        words = f"• {criterion.get('criterion', '')} — {quality}"
        evidence, comment = criterion.get("evidence"), criterion.get("comment")
        if evidence:
            words += f"\n   “{evidence}”"
        if comment:
            words += f"\n   {comment}"
        lines.append(words)
    if not lines:
        lines.append(str(result.get("text") or tr("It gave no analysis.")))
    numbers = tr(
        "Prompt {prompt:,} tokens, written {written:,} tokens, {seconds:,.1f} s.",
        prompt=result.get("prompt_tokens") or 0,
        written=result.get("completion_tokens") or 0,
        seconds=result.get("seconds") or 0.0,
    )
    return "\n".join([*lines, str(numbers)])


def _table() -> QTableWidget:
    table = QTableWidget(0, 2)
    table.setAccessibleName(str(tr("All that the file says of itself")))
    table.setHorizontalHeaderLabels([str(tr("Key")), str(tr("Value"))])
    table.verticalHeader().hide()
    table.setShowGrid(False)
    table.setTabKeyNavigation(False)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
    table.horizontalHeader().setStretchLastSection(True)
    return table
