"""What a process does to a project until it is killed; what it acknowledges, and how that is looked for afterwards.

Each kind of work tells a line with `say` after the program acknowledged something: 'step ENTRY', 'rows FILE N', 'judged N',
'exported'. `find_lost` opens the project as the next person would and returns the lines that are not so.
"""

import csv
import json
import os
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import jsonschema

from errormap_core.exporters.atlas import schema, write_atlas
from errormap_core.ids import new_id
from errormap_core.importers.importing import import_files
from errormap_core.judge.diagnose import diagnose
from errormap_core.project.check import check
from errormap_core.project.pending import pending_proposals
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import (
    AddCategory,
    AnnotateCategory,
    AssignFailures,
    DecideProposals,
    MergeCategories,
    RenameCategory,
    Ruling,
)
from tests.core.building import add_proposals
from tests.fakes import FakeJudge

Say = Callable[[str], None]

N_ROWS = 40
LONG_NOTE = "What belongs here, and what does not. " * 5_000


def make(path: Path) -> None:
    """A project with failures that wait."""
    with Project.create(path) as project:
        _import(project, path.parent, lambda _: None, n=60)


def _import(project: Project, folder: Path, say: Say, *, n: int = N_ROWS) -> None:
    name = f"r{new_id()[:8]}"
    table = folder / f"{name}.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["example_id", "model", "input_text", "output_text", "score"])
        for i in range(n):
            writer.writerow([f"{name}-{i}", f"m{i % 2}", f"How much is {i} + {i}?", f"It is {i}.\n" * 40, 0])
    try:
        for _ in import_files(project, [table], dataset="d"):
            pass
        say(f"rows {name} {n}")
    finally:
        table.unlink()


def importing(project: Project, say: Say, chance: random.Random) -> None:
    while True:
        _import(project, project.path.parent, say, n=chance.choice((N_ROWS, N_ROWS, 60 * N_ROWS)))


def editing(project: Project, say: Say, chance: random.Random) -> None:
    """Adds, renames, notes, moves of failures, merges, undo and redo."""
    actor = project.annotator("Ann Bee")
    failures = [row[0] for row in project.db.execute("SELECT record_id FROM failure LIMIT 40")]
    while True:
        tree = [c.id for c in project.tree if c.reserved is None]
        kind = chance.choice(["add", "rename", "note", "assign", "merge", "undo", "redo"] if len(tree) > 3 else ["add"])
        name = f"Category {new_id()[:6]}"
        change = None
        match kind:
            case "add":
                change = project.apply(AddCategory(name=name), actor=actor)
            case "rename":
                change = project.apply(RenameCategory(category_id=chance.choice(tree), name=name), actor=actor)
            case "note":
                op = AnnotateCategory(category_id=chance.choice(tree), notes=f"{name} {LONG_NOTE[:9_000]}")
                change = project.apply(op, actor=actor)
            case "assign":
                ids = tuple(chance.sample(failures, min(5, len(failures))))
                change = project.apply(AssignFailures(record_ids=ids, category_id=chance.choice(tree)), actor=actor)
            case "merge" if len(tree) > 12:
                pair = chance.sample(tree, 2)
                change = project.apply(MergeCategories(category_ids=tuple(pair), into=pair[0]), actor=actor)
            case "undo":
                change = project.undo(actor=actor)
            case "redo":
                change = project.redo(actor=actor)
        if change is not None:
            say(f"step {change.entry_id}")


def accepting(project: Project, say: Say, chance: random.Random) -> None:
    actor = project.annotator("Ann Bee")
    while True:
        ids = [row[0] for row in project.db.execute("SELECT record_id FROM failure ORDER BY random() LIMIT 6")]
        groups = [{"name": f"Group {new_id()[:6]}", "records": ids[i : i + 2]} for i in range(0, 6, 2)]
        add_proposals(project, groups, run=new_id())
        wanted = [row.id for row in pending_proposals(project.db)][:3]
        if wanted:
            rulings = tuple(Ruling(proposal_id=each, verdict="accept") for each in wanted)
            change = project.apply(DecideProposals(rulings=rulings, is_bulk=True), actor=actor)
            say(f"step {change.entry_id}")


