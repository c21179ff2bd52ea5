"""Damage is told with its place and costs its row only: bytes, NUL, empty columns, what stands above the header, names."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from errormap_core.errors import KnownError
from errormap_core.importers.errormap_csv import preview
from errormap_core.importers.importing import ImportResult, import_files
from errormap_core.importers.inputs import check_regular, found, shown
from errormap_core.importers.looking import look_at
from errormap_core.project.store import Project
from errormap_core.tasks import driven

HEADER = "example_id,model,input_text,output_text,score\n"
CHINESE = "".join(f"{i},m,问题 {i} 是什么?,答案是 {i} 。,{i % 2}\n" for i in range(10))


def import_bytes(project: Project, path: Path, raw: bytes, **options: Any) -> ImportResult:
    path.write_bytes(raw)
    [result] = driven(import_files(project, [path], **options))
    return result


def answers(project: Project) -> list[str]:
    return [row[0] for row in project.db.execute("SELECT output_text FROM record ORDER BY source_line")]


@pytest.mark.parametrize(
    ("raw", "at"),
    [
        (b"10,m,q,cut \xe7\xad,0\n", 11),  # a character that is cut
        (b"10,m,q,\xff,0\n", 7),
        (b"10,m,q,a,0\n11,m,\xe9t\xe9,a,0\n", 16),  # a row in another encoding
        (b"10,m,q,a,0\n11,m,q,a\xe4\xbd", 19),  # the end of the file is missing
    ],
)
def test_one_damaged_byte_costs_its_row(project: Project, tmp_path: Path, raw: bytes, at: int) -> None:
    """Failed before: the whole file was read as Windows-1252 and garbled."""
    sound = (HEADER + CHINESE).encode()
    result = import_bytes(project, tmp_path / "x.csv", sound + raw)
    assert result.encoding == "utf-8" and not result.is_guess
    assert answers(project)[:10] == [f"答案是 {i} 。" for i in range(10)]
    [problem] = result.problems
    assert problem.line == 12 + raw[:at].count(b"\n") and not problem.is_kept
    assert problem.code in ("encoding", "fields")
    if problem.code == "encoding":
        assert f"byte {len(sound) + at + 1:,} of the file" in str(problem)
    assert result.n_lost == 1


def test_a_byte_of_an_english_file_is_no_reason_to_guess(project: Project, tmp_path: Path) -> None:
    result = import_bytes(project, tmp_path / "x.csv", (HEADER + "1,m,q,a,0\n").encode() + b"2,m,q,\xf0\x9f\x98,0\n")
    assert (result.encoding, result.n_added, [p.code for p in result.problems]) == ("utf-8", 1, ["encoding"])


def test_what_is_no_western_text_is_not_taken_for_it(project: Project, tmp_path: Path) -> None:
    raw = (HEADER + "1,m,вопрос,ответ,0\n").encode("cp1251") + b"2,m,q,a,0\n"
    result = import_bytes(project, tmp_path / "x.csv", raw)
    assert (result.n_added, [(p.line, p.code) for p in result.problems]) == (1, [(2, "encoding")])


def test_a_damaged_name_of_a_column_costs_no_row(project: Project, tmp_path: Path) -> None:
    raw = HEADER.strip().encode() + b",not\xe9,\xe7\xad\n1,m,q,a,0,x,y\n2,m,q,\xe4\xbd\xa0,0,x,y\n"
    result = import_bytes(project, tmp_path / "x.csv", raw)
    assert (result.n_added, [(p.line, p.code, p.is_kept) for p in result.problems]) == (2, [(1, "header", True)])


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_utf_16_with_an_odd_byte(project: Project, tmp_path: Path, encoding: str) -> None:
    raw = (HEADER + CHINESE + "10,m,q,a,0").encode(encoding) + b"\0"
    result = import_bytes(project, tmp_path / "x.csv", raw)
    assert answers(project) == [f"答案是 {i} 。" for i in range(10)]
    assert [(p.line, p.code) for p in result.problems] == [(12, "encoding")]
    assert result.is_guess == (encoding != "utf-16")


def test_a_nul_costs_its_row(project: Project, tmp_path: Path) -> None:
    """Failed before: the file was refused without a place."""
    rows = "".join(f"{i},m,q,a,0\n" for i in range(10))
    result = import_bytes(
        project, tmp_path / "x.csv", (HEADER + rows + "10,m,q,zero\0byte,0\n" + "11,m,q,a,0\n").encode()
    )
    assert (result.n_added, [(p.line, p.field, p.code) for p in result.problems]) == (11, [(12, "output_text", "nul")])


@pytest.mark.parametrize("head", [b"PK\x03\x04", b"\x1f\x8b", b"PAR1", b"SQLite format 3\0"])
def test_files_of_another_kind_are_named(project: Project, tmp_path: Path, head: bytes) -> None:
    with pytest.raises(KnownError, match="not text"):
        import_bytes(project, tmp_path / "x.csv", head + b"\0\1\2" * 50)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("example_id,model,input_text,output_text,score,,", "{i},m,q,a,0,,"),
        ("example_id,model,input_text,output_text,score,,", "{i},m,q,a,0"),
        ("example_id,model,input_text,output_text,score", "{i},m,q,a,0,,,"),
        (",example_id,,model,input_text,output_text, ,score,", ",{i},,m,q,a,,0,"),
        ("example_id;model;input_text;output_text;score;;", "{i};m;q;a;0;"),
    ],
)
def test_empty_columns_are_not_looked_at(project: Project, tmp_path: Path, header: str, row: str) -> None:
    """Failed before: 'The column  is there twice.'"""
    text = header + "\n" + "".join(row.format(i=i) + "\n" for i in range(6))
    result = import_bytes(project, tmp_path / "x.csv", text.encode())
    assert (result.n_added, result.problems) == (6, [])


def test_a_nameless_column_that_holds_something_is_told_once(project: Project, tmp_path: Path) -> None:
    text = "," + HEADER + "0,1,m,q,a,0\n1,2,m,q,a,0\n"
    result = import_bytes(project, tmp_path / "x.csv", text.encode())
    assert (result.n_added, result.n_lost) == (2, 0)
    assert [str(p) for p in result.problems] == ["x.csv, line 2: Column 1 has no name; its values are not imported."]


def test_named_columns_are_not_there_twice(project: Project, tmp_path: Path) -> None:
    with pytest.raises(KnownError, match="columns note, score are there twice"):
        import_bytes(project, tmp_path / "x.csv", b"example_id,model,input_text,output_text,score,Score,note,note,,\n")


BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("before", "n_lines"),
    [
        (b"\n", 1),
        (b"\r\n  \r\n", 2),
        (b",,,,\n", 1),
        (BOM + BOM, 0),
        (BOM + b"\n" + BOM, 1),
        (b"sep=,\n", 1),
        (BOM + b'"sep=,"\r\n\r\n', 2),
        (b"# made by a tool\n# on a day\n", 2),
    ],
)
def test_what_stands_above_the_header_is_passed(project: Project, tmp_path: Path, before: bytes, n_lines: int) -> None:
    """Failed before: 'The file has no columns.', 'Did you mean example_id?'"""
    rows = b"1,m,q,a,0\n2,m,q,a,many\n"
    result = import_bytes(project, tmp_path / "x.csv", before + HEADER.encode() + rows)
    assert (result.n_added, [p.line for p in result.problems]) == (1, [3 + n_lines])


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ('example_id,model,input_text,output_text,"score', "score"),  # failed before: '1 left out' of which none was
        ('example_id,model,input_text,output_text,score"', "score"),  # failed before: 'The column score is missing.'
        ('"example_id","model","input_text,"output_text","score"', "input_text"),
        ('example_id","model","input_text","output_text","score"', "example_id"),
    ],
)
def test_a_quote_without_partner_in_the_header_costs_no_row(
    project: Project, tmp_path: Path, header: str, column: str
) -> None:
    result = import_bytes(project, tmp_path / "x.csv", f"{header}\n1,m,q,a,0\n2,m,q,a,1\n".encode())
    assert (result.n_added, result.n_lost) == (2, 0)
    assert [(p.line, p.field, p.code, p.is_kept) for p in result.problems] == [(1, column, "quote", True)]


def test_a_header_further_below_is_pointed_at(project: Project, tmp_path: Path) -> None:
    with pytest.raises(KnownError, match=r"line 1: The columns .* are missing\..* Line 3 names the columns"):
        import_bytes(project, tmp_path / "x.csv", b"Results of June\n\n" + HEADER.encode() + b"1,m,q,a,0\n")


def test_an_import_of_nothing_is_none(project: Project, tmp_path: Path) -> None:
    text = (HEADER + "".join(f"{i},m,q,a,yes\n" for i in range(4))).encode()
    with pytest.raises(
        KnownError, match=r"x\.csv: None of the 4 rows can be imported, all for the same reason.*line 2, score"
    ):
        import_bytes(project, tmp_path / "x.csv", text)


@pytest.mark.parametrize(("text", "encoding"), [("问题", "gbk"), ("Вопрос", "koi8-r")])
def test_a_file_in_another_encoding_is_told_what_to_do(
    project: Project, tmp_path: Path, text: str, encoding: str
) -> None:
    rows = "".join(f"{i},m,{text} {i},a,0\n" for i in range(4))
    with pytest.raises(KnownError, match=r"not UTF-8 \(byte \d+ of the file\).* save it as UTF-8\."):
        import_bytes(project, tmp_path / "x.csv", (HEADER + rows).encode(encoding))


def test_lines_around_a_broken_quote_are_not_told_as_one_row(project: Project, tmp_path: Path) -> None:
    """Said before of four rows: 'The only row cannot be imported', '1 left out'."""
    broken = "".join(f'{i},m,"q,a,0\n' for i in range(4))
    with pytest.raises(KnownError, match=r"x\.csv: No row can be imported\. .* Lines 2 to 5 are left out"):
        import_bytes(project, tmp_path / "x.csv", (HEADER + broken).encode())
    result = import_bytes(project, tmp_path / "x.csv", (HEADER + "9,m,q,a,1\n" + broken).encode())
    assert "1 left out (4 lines around broken quotes among them);" in str(result.sentence())


def cli(*arguments: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "errormap_core.cli", *map(os.fsencode, map(str, arguments))]
    return subprocess.run(command, capture_output=True, timeout=60, check=False, **options)


def test_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    """Failed before: 'utf-8' codec can't encode '\\udce9'."""
    path = tmp_path / os.fsdecode(b"r\xe9sultats.csv")
    path.write_text(HEADER + "1,m,q,a,0\n2,m,q,a,many\n", encoding="utf-8")
    done = cli("import", "--progress", "none", "--json", tmp_path / "p.errormap", path)
    assert done.returncode == 1, done.stderr
    assert "r\ufffdsultats" in done.stdout.decode() and "r\ufffdsultats.csv, line 3" in done.stderr.decode()
    with Project.open(tmp_path / "p.errormap") as project:
        rows = project.db.execute("SELECT dataset, source_file FROM record").fetchall()
    assert rows == [("r\ufffdsultats", "r\ufffdsultats.csv")]
    assert preview(path).dataset == "r\ufffdsultats"
    assert found(tmp_path / "r\ufffdsultats.csv") == path, "the window can pass on nothing but what is shown"
    assert shown(Path("a\x1b[2J\n.csv")) == "a\ufffd[2J\ufffd.csv"


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    """Failed before: the pipe was waited for for ever, and no signal ended that."""
    os.mkfifo(tmp_path / "f.csv")
    for path, said in ((tmp_path / "f.csv", "pipe"), (tmp_path, "folder"), (Path("/dev/zero"), "device")):
        with pytest.raises(KnownError, match=said):
            check_regular(path)
        with pytest.raises(KnownError, match=said):
            look_at([path])
        with pytest.raises(KnownError, match=said):
            preview(path)
    done = cli("import", "--progress", "none", tmp_path / "p.errormap", tmp_path / "f.csv")
    assert (done.returncode, b"pipe" in done.stderr) == (2, True)
    assert not (tmp_path / "p.errormap").exists()
    done = cli("import", "--progress", "none", tmp_path / "p.errormap", "/dev/stdin", input=HEADER.encode())
    assert (done.returncode, b"pipe" in done.stderr) == (2, True)


def test_a_header_of_20_000_columns(tmp_path: Path) -> None:
    """Failed before: it took 29 s of the window's time."""
    path = tmp_path / "x.csv"
    extra = [f"c{i}" for i in range(20_000)]
    path.write_text(",".join([HEADER.strip(), *extra]) + "\n1,m,q,a,0" + ",v" * 20_000 + "\n", encoding="utf-8")
    assert len(preview(path).kept_columns) == 20_000
    path.write_text(",".join(extra) + "\n", encoding="utf-8")
    with pytest.raises(KnownError, match="c18, c19 and 19,980 more") as caught:
        preview(path)
    assert len(str(caught.value)) < 600
