"""The atlas: what it says adds up, and goes out, in and out again with the same bytes."""

import json
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from errormap_core.errors import KnownError
from errormap_core.exporters.atlas import atlas_document, balance, encode, schema, write_atlas
from errormap_core.importers.atlas import import_atlas, read_atlas
from errormap_core.project import counting, queries
from errormap_core.project.check import check
from errormap_core.project.schema import OTHER_ID
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import (
    AssignFailures,
    DecideProposals,
    MoveCategories,
    RenameCategory,
    Ruling,
    SetChoice,
    WriteAnalysis,
)
from tests.core.building import add_analyses, add_proposals, add_records
from tests.core.taxonomy.curation import Choices, build
from tests.core.taxonomy.test_curation import make_project

KINDS = "add rename describe annotate move merge split delete assign unassign mark note analysis threshold choice decide".split()


def curated(path: Path, seed: int, *, n: int = 120) -> Project:
    """A project after `n` random steps, some undone and redone."""
    project, records, proposals = make_project(path)
    actor, choices, chance = project.annotator("Ann Bee"), Choices(project, records, proposals), random.Random(seed)
    for _ in range(n):
        numbers = [chance.randrange(10**6) for _ in range(3)]
        try:
            project.apply(
                build(choices, chance.choice(KINDS), numbers, ["text", "more"], f"N{chance.randrange(30)}"), actor=actor
            )
        except KnownError:
            continue
        if chance.random() < 0.2:
            project.undo(actor=actor)
            if chance.random() < 0.5:
                project.redo(actor=actor)
    return project


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("examples", "history"), [(0, False), (3, True)])
def test_out_in_and_out_again(tmp_path: Path, seed: int, examples: int, history: bool) -> None:
    with curated(tmp_path / "a.errormap", seed) as project:
        first = write_atlas(project, tmp_path / "a.json", examples=examples, history=history)
        assert balance(first) == []
        assert check(project, replay=True) == []
    with Project.create(tmp_path / "b.errormap", title="Another") as other:
        import_atlas(other, tmp_path / "a.json", actor=other.annotator("Bob"))
        write_atlas(other, tmp_path / "b.json", examples=examples, history=history)
        assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
        assert check(other, replay=True) == []
        before = encode(atlas_document(other))
        other.undo(actor=other.annotator("Bob"))
        assert [c.name for c in other.tree] == ["Other", "Hard to Analyze"]
        other.redo(actor=other.annotator("Bob"))
        assert encode(atlas_document(other)) == before


def test_an_atlas_of_an_older_version_goes_in_and_out_as_it_is(tmp_path: Path) -> None:
    """Without what versions since say of places and looks, which it never had and does not get."""
    with curated(tmp_path / "a.errormap", 3) as project:
        document = atlas_document(project)
    for name in ("looked_at", "placed_by", "diagnosed_by"):
        del document["totals"][name]
    document["totals"]["states"]["analysed"] += document["totals"]["states"].pop("placed")
    for each in (*document["models"], *(item["counts"] for item in document["categories"])):
        del each["looked_at"]
    path = tmp_path / "older.json"
    path.write_bytes(encode(document))
    with Project.create(tmp_path / "b.errormap") as again:
        import_atlas(again, path, actor=again.annotator("Bo"))
        assert encode(atlas_document(again)) == path.read_bytes()
        assert check(again) == []


def test_imported_counts_stand_apart_from_live_ones(tmp_path: Path, analysed: tuple[Project, list[str]]) -> None:
    project, ids = analysed
    me = project.annotator("Ann")
    project.apply(AssignFailures(record_ids=tuple(ids[:5]), category_id=OTHER_ID), actor=me)
    write_atlas(project, tmp_path / "a.json")
    with Project.create(tmp_path / "b.errormap") as other:
        import_atlas(other, tmp_path / "a.json", actor=other.annotator("Bob"))
        new = add_records(other, [{"example_id": "new"}])
        add_analyses(other, {new[0]: "Another error"})
        other.apply(AssignFailures(record_ids=(new[0],), category_id=OTHER_ID), actor=other.annotator("Bob"))
        document = write_atlas(other, tmp_path / "b.json")
        item = next(c for c in document["categories"] if c["id"] == OTHER_ID)
        assert (item["counts"]["own"], item["imported"]["counts"]["own"]) == (1, 5)
        assert (document["totals"]["failures"], document["imported"]["totals"]["failures"]) == (1, 12)
        assert balance(document) == []
    with Project.create(tmp_path / "c.errormap") as third:
        import_atlas(third, tmp_path / "b.json", actor=third.annotator("Cy"))
        write_atlas(third, tmp_path / "c.json")
    assert (tmp_path / "b.json").read_bytes() == (tmp_path / "c.json").read_bytes()


