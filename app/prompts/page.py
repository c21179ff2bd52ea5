"""The page of prompts: what the judge is told, the project's own wordings, what each changes and makes of a record.

What is typed is saved as a step when a field is left, if it can be used; until then it is kept as a draft.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QHideEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QStackedLayout,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from app.empty import EmptyState
from app.plain import Label, set_tooltip
from app.prompts.editor import PromptEditor
from app.prompts.list import PromptList
from app.prompts.notes import difference_of, load_prompt_of, preview_of, state_of
from app.prompts.views import TextView, TryView
from app.session import Session
from app.step_queue import WaitingStep
from app.tasks.runner import Job
from app.theme import HEADING, SPACE, make_primary
from errormap_core.errors import KnownError
from errormap_core.judge.own_prompt import OwnPrompt, problems_of
from errormap_core.judge.project_prompts import (
    choose_prompt,
    copy_of,
    listed_prompts,
    own_prompts,
    remove_prompt,
    rename_prompt,
    save_prompt,
)
from errormap_core.judge.prompts import Prompt
from errormap_core.project.queries import record_detail
from errormap_core.project.store import Project
from errormap_core.sentences import Sentence, tr
from errormap_core.taxonomy.edits import Change, Edit

PREVIEW_AFTER_MS = 200
COUNT_AFTER_MS = 2000
"""So long after a machine wrote the numbers of analyses are read again: a judge writes all the time."""

WIDE = 960
"""From this width on, at 100 %, list, texts and views stand beside each other."""

_SETTINGS = ("judge.prompt", "judge.own_prompts", "judge.max_criteria", "judge.max_references", "judge.context")


@dataclass(frozen=True, slots=True)
class _Tried:
    """A try under way: its job, and the record and prompt that it is about."""

    job: Job
    record_id: str
    name: str


class PromptsPage(QWidget):
    """Prompts at the left, their texts, and beside them preview, difference and trying."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._name = ""
        self._drafts: dict[str, OwnPrompt] = {}  # what was typed and is not saved
        self._tried: _Tried | None = None
        self._is_stale = True
        self._is_wide: bool | None = None
        theme = session.theme
        self.list = PromptList(self)
        self.editor = PromptEditor(theme)
        self.preview = TextView(theme, tr("The prompt filled in"))
        self.difference = TextView(theme, tr("What it changes of the shipped prompt"))
        self.trial = TryView(theme)
        self.use_button = self._button(tr("&Use this prompt"), tr("The judge uses it from its next run on"), self.use)
        self.copy_button = self._button(tr("&New copy"), tr("A prompt of this project's own, to edit"), self.new_copy)
        self.rename_button = self._button(tr("Rena&me"), tr("Give it another name (F2)"), self.list.rename_current)
        self.remove_button = self._button(
            tr("&Delete"), tr("Take it out of the project (Del); what was made with it stays"), self.remove
        )
        make_primary(self.use_button)
        self.use_button.setMinimumWidth(self.use_button.sizeHint().width())  # it says “In use” too
        self._title = Label(self)
        self.state = Label(self)
        for label in (self._title, self.state):
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.state.setWordWrap(True)
        self.state.setForegroundRole(self.state.foregroundRole().PlaceholderText)
        self.state.setAccessibleName(str(tr("Whether it is saved")))
        self.tabs = QTabWidget(self)
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName(str(tr("Beside the texts")))
        self._empty = EmptyState(self)
        self._layers = QStackedLayout(self)
        self._layers.addWidget(self._empty)
        self._layers.addWidget(self._build())
        self._soon = self._timer(PREVIEW_AFTER_MS, self._show_views)
        self._later = self._timer(COUNT_AFTER_MS, self._recount)
        self._connect()
        self._empty.say(tr("No project is open."))
        self._restyle()

    def _button(self, title: Sentence, tip: Sentence, do: Any) -> QPushButton:
        button = QPushButton(str(title), self)
        set_tooltip(button, str(tip))
        button.clicked.connect(lambda _=False: do())
        return button

    def _timer(self, after_ms: int, do: Any) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(after_ms)
        timer.timeout.connect(do)
        return timer

    def _build(self) -> QWidget:
        buttons = QVBoxLayout()
        for button in (self.use_button, self.copy_button, self.rename_button, self.remove_button):
            buttons.addWidget(button)
        buttons.addStretch(1)
        self._prompts = QWidget(self)
        self._beside = QBoxLayout(QBoxLayout.Direction.TopToBottom, self._prompts)
        self._beside.setContentsMargins(0, 0, 0, 0)
        self._beside.addWidget(self.list, 1)
        self._beside.addLayout(buttons)
        self._texts = QWidget(self)
        column = QVBoxLayout(self._texts)
        column.setContentsMargins(0, SPACE, 0, 0)
        column.addWidget(self._title)
        column.addWidget(self.state)
        column.addWidget(self.editor, 1)
        self._work = QSplitter(Qt.Orientation.Horizontal, self)
        self._work.setChildrenCollapsible(False)
        self._work.addWidget(self.tabs)
        for view, title in (
            (self.preview, tr("Preview")),
            (self.difference, tr("Difference")),
            (self.trial, tr("Try")),
        ):
            self.tabs.addTab(view, str(title))
        self._split = QSplitter(Qt.Orientation.Horizontal, self)
        self._split.setChildrenCollapsible(False)
        for split in (self._work, self._split):
            split.setHandleWidth(12)
        self._split.addWidget(self._prompts)
        self._split.addWidget(self._work)
        self._split.setStretchFactor(1, 1)
        full = QWidget(self)
        column = QVBoxLayout(full)
        column.setContentsMargins(12, 12, 12, 12)
        column.addWidget(self._split)
        return full

    def _connect(self) -> None:
        session = self._session
        self.list.currentItemChanged.connect(lambda *_: self._on_selected())
        self.list.itemActivated.connect(lambda _: self._focus_editor())
        self.list.renamed.connect(lambda old, new: QTimer.singleShot(0, self, lambda: self.rename(old, new)))
        self.list.remove_asked.connect(self.remove)
        self.editor.edited.connect(self._on_edited)
        self.editor.left.connect(self.save)
        self.editor.save_asked.connect(self.save)
        self.trial.button.clicked.connect(lambda _=False: self.try_record())
        self.tabs.currentChanged.connect(lambda _: self._show_views())
        session.opened.connect(self._on_opened)
        session.leaving.connect(self.save)
        session.closing.connect(self._on_closing)
        session.closed.connect(self._on_closed)
        session.changed.connect(self._on_change)
        session.machine_changed.connect(lambda _: self._later.start())
        session.record_selected.connect(lambda _: self._soon.start())
        session.tasks.started.connect(lambda _: self._enable())
        session.tasks.finished.connect(self._on_job)
        session.theme.changed.connect(self._restyle)

    # Deeds

    def new_copy(self) -> None:
        """Make a copy of the selected prompt as the project's own, and edit its name."""
        project = self._project()
        if project is None:
            return
        self.save()
        own = self._own()
        shown = load_prompt_of(project, self._name) if own is None else own.prompt()
        if shown is None:
            return
        copy = copy_of(project, shown)
        if self._do(lambda to: save_prompt(to, copy, actor=self._session.actor), tr("“{name}” added", name=copy.name)):
            self._select(copy.name)
            self.list.setFocus()
            self.list.rename_current()

    def rename(self, old: str, new: str) -> None:
        """Give an own prompt another name."""
        project = self._project()
        if project is None:
            return
        self.save()
        said = tr("“{name}” is called “{new}” now", name=old, new=new)
        if self._do(lambda to: rename_prompt(to, old, new, actor=self._session.actor), said):
            if old in self._drafts:
                self._drafts[new] = self._drafts.pop(old)
            self._select(new)

    def remove(self) -> None:
        """Take the selected own prompt out of the project."""
        project = self._project()
        if project is None or self._own() is None or not self._session.can_edit:
            return
        name = self._name
        said = tr("“{name}” removed", name=name)
        if self._do(lambda to: remove_prompt(to, name, actor=self._session.actor), said):
            self._drafts.pop(name, None)
            self.reload()

    def use(self) -> None:
        """Let the judge use the selected prompt from its next run on."""
        project = self._project()
        if project is None or not self.save():
            return
        name = self._name
        said = tr("The judge uses “{name}”", name=name)
        self._do(lambda to: choose_prompt(to, name, actor=self._session.actor), said)

    def save(self) -> bool:
        """Keep what was typed, as a step; False where it cannot be used yet and stays a draft. It stays one as well until a step
        that waits for the file is taken."""
        project, draft = self._project(), self._draft()
        if project is None or draft is None or draft == own_prompts(project).get(draft.name):
            return True
        self._drafts[draft.name] = draft
        if self._waits_for(draft):
            return True
        if problems_of(draft):
            self._say_state()
            self._show_list()
            return False
        said = tr("“{name}” edited", name=draft.name)
        is_kept = self._do(lambda to: save_prompt(to, draft, actor=self._session.actor), said, of=draft)
        if is_kept:
            self._drafts.pop(draft.name, None)
            self._show_selected()
            self._show_list()
        return is_kept or self._waits_for(draft)

    def _waits_for(self, draft: OwnPrompt) -> bool:
        """Whether a step that saves this waits for the file."""
        return any(step.of == draft for step in self._session.steps.waiting)

    def try_record(self) -> None:
        """Run the judge on the selected record with this prompt, in a process of its own; nothing is stored."""
        project, record_id = self._project(), self._session.record_id
        if project is None or record_id is None or not self.save():
            return
        arguments = [str(project.path), "--record", record_id, "--prompt", self._name]
        job = self._session.start("try", arguments)
        if job is not None:
            self._tried = _Tried(job, record_id, self._name)
            self.trial.clear()
            self.trial.note.setText(str(tr("Trying “{name}” … The model is loaded first.", name=self._name)))
            self._enable()

    def show_try(self, result: dict[str, Any]) -> None:
        """Show what trying gave beside the analysis that counts."""
        project, tried = self._project(), self._tried
        self._tried = None
        if project is None or tried is None:
            return
        try:
            detail = record_detail(project.reader, tried.record_id)
        except KnownError as error:
            self._session.failed.emit(error)
            return
        self.trial.show_result(detail, result, name=tried.name)

    # What is selected and shown

    def focus_list(self) -> None:
        """The keys of the list work at once."""
        self.list.setFocus()

    def reload(self) -> None:
        """Read the prompts again, keeping what is selected and what was typed."""
        project = self._project()
        self._is_stale = False
        self._layers.setCurrentIndex(0 if project is None else 1)
        if project is None:
            return
        before = self._name
        own = own_prompts(project)
        self._drafts = {name: draft for name, draft in self._drafts.items() if name in own and draft != own[name]}
        self._show_list()
        draft = self._draft() if self._name == before else None
        if draft is None or draft == own.get(self._name) or self._name not in self._drafts:
            self._show_selected()
        self._enable()

    def _show_list(self) -> None:
        project = self._project()
        if project is None:
            return
        listed = listed_prompts(project)
        unsaved = set(self._drafts)
        self._name = self.list.show_prompts(
            listed, unsaved=unsaved, can_edit=self._session.can_edit, selected=self._name
        )
        is_used = next(one.is_chosen for one in listed if one.name == self._name)
        self.use_button.setText(str(tr("In use") if is_used else tr("&Use this prompt")))
        self.use_button.setEnabled(self._session.can_edit and not is_used)

    def _recount(self) -> None:
        if self.isVisible():
            self._show_list()
        else:
            self._is_stale = True

    def _select(self, name: str) -> None:
        self._name = name
        self._show_list()
        self._show_selected()

    def _on_selected(self) -> None:
        self.save()
        self._name = self.list.name() or self._name
        self._show_list()
        self._show_selected()

    def _show_selected(self) -> None:
        """The texts of the selected prompt, or what was typed of them."""
        project = self._project()
        if project is None:
            return
        own = own_prompts(project).get(self._name)
        shipped = load_prompt_of(project, self._name) if own is None else None
        if own is None and shipped is None:
            return
        draft = self._drafts.get(self._name)
        if own is not None:
            texts = own.texts
        else:
            assert shipped is not None
            texts = {"system": shipped.system.strip("\n"), "after": shipped.after.strip("\n")}
            texts |= {key: text.strip("\n") for key, text in shipped.sections.items()}
        can_edit = own is not None and self._session.can_edit
        self.editor.show_texts(texts, read_only=not can_edit)
        if draft is not None:
            self.editor.put_edited({key: text for key, text in draft.texts.items() if text != texts[key]})
        self._title.setText(self._name)
        self._say_state()
        self._show_views()
        self._enable()

    def _own(self) -> OwnPrompt | None:
        """The selected prompt as it is saved, where it is the project's own."""
        project = self._project()
        return None if project is None else own_prompts(project).get(self._name)

    def _draft(self) -> OwnPrompt | None:
        """The selected own prompt with what was typed."""
        own = self._own()
        for key, text in self.editor.edited_texts().items() if own is not None else ():
            assert own is not None
            own = own.with_text(key, text)
        return own

    def _on_edited(self) -> None:
        draft = self._draft()
        if draft is not None:
            self._drafts[draft.name] = draft
        self._say_state()
        self._soon.start()

    def _say_state(self) -> None:
        own, draft = self._own(), self._draft()
        problems = {} if draft is None else problems_of(draft)
        self.editor.show_problems(problems)
        self.state.setText(str(state_of(own, draft, len(problems), can_edit=self._session.can_edit)))

    # The views

    def _show_views(self) -> None:
        """What the tab that is open shows, of what was typed where that can be used."""
        project = self._project()
        if project is None or not self.isVisible():
            self._is_stale = True
            return
        draft = self._draft()
        prompt: Prompt | None
        if draft is None:
            prompt = load_prompt_of(project, self._name)
        else:
            prompt = draft.prompt() if not problems_of(draft) else None
        view = self.tabs.currentWidget()
        if view is self.preview:
            messages, note = preview_of(project, prompt, self._session.record_id)
            if messages is None:
                self.preview.note.setText(str(note))
            else:
                self.preview.show_messages(messages, note)
        elif view is self.difference:
            self.difference.show_difference(*difference_of(draft))
        self._enable()

    # What happens

    def _project(self) -> Project | None:
        return self._session.project

    def _do(self, step: Callable[[Project], object], said: Sentence, *, of: object = None) -> bool:
        """Take a step; False where it was refused (the reason was told), or waits for the file."""
        try:
            taken = self._session.steps.take(WaitingStep("call", self._session.actor, act=step, said=said, of=of))
        except KnownError as error:
            self._session.failed.emit(error)
            return False
        return not isinstance(taken, WaitingStep)

    def _enable(self) -> None:
        is_own, can_edit = self._own() is not None, self._session.can_edit
        self.copy_button.setEnabled(can_edit)
        self.rename_button.setEnabled(can_edit and is_own)
        self.remove_button.setEnabled(can_edit and is_own)
        is_busy = any(job.kind == "try" for job in self._session.tasks.running())
        has_record = self._session.record_id is not None
        self.trial.button.setEnabled(has_record and not is_busy)
        if self._tried is None and not self.trial.is_showing:
            self.trial.note.setText(
                str(
                    tr("The judge reads the selected record with this prompt. Nothing is stored.")
                    if has_record
                    else tr("Select a failure in the list of records first.")
                )
            )

    def _on_opened(self) -> None:
        self._name = ""
        self._drafts.clear()
        self.trial.clear()
        self._is_stale = True
        if self.isVisible():
            self.reload()

    def _on_closing(self) -> None:
        """Keep what was typed; what cannot be kept is told."""
        self.save()
        for name, draft in self._drafts.items():
            problem = next(iter(problems_of(draft).values()), None)
            if problem is not None:
                self._session.failed.emit(
                    KnownError(
                        tr("What was typed into the prompt “{name}” was not saved.", name=name), fix=problem.what
                    )
                )

    def _on_closed(self) -> None:
        self._drafts.clear()
        self._tried = None
        self._soon.stop()
        self._later.stop()
        self.trial.clear()
        self._layers.setCurrentIndex(0)

    def _on_change(self, change: Change) -> None:
        if any(isinstance(edit, Edit) and edit.table == "choice" and edit.key in _SETTINGS for edit in change.edits):
            self._is_stale = True
            if self.isVisible():
                self.reload()

    def _on_job(self, job: Job) -> None:
        if self._tried is not None and job is self._tried.job:
            if job.error is None and job.result.get("analysis"):
                self.show_try(job.result)
            else:
                self._tried = None
        self._enable()

    def _focus_editor(self) -> None:
        if self._is_wide is False:
            self.tabs.setCurrentWidget(self._texts)
        self.editor.fields["system"].setFocus()

    def showEvent(self, event: QShowEvent) -> None:
        self._fold()
        if self._is_stale:
            self.reload()
        self._show_views()
        super().showEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:
        self.save()
        super().hideEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fold()

    def _fold(self) -> None:
        """Where it is narrow, the list stands above and the texts are a tab among the views."""
        is_wide = self.width() >= WIDE * max(1.0, self._session.theme.factor)
        if is_wide == self._is_wide:
            return
        was_narrow, self._is_wide = self._is_wide is False, is_wide
        if is_wide:
            shown = self.tabs.currentWidget()
            if was_narrow:
                self.tabs.removeTab(self.tabs.indexOf(self._texts))
            self._work.insertWidget(0, self._texts)
            self._texts.show()
            if shown is not self._texts:
                self.tabs.setCurrentWidget(shown)
            self._beside.setDirection(QBoxLayout.Direction.TopToBottom)
            self._split.setOrientation(Qt.Orientation.Horizontal)
            self._split.setSizes([220, self.width() - 220])
            self._work.setSizes([self.width() // 2, self.width() // 2])
        else:
            self.tabs.insertTab(0, self._texts, str(tr("Texts")))
            self.tabs.setCurrentIndex(0)
            self._beside.setDirection(QBoxLayout.Direction.LeftToRight)
            self._split.setOrientation(Qt.Orientation.Vertical)
            self._split.setSizes([170, self.height() - 170])

    def _restyle(self) -> None:
        theme = self._session.theme
        self._title.setFont(theme.font(size=HEADING, semibold=True))
        self.editor.restyle()
        for view in (self.preview, self.difference, self.trial):
            view.restyle()
        self._fold()
