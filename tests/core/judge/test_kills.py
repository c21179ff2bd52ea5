"""The engine is killed at random moments of one run: every failure is analysed once, none is lost, none twice."""

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from errormap_core.judge.diagnose import diagnose
from errormap_core.judge.engine import EngineSettings
from errormap_core.judge.llama_judge import LlamaJudge
from errormap_core.judge.prompts import load_prompt
from errormap_core.project.check import check
from errormap_core.project.store import Project
from tests.core.building import add_records

SOAK = bool(os.environ.get("ERRORMAP_SOAK"))
N_KILLS = 100 if SOAK else 3
SEED = 11


class Killer(threading.Thread):
    """Kills the judge's engine so many times, each after a time that is drawn."""

    def __init__(self, judge: LlamaJudge, n: int, seed: int, mean_s: float) -> None:
        super().__init__(daemon=True)
        self._judge = judge
        self._left = n
        self._random = random.Random(seed)
        self._mean_s = mean_s
        self.n_killed = 0
        self.is_over = False

    def run(self) -> None:
        killed: set[int] = set()
        while self._left and not self.is_over:
            time.sleep(self._random.expovariate(1 / self._mean_s))
            for pid in self._judge.engine_pids:
                if pid not in killed and self._left:
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
                    self._left -= 1
                    self.n_killed += 1


@pytest.mark.soak
def test_the_engine_may_be_killed_at_any_moment(project: Project, model: Path) -> None:
    n_records = 320 if SOAK else 6
    rows = [
        {
            "example_id": f"e{n // 2}",
            "model": f"m{n % 2}",
            "input_text": f"What is {n // 2} times 7?",
            "output_text": f"It is {n}, since I added {n % 5} and then seven more.",
        }
        for n in range(n_records)
    ]
    ids = add_records(project, rows)
    settings = EngineSettings(model, threads=1, context=512, sequences=2)
    n_aside = n_rounds = 0
    with LlamaJudge(settings, prompt=load_prompt("quick"), max_criteria=1) as judge:
        killer = Killer(judge, N_KILLS, SEED, mean_s=3.0 if SOAK else 0.8)
        killer.start()
        while True:
            n_rounds += 1
            *_, last = diagnose(project, judge, retry=n_rounds > 1)
            n_aside += last.counts["failed"]
            if not last.counts["failed"]:
                break
        killer.is_over = True
    killer.join()
    rows_of = project.db.execute("SELECT record_id, count(*) FROM analysis GROUP BY record_id").fetchall()
    print(
        f"\n{killer.n_killed} kills (seed {SEED}), {n_records} failures: {len(rows_of)} analysed once, "
        f"{sum(n > 1 for _, n in rows_of)} twice, {n_records - len(rows_of)} lost; "
        f"{n_aside} set aside after a second kill and analysed by retrying in {n_rounds - 1} more rounds"
    )
    assert killer.n_killed > 0
    assert sorted(record_id for record_id, _ in rows_of) == sorted(ids)
    assert all(n == 1 for _, n in rows_of)
    assert project.db.execute("SELECT count(*) FROM run WHERE kind = 'judge'").fetchone() == (1,), "one run"
    assert check(project) == []
