"""Leases in the project file: one window edits, one process runs a judge; a dead holder's lease is free."""

import contextlib
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psutil

from errormap_core.errors import KnownError
from errormap_core.ids import new_id, now
from errormap_core.sentences import Sentence, tr

if TYPE_CHECKING:
    from errormap_core.project.store import Project

STALE_AFTER = timedelta(minutes=10)
"""A holder on another machine that gave no sign of life for so long is taken for dead."""


class Lease:
    """A lease that this process holds."""

    def __init__(self, project: "Project", name: str) -> None:
        self._project = project
        self.name = name
        self.holder = new_id()

    def beat(self) -> None:
        """Give a sign of life."""
        with self._project.writing() as db:
            db.execute("UPDATE lease SET heartbeat_at = ? WHERE holder = ?", [now(), self.holder])

    def release(self) -> None:
        with self._project.writing() as db:
            db.execute("DELETE FROM lease WHERE holder = ?", [self.holder])


def take_lease(project: "Project", name: str, *, purpose: Sentence) -> Lease:
    """Take the lease. Raises KnownError where a living process holds it."""
    lease = Lease(project, name)
    with project.writing() as db:
        row = db.execute("SELECT pid, pid_started, host, purpose, heartbeat_at FROM lease WHERE name = ?", [name])
        held = row.fetchone()
        if held is not None and _is_alive(*held[:3], heartbeat_at=held[4]):
            raise KnownError(
                tr(
                    "{purpose} is under way already, in process {pid} on {host}.",
                    purpose=held[3],
                    pid=held[0],
                    host=held[2],
                ),
                where=str(project.path),
                fix=tr("Wait for it, or stop it there."),
            )
        db.execute("DELETE FROM lease WHERE name = ?", [name])
        db.table("lease").insert(
            {
                "name": name,
                "holder": lease.holder,
                "pid": os.getpid(),
                "pid_started": psutil.Process().create_time(),
                "host": socket.gethostname(),
                "purpose": str(purpose),
                "acquired_at": now(),
                "heartbeat_at": now(),
            }
        )
    return lease


@contextlib.contextmanager
def project_lease(project: "Project", name: str, *, purpose: Sentence) -> Iterator[Lease]:
    """Hold the lease for the length of a block. Raises KnownError where a living process holds it."""
    lease = take_lease(project, name, purpose=purpose)
    try:
        yield lease
    finally:
        lease.release()


def _is_alive(pid: int, started: float, host: str, *, heartbeat_at: str) -> bool:
    if host != socket.gethostname():
        return datetime.now(UTC) - datetime.fromisoformat(heartbeat_at) < STALE_AFTER
    try:
        process = psutil.Process(pid)
        return bool(process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - started) < 1)
    except psutil.NoSuchProcess:
        return False
