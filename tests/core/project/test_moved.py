"""The file is renamed, moved, deleted or replaced while it is open: nothing is told as saved that is not, and nothing is lost."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from errormap_core.errors import KnownError
from errormap_core.ids import new_id
from errormap_core.project import checkpointing, files, watching
from errormap_core.project.check import check
from errormap_core.project.copying import copy_project, copy_with_steps, copying, rescue, rescue_with_steps
from errormap_core.project.store import Project
from errormap_core.project.watching import CutOff
from errormap_core.tasks import driven
from errormap_core.taxonomy.operations import AddCategory
from tests.core.building import add_records
from tests.core.project.test_opening import pages_of

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the present name of an open file")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows renames no file that is open")


@pytest.fixture
def open_one(tmp_path: Path) -> tuple[Project, str]:
    """A project in a folder of its own with a step that is in the log alone."""
    folder = tmp_path / "work"
    folder.mkdir()
    project = Project.create(folder / "p.errormap")
    actor = project.annotator("Ann")
    project.apply(AddCategory(name="Before"), actor=actor)
    return project, actor


def renamed(path: Path) -> None:
    path.rename(path.with_name("q.errormap"))


def moved(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere.errormap")


def folder_renamed(path: Path) -> None:
    path.parent.rename(path.parent.with_name("other"))


def deleted(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    """As sync tools and editors do it: another file is renamed over it."""
    new = path.with_name("incoming")
    with Project.create(new) as other:
        other.apply(AddCategory(name="Theirs"), actor=other.annotator("Bob"))
    os.replace(new, path)


def log_deleted(path: Path) -> None:
    Path(f"{path}-wal").unlink()


def log_replaced(path: Path) -> None:
    log = Path(f"{path}-wal")
    log.unlink()
    log.write_bytes(b"")


WAYS = {
    renamed: r"moved or renamed .* it is .*/work/q\.errormap now",
    moved: r"moved or renamed .* it is .*/elsewhere\.errormap now",
    folder_renamed: r"moved or renamed .* it is .*/other/p\.errormap now",
    deleted: "was deleted",
    replaced: "Another file took the place",
    log_deleted: "log p.errormap-wal was deleted",
    log_replaced: "log p.errormap-wal was deleted or replaced",
}


@ON_LINUX
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_after_the_file_was_lost_nothing_is_written_and_a_copy_holds_every_step(
    open_one: tuple[Project, str], tmp_path: Path, way: Callable[[Path], None]
) -> None:
    """Before, only the log was watched: steps went on into nothing and were told as saved."""
    project, actor = open_one
    way(project.path)
    for attempt in (
        lambda: project.apply(AddCategory(name="Lost"), actor=actor),
        project.poll,
        lambda: project.undo(actor=actor),
    ):
        with pytest.raises(CutOff, match=WAYS[way]):
            attempt()
    assert project.cut_off is not None
    assert str(project.path) in str(project.cut_off)
    copy = copy_project(project, tmp_path / "copy.errormap")
    project.close()
    with Project.open(copy) as again:
        assert [c.name for c in again.tree if c.reserved is None] == ["Before"]
        assert check(again, replay=True) == []
        assert again.copy_id != project.copy_id
    assert not Path(f"{copy}-wal").exists()


@pytest.mark.parametrize("way", [renamed, deleted, replaced], ids=lambda way: way.__name__)
def test_a_step_that_went_in_after_the_file_moved_is_told_as_such(
    open_one: tuple[Project, str], tmp_path: Path, way: Callable[[Path], None]
) -> None:
    """The file goes while the transaction runs: the views follow, the error comes, the copy has the step."""
    project, actor = open_one
    heard: list[object] = []
    project.subscribe(heard.append)

    class Meanwhile(AddCategory):
        def plan(self, draft):  # type: ignore[no-untyped-def]
            way(project.path)
            return super().plan(draft)

    with pytest.raises(CutOff):
        project.apply(Meanwhile(name="Just then"), actor=actor)
    assert len(heard) == 1
    with pytest.raises(CutOff):
        project.apply(AddCategory(name="Lost"), actor=actor)
    copy = copy_project(project, tmp_path / "copy.errormap")
    project.close()
    with Project.open(copy) as again:
        assert {c.name for c in again.tree if c.reserved is None} == {"Before", "Just then"}


@pytest.mark.parametrize("first", ["write", "close"])
def test_the_file_that_took_the_place_stays_as_it_is(open_one: tuple[Project, str], first: str) -> None:
    """Our log must not be found beside it: SQLite would put it in."""
    project, actor = open_one
    replaced(project.path)
    theirs = project.path.read_bytes()  # nobody has this one open
    if first == "write":
        with pytest.raises(CutOff):
            project.apply(AddCategory(name="Lost"), actor=actor)
    project.close()
    assert project.path.read_bytes() == theirs
    with Project.open(project.path) as again:
        assert [c.name for c in again.tree if c.reserved is None] == ["Theirs"]
        assert check(again, replay=True) == []


def test_a_file_that_was_moved_can_be_opened_under_its_new_name(open_one: tuple[Project, str]) -> None:
    """In the same process, after a copy was kept and the lost one closed."""
    project, _ = open_one
    project.checkpoints.close()
    renamed(project.path)
    with pytest.raises(CutOff) as caught:
        project.poll()
    said = rescue(project, caught.value)
    project.close()
    kept = next(project.path.parent.glob("p.rescued-*.errormap"))
    assert str(kept) in str(said)
    assert not Path(f"{project.path}-wal").exists()
    with Project.open(project.path.with_name("q.errormap")) as again:
        again.apply(AddCategory(name="After"), actor=again.annotator("Ann"))
        assert check(again) == []
    with Project.open(kept) as again:
        assert [c.name for c in again.tree if c.reserved is None] == ["Before"]


def test_a_file_that_came_back_is_not_written_by_who_lost_it(open_one: tuple[Project, str]) -> None:
    """Somebody may have written to it under its other name; opened again it has everything."""
    project, actor = open_one
    renamed(project.path)
    with pytest.raises(CutOff):
        project.poll()
    project.path.with_name("q.errormap").rename(project.path)
    with pytest.raises(CutOff):
        project.apply(AddCategory(name="Lost"), actor=actor)
    project.close()
    code = "import sys; from pathlib import Path; from errormap_core.project.store import Project\n"
    code += "with Project.open(Path(sys.argv[1])) as p: print([c.name for c in p.tree if not c.reserved])"
    done = subprocess.run([sys.executable, "-c", code, str(project.path)], capture_output=True, text=True, check=True)
    assert done.stdout == "['Before']\n"


@pytest.mark.parametrize("read_only", [True, False])
def test_no_empty_file_comes_back_where_one_was_moved_away(open_one: tuple[Project, str], read_only: bool) -> None:
    """By a thread that connects late, as those of lists and backups do."""
    project, _ = open_one
    renamed(project.path)
    with pytest.raises(KnownError, match="cannot be opened"):
        files.connect(project.path, read_only=read_only)
    assert not project.path.exists()
    project.close()


def test_a_link_is_followed(tmp_path: Path) -> None:
    """The file and its log are watched where the link leads to."""
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.errormap"
    Project.create(tmp_path / "real" / "p.errormap").close()
    link.symlink_to(tmp_path / "real" / "p.errormap")
    with Project.open(link) as project:
        actor = project.annotator("Ann")
        link.rename(tmp_path / "renamed.errormap")
        project.apply(AddCategory(name="Kept"), actor=actor)  # the link's name is no matter of the file's
        (tmp_path / "real" / "p.errormap-wal").rename(tmp_path / "real" / "taken")
        with pytest.raises(CutOff, match="log p"):
            project.poll()


def test_a_disk_that_does_not_answer_is_told_as_that(
    open_one: tuple[Project, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be found out is not guessed, and holds only as long as it lasts."""
    project, actor = open_one
    stat_of = watching.identity

    def stale(path: Path) -> watching.Identity | None:
        if path == project.watch.real:
            raise OSError(116, "Stale file handle")
        return stat_of(path)

    monkeypatch.setattr(watching, "identity", stale)
    with pytest.raises(KnownError, match=r"cannot be found out \(Stale file handle\)") as caught:
        project.apply(AddCategory(name="Not now"), actor=actor)
    assert not isinstance(caught.value, CutOff)
    monkeypatch.undo()
    project.apply(AddCategory(name="Now"), actor=actor)
    project.close()


