"""Builds small projects for tests: records, analyses and proposals as machines would have made them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from errormap_core.ids import content_id, now
from errormap_core.project import counting
from errormap_core.project.proposing import NewProposal, save_proposals
from errormap_core.project.runs import end_run, start_run
from errormap_core.project.store import Project
from errormap_core.taxonomy.standing import concerned


def add_records(project: Project, rows: Sequence[Mapping[str, Any]], *, threshold: float = 0.5) -> list[str]:
    """Insert records; each row may give dataset, model, example_id, score, input_text, output_text, correct_answer.

    Returns their ids. Datasets get `threshold`, so a score of 0 fails.
    """
    ids = []
    with project.writing() as db:
        run_id = start_run(db, "import", "test", {"rows": [dict(row) for row in rows]})
        for row in rows:
            dataset, model = row.get("dataset", "d"), row.get("model", "m")
            db.execute("INSERT OR IGNORE INTO dataset (name, default_threshold) VALUES (?, ?)", [dataset, threshold])
            db.execute("INSERT OR IGNORE INTO model (name) VALUES (?)", [model])
            example = row["example_id"]
            content = [row.get("input_text", f"Question {example}?"), row.get("output_text", f"Answer {example}.")]
            key = content_id("record", dataset, model, example, 1)
            score = float(row.get("score", 0.0))
            db.table("record").insert(
                {
                    "id": key,
                    "dataset": dataset,
                    "model": model,
                    "example_id": example,
                    "score": score,
                    "content_hash": content_id("content", *content, score),
                    "import_run": run_id,
                    "source_file": "test.csv",
                    "source_line": len(ids) + 2,
                    "input_text": content[0],
                    "output_text": content[1],
                    "correct_answer": row.get("correct_answer"),
                    "metrics": "{}",
                    "extra": "{}",
                }
            )
            ids.append(key)
        end_run(db, run_id, "finished")
        counting.refresh(db)
    return ids


def add_analyses(
    project: Project, titles: Mapping[str, str], *, run: str = "judge", verdict: str = "error", summary: str = ""
) -> str:
    """Give each record (id: error title) an analysis by one judge run, whose id is returned."""
    with project.writing() as db:
        run_id = start_run(db, "judge", run, {"name": run})
        for record_id, title in titles.items():
            record_hash = db.execute("SELECT content_hash FROM record WHERE id = ?", [record_id]).fetchone()[0]
            db.table("analysis").insert(
                {
                    "id": content_id("analysis", record_id, run_id, record_hash),
                    "record_id": record_id,
                    "source_id": run_id,
                    "record_hash": record_hash,
                    "verdict": verdict,
                    "required_criteria": "[]",
                    "error_title": title,
                    "error_summary": summary or f"The answer shows: {title}.",
                    "details": "{}",
                    "created_at": now(),
                }
            )
        end_run(db, run_id, "finished")
        counting.refresh(db)
    return run_id


def add_proposals(project: Project, groups: Sequence[Mapping[str, Any]], *, run: str = "propose") -> list[str]:
    """Insert proposals of one run; each group gives name (or category_id), records, parent (its place in `groups`)."""
    ids: list[str] = []
    with project.writing() as db:
        run_id = start_run(db, "propose", run, {"name": run, "groups": [dict(g) for g in groups]})
        for position, group in enumerate(groups):
            kind = "place" if "category_id" in group else "create"
            arguments = {
                "name": group.get("name", ""),
                "description": group.get("description", ""),
                "named_by": "members",
            }
            if kind == "place":
                arguments["category_id"] = group["category_id"]
            key = content_id("proposal", kind, sorted(group["records"]), group.get("name", ""))
            db.execute(
                "INSERT OR IGNORE INTO proposal (id, kind, arguments, evidence, score, created_at) VALUES (?, ?, ?, ?, ?, ?)",
                [key, kind, _json(arguments), "{}", 0.5, now()],
            )
            for place, record_id in enumerate(group["records"]):
                db.execute("INSERT OR IGNORE INTO proposal_member VALUES (?, ?, ?, ?)", [key, place, record_id, 0.9])
            parent = None if group.get("parent") is None else ids[group["parent"]]
            db.execute("INSERT INTO run_proposal VALUES (?, ?, ?, ?)", [run_id, key, parent, position])
            ids.append(key)
        end_run(db, run_id, "finished")
    return ids


def add_repairs(
    project: Project, repairs: Sequence[Mapping[str, Any]], *, task: str = "repair", run: str = "repair"
) -> list[str]:
    """Insert proposals of one run with this task; each gives kind, arguments, and perhaps members, evidence, score, id.

    What they saw of the categories that they name is added, as the product does.
    """
    new = []
    for repair in repairs:
        kind, arguments, members = repair["kind"], repair["arguments"], list(repair.get("members", ()))
        seen = {}
        for category_id in concerned(kind, arguments):
            category = project.tree.get(category_id)
            if category is not None:
                sql = "SELECT count(*) FROM assignment WHERE category_id = ? AND counted = 1"
                (n,) = project.db.execute(sql, [category_id]).fetchone()
                seen[category_id] = {"name": category.name, "parent_id": category.parent_id, "n": n,
                                     "description": category.description}  # fmt: skip
        new.append(
            NewProposal(
                id=repair.get("id") or content_id("proposal", kind, arguments, sorted(members)),
                kind=kind,
                arguments=arguments,
                evidence={"seen": seen, **repair.get("evidence", {})},
                score=repair.get("score", 0.5),
                parent_id=None,
                members=[(record_id, None) for record_id in members],
            )
        )
    with project.writing() as db:
        run_id = start_run(db, "propose", run, {"task": task, "run": run, "ids": [each.id for each in new]})
        save_proposals(db, run_id, new)
        end_run(db, run_id, "finished", {})
    return [each.id for each in new]


def _json(value: Any) -> str:
    return json.dumps(value)
