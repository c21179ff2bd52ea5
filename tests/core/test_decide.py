"""Decisions from a file and proposals for a program: each line a step, what is wrong told with its line, twice is once."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from errormap_core import cli
from errormap_core.decide_job import FIELDS, FIELDS_OF_KIND, decide_from
from errormap_core.ids import content_id
from errormap_core.project import queries, teaching
from errormap_core.project.check import check
from errormap_core.project.pending import KINDS, pending_proposals
from errormap_core.project.proposing import NewProposal
from errormap_core.project.store import Project
from errormap_core.tasks import driven
from errormap_core.taxonomy.operations import AddCategory, RenameCategory
from tests.core.building import add_proposals
from tests.core.taxonomy.bench import Bench, ask, parts_of
from tests.core.taxonomy.curation import make_curated, snapshot


class Desk(Bench):
    """A bench whose project decisions are given to by files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "desk.errormap")
        self.file = folder / "decisions.jsonl"

    def give(self, *lines: dict[str, Any] | str) -> dict[str, Any]:
        """What came of a file with these lines."""
        texts = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
        self.file.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        return self.again()

    def again(self) -> dict[str, Any]:
        return driven(decide_from(self.project, self.file, actor=self.ann)).to_json()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    assert [str(problem.sentence) for problem in check(made.project, replay=True)] == []
    made.project.close()


def problems(result: dict[str, Any]) -> list[tuple[int, str, str]]:
    return [(problem["line"], problem["field"], problem["sort"]) for problem in result["problems"]]


def several(desk: Desk) -> tuple[list[dict[str, Any]], list[str]]:
    """Decisions of many kinds, and the ids that they are about."""
    top, below = add_proposals(
        desk.project,
        [
            {"name": "Logic", "records": desk.ids[15:17]},
            {"name": "Quantifiers", "records": desk.ids[17:19], "parent": 0},
        ],
    )
    merge = desk.merge("Sums", "Adding", "Mixed", name="Arithmetic")
    question = ask(desk, desk.ids[20], {"category_id": desk.of["Adding"]}, {"category_id": desk.of["Sums"]})
    lines: list[dict[str, Any]] = [
        {"proposal": below, "verdict": "accept", "reason": "Clear enough."},
        {"proposal": merge, "verdict": "edit", "without": ["Mixed"], "into": desk.of["Adding"], "name": "Computation"},
        {"proposal": question, "verdict": "skip"},
        {"proposal": question, "verdict": "accept", "target": "logic/quantifiers"},
    ]
    return lines, [top, below, merge, question]


def test_each_line_is_a_step_with_its_actor_and_reason(desk: Desk) -> None:
    lines, (top, below, merge, question) = several(desk)
    n = len(queries.history(desk.project.db))
    result = desk.give(*lines)
    assert (result["decided"], result["edit"], result["accept"], result["skip"]) == (4, 2, 1, 1)
    assert problems(result) == []
    steps = queries.history(desk.project.db)
    assert len(steps) == n + 4
    assert steps[3].reason == "Clear enough."
    assert desk.names() == ["Computation", "Mixed", "Logic", "Logic / Quantifiers", "Other / Notation"]
    assert desk.decision(top)["verdict"] == "accept", "the one above comes along"
    assert desk.ids[20] in queries.failure_ids(desk.project.db, category_ids=[desk.decision(below)["category_id"]])
    assert desk.decision(question)["verdict"] == "edit", "another place than the first is an edit"
    assert desk.decision(merge)["details"]["without"] == [desk.of["Mixed"]]


def test_a_file_that_is_given_twice_changes_nothing_the_second_time(desk: Desk) -> None:
    lines, _ = several(desk)
    desk.give(*lines)
    before, n = snapshot(desk.project), len(queries.history(desk.project.db))
    result = desk.again()
    assert (result["decided"], result["already_decided"]) == (0, 4)
    assert problems(result) == []
    assert snapshot(desk.project) == before
    assert len(queries.history(desk.project.db)) == n
    desk.do(RenameCategory(category_id=desk.of["Mixed"], name="Mingled"))  # a path in the file leads nowhere now
    assert desk.again()["already_decided"] == 4


