"""Screenshots of the queue: the sample, curated carelessly on purpose, with what is really proposed for it."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QEventLoop, QTimer

from app.window import Window
from errormap_core import cli
from errormap_core.project.pending import pending_proposals
from errormap_core.project.queries import failure_ids
from errormap_core.sample.build import build_sample
from errormap_core.taxonomy.operations import (
    AddCategory,
    AssignFailures,
    DecideProposals,
    DeleteCategories,
    DescribeCategory,
    MergeCategories,
    MoveCategories,
    RenameCategory,
    Ruling,
)

KINDS = ("place", "merge", "split", "promote", "move", "rename", "describe", "assign", "create")

LEFT_OPEN = "Counts more than there are"
"""A proposed category that nobody decided."""


def make_careless(path: Path) -> None:
    """The sample with a tree that has what people's trees have: twins, a crowded Other, a category of two things, bad names."""
    project = build_sample(path)
    actor = project.annotator("Ann Bee", initials="AB")
    rows = pending_proposals(project.db)
    rulings = tuple(Ruling(proposal_id=row.id, verdict="accept") for row in rows if row.name != LEFT_OPEN)
    project.apply(DecideProposals(rulings=rulings, is_bulk=True), actor=actor)
    ids = {category.name: category.id for category in project.tree}

    def held(name: str) -> list[str]:
        return failure_ids(project.db, category_ids=[ids[name]])

    def add(name: str, record_ids: list[str], *, parent: str | None = None, description: str = "") -> None:
        op = AddCategory(name=name, parent_id=ids[parent] if parent else None, description=description)
        project.apply(op, actor=actor)
        ids[name] = op.category_id
        if record_ids:
            project.apply(AssignFailures(record_ids=tuple(record_ids), category_id=op.category_id), actor=actor)

    sums, denies, reads = (
        held("Multiplies instead of adding and subtracting"),
        "Denies a true statement",
        "Invents a value not in the text",
    )
    add("Wrong operation", sums[:14])
    add("Multiplies where a sum is asked", sums[14:20], parent="Other")
    project.apply(MoveCategories(category_ids=(ids[denies],), parent_id=ids["Other"]), actor=actor)
    project.apply(RenameCategory(category_id=ids["Echoes question words as the answer"], name="Group 7"), actor=actor)
    two = (ids["Copies whole sentence, extracts nothing"], ids["Picks the later instead of the earlier"])
    project.apply(MergeCategories(category_ids=two, into=two[0], name="Does not answer what is asked"), actor=actor)
    project.apply(DescribeCategory(category_id=two[0], description=""), actor=actor)
    add("Words", [], description="What is done with the words of a text")
    add("Numbers", [], description="What is done with the numbers of a text")
    words = (
        "Repeats the word without transforming it",
        "Echoes question words as the answer",
        "Repeats a given number as answer",
    )
    numbers = ("Multiplies instead of adding and subtracting", "Wrong operation")
    for parent, names in (("Words", words), ("Numbers", numbers)):
        project.apply(MoveCategories(category_ids=tuple(ids[n] for n in names), parent_id=ids[parent]), actor=actor)
    strays = held("Repeats a given number as answer")[:4]
    project.apply(AssignFailures(record_ids=tuple(strays), category_id=ids[reads]), actor=actor)
    project.hand_over()
    project.close()
    cli.main(["propose", str(path), "--progress", "none"])
    cli.main(["classify", str(path), "--progress", "none"])
    cli.main(["queue", str(path), "--progress", "none"])


def shoot_queue(window: Window, path: Path, scheme: str, shoot: Callable[[Window, str], None]) -> None:
    """A card of each kind that is proposed, a question with its details, several selected, and one that became stale."""
    window.session.close()
    window.session.open(path)
    window.show_page("review")
    page = window.review
    for kind in KINDS:
        row = next((row for row in page.model.rows() if row.kind == kind), None)
        if row is None:
            print(f"no proposal of the kind {kind}", flush=True)
            continue
        window.session.select_proposal(row.id)
        if kind == "place":
            page.details()
        _shoot(window, f"queue-{kind}-{scheme}", shoot)
    page.first()
    page.select_all()
    _shoot(window, f"queue-batch-{scheme}", shoot)
    merge = next(row for row in page.model.rows() if row.kind == "merge")
    window.session.select_proposal(None)
    window.session.select_proposal(merge.id)
    renamed = merge.arguments["category_ids"][1]
    window.session.apply(RenameCategory(category_id=renamed, name="Another name since"))
    page.refresh()
    _shoot(window, f"queue-stale-{scheme}", shoot)
    window.session.undo()
    shoot_question(window, scheme, shoot)


def shoot_question(window: Window, scheme: str, shoot: Callable[[Window, str], None]) -> None:
    """A question on which two candidates are marked as the same, and one under which the tree changed; a split that is edited."""
    page = window.review
    row = next(row for row in page.model.rows() if row.kind == "place")
    window.session.select_proposal(row.id)
    page.same()
    page.nth_2()
    page.nth_3()
    page.same()
    _shoot(window, f"queue-marked-{scheme}", shoot)
    page.drop_edit()
    shown = [candidate.id for candidate in page.frame.place.candidates if not candidate.is_proposed]
    window.session.apply(RenameCategory(category_id=shown[1], name="Invents what is asked for"))
    window.session.apply(DeleteCategories(category_ids=(shown[2],)))
    _shoot(window, f"queue-question-{scheme}", shoot)
    window.session.undo()
    window.session.undo()
    split = next(row for row in page.model.rows() if row.kind == "split")
    window.session.select_proposal(split.id)
    parts = page.frame.split.parts
    first = parts.columns[0].members
    first.choose(first.members.shown()[1:3])
    page.part_back()
    _shoot(window, f"queue-edited-{scheme}", shoot)
    page.drop_edit()


def _shoot(window: Window, name: str, shoot: Callable[[Window, str], None]) -> None:
    """Once the effect is known, which is asked beside the window's thread."""
    loop = QEventLoop()
    QTimer.singleShot(900, loop.quit)
    loop.exec()
    shoot(window, name)
