"""Import of ErrorMap's CSV: what is good gets in once, what is not is told with its line, nothing is half done."""

import csv
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errormap_core.errors import KnownError
from errormap_core.importers import format_of
from errormap_core.importers.errormap_csv import preview
from errormap_core.importers.importing import ImportResult, import_files
from errormap_core.importers.survey import guess_sentence, survey
from errormap_core.project import queries
from errormap_core.project.store import Project
from tests.core.building import add_analyses

HEADER = "example_id,model,input_text,output_text,score,correct_answer\n"
GOOD = "e1,m1,Q1,A1,0,C1\ne1,m2,Q1,A1b,1,C1\ne2,m1,Q2,A2,0.5,\n"


def run_import(project: Project, *paths: Path, **options: Any) -> list[ImportResult]:
    work = import_files(project, list(paths), **options)
    while True:
        try:
            next(work)
        except StopIteration as end:
            results: list[ImportResult] = end.value
            return results


def write(path: Path, text: str, *, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def dump(project: Project) -> list[str]:
    """The whole content of the file, as SQL."""
    return list(project.db.conn.iterdump())


def test_good_rows_get_in(project: Project, tmp_path: Path) -> None:
    [result] = run_import(project, write(tmp_path / "quiz.csv", HEADER + GOOD))
    assert (result.dataset, result.n_rows, result.n_added, result.n_lost) == ("quiz", 3, 3, 0)
    assert result.threshold == 0.35, "round(0.7 x mean score, 2)"
    assert result.n_failures == 1
    rows = list(project.db.query("SELECT * FROM record ORDER BY source_line"))
    assert [(r["source_line"], r["model"], r["correct_answer"], r["score"]) for r in rows] == [
        (2, "m1", "C1", 0.0),
        (3, "m2", "C1", 1.0),
        (4, "m1", None, 0.5),
    ]


def test_importing_again_changes_nothing(project: Project, tmp_path: Path) -> None:
    path = write(tmp_path / "quiz.csv", HEADER + GOOD)
    run_import(project, path)
    before = dump(project)
    [result] = run_import(project, path)
    assert (result.n_added, result.n_unchanged) == (0, 3)
    (tmp_path / "copy").mkdir()
    run_import(project, write(tmp_path / "copy" / "quiz.csv", HEADER + GOOD))
    assert dump(project) == before


def test_extra_columns_and_another_order_are_kept(project: Project, tmp_path: Path) -> None:
    text = "Score ;Level; MODEL;example_id;output_text;input_text\n0;hard;m;e;A;Q\n"
    [result] = run_import(project, write(tmp_path / "x.csv", text))
    assert result.n_added == 1
    assert project.db.execute("SELECT extra, score, model FROM record").fetchone() == ('{"Level": "hard"}', 0.0, "m")


BROKEN = """e1,m,Q,A,0,
e2,m,Q,A,many,
e3,m,Q
e4,m,Q,"two
lines",1,
,m,Q,A,0,

e5,,Q,A,0,
e6,m,Q,A,"0,5",
e7,m,Q,,0,
e1,m,Q,A,0,
e1,m,Q,other,0,
e8,m,Q,A,nan,
e9,m,Q,A,1,
"""


def test_every_problem_has_its_line(project: Project, tmp_path: Path) -> None:
    [result] = run_import(project, write(tmp_path / "x.csv", HEADER + BROKEN))
    assert [(p.line, p.field, p.code, p.is_kept) for p in result.problems] == [
        (3, "score", "score", False),
        (4, "", "fields", False),
        (7, "example_id", "empty_key", False),
        (9, "model", "empty_key", False),
        (10, "score", "score", False),
        (11, "output_text", "empty_answer", True),
        (14, "score", "score", False),
        (13, "", "conflict", False),
    ]
    assert (result.n_added, result.n_duplicates, result.n_conflicts, result.n_blank) == (4, 1, 1, 1)
    assert dict(result.n_skipped) == {"score": 3, "fields": 1, "empty_key": 2}
    assert "Use a decimal point" in str(result.problems[4])
    assert "stands in line 2" in str(result.problems[-1])


def test_a_broken_row_can_roll_all_back(project: Project, tmp_path: Path) -> None:
    before = dump(project)
    good, bad = write(tmp_path / "good.csv", HEADER + GOOD), write(tmp_path / "bad.csv", HEADER + BROKEN)
    with pytest.raises(KnownError, match=r"7 rows cannot be imported; nothing was\. bad\.csv, line 3, score"):
        run_import(project, good, bad, on_error="rollback")
    assert dump(project) == before
    run_import(project, good, on_error="rollback")
    assert project.db.execute("SELECT count(*) FROM record").fetchone() == (3,)


def test_a_conflict_is_kept_or_replaced(project: Project, tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", HEADER + "e1,m,Q,A,0,\n")
    run_import(project, path)
    [(record_id,)] = project.db.execute("SELECT id FROM record").fetchall()
    add_analyses(project, {record_id: "Old"})
    write(path, HEADER + "e1,m,Q,B,0,\n")
    [result] = run_import(project, path)
    assert (result.n_conflicts, str(result.problems[0])) == (
        1,
        "x.csv, line 2: The project has the record e1 of m with other content; it was kept.",
    )
    assert queries.totals(project.db).states["analysed"] == 1
    [result] = run_import(project, path, on_conflict="replace")
    assert (result.n_replaced, result.n_conflicts) == (1, 0)
    assert project.db.execute("SELECT id, output_text FROM record").fetchall() == [(record_id, "B")]
    detail = queries.record_detail(project.db, record_id)
    assert [a.is_outdated for a in detail.analyses] == [True]
    assert detail.state == "waiting", "an outdated analysis does not count"


def test_the_threshold_stays_that_of_the_first_import(project: Project, tmp_path: Path) -> None:
    run_import(project, write(tmp_path / "x.csv", HEADER + "e1,m,Q,A,1,\n"))
    [result] = run_import(project, write(tmp_path / "x.csv", HEADER + "e2,m,Q,A,0,\n"))
    assert (result.threshold, result.n_failures) == (0.7, 1)


@pytest.mark.parametrize(
    ("encoding", "named", "is_guess"),
    [
        ("utf-8", "utf-8", False),
        ("utf-8-sig", "utf-8-sig", False),
        ("utf-16", "utf-16", False),
        ("cp1252", "cp1252", True),
    ],
)
def test_encodings(project: Project, tmp_path: Path, encoding: str, named: str, is_guess: bool) -> None:
    path = write(tmp_path / "x.csv", HEADER + "é1,m,“Wie?”,Größe,0,\n", encoding=encoding)
    [result] = run_import(project, path)
    assert (result.encoding, result.is_guess, result.n_added) == (named, is_guess, 1)
    assert project.db.execute("SELECT example_id, output_text FROM record").fetchone() == ("é1", "Größe")


@pytest.mark.parametrize("start", ["sep=;\n", ""])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_spreadsheets_ways(project: Project, tmp_path: Path, start: str, end: str) -> None:
    text = start + HEADER.replace(",", ";") + 'e1;m;"a;b\nc";A;0;\nbad;m;Q;A;x;\n'
    [result] = run_import(project, write(tmp_path / "x.csv", text.replace("\n", end)))
    assert result.n_added == 1
    assert [p.line for p in result.problems] == [4 + bool(start)]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty"),
        (b"example_id,model\n", "columns input_text, output_text, score are missing"),
        (b"example_id,modell,input_text,output_text,score\n", "column model is missing.*Did you mean modell"),
        (b"example_id,model,input_text,output_text,score,Score\n", "column score is there twice"),
        (b"\x00\x01\x02\xff" * 50, "not a text file"),
    ],
)
def test_what_cannot_be_imported(project: Project, tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    before = dump(project)
    with pytest.raises(KnownError, match=sentence) as caught:
        run_import(project, path)
    assert str(path) in str(caught.value)
    assert str(caught.value.fix)
    assert dump(project) == before


def test_missing_folders_and_other_files(project: Project, tmp_path: Path) -> None:
    with pytest.raises(KnownError, match="no such file"):
        run_import(project, tmp_path / "missing.csv")
    with pytest.raises(KnownError, match="folder, not a file"):
        run_import(project, tmp_path)
    (tmp_path / "link.csv").symlink_to(tmp_path / "nowhere")
    with pytest.raises(KnownError, match="no such file"):
        run_import(project, tmp_path / "link.csv")
    with pytest.raises(KnownError, match=r"No importer reads files that end in “\.xlsx”"):
        format_of(Path("a.xlsx"))


def test_a_header_alone_is_an_import_of_nothing(project: Project, tmp_path: Path) -> None:
    before = dump(project)
    [result] = run_import(project, write(tmp_path / "x.csv", HEADER))
    assert result.n_rows == 0
    assert dump(project) == before


def test_an_import_that_is_stopped_leaves_nothing(project: Project, tmp_path: Path) -> None:
    rows = "".join(f"e{i},m,Q,A,0,\n" for i in range(2000))
    before = dump(project)
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 2

    assert run_import(project, write(tmp_path / "x.csv", HEADER + rows), cancelled=stop) == []
    assert dump(project) == before


def test_sampling_and_thresholds_work_on_what_was_imported(project: Project, tmp_path: Path) -> None:
    rows = "".join(f"e{i},m{m},Q,A,{m},\n" for i in range(100) for m in (0, 1))
    run_import(project, write(tmp_path / "x.csv", HEADER + rows))
    assert queries.totals(project.db).n_failures == 100


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from('\n",;\t='), max_size=30)


@settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
@given(rows=st.lists(st.tuples(TEXTS, TEXTS, TEXTS, st.floats(-5, 5)), min_size=1, max_size=8))
def test_what_goes_in_comes_back(tmp_path_factory: Any, rows: list[tuple[str, str, str, float]]) -> None:
    folder = tmp_path_factory.mktemp("csv")
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["example_id", "model", "input_text", "output_text", "score", "correct_answer", "note"])
    for i, (question, answer, note, score) in enumerate(rows):
        writer.writerow([f"e{i}", "m", question, answer, repr(score), "C", note])
    with Project.create(folder / "p.errormap") as project:
        [result] = run_import(project, write(folder / "x.csv", text.getvalue()))
        assert result.n_added == len(rows)
        found = project.db.execute("SELECT input_text, output_text, extra, score FROM record ORDER BY source_line")
        import json

        back = [(q, a, json.loads(x)["note"], s) for q, a, x, s in found]
    assert back == rows


def test_the_preview_tells_what_the_import_will_find(tmp_path: Path) -> None:
    seen = preview(write(tmp_path / "x.csv", HEADER + GOOD + BROKEN))
    assert (seen.dataset, seen.models, seen.whole_file, seen.delimiter) == ("x", ["m", "m1", "m2"], True, ",")
    assert (len(seen.rows), seen.n_problems) == (9, 7)
    assert seen.threshold is not None


