"""Fixtures of the core's tests: an empty project, and one with failures that were analysed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from errormap_core.project.store import Project
from tests.core.building import add_analyses, add_records


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "test.errormap") as made:
        yield made


@pytest.fixture
def annotator(project: Project) -> str:
    return project.annotator("Ann Bee")


@pytest.fixture
def analysed(project: Project) -> tuple[Project, list[str]]:
    """A project with 12 analysed failures of two models, and their ids."""
    rows = [{"example_id": f"e{i:02}", "model": f"m{i % 2}", "dataset": f"d{i % 3}"} for i in range(12)]
    ids = add_records(project, rows)
    add_analyses(project, {record_id: f"Error {i % 4}" for i, record_id in enumerate(ids)})
    return project, ids
