"""What is told to people never steers their terminal, and telling it never decides whether the work was done."""

import contextlib
import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from errormap_core import cli
from errormap_core.errors import KnownError
from errormap_core.reporting import Reporter
from errormap_core.sentences import tr, trn
from errormap_core.tasks import Progress
from errormap_core.visible_text import visible, visible_json, visible_sentence

HEADER = "example_id,model,input_text,output_text,score\n"
EVIL = "evil\x1b]0;owned\x07\x9b31m\u202egnp.exe\x7f"


def python(*arguments: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, *map(str, arguments)], **{"capture_output": True, **options})


def studio(*arguments: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return python("-m", "errormap_core.cli", *arguments, **options)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    (tmp_path / "quiz.csv").write_text(HEADER + f'e1,"{EVIL}",Q,A,0\ne2,m,Q,A,1\n', encoding="utf-8")
    path = tmp_path / "p.errormap"
    assert cli.main(["import", str(path), str(tmp_path / "quiz.csv"), "--progress", "none"]) == 0
    return path


def harmless(text: str) -> bool:
    return not any(
        (ord(c) < 0x20 and c != "\n") or 0x7F <= ord(c) < 0xA0 or c in "\u200e\u200f\u061c\u202e\u2066" for c in text
    )


@pytest.mark.parametrize(
    ("text", "alone", "in_lines"),
    [
        ("\x1b[31m", "␛[31m", "␛[31m"),
        ("a\nb\tc", "a␊b␉c", "a\nb\tc"),
        ("a\r\nb\rc", "a␍␊b␍c", "a\nb␍c"),
        ("\x9b2J\x7f", "\\x9b2J␡", "\\x9b2J␡"),
        ("\u202eexe\u2069\u200f", "\\u202eexe\\u2069\\u200f", "\\u202eexe\\u2069\\u200f"),
        ("r\udce9sultats", "r\\xe9sultats", "r\\xe9sultats"),
        ("\ud800", "\\ud800", "\\ud800"),
        ("a\u2028b", "a\\u2028b", "a\\u2028b"),
        ("naïve ✓ العربية 👩\u200d🔬", "naïve ✓ العربية 👩\u200d🔬", "naïve ✓ العربية 👩\u200d🔬"),
    ],
)
def test_what_steers_is_shown(text: str, alone: str, in_lines: str) -> None:
    assert visible(text) == alone
    assert visible(text, lines=True) == in_lines
    assert json.loads(visible_json({text: [text]})) == {text: [text]}
    assert harmless(visible_json({text: [text]}, indent=2))


def test_values_stay_on_the_line_of_their_sentence() -> None:
    inner = trn("{n:,} row of {name}", "{n:,} rows of {name}", 1234, name="a\nb")
    assert visible_sentence(tr("{inner}:\n{x:.2f}", inner=inner, x=0.125)) == "1,234 rows of a␊b:\n0.12"
    error = KnownError(tr("No {name}.", name="\x1b"), where="r\udce9.csv", fix=tr("Do."))
    assert visible_sentence(error) == "r\\xe9.csv: No ␛. Do."


def test_the_names_of_data_do_not_reach_the_terminal_as_they_are(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*arguments: str) -> tuple[str, str]:
        with contextlib.suppress(SystemExit):  # of argparse
            cli.main(["stats", *arguments])
        out, err = capsys.readouterr()
        assert harmless(out)
        assert harmless(err)
        return out, err

    assert "evil␛]0;owned␇\\x9b31m\\u202egnp.exe␡" in told(str(made))[0]
    assert EVIL in [row["name"] for row in json.loads(told(str(made), "--json")[0])["models"]]
    assert "␛]0;owned" in told(str(made), f"--{EVIL}")[1]
    assert "␛[31m: There is no such project." in told(f"{made}\x1b[31m")[1]


def test_a_bar_shows_the_names_of_files_harmlessly(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = Reporter("bar", as_json=False)

    def work() -> Any:
        yield Progress("import", 1, 2, tr("{file}", file=EVIL))
        yield Progress("import", 2, 2, EVIL)

    reporter.drive(work())
    bar = capsys.readouterr().err.replace("\r", "")
    assert "evil␛]0;owned" in bar
    assert harmless(bar)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_what_a_terminal_cannot_show_is_escaped(tmp_path: Path, encoding: str) -> None:
    source = tmp_path / "übung ✓ 😀.csv"
    source.write_text(HEADER + "e1,m,Q,A,0\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = studio("import", tmp_path / "p.errormap", source, "--json", env=environment)
    assert (done.returncode, b"cannot be" in done.stderr) == (0, False)
    assert json.loads(done.stdout.decode(encoding))["files"][0]["dataset"] == "übung ✓ 😀"
    told = studio("stats", "--help" if encoding == "ascii" else tmp_path / "p.errormap", env=environment)
    assert told.returncode == 0


class Failing(io.StringIO):
    """A stream that fails as those on a full disk, or of a reader that has gone, do."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, text: str) -> int:
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EPIPE, errno.EIO])
@pytest.mark.parametrize("lost", [("stdout",), ("stderr",), ("stdout", "stderr")])
def test_telling_does_not_decide(
    made: Path, monkeypatch: pytest.MonkeyPatch, number: int, lost: tuple[str, ...]
) -> None:
    more = made.with_name("more.csv")
    more.write_text(HEADER + "e1,m,Q,A,0\ne2,m,Q,A,x\n", encoding="utf-8")
    for name in lost:
        monkeypatch.setattr(sys, name, Failing(number))
    assert cli.main(["import", str(made), str(more)]) == 1, "a row was left out, and no more"
    assert cli.main(["set", str(made), "--ratio", "0.5"]) == 0
    assert cli.main(["export", str(made), "-o", str(made.with_name("a.json")), "--json"]) == 0
    assert made.with_name("a.json").exists()
    told = cli.main(["stats", str(made)])
    assert told == (2 if "stdout" in lost and number != errno.EPIPE else 0)


def full(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    with open("/dev/full", "wb") as nowhere:
        return subprocess.run(command, stdout=nowhere, stderr=subprocess.PIPE)


def gone(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return subprocess.run(command, stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(writing)


def closed(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["sh", "-c", '"$@" >&-', "sh", *command], stderr=subprocess.PIPE)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize(("lose", "code_of_stats"), [(full, 2), (gone, 0), (closed, 2)])
def test_the_exit_code_of_a_process_whose_output_is_lost(
    made: Path, lose: Callable[[list[str]], subprocess.CompletedProcess[bytes]], code_of_stats: int
) -> None:
    base = [sys.executable, "-m", "errormap_core.cli"]
    done = lose([*base, "set", str(made), "--ratio", "0.25", "--threshold", "quiz=0.5"])
    assert (done.returncode, b"What the command did is kept." in done.stderr) == (0, True)
    told = lose([*base, "stats", str(made)])
    assert told.returncode == code_of_stats
    assert (b"could not be written" in told.stderr) == (code_of_stats == 2)
    for one in (done, told):
        assert b"Traceback" not in one.stderr
        assert b"Exception ignored" not in one.stderr


@pytest.mark.parametrize("streams", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_command_without_standard_error_does_its_work(made: Path, streams: str) -> None:
    """Failed before: progress was drawn on a stream that is not there, and the crash had the code 1 of 'some rows left out'."""
    (made.parent / "more.csv").write_text(HEADER + "e1,m,Q,A,0\n", encoding="utf-8")
    command = [sys.executable, "-m", "errormap_core.cli", "import", str(made), str(made.parent / "more.csv")]
    done = subprocess.run(["sh", "-c", f'"$@" {streams}', "sh", *command], stdout=subprocess.PIPE)
    assert done.returncode == 0
    told = json.loads(studio("stats", made, "--json").stdout)
    assert told["records"] == 3
