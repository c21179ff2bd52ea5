"""Reading on a thread of its own ends when the project is closed, in the middle of a question too."""

import threading
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.project.reading import ReadThread
from errormap_core.project.store import Project

COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT count(*) FROM n"


def test_closing_gives_up_what_is_being_read(project: Project) -> None:
    """Before: the window stood still until the answer was there, and until all that was asked after it was."""
    told: list[tuple[str, Any]] = []
    before = set(threading.enumerate())
    began = threading.Event()

    def long(db: Any) -> Any:
        began.set()
        return db.execute(COUNT, [10_000_000]).fetchone()

    reading = ReadThread(project.path, lambda key, answer, _: told.append((key, answer)))
    for key in ("first", "second"):
        reading.ask(key, long)
    assert began.wait(10)
    reading.close()
    assert [key for key, _ in told] in ([], ["first"])
    assert all(isinstance(answer, KnownError) for _, answer in told)
    assert set(threading.enumerate()) <= before


def test_closing_is_possible_before_anything_was_asked(project: Project) -> None:
    ReadThread(project.path, lambda *_: None).close()
