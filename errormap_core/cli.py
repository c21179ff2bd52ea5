"""The command line: every job without a window. One table of commands; help is made from it."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import errormap_core
from errormap_core import trouble
from errormap_core.choosing import Choices
from errormap_core.cli_arguments import ARGUMENTS
from errormap_core.errors import KnownError
from errormap_core.importers.looking import coming_datasets, look_at
from errormap_core.invocation import Invocation
from errormap_core.output_paths import check_output
from errormap_core.project.store import Project
from errormap_core.reporting import Reporter
from errormap_core.sentences import tr, trn
from errormap_core.settings import UserSettings, setting
from errormap_core.standard_streams import Told, prepare
from errormap_core.visible_text import visible

EXIT_DONE, EXIT_LOSSES, EXIT_WRONG, EXIT_STOPPED = 0, 1, 2, 3

EPILOG = """exit codes:
  0  done, all of it
  1  done, but some rows or records were left out or failed; the report says which
  2  not done, a sentence says why; nothing is half done, and what `run` did before is told
  3  stopped before the end; the same command goes on where it was

The window opens with `errormap-studio` alone, or with a project: `errormap-studio PROJECT`.
Everything stays on this machine; no command opens a network connection."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its name, a line of help, what it takes, what it does (returning the exit code)."""

    name: str
    help: str
    takes: tuple[str, ...]
    run: Callable[[Invocation], int]
    example: str


def _import(call: Invocation) -> int:
    from errormap_core import jobs

    files = [Path(name) for name in call.args.files]
    look_at(files)
    choices = Choices(call.chosen(), _thresholds(call.args.threshold))
    with call.project(create=True) as project:
        coming = coming_datasets(files, dataset=call.args.dataset)
        choices.check(project, new_datasets=coming, new_models=None)  # models are known once the files are read
        actor = call.actor(project)
        outcome = jobs.import_job(
            project,
            files,
            call.reporter,
            actor=actor,
            dataset=call.args.dataset,
            on_error=call.args.on_error,
            on_conflict=call.args.on_conflict,
            choices=choices,
        )
    return _end(call, outcome)


def _judge(call: Invocation) -> int:
    from errormap_core import engine_jobs, jobs

    args = call.args
    more = {"gold": args.gold, "records": args.only_records, "first": args.first, "only_estimate": args.estimate}
    if args.estimate:  # what is set holds for the estimate, and nothing is written
        yours, of_project = call.tried()
        with call.project(read_only=True) as project:
            prompt = args.prompt or of_project.get("judge.prompt")
            asked = {**_judging(args), **more, "tried": of_project, "prompt": prompt}
            Choices(of_project).check(project)
            return _end(call, engine_jobs.judge_job(project, call.reporter, settings=yours, **asked))
    with call.project() as project:
        jobs.choose(project, call.chosen(), actor=call.actor(project))
        asked = {**_judging(args), **more}
        outcome = engine_jobs.judge_job(project, call.reporter, settings=call.settings, **asked)
    return _end(call, outcome)


def _try(call: Invocation) -> int:
    from errormap_core import engine_jobs

    args = call.args
    asked = {"record": args.tried, "model": args.model, "prompt": args.prompt}
    with call.project(read_only=True) as project:
        return _end(call, engine_jobs.try_job(project, call.reporter, settings=call.settings, **asked))


def _tune(call: Invocation) -> int:
    from errormap_core import engine_jobs

    args = call.args
    asked = {"model": args.model, "gpu_layers": args.gpu_layers, "again": args.anew, "forget": args.forget}
    return _end(call, engine_jobs.tune_job(call.reporter, settings=call.settings, **asked))


def _propose(call: Invocation) -> int:
    from errormap_core import jobs

    with call.project() as project:
        jobs.choose(project, call.chosen(), actor=call.actor(project))
        asked = {"kinds": call.args.kinds, "limit": call.args.limit}
        outcome = jobs.propose_job(project, call.reporter, settings=call.settings, **asked)
    return _end(call, outcome)


