"""Damaged projects: told as such by every command, never written to, repaired into a copy that says what is lost."""

import os
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from errormap_core import invocation
from errormap_core.cli import main
from errormap_core.errors import Locked
from errormap_core.project import damage, health
from errormap_core.project.check import check
from errormap_core.project.salvage import repair
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import AddCategory, AnnotateRecord
from tests.core.taxonomy.curation import snapshot
from tests.core.taxonomy.test_curation import make_project

PAGE = 4096
READS = ("stats", "history", "proposals", "runs", "prompts", "check")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound project of some 200 pages with steps of people in it."""
    path = tmp_path_factory.mktemp("whole") / "whole.errormap"
    project, ids, _ = make_project(path)
    actor = project.annotator("Ann Bee")
    words = random.Random(1)
    for i in range(60):
        project.apply(AddCategory(name=f"Category {i}", description=words.randbytes(400).hex()), actor=actor)
    for record_id in ids:
        project.apply(AnnotateRecord(record_id=record_id, text=words.randbytes(900).hex()), actor=actor)
    project.close()
    return path


def run(*words: object) -> int:
    return main([*map(str, words), "--progress", "none"])


def page_of(path: Path, table: str, *, is_leaf: bool = True) -> int:
    """A page of this table or index, counted from 0: its root, or the first page below it."""
    connection = sqlite3.connect(path)
    (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [table]).fetchone()
    connection.close()
    data = path.read_bytes()
    page = root - 1
    while is_leaf and data[page * PAGE] in (2, 5):  # an inner page: its rightmost child
        page = int.from_bytes(data[page * PAGE + 8 : page * PAGE + 12], "big") - 1
    return page


def overwrite(path: Path, page: int, content: bytes) -> None:
    data = bytearray(path.read_bytes())
    data[page * PAGE : (page + 1) * PAGE] = content.ljust(PAGE, b"\0")
    path.write_bytes(data)


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(whole, tmp_path / "p.errormap"))


def test_no_command_that_writes_takes_a_damaged_file(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overwrite(copy, page_of(copy, "record"), b"\xff" * PAGE)
    before = copy.read_bytes()
    for words in (("set", copy, "--set", "atlas.title=X"), ("undo", copy), ("accept", copy, "--all")):
        assert run(*words) == 2
        said = capsys.readouterr().err
        assert "damaged" in said and "There is no backup of it" in said and "Traceback" not in said
    assert copy.read_bytes() == before


def test_a_sound_file_is_looked_over_once_for_each_state(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Path] = []
    look_over = health.look_over
    monkeypatch.setattr(health, "look_over", lambda path: looks.append(path) or look_over(path))
    for i in range(3):
        assert run("set", copy, "--set", f"atlas.title=T{i}") == 0
    assert len(looks) == 1, "what this program wrote itself is sound"
    os.utime(copy, ns=(1, 1))  # somebody else was at it
    assert run("set", copy, "--set", "atlas.title=X") == 0
    assert len(looks) == 2


def test_what_reading_stumbles_over_ends_writing(copy: Path) -> None:
    project = Project.open(copy)
    actor = project.annotator("Ann Bee")
    overwrite(copy, page_of(copy, "record_note"), b"\xff" * PAGE)
    with pytest.raises(damage.DamagedFile), project.reading() as db:
        db.execute("PRAGMA cache_size = 0")
        db.execute("SELECT * FROM record_note").fetchall()
    with pytest.raises(damage.DamagedFile, match="Nothing is written to it"):
        project.apply(AddCategory(name="More"), actor=actor)
    project.close()


def test_a_step_that_cannot_be_unpacked_is_told(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Text that was overwritten inside a row: SQLite sees nothing wrong with it."""
    connection = sqlite3.connect(copy)
    connection.execute("UPDATE log SET edits = zeroblob(20)")
    connection.commit()
    connection.close()
    assert run("undo", copy, "--as", "Ann") == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said and "cannot be read" in said


def test_indexes_alone_cost_nothing(copy: Path, tmp_path: Path) -> None:
    for index in ("record_key", "assignment_record", "log_undo_of"):
        overwrite(copy, page_of(copy, index), b"\x01\x02")
    salvage = repair(copy, tmp_path / "r.errormap")
    assert salvage.is_whole, [str(s) for s in salvage.sentences()]
    with Project.open(tmp_path / "r.errormap") as project:
        assert [str(p.sentence) for p in check(project, replay=True)] == []


@pytest.mark.parametrize("table", ["category", "record_note", "assignment"])
def test_what_people_decided_comes_back_from_the_log(whole: Path, copy: Path, tmp_path: Path, table: str) -> None:
    with Project.open(whole) as project:
        before = snapshot(project)
    overwrite(copy, page_of(copy, table), b"\xff" * 64)
    assert health.look_over(copy) is not None
    salvage = repair(copy, tmp_path / "r.errormap")
    assert table == "assignment" or salvage.from_log[table]
    with Project.open(tmp_path / "r.errormap") as project:
        assert snapshot(project) == before
        assert check(project, replay=True) == []


