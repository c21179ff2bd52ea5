"""The job that writes a copy of a project: whole, in one file, while others work on it."""

from errormap_core.jobs import Outcome
from errormap_core.output_paths import PROJECT, check_output
from errormap_core.project.copying import copying
from errormap_core.project.store import Project
from errormap_core.reporting import Reporter
from errormap_core.sentences import tr


def copy_job(project: Project, target: str, reporter: Reporter) -> Outcome:
    """Write a copy to `target`, which must not exist. Raises KnownError where that is not possible."""
    path = check_output(target, PROJECT, project=project.path)
    written = reporter.drive(copying(project, path, cancelled=reporter.cancelled))
    if written is None:
        return Outcome({"path": None}, stopped=True)
    reporter.say(tr("Wrote {path}", path=written))
    return Outcome({"path": str(written), "bytes": written.stat().st_size})
