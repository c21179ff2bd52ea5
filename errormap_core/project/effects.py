"""What a planned operation would do to counts: of each category, and of Other with all below it, before and after."""

import json
from collections import Counter
from collections.abc import Iterable

from sqlite_utils import Database

from errormap_core.project.queries import COUNTED, IN_TREE, own_counts, quoted
from errormap_core.taxonomy.draft import Draft
from errormap_core.taxonomy.edits import BulkRows, BulkUpdate, Edit
from errormap_core.taxonomy.tree import Tree

_TABLES = {"category", "assignment", "decision"}

_COUNTED = """SELECT f.record_id, a.category_id, f.state FROM json_each(?) m JOIN failure f ON f.record_id = m.value
    LEFT JOIN assignment a ON a.record_id = f.record_id AND a.counted = 1"""

_PRIMARY = """SELECT a.record_id, a.id, a.category_id, s.kind = 'annotator', s.rowid FROM json_each(?) m
    JOIN assignment a ON a.record_id = m.value AND a.is_primary = 1 JOIN source s ON s.id = a.source_id"""


def counts_around(db: Database, draft: Draft) -> tuple[Counter[str], Counter[str]] | None:
    """Counted failures by category before the planned edits and after them; None where more than the tree, assignments and
    decisions is edited, so that what counts changes rather than where it is."""
    if any(edit.table not in _TABLES for edit in draft.edits):
        return None
    before = Counter(own_counts(db))
    own = Counter(before)
    touched: set[str] = set()
    for edit in draft.edits:
        if isinstance(edit, BulkRows) and edit.table == "assignment":
            touched.update(edit.column("record_id"))
    by_hand = json.dumps(sorted(touched))
    for _, category_id, _ in db.execute(_COUNTED, [by_hand]):
        own[category_id] -= 1  # counted again below, by where they would be
    for edit in draft.edits:
        if isinstance(edit, BulkUpdate) and edit.table == "assignment":
            n = _n_counted(db, edit.ids, but=by_hand)
            own[edit.before] -= n
            own[edit.after] += n
    own.update(_counted_after(db, draft, by_hand))
    return before, own


def tell_other(db: Database, tree: Tree, draft: Draft, counts: tuple[Counter[str], Counter[str]]) -> None:
    """Say in the draft's effect what is in Other and below it, by the counts before and after."""
    before, after = counts
    sql = f"SELECT count(*) FROM failure WHERE state IN ({quoted(COUNTED)})"
    draft.effect.n_total = db.execute(sql).fetchone()[0]
    draft.effect.other_before = sum(before[category] for category in below_other(tree))
    draft.effect.other_after = sum(after[category] for category in below_other(draft.tree))


def below_other(tree: Tree) -> Iterable[str]:
    """Other and all below it."""
    other = next(category.id for category in tree if category.reserved == "other")
    return tree.subtree(other)


def _n_counted(db: Database, ids: Iterable[int], *, but: str) -> int:
    sql = """SELECT count(*) FROM assignment WHERE counted = 1 AND id IN (SELECT value FROM json_each(?))
        AND record_id NOT IN (SELECT value FROM json_each(?))"""
    return int(db.execute(sql, [json.dumps(list(ids)), but]).fetchone()[0])


def _counted_after(db: Database, draft: Draft, by_hand: str) -> Counter[str]:
    """Where the records that get or lose assignments would count, by the rule of counting.py: a person's latest primary
    assignment before any run's, of runs the latest."""
    records = {record_id: state for record_id, _, state in db.execute(_COUNTED, [by_hand])}
    rows = {
        i: (record_id, category_id, bool(is_person), rank)
        for record_id, i, category_id, is_person, rank in db.execute(_PRIMARY, [by_hand])
    }
    sources = dict[str, tuple[bool, int]]()
    for edit in draft.edits:
        if isinstance(edit, Edit) or edit.table != "assignment":
            continue
        if isinstance(edit, BulkUpdate):
            for i in edit.ids:
                if i in rows:
                    rows[i] = (rows[i][0], edit.after, *rows[i][2:])
            continue
        for i, record_id, source_id, category_id, is_primary, _ in edit.rows:
            if not edit.created:
                rows.pop(i, None)
            elif is_primary:
                if source_id not in sources:
                    sql = "SELECT kind = 'annotator', rowid FROM source WHERE id = ?"
                    kind, rank = db.execute(sql, [source_id]).fetchone()
                    sources[source_id] = (bool(kind), rank)
                rows[i] = (record_id, category_id, *sources[source_id])
    best: dict[str, tuple[tuple[bool, int], str]] = {}
    for i, (record_id, category_id, is_person, rank) in rows.items():
        weight = (is_person, i if is_person else rank)
        if record_id not in best or weight > best[record_id][0]:
            best[record_id] = (weight, category_id)
    counts: Counter[str] = Counter()
    for record_id, (weight, category_id) in best.items():
        if records.get(record_id) in IN_TREE or (weight[0] and records.get(record_id) in _BROUGHT_IN):
            counts[category_id] += 1
    return counts


_BROUGHT_IN = ("waiting", "engine_failed", "no_error")
"""States of failures that are in the tree once a person places them."""
