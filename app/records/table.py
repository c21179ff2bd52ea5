"""The table of failures: what is dragged out of it is shown as a small note, so that the tree below it can be seen."""

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QDrag, QPainter, QPalette, QPixmap
from PySide6.QtWidgets import QTableView

from errormap_core.sentences import trn

_BESIDE = QPoint(-14, -10)
"""Where the pointer is to the note, which stands beside it: the category under the pointer is the one that is meant."""


class FailureTable(QTableView):
    """A table of failures that can be dragged onto a category."""

    def startDrag(self, supportedActions: Qt.DropAction) -> None:
        chosen = self.selectedIndexes()
        if not chosen:
            return
        drag = QDrag(self)
        drag.setMimeData(self.model().mimeData(chosen))
        drag.setPixmap(self.drag_note(len({index.row() for index in chosen})))
        drag.setHotSpot(_BESIDE)
        drag.exec(supportedActions, Qt.DropAction.CopyAction)

    def drag_note(self, n: int) -> QPixmap:
        """'3 failures'. Qt's own picture is all the rows, which cover the tree that they are dragged to."""
        said = str(trn("{n:,} failure", "{n:,} failures", n))
        metrics, ratio = self.fontMetrics(), self.devicePixelRatioF()
        width, height = metrics.horizontalAdvance(said) + 16, metrics.height() + 8
        note = QPixmap(round(width * ratio), round(height * ratio))
        note.setDevicePixelRatio(ratio)
        note.fill(self.palette().color(QPalette.ColorRole.Highlight))
        painter = QPainter(note)
        painter.setFont(self.font())
        painter.setPen(self.palette().color(QPalette.ColorRole.HighlightedText))
        painter.drawText(0, 0, width, height, int(Qt.AlignmentFlag.AlignCenter), said)
        painter.end()
        return note