def _classify(call: Invocation) -> int:
    from errormap_core import classify_job, jobs

    args = call.args
    given = {"model": args.model, "threads": args.threads, "limit": args.limit}
    with call.project() as project:
        jobs.choose(project, call.chosen(), actor=call.actor(project))
        outcome = classify_job.classify_job(project, call.reporter, settings=call.settings, **given)
    return _end(call, outcome)


def _queue(call: Invocation) -> int:
    from errormap_core.queue_job import queue_job

    args = call.args
    with call.project() as project:
        outcome = queue_job(project, call.reporter, settings=call.settings, limit=args.limit, watch=args.watch)
    return _end(call, outcome)


def _proposals(call: Invocation) -> int:
    from errormap_core.project.pending import pending_proposals

    with call.project(read_only=True) as project:
        rows = pending_proposals(project.db)
    for row in rows:
        n = trn("{n:,} failure", "{n:,} failures", row.n_subtree)
        call.reporter.say(f"{row.id}  {'  ' * row.depth}{row.title}  ({row.kind}, {n})")
    call.reporter.result({"pending": [{"id": r.id, "kind": r.kind, "name": r.name, "n": r.n_subtree} for r in rows]})
    return EXIT_DONE


def _accept(call: Invocation) -> int:
    from errormap_core import jobs

    if call.args.all == bool(call.args.ids):
        raise KnownError(tr("Say which proposals are accepted."), where="accept", fix=tr("Give their ids, or --all."))
    with call.project() as project:
        ids = None if call.args.all else call.args.ids
        outcome = jobs.accept_job(project, call.reporter, actor=call.actor(project), proposal_ids=ids)
    return _end(call, outcome)


def _decide(call: Invocation) -> int:
    from errormap_core.decide_job import decide_job
    from errormap_core.importers.inputs import found, opened

    path = Path(call.args.decisions)
    opened(found(path)).close()  # a file that cannot be read is told before anything else
    with call.project() as project:
        outcome = decide_job(project, call.reporter, path=path, actor=call.actor(project))
    return _end(call, outcome)


def _export(call: Invocation) -> int:
    from errormap_core import jobs

    with call.project(read_only=True) as project:
        outcome = jobs.export_job(
            project,
            call.args.output,
            call.reporter,
            examples=call.args.examples,
            history=call.args.with_history,
        )
    return _end(call, outcome)


def _copy(call: Invocation) -> int:
    from errormap_core.copy_job import copy_job

    with call.project(read_only=True) as project:
        outcome = copy_job(project, call.args.target, call.reporter)
    return _end(call, outcome)


def _run(call: Invocation) -> int:
    """Import, judge, propose, accept all, export; a run that was stopped goes on where it was."""
    from errormap_core import engine_jobs, jobs
    from errormap_core.exporters.atlas import ATLAS

    files = [Path(name) for name in call.args.files]
    look_at(files)
    check_output(call.args.output, ATLAS, project=Path(call.args.project), inputs=call.args.files)
    choices = Choices(call.chosen(), _thresholds(call.args.threshold))
    numbers: dict[str, Any] = {}
    losses = 0
    with call.project(create=True) as project:
        coming = coming_datasets(files, dataset=call.args.dataset)
        choices.check(project, new_datasets=coming, new_models=None)  # models are known once the files are read
        engine_jobs.look_at_judge(project, call.settings, model=call.args.model, prompt=call.args.prompt)
        actor = call.actor(project)
        machine = project.machine("errormap-studio run")  # what it accepts, no person has read
        steps: list[tuple[str, Callable[[], jobs.Outcome]]] = [
            (
                "import",
                lambda: jobs.import_job(
                    project,
                    files,
                    call.reporter,
                    actor=actor,
                    dataset=call.args.dataset,
                    on_error=call.args.on_error,
                    on_conflict=call.args.on_conflict,
                    choices=choices,
                ),
            ),
            (
                "judge",
                lambda: engine_jobs.judge_job(project, call.reporter, settings=call.settings, **_judging(call.args)),
            ),
            ("propose", lambda: jobs.propose_job(project, call.reporter, settings=call.settings)),
            ("accept", lambda: jobs.accept_job(project, call.reporter, actor=machine, proposal_ids=None)),
            ("export", lambda: jobs.export_job(project, call.args.output, call.reporter)),
        ]
        for name, step in steps:
            try:
                outcome = step()
            except KnownError:
                if numbers:
                    done = ", ".join(numbers)
                    call.reporter.warn(
                        tr(
                            "The steps before “{name}” are done ({done}); the same command continues there.",
                            name=name,
                            done=done,
                        )
                    )
                raise
            numbers[name] = outcome.numbers
            losses += outcome.losses
            if outcome.stopped:
                break
    return _end(call, jobs.Outcome(numbers, losses, stopped=outcome.stopped))