def test_a_system_without_inodes_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "identity", lambda path: None)
    with Project.create(tmp_path / "p.errormap") as project:
        project.apply(AddCategory(name="A"), actor=project.annotator("Ann"))
        project.poll()


def run_and_lose(path: Path, way: str, *, data: Path) -> subprocess.CompletedProcess[str]:
    """A command that sets the title and loses its file in the middle, as a long job would."""
    code = f"""
import os, sys
from pathlib import Path
from errormap_core import cli
from errormap_core.project.store import Project
path = Path({str(path)!r})
apply = Project.apply
def and_lose(project, *words, **more):
    change = apply(project, *words, **more)
    {way}
    return change
Project.apply = and_lose
sys.exit(cli.main(["set", str(path), "--set", "atlas.title=Hours of work", "--json"]))
"""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path.cwd(),
        env={**os.environ, "ERRORMAP_STUDIO_DATA": str(data)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("way", "where"),
    [
        ("path.rename(path.with_name('q.errormap'))", "beside"),
        ("path.unlink()", "beside"),
        ("import shutil; shutil.rmtree(path.parent)", "data"),
    ],
)
def test_a_job_whose_file_is_lost_ends_with_2_and_keeps_a_copy(tmp_path: Path, way: str, where: str) -> None:
    """Before: exit code 0, and the moved file lacked everything that the job had done."""
    folder, data = tmp_path / "work", tmp_path / "data"
    folder.mkdir()
    path = folder / "p.errormap"
    Project.create(path).close()
    done = run_and_lose(path, way, data=data)
    assert done.returncode == 2, done.stderr
    error = json.loads(done.stdout)["error"]
    (kept,) = (folder if where == "beside" else data).glob("p.rescued-*.errormap")
    assert str(kept) in error["fix"]
    with Project.open(kept) as again:
        assert again.setting("atlas.title") == "Hours of work"
        assert check(again, replay=True) == []


