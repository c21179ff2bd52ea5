"""Broken quotes lose their row and no other; a sound file is read as it is, whatever its fields hold."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errormap_core.importers.errormap_csv import read_records
from errormap_core.importers.records import RawRecord, RowProblem
from errormap_core.importers.survey import survey

COLUMNS = ["example_id", "model", "input_text", "output_text", "score", "correct_answer"]
CODE = 'def f(x):\n    return "a, b" if x else \'c\'\n\n\nprint(f(1), "x")\n'
SAME_TABLE = 'example_id,model,input_text,output_text,score,correct_answer\n1,m0,q,a,0,five\n2,m1,q,"b ""c""",1,six\n'
OTHER_TABLE = "id,name,price,qty,total,tax\n1,apple,2,3,6,0\n2,pear,1,1,1,0\n"
TEXTS = [
    CODE,
    SAME_TABLE,
    OTHER_TABLE,
    "",
    "\n\nAnswer: 5",
    "a, b, c, d, e, f",
    ", well",
    '",',
    '"\n"',
    'say "hi"',
    '{"a": [1], "b": "x, y"}',
    "C:\\dir\\",
    '\\"',
    "x,",
    "one\r\ntwo",
    "5 MB: " + "long " * 1000,
]


def row(number: int, question: str = "q", answer: str = "a", correct: str = "five") -> list[str]:
    return [f"e{number}", f"m{number % 2}", question, answer, str(number % 2), correct]


def written(rows: list[list[str]], **options: Any) -> str:
    text = io.StringIO()
    csv.writer(text, **{"lineterminator": "\n", **options}).writerows([COLUMNS, *rows])
    return text.getvalue()


def read(path: Path, text: str) -> tuple[list[RawRecord], list[RowProblem]]:
    path.write_bytes(text.encode())
    items = list(read_records(survey(path), "d"))
    records = [item for item in items if isinstance(item, RawRecord)]
    return records, [item for item in items if isinstance(item, RowProblem) and item.code != "empty_answer"]


def back(record: RawRecord) -> list[str]:
    question, answer = record.input_text, record.output_text
    return [record.example_id, record.model, question, answer, f"{record.score:g}", record.correct_answer or ""]


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    texts=st.lists(
        st.tuples(*[st.sampled_from(TEXTS) | st.text(st.sampled_from('ab",\n\r\\;\t'))] * 2), min_size=1, max_size=12
    ),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_a_sound_file_is_read_as_it_is(
    tmp_path_factory: Any, texts: list[tuple[str, str]], quoting: Any, delimiter: str, end: str
) -> None:
    rows = [row(i, *pair) for i, pair in enumerate(texts)]
    if (
        end == "\n" and quoting == csv.QUOTE_MINIMAL
    ):  # then the writer leaves carriage returns unquoted, which nobody reads
        rows = [[value.replace("\r", "") for value in each] for each in rows]
    text = written(rows, quoting=quoting, delimiter=delimiter, lineterminator=end)
    records, problems = read(tmp_path_factory.mktemp("csv") / "x.csv", text)
    assert [back(record) for record in records] == rows
    assert [str(p) for p in problems if p.code != "rows_inside"] == []


@pytest.mark.parametrize("column", range(6))
@pytest.mark.parametrize("at", [1, 4, 8])
@pytest.mark.parametrize("behind", ["plain", "quoted", "lines", "begins with a line end", "begins with a comma"])
def test_a_quote_that_is_not_closed_loses_its_row(tmp_path: Path, column: int, at: int, behind: str) -> None:
    """Failed before: all rows to the next quote, or to the end, went into the field and were gone without a word."""
    answer = {"plain": "a", "quoted": 'say "yes, sir"', "lines": CODE, "begins with a comma": ", well"}.get(
        behind, "\na\n"
    )
    rows = [row(i, answer=answer) for i in range(9)]
    lines = written(rows).replace("\ne", "\0e").split("\0")
    values = rows[at]
    cells = [written([[value]]).removeprefix(",".join(COLUMNS) + "\n").removesuffix("\n") for value in values]
    cells[column] = '"' + values[column].replace('"', '""')
    lines[1 + at] = ",".join(cells) + "\n"
    records, problems = read(tmp_path / "x.csv", "\n".join(line.removesuffix("\n") for line in lines) + "\n")
    expected = [each for i, each in enumerate(rows) if i != at]
    assert [back(record) for record in records if record.example_id != f"e{at}"] == expected
    line = sum(each.count("\n") for each in ["x\n", *(",".join(r) + "\n" for r in rows[:at])]) + 1
    assert problems and problems[0].line == line and problems[0].code in ("quote", "fields")
    assert all(back(record) in rows for record in records)


