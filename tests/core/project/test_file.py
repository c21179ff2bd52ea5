"""The project file: made, migrated after a backup, refused with a sentence, shared by several processes."""

import contextlib
import json
import os
import resource
import sqlite3
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from sqlite_utils import Database

from errormap_core.errors import KnownError
from errormap_core.project import check as checking
from errormap_core.project import files
from errormap_core.project.check import check
from errormap_core.project.lease import project_lease, take_lease
from errormap_core.project.schema import APPLICATION_ID, OTHER_ID, migrations
from errormap_core.project.store import Project
from errormap_core.sentences import tr
from errormap_core.taxonomy.edits import Change, MachineChange
from errormap_core.taxonomy.operations import AddCategory, DecideProposals, RenameCategory, Ruling
from errormap_core.taxonomy.tree import Category
from tests.core.building import add_analyses, add_proposals, add_records
from tests.core.taxonomy.curation import snapshot


def old_file(path: Path) -> None:
    """A file as version v001 left it."""
    db = files.connect(path, read_only=False, makes=True)
    migrations.apply(db, stop_before="v002_notes_and_leases")
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.table("meta").insert({"key": "copy_id", "value": "old"})
    db.table("choice").insert({"key": "atlas.title", "value": '"Old"'})
    db.close()


def test_an_older_file_is_migrated_after_a_backup(tmp_path: Path) -> None:
    path = tmp_path / "old.errormap"
    old_file(path)
    path.chmod(0o600)
    with Project.open(path) as project:
        assert project.setting("atlas.title") == "Old"
        assert project.backup is not None
        assert project.backup.stat().st_mode & 0o777 == 0o600, "what is private stays private"
        assert "lease" not in Database(project.backup).table_names()
        assert {"lease", "record_note"} <= set(project.db.table_names())
        project.apply(AddCategory(name="A"), actor=project.annotator("Ann"))
    with Project.open(path) as again:
        assert again.backup is None


