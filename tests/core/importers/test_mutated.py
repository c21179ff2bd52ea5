"""Inputs that were mutated in every way a file gets damaged: each is taken, told or refused, and never anything else."""

import copy
import json
import os
import random
import resource
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from errormap_core.decide_job import decide_from
from errormap_core.errors import KnownError
from errormap_core.exporters.atlas import write_atlas
from errormap_core.gold.fitting import fit_to_project
from errormap_core.importers.atlas import import_atlas
from errormap_core.importers.errormap_csv import preview
from errormap_core.importers.importing import import_files
from errormap_core.importers.looking import look_at
from errormap_core.project.check import check
from errormap_core.project.store import Project
from errormap_core.sample.build import sample_gold
from errormap_core.tasks import driven
from errormap_core.taxonomy.operations import AddCategory
from tests.core.building import add_analyses, add_records

SEED = 16
CSV = (
    "example_id,model,input_text,output_text,score,correct_answer\n"
    + "".join(
        f'e{i},m{i % 3},"Frage {i}, \u00e4 \u554f","{{""a"": ""b, c""}}\nline {i}",{i % 2},five\n' for i in range(8)
    )
    + "".join(f"f{i},m{i % 3},plain,answer,{i % 2},\n" for i in range(8))
)

ODD_VALUES = (
    None,
    True,
    -1,
    1e400,
    10**40,
    "",
    "x" * 300,
    "\ud800",
    "a\0b",
    [],
    {},
    [[]],
    {"a": 1},
    "A\nB",
    float("nan"),
)


def mutated_bytes(raw: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(raw) + 1)
        size = rng.choice((1, 1, 3, 40))
        match rng.randrange(9):
            case 0:
                raw = raw[:at] + bytes([rng.randrange(256)]) + raw[at + 1 :]
            case 1:
                raw = raw[:at]
            case 2:
                raw = raw[:at] + raw[at + size :]
            case 3:
                raw = raw[:at] + raw[at : at + size] * 2 + raw[at + size :]
            case 4:
                raw = (
                    raw[:at]
                    + rng.choice((b'"', b",", b"\n", b"\r", b"\\", b"\0", b"\xef\xbb\xbf", b'",', b"[", b"}"))
                    + raw[at:]
                )
            case 5:
                mark = rng.choice((b'"', b",", b"\n", b":", b"}"))
                place = raw.find(mark, at)
                raw = raw if place < 0 else raw[:place] + raw[place + 1 :]
            case 6:
                raw = raw[:at] + rng.choice((b"x", b"\xff", b'"', b",", b"[")) * rng.choice((300, 70_000)) + raw[at:]
            case 7:
                encoding = rng.choice(("utf-16", "utf-16-le", "cp1252", "utf-8-sig", "utf-32"))
                raw = raw.decode("utf-8", "replace").encode(encoding, "replace")
            case _:
                lines = raw.split(b"\n")
                rng.shuffle(lines)
                raw = b"\n".join(lines)
        if not raw:
            return b"x"
    return raw


def mutated_json(document: Any, rng: random.Random) -> bytes:
    """Values of other types, fields that are gone or twice, deep nesting; else bytes."""
    if rng.random() < 0.4:
        return mutated_bytes(json.dumps(document, ensure_ascii=False).encode(), rng)
    document = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 2, 3))):
        value, holder, key = document, None, None
        while isinstance(value, dict | list) and value and (holder is None or rng.random() < 0.75):
            holder = value
            key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
            value = value[key]
        if holder is None:
            return b"[]"
        match rng.randrange(4):
            case 0:
                del holder[key]
            case 1:
                deep: Any = 1
                for _ in range(rng.choice((3, 150, 250))):
                    deep = [deep]
                holder[key] = deep
            case 2 if isinstance(holder, list):
                holder.append(json.loads(json.dumps(value)))
            case _:
                holder[key] = copy.deepcopy(rng.choice(ODD_VALUES))
    return json.dumps(document).encode()


