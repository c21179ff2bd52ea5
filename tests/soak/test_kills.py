"""Processes that work on a project are killed: no step that was acknowledged is lost, no project is refused."""

import json
import os
import subprocess
import sys

import pytest

N_KILLS = 1_000 if os.environ.get("ERRORMAP_SOAK") else 10
SEED = 16


@pytest.mark.soak
def test_nothing_acknowledged_is_lost_by_a_kill() -> None:
    """Import, editing, accepting, judging, export, one in five in a checkpoint, one in twenty the real window."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak.kills", str(N_KILLS), str(SEED)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    print(f"soak: {json.dumps({**result, 'lost': len(result['lost']), 'refused': len(result['refused'])})}")
    assert result["kills"] == N_KILLS
    assert result["acknowledged"]["step"] > 0
    assert result["lost"] == []
    assert result["refused"] == []
    assert result["failed"] == []