def test_each_counted_failure_stands_once(analysed: tuple[Project, list[str]]) -> None:
    project, ids = analysed
    me = project.annotator("Ann")
    project.apply(AssignFailures(record_ids=tuple(ids[:5]), category_id=OTHER_ID), actor=me)
    document = atlas_document(project)
    assert document["totals"]["counted"] == 12
    assert document["totals"]["unplaced"] == 7
    document["categories"][0]["counts"]["own"] += 1
    assert balance(document)


def test_texts_of_records_only_if_asked_for(analysed: tuple[Project, list[str]]) -> None:
    project, ids = analysed
    project.apply(AssignFailures(record_ids=tuple(ids[:5]), category_id=OTHER_ID), actor=project.annotator("Ann"))
    assert "Answer e01" not in encode(atlas_document(project)).decode()
    document = atlas_document(project, examples=2)
    assert [len(c["examples"]) for c in document["categories"]] == [2, 0]


def break_at(path: str, value: Any) -> Any:
    """A change of one field of a document."""

    def change(document: Any) -> None:
        *way, last = [int(p) if p.isdigit() else p for p in path.split("/")]
        for part in way:
            document = document[part]
        if value is None:
            del document[last]
        else:
            document[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (break_at("format", "other"), "no atlas of ErrorMap Studio"),
        (break_at("format_version", 9), "format version 9"),
        (break_at("title", 7), "title: 7 is not of type 'string'"),
        (break_at("categories/0/name", None), "categories/0: 'name' is a required property"),
        (break_at("categories/0/extra", 1), "categories/0: Additional properties"),
        (break_at("categories/1/id", "A"), "categories/1/id: A is there twice"),
        (break_at("categories/1/parent", "nowhere"), "categories/1/parent: nowhere is no category before this one"),
        (break_at("categories/0/parent", "B"), "categories/0/parent: B is no category before"),
        (break_at("categories/1/name", "a"), "categories/1/name: “a” is there twice"),
        (break_at("categories/2/reserved", "hard"), "categories/2/reserved"),
        (
            break_at("redirects", [{"id": "X", "name": "X", "reason": "merged", "to": "A"}] * 2),
            "redirects/1/id: X is there twice",
        ),
        (break_at("categories/0/name", "  "), "categories/0/name"),
        (
            break_at("redirects", [{"id": "X", "name": "X", "reason": "merged", "to": "Y"}]),
            "redirects/0/to: Y is nowhere",
        ),
        (
            break_at("redirects", [{"id": "X", "name": "X", "reason": "merged", "to": "X"}]),
            "redirects/0/to: leads in a circle",
        ),
    ],
)
def test_a_broken_atlas_is_located(project: Project, tmp_path: Path, change: Any, sentence: str) -> None:
    from errormap_core.taxonomy.operations import AddCategory

    me = project.annotator("Ann")
    for name in "AB":
        project.apply(AddCategory(name=name, category_id=name), actor=me)
    document = write_atlas(project, tmp_path / "a.json")
    change(document)
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(KnownError) as caught:
        read_atlas(path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"", "empty"), (b"{", "line 1, column 2"), (b"[]", "no atlas"), (b"\xff\xfe{", "not UTF-8")],
)
def test_what_is_no_atlas(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(KnownError, match=sentence):
        read_atlas(path)


def test_an_atlas_is_not_mixed_into_another_tree(project: Project, tmp_path: Path) -> None:
    from errormap_core.taxonomy.operations import AddCategory

    me = project.annotator("Ann")
    write_atlas(project, tmp_path / "a.json")
    project.apply(AddCategory(name="A"), actor=me)
    with pytest.raises(KnownError, match="categories of its own"):
        import_atlas(project, tmp_path / "a.json", actor=me)


def test_an_export_that_fails_leaves_what_was_there(project: Project, tmp_path: Path) -> None:
    with pytest.raises(KnownError, match="no such folder"):
        write_atlas(project, tmp_path / "missing" / "a.json")
    with pytest.raises(KnownError, match="folder"):
        write_atlas(project, tmp_path)
    with pytest.raises(KnownError, match="not a folder"):
        write_atlas(project, Path("/dev/full/a.json"))


def test_check_finds_what_is_wrong(analysed: tuple[Project, list[str]]) -> None:
    project, ids = analysed
    me = project.annotator("Ann")
    assert check(project) == []
    project.db.execute("UPDATE failure SET state = 'waiting' WHERE record_id = ?", [ids[0]])
    assert [str(p.sentence) for p in check(project)] == ["1 derived row is not what the rules give (failure)."]
    project.db.execute("UPDATE failure SET state = 'analysed' WHERE record_id = ?", [ids[0]])
    project.apply(RenameCategory(category_id=_add(project, me, "A"), name="B"), actor=me)
    project.db.execute("UPDATE category SET name = 'Sneaked in' WHERE name = 'B'")
    assert [str(p.sentence) for p in check(project, replay=True)] == ["A replay of the log gives another category."]
    project.db.execute("PRAGMA foreign_keys = OFF")
    project.db.execute("DELETE FROM analysis WHERE record_id = ?", [ids[1]])
    assert any("refers to a row of analysis" in str(p.sentence) for p in check(project))


def _add(project: Project, actor: str, name: str) -> str:
    from errormap_core.taxonomy.operations import AddCategory

    op = AddCategory(name=name)
    project.apply(op, actor=actor)
    return op.category_id


def test_an_export_never_overwrites_its_project(analysed: tuple[Project, list[str]]) -> None:
    project, _ = analysed
    for end in ("", "-wal"):
        with pytest.raises(KnownError, match="the project itself"):
            write_atlas(project, Path(f"{project.path}{end}"))
    assert check(project) == []


def test_imported_texts_do_not_leave_unasked(tmp_path: Path, analysed: tuple[Project, list[str]]) -> None:
    project, ids = analysed
    project.apply(AssignFailures(record_ids=tuple(ids[:5]), category_id=OTHER_ID), actor=project.annotator("Ann"))
    write_atlas(project, tmp_path / "a.json", examples=3)
    with Project.create(tmp_path / "b.errormap") as other:
        import_atlas(other, tmp_path / "a.json", actor=other.annotator("Bob"))
        assert "Answer e" not in encode(atlas_document(other)).decode()
        add_records(other, [{"example_id": "new"}])
        assert "Answer e0" not in encode(atlas_document(other)).decode()
        write_atlas(other, tmp_path / "c.json", examples=3)
    assert "Answer e0" in (tmp_path / "c.json").read_text(encoding="utf-8")


def test_curating_an_imported_atlas_is_no_damage(tmp_path: Path) -> None:
    with curated(tmp_path / "a.errormap", 1) as project:
        write_atlas(project, tmp_path / "a.json", history=True)
    with Project.create(tmp_path / "b.errormap") as other:
        me = other.annotator("Bob")
        import_atlas(other, tmp_path / "a.json", actor=me)
        other.undo(actor=me)
        other.redo(actor=me)
        write_atlas(other, tmp_path / "b.json", history=True)
        assert (tmp_path / "b.json").read_bytes() == (tmp_path / "a.json").read_bytes()
        free = [c for c in other.tree if c.reserved is None]
        other.apply(MoveCategories(category_ids=(free[-1].id,), parent_id=OTHER_ID), actor=me)
        assert check(other, replay=True) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"format": "errormap-atlas", "x": NaN}', "/x: The value is no JSON number"),
        ('{"format": "errormap-atlas", "x": ' + "1" * 5000 + "}", "thousands of digits"),
        ('{"format": "errormap-atlas", "x": [1, ' + "1" * 400 + "]}", "/x/1: The number is too large"),
        ('{"format": "errormap-atlas", "a/b": [1e400]}', "/a~1b/0: The value is no JSON number, or too large"),
        ('{"format": "errormap-atlas", "x": ' + "[" * 500 + "]" * 500 + "}", "more than 200 deep"),
        ("[" * 100_000 + "]" * 100_000, "line 1, column 201: .*more than 200 deep"),
        ('{"format": "errormap-atlas", "title": "\\ud800"}', "/title: .*half of a character"),
    ],
    ids=["nan", "digits", "large", "infinite", "deep", "depth", "surrogate"],
)
def test_json_that_cannot_be_kept(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(KnownError, match=sentence):
        read_atlas(path)


@pytest.mark.parametrize(
    ("name", "kept", "said"),
    [
        ("long " * 500, "long " * 39 + "long…", "/categories/0/name: The name has 2,500 characters"),
        ("two\nlines\t and\x1b more", "two lines and more", "/categories/0/name: The name was written as"),
        ("a\u2028b\x07", "a b", "/categories/0/name: The name was written as"),
        ("plain", "plain", None),
    ],
)
def test_imported_names_obey_the_rules_of_editing(
    project: Project, tmp_path: Path, name: str, kept: str, said: str | None
) -> None:
    """Failed before: the names came as they were, and nothing was said."""
    me = project.annotator("Ann")
    _add(project, me, "A")
    document = write_atlas(project, tmp_path / "a.json")
    document["categories"][0]["name"] = name
    (tmp_path / "b.json").write_text(json.dumps(document), encoding="utf-8")
    with Project.create(tmp_path / "b.errormap") as other:
        _, notices = import_atlas(other, tmp_path / "b.json", actor=other.annotator("Bob"))
        assert kept in {category.name for category in other.tree}
        assert check(other, replay=True) == []
    assert [str(notice).startswith(said or "") for notice in notices] == ([True] if said else [])


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("x" * 300, "x" * 400, "categories/1/name: .*is there twice"),
        ("\x07", "B", "categories/0/name: a category needs a name"),
        ("A\x00", "B", "/categories/0/name: The text holds NUL"),
    ],
)
def test_names_that_cannot_be_mended_are_refused_with_their_place(
    project: Project, tmp_path: Path, first: str, second: str, said: str
) -> None:
    me = project.annotator("Ann")
    _add(project, me, "A")
    _add(project, me, "B")
    document = write_atlas(project, tmp_path / "a.json")
    document["categories"][0]["name"], document["categories"][1]["name"] = first, second
    (tmp_path / "b.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(KnownError, match=said):
        read_atlas(tmp_path / "b.json")


def test_a_name_that_is_no_text_is_refused_in_editing(project: Project) -> None:
    me = project.annotator("Ann")
    for name in ("a\0b", "a\x1bb", "x" * 201, " \n "):
        with pytest.raises(KnownError, match="name"):
            _add(project, me, name)


def test_check_tells_of_a_damaged_page_and_of_a_log_with_holes(tmp_path: Path) -> None:
    project = curated(tmp_path / "a.errormap", 2)
    project.db.execute("PRAGMA foreign_keys = OFF")
    entry = project.db.execute("SELECT undo_of FROM log WHERE undo_of IS NOT NULL LIMIT 1").fetchone()[0]
    project.db.execute("DELETE FROM log WHERE id = ?", [entry])
    said = [str(p.sentence) for p in check(project, replay=True)]
    assert any("refers to a row of log" in s for s in said)
    page = project.db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'failure'").fetchone()[0]
    project.close()
    data = bytearray((tmp_path / "a.errormap").read_bytes())
    data[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    (tmp_path / "a.errormap").write_bytes(data)
    with Project.open(tmp_path / "a.errormap") as broken:
        assert any("damaged" in str(p.sentence) for p in check(broken))


def test_a_replay_keeps_what_was_decided_when_machines_went_on(analysed: tuple[Project, list[str]]) -> None:
    """A record that was replaced after a person analysed it, and a proposal that a later run made again elsewhere."""
    project, ids = analysed
    me = project.annotator("Ann")
    op = WriteAnalysis(record_id=ids[0], verdict="error", error_title="Mine", error_summary="It is.")
    project.apply(op, actor=me)
    groups = [{"name": "P", "records": ids[:3]}, {"name": "C", "records": ids[3:6], "parent": 0}]
    first = add_proposals(project, groups, run="one")
    rulings = tuple(Ruling(proposal_id=i, verdict="accept") for i in first)
    project.apply(DecideProposals(rulings=rulings), actor=me)
    with project.writing() as db:
        db.execute("UPDATE record SET content_hash = 'another' WHERE id = ?", [ids[0]])
        counting.refresh(db, record_ids=[ids[0]])
    add_proposals(project, [{"name": "C", "records": ids[3:6]}, {"name": "P", "records": ids[:3]}], run="two")
    assert check(project, replay=True) == []


def test_settings_are_on_the_title_page(project: Project) -> None:
    me = project.annotator("Ann")
    for key, value in {"atlas.title": "T", "atlas.authors": ["A", "B"], "atlas.licence": "CC-BY-4.0"}.items():
        project.apply(SetChoice(key=key, value=value), actor=me)
    document = atlas_document(project)
    assert (document["title"], document["authors"], document["licence"]) == ("T", ["A", "B"], "CC-BY-4.0")
    assert queries.totals(project.db).n_failures == 0
