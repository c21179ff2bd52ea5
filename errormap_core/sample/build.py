"""Builds the sample project from its text: records, gold analyses, the proposals that a real run made of them."""

import json
from pathlib import Path
from typing import Any

from errormap_core.caches import data_folder
from errormap_core.gold.fitting import fit_to_project
from errormap_core.ids import content_id, new_id
from errormap_core.importers.importing import import_files
from errormap_core.output_paths import refuse_log_of_another
from errormap_core.project.proposing import NewProposal, save_proposals
from errormap_core.project.runs import end_run, start_run
from errormap_core.project.store import Project
from errormap_core.resources import resource_path
from errormap_core.taxonomy.operations import MarkRecords, SetThreshold, WriteAnalyses

TITLE = "Sample"
VERSION = 2
"""In the name of the users' copies: to be counted up where the sample's text changes, so that they get the new one beside
the old."""

MAKER = "ErrorMap Studio"
ANNOTATOR = "Gold annotator"

MADE_AT = "2026-11-24T23:00:00.000Z"
"""When the log says that the steps of the sample were taken, so that every copy says the same."""

THRESHOLDS = {"formats": 1.0}
"""In this dataset 0.5 is for the right content in the wrong form, and the form is what is asked for."""


def questions() -> list[dict[str, Any]]:
    """The sample's questions, in the order of the file."""
    text = resource_path("sample", "questions.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def build_sample(path: Path, *, with_analyses: bool = True, with_proposals: bool = True) -> Project:
    """Make the sample's project at `path` and return it open. Raises KnownError where a file is there already.

    Records come from the CSVs in resources/sample; with `with_analyses` the gold analyses are there too, as those
    of the person who wrote them, and with `with_proposals` the proposals that a real run made of them. The gold
    taxonomy stays outside.
    Undo does not reach behind any of it.
    """
    project = Project.create(path, title=TITLE)
    try:
        for _ in import_files(project, sorted(resource_path("sample").glob("*.csv"))):
            pass
        maker = project.machine(MAKER)
        for dataset, threshold in THRESHOLDS.items():
            project.apply(SetThreshold(dataset=dataset, threshold=threshold), actor=maker, at=MADE_AT)
        if with_analyses:
            _add_gold(project)
        if with_analyses and with_proposals:
            _add_proposals(project)
        project.hand_over()
    except BaseException:
        project.close()
        path.unlink()
        raise
    return project


def _add_gold(project: Project) -> None:
    fitted = fit_to_project(project, sample_gold())
    analyses = tuple({"record_id": failure.record_id, **failure.gold.analysis.to_json()} for failure in fitted.failures)
    actor = project.annotator(ANNOTATOR, annotator_id=content_id("annotator", ANNOTATOR))
    project.apply(WriteAnalyses(analyses=analyses), actor=actor, at=MADE_AT)
    for failure in fitted.failures:
        if failure.gold.disputed:
            mark = MarkRecords(record_ids=(failure.record_id,), mark="disputed", reason=failure.gold.disputed)
            project.apply(mark, actor=actor, at=MADE_AT)


def _add_proposals(project: Project) -> None:
    """The proposals of a real run, kept as text by packaging/make_sample_proposals.py."""
    kept = json.loads(resource_path("sample", "proposals.json").read_text(encoding="utf-8"))
    proposals = [NewProposal(**{**item, "members": [tuple(m) for m in item["members"]]}) for item in kept["proposals"]]
    with project.writing() as db:
        run_id = start_run(db, "propose", kept["name"], kept["parameters"])
        save_proposals(db, run_id, proposals)
        end_run(db, run_id, "finished", kept["result"])


def sample_gold() -> Path:
    """The folder of the gold that comes with the sample."""
    return resource_path("sample", "gold")


def open_sample(folder: Path | None = None) -> Path:
    """Path of the user's own copy of the sample, which is made where it is missing and never overwritten."""
    folder = folder or data_folder()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"sample-{VERSION}.errormap"
    if not path.exists():
        refuse_log_of_another(path)
        new = folder / f"sample.new-{new_id()[:8]}.errormap"
        try:
            build_sample(new).close()
            new.rename(path)
        finally:
            for rest in (new, Path(f"{new}-wal"), Path(f"{new}-shm")):
                rest.unlink(missing_ok=True)
    return path