def _score(call: Invocation) -> int:
    from errormap_core import jobs

    with call.project(read_only=True) as project:
        outcome = jobs.score_job(project, call.reporter, settings=call.settings, gold=call.args.gold)
    return _end(call, outcome)


def _stats(call: Invocation) -> int:
    from errormap_core import jobs
    from errormap_core.measures.how import STATE_NAMES

    with call.project(read_only=True) as project:
        numbers = jobs.stats(project)
    say = call.reporter.say
    say(f"{numbers['title']}  ({numbers['project']})")
    records = trn("{n:,} record", "{n:,} records", numbers["records"])
    failures = trn("{n:,} failure", "{n:,} failures", numbers["failures"])
    counted = {key: numbers[key] for key in ("counted", "unplaced")}
    say(
        tr("{records}, {failures}, {counted:,} counted, {unplaced:,} not placed yet", records=records, failures=failures,
           **counted)
    )  # fmt: skip
    for state, n in numbers["states"].items():
        say(f"  {n:>9,}  {STATE_NAMES[state]}")
    for row in numbers["datasets"]:
        say(tr("dataset {name}: threshold {threshold:g}, {n_failures:,} of {n_records:,} failed", **row))
    for row in numbers["models"]:
        say(
            tr(
                "model {name}: {n_failures:,} of {n_records:,} failed; {counted:,} counted, {looked_at:,} of them looked at "
                "one by one",
                **row,
            )
        )
    for row in numbers["categories"]:
        share = "" if row["share"] is None else f"{row['share']:6.1%}"
        looked_at = tr("{k:,} looked at one by one", k=row["looked_at"])
        say(f"  {row['failures']:>9,}  {share}  {row['path']}  ({looked_at})")
    for line in numbers.pop("said"):
        say(line)
    say(trn("{n:,} proposal waits for a decision", "{n:,} proposals wait for a decision", numbers["pending_proposals"]))
    call.reporter.result(numbers)
    return EXIT_DONE


def _safety(call: Invocation) -> int:
    """Looking for damage, and the ways back."""
    from errormap_core import safety_jobs as safety

    job = {"check": safety.check_job, "backup": safety.backup_job, "restore": safety.restore_job}[call.args.command]
    return job(call)


def _history(call: Invocation) -> int:
    from dataclasses import asdict

    from errormap_core.project import queries

    with call.project(read_only=True) as project:
        rows = queries.history(project.db, limit=call.args.limit)
    for row in rows:
        undone = tr(" (undone)") if row.is_undone else ""
        call.reporter.say(f"{row.seq:>6}  {row.at}  {row.actor}  {row.summary}{undone}")
    call.reporter.result({"steps": [asdict(row) for row in rows]})
    return EXIT_DONE


def _undo(call: Invocation) -> int:
    with call.project() as project:
        step = project.undo if call.args.command == "undo" else project.redo
        change = step(actor=call.actor(project))
    nothing = tr("There is nothing to undo.") if call.args.command == "undo" else tr("There is nothing to redo.")
    call.reporter.say(change.summary if change else nothing)
    call.reporter.result({"summary": str(change.summary) if change else None})
    return EXIT_DONE


def _set(call: Invocation) -> int:
    choices = Choices(call.chosen(), _thresholds(call.args.threshold))
    with call.project() as project:
        choices.check(project)
        for done in choices.apply(project, actor=call.actor(project)):
            call.reporter.say(done)
    return EXIT_DONE


