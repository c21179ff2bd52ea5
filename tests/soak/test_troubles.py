"""What other programs and full disks do to the file that is open: told, nothing acknowledged lost, the window free."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.soak.troubles import TROUBLES

SOAK = bool(os.environ.get("ERRORMAP_SOAK"))


def trouble(where: str, kind: str, folder: Path) -> dict[str, Any]:
    env = {**os.environ, "ERRORMAP_STUDIO_DATA": str(folder / "data")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak.troubles", where, kind, str(folder)], capture_output=True, text=True, env=env
    )
    assert done.returncode == 0, done.stderr
    row: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"soak: {where}: {json.dumps(row, ensure_ascii=False)}")
    return row


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 12 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)], capture_output=True)
    if mount.returncode:
        pytest.skip("only root can make a disk of its own")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.soak
@pytest.mark.parametrize("kind", TROUBLES if SOAK else ["moved"])
def test_a_file_that_goes_while_the_window_has_it(kind: str, tmp_path: Path) -> None:
    row = trouble("window", kind, tmp_path)
    assert row["told"]
    assert "Saved" not in row["state"]
    assert row["acknowledged"] > 0
    assert row["lost"] == 0


if SOAK:  # these take minutes, or need a disk of their own

    @pytest.mark.soak
    @pytest.mark.parametrize("kind", TROUBLES)
    def test_a_file_that_goes_while_a_judge_has_it(kind: str, tmp_path: Path) -> None:
        row = trouble("job", kind, tmp_path)
        assert row["rc"] == 2
        assert row["kept"] is not None
        assert row["kept"] >= row["told_done"]

    @pytest.mark.soak
    def test_a_file_that_another_program_locks(tmp_path: Path) -> None:
        row = trouble("window", "locked", tmp_path)
        assert row["told"]
        assert "Waiting" in row["state"] or "wait" in row["state"]
        assert row["acknowledged"] == 12
        assert row["lost"] == 0

    @pytest.mark.soak
    @pytest.mark.parametrize("where", ["window", "job"])
    def test_a_disk_that_is_full(where: str, small_disk: Path) -> None:
        row = trouble(where, "disk full", small_disk)
        assert any("full" in said or "no room" in said for said in row["told"])
        if where == "window":
            assert row["lost"] == 0
        else:
            assert row["kept"] >= row["told_done"]
