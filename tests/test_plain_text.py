"""Text of data is only text: `app/plain.py` is the one place that may use what Qt guesses markup in."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
APP = sorted(path for path in (ROOT / "app").rglob("*.py") if path.name != "plain.py")

GUESSING = {
    *("QLabel", "QToolTip", "QTextEdit", "QTextBrowser", "QMessageBox", "QErrorMessage", "QInputDialog", "QProgressDialog"),
    *("QWizardPage", "QSplashScreen", "QStaticText", "QGraphicsTextItem", "QTextDocumentFragment", "QWhatsThis"),
    *("TextItem", "LabelItem", "LegendItem", "QStandardItem", "QStandardItemModel", "QStringListModel", "QFileSystemModel"),
}  # fmt: skip
"""Classes that show a text as markup, or an item whose tooltip would be."""

ITEMS = {"QListWidgetItem", "QTableWidgetItem", "QTreeWidgetItem", "QPlainTextEdit"}
"""May be named, as types of what Qt gives back; not made, not inherited from."""

METHODS = {
    *("setToolTip", "setTabToolTip", "setItemToolTip", "setWhatsThis", "setTabWhatsThis", "setTextFormat", "setHtml"),
    *("insertHtml", "appendHtml", "setMarkdown", "insertMarkdown", "fromHtml", "fromMarkdown", "setWindowTitle"),
    *("setDefaultStyleSheet", "setLabelText", "setInformativeText", "setDetailedText", "setOpenExternalLinks", "RichText"),
    *("MarkdownText", "AutoText", "setSource", "addLegend", "setWindowFilePath", "insertImage", "StatusTipRole", "WhatsThisRole"),
}  # fmt: skip

SAFE_TEXT = {"literal", "one_line", "shown", "tooltip", "words"}


def is_own_words(node: ast.AST) -> bool:
    """Whether a text is a sentence of the program without values, or one that `app.plain` made safe."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) or node.value is None
    if isinstance(node, ast.IfExp):
        return is_own_words(node.body) and is_own_words(node.orelse)
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return False
    if node.func.id in SAFE_TEXT:
        return True
    if node.func.id == "str":
        return len(node.args) == 1 and is_own_words(node.args[0])
    return node.func.id == "tr" and len(node.args) == 1 and not node.keywords and is_own_words(node.args[0])


def is_tip(node: ast.Return) -> bool:
    value = node.value
    if value is None or (isinstance(value, ast.Constant) and value.value is None):
        return True
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "tooltip"


def _tip_roles(tree: ast.AST) -> Iterator[str]:
    """What is wrong with the ways in which models give tooltips."""
    asked: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If):
            named = [n for n in ast.walk(node.test) if isinstance(n, ast.Attribute) and n.attr == "ToolTipRole"]
            asked |= {id(n) for n in named}
            if named and not all(is_tip(n) for each in node.body for n in ast.walk(each) if isinstance(n, ast.Return)):
                yield f"line {node.lineno}: a tooltip that is not made by tooltip(…)"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "ToolTipRole" and id(node) not in asked:
            yield f"line {node.lineno}: ToolTipRole outside the test of a role"


def faults(source: str) -> list[str]:
    """Every place of a module that could show data as markup."""
    tree = ast.parse(source)
    found = list(_tip_roles(tree))
    for node in ast.walk(tree):
        line = f"line {getattr(node, 'lineno', 0)}"
        names: set[str] = set()
        if isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names} | {alias.asname or "" for alias in node.names}
            if any(alias.name in ITEMS and alias.asname for alias in node.names) or "*" in names:
                found.append(f"{line}: another name for what makes items")
        elif isinstance(node, ast.Name):
            names = {node.id}
        elif isinstance(node, ast.Attribute):
            names = {node.attr}
            if node.attr in METHODS:
                found.append(f"{line}: {node.attr}")
        elif isinstance(node, ast.Constant) and node.value in METHODS | GUESSING | ITEMS:
            found.append(f"{line}: {node.value!r} by its name")
        elif isinstance(node, ast.Call):
            found += [f"{line}: {text}" for text in _call(node)]
        elif isinstance(node, ast.ClassDef):
            found += [f"{line}: inherits from {n}" for b in node.bases if (n := ast.unparse(b).split(".")[-1]) in ITEMS]
        found += [f"{line}: {name}" for name in names & GUESSING]
    return found


def _call(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func).split(".")[-1]
    if name in ITEMS:
        yield f"{name}(…)"
    if name == "addRow" and len(node.args) == 2 and _is_text(node.args[0]) and not is_own_words(node.args[0]):
        yield "addRow makes a label of a text that has values"
    if (
        name in ("addAction", "addMenu", "addSection")
        and node.args
        and _is_text(node.args[0])
        and not is_own_words(node.args[0])
    ):
        yield f"{name} takes a text that has values: literal(…)"


def _is_text(node: ast.AST) -> bool:
    """Whether an argument is a text, as far as one can see: a call of str, an f-string, a method of a text."""
    if isinstance(node, ast.JoinedStr | ast.BinOp):
        return True
    if not isinstance(node, ast.Call):
        return isinstance(node, ast.Constant)
    called = ast.unparse(node.func).split(".")[-1]
    return called in {"str", "tr", "trn", "format", "replace", "join", "title", "hinted", "titled", *SAFE_TEXT}


def test_no_text_of_data_can_be_markup() -> None:
    found = {path.relative_to(ROOT).as_posix(): faults(path.read_text(encoding="utf-8")) for path in APP}
    assert {name: texts for name, texts in found.items() if texts} == {}


@pytest.mark.parametrize(
    "source",
    [
        "from PySide6.QtWidgets import QLabel",
        "from PySide6.QtWidgets import QTableWidgetItem as Cell",
        "label = QtWidgets.QLabel(name)",
        "class A(QTreeWidgetItem): pass",
        "item = QListWidgetItem(name)",
        "button.setToolTip(name)",
        "getattr(button, 'setToolTip')(name)",
        "label.setTextFormat(Qt.TextFormat.RichText)",
        "window.setWindowTitle(name)",
        "menu.addAction(str(path))",
        "menu.addMenu(f'{name}')",
        "form.addRow(str(tr('{name}', name=name)), field)",
        "def data(self, index, role):\n    if role == Qt.ItemDataRole.ToolTipRole:\n        return self.name",
        "def data(self, index, role):\n    return {Qt.ItemDataRole.ToolTipRole: self.name}.get(role)",
        "view.setHtml(text)",
        "plot.addLegend()",
    ],
)
def test_this_check_can_fail(source: str) -> None:
    assert faults(source)


def test_what_is_meant_passes() -> None:
    source = """
if role == Qt.ItemDataRole.ToolTipRole and name:
    return tooltip(self.name)
set_tooltip(button, name)
menu.addAction(literal(path))
menu.addAction(self.action)
form.addRow(str(tr("&Name")), field)
"""
    assert faults(source) == []
