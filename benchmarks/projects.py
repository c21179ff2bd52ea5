"""Makes projects of a given size, with made-up texts: records, analyses, categories and assignments."""

import random
from pathlib import Path

from errormap_core.ids import content_id, now
from errormap_core.project import counting
from errormap_core.project.runs import end_run, start_run
from errormap_core.project.store import Project
from errormap_core.taxonomy.tree import Category

WORDS = "unit rate sum total wrong missed count table period value number order sign carry step".split()


def make_project(path: Path, *, n_records: int, n_categories: int, large: int = 0, n_unplaced: int = 0) -> Project:
    """A project of `n_records` failures of 4 models, analysed and placed in `n_categories` on two levels.

    The first two leaf categories hold 50 failures each; the third holds `large` where that is given; the
    others share the rest evenly, but for the last `n_unplaced`, which no category holds. Texts are about 600
    characters, as GSM8K's are.
    """
    project = Project.create(path)
    chance = random.Random(5)
    n_examples = -(-n_records // 4)
    with project.writing() as db:
        import_run = start_run(db, "import", "benchmark", {"n": n_records})
        judge_run = start_run(db, "judge", "benchmark", {"n": n_records})
        propose_run = start_run(db, "propose", "benchmark", {"n": n_records})
        for run in (import_run, judge_run, propose_run):
            end_run(db, run, "finished")
        db.execute("INSERT INTO dataset (name, default_threshold) VALUES ('bench', 0.5)")
        models = [f"model-{i}" for i in range(4)]
        db.conn.executemany("INSERT INTO model VALUES (?)", [(m,) for m in models])
        keys = [(f"e{i:06}", m) for i in range(n_examples) for m in models][:n_records]
        ids = [content_id("record", "bench", m, e, 1) for e, m in keys]
        text = " ".join(chance.choice(WORDS) for _ in range(100))
        db.conn.executemany(
            """INSERT INTO record (id, dataset, model, example_id, score, content_hash, import_run, source_file,
                source_line, input_text, output_text, correct_answer, metrics, extra)
            VALUES (?, 'bench', ?, ?, 0, ?, ?, 'bench.csv', ?, ?, ?, '42', '{}', '{}')""",
            ((i, m, e, i, import_run, n, text, text) for n, (i, (e, m)) in enumerate(zip(ids, keys, strict=True), 2)),
        )
        made = now()
        db.conn.executemany(
            """INSERT INTO analysis (id, record_id, source_id, record_hash, verdict, required_criteria, error_title,
                error_summary, details, created_at) VALUES (?, ?, ?, ?, 'error', '[]', ?, ?, '{}', ?)""",
            ((content_id("a", i), i, judge_run, i, " ".join(chance.sample(WORDS, 4)), text[:200], made) for i in ids),
        )
        leaves = _categories(project, n_categories)
        place = _places(leaves, n_records=n_records - n_unplaced, large=large)
        db.conn.executemany(
            """INSERT INTO assignment (record_id, source_id, category_id, is_primary, confidence)
            VALUES (?, ?, ?, 1, 0.9)""",
            ((i, propose_run, c) for i, c in zip(ids, place, strict=False)),
        )
        counting.refresh(db)
    project.close()
    return Project.open(path)


def _categories(project: Project, n: int) -> list[str]:
    """`n` categories, one top for about 20 leaves; returns the leaves in order."""
    leaves: list[str] = []
    top: str | None = None
    for i in range(n):
        key = content_id("bench", i)
        is_top = i % 21 == 0
        name = f"{' '.join(random.Random(i).sample(WORDS, 3))} {i}"
        row = Category(id=key, parent_id=None if is_top else top, position=float(i), name=name).row()
        project.db.table("category").insert(row)
        if is_top:
            top = key
        else:
            leaves.append(key)
    return leaves


def _places(leaves: list[str], *, n_records: int, large: int) -> list[str]:
    fixed = [leaves[0]] * 50 + [leaves[1]] * 50 + [leaves[2]] * large
    rest = leaves[3:] or leaves
    return (fixed + [rest[i % len(rest)] for i in range(max(0, n_records - len(fixed)))])[:n_records]