def judging(project: Project, say: Say, chance: random.Random) -> None:
    while True:
        (before,) = project.db.execute("SELECT count(*) FROM analysis").fetchone()
        for progress in diagnose(project, FakeJudge(name=f"judge {new_id()[:6]}"), again=True):
            say(f"judged {before + progress.counts['analysed'] if 'analysed' in progress.counts else before}")


def exporting(project: Project, say: Say, chance: random.Random) -> None:
    while True:
        write_atlas(project, project.path.with_suffix(".json"))
        say("exported")


def checkpointing(project: Project, say: Say, chance: random.Random) -> None:
    """Fills the log with megabytes that make the file grow, then has it put into the file, as closing does."""
    actor = project.annotator("Ann Bee")
    for n in range(10):
        op = AddCategory(name=f"Category {new_id()[:6]}", description=f"{n} {LONG_NOTE * 4}")
        say(f"step {project.apply(op, actor=actor).entry_id}")
    say("checkpoint")
    project.close()
    say("closed")


WORK: dict[str, Callable[[Project, Say, random.Random], None]] = {
    "import": importing,
    "edit": editing,
    "accept": accepting,
    "judge": judging,
    "export": exporting,
    "checkpoint": checkpointing,
}


def work_in_window(path: Path, say: Say, chance: random.Random) -> None:
    """Steps in the real window, offscreen; each is acknowledged when the window shows it."""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    from app.start.run import make_window
    from errormap_core.settings import UserSettings

    app = QApplication(["soak"])
    settings = UserSettings(path.parent / "settings.json")
    settings["queue.questions"] = False
    window = make_window(app, settings)
    window.show()
    assert window.session.open(path)
    window.session.changed.connect(lambda change: say(f"step {change.entry_id}") if change.is_own else None)
    say("ready")

    def step() -> None:
        project = window.session.project
        assert project is not None
        tree = [c.id for c in project.tree if c.reserved is None]
        if len(tree) < 4 or chance.random() < 0.5:
            window.session.apply(AddCategory(name=f"Category {new_id()[:6]}"))
        elif chance.random() < 0.3:
            window.session.undo()
        else:
            op = AnnotateCategory(category_id=chance.choice(tree), notes=f"{new_id()} {LONG_NOTE[:20_000]}")
            window.session.apply(op)

    timer = QTimer()
    timer.timeout.connect(step)
    timer.start(5)
    app.exec()


def find_lost(path: Path, told: Iterable[str], *, is_thorough: bool) -> list[str]:
    """What was acknowledged and is not there, and what is wrong with the file; empty where all is well.

    Raises KnownError where the project is refused.
    """
    lost: list[str] = []
    with Project.open(path) as project:
        steps = {row[0] for row in project.db.execute("SELECT id FROM log")}
        (analyses,) = project.db.execute("SELECT count(*) FROM analysis").fetchone()
        for line in told:
            match line.split():
                case ["step", entry] if entry not in steps:
                    lost.append(line)
                case ["rows", name, n]:
                    sql = "SELECT count(*) FROM record WHERE example_id LIKE ? || '-%'"
                    if project.db.execute(sql, [name]).fetchone()[0] != int(n):
                        lost.append(line)
                case ["judged", n] if analyses < int(n):
                    lost.append(f"{line}, {analyses} are there")
        [said] = project.db.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            lost.append(f"quick_check: {said}")
        if is_thorough:
            lost += [f"check: {problem.sentence}" for problem in check(project, replay=False)]
    atlas = path.with_suffix(".json")
    if atlas.exists():
        jsonschema.Draft202012Validator(schema()).validate(json.loads(atlas.read_text(encoding="utf-8")))
    return lost