def as_before_v003(path: Path) -> None:
    """Make a file what it was before decisions had details: table and log as the version before wrote them."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE decision RENAME TO later")
        connection.execute(
            """CREATE TABLE decision (
            proposal_id TEXT PRIMARY KEY REFERENCES proposal(id),
            verdict TEXT NOT NULL CHECK (verdict IN ('accept', 'edit', 'reject', 'skip')),
            source_id TEXT NOT NULL REFERENCES source(id), category_id TEXT REFERENCES category(id),
            is_bulk INTEGER NOT NULL CHECK (is_bulk IN (0, 1)), decided_at TEXT NOT NULL) STRICT"""
        )
        columns = "proposal_id, verdict, source_id, category_id, is_bulk, decided_at"
        connection.execute(f"INSERT INTO decision SELECT {columns} FROM later")
        connection.execute("DROP TABLE later")
        connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'v003_more_verdicts'")
        known = ("proposal_id", "verdict", "category_id", "name", "description", "parent_id", "without", "run_id")
        for seq, arguments, edits in connection.execute("SELECT seq, arguments, edits FROM log").fetchall():
            given = json.loads(arguments)
            given.pop("counter", None)
            for ruling in given.get("rulings", ()):
                for name in set(ruling) - set(known):
                    del ruling[name]
            plain = json.loads(zlib.decompress(edits))
            for edit in plain:
                if edit.get("row", [""])[0] == "decision":
                    for side in ("before", "after"):
                        (edit[side] or {}).pop("details", None)
            packed = zlib.compress(json.dumps(plain).encode())
            connection.execute(
                "UPDATE log SET arguments = ?, edits = ?, version = 1 WHERE seq = ?", [json.dumps(given), packed, seq]
            )
        connection.commit()


def test_decisions_of_an_older_file_are_undone_redone_and_replayed(project: Project, annotator: str) -> None:
    ids = add_records(project, [{"example_id": f"e{i}"} for i in range(6)])
    add_analyses(project, dict.fromkeys(ids, "Error"))
    made, placed, rejected = add_proposals(
        project,
        [
            {"name": "Logic", "records": ids[:2]},
            {"category_id": OTHER_ID, "records": ids[2:4]},
            {"name": "No", "records": ids[4:]},
        ],
    )
    for key, verdict in ((made, "skip"), (made, "accept"), (placed, "accept"), (rejected, "reject")):
        project.apply(DecideProposals(rulings=(Ruling(proposal_id=key, verdict=verdict),)), actor=annotator)  # type: ignore[arg-type]
    project.undo(actor=annotator)
    path = project.path
    with project.writing() as db:
        db.execute("UPDATE decision SET details = json_remove(details, '$.counter')")
    before = snapshot(project)
    project.close()
    as_before_v003(path)
    with Project.open(path) as again:
        assert again.backup is not None
        assert snapshot(again) == before, "decisions are kept, and say that they changed nothing"
        assert again.db.execute("SELECT DISTINCT details FROM decision").fetchall() == [("{}",)]
        assert [str(problem.sentence) for problem in check(again, replay=True)] == []
        for step in (again.redo, *[again.undo] * 4, *[again.redo] * 3):
            assert step(actor=annotator) is not None
        assert snapshot(again) == before
        again.apply(DecideProposals(rulings=(Ruling(proposal_id=rejected, verdict="flag"),)), actor=annotator)
        assert [str(problem.sentence) for problem in check(again, replay=True)] == []


def test_an_older_file_is_not_migrated_by_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "old.errormap"
    old_file(path)
    with pytest.raises(KnownError, match="older version"):
        Project.open(path, read_only=True)


def test_a_newer_file_is_refused_and_left_alone(project: Project) -> None:
    path = project.path
    row = {"migration_set": "errormap_studio", "name": "v999_future", "applied_at": "2030-01-01"}
    project.db.table("_sqlite_migrations").insert(row)
    project.close()
    before = path.read_bytes()
    with pytest.raises(KnownError, match=r"newer version.*v999_future"):
        Project.open(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "no such project"),
        (b"", "not an ErrorMap Studio project"),
        (b"example_id,model\n", "not an ErrorMap Studio project"),
        ("folder", "a folder, not a project"),
    ],
)
def test_what_is_no_project_is_refused(tmp_path: Path, content: bytes | str | None, sentence: str) -> None:
    path = tmp_path / "x.errormap"
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(KnownError, match=sentence) as caught:
        Project.open(path)
    assert str(path) in str(caught.value)
    assert str(caught.value.fix)


def test_another_sqlite_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(KnownError, match="not an ErrorMap Studio project"):
        Project.open(path)


def test_a_damaged_file_is_told(project: Project) -> None:
    path = project.path
    add_records(project, [{"example_id": f"e{i}"} for i in range(300)])
    project.close()
    data = bytearray(path.read_bytes())
    data[4096 : len(data) // 2] = b"\xff" * (len(data) // 2 - 4096)
    path.write_bytes(data)
    with pytest.raises(KnownError, match="damaged"):
        Project.open(path)


def test_making_refuses_what_is_there(project: Project, tmp_path: Path) -> None:
    with pytest.raises(KnownError, match="already"):
        Project.create(project.path)
    with pytest.raises(KnownError, match="no such folder"):
        Project.create(tmp_path / "missing" / "x.errormap")
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("test.errormap")) == []


def test_types_and_references_are_enforced_by_the_database(project: Project) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"), project.writing() as db:
        db.execute("INSERT INTO chosen_threshold VALUES ('nowhere', 0.5)")
    add_records(project, [{"example_id": "e"}])
    with pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT"), project.writing() as db:
        db.execute("INSERT INTO chosen_threshold VALUES ('d', 'high')")
    tables = project.db.query("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%sqlite_%'")
    assert [row["name"] for row in tables if "STRICT" not in row["sql"]] == []


def test_a_write_is_all_or_nothing(project: Project) -> None:
    with pytest.raises(ZeroDivisionError), project.writing() as db:
        db.table("model").insert({"name": "half"})
        _ = 1 / 0
    assert project.db.execute("SELECT count(*) FROM model").fetchone() == (0,)


def test_a_reader_cannot_write_and_follows(project: Project, annotator: str) -> None:
    with Project.open(project.path, read_only=True) as reader:
        with pytest.raises(KnownError, match="reading only"):
            reader.apply(AddCategory(name="A"), actor=annotator)
        heard: list[object] = []
        reader.subscribe(heard.append)
        project.apply(AddCategory(name="A"), actor=annotator)
        reader.poll()
        assert [type(h) for h in heard] == [Change]
        assert [c.name for c in reader.tree] == ["A", "Other", "Hard to Analyze"]
        assert str(reader.undoable()) == "Added “A”"


def test_two_processes_see_each_others_steps(project: Project, annotator: str) -> None:
    """Another process renames what this one added; this one then plans on the tree as it is."""
    added = AddCategory(name="A")
    project.apply(added, actor=annotator)
    code = f"""
