"""Opening a file whose checkpoint was cut short, and files that are no project: what is refused, and with what reason."""

import contextlib
import shutil
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from errormap_core.cli import main
from errormap_core.errors import KnownError
from errormap_core.project import looking
from errormap_core.project.check import check
from errormap_core.project.files import check_file
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import AddCategory
from tests.core.building import add_records

HEADER, FRAME_HEAD = 32, 24


def pages_of(wal: bytes) -> dict[int, bytes]:
    """The latest content of each page in a write-ahead log."""
    size = struct.unpack(">I", wal[8:12])[0]
    found: dict[int, bytes] = {}
    for at in range(HEADER, len(wal) - FRAME_HEAD - size + 1, FRAME_HEAD + size):
        found[struct.unpack(">I", wal[at : at + 4])[0]] = wal[at + FRAME_HEAD : at + FRAME_HEAD + size]
    return found


def cut_short(project: Project, target: Path, n_pages: int, *, torn: bool = False) -> int:
    """A copy as a checkpoint leaves it that was killed after `n_pages` pages, in their order; the log is whole.

    `torn` writes half of one page more. Returns how many pages the checkpoint would have written.
    """
    wal = Path(f"{project.path}-wal").read_bytes()
    data = bytearray(Path(project.path).read_bytes())
    pages = sorted(pages_of(wal).items())
    for n, (number, page) in enumerate(pages[: n_pages + torn]):
        part = page[: len(page) // 2] if n == n_pages else page
        at = (number - 1) * len(page)
        data.extend(bytes(max(0, at - len(data))))
        data[at : at + len(part)] = part
    target.write_bytes(data)
    Path(f"{target}-wal").write_bytes(wal)
    return len(pages)


@pytest.fixture(scope="module")
def full_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project whose last steps are in its log alone."""
    project = Project.create(tmp_path_factory.mktemp("opening") / "p.errormap")
    project.db.execute("PRAGMA wal_autocheckpoint = 0")
    project.checkpoints.close()  # they stay in the log
    actor = project.annotator("Ann")
    project.apply(AddCategory(name="Kept"), actor=actor)
    add_records(project, [{"example_id": f"e{i}", "input_text": "word " * 200} for i in range(600)])
    yield project
    project.close()


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.99])
def test_a_checkpoint_that_was_cut_short_is_finished_on_opening(
    full_log: Project, tmp_path: Path, part: float, torn: bool
) -> None:
    """The file alone is damaged, file and log together are whole (it was refused for ever)."""
    path = tmp_path / "cut.errormap"
    n = cut_short(full_log, path, 0)
    cut_short(full_log, path, max(1, int(n * part)) if part else 0, torn=torn)
    with Project.open(path) as again:
        assert again.db.execute("SELECT count(*) FROM record").fetchone() == (600,)
        assert [c.name for c in again.tree if c.reserved is None] == ["Kept"]
        assert check(again) == []
    assert not Path(f"{path}-wal").exists()


def test_the_command_line_goes_on_after_a_checkpoint_that_was_cut_short(
    full_log: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cut.errormap"
    cut_short(full_log, path, 3)
    with contextlib.closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as alone, \
            pytest.raises(sqlite3.DatabaseError):  # fmt: skip
        alone.execute("SELECT count(*) FROM record").fetchone()
    assert main(["check", str(path)]) == 0
    assert "sound" in capsys.readouterr().out


def test_a_file_whose_first_page_was_lost_is_recovered_from_its_log(full_log: Project, tmp_path: Path) -> None:
    path = tmp_path / "zeroed.errormap"
    cut_short(full_log, path, 0)
    data = bytearray(path.read_bytes())
    data[:4096] = bytes(4096)
    path.write_bytes(data)
    with Project.open(path) as again:
        assert again.db.execute("SELECT count(*) FROM record").fetchone() == (600,)


def test_an_empty_file_beside_a_log_keeps_its_log(full_log: Project, tmp_path: Path) -> None:
    """SQLite deletes the log of an empty file: it must not come to that."""
    path = tmp_path / "emptied.errormap"
    cut_short(full_log, path, 0)
    path.write_bytes(b"")
    wal = Path(f"{path}-wal").read_bytes()
    with pytest.raises(KnownError, match=r"its log emptied\.errormap-wal is not"):
        Project.open(path)
    assert Path(f"{path}-wal").read_bytes() == wal


def test_looking_at_the_database_of_another_program_changes_nothing(tmp_path: Path) -> None:
    """One with a log that was not put into it, as after a crash, and one without."""
    path = tmp_path / "browser.sqlite"
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("CREATE TABLE t (x)")
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    writer.execute("INSERT INTO t VALUES (1)")
    writer.commit()
    crashed, plain = tmp_path / "crashed.sqlite", tmp_path / "plain.sqlite"
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{crashed}{suffix}")
    writer.close()
    with contextlib.closing(sqlite3.connect(plain)) as other:
        other.execute("CREATE TABLE t (x)")
    before = {name: name.read_bytes() for name in (crashed, Path(f"{crashed}-wal"), plain)}
    for name in (crashed, plain):
        with pytest.raises(KnownError, match="not an ErrorMap Studio project"):
            check_file(name)
    assert {name: name.read_bytes() for name in before} == before
    assert {p.name for p in tmp_path.iterdir()} - {"crashed.sqlite-shm"} == {
        "browser.sqlite", "crashed.sqlite", "crashed.sqlite-wal", "plain.sqlite"}  # fmt: skip


def test_a_text_beside_something_that_is_called_like_a_log_is_refused_and_both_stay(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("notes " * 900, encoding="utf-8")
    log = Path(f"{path}-wal")
    log.write_text("more notes " * 900, encoding="utf-8")
    with pytest.raises(KnownError, match="not an ErrorMap Studio project"):
        Project.open(path)
    assert log.read_text(encoding="utf-8") == "more notes " * 900


def test_a_truncated_project_is_told_as_damaged_not_as_another_file(full_log: Project, tmp_path: Path) -> None:
    path = tmp_path / "short.errormap"
    cut_short(full_log, path, 10_000)
    Path(f"{path}-wal").unlink()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3])
    with pytest.raises(KnownError, match="damaged") as caught:
        Project.open(path)
    assert "Choose a file" not in str(caught.value)


def as_another_user(code: str) -> subprocess.CompletedProcess[str]:
    """Run code as somebody whom modes stop, which root is not."""
    become = "import os\nimport errormap_core.project.copying, errormap_core.project.store, errormap_core.taxonomy.operations\n"
    become += "from errormap_core.project import backups\nimport _strptime, sqlite_utils\nsqlite_utils.Database(memory=True)\n"
    become += "if os.getuid() == 0:\n    os.setuid(65534)\n"
    return subprocess.run(
        [sys.executable, "-c", become + code], capture_output=True, text=True, check=False, cwd=Path.cwd()
    )


def test_a_file_that_may_not_be_read_is_told_as_such(full_log: Project, tmp_path: Path) -> None:
    path = tmp_path / "cut.errormap"
    cut_short(full_log, path, 0)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    path.chmod(0)
    code = f"""
from pathlib import Path
from errormap_core.errors import KnownError
from errormap_core.project.store import Project
for read_only in (True, False):
    try:
        Project.open(Path({str(path)!r}), read_only=read_only)
    except KnownError as error:
        print(error)
"""
    done = as_another_user(code)
    path.chmod(0o644)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == second
    assert "Choose a file" not in first and "who may read" in first


def test_a_log_on_a_disk_for_reading_only_is_told_with_the_way_to_read_it(full_log: Project, tmp_path: Path) -> None:
    folder = tmp_path / "readable"
    folder.mkdir()
    path = folder / "cut.errormap"
    cut_short(full_log, path, 3)
    for place in (tmp_path, *tmp_path.parents[:3]):
        place.chmod(0o755)
    for file in (path, Path(f"{path}-wal")):
        file.chmod(0o444)
    folder.chmod(0o555)
    code = f"""
from pathlib import Path
from errormap_core.errors import KnownError
from errormap_core.project.store import Project
try:
    Project.open(Path({str(path)!r}), read_only=True)
except KnownError as error:
    print(error)
"""
    done = as_another_user(code)
    folder.chmod(0o755)
    assert "The latest steps are in cut.errormap-wal" in done.stdout, done.stderr
    assert "Copy both files" in done.stdout


def test_a_name_that_is_too_long_is_told_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Too long by itself, and with what SQLite and we add to it."""
    for name in ("n" * 300, "n" * 245):
        with pytest.raises(KnownError, match="name is too long"):
            Project.create(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    assert main(["stats", str(tmp_path / ("n" * 300))]) == 2
    assert "name is too long" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="limits on the size of files are POSIX's")
def test_a_closing_checkpoint_that_failed_is_told_and_the_job_is_done_all_the_same(tmp_path: Path) -> None:
    """The file may not grow, as on a disk that is full for it: the log holds the rest. A child, for its limit."""
    path = tmp_path / "p.errormap"
    Project.create(path).close()
    code = f"""
import resource, signal, sys
from pathlib import Path
from errormap_core import cli, invocation
from errormap_core.project.store import Project
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
opened = Project.open
def and_no_room(path, **how):
    project = opened(path, **how)
    project.db.execute("PRAGMA wal_autocheckpoint = 0")
    limit = Path(path).stat().st_size
    project.db.execute("CREATE TABLE IF NOT EXISTS grown (x)")
    project.db.execute("INSERT INTO grown VALUES (zeroblob(65536))")
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    return project
invocation.Project.open = and_no_room
sys.exit(cli.main(["set", {str(path)!r}, "--set", "atlas.title=Mine"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path.cwd())
    assert done.returncode == 0, done.stderr
    assert "All steps are saved, but in two files: p.errormap and p.errormap-wal." in done.stderr
    assert Path(f"{path}-wal").exists()
    with Project.open(path) as again:
        assert again.setting("atlas.title") == "Mine"
        assert check(again) == []
    assert again.left_in_two is None


def test_a_write_protected_project_is_copied_and_backed_up_by_who_may_read_it(tmp_path: Path) -> None:
    """Before: 'You may not write in this folder', and 'attempt to write a readonly database'."""
    path = tmp_path / "p.errormap"
    Project.create(path).close()
    path.chmod(0o444)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    mine = tmp_path / "mine"
    mine.mkdir()
    mine.chmod(0o777)
    code = f"""
from pathlib import Path
os.environ["ERRORMAP_STUDIO_DATA"] = os.environ["XDG_CACHE_HOME"] = {str(mine)!r}
from errormap_core.project.store import Project
from errormap_core.project.copying import copy_project
with Project.open(Path({str(path)!r}), read_only=True) as project:
    copied = copy_project(project, Path({str(mine / "copy.errormap")!r}))
print(oct(copied.stat().st_mode & 0o777))
print(oct(backups.back_up(Path({str(path)!r}), keep=3, most_bytes=10**9).path.stat().st_mode & 0o777))
"""
    done = as_another_user(code)
    assert done.stdout.split() == ["0o444", "0o600"], done.stderr


def test_a_log_that_appears_while_it_is_looked_at_is_no_damage(
    full_log: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program wrote its first step and brought a part of it in, between the two looks."""
    path = tmp_path / "cut.errormap"
    cut_short(full_log, path, 3)
    real, seen = looking._size, list[int]()

    def late(log: Path) -> int:
        seen.append(real(log) if seen else 0)
        return seen[-1]

    monkeypatch.setattr(looking, "_size", late)
    check_file(path)
    assert seen[0] == 0 and seen[-1] > 0
