"""Another program holds the lock of the file: bounded waits, an error of its own kind, who it is."""

import contextlib
import os
import sqlite3
import sys
import time
from pathlib import Path

import pytest

from errormap_core.errors import KnownError, Locked
from errormap_core.project import lease as leases
from errormap_core.project import lock_holder, watching
from errormap_core.project.lease import project_lease, take_lease
from errormap_core.project.schema import migrations
from errormap_core.project.store import Project
from errormap_core.sentences import tr
from errormap_core.taxonomy.operations import AddCategory
from tests.locking import EXCLUSIVE, EXCLUSIVE_MODE, WHOLE_FILE, WRITER, holding


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "p.errormap"
    Project.create(found).close()
    return found


@pytest.mark.parametrize("how", [WRITER, EXCLUSIVE])
def test_a_step_on_a_locked_file_changes_nothing_and_can_be_taken_again(path: Path, how: str) -> None:
    with Project.open(path, busy_ms=5) as project:
        me = project.annotator("Ann")
        with holding(path, how):
            with pytest.raises(Locked):
                project.apply(AddCategory(name="A"), actor=me)
            project.poll()
            assert [c.name for c in project.tree if c.reserved is None] == []
        project.apply(AddCategory(name="A"), actor=me)
        assert [c.name for c in project.tree if c.reserved is None] == ["A"]


@pytest.mark.parametrize("how", [EXCLUSIVE_MODE, WHOLE_FILE])
def test_a_file_that_is_locked_for_reading_is_refused_at_once_and_opens_afterwards(path: Path, how: str) -> None:
    with holding(path, how), pytest.raises(Locked):
        Project.open(path, busy_ms=5)
    Project.open(path, busy_ms=5).close()


def test_an_older_project_that_is_locked_gets_no_backup_until_it_can_be_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "old.errormap"
    Project.create(path).close()
    last = [m.name for m in migrations._migrations][-1]
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM _sqlite_migrations WHERE name = ?", [last])
    with holding(path), pytest.raises(Locked):
        Project.open(path, busy_ms=5)
    assert not list(tmp_path.glob("*backup*"))


def test_all_connections_of_a_project_wait_no_longer_than_they_are_told(path: Path) -> None:
    with Project.open(path, busy_ms=20) as project:
        for db in (project.db, project.reader):
            assert db.execute("PRAGMA busy_timeout").fetchone() == (20,)


def n_leases(path: Path) -> int:
    with Project.open(path, read_only=True) as project:
        return int(project.reader.execute("SELECT count(*) FROM lease").fetchone()[0])


def test_a_lease_that_could_not_be_given_back_goes_once_the_file_is_free(path: Path) -> None:
    with Project.open(path, busy_ms=5) as project:
        lease = take_lease(project, "window", purpose=tr("Editing in a window"))
        with holding(path):
            lease.release_when_free()
            assert n_leases(path) == 1
    until = time.monotonic() + 20
    while n_leases(path) and time.monotonic() < until:
        time.sleep(0.02)
    assert n_leases(path) == 0


def test_a_lease_that_this_process_left_behind_is_free_for_it(path: Path) -> None:
    with Project.open(path) as project:
        lease = take_lease(project, "window", purpose=tr("Editing in a window"))
        with pytest.raises(KnownError):
            take_lease(project, "window", purpose=tr("Editing in a window"))
        leases._held.discard(lease.holder)  # as where giving it back met a locked file
        take_lease(project, "window", purpose=tr("Editing in a window")).release()


@pytest.mark.skipif(not os.access("/proc/locks", os.R_OK), reason="this system does not list locks")
@pytest.mark.parametrize("how", [WRITER, EXCLUSIVE_MODE, WHOLE_FILE])
def test_who_holds_the_lock_is_named(path: Path, how: str) -> None:
    assert str(lock_holder.lock_holder(path)) == "Another program"
    with holding(path, how) as held:
        assert lock_holder.locking_process(path) == held.pid
        said = str(lock_holder.lock_holder(path))
        assert f"process {held.pid})" in said
        assert Path(sys.executable).name.startswith(said.split("(")[1].split(",")[0][:6])


@pytest.mark.skipif(not os.access("/proc/locks", os.R_OK), reason="this system does not list locks")
def test_our_own_work_is_named_by_what_it_does(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Project.open(path) as project, project_lease(project, "judge", purpose=tr("Judging with X")):
        with holding(path) as held:
            pass
        monkeypatch.setattr(lock_holder, "locking_process", lambda path: os.getpid())
        assert str(lock_holder.lock_holder(path, project.reader)) == f"“Judging with X” (process {os.getpid()})"
        assert held.process.returncode == 0


def test_a_lease_is_not_looked_for_in_what_took_the_place_of_the_project(tmp_path: Path) -> None:
    """Before: the database of another program got a log that it had not chosen; a text ended the thread by a defect."""
    other, text = tmp_path / "other.errormap", tmp_path / "text.errormap"
    with contextlib.closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE t (x)")
    text.write_text("text")
    for file in (other, text):
        before = file.read_bytes()
        leases._release_later(file, "holder")
        assert file.read_bytes() == before


def test_a_file_that_goes_while_it_is_opened_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", str(path))

    monkeypatch.setattr(watching, "FileWatch", gone)
    with pytest.raises(KnownError, match="no such file"):
        Project.open(path)


def test_who_holds_the_lock_is_told_where_the_project_cannot_be_read_either(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: the error of asking for the leases went its own way."""
    monkeypatch.setattr(lock_holder, "locking_process", lambda path: os.getpid())
    with Project.open(path) as project:
        project.reader.execute("PRAGMA busy_timeout = 1")

        def locked(_: object) -> list[tuple[str, int]]:
            raise sqlite3.OperationalError("database is locked")

        monkeypatch.setattr(leases, "purposes", locked)
        assert f"process {os.getpid()})" in str(lock_holder.lock_holder(path, project.reader))