from pathlib import Path
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import RenameCategory
with Project.open(Path({str(project.path)!r})) as p:
    p.apply(RenameCategory(category_id={added.category_id!r}, name="B"), actor=p.annotator("Bob"))
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path.cwd())
    heard: list[object] = []
    project.subscribe(heard.append)
    with pytest.raises(KnownError, match="exists already"):
        project.apply(AddCategory(name="b"), actor=annotator)
    project.poll()
    assert project.tree.live(added.category_id).name == "B"
    project.apply(AddCategory(name="C"), actor=annotator)
    assert [str(h.summary) for h in heard if isinstance(h, Change)] == ["Renamed “A” to “B”", "Added “C”"]


def test_what_machines_add_is_announced(project: Project) -> None:
    heard: list[object] = []
    project.subscribe(heard.append)
    with Project.open(project.path) as other:
        add_records(other, [{"example_id": "e"}])
    project.poll()
    assert heard == [MachineChange(frozenset({"record", "run"}))]
    project.poll()
    assert len(heard) == 1


def test_a_full_disk_leaves_nothing_half_done(project: Project, annotator: str) -> None:
    """max_page_count makes SQLite say that the disk is full, as a full disk does."""
    project.apply(AddCategory(name="A"), actor=annotator)
    pages = project.db.execute("PRAGMA page_count").fetchone()[0]
    project.db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(KnownError, match="disk is full"):
        for i in range(2000):
            project.apply(AddCategory(name=f"B{i}", description="x" * 4000), actor=annotator)
    n_steps = project.db.execute("SELECT count(*) FROM log").fetchone()[0]
    assert len(project.tree) == n_steps + 2  # with the reserved ones: each category has its step
    path = project.path
    project.close()
    with Project.open(path) as again:
        assert len(again.tree) == n_steps + 2