MEMORY = """
import sys
from pathlib import Path
from errormap_core.importers.importing import import_files
from errormap_core.project.store import Project
with Project.create(Path(sys.argv[2])) as project:
    for progress in import_files(project, [Path(sys.argv[1])]):
        pass
    n = project.db.execute("SELECT count(*) FROM record").fetchone()[0]
status = Path("/proc/self/status").read_text()
print(n, status.split("VmHWM:")[1].split()[0])
"""


@pytest.mark.soak
def test_memory_is_bounded(tmp_path: Path) -> None:
    """A large file (40 MB; 1 GB in the soak) takes little more memory than the program itself."""
    megabytes = 1000 if os.environ.get("ERRORMAP_SOAK") else 40
    path = tmp_path / "large.csv"
    answer = "word " * 400
    n = megabytes * 1_000_000 // 2_040
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER)
        file.writelines(f"e{i},m{i % 4},Question {i},{answer},{i % 2},C\n" for i in range(n))
    arguments = [sys.executable, "-c", MEMORY, str(path), str(tmp_path / "p.errormap")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=Path.cwd())
    n_records, peak_kb = map(int, done.stdout.split())
    assert n_records == n
    assert peak_kb < 400_000
    print(f"soak: {megabytes:,} MB, {n:,} rows imported with a peak of {peak_kb // 1024:,} MiB")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"e1,m,In April,a,0\ne2,m,In Apr\xffil,a,1\n", "a guess: 1 place is not UTF-8, in line 3"),
        (b"e1,m,caf\xe9,a,0\ne2,m,caf\xe9,na\xefve,1\n", "a guess: 3 places are not UTF-8, the first in line 2"),
        (b'e1,m,"two\nlines",a,0\n' * 70_000 + b"e2,m,caf\xe9,a,1\n", "a guess: 1 place is not UTF-8, in line 140,002"),
    ],
)
def test_a_guessed_encoding_says_where_it_is_not_utf8(tmp_path: Path, body: bytes, said: str) -> None:
    """Before, one damaged byte became a letter of Windows-1252, and nothing said where."""
    path = tmp_path / "quiz.csv"
    path.write_bytes(b"example_id,model,input_text,output_text,score\n" + body)
    seen = survey(path)
    assert (seen.encoding, seen.is_guess) == ("cp1252", True)
    assert said in str(guess_sentence(seen.is_guess, seen.not_utf8))
