"""Proposes categories from the sample's gold analyses with the embedded encoder, and keeps what came of it as text.

Run by hand where the analyses or the method of proposing change: `make sample-proposals`. Writes
resources/sample/proposals.json: the run's name, parameters and result, and its proposals as they are, never edited.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from errormap_core.embedding.encoder import SentenceEncoder
from errormap_core.project.proposing import latest_propose_run, proposals_of_run
from errormap_core.project.store import Project
from errormap_core.proposals.propose import RUN_NAME, propose
from errormap_core.resources import resource_path
from errormap_core.sample.build import build_sample


def real_run(project: Project) -> dict[str, Any]:
    """Propose on the sample without proposals, and return the run as resources/sample/proposals.json keeps it."""
    for _ in propose(project, SentenceEncoder()):
        pass
    run = latest_propose_run(project.db)
    assert run is not None
    return {
        "name": RUN_NAME,
        "parameters": json.loads(run["parameters"]),
        "result": json.loads(run["result"]),
        "proposals": proposals_of_run(project.db, run["id"]),
    }


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        build_sample(Path(folder) / "s.errormap", with_proposals=False) as project,
    ):
        kept = real_run(project)
    text = json.dumps(kept, indent=1, ensure_ascii=False)
    resource_path("sample", "proposals.json").write_text(text + "\n", encoding="utf-8")
    print(f"{len(kept['proposals'])} proposals")
    for item in kept["proposals"]:
        print(
            f"{len(item['members']):4}  {'  ' if item['parent_id'] else ''}{item['arguments'].get('name', item['kind'])}"
        )


if __name__ == "__main__":
    main()
