"""Judge and encoder never compete for the cores: a judge's run waits while any process encodes."""

import subprocess
import sys
import time
from pathlib import Path

from errormap_core.cores import encoding, is_encoding
from errormap_core.judge.diagnose import diagnose
from errormap_core.project.store import Project
from tests.core.building import add_records
from tests.fakes import FakeJudge

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys, time
from errormap_core.cores import encoding
with encoding():
    print("holds", flush=True)
    sys.stdin.readline()
"""


def test_another_process_that_encodes_is_seen_and_its_death_frees_the_cores() -> None:
    assert not is_encoding()
    with encoding():
        assert is_encoding()
    assert not is_encoding()
    command = [sys.executable, "-c", HOLD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"holds\n"
        assert is_encoding()
        other.kill()
    assert not is_encoding()


def test_a_run_waits_while_texts_are_encoded(project: Project) -> None:
    add_records(project, [{"example_id": f"e{n}"} for n in range(3)])
    judge = FakeJudge()
    work = diagnose(project, judge)
    assert next(work).done == 0
    with encoding():
        step = next(work)
        assert step.counts["paused"] is True
        assert judge.is_paused
    began = time.monotonic()
    rest = list(work)
    assert time.monotonic() - began < 5
    assert rest[0].counts["paused"] is False
    assert rest[-1].done == 3