def _models(call: Invocation) -> int:
    """The models that a judge may use. Folders that are given are looked at instead of the user's."""
    from errormap_core.judge import models_report

    given = call.args.folders if call.args.folders is not None else call.settings["models.folders"] or ()
    current = call.settings["judge.model"]
    report = models_report.report(
        [Path(name) for name in given],
        also=[Path(current)] if current else [],
        context=call.args.context or setting("judge.context").default,
        most_copies=call.settings["judge.copies_megabytes"] * 1_000_000,
    )
    for line in models_report.table(report):
        call.reporter.say(line)
    for problem in report.problems:
        call.reporter.warn(problem)
    call.reporter.result(report.to_json())
    return EXIT_LOSSES if report.problems else EXIT_DONE


def _judge_runs(call: Invocation) -> int:
    """The commands about judge runs; only one of them writes."""
    from errormap_core import judge_jobs as judging

    args, settings = call.args, call.settings
    with call.project(read_only=args.command != "use-run") as project:
        given: tuple[Project, Reporter] = (project, call.reporter)
        match args.command:
            case "runs":
                outcome = judging.runs_job(*given)
            case "use-run":
                actor = call.actor(project)
                outcome = judging.use_run_job(*given, run=args.judge_run, latest=args.latest, actor=actor)
            case "agreement":
                outcome = judging.agreement_job(*given, settings=settings, runs=args.two_runs, gold=args.gold)
            case _:
                asked = {"runs": args.runs or (), "gold": args.gold, "common": args.common}
                outcome = judging.check_judge_job(*given, settings=settings, **asked)
    return _end(call, outcome)


def _prompts(call: Invocation) -> int:
    from errormap_core import prompt_jobs

    args = call.args
    if args.command == "prompts":
        with call.project(read_only=True) as project:
            return _end(call, prompt_jobs.prompts_job(project, call.reporter))
    changes = bool(args.edit or args.use or args.remove)
    asked = {name: getattr(args, name) for name in ("record", "edit", "write", "use", "remove")}
    with call.project(read_only=not changes) as project:
        actor = call.actor(project) if changes else ""
        return _end(call, prompt_jobs.prompt_job(project, call.reporter, name=args.name, actor=actor, **asked))


def _demo(call: Invocation) -> int:
    from errormap_core.demo import demo

    return _end(call, demo(call.reporter, call.settings, folder=call.args.folder))


def _thresholds(texts: Sequence[str] | None) -> dict[str, float]:
    found = {}
    for text in texts or ():
        name, sign, value = text.rpartition("=")
        try:
            found[name] = float(value)
        except ValueError:
            sign = ""
        if not sign or not name:
            raise KnownError(
                tr("“{text}” is no threshold.", text=text),
                where="--threshold",
                fix=tr("Write DATASET=NUMBER with a decimal point, as in gsm8k=0.5."),
            )
    return found


def _judging(args: argparse.Namespace) -> dict[str, Any]:
    names = ("model", "threads", "gpu_layers", "prompt", "limit", "retry", "again")
    return {name: getattr(args, name, None) for name in names}


def _end(call: Invocation, outcome: Any) -> int:
    stopped = outcome.stopped
    call.reporter.result({**outcome.numbers, "losses": outcome.losses, "stopped": stopped})
    if stopped:
        call.reporter.warn(tr("Stopped. The same command goes on where it was."))
        return EXIT_STOPPED
    return EXIT_LOSSES if outcome.losses else EXIT_DONE


_JUDGE = ("model", "prompt", "threads", "context", "gpu_layers", "limit", "retry", "again")
_IMPORT = ("dataset", "on_error", "on_conflict", "threshold", "ratio", "seed", "models")