def test_a_really_full_disk_is_told_by_the_command_line(tmp_path: Path) -> None:
    """A limit on the size of files, in a child process: the import is told and leaves no record."""
    csv = tmp_path / "big.csv"
    rows = "".join(f"e{i},m,question,{'answer ' * 300},0\n" for i in range(4000))
    csv.write_text(f"example_id,model,input_text,output_text,score\n{rows}", encoding="utf-8")
    project = tmp_path / "p.errormap"
    Project.create(project).close()

    def limit() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    done = subprocess.run(
        [sys.executable, "-m", "errormap_core.cli", "import", str(project), str(csv), "--progress", "none"],
        capture_output=True,
        text=True,
        preexec_fn=limit,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert str(project) in done.stderr
    with Project.open(project) as again:
        assert again.db.execute("SELECT count(*) FROM record").fetchone() == (0,)


def test_a_project_that_may_not_be_written_is_told(project: Project, tmp_path: Path) -> None:
    """By the file's modes, and for root, whom no mode stops, as another user."""
    project.close()
    if os.getuid() == 0:
        for folder in tmp_path.parents[:3]:
            folder.chmod(0o755)
    project.path.chmod(0o444)
    tmp_path.chmod(0o555)
    code = f"""
import os
from pathlib import Path
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import AddCategory
import errormap_core.cli
if os.getuid() == 0:
    os.setuid(65534)
path = Path({str(project.path)!r})
with Project.open(path, read_only=True) as p:
    print(len(p.tree))
raise SystemExit(errormap_core.cli.main(["undo", str(path), "--as", "Ann", "--progress", "none"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path.cwd())
    tmp_path.chmod(0o755)
    assert done.stdout.startswith("2\n"), done.stderr
    assert done.returncode == 2, done.stderr
    assert "cannot be written" in done.stderr


def test_a_lease_is_refused_while_its_holder_lives_and_free_after_it_died(project: Project) -> None:
    code = f"""
import sys, time
from pathlib import Path
from errormap_core.project.lease import take_lease
from errormap_core.project.store import Project
from errormap_core.sentences import tr
take_lease(Project.open(Path({str(project.path)!r})), "judge", purpose=tr("A judge run"))
print("held", flush=True)
time.sleep(60)
"""
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(KnownError, match=f"A judge run is under way already, in process {holder.pid}"):
            take_lease(project, "judge", purpose=tr("A judge run"))
    finally:
        holder.kill()
        holder.wait()
        assert holder.stdout is not None
        holder.stdout.close()
    with project_lease(project, "judge", purpose=tr("A judge run")) as lease:
        lease.beat()
    assert project.db.execute("SELECT count(*) FROM lease").fetchone() == (0,)


def test_undo_of_an_older_step_is_refused_where_later_ones_build_on_it(project: Project, annotator: str) -> None:
    added = AddCategory(name="A")
    first = project.apply(added, actor=annotator)
    project.apply(RenameCategory(category_id=added.category_id, name="B"), actor=annotator)
    other = project.apply(AddCategory(name="C"), actor=annotator)
    with pytest.raises(KnownError, match="worked on this since"):
        project.undo_entry(first.entry_id, actor=annotator)
    project.undo_entry(other.entry_id, actor=annotator)
    assert [c.name for c in project.tree if not c.reserved] == ["B"]
    project.redo(actor=annotator)
    assert [c.name for c in project.tree if not c.reserved] == ["B", "C"]


def test_a_project_that_was_cut_off_from_its_log_writes_nothing_more_and_the_file_stays_whole(tmp_path: Path) -> None:
    """What happens where a program opens and closes the file beside us: POSIX drops our locks, and the next process
    to close takes itself for the last, puts the log into the file and deletes it."""
    path = tmp_path / "p.errormap"
    project = Project.create(path)
    actor = project.annotator("Ann")
    project.apply(AddCategory(name="Before", parent_id=None), actor=actor)
    for name in (path, Path(f"{path}-shm")):
        with open(name, "rb") as file:
            file.read(1)
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT count(*) FROM log').fetchone(); c.close()"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert not Path(f"{path}-wal").exists(), "or the case is not the one that is meant"
    with pytest.raises(KnownError, match=r"log p\.errormap-wal was deleted or replaced"):
        project.apply(AddCategory(name="Lost", parent_id=None), actor=actor)
    with pytest.raises(KnownError, match=r"log p\.errormap-wal was deleted or replaced"):
        project.poll()
    code = f"""
import sys
from pathlib import Path
from errormap_core.project.check import check
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import AddCategory
with Project.open(Path(sys.argv[1])) as again:
    if sys.argv[2:]:
        again.apply(AddCategory(name=sys.argv[2], parent_id=None), actor={actor!r})
    assert check(again, replay=True) == []
    print(sorted(c.name for c in again.tree if c.reserved is None))
"""
    subprocess.run([sys.executable, "-c", code, str(path), "After"], check=True)
    project.close()
    with pytest.raises(KnownError, match="cannot open it again"):
        Project.open(path)
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True)
    assert done.stdout == "['After', 'Before']\n"


def test_what_others_write_while_a_project_is_checked_is_no_problem_of_it(
    project: Project, annotator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: 'A replay of the log gives another category', of a sound project that a window was working on."""
    project.apply(AddCategory(name="A"), actor=annotator)
    real = checking.copy_of

    def meanwhile(checked: Project, path: Path) -> None:
        real(checked, path)
        with Project.open(project.path) as other:
            other.apply(AddCategory(name=f"Meanwhile {path.stem}"), actor=annotator)

    monkeypatch.setattr(checking, "copy_of", meanwhile)
    with Project.open(project.path, read_only=True) as checked:
        assert [str(problem.sentence) for problem in check(checked, replay=True)] == []
    assert sum(category.name.startswith("Meanwhile") for category in _reopened(project)) == 2


def _reopened(project: Project) -> list[Category]:
    with Project.open(project.path, read_only=True) as again:
        return list(again.tree)
