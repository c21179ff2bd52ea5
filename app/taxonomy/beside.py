"""The failures that are counted beside the tree, a line each: not placed yet, waiting, no error found and so on."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QToolButton, QVBoxLayout, QWidget

from app.plain import set_tooltip
from app.session import Scope
from errormap_core.project.queries import Totals
from errormap_core.sentences import Sentence, tr

BESIDE: tuple[tuple[str, Scope, Sentence], ...] = (
    ("unplaced", Scope(unplaced=True), tr("Not placed yet")),
    ("placed", Scope(state="placed"), tr("Placed by hand, not diagnosed")),
    ("waiting", Scope(state="waiting"), tr("Waiting for the judge")),
    ("engine_failed", Scope(state="engine_failed"), tr("Judge failed")),
    ("no_error", Scope(state="no_error"), tr("No error found")),
    ("disputed", Scope(state="disputed"), tr("Disputed")),
    ("excluded", Scope(state="excluded"), tr("Excluded")),
    ("not_sampled", Scope(state="not_sampled"), tr("Not sampled")),
)


class Beside(QWidget):
    """A button for each kind of failure that there is; pressing it shows them."""

    chosen = Signal(object)  # Scope

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 8)
        column.setSpacing(0)
        self.buttons: dict[str, QToolButton] = {}
        for key, scope, _ in BESIDE:
            button = QToolButton(self)
            button.setCheckable(True)
            set_tooltip(button, str(tr("Show these failures")))
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
            button.clicked.connect(lambda _=False, s=scope: self.chosen.emit(s))
            button.hide()
            column.addWidget(button)
            self.buttons[key] = button

    def show_totals(self, numbers: Totals | None) -> None:
        """Show what there is of each kind; None: no project is open."""
        values = {} if numbers is None else {**numbers.states, "unplaced": numbers.n_unplaced}
        for key, _, title in BESIDE:
            n = values.get(key, 0)
            self.buttons[key].setText(f"{title}  {n:,}")
            self.buttons[key].setVisible(bool(n))

    def show_scope(self, scope: Scope) -> None:
        """Show which of them the list holds now."""
        for key, wanted, _ in BESIDE:
            self.buttons[key].setChecked(scope == wanted)
