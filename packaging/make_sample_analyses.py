"""Runs the embedded judge over failures of the sample and keeps its analyses as text, never edited.

Run by hand where the answers or the judge change: `make sample-analyses`. Writes analyses.jsonl and
judge_run.json (the run's parameters and totals) into resources/sample.
"""

import json
import tempfile
from pathlib import Path

from errormap_core.judge.diagnose import default_judge, diagnose
from errormap_core.resources import resource_path
from errormap_core.sample import build_sample
from errormap_core.settings import UserSettings

N_ANALYSED = 40

_ANALYSES = """SELECT r.dataset, r.model, r.example_id, a.* FROM analysis a JOIN record r ON r.id = a.record_id
    ORDER BY r.dataset, r.example_id, r.model"""


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        build_sample(Path(folder) / "s.errormap", with_analyses=False) as project,
    ):
        judge = default_judge(project, UserSettings(Path(folder) / "settings.json"))
        for progress in diagnose(project, judge, limit=N_ANALYSED):
            print(progress.done, progress.note, flush=True)
        judge.close()
        run = next(
            iter(project.db.query("SELECT r.*, s.name FROM run r JOIN source s ON s.id = r.id WHERE r.kind = 'judge'"))
        )
        kept = {
            "name": run["name"],
            "parameters": json.loads(run["parameters"]),
            "result": json.loads(run["result"]),
        }
        lines = []
        for row in project.db.query(_ANALYSES):
            analysis = {
                "verdict": row["verdict"],
                "required_criteria": json.loads(row["required_criteria"]),
                "error_title": row["error_title"],
                "error_summary": row["error_summary"],
            }
            item = {name: row[name] for name in ("dataset", "model", "example_id", "created_at")}
            lines.append(
                json.dumps({**item, "analysis": analysis, "details": json.loads(row["details"])}, ensure_ascii=False)
            )
    target = resource_path("sample")
    (target / "judge_run.json").write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (target / "analyses.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
