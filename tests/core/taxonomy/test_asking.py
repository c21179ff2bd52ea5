"""What became of the likely categories of a question since they were shown."""

import pytest

from errormap_core.project.facts import ProjectFacts
from errormap_core.project.previewing import since_shown_on
from errormap_core.project.store import Project
from errormap_core.taxonomy.asking import Shown, since_shown
from errormap_core.taxonomy.operations import (
    AddCategory,
    DeleteCategories,
    DescribeCategory,
    MergeCategories,
    Operation,
    RenameCategory,
)


def add(project: Project, annotator: str, name: str) -> str:
    op = AddCategory(name=name)
    project.apply(op, actor=annotator)
    return op.category_id


@pytest.fixture
def pair(project: Project, annotator: str) -> tuple[str, str]:
    return add(project, annotator, "Sums"), add(project, annotator, "Units")


def changes(project: Project, shown: list[Shown], now: list[tuple[str, float]]) -> list[str]:
    candidates = [
        {"category_id": key, "name": project.tree.resolve(key).name, "probability": share} for key, share in now
    ]
    found = since_shown(shown, candidates, project.tree, ProjectFacts(project.db))
    assert found == since_shown_on(project.db, project.tree, shown, candidates)
    return [str(sentence) for sentence in found.changes()]


def test_nothing_changed(project: Project, pair: tuple[str, str]) -> None:
    a, b = pair
    shown = [Shown(a, "Sums", 0.6), Shown(b, "Units", 0.3)]
    assert changes(project, shown, [(a, 0.6), (b, 0.3)]) == []


@pytest.mark.parametrize(
    ("what", "said", "is_gone"),
    [
        ("rename", "“Sums” is called “Adding” now.", False),
        ("describe", "“Sums” was described anew meanwhile.", False),
        ("merge", "“Sums” was merged into “Units” meanwhile.", True),
        ("delete", "“Sums” was deleted meanwhile.", True),
    ],
)
def test_what_happens_to_a_category(
    project: Project, annotator: str, pair: tuple[str, str], what: str, said: str, is_gone: bool
) -> None:
    a, b = pair
    ops: dict[str, Operation] = {
        "rename": RenameCategory(category_id=a, name="Adding"),
        "describe": DescribeCategory(category_id=a, description="What is added"),
        "merge": MergeCategories(category_ids=(a, b), into=b),
        "delete": DeleteCategories(category_ids=(a,)),
    }
    project.apply(ops[what], actor=annotator)
    shown = [Shown(a, "Sums", 0.6), Shown(b, "Units", 0.3)]
    found = since_shown(shown, (), project.tree, ProjectFacts(project.db))
    assert [str(sentence) for sentence in found.changes()] == [said]
    assert found.became[a].is_gone is is_gone
    assert found.became[a].key == ("" if is_gone else a)


def test_what_is_likely_now(project: Project, annotator: str, pair: tuple[str, str]) -> None:
    a, b = pair
    c = add(project, annotator, "Reading")
    shown = [Shown(a, "Sums", 0.6), Shown(b, "Units", 0.3)]
    assert changes(project, shown, [(b, 0.5), (a, 0.4)]) == ["By what was decided since, “Units” is the likeliest."]
    assert changes(project, shown, [(a, 0.55), (b, 0.3), (c, 0.1)]) == [
        "By what was decided since, “Reading” is likely too."
    ]
    assert changes(project, shown, [(a, 0.9), (b, 0.05)]) == [
        "By what was decided since, the probabilities are others."
    ]
    assert changes(project, shown, [(a, 0.55), (b, 0.3), (c, 0.04)]) == []
    assert changes(project, [], [(a, 0.5)]) == ["By what was decided since, “Sums” is the likeliest."]