COMMANDS: tuple[Command, ...] = (
    Command("import", "bring results (CSV) or an atlas (JSON) into a project, which is made where missing",
            ("project", "files", *_IMPORT, "set"), _import, "errormap-studio import my.errormap gsm8k.csv"),
    Command("judge", "diagnose the failures that wait with a local model",
            ("project", *_JUDGE, "of_gold", "only_records", "first", "estimate", "set"), _judge,
            "errormap-studio judge my.errormap --limit 20"),
    Command("try", "have one failure analysed by a model or with a prompt, and keep nothing of it",
            ("project", "tried", "model", "prompt"), _try, "errormap-studio try my.errormap --model big.gguf"),
    Command("tune", "measure how a model is best run on this machine, and show it", ("model", "gpu_layers", "anew", "forget"),
            _tune, "errormap-studio tune --model big.gguf"),
    Command("propose", "embed the analyses and propose categories for those not placed yet, and repairs of the tree",
            ("project", "kinds", "limit", "set"), _propose, "errormap-studio propose my.errormap --kind merge --limit 10 --json"),
    Command("classify", "propose a category that is there for each diagnosed failure without one",
            ("project", "method", "limit", "model", "threads", "set"), _classify,
            "errormap-studio classify my.errormap --method both --limit 100"),
    Command("queue", "choose the failures whose placing teaches most, and say how often the first suggestion is right",
            ("project", "limit", "watch"), _queue, "errormap-studio queue my.errormap --limit 10 --json"),
    Command("proposals", "list the proposals that wait for a decision", ("project",), _proposals,
            "errormap-studio proposals my.errormap"),
    Command("accept", "accept proposals; what is accepted enters the tree and can be undone",
            ("project", "ids", "all"), _accept, "errormap-studio accept my.errormap --all"),
    Command("decide", "take decisions on proposals from a file, one JSON object a line (docs/decisions.md)",
            ("project", "decisions"), _decide, "errormap-studio decide my.errormap --file decisions.jsonl --as 'Ann Bee'"),
    Command("export", "write the atlas as JSON", ("project", "output", "examples", "with_history"), _export,
            "errormap-studio export my.errormap -o atlas.json"),
    Command("copy", "write a copy of a project into a new file, also while others work on it", ("project", "target"), _copy,
            "errormap-studio copy my.errormap my-copy.errormap"),
    Command("run", "all of it: import, judge, propose, accept, export",
            ("project", "files", *_IMPORT, *_JUDGE, "set", "output"), _run,
            "errormap-studio run my.errormap gsm8k.csv --ratio 0.02 -o atlas.json"),
    Command("score", "compare analyses and tree with gold ones: the sample's, or those in a folder", ("project", "gold"),
            _score, "errormap-studio score my.errormap --gold my-gold --json"),
    Command("models", "list the models that a judge may use: what they are, and the memory that they need", ("folders", "context"),
            _models, "errormap-studio models --folder ~/models --context 8192"),
    Command("runs", "list the judge runs: what each is, how far it came, what it cost, which one counts", ("project",), _judge_runs,
            "errormap-studio runs my.errormap"),
    Command("use-run", "let a judge run count; can be undone", ("project", "judge_run", "latest"), _judge_runs,
            "errormap-studio use-run my.errormap 1f3a"),
    Command("agreement", "compare two judge runs over the failures that both analysed", ("project", "two_runs", "gold"),
            _judge_runs, "errormap-studio agreement my.errormap 1f3a 9c20"),
    Command("check-judge", "check judge runs against gold and against what people reviewed, on a fixed split",
            ("project", "runs", "gold", "common"), _judge_runs, "errormap-studio check-judge my.errormap --run 1f3a"),
    Command("prompts", "list the judge's prompts: shipped and own, which one is chosen, what was made with each", ("project",),
            _prompts, "errormap-studio prompts my.errormap"),
    Command("prompt", "show a prompt filled in for a record; write it to a file, keep one from a file, use or remove it",
            ("project", "name", "record", "write", "edit", "use", "remove"), _prompts,
            "errormap-studio prompt my.errormap full --write terse.toml\n"
            "  errormap-studio prompt my.errormap terse --edit terse.toml --use"),
    Command("stats", "numbers of a project", ("project",), _stats, "errormap-studio stats my.errormap"),
    Command("check", "look for damage, and for numbers that do not add up; save what can be read of a damaged project into a copy",
            ("project", "replay", "repair", "copy"), _safety, "errormap-studio check my.errormap --repair"),
    Command("backup", "make a backup now", ("project",), _safety, "errormap-studio backup my.errormap"),
    Command("restore", "list the backups of a project; put one back, over the project or under another name",
            ("project", "backup", "copy"), _safety, "errormap-studio restore my.errormap --backup latest"),
    Command("history", "list the steps that were taken, the latest first", ("project", "limit"), _history,
            "errormap-studio history my.errormap --limit 10"),
    Command("undo", "take back the last step", ("project",), _undo, "errormap-studio undo my.errormap"),
    Command("redo", "take again what was last undone", ("project",), _undo, "errormap-studio redo my.errormap"),
    Command("set", "change settings of a project, and thresholds",
            ("project", "set", "threshold", "ratio", "seed", "models"), _set,
            "errormap-studio set my.errormap --set atlas.title='My atlas'"),
    Command("demo", "the whole job on the sample: judge, propose, accept, export, with times", ("folder",), _demo,
            "errormap-studio demo"),
)  # fmt: skip