class Inputs:
    """The same entry points as the command line's, each on a project of its own that is made once and stays sound."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = Project.create(folder / "results.errormap")
        self.decisions = Project.create(folder / "decisions.errormap")
        self.me = self.decisions.annotator("Ann")
        ids = add_records(self.decisions, [{"example_id": f"e{i}"} for i in range(6)])
        add_analyses(self.decisions, {record_id: f"Error {i % 2}" for i, record_id in enumerate(ids)})
        self.decisions.apply(AddCategory(name="Sums"), actor=self.me)
        self.lines = [{"record": i, "verdict": "accept", "target": "Sums"} for i in ids[:3]]
        self.lines += [{"record": i, "verdict": "edit", "name": f"New {i[:4]}", "description": "D"} for i in ids[3:5]]
        self.lines += [{"record": ids[5], "verdict": "reject", "reason": "no"}]
        self.atlas = write_atlas(self.decisions, folder / "atlas.json", history=True)
        gold = sample_gold()
        self.taxonomy = json.loads((gold / "taxonomy.json").read_text(encoding="utf-8"))
        self.analyses = [
            json.loads(line) for line in (gold / "analyses.jsonl").read_text(encoding="utf-8").splitlines()[:8]
        ]
        self.scored = Project.create(folder / "scored.errormap")
        keys = ("dataset", "example_id", "model")
        for each in self.analyses:
            quotes = " ".join(c.get("evidence") or "" for c in each["analysis"]["required_criteria"])
            add_records(self.scored, [{**{key: each[key] for key in keys}, "output_text": quotes}])

    def csv(self, rng: random.Random) -> bool:
        path = self.folder / "x.csv"
        path.write_bytes(mutated_bytes(CSV.encode(), rng))
        look_at([path])
        preview(path)
        before = self.results.db.execute("SELECT count(*) FROM record").fetchone()[0]
        [result] = driven(import_files(self.results, [path], dataset=rng.choice("ab")))
        after = self.results.db.execute("SELECT count(*) FROM record").fetchone()[0]
        assert after - before == result.n_added
        n_same = result.n_unchanged + result.n_duplicates
        assert result.n_rows == result.n_added + n_same + result.n_replaced + result.n_conflicts, result.to_json()
        told = Counter(p.code for p in result.problems if not p.is_kept)
        assert told.total() == result.n_lost, "every row that is left out has its line"
        json.dumps(result.to_json(), ensure_ascii=False).encode()
        return not result.problems

    def atlases(self, rng: random.Random) -> bool:
        path = self.folder / "x.json"
        path.write_bytes(mutated_json(self.atlas, rng))
        target = self.folder / "atlas.errormap"
        target.unlink(missing_ok=True)
        with Project.create(target) as project:
            _, notices = import_atlas(project, path, actor=project.annotator("Bob"))
            assert check(project) == []
            write_atlas(project, self.folder / "again.json")
        return not notices

    def decide(self, rng: random.Random) -> bool:
        path = self.folder / "x.jsonl"
        lines = [json.dumps(line).encode() for line in self.lines]
        place = rng.randrange(len(lines))
        lines[place] = mutated_json(self.lines[place], rng)
        path.write_bytes(b"\n".join(lines))
        done = driven(decide_from(self.decisions, path, actor=self.me))
        assert done.taken.total() + done.n_already + len(done.problems) == done.n_lines
        json.dumps(done.to_json(), ensure_ascii=False).encode()
        while self.decisions.undo(actor=self.me) is not None and rng.random() < 0.9:
            pass
        return not done.problems

    def gold(self, rng: random.Random) -> bool:
        folder = self.folder / "gold"
        folder.mkdir(exist_ok=True)
        lines = [json.dumps(line).encode() for line in self.analyses]
        taxonomy = json.dumps(self.taxonomy).encode()
        if rng.random() < 0.5:
            taxonomy = mutated_json(self.taxonomy, rng)
        else:
            place = rng.randrange(len(lines))
            lines[place] = mutated_json(self.analyses[place], rng)
        (folder / "taxonomy.json").write_bytes(taxonomy)
        (folder / "analyses.jsonl").write_bytes(b"\n".join(lines))
        fitted = fit_to_project(self.scored, folder)
        json.dumps([p.to_json() for p in fitted.gold.problems], ensure_ascii=False).encode()
        return not fitted.gold.problems

    def close(self) -> None:
        for project in (self.results, self.decisions, self.scored):
            assert check(project) == []
            project.close()


@pytest.mark.soak
def test_mutated_inputs_are_taken_told_or_refused(tmp_path: Path) -> None:
    """200 inputs, in the soak 10,000: no traceback, bounded memory, and the projects stay sound."""
    n = 10_000 if os.environ.get("ERRORMAP_SOAK") else 200
    inputs = Inputs(tmp_path)
    kinds: list[Callable[[random.Random], bool]] = [inputs.csv, inputs.atlases, inputs.decide, inputs.gold]
    counts: Counter[str] = Counter()
    longest = 0
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(n):
        kind = kinds[number % len(kinds)]
        try:
            outcome = "accepted" if kind(random.Random(f"{SEED} {number}")) else "told"
        except KnownError as error:
            outcome, longest = "refused", max(longest, len(str(error).encode()))
        except Exception as error:
            raise AssertionError(f"input {number} ({kind.__name__}, seed {SEED})") from error
        counts[outcome] += 1
    inputs.close()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) // 1024
    assert grown < 400
    assert longest < 20_000, "a sentence, not the file"
    said = ", ".join(f"{counts[key]:,} {key}" for key in ("accepted", "told", "refused"))
    print(
        f"soak: {n:,} mutated inputs (CSV, atlas, decisions, gold; seed {SEED}): {said}; 0 tracebacks, grew by {grown:,} MiB"
    )