def test_what_was_undone_is_decided_again(desk: Desk) -> None:
    merge = desk.merge("Sums", "Adding")
    line = {"proposal": merge, "verdict": "accept"}
    desk.give(line)
    desk.project.undo(actor=desk.ann)
    assert desk.again()["accept"] == 1


def test_of_contradicting_lines_the_first_stays(desk: Desk) -> None:
    merge, split = desk.merge("Sums", "Adding"), desk.propose("split", parts_of(desk, "Dates", "Units"))
    result = desk.give(
        {"proposal": merge, "verdict": "reject"},
        {"proposal": merge, "verdict": "accept"},
        {"proposal": split, "verdict": "edit", "without": ["Dates"]},
        {"proposal": split, "verdict": "edit", "without": ["Units"]},
        {"proposal": split, "verdict": "edit", "without": ["p0"]},
        {"proposal": split, "verdict": "skip"},
    )
    assert (result["decided"], result["already_decided"], result["contradicting"]) == (2, 2, 2)
    assert problems(result) == [(2, "verdict", "contradicting"), (4, "verdict", "contradicting")]
    assert "Adding" in desk.names()
    assert "Units" in desk.names()


BAD_LINES = [
    ("not json", "", "broken"),
    ('["a list"]', "", "broken"),
    ('{"verdict": "accept"}', "proposal", "broken"),
    ('{"proposal": "{id}"}', "verdict", "broken"),
    ('{"proposal": 7, "verdict": "accept"}', "proposal", "broken"),
    ('{"proposal": "{id}", "verdict": "perhaps"}', "verdict", "unknown"),
    ('{"proposal": "no such", "verdict": "accept"}', "proposal", "unknown"),
    ('{"proposal": "{id}", "verdict": "accept", "tagret": "x"}', "tagret", "broken"),
    ('{"proposal": "{id}", "verdict": "edit", "without": "x"}', "without", "broken"),
    ('{"proposal": "{id}", "verdict": "edit", "without": [1]}', "without", "broken"),
    ('{"proposal": "{id}", "verdict": "edit", "without": ["x"]}', "without", "unknown"),
    ('{"proposal": "{id}", "verdict": "edit", "into": "Nowhere / At all"}', "into", "unknown"),
    ('{"proposal": "{id}", "verdict": "edit", "parts": [{"name": "x"}]}', "parts", "broken"),
    ('{"proposal": "{id}", "verdict": "edit", "name": "Mixed"}', "", "refused"),
    ('{"proposal": "{id}", "verdict": "edit", "name": ""}', "", "refused"),
    ("[" * 20_000, "", "broken"),
    ("[" * 900 + "]" * 900, "", "broken"),
    ('{"proposal": "{id}", "verdict": "edit", "name": "Sums \\ud83d"}', "name", "broken"),
    ('{"proposal": "{id}", "verdict": "reject", "reason": "\\ud83d"}', "reason", "broken"),
    ('{"proposal": "\\ud83d", "verdict": "accept"}', "proposal", "broken"),
    ('{"proposal": "{id}", "verdict": "edit", "into": "\\udc00"}', "into", "broken"),
    ('{"proposal": "{id}", "verdict": "edit", "without": ["\\udc00"]}', "without", "broken"),
    ('{"proposal": "{id}", "verdict": "accept", "\\ud83d": "x"}', "", "broken"),
    ('{"proposal": "{id}", "verdict": "\\ud83d"}', "verdict", "broken"),
    ('{"proposal": "{id}", "verdict": "edit", "name": "Su\\u0000ms"}', "name", "broken"),
    ('{"proposal": "{id}", "verdict": "accept", "name": ' + "7" * 5_000 + "}", "", "broken"),
    ('{"proposal": "{id}", "verdict": "edit", "target": "Sums"}', "target", "broken"),
    ('{"proposal": "{id}", "verdict": "edit", "record": "x"}', "record", "broken"),
    ('{"record": "no such", "verdict": "skip"}', "record", "unknown"),
]