ONLY_TELLING = frozenset(
    ("proposals", "score", "models", "runs", "agreement", "check-judge", "prompts", "stats", "check", "history", "try")
)
"""The commands whose whole work is what they print: where that is lost, nothing was done."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(visible(message))


def parser() -> argparse.ArgumentParser:
    top = _Parser(
        prog="errormap-studio",
        description="From benchmark results to a curated atlas of why models fail, offline.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"ErrorMap Studio {errormap_core.__version__}")
    subparsers = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        sub = subparsers.add_parser(
            command.name,
            help=command.help,
            description=command.help[0].upper() + command.help[1:] + ".",
            epilog=f"example:\n  {command.example}\n\n{EPILOG}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for name in command.takes:
            flags, options = ARGUMENTS[name]
            sub.add_argument(*flags, **options)
        sub.add_argument("--as", dest="as_name", metavar="NAME", help="who takes the steps (default: you)")
        sub.add_argument("--as-id", dest="as_id", metavar="UUID", help=argparse.SUPPRESS)
        sub.add_argument("--json", action="store_true", help="print what came of it as JSON")
        sub.add_argument(
            "--progress",
            choices=("bar", "json", "none"),
            default="bar",
            help="a bar, JSON lines for a program that keeps this one's standard input open, or nothing",
        )
        sub.set_defaults(run=command.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    prepare()
    try:
        args = parser().parse_args(argv)
    except SystemExit:
        Told("stdout").flush()
        raise
    reporter = Reporter(args.progress, as_json=args.json)
    settings = UserSettings()
    for problem in settings.problems:
        reporter.warn(problem)
    try:
        with reporter.listening():
            code: int = args.run(Invocation(args, settings, reporter))
            return _after_telling(args, code, reporter)
    except KnownError as error:
        reporter.error(error)
        return EXIT_WRONG
    except (OSError, UnicodeError) as error:
        reporter.error(trouble.known(error) if isinstance(error, OSError) else trouble.undecodable(error))
        return EXIT_WRONG
    except KeyboardInterrupt:
        reporter.warn(tr("Stopped. The same command goes on where it was."))
        return EXIT_STOPPED


def _after_telling(args: argparse.Namespace, code: int, reporter: Reporter) -> int:
    """The exit code of the work, which stays where only the telling of it failed. A reader that had enough is no failure."""
    lost = reporter.out.error
    only_tells = args.command in ONLY_TELLING or getattr(args, "estimate", False)
    if lost is None or (only_tells and reporter.out.is_abandoned):
        return code
    reporter.warn(
        KnownError(
            tr("What is printed here could not be written ({reason}).", reason=lost.strerror),
            where=tr("standard output"),
            fix=tr("Print it elsewhere.") if only_tells else tr("What the command did is kept."),
        )
    )
    return EXIT_WRONG if only_tells else code


if __name__ == "__main__":
    sys.exit(main())