def test_a_quote_in_the_header_is_told_and_the_rows_are_read(tmp_path: Path) -> None:
    rows = [row(i) for i in range(5)]
    for name in COLUMNS:
        records, problems = read(tmp_path / "x.csv", written(rows).replace(name, '"' + name, 1))
        assert [back(record) for record in records] == rows
        assert [(p.line, p.code) for p in problems] == [(1, "quote")], name


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('e1,m,q,"a"b,0,x\ne2,m,q,a,0,x\n', [2]),
        ('e1,m,q,"a ""b" c",0,x\ne2,m,q,a,0,x\n', [2]),
        ('e1,m,q,he said, "a",0,x\ne2,m,q,a,0,x\n', [2]),
        ('e1",m,q,a,0,x\ne2,m,q,a,0,x\n', [2]),
        ('e1,m,q,"a\nb" c\nd",0,x\ne2,m,q,a,0,x\n', [2]),
    ],
)
def test_text_behind_a_quote_is_told(tmp_path: Path, text: str, lines: list[int]) -> None:
    records, problems = read(tmp_path / "x.csv", ",".join(COLUMNS) + "\n" + text)
    assert [record.example_id for record in records] == ["e2"]
    assert [p.line for p in problems] == lines


def test_quotes_behind_backslashes_are_understood(tmp_path: Path) -> None:
    """As Spark writes them. Failed before: the text was kept with backslashes in it and quotes out of it."""
    values = [
        'He said "yes, sir" and left',
        '"no"',
        '{"a": "x, y"}',
        "\\frac{1}{2}, \\n",
        'ends in "',
        'two\nlines, "q"',
    ]
    rows = [row(i, answer=value) for i, value in enumerate(values)]
    lines = [",".join(COLUMNS)]
    for each in rows:
        lines.append(",".join('"' + v.replace('"', '\\"') + '"' if '"' in v or "," in v else v for v in each))
    records, problems = read(tmp_path / "x.csv", "\n".join(lines) + "\n")
    assert [back(record) for record in records] == rows
    assert problems == []


def test_quotes_written_in_two_ways_are_told_one_by_one(tmp_path: Path) -> None:
    text = 'e1,m,q,"say ""a"" b",0,x\ne2,m,q,"say \\"a\\" b",0,x\ne3,m,q,a,0,x\n'
    records, problems = read(tmp_path / "x.csv", ",".join(COLUMNS) + "\n" + text)
    assert [record.example_id for record in records] == ["e1", "e3"]
    assert [p.line for p in problems] == [3]


def test_two_broken_quotes_that_make_one_row_of_many_are_noticed(tmp_path: Path) -> None:
    rows = [row(i) for i in range(9)]
    text = (
        written(rows).replace("e2,m0,q,a,0,five", 'e2,m0,q,a,0,"five').replace("e6,m0,q,a,0,five", 'e6,m0,q,a,0,five"')
    )
    _, problems = read(tmp_path / "x.csv", text)
    assert [(p.line, p.code, p.is_kept) for p in problems] == [(4, "rows_inside", True)]


@pytest.mark.parametrize(
    "line",
    ['e,m,"q,a,1,five\n', 'e{i},m,"\n', 'e{i},m,"q,a,1,five\n', 'e{i},m,"",a,x,five\n', 'e{i},m{i},q,a,1,"five"\n'],
)
def test_work_on_broken_quotes_grows_with_the_file_only(tmp_path: Path, line: str) -> None:
    """Counted, not timed: how often a line is handed out, a line that was put back counting again."""
    from errormap_core.importers import csv_rows

    n, handed = 3000, 0
    real = csv_rows.Lines.next

    def counted(self: csv_rows.Lines) -> str | None:
        nonlocal handed
        handed += 1
        return real(self)

    text = ",".join(COLUMNS) + '\ne,m,"q,a,1,five\n' + "".join(line.replace("{i}", str(i)) for i in range(n))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_rows.Lines, "next", counted)
        read(tmp_path / "x.csv", text)
    assert handed < 12 * n