@pytest.mark.parametrize(("line", "field", "sort"), BAD_LINES)
def test_a_line_that_cannot_be_taken_is_told_and_the_others_are_taken(
    desk: Desk, line: str, field: str, sort: str
) -> None:
    merge = desk.merge("Sums", "Adding")
    desk.propose("rename", {"category_id": desk.of["Mixed"], "name": "Reading"})
    good = {"proposal": desk.waits()[0], "verdict": "accept"}
    result = desk.give(line.replace("{id}", merge), "", good)
    assert problems(result) == [(1, field, sort)]
    assert result[sort] == 1
    assert (result["decided"], result["lines"]) == (1, 2)
    assert "Reading" in desk.names()


BAD_PARTS: list[dict[str, Any]] = [
    {"name": 7},
    {"name": None},
    {"name": "x\ud83d"},
    {"name": "x\0"},
    {"members": 5},
    {"members": None},
    {"members": [[1]]},
    {"description": 5},
    {"nmae": "x"},
]


@pytest.mark.parametrize("values", BAD_PARTS)
def test_parts_of_a_wrong_type_are_told(desk: Desk, values: dict[str, Any]) -> None:
    split = desk.propose("split", parts_of(desk, "Dates", "Units"))
    bad = json.dumps({"proposal": split, "verdict": "edit", "parts": [{"id": "p0", **values}]})
    good = {"proposal": split, "verdict": "edit", "parts": [{"id": "p0", "name": "Days", "description": None}]}
    result = desk.give(bad, good)
    assert problems(result) == [(1, "parts", "broken")]
    assert result["edit"] == 1
    assert {"Days", "Units"} <= set(desk.names())


def test_fields_of_another_kind_are_told(desk: Desk) -> None:
    of = desk.of
    made = {
        "create": add_proposals(desk.project, [{"name": "Logic", "records": desk.ids[15:17]}])[0],
        "assign": desk.propose("assign", {"category_id": of["Sums"]}, desk.ids[17:19]),
        "merge": desk.merge("Sums", "Adding"),
        "promote": desk.propose("promote", {"category_id": of["Notation"]}),
        "move": desk.propose("move", {"category_id": of["Notation"], "parent_id": of["Mixed"]}),
        "split": desk.propose("split", parts_of(desk, "Dates", "Units")),
        "rename": desk.propose("rename", {"category_id": of["Mixed"], "name": "Reading"}),
        "describe": desk.propose("describe", {"category_id": of["Mixed"], "description": "Of several kinds."}),
        "place": ask(desk, desk.ids[20], {"category_id": of["Adding"]}),
    }
    assert set(made) == set(KINDS) == set(FIELDS_OF_KIND)
    values = {"name": "N", "description": "D", "parent": "Sums", "target": "Sums", "without": [], "into": "Sums",
              "parts": [], "below": True, "record": desk.ids[21]}  # fmt: skip
    for kind, proposal in made.items():
        foreign = [name for name in values if name == "record" or name not in FIELDS_OF_KIND[kind]]
        before = snapshot(desk.project)
        result = desk.give(*({"proposal": proposal, "verdict": "edit", name: values[name]} for name in foreign))
        assert problems(result) == [(n, name, "broken") for n, name in enumerate(foreign, start=1)], kind
        assert snapshot(desk.project) == before


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"target": "Sums", "name": "New"}, "name"),
        ({"target": "Sums", "parent": "Mixed"}, "parent"),
        ({"parent": "Mixed"}, "parent"),
        ({"description": "Of what?"}, "description"),
    ],
)
def test_an_answer_is_a_place_or_a_new_category(desk: Desk, values: dict[str, str], field: str) -> None:
    question = ask(desk, desk.ids[20], {"category_id": desk.of["Adding"]})
    assert problems(desk.give({"proposal": question, "verdict": "edit", **values})) == [(1, field, "broken")]


# Questions that were not asked here


def question_id(record: str) -> str:
    return content_id("proposal", "place", record)


