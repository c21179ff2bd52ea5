"""The demonstration: the whole job on the sample project without a window, with hashes, tokens and times."""

import json
import tempfile
import time
from pathlib import Path

import jsonschema

from errormap_core import engine_jobs, jobs
from errormap_core.exporters.atlas import ATLAS
from errormap_core.output_paths import check_output
from errormap_core.reporting import Reporter
from errormap_core.resources import resource_path
from errormap_core.sample.build import build_sample
from errormap_core.sentences import tr
from errormap_core.settings import UserSettings

N_ANALYSED = 5


def demo(reporter: Reporter, settings: UserSettings, *, folder: str | None = None) -> jobs.Outcome:
    """Analyse 5 sample failures, embed and propose afresh, accept, export, validate; say what each step took."""
    target = Path(folder) if folder else Path(tempfile.mkdtemp(prefix="errormap-demo-"))
    target.mkdir(parents=True, exist_ok=True)
    atlas = target / "atlas.json"
    check_output(atlas, ATLAS)
    times: dict[str, float] = {}
    clock = time.monotonic()

    def lap(step: str) -> None:
        nonlocal clock
        times[step] = round(time.monotonic() - clock, 2)
        clock = time.monotonic()

    project = build_sample(target / "demo.errormap", with_analyses=False)
    with project:
        lap("build the sample")
        judged = engine_jobs.judge_job(project, reporter, settings=settings, limit=N_ANALYSED)
        lap(f"analyse {N_ANALYSED} failures")
        proposed = jobs.propose_job(project, reporter, settings=settings)
        lap("embed and propose")
        machine = project.machine("errormap-studio demo")  # what it accepts, no person has read
        accepted = jobs.accept_job(project, reporter, actor=machine, proposal_ids=None)
        lap("accept")
        exported = jobs.export_job(project, atlas, reporter)
        lap("export")
    schema = json.loads(resource_path("schemas", "atlas.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(json.loads(atlas.read_text(encoding="utf-8")))
    lap("validate")
    info = judged.numbers["judge"]
    reporter.say(tr("Judge {name}, sha256 {sha}", name=info["name"], sha=info["model_sha256"]))
    reporter.say(
        tr(
            "Tokens: {prompt:,} read, {completion:,} written",
            prompt=judged.numbers["prompt_tokens"],
            completion=judged.numbers["completion_tokens"],
        )
    )
    for step, seconds in times.items():
        reporter.say(tr("{seconds:8.2f} s  {step}", seconds=seconds, step=step))
    reporter.say(
        tr("{path} is valid; open the project with `errormap-studio {project}`.", path=atlas, project=project.path)
    )
    numbers = {
        "judge": judged.numbers,
        "propose": proposed.numbers,
        "accept": accepted.numbers,
        "export": exported.numbers,
        "times_s": times,
        "valid": True,
    }
    stopped = judged.stopped or proposed.stopped
    return jobs.Outcome(numbers, losses=judged.losses, stopped=stopped)
