"""Reading beside the window's thread: answers come in it, questions in a row are answered once, none after closing."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from app.reading import Reads
from app.window import Window
from errormap_core.judge.diagnose import diagnose
from errormap_core.project.store import Project
from tests.core.building import add_records
from tests.fakes import FakeJudge


def n_records(db: Database) -> int:
    return int(db.execute("SELECT count(*) FROM record").fetchone()[0])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Project.create(tmp_path / "x.errormap") as project:
        add_records(project, [{"example_id": f"e{n}"} for n in range(3)])
    return tmp_path / "x.errormap"


def test_answers_come_in_the_window_s_thread(path: Path, window: Window, qtbot: Any) -> None:
    reads = Reads(window)
    reads.ask("n", n_records, lambda _: pytest.fail("nothing is open"))
    reads.open(path)
    found: list[tuple[int, bool]] = []
    reads.ask("n", n_records, lambda n: found.append((n, threading.current_thread() is threading.main_thread())))
    qtbot.waitUntil(lambda: bool(found), timeout=5000)
    assert found == [(3, True)]
    reads.close()


def test_what_is_asked_meanwhile_is_read_once_more(path: Path, window: Window, qtbot: Any) -> None:
    reads = Reads(window)
    reads.open(path)
    go, found = threading.Event(), list[str]()
    reads.ask("a", lambda _: go.wait(5), lambda _: found.append("first"))
    for name in ("second", "third"):
        reads.ask("a", lambda _: None, lambda _, name=name: found.append(name))
    go.set()
    qtbot.waitUntil(lambda: len(found) == 2, timeout=5000)
    qtbot.wait(50)
    assert found == ["first", "third"]
    reads.close()


def test_a_question_that_fails_does_not_end_the_reading(path: Path, window: Window, qtbot: Any) -> None:
    reads = Reads(window)
    reads.open(path)
    found: list[int] = []
    reads.ask("bad", lambda db: db.execute("SELECT * FROM nowhere").fetchall(), lambda _: found.append(-1))
    reads.ask("n", n_records, found.append)
    qtbot.waitUntil(lambda: bool(found), timeout=5000)
    assert found == [3]
    reads.close()


def test_a_question_that_failed_is_asked_again_by_itself(path: Path, window: Window, qtbot: Any) -> None:
    reads = Reads(window)
    reads.open(path)
    found, tries = list[int](), list[int]()

    def at_the_second_try(db: Database) -> int:
        tries.append(1)
        return n_records(db if len(tries) > 1 else Database(memory=True))  # no such table

    reads.ask("n", at_the_second_try, found.append)
    qtbot.waitUntil(lambda: bool(found), timeout=5000)
    assert (found, len(tries)) == ([3], 2)
    assert not reads.is_busy
    reads.close()


def test_a_question_that_failed_can_be_asked_anew_at_once(
    path: Path, window: Window, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.reading.FIRST_RETRY", 60.0)
    reads = Reads(window)
    reads.open(path)
    failing, go, found = threading.Event(), threading.Event(), list[int]()

    def fails(db: Database) -> None:
        failing.set()
        go.wait(5)
        db.execute("SELECT * FROM nowhere")

    reads.ask("n", fails, lambda _: pytest.fail("it failed"))
    qtbot.waitUntil(failing.is_set, timeout=5000)
    reads.ask("n", n_records, found.append)  # while it still fails
    go.set()
    qtbot.waitUntil(lambda: bool(found), timeout=5000)
    failing.clear()
    reads.ask("n", fails, lambda _: pytest.fail("it failed"))
    qtbot.waitUntil(lambda: failing.is_set() and "n" in reads._resting, timeout=5000)
    reads.ask("n", n_records, found.append)  # after it failed
    qtbot.waitUntil(lambda: len(found) == 2, timeout=5000)
    assert found == [3, 3]
    reads.close()


def test_closing_waits_for_what_is_read_after_an_error(
    path: Path, window: Window, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    before = threading.active_count()
    reads = Reads(window)
    reads.open(path)
    went_on = threading.Event()

    def broken(db: Database) -> None:
        raise ZeroDivisionError

    reads.ask("broken", broken, lambda _: pytest.fail("it has no answer"))
    reads.ask("slow", lambda db: went_on.set() or time.sleep(0.3), lambda _: None)
    assert went_on.wait(5)
    reads.close()
    assert threading.active_count() == before


def test_an_error_that_nobody_foresaw_is_told_and_reading_goes_on(
    path: Path, window: Window, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_value))
    reads = Reads(window)
    reads.open(path)
    found: list[int] = []

    def broken(db: Database) -> None:
        raise ZeroDivisionError

    reads.ask("broken", broken, lambda _: pytest.fail("it has no answer"))
    qtbot.waitUntil(lambda: bool(told), timeout=5000)
    reads.ask("n", n_records, found.append)
    qtbot.waitUntil(lambda: bool(found), timeout=5000)
    assert found == [3]
    assert isinstance(told[0], ZeroDivisionError)
    reads.close()


def test_nothing_comes_after_closing(path: Path, window: Window, qtbot: Any) -> None:
    reads = Reads(window)
    reads.open(path)
    reads.ask("n", n_records, lambda _: pytest.fail("it was closed"))
    reads.close()
    qtbot.wait(100)


def test_what_a_judge_writes_is_counted_everywhere(window: Window, path: Path, qtbot: Any) -> None:
    """Totals, the tree, the list by state and the reason why there is no proposal, without reading in the window's thread."""
    window.session.open(path)
    window.show_page("records")
    beside = window.tree.beside.buttons["waiting"]
    assert beside.text().endswith("3")
    beside.click()
    assert len(window.records.model.ids()) == 3
    with Project.open(path) as other:
        run = diagnose(other, FakeJudge())
        for _ in range(3):
            next(run)
        window.session.poll()
        qtbot.waitUntil(lambda: beside.text().endswith("1"), timeout=5000)
        qtbot.waitUntil(lambda: len(window.records.model.ids()) == 1, timeout=5000)
        assert "1 wait for the judge" in window._saved.text()
        assert "2 diagnosed failures are in no category" in window.review._empty.text
        run.close()
