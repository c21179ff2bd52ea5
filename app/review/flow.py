"""A row of widgets that goes on in the next line where there is no room."""

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtWidgets import QLayout, QLayoutItem, QWidget


class FlowLayout(QLayout):
    """Widgets beside each other, as many in a line as there is room for."""

    def __init__(self, parent: QWidget | None = None, *, spacing: int = 8) -> None:
        super().__init__(parent)
        self._items: list[QLayoutItem] = []
        self.setSpacing(spacing)
        self.setContentsMargins(0, 0, 0, 0)

    def addItem(self, item: QLayoutItem) -> None:
        self._items.append(item)

    def count(self) -> int:
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def expandingDirections(self) -> Qt.Orientation:
        return Qt.Orientation(0)

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return self._arrange(QRect(0, 0, width, 0), is_for_real=False)

    def setGeometry(self, rect: QRect) -> None:
        super().setGeometry(rect)
        self._arrange(rect, is_for_real=True)

    def sizeHint(self) -> QSize:
        return self.minimumSize()

    def minimumSize(self) -> QSize:
        size = QSize(0, 0)
        for item in self._items:
            if not item.isEmpty():
                size = size.expandedTo(item.minimumSize())
        margins = self.contentsMargins()
        return size + QSize(margins.left() + margins.right(), margins.top() + margins.bottom())

    def _arrange(self, rect: QRect, *, is_for_real: bool) -> int:
        """Height that the lines take in this width; with `is_for_real` the items are put there."""
        margins = self.contentsMargins()
        inner = rect.marginsRemoved(margins)
        lines: list[list[QLayoutItem]] = [[]]
        used = 0
        for item in self._items:
            if item.isEmpty():
                continue
            width = item.sizeHint().width()
            if lines[-1] and used + width > inner.width():
                lines.append([])
                used = 0
            lines[-1].append(item)
            used += width + self.spacing()
        top = inner.top()
        for line in lines:
            left = inner.left()
            height = max((item.sizeHint().height() for item in line), default=0)
            for item in line:
                size = item.sizeHint()
                width = min(size.width(), inner.width()) if is_for_real else size.width()
                if is_for_real:
                    item.setGeometry(
                        QRect(QPoint(left, top + (height - size.height()) // 2), QSize(width, size.height()))
                    )
                left += width + self.spacing()
            top += height + self.spacing()
        return top - self.spacing() - rect.top() + margins.bottom()
