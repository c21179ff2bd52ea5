"""Backups: made beside the work, private, few, verified; told once where they cannot be; put back."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from errormap_core.cli import main
from errormap_core.errors import KnownError
from errormap_core.project import backup_folder, backups, health
from errormap_core.project.backup_folder import Backup
from errormap_core.project.store import Project
from errormap_core.settings import UserSettings
from errormap_core.taxonomy.operations import AddCategory

MANY = 10**9


def step(project: Project, name: str) -> None:
    project.apply(AddCategory(name=name), actor=project.annotator("Ann Bee"))


def back_up(path: Path, *, keep: int = 5, most_bytes: int = MANY) -> Backup | None:
    return backups.back_up(path, keep=keep, most_bytes=most_bytes)


def names_in(path: Path) -> list[str]:
    with Project.open(path, read_only=True) as project:
        return [category.name for category in project.tree]


def run(*words: object) -> int:
    return main([*map(str, words), "--progress", "none"])


def test_a_backup_is_a_private_whole_project(project: Project) -> None:
    step(project, "A")
    project.path.chmod(0o644)
    made = back_up(project.path)
    assert made is not None and made.size == made.path.stat().st_size
    assert made.path.stat().st_mode & 0o777 == 0o600
    for folder in (made.path.parent, made.path.parent.parent):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert made.path.name.startswith("test 20") and made.path.suffix == ".errormap"
    assert sorted(p.name for p in made.path.parent.iterdir()) == sorted([made.path.name, "project.json"])
    assert names_in(made.path)[0] == "A", "what is in the log alone is in it"


def test_the_same_content_is_not_backed_up_twice(project: Project) -> None:
    step(project, "A")
    assert back_up(project.path) is not None
    assert back_up(project.path) is None
    step(project, "B")
    assert back_up(project.path) is not None
    project.undo(actor=project.annotator("Ann Bee"))
    assert back_up(project.path) is not None
    assert back_up(project.path, keep=0) is None


def test_few_are_kept_and_the_only_one_always(project: Project, tmp_path: Path) -> None:
    other = Project.create(tmp_path / "other.errormap")
    assert back_up(other.path) is not None
    other.close()
    for i in range(5):
        step(project, f"A{i}")
        back_up(project.path, keep=3)
    found = backup_folder.backups_of(project.path)
    assert [names_in(backup.path).count("A4") for backup in found] == [1, 0, 0]
    step(project, "B")
    back_up(project.path, keep=3, most_bytes=1)
    assert len(backup_folder.backups_of(project.path)) == 1
    assert "B" in names_in(backup_folder.backups_of(project.path)[0].path)
    assert len(backup_folder.backups_of(tmp_path / "other.errormap")) == 1


def test_a_copy_elsewhere_does_not_push_out_this_one(project: Project, tmp_path: Path) -> None:
    step(project, "A")
    made = back_up(project.path)
    assert made is not None
    backups.restore(made.path, tmp_path / "copy.errormap")
    with Project.open(tmp_path / "copy.errormap") as copy:
        for i in range(3):
            step(copy, f"B{i}")
            back_up(copy.path, keep=2)
    assert made in backup_folder.backups_of(project.path)
    assert made in backup_folder.backups_of(tmp_path / "copy.errormap"), "it is of the same project"


def test_a_project_that_was_moved_finds_its_backups(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = back_up(project.path)
    assert made is not None
    project.close()
    project.path.rename(tmp_path / "renamed.errormap")
    assert backups.found_for(tmp_path / "renamed.errormap") == [made]
    assert backups.found_for(project.path) == [made], "where it was, too"
    assert run("restore", tmp_path / "renamed.errormap") == 0
    assert str(made.path) in capsys.readouterr().out
    assert not project.path.exists()


def test_what_a_killed_process_left_is_removed_and_never_listed(project: Project) -> None:
    made = back_up(project.path)
    assert made is not None
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = made.path.parent / f".{ended.pid}-0123abcd.part"
    left.write_bytes(b"half")
    mine = made.path.parent / f".{os.getpid()}-0123abcd.part"
    mine.write_bytes(b"under way")
    assert len(backup_folder.all_backups()) == 1
    step(project, "A")
    back_up(project.path)
    assert not left.exists() and mine.exists()


@pytest.mark.parametrize("kind", ["full", "read-only", "a file in the way", "no room"])
def test_what_stops_a_backup_is_a_sentence_and_leaves_nothing(
    project: Project, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step(project, "A")
    folder = backup_folder.backups_folder()
    if kind == "full":

        def fail(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device", str(folder))

        monkeypatch.setattr(backups, "_copy", fail)
    elif kind == "read-only":

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied", str(folder))

        monkeypatch.setattr(backup_folder, "make_ready", refuse)
    elif kind == "a file in the way":
        folder.write_text("x", encoding="utf-8")
    else:
        monkeypatch.setattr(backups.shutil, "disk_usage", lambda _: os.terminal_size((0, 0)) and _Usage(10_000_000))
    with pytest.raises(KnownError) as caught:
        back_up(project.path)
    assert str(caught.value.fix) and str(folder) in str(caught.value)
    project.close()
    assert run("set", project.path, "--set", "atlas.title=X", "--as", "Ann") == 0
    assert capsys.readouterr().err.count(str(folder)) == 1
    assert not folder.is_dir() or [p for p in folder.rglob("*") if p.suffix in (".part", ".errormap")] == []


class _Usage:
    def __init__(self, free: int) -> None:
        self.free = free


def test_looking_over_a_backup_can_be_stopped(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes seconds for a large one, and who closes the window waits for none of them."""
    step(project, "A")
    monkeypatch.setattr(health, "STEPS", 1)
    copied: list[object] = []
    real = backups._copy
    monkeypatch.setattr(backups, "_copy", lambda *a, **n: (real(a[0], a[1]), copied.append(a)))
    with pytest.raises(health.LookStopped):
        backups.back_up(project.path, keep=5, most_bytes=MANY, cancelled=lambda: bool(copied))
    assert not list(backup_folder.backups_folder().rglob("*.errormap"))
    assert not list(backup_folder.backups_folder().rglob("*.part*"))


