"""Whether whoever holds a lease is alive, told without the clock where that is possible: clocks are put forward and back."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

STALE_AFTER = timedelta(minutes=10)
"""A holder on another machine that gave no sign of life for so long is taken for dead."""

_NEAR = 1.0
"""Two starts of a process of one id that are nearer than this (seconds) are the same."""

_seen: dict[str, tuple[str, float, bool]] = {}
"""Of holders on other machines: their last sign of life, since when it is known here, and whether it has ever changed."""


def started_at(pid: int) -> float:
    """When a process began. Raises psutil.NoSuchProcess.

    On Linux in seconds since the machine was started: the time of day that is told of a process there is worked out from
    the clock as it is now, and changes when the clock is set.
    """
    if not psutil.LINUX:
        return float(psutil.Process(pid).create_time())
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError as error:
        raise psutil.NoSuchProcess(pid) from error
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def is_running(pid: int, started: float) -> bool:
    """Whether the process that began then still runs. Earlier versions kept the time of day on Linux as well."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return abs(started_at(pid) - started) < _NEAR or abs(process.create_time() - started) < _NEAR
    except psutil.NoSuchProcess:
        return False


def gives_signs(holder: str, heartbeat_at: str, *, monotonic: float | None = None) -> bool:
    """Whether a holder on another machine is alive, by its last sign of life.

    What this process has seen for itself counts first: a sign that changed, or one that stayed the same for too long. Only
    where it has seen neither, the two machines' clocks are compared.
    """
    at = time.monotonic() if monotonic is None else monotonic
    known, since, has_changed = _seen.get(holder, (heartbeat_at, at, False))
    if known != heartbeat_at:
        since, has_changed = at, True
    _seen[holder] = (heartbeat_at, since, has_changed)
    if at - since >= STALE_AFTER.total_seconds():
        return False
    return has_changed or datetime.now(UTC) - datetime.fromisoformat(heartbeat_at) < STALE_AFTER
