"""A log that a project left behind never gets into another one that is made under its name."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from errormap_core.errors import KnownError
from errormap_core.output_paths import PROJECT, new_output
from errormap_core.project import files
from errormap_core.project.copying import copy_project
from errormap_core.project.store import Project
from errormap_core.sample.build import open_sample
from errormap_core.taxonomy.operations import AddCategory


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """A name at which only the log of a project is, as after a kill and a deletion; its log holds everything."""
    path = tmp_path / "open.errormap"
    with Project.create(path) as project:
        project.apply(AddCategory(name="Old"), actor=project.annotator("Ann"))
        gone = tmp_path / "gone.errormap"
        shutil.copy(f"{path}-wal", f"{gone}-wal")
    return gone


def made_there(_: Project, path: Path) -> None:
    Project.create(path).close()


def copied_there(project: Project, path: Path) -> None:
    copy_project(project, path)


def written_there(_: Project, path: Path) -> None:
    with new_output(path, PROJECT) as new:
        new.write_bytes(b"anything")


@pytest.mark.parametrize("way", [made_there, copied_there, written_there], ids=lambda way: way.__name__)
def test_no_project_is_put_beside_a_log_that_was_left(
    project: Project, left: Path, way: Callable[[Project, Path], None]
) -> None:
    """Before: the new project, and the copy that was said to be saved, held the tree of the one that was gone."""
    log = Path(f"{left}-wal")
    kept = log.read_bytes()
    with pytest.raises(KnownError, match=r"gone\.errormap-wal of another project") as caught:
        way(project, left)
    assert "Choose another name" in str(caught.value)
    assert log.read_bytes() == kept and not left.exists()
    log.write_bytes(b"")  # an empty one holds nothing
    if way is not written_there:
        way(project, left)
        with Project.open(left) as new:
            assert "Old" not in [category.name for category in new.tree]


def test_the_sample_is_not_put_beside_a_log_that_was_left(tmp_path: Path) -> None:
    path = open_sample(tmp_path)
    path.unlink()
    Path(f"{path}-journal").write_bytes(b"left")
    with pytest.raises(KnownError, match="of another project was left"):
        open_sample(tmp_path)
    assert not path.exists()


def test_half_a_copy_before_a_migration_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before: it stayed, under the name of a copy that is kept."""
    from tests.core.project.test_file import old_file

    path = tmp_path / "old.errormap"
    old_file(path)

    monkeypatch.setattr(files.sqlite3, "connect", _full_for(files.sqlite3.connect))
    with pytest.raises(Exception, match="no connection"):
        Project.open(path)
    monkeypatch.undo()
    assert not list(tmp_path.glob("*.backup-*"))
    with Project.open(path) as project:
        assert project.backup is not None and project.backup.exists()


def _full_for(real: Callable[..., object]) -> Callable[..., object]:
    def connect(where: object, *arguments: object, **named: object) -> object:
        if ".backup-" in str(where):
            raise RuntimeError("no connection")
        return real(where, *arguments, **named)

    return connect
