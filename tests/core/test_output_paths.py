"""What is written where people say never takes away what is there, and appears whole."""

import os
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from errormap_core import cli, output_paths
from errormap_core.errors import KnownError
from errormap_core.exporters.atlas import ATLAS, write_atlas
from errormap_core.output_paths import PROJECT, check_output, new_output, write_output
from errormap_core.project.check import check
from errormap_core.project.store import Project
from errormap_core.settings import UserSettings
from tests.core.taxonomy.test_curation import make_project

OURS = b'{\n  "format": "errormap-atlas", "rest": 0}'


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made, _, _ = make_project(tmp_path / "mine.errormap")
    with made:
        yield made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# What stands at the name


def a_project(path: Path) -> None:
    make_project(path)[0].close()


def a_database_by_another_name(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.close()


def results(path: Path) -> None:
    path.write_text("example_id,model,input_text,output_text,score\n", encoding="utf-8")


def other_json(path: Path) -> None:
    path.write_text('{"format": "something else", "note": "errormap-atlas"}', encoding="utf-8")


def a_link_to_results(path: Path) -> None:
    results(path.with_name("results.csv"))
    path.symlink_to("results.csv")


def a_loop(path: Path) -> None:
    path.symlink_to(path.name)


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to("gone.json")


def a_link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/null")


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.getcwd()
        os.chdir(path.parent)  # a socket's path may have 108 characters
        try:
            listening.bind(path.name)
        finally:
            os.chdir(here)


def a_file_that_nobody_may_write(path: Path) -> None:
    path.write_bytes(OURS)
    path.chmod(0o444)


@pytest.mark.parametrize(
    ("name", "there", "sentence"),
    [
        ("colleague.errormap", a_project, "This name ends in .errormap, as projects do, but an atlas is written."),
        ("colleague.errormap-wal", a_project, "a file that belongs to the project colleague.errormap"),
        ("colleague.data", a_project, "This is a project or another database, not an atlas."),
        ("notes.db", a_database_by_another_name, "This is a project or another database, not an atlas."),
        ("notes.db-journal", None, None),
        ("gsm8k.csv", results, "There is a file of this name, and it is not an atlas."),
        ("other.json", other_json, "There is a file of this name, and it is not an atlas."),
        ("linked.json", a_link_to_results, "There is a file of this name, and it is not an atlas."),
        ("loop.json", a_loop, "This is a link that leads back to itself."),
        ("dangling.json", a_link_to_nothing, "This is a link to a file that is not there (gone.json)."),
        ("device.json", a_link_to_a_device, "This is a device or a pipe"),
        ("/dev/null", None, "This is a device or a pipe"),
        ("/dev/full", None, "This is a device or a pipe"),
        ("pipe.json", os.mkfifo, "This is a device or a pipe"),
        ("socket.json", a_socket, "This is a device or a pipe"),
        ("folder.json", os.mkdir, "This is a folder. Name a file in it."),
        ("new/", None, "This is a folder."),
        (".", None, "This is a folder."),
        ("", None, "The name of the output is empty."),
        ("-", None, "“-” is not the name of a file."),
        ("a\0b", None, "cannot hold a NUL"),
        ("x" * 300, None, "This name is too long."),
        ("no/atlas.json", None, "There is no such folder."),
        ("mine.errormap/atlas.json", None, "A part of this path is not a folder."),
        ("new.errormap", None, "This name ends in .errormap, as projects do, but an atlas is written."),
        ("protected.json", a_file_that_nobody_may_write, "This file is write-protected."),
    ],
)
def test_what_is_there_stays(
    project: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    there: Callable[[Path], object] | None,
    sentence: str | None,
) -> None:
    monkeypatch.chdir(tmp_path)
    if there is not None:
        there(tmp_path / name)
    before = {path.name: (path.lstat().st_mtime_ns, path.lstat().st_ino) for path in tmp_path.iterdir()}
    if sentence is None:  # a name that looks like a database's, and is not
        write_atlas(project, name)
        return
    with pytest.raises(KnownError) as refused:
        write_atlas(project, name)
    assert sentence in str(refused.value)
    assert {path.name: (path.lstat().st_mtime_ns, path.lstat().st_ino) for path in tmp_path.iterdir()} == before


def test_a_project_keeps_its_locks_when_its_name_is_asked_for(project: Project, tmp_path: Path) -> None:
    """Looking into it would drop them, and the next process to close it would delete the log under this one."""
    for name in (tmp_path / "hard.json", tmp_path / "soft.json"):
        (name.hardlink_to if name.stem == "hard" else name.symlink_to)(project.path)
        with pytest.raises(KnownError, match="is the project itself"):
            check_output(name, ATLAS, project=project.path)
        with pytest.raises(KnownError, match=r"is using this file|as projects do"):
            check_output(name, ATLAS)
    # another process that opens and closes it takes itself for the last one if the locks are gone
    program = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM meta').fetchall(); c.close()"
    )
    subprocess.run([sys.executable, "-c", program, str(project.path)], check=True)
    assert project.path.with_name(project.path.name + "-wal").exists()
    assert check(project) == []