def test_a_command_that_writes_leaves_one_a_day(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.close()
    for i in range(3):
        assert run("set", project.path, "--set", f"atlas.title=T{i}", "--as", "Ann") == 0
    assert run("stats", project.path) == 0
    (made,) = backup_folder.backups_of(project.path)
    old = made.path.with_name(f"test {datetime.now(UTC) - timedelta(days=1, minutes=1):%Y-%m-%d %H-%M-%S}Z.errormap")
    made.path.rename(old)
    assert run("set", project.path, "--set", "atlas.title=Later", "--as", "Ann") == 0
    assert len(backup_folder.backups_of(project.path)) == 2
    UserSettings()["backups.keep"] = 0
    for backup in backup_folder.all_backups():
        backup.path.unlink()
    assert run("set", project.path, "--set", "atlas.title=None", "--as", "Ann") == 0
    assert backup_folder.all_backups() == []


def test_a_damaged_project_never_replaces_a_good_backup(project: Project) -> None:
    for i in range(40):
        step(project, f"A{i}")
    good = back_up(project.path, keep=1)
    path = project.path
    step(project, "B")
    project.close()
    data = bytearray(path.read_bytes())
    data[4096 * 12 : 4096 * 14] = b"\xff" * 8192
    path.write_bytes(data)
    with pytest.raises(KnownError, match="damaged"):
        back_up(path, keep=1)
    assert [backup.path for backup in backup_folder.all_backups()] == [good.path]  # type: ignore[union-attr]
    with pytest.raises(KnownError, match="damaged"):
        health.refuse_damaged(path)


def test_restoring_by_the_command_line(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step(project, "Early")
    back_up(project.path)
    step(project, "Late")
    path = project.path
    assert run("restore", path, "--backup", "latest") == 2, "it is open here"
    assert "open" in capsys.readouterr().err
    project.close()
    assert run("restore", path) == 0
    listed = capsys.readouterr().out
    assert "  1  20" in listed and "1 backup in all" in listed and str(backup_folder.backups_folder()) in listed
    path.chmod(0o640)
    assert run("restore", path, "--backup", "1") == 0
    assert path.stat().st_mode & 0o777 == 0o640
    assert names_in(path) == ["Early", "Other", "Hard to Analyze"]
    (kept,) = tmp_path.glob("test.replaced-*.errormap")
    assert str(kept) in capsys.readouterr().out
    assert "Late" in names_in(kept)
    assert run("restore", path, "--backup", "latest", "-o", tmp_path / "new.errormap") == 0
    assert names_in(tmp_path / "new.errormap")[0] == "Early"
    assert run("restore", path, "--backup", "latest", "-o", tmp_path / "new.errormap") == 2
    assert run("restore", path, "--backup", "7") == 2
    assert run("restore", path, "--backup", "latest", "-o", tmp_path / "none" / "x.errormap") == 2
    path.unlink()
    assert run("restore", path, "--backup", "latest") == 0, "one that was deleted comes back"
    assert names_in(path)[0] == "Early"


def test_a_backup_that_is_damaged_itself_is_not_restored(project: Project, tmp_path: Path) -> None:
    step(project, "A")
    made = back_up(project.path)
    assert made is not None
    project.close()
    made.path.write_bytes(made.path.read_bytes()[:8192])
    before = project.path.read_bytes()
    with pytest.raises(KnownError, match="damaged itself"):
        backups.restore(made.path, project.path, replace=True)
    assert project.path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["test.errormap"]


def test_the_message_of_a_damaged_file_names_what_is_there(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project.path
    step(project, "A")
    back_up(path)
    project.close()
    data = path.read_bytes()
    path.write_bytes(data[:8192] + b"\xff" * (len(data) - 8192))
    assert run("stats", path) == 2
    said = capsys.readouterr().err
    assert "There is 1 backup, of 20" in said and f"errormap-studio restore {path}" in said
    assert run("restore", path, "--backup", "latest") == 0
    assert run("stats", path) == 0
    assert run("set", path, "--set", "atlas.title=X", "--as", "Ann") == 0


def test_a_project_that_was_moved_away_leaves_nothing_at_its_old_place(project: Project, tmp_path: Path) -> None:
    project.close()
    project.path.rename(tmp_path / "moved.errormap")
    with pytest.raises(KnownError, match="no such project"):
        back_up(project.path)
    with pytest.raises(KnownError, match="no such project"):
        health.look_over(project.path)
    assert [p.name for p in tmp_path.iterdir()] == ["moved.errormap"]


@pytest.mark.parametrize(
    ("made", "keep", "left"),
    [
        (
            ["20 09", "21 08", "21 18", "22 09", "22 10", "22 11", "22 12"],
            5,
            ["20 09", "21 18", "22 10", "22 11", "22 12"],
        ),
        (["18 09", "19 09", "20 09", "22 10", "22 11"], 2, ["20 09", "22 11"]),
        (["22 07", "22 08", "22 09", "22 10"], 3, ["22 08", "22 09", "22 10"]),
        (["21 09", "22 10"], 1, ["22 10"]),
    ],
)
def test_an_afternoon_of_opening_and_closing_leaves_what_was_yesterday(
    made: list[str], keep: int, left: list[str]
) -> None:
    """Before, five closings of one afternoon dropped all that was older."""
    owner = backup_folder.Owner("/somewhere/p.errormap", "c")
    backup_folder.make_ready(owner)
    for day_and_hour in made:
        day, hour = day_and_hour.split()
        local = datetime(2026, 11, int(day), int(hour)).astimezone()
        stamp = f"{local.astimezone(UTC):%Y-%m-%d %H-%M-%S}Z"
        (owner.folder / f"p {stamp}.errormap").write_bytes(b"x")
    backup_folder.drop_old(owner, keep=keep, most_bytes=MANY)
    found = [
        f"{backup.made_at.astimezone():%d %H}" for backup in reversed(backup_folder.backups_of(Path(owner.path), "c"))
    ]
    assert found == left