def test_a_job_whose_file_is_lost_and_that_can_keep_no_copy_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    path = folder / "p.errormap"
    Project.create(path).close()
    (tmp_path / "data").write_text("a file where the folder should be", encoding="utf-8")
    done = run_and_lose(path, "import shutil; shutil.rmtree(path.parent)", data=tmp_path / "data")
    assert done.returncode == 2, done.stderr
    assert "A copy could not be kept" in json.loads(done.stdout)["error"]["what"]


# Copies


def test_a_copy_is_one_whole_private_file_with_an_id_of_its_own(
    project: Project, annotator: str, tmp_path: Path
) -> None:
    project.apply(AddCategory(name="A"), actor=annotator)
    project.path.chmod(0o600)
    project.close()
    with Project.open(project.path) as again:
        target = tmp_path / "copy.errormap"
        progress = list(copying_of(again, target))
        assert progress and all(step.stage == "copy" for step in progress)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with Project.open(target) as copy:
        assert [c.name for c in copy.tree if c.reserved is None] == ["A"]
        assert copy.copy_id != project.copy_id
        assert copy.db.execute("SELECT count(*) FROM lease").fetchone() == (0,)
        copy.undo(actor=annotator)
    with Project.open(project.path) as again:
        assert [c.name for c in again.tree if c.reserved is None] == ["A"]


def copying_of(project: Project, target: Path):  # type: ignore[no-untyped-def]
    return copying(project, target, cancelled=lambda: False)


def test_a_copy_never_replaces_anything(project: Project, tmp_path: Path) -> None:
    taken = tmp_path / "taken.errormap"
    taken.write_text("mine", encoding="utf-8")
    alias = tmp_path / "alias.errormap"
    os.link(project.path, alias)
    for target in (taken, project.path, alias, tmp_path, Path(f"{project.path}-wal"), tmp_path / "no" / "x.errormap"):
        with pytest.raises(KnownError):
            copy_project(project, target)
    assert taken.read_text(encoding="utf-8") == "mine"
    assert not list(tmp_path.glob("*.new*")) and not list(tmp_path.glob(".*.new*"))


def test_a_copy_that_is_stopped_leaves_nothing(project: Project, tmp_path: Path) -> None:
    add_records(project, [{"example_id": f"e{i}", "input_text": "word " * 300} for i in range(2000)])
    before = sorted(tmp_path.iterdir())
    assert driven(copying(project, tmp_path / "copy.errormap", cancelled=lambda: True)) in (
        None,
        tmp_path / "copy.errormap",
    )

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_project(project, tmp_path / "another.errormap", stop)
    assert [p for p in sorted(tmp_path.iterdir()) if p.name != "copy.errormap"] == before


# Everything is in one file