def test_answers_are_taken_where_the_questions_were_not_asked(desk: Desk) -> None:
    a, b, c, d = desk.ids[20:24]
    lines: list[dict[str, Any]] = [
        {"record": a, "verdict": "accept", "target": "Sums"},
        {"proposal": question_id(b), "verdict": "edit", "name": "New", "parent": "Mixed"},
        {"record": c, "verdict": "skip"},
        {"record": c, "proposal": question_id(c), "verdict": "edit", "target": "Other / Notation"},
        {"proposal": question_id(d), "verdict": "unsure"},
    ]
    result = desk.give(*lines)
    assert problems(result) == []
    assert (result["decided"], result["edit"], result["skip"], result["unsure"]) == (5, 3, 1, 1)
    assert a in desk.held("Sums")
    assert c in desk.held("Notation")
    assert "Mixed / New" in desk.names()
    before = snapshot(desk.project)
    result = desk.again()
    assert (result["decided"], result["already_decided"], problems(result)) == (0, 5, [])
    assert snapshot(desk.project) == before
    assert desk.give({"record": a, "verdict": "reject"})["contradicting"] == 1
    for _ in range(5):
        desk.project.undo(actor=desk.ann)
    assert a not in desk.held("Sums")
    assert desk.give(*lines)["decided"] == 5, "and once more after all was undone"


def test_questions_that_were_asked_stay_as_they_are(desk: Desk) -> None:
    a, b = desk.ids[20:22]
    asked = ask(desk, a, {"category_id": desk.of["Adding"]})
    result = desk.give({"record": b, "verdict": "skip"}, {"record": a, "verdict": "accept"})
    assert problems(result) == []
    assert a in desk.held("Adding"), "the likeliest"
    waits = pending_proposals(desk.project.db)
    assert [(row.id, row.kind, row.state, row.arguments["candidates"]) for row in waits] == [
        (question_id(b), "place", "skipped", [])
    ]
    assert asked == question_id(a)


@pytest.mark.parametrize(
    ("values", "field", "sort"),
    [
        ({}, "target", "broken"),
        ({"target": "Nowhere"}, "target", "unknown"),
        ({"name": "New", "parent": "Nowhere"}, "parent", "unknown"),
        ({"name": "   "}, "name", "refused"),
        ({"name": "x" * 201}, "name", "refused"),
        ({"target": "Sums", "into": "Sums"}, "into", "broken"),
    ],
)
def test_an_answer_that_cannot_be_taken_leaves_no_question(
    desk: Desk, values: dict[str, str], field: str, sort: str
) -> None:
    record = desk.ids[20]
    lines = [{key: value, "verdict": "accept", **values} for key, value in
             (("record", record), ("proposal", question_id(record)))]  # fmt: skip
    assert problems(desk.give(*lines)) == [(1, field, sort), (2, field, sort)]
    assert desk.waits() == []
    assert desk.give({"record": record, "verdict": "edit", "target": "Sums"})["edit"] == 1


def test_a_failure_that_somebody_placed_is_not_placed_again(desk: Desk) -> None:
    assert problems(desk.give({"record": desk.ids[0], "verdict": "edit", "target": "Mixed"})) == [(1, "", "refused")]
    assert desk.waits() == []


def test_the_queue_goes_on_after_answers_that_it_did_not_ask_for(desk: Desk) -> None:
    desk.give(
        {"record": desk.ids[20], "verdict": "edit", "target": "Sums"},
        {"record": desk.ids[21], "verdict": "skip"},
    )
    arguments = {"record_id": desk.ids[22], "candidates": []}
    question = NewProposal(question_id(desk.ids[22]), "place", arguments, {}, 0.5, None, [(desk.ids[22], None)])
    with desk.project.writing() as db:
        teaching.save_questions(db, {"encoder": "test"}, [question], {"certainty": None})
    result = desk.give({"record": desk.ids[23], "verdict": "edit", "target": "Mixed"})
    assert result["edit"] == 1
    assert question.id in desk.waits()
    assert teaching.queue_certainty(desk.project.db) is None
    assert desk.ids[21] in teaching.decided_failures(desk.project.db).deferred


