"""What the window's own commands do: open, import, export, run work, change the look."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.files import ask_open, ask_open_several, ask_save
from app.help.pages import AboutDialog, KeysDialog
from app.help.palette import Palette
from app.imports.dialog import ImportDialog
from app.judging.dialog import JudgeDialog
from app.settings.dialog import SettingsDialog
from app.tasks.runner import Job
from errormap_core.errors import KnownError
from errormap_core.project.queries import failure_rows
from errormap_core.sentences import Sentence, tr, trn

if TYPE_CHECKING:
    from app.window import Window

PROJECTS = tr("Projects (*.errormap)")
RESULTS = tr("Results or an atlas (*.csv *.tsv *.txt *.json);;All files (*)")

STEP = 10

MOST_NOW = 200
"""So many failures can go before all others; more are a run of the judge."""


class Deeds:
    """Handlers of the commands that belong to no pane."""

    def __init__(self, window: "Window") -> None:
        self._window = window
        self._session = window.session

    # Projects

    def new(self) -> None:
        path = ask_save(self._window, tr("New project"), filters=PROJECTS)
        if path is not None:
            self._session.create(path if path.suffix else path.with_suffix(".errormap"))

    def open(self) -> None:
        path = ask_open(self._window, tr("Open a project"), filters=PROJECTS)
        if path is not None:
            self.open_path(path)

    def open_path(self, path: Path) -> None:
        self._session.open(path)

    def open_sample(self) -> None:
        from errormap_core.sample.build import open_sample

        try:
            path = open_sample()
        except KnownError as error:
            self._session.failed.emit(error)
            return
        self.open_path(path)

    def close_project(self) -> None:
        if self._session.is_free() and self._session.may_leave(self.close_project):
            self._session.close()

    def close(self) -> None:
        self._window.close()

    def drop(self, paths: list[Path]) -> None:
        """A project is opened, results are imported; without a project a new one is made beside the file."""
        projects = [p for p in paths if p.suffix == ".errormap"]
        if projects:
            self.open_path(projects[0])
            return
        if not paths:
            return
        if not self._session.is_open:
            target = paths[0].with_suffix(".errormap")
            if not (self._session.open(target) if target.exists() else self._session.create(target)):
                return
        self.import_results(paths)

    # Import and export

    def import_results(self, paths: list[Path] | None = None) -> None:
        if not paths:
            paths = ask_open_several(self._window, tr("Import"), filters=RESULTS)
        if paths:
            dialog = ImportDialog(self._session, paths, self._window)
            dialog.open()

    def save_copy(self) -> None:
        self._window.saving.save_as()

    def export_atlas(self) -> None:
        project = self._session.project
        if project is None:
            return
        from errormap_core.exporters.atlas import ATLAS

        suggested = str(project.path.with_name(f"{project.path.stem}.atlas.json"))
        kinds = tr("Atlas (*.json)")
        name = ask_save(
            self._window, tr("Export atlas"), start=suggested, filters=kinds, kind=ATLAS, project=project.path
        )
        if name is not None:
            self._session.start("export", [str(project.path), "-o", str(name)])

    # Work

    def run_judge(self) -> None:
        JudgeDialog(self._session, self._window).open()

    def propose(self) -> None:
        project = self._session.project
        if project is not None:
            self._session.start("propose", [str(project.path), "--as-id", self._session.actor])

    def pause_judge(self) -> None:
        """Let the judge rest, or go on."""
        tasks = self._session.tasks
        job = tasks.running_of("judge")
        if job is not None:
            (tasks.resume if job.is_paused else tasks.pause)(job)

    def analyse_now(self) -> None:
        """Have what is read or selected analysed next: by the judge that runs, else by one that is started for it."""
        project, ids = self._session.project, self._session.targets()
        if project is None or not ids:
            return
        found = failure_rows(project.reader, ids)
        wanted = [record_id for record_id in ids if record_id in found and found[record_id].state != "excluded"]
        if not wanted:
            excluded = bool(found)
            self._session.failed.emit(
                KnownError(
                    tr("It is excluded as junk.") if excluded else tr("It did not fail: there is nothing to diagnose."),
                    fix=tr("Count it again first.") if excluded else tr("Select a failure."),
                )
            )
            return
        if len(wanted) > MOST_NOW:
            self._session.failed.emit(
                KnownError(
                    tr("{n:,} failures are too many to go before all others.", n=len(wanted)),
                    fix=tr(
                        "Select at most {most:,}, or run the judge{key}.",
                        most=MOST_NOW,
                        key=self._session.keys.bracketed("judge.run"),
                    ),
                )
            )
            return
        job = self._session.tasks.running_of("judge")
        if job is not None:
            self._session.tasks.first(job, wanted)
            return
        only = [word for record_id in wanted for word in ("--only", record_id)]
        words = [str(project.path), *only, "--retry", "--as-id", self._session.actor]
        if self._session.start("judge", words) is not None:
            self._session.say(trn("Analysing {n:,} failure", "Analysing {n:,} failures", len(wanted)))

    def on_not_first(self, job: Job) -> None:
        """Say whether what was asked for goes first."""
        counts = {} if job.progress is None else job.progress.counts
        taken, left = len(counts.get("first", ())), len(counts.get("not_first", ()))
        if taken:
            later = tr(" when the judge goes on") if job.is_paused else ""
            self._session.say(
                trn("{n:,} failure goes first{later}", "{n:,} failures go first{later}", taken, later=later)
            )
        elif left:
            self._session.say(tr("This judge has analysed it already"))

    def place_unplaced(self) -> None:
        project = self._session.project
        if project is not None:
            self._session.start("classify", [str(project.path), "--as-id", self._session.actor])

    def stop_work(self) -> None:
        self._session.tasks.cancel_all()

    def on_job_done(self, job: Job) -> None:
        """Say what came of a job, and go where its results are."""
        result = job.result
        if result.get("stopped") or job.is_stopping or not result:
            self.on_job_failed(job)
            self._session.say(tr("Stopped. What was done is kept; start it again to go on."))
            return
        match job.kind:
            case "import":
                files = result.get("files", [])
                added, lost = sum(f["n_added"] for f in files), sum(f["n_lost"] for f in files)
                said = result.get("summary") or tr("Imported {n:,} records, {lost:,} rows left out", n=added, lost=lost)
                notices = result.get("notices", [])
                if notices:
                    said = trn("{said}. {n:,} name was changed: {first}", "{said}. {n:,} names were changed, the first: {first}",
                               len(notices), said=said, first=notices[0])  # fmt: skip
                self._session.say(tr("{said}", said=said))
                problems = [p for f in files for p in f["problems"] if not p["is_kept"]]
                if problems:
                    first = problems[0]
                    self._session.failed.emit(
                        KnownError(
                            trn("{n:,} row was left out. {text}", "{n:,} rows were left out. The first: {text}", lost,
                                text=first["sentence"]),
                            where=tr("{file}, line {line:,}", file=first["file"], line=first["line"]),
                            fix=tr("Mend the file and import it again; what is there already is not imported twice."),
                        )
                    )  # fmt: skip
                self._window.show_page("records")
            case "judge":
                self._session.say(_judged(result))
            case "propose" | "classify":
                self._session.say(tr("{note}", note=result.get("note", "")))
                self._window.session.queue.ask(self._show_found)
            case "score":
                self._window.gold.show_result(result)
                self._session.say(tr("Compared with {title}", title=result["gold"]["title"]))
            case "check-judge" | "agreement":
                self._window.judges.show_result(job)
                self._session.say(tr("Compared"))
            case "export" | "copy":
                self._session.say(tr("Wrote {path}", path=result["path"]))

    def _show_found(self) -> None:
        """What was found is there when its page is shown, with the keys on the list rather than on its filters."""
        if self._window.review.n_pending:
            self.page_review()

    def on_job_failed(self, job: Job) -> None:
        """Let a page that waits for a job know that nothing comes."""
        if job.kind == "score":
            self._window.gold.on_failed()
        elif job.kind in ("check-judge", "agreement"):
            self._window.judges.on_failed(job.kind)

    # Steps and pages

    def undo(self) -> None:
        self._session.undo()

    def redo(self) -> None:
        self._session.redo()

    def find(self) -> None:
        self._window.show_page("records")
        self._window.records.focus_search()

    def page_review(self) -> None:
        self._window.show_page("review")
        self._window.review.focus_list()

    def page_records(self) -> None:
        self._window.show_page("records")
        self._window.records.focus_list()

    def page_signatures(self) -> None:
        self._window.show_page("signatures")

    def page_history(self) -> None:
        self._window.show_page("history")

    def page_gold(self) -> None:
        self._window.show_page("gold")

    def page_judges(self) -> None:
        self._window.show_page("judges")
        self._window.judges.focus_list()

    def check_judges(self) -> None:
        self.page_judges()
        self._window.judges.check_all()

    def page_models(self) -> None:
        self._window.show_page("models")
        self._window.models.focus_list()

    def page_prompts(self) -> None:
        self._window.show_page("prompts")
        self._window.prompts.focus_list()

    def compare_with_gold(self) -> None:
        self._window.show_page("gold")
        self._window.gold.compare()

    def toggle_tree(self) -> None:
        self._window.left.setVisible(self._window.left.isHidden())

    def toggle_record(self) -> None:
        self._window.right.setVisible(self._window.right.isHidden())

    # The look

    def larger(self) -> None:
        self._resize(STEP)

    def smaller(self) -> None:
        self._resize(-STEP)

    def _resize(self, step: int) -> None:
        size = max(75, min(250, self._session.settings["look.text_size"] + step))
        self._keep("look.text_size", size)

    def toggle_scheme(self) -> None:
        self._keep("look.scheme", "light" if self._window.theme.scheme.name == "dark" else "dark")

    def _keep(self, key: str, value: object) -> None:
        try:
            self._session.settings[key] = value
        except KnownError as error:
            self._session.failed.emit(error)
        self.apply_look()

    def apply_look(self) -> None:
        settings = self._session.settings
        self._window.theme.apply(settings["look.scheme"], settings["look.text_size"] / 100)

    def settings(self) -> None:
        dialog = SettingsDialog(self._session, self._window)
        dialog.accepted.connect(self.apply_look)
        dialog.open()

    # Help

    def palette(self) -> None:
        Palette(self._window).open()

    def keys(self) -> None:
        KeysDialog(self._window).open()

    def about(self) -> None:
        AboutDialog(self._window).open()


def _judged(result: dict[str, Any]) -> Sentence:
    """What came of a run of the judge."""
    n, failed = result["analysed"], result["failed"]
    if not n and not failed:
        return tr("Nothing was left to analyse: this judge has done it already")
    return trn(
        "Analysed {n:,} failure, {failed:,} failed", "Analysed {n:,} failures, {failed:,} failed", n, failed=failed
    )