def in_the_file_alone(path: Path) -> list[str]:
    """Names of the categories in a copy of the .errormap file alone, as a file manager makes it."""
    alone = path.with_name("alone.errormap")
    subprocess.run(["cp", str(path), str(alone)], check=True)  # not we: closing it would take our locks away
    with sqlite3.connect(alone) as copy:
        found = [name for (name,) in copy.execute("SELECT name FROM category WHERE reserved IS NULL ORDER BY name")]
    alone.unlink()
    return found


def until(path: Path, expected: list[str], *, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if in_the_file_alone(path) == expected:
            return True
        time.sleep(0.1)
    return False


def test_what_was_saved_is_soon_in_the_file_alone(
    project: Project, annotator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, it stayed in the log for as long as the project was open."""
    monkeypatch.setattr(checkpointing, "REST_S", 0.2)
    project.apply(AddCategory(name="A"), actor=annotator)
    assert until(project.path, ["A"])
    code = f"""
import os
from pathlib import Path
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import AddCategory
p = Project.open(Path({str(project.path)!r}))
p.apply(AddCategory(name="B"), actor={annotator!r})
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    project.poll()  # a process that died has left its step in the log
    assert until(project.path, ["A", "B"])


def test_who_turns_to_another_program_need_not_wait(
    project: Project, annotator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointing, "REST_S", 3600)
    project.apply(AddCategory(name="A"), actor=annotator)
    assert in_the_file_alone(project.path) == []
    project.checkpoints.hurry()
    assert until(project.path, ["A"])


def test_a_reader_that_keeps_the_log_back_is_waited_for(
    project: Project, annotator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointing, "REST_S", 0.05)
    monkeypatch.setattr(checkpointing, "RETRY_S", 0.05)
    with Project.open(project.path, read_only=True) as other, other.reading() as db:
        db.execute("SELECT count(*) FROM log").fetchone()
        project.apply(AddCategory(name="A"), actor=annotator)
        time.sleep(0.2)
        assert in_the_file_alone(project.path) == []
    assert until(project.path, ["A"])


def test_a_log_is_not_put_into_a_file_that_took_the_place(
    open_one: tuple[Project, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, _ = open_one
    replaced(project.path)
    theirs = project.path.read_bytes()
    project.checkpoints.hurry()
    time.sleep(0.3)
    assert project.path.read_bytes() == theirs
    assert isinstance(project.cut_off, CutOff)
    project.close()
    assert project.path.read_bytes() == theirs


def test_a_checkpoint_that_fails_is_told(project: Project, annotator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file may not grow: the log holds the rest, and the trouble is there to be told."""
    import resource
    import signal

    monkeypatch.setattr(checkpointing, "REST_S", 0.05)
    monkeypatch.setattr(checkpointing, "FAILED_REST_S", 0.05)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    project.db.execute("PRAGMA wal_autocheckpoint = 0")
    project.checkpoints.hurry()
    time.sleep(0.2)
    with project.writing() as db:
        db.execute("CREATE TABLE grown (x)")
        db.execute("INSERT INTO grown VALUES (zeroblob(400000))")
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (project.path.stat().st_size, limits[1]))
        project.checkpoints.hurry()
        end = time.monotonic() + 10
        while project.checkpoints.trouble is None and time.monotonic() < end:
            time.sleep(0.02)
        assert "in two files" in str(project.checkpoints.trouble)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    end = time.monotonic() + 10
    while project.checkpoints.trouble is not None and time.monotonic() < end:
        time.sleep(0.02)
    assert project.checkpoints.trouble is None


# Written over: the same file, another content


def _another_project(path: Path) -> bytes:
    with Project.create(path.with_name("another.errormap")) as other:
        other.apply(AddCategory(name="Theirs"), actor=other.annotator("Bob"))
    return path.with_name("another.errormap").read_bytes()


@ON_LINUX
@pytest.mark.parametrize(
    "content",
    [_another_project, lambda path: b"Dear reader,\n" * 4_000, lambda path: b""],
    ids=["another project", "a text", "nothing"],
)
@pytest.mark.parametrize("is_in_log", [True, False])
def test_a_file_that_is_written_over_is_not_written_any_more(
    open_one: tuple[Project, str], content: Callable[[Path], bytes], is_in_log: bool, tmp_path: Path
) -> None:
    project, actor = open_one
    if not is_in_log:
        project.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        project.poll()
    path = project.path
    new = content(path)
    with path.open("r+b") as file:  # the locks of this process go by this: it is another program in earnest
        file.truncate(0)
        file.write(new)
    with pytest.raises(CutOff, match="wrote over the project file"):
        project.apply(AddCategory(name="After"), actor=actor)
    with pytest.raises(KnownError):
        copy_project(project, tmp_path / "copy.errormap")
    assert not (tmp_path / "copy.errormap").exists()
    project.close()
    assert path.read_bytes() == new, "what came is left as it is"
    assert not files.log_file(path).exists(), "no log of ours is beside it, which would be put into it"


@ON_LINUX
def test_checkpoints_and_other_programs_that_take_steps_are_no_writing_over(open_one: tuple[Project, str]) -> None:
    project, actor = open_one
    code = (
        "import sys; from pathlib import Path; from errormap_core.project.store import Project;"
        "from errormap_core.taxonomy.operations import AddCategory;"
        "p = Project.open(Path(sys.argv[1])); a = p.annotator('Bob');"
        "[p.apply(AddCategory(name=f'Theirs {n}', description='x' * 60_000), actor=a) for n in range(20)]; p.close()"
    )
    subprocess.run([sys.executable, "-c", code, str(project.path)], check=True)
    for n in range(5):
        project.apply(AddCategory(name=f"Ours {n}", description="y" * 60_000), actor=actor)
        project.db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        project.poll()
    assert project.cut_off is None
    assert sum(1 for _ in project.tree) == 2 + 1 + 20 + 5


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_copy_with_steps_that_stay_in_its_log_is_not_told_as_saved(
    open_one: tuple[Project, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_lost: bool
) -> None:
    """Before: the log was taken away with the temporary files, and the steps were told as saved."""
    project, actor = open_one
    steps = [lambda copy: copy.apply(AddCategory(name="Waited"), actor=actor)]
    target = tmp_path / "copy.errormap"
    error = checkpointing.in_two_files(sqlite3.OperationalError("disk I/O error"), target)
    monkeypatch.setattr(checkpointing, "bring_in_all", lambda *_: error)
    if is_lost:
        renamed(project.path)
        with pytest.raises(KnownError, match="in two files"):
            rescue_with_steps(project, target, steps)
        assert target.exists()
    else:
        with pytest.raises(KnownError, match="could not be written into the copy"):
            copy_with_steps(project.path, target, steps)
        assert not target.exists()


def test_a_checkpoint_is_ended_whenever_it_is(open_one: tuple[Project, str]) -> None:
    """Before: where the thread had ended by then, its closed connection was interrupted, and the project stayed open."""
    project, _ = open_one
    closed: list[str] = []

    class Watched(sqlite3.Connection):
        def interrupt(self) -> None:
            thread.join(5)  # it ends first
            super().interrupt()

        def close(self) -> None:
            closed.append(threading.current_thread().name)
            super().close()

    connection = sqlite3.connect(project.path, isolation_level=None, check_same_thread=False, factory=Watched)
    project.checkpoints._connection = connection
    project.checkpoints.notice()
    thread = project.checkpoints._thread
    assert thread is not None
    project.close()
    assert closed == ["MainThread"] and not thread.is_alive()


@ON_LINUX
@pytest.mark.parametrize("n_pages", [None, 1, 40])
def test_a_project_whose_table_of_facts_grows_is_not_written_over(
    open_one: tuple[Project, str], monkeypatch: pytest.MonkeyPatch, n_pages: int | None
) -> None:
    """Before: with its fiftieth run or so a sound project was told as written over, and nothing was saved any more."""
    project, actor = open_one
    project.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    project.poll()
    old = project.path.read_bytes()
    with project.writing() as db:
        for i in range(200):
            db.execute("INSERT INTO meta (key, value) VALUES (?, ?)", [f"run.finished.{new_id()}", str(i)])
    project.apply(AddCategory(name="After"), actor=actor)
    project.poll()
    if n_pages is None:
        project.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    else:  # a checkpoint that is in the middle of it
        log = pages_of(Path(f"{project.path}-wal").read_bytes())
        with project.path.open("r+b") as file:
            for page, content in sorted(log.items())[:n_pages]:
                file.seek((page - 1) * len(content))
                file.write(content)
    assert project.path.read_bytes() != old
    project.poll()
    project.apply(AddCategory(name="Going on"), actor=actor)
    assert project.cut_off is None