def test_lost_steps_are_stood_in_for_and_not_undone(copy: Path, tmp_path: Path) -> None:
    overwrite(copy, page_of(copy, "log"), b"\xff" * 64)
    salvage = repair(copy, tmp_path / "r.errormap")
    assert salvage.tables["log"].lost
    with Project.open(tmp_path / "r.errormap") as project:
        assert check(project) == []
        assert project.undoable() is None
        added = project.apply(AddCategory(name="After"), actor=project.annotator("Ann Bee"))
        assert str(project.undo(actor=added.actor).summary) == "Undid: Added “After”"  # type: ignore[union-attr]
    assert run("history", tmp_path / "r.errormap") == 0


def test_repair_is_a_command_and_leaves_the_file_alone(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overwrite(copy, page_of(copy, "record"), b"\xff" * PAGE)
    before = copy.read_bytes()
    copy.chmod(0o600)
    assert run("check", copy, "--repair") == 1
    said = capsys.readouterr().out
    repaired = copy.with_name("p.repaired.errormap")
    assert f"The repaired copy is {repaired}. The damaged file is as it was." in said
    assert "Records:" in said and "lost" in said
    assert copy.read_bytes() == before
    assert repaired.stat().st_mode & 0o777 == 0o600
    assert run("set", repaired, "--set", "atlas.title=X") == 0
    assert run("check", copy, "--repair", "-o", repaired) == 2
    assert "already" in capsys.readouterr().err


def test_the_sound_is_repaired_to_the_same(whole: Path, tmp_path: Path) -> None:
    salvage = repair(whole, tmp_path / "r.errormap")
    assert salvage.is_whole
    with Project.open(whole) as one, Project.open(tmp_path / "r.errormap") as other:
        assert snapshot(one) == snapshot(other)
        assert one.undoable() == other.undoable()


def damages(path: Path, seed: int) -> str:
    """Damage a file in a way that the seed chooses; returns what was done."""
    draw = random.Random(seed)
    data = bytearray(path.read_bytes())
    n_pages = len(data) // PAGE
    kind = ("random", "random", "zeros", "flips", "cut", "swapped")[seed % 6]
    n = draw.choice((1, 1, 2, 5, 12))
    if kind == "cut":
        del data[draw.randrange(n_pages // 2, n_pages) * PAGE :]
    for _ in range(n if kind != "cut" else 0):
        page = draw.randrange(1, n_pages)
        at = slice(page * PAGE, (page + 1) * PAGE)
        if kind == "random":
            data[at] = draw.randbytes(PAGE)
        elif kind == "zeros":
            data[at] = bytes(PAGE)
        elif kind == "swapped":
            other = draw.randrange(1, n_pages)
            data[at] = data[other * PAGE : (other + 1) * PAGE]
        else:
            for _ in range(40):
                data[page * PAGE + draw.randrange(PAGE)] ^= 1 << draw.randrange(8)
    path.write_bytes(data)
    return f"{kind} {n}"


def outcomes(path: Path, tmp_path: Path, seed: int) -> Iterator[str]:
    """What becomes of a damaged project by every command; fails where it is not as it must be."""
    codes = {name: run(name, path) for name in READS}
    codes["export"] = run("export", path, "-o", tmp_path / f"a{seed}.json")
    assert set(codes.values()) <= {0, 1, 2}
    yield "read" if all(codes[name] == 0 for name in READS[:-1]) else "read in part"
    before = path.read_bytes()
    wrote = run("set", path, "--set", "atlas.title=Edited", "--as", "Ann")
    if health.known_damage(path) is not None:
        assert wrote == 2 and path.read_bytes() == before, "an edit was accepted"
        yield "known, refused"
    else:
        yield "not seen" if wrote == 0 else "refused"
    target = tmp_path / f"r{seed}.errormap"
    if run("check", path, "--repair", "-o", target) == 2:
        yield "not repaired"
        return
    with Project.open(target) as project:
        problems = [str(p.sentence) for p in check(project)]
        project.apply(AddCategory(name="After the repair"), actor=project.annotator("Ann"))
    yield "repaired" if not problems else "repaired, problems left"


@pytest.mark.soak
def test_damaged_files(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """50 damaged files in the soak, 6 else: no traceback by any command, no edit in one that is known as damaged."""
    table: Counter[str] = Counter()
    for seed in range(50 if os.environ.get("ERRORMAP_SOAK") else 6):
        path = tmp_path / f"p{seed}.errormap"
        shutil.copy(whole, path)
        damages(path, seed)
        table.update(outcomes(path, tmp_path, seed))
        assert "Traceback" not in capsys.readouterr().err
    with capsys.disabled():
        print(f"\nsoak: damaged files: {', '.join(f'{n} {what}' for what, n in sorted(table.items()))}")


def test_sound_files_are_never_refused(whole: Path, tmp_path: Path) -> None:
    """After a kill, too: the log beside the file is part of it."""
    path = Path(shutil.copy(whole, tmp_path / "p.errormap"))
    project = Project.open(path)
    project.apply(AddCategory(name="In the log"), actor=project.annotator("Ann"))
    for end in ("", "-wal"):
        shutil.copy(f"{path}{end}", tmp_path / f"killed.errormap{end}")
    project.close()
    assert run("set", tmp_path / "killed.errormap", "--set", "atlas.title=X") == 0
    with Project.open(tmp_path / "killed.errormap") as again:
        assert "In the log" in [category.name for category in again.tree]


def test_a_missing_project_is_not_repaired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", tmp_path / "none.errormap", "--repair") == 2
    assert "no such project" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_cut_off_is_repaired(copy: Path, tmp_path: Path) -> None:
    """As a copy that did not come to its end leaves it."""
    data = copy.read_bytes()
    copy.write_bytes(data[: len(data) * 2 // 3 + 100])
    assert run("stats", copy) == 2
    assert run("check", copy, "--repair", "-o", tmp_path / "r.errormap") == 1
    assert run("stats", tmp_path / "r.errormap") == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.errormap", "r.errormap"], "no working copy is left"


@pytest.mark.parametrize("donor", ["a backup", "a new project"])
def test_a_lost_list_of_tables_is_taken_from_elsewhere(copy: Path, tmp_path: Path, donor: str) -> None:
    if donor == "a backup":
        assert run("backup", copy) == 0
    data = bytearray(copy.read_bytes())
    data[2048:4096] = b"\xff" * 2048  # the first page, behind its header: the tree of the list of tables
    data[100:140] = b"\xff" * 40
    copy.write_bytes(data)
    assert health.look_over(copy) is not None
    salvage = repair(copy, tmp_path / "r.errormap")
    assert salvage.is_whole, [str(s) for s in salvage.sentences()]
    with Project.open(tmp_path / "r.errormap") as project:
        assert check(project, replay=True) == []


def test_damage_that_a_closer_look_found_is_not_forgotten_by_a_quick_one(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before: the window said what `check` had found, looked quickly, and let the file be written."""
    with sqlite3.connect(copy) as db:
        db.execute("UPDATE analysis SET source_id = 'nowhere' WHERE rowid = (SELECT max(rowid) FROM analysis)")
    db.close()
    assert run("check", copy) == 1
    assert "Nothing is written to it any more" in capsys.readouterr().err
    damage.forget(copy)  # as in another process
    assert health.look_over(copy) is not None
    assert run("set", copy, "--set", "atlas.title=X") == 2


def test_what_a_closer_look_finds_sound_is_written_again(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A disk that was read wrongly once; the file is not refused for ever."""
    health.note_damage(copy, "misread")
    assert run("set", copy, "--set", "atlas.title=X") == 2
    assert run("check", copy) == 0
    assert run("set", copy, "--set", "atlas.title=X") == 0


def test_an_error_of_another_file_is_told_without_a_look_at_the_project(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: a project of 1 GB was looked over to its end first."""
    looks: list[Path] = []
    monkeypatch.setattr(health, "what_is_wrong", looks.append)
    with pytest.raises(IsADirectoryError), invocation._damage_told(copy):
        raise IsADirectoryError(21, "Is a directory", "elsewhere")
    with pytest.raises(ZeroDivisionError), invocation._damage_told(copy):
        raise ZeroDivisionError
    assert looks == [copy]


@pytest.mark.parametrize("is_damaged", [False, True])
def test_repair_leaves_the_log_of_the_damaged_file_too(copy: Path, tmp_path: Path, is_damaged: bool) -> None:
    """Before: 'The damaged file is as it was', and its log had been put into it and was gone."""
    source, left = copy, tmp_path / "left.errormap"
    with Project.open(source) as project:
        project.db.execute("PRAGMA wal_autocheckpoint = 0")
        project.apply(AddCategory(name="In the log"), actor=project.annotator("Ann Bee"))
        for end in ("", "-wal"):
            shutil.copy(f"{source}{end}", f"{left}{end}")
    if is_damaged:
        overwrite(left, page_of_closed(left, "record_note"), b"\xff" * PAGE)
    before = {end: Path(f"{left}{end}").read_bytes() for end in ("", "-wal")}
    repair(left, tmp_path / "repaired.errormap")
    assert {end: Path(f"{left}{end}").read_bytes() for end in before} == before
    with Project.open(tmp_path / "repaired.errormap", read_only=True) as repaired:
        assert "In the log" in [category.name for category in repaired.tree]


def page_of_closed(path: Path, table: str) -> int:
    """A page of a file with a log, which is left as it is."""
    alone = path.with_name("alone.errormap")
    shutil.copy(path, alone)
    return page_of(alone, table)


def test_a_look_that_other_programs_kept_from_the_file_finds_no_damage(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: 'locking protocol', which many programs at once may meet, was remembered as damage, and the file refused."""
    error = sqlite3.OperationalError("locking protocol")
    error.sqlite_errorcode = sqlite3.SQLITE_PROTOCOL

    def fails(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(health.files, "connect", fails)
        with pytest.raises(Locked):
            health.look_over(copy)
    assert damage.known(copy) is None and health.known_damage(copy) is None
    assert run("set", copy, "--set", "atlas.title=X") == 0