def test_a_last_line_without_its_end(desk: Desk) -> None:
    first, second = desk.merge("Sums", "Adding"), desk.merge("Mixed", "Notation")
    whole = json.dumps({"proposal": first, "verdict": "reject"})
    cut = json.dumps({"proposal": second, "verdict": "reject"})
    desk.file.write_text(f"{whole}\n{cut[:-9]}", encoding="utf-8")
    result = desk.again()
    assert (result["decided"], problems(result)) == (1, [(2, "", "broken")])
    assert "cut off" in result["problems"][0]["text"]
    desk.file.write_bytes(b"\xef\xbb\xbf" + f"{whole}\r\n{cut}".encode())
    result = desk.again()
    assert (result["decided"], result["already_decided"], problems(result)) == (1, 1, []), "an end that is only missing"


def test_a_stale_one_is_told_and_taken_as_it_is_where_the_line_says_so(desk: Desk) -> None:
    merge = desk.merge("Sums", "Adding")
    desk.do(RenameCategory(category_id=desk.of["Sums"], name="Totals"))
    line = {"proposal": merge, "verdict": "accept"}
    result = desk.give(line)
    assert problems(result) == [(1, "", "refused")]
    assert "is called “Totals” now" in result["problems"][0]["text"]
    assert desk.give({**line, "as_is": True})["decided"] == 1
    assert "Adding" not in desk.names()
    assert desk.give({**line, "as_is": True})["already_decided"] == 1


def test_below_a_rejected_one_nothing_is_accepted(desk: Desk) -> None:
    top, below = add_proposals(
        desk.project,
        [
            {"name": "Logic", "records": desk.ids[15:17]},
            {"name": "Quantifiers", "records": desk.ids[17:19], "parent": 0},
        ],
    )
    result = desk.give({"proposal": top, "verdict": "reject"}, {"proposal": below, "verdict": "accept"})
    assert problems(result) == [(2, "", "refused")]
    assert "was rejected" in result["problems"][0]["text"]


def test_places_are_given_by_id_or_path_and_may_be_new(desk: Desk) -> None:
    a, b, c, d = (ask(desk, desk.ids[n], {"category_id": desk.of["Adding"]}) for n in (20, 21, 22, 23))
    desk.do(AddCategory(name="A/B testing", parent_id=desk.of["Sums"]))
    result = desk.give(
        {"proposal": a, "verdict": "edit", "target": " OTHER / notation"},
        {"proposal": b, "verdict": "edit", "target": "Sums / A/B testing"},
        {"proposal": c, "verdict": "edit", "name": "New", "parent": "Sums", "description": "Not seen before."},
        {"proposal": d, "verdict": "edit", "name": "Newer", "parent": None},
    )
    assert problems(result) == []
    assert desk.ids[20] in desk.held("Notation")
    assert {"Sums / New", "Newer"} <= set(desk.names())


def test_a_path_that_may_be_several_is_told(desk: Desk) -> None:
    desk.add("Input/Output")
    desk.add("Units", "Input/Output")
    lines = [
        {"record": key, "verdict": "accept", "target": target}
        for key, target in zip(
            desk.ids[20:24], ("input / OUTPUT/units", "Output / Units", "Input/Output/Units/Units", "/"), strict=True
        )
    ]
    assert [(line, field) for line, field, _ in problems(desk.give(*lines))] == [
        (2, "target"),
        (3, "target"),
        (4, "target"),
    ]
    assert desk.held("Units") == desk.ids[20:21]
    desk.add("Input")
    desk.add("Output", "Input")
    (told,) = desk.give({"record": desk.ids[21], "verdict": "accept", "target": "Input / Output"})["problems"]
    assert "one of several" in told["text"]


@pytest.mark.parametrize(("values", "path"), [({"parent": "Sums"}, "Sums / Notation"), ({"parent": ""}, "Notation")])
def test_a_parent_may_be_the_top(desk: Desk, values: dict[str, str], path: str) -> None:
    move = desk.propose("move", {"category_id": desk.of["Notation"], "parent_id": desk.of["Mixed"]})
    desk.give({"proposal": move, "verdict": "edit", **values})
    assert path in desk.names()


def test_every_field_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "decisions.md").read_text(encoding="utf-8")
    for name in (*FIELDS, *KINDS):
        assert f"`{name}`" in text


# The command line


def run(*arguments: str | Path) -> int:
    return cli.main([str(a) for a in arguments])


