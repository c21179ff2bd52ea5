"""Messages blame the right thing: a full disk, a quota, a disk for reading only, a full temporary folder, a long name."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from errormap_core import trouble
from errormap_core.cli import main
from errormap_core.errors import KnownError
from errormap_core.project.store import Project
from errormap_core.settings import UserSettings
from errormap_core.taxonomy.operations import AddCategory

LIMITED = pytest.mark.skipif(sys.platform == "win32", reason="limits on the size of files are POSIX's")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (errno.ENOSPC, "The disk is full"),
        (errno.EDQUOT, "quota is used up"),
        (errno.EROFS, "The disk can only be read"),
        (errno.EFBIG, "larger than this account or disk allows"),
        (errno.ENAMETOOLONG, "The name is too long"),
        (errno.EACCES, "no permission"),
        (errno.EIO, "The disk reports an error"),
        (errno.ENOTDIR, "a file, not a folder"),
        (errno.EXDEV, os.strerror(errno.EXDEV)),
    ],
)
def test_what_the_system_says_is_told_as_that(
    project: Project, annotator: str, monkeypatch: pytest.MonkeyPatch, code: int, sentence: str
) -> None:
    """SQLite says the same of most of them; before, all were told as a folder that does not exist."""

    def no(*_: Any, **__: Any) -> Any:
        raise OSError(code, os.strerror(code))

    assert sentence in str(trouble.known(OSError(code, os.strerror(code), "/x/y")))
    project.db.execute(f"PRAGMA max_page_count = {project.db.execute('PRAGMA page_count').fetchone()[0]}")
    monkeypatch.setattr(trouble.tempfile, "TemporaryFile", no)
    with pytest.raises(KnownError) as caught:
        project.apply(AddCategory(name="B", description="x" * 400_000), actor=annotator)
    expected = "The disk is full" if code == errno.EACCES else sentence  # so SQLite itself said
    assert expected in str(caught.value)
    assert "folder exists" not in str(caught.value)
    assert len(project.tree) == 2


def test_a_disk_with_room_and_nothing_in_the_way_is_not_blamed(tmp_path: Path) -> None:
    assert trouble.obstacle(tmp_path / "p.errormap") is None
    assert list(tmp_path.iterdir()) == []


@LIMITED
@pytest.mark.parametrize("arguments", [[], ["--replay"]])
def test_a_full_temporary_folder_is_not_told_as_a_damaged_file(
    project: Project, annotator: str, tmp_path: Path, arguments: list[str]
) -> None:
    """A limit on the size of files stands for it. Before: 'The file is damaged: database or disk is full.'"""
    for n in range(20):
        project.apply(AddCategory(name=f"A{n}", description="x" * 20_000), actor=annotator)
    project.close()
    (tmp_path / "temporary").mkdir()
    code = f"""
import resource, signal, sys
from errormap_core import cli
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
sys.exit(cli.main(["check", {str(project.path)!r}, *{arguments!r}]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path.cwd(),
        env={**os.environ, "TMPDIR": str(tmp_path / "temporary")},
    )  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Temporary files cannot be written." in done.stderr
    assert str(tmp_path / "temporary") in done.stderr and "TMPDIR" in done.stderr
    assert "damaged" not in done.stdout + done.stderr
    with Project.open(project.path) as again:
        assert len(again.tree) == 22


def test_no_temporary_folder_at_all_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no(*_: Any, **__: Any) -> Any:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", no)
    assert main(["check", str(project.path)]) == 2
    assert "Temporary files cannot be written." in capsys.readouterr().err


def test_settings_on_a_full_disk_are_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    settings = UserSettings(tmp_path / "settings.json")
    monkeypatch.setattr(Path, "write_text", no)
    with pytest.raises(KnownError, match="Free some space"):
        settings["look.recent"] = ["x"]