def test_an_atlas_is_replaced_whole_and_keeps_its_mode(project: Project, tmp_path: Path) -> None:
    os.umask(umask := os.umask(0))
    target = tmp_path / "atlas.json"
    write_atlas(project, target)
    assert mode(target) == 0o666 & ~umask
    first = target.read_bytes()
    target.chmod(0o600)
    other = tmp_path / "other.json"
    other.hardlink_to(target)
    link = tmp_path / "link.json"
    link.symlink_to("atlas.json")
    write_atlas(project, link, history=True)
    assert link.is_symlink()
    assert mode(target) == 0o600
    assert target.read_bytes() != first
    assert other.read_bytes() == first, "further hard links keep what was there"
    assert not [name for name in listed(tmp_path) if name.endswith(".new")]


@pytest.mark.parametrize("head", [b"", OURS, b'\xef\xbb\xbf{"format":"errormap-atlas"}'])
def test_what_an_atlas_may_replace(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "a.json").write_bytes(head)
    write_output(tmp_path / "a.json", b"new", ATLAS)
    assert (tmp_path / "a.json").read_bytes() == b"new"


def test_a_link_into_another_folder_is_written_there(tmp_path: Path) -> None:
    far = tmp_path / "far"
    far.mkdir()
    (far / "atlas.json").write_bytes(OURS)
    (tmp_path / "atlas.json").symlink_to("far/atlas.json")
    assert write_output(tmp_path / "atlas.json", b"new", ATLAS) is None
    assert (far / "atlas.json").read_bytes() == b"new"
    assert listed(far) == ["atlas.json"]
    assert (tmp_path / "atlas.json").is_symlink()


def test_a_name_as_long_as_names_can_be(tmp_path: Path) -> None:
    name = "x" * 250 + ".json"
    write_output(tmp_path / name, b"new", ATLAS)
    assert listed(tmp_path) == [name]


def test_a_full_disk_is_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(output_paths, "_probe", full)
    with pytest.raises(KnownError, match="The disk has no room for an atlas"):
        check_output(tmp_path / "a.json", ATLAS)


def test_writing_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(OURS)
    with pytest.raises(KnownError, match="no room"), new_output(tmp_path / "a.json", ATLAS) as new:
        new.write_bytes(b"half")
        raise OSError(28, "No space left on device")
    assert (tmp_path / "a.json").read_bytes() == OURS
    assert listed(tmp_path) == ["a.json"]


def test_a_name_that_was_taken_meanwhile_stays_taken(tmp_path: Path) -> None:
    with pytest.raises(KnownError, match="already"), new_output(tmp_path / "p.errormap", PROJECT) as new:
        new.write_bytes(b"ours")
        (tmp_path / "p.errormap").write_bytes(b"theirs")
    assert (tmp_path / "p.errormap").read_bytes() == b"theirs"
    assert listed(tmp_path) == ["p.errormap"]


def test_a_copy_of_a_private_file_is_private(tmp_path: Path) -> None:
    source = tmp_path / "p.errormap"
    source.write_bytes(b"x")
    source.chmod(0o600)
    with new_output(tmp_path / "copy.errormap", PROJECT, like=source) as new:
        assert mode(new) == 0o600, "nor is it readable by others meanwhile"
        new.write_bytes(b"x")
    assert mode(tmp_path / "copy.errormap") == 0o600
    with pytest.raises(KnownError, match="There is a file of this name already"):
        check_output(source, PROJECT)


def test_the_output_is_looked_at_before_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results(tmp_path / "quiz.csv")
    (tmp_path / "hard.csv").hardlink_to(tmp_path / "quiz.csv")
    for name in ("hard.csv", "quiz.csv"):
        arguments = ["run", tmp_path / "p.errormap", tmp_path / "quiz.csv", "-o", tmp_path / name, "--progress", "none"]
        assert cli.main([str(one) for one in arguments]) == 2
        assert "The output is one of the inputs." in capsys.readouterr().err
    assert listed(tmp_path) == ["hard.csv", "quiz.csv"]


def test_where_standard_output_goes_is_not_replaced(project: Project, tmp_path: Path) -> None:
    """`-o /dev/stdout > atlas.json` names a file through this very process."""
    with (tmp_path / "out.json").open("wb") as out:
        done = subprocess.run(
            [sys.executable, "-m", "errormap_core.cli", "export", str(project.path), "-o", "/dev/stdout"],
            stdout=out, stderr=subprocess.PIPE, encoding="utf-8",
        )  # fmt: skip
    assert (done.returncode, (tmp_path / "out.json").read_bytes()) == (2, b"")
    assert "ErrorMap Studio is using this file." in done.stderr


def test_a_prompt_that_was_edited_is_not_written_over(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "terse.toml"
    arguments = ["prompt", str(project.path), "full", "--write", str(file)]
    assert cli.main(arguments) == 0
    assert cli.main(arguments) == 0, "it says the same still"
    file.write_text(file.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    assert cli.main(arguments) == 2
    assert file.read_text(encoding="utf-8").endswith("# mine\n")


def test_the_settings_stay_linked_and_private(tmp_path: Path) -> None:
    kept = tmp_path / "dotfiles.json"
    kept.write_text('{"user.name": "Ann"}', encoding="utf-8")
    kept.chmod(0o600)
    link = tmp_path / "settings.json"
    link.symlink_to(kept)
    UserSettings(link)["user.initials"] = "AB"
    assert link.is_symlink()
    assert (mode(kept), UserSettings(kept)["user.initials"]) == (0o600, "AB")