def test_decide_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project, _, _ = make_curated(tmp_path / "p.errormap")
    rows = pending_proposals(project.db)
    project.close()
    file = tmp_path / "d.jsonl"
    file.write_text(
        "".join(json.dumps({"proposal": row.id, "verdict": "reject"}) + "\n" for row in rows), encoding="utf-8"
    )
    assert run("decide", project.path, "--file", file, "--as", "Bo Lee", "--json", "--progress", "none") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["reject"], said["losses"]) == (len(rows), 0)
    assert run("decide", project.path, "--file", file, "--progress", "none") == 0
    assert f"Took 0 decisions; {len(rows)} were decided already." in capsys.readouterr().out
    file.write_text('{"proposal": "x", "verdict": "accept"}\n', encoding="utf-8")
    assert run("decide", project.path, "--file", file, "--progress", "none") == 1
    assert "line 1, proposal: There is no proposal with the id x." in capsys.readouterr().err
    assert run("decide", project.path, "--file", tmp_path / "missing.jsonl", "--progress", "none") == 2
    assert "missing.jsonl" in capsys.readouterr().err
    with Project.open(project.path) as again:
        assert {row.actor for row in queries.history(again.db, limit=len(rows))} == {"Bo Lee"}


def _all_rejected(path: Path, folder: Path) -> Path:
    """A file that rejects all that waits in the project at `path`."""
    with Project.open(path) as project:
        rows = pending_proposals(project.db)
    file = folder / "rejected.jsonl"
    lines = [json.dumps({"proposal": row.id, "verdict": "reject"}) for row in rows]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def test_propose_lists_what_waits_by_worth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project, _, _ = make_curated(tmp_path / "p.errormap")
    project.close()
    asked = ("propose", project.path, "--kind", "merge", "--kind", "place", "--limit", "3")
    assert run(*asked, "--json", "--progress", "none") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["run"] is None, "no clusters were asked for"
    assert said["repair"]["run"] is not None
    assert 0 < len(said["pending"]) <= 3
    assert {row["kind"] for row in said["pending"]} <= {"merge", "place"}
    assert [row["worth"] for row in said["pending"]] == sorted((row["worth"] for row in said["pending"]), reverse=True)
    assert set(said["pending"][0]) == {
        "id", "kind", "name", "title", "why", "worth", "members", "members_below", "parent", "state", "arguments",
    }  # fmt: skip
    assert run("propose", project.path, "--kind", "merge", "--progress", "none") == 0
    assert "  Merge “" in capsys.readouterr().out
    assert run("decide", project.path, "--file", _all_rejected(project.path, tmp_path), "--progress", "none") == 0
    assert run("propose", project.path, "--kind", "promote", "--progress", "none") == 0
    assert "No proposal waits for a decision." in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        run("propose", project.path, "--kind", "guess")
    assert ended.value.code == 2


def test_accept_all_leaves_changes_of_the_tree_to_be_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project, _, _ = make_curated(tmp_path / "p.errormap")
    project.close()
    assert run("accept", project.path, "--all", "--progress", "none") == 0
    with Project.open(project.path) as again:
        left = {row.kind for row in pending_proposals(again.db)}
        assert left.isdisjoint({"create"})
        assert {"merge", "split", "place"} <= left
        n = len(pending_proposals(again.db))
    assert "Accepted" in capsys.readouterr().out
    assert run("accept", project.path, "--all", "--progress", "none") == 0  # said before: 'No proposal waits'
    assert f"Nothing was accepted; {n} other proposals wait" in capsys.readouterr().out


def test_an_answer_may_say_which_categories_mean_the_same(desk: Desk) -> None:
    question = ask(desk, desk.ids[20], {"category_id": desk.of["Adding"]})
    line = {"proposal": question, "verdict": "edit", "target": desk.of["Adding"], "same": [desk.of["Mixed"]]}
    assert problems(desk.give(line)) == []
    assert desk.project.tree.resolve(desk.of["Mixed"]).id == desk.of["Adding"]
    bad = {"record": desk.ids[21], "verdict": "edit", "target": desk.of["Adding"], "same": [7]}
    assert problems(desk.give(bad)) == [(1, "same", "broken")]
