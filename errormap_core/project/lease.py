"""Leases in the project file: one window edits, one process runs a judge; a dead holder's lease is free."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sqlite_utils import Database

from errormap_core.errors import KnownError, Locked
from errormap_core.ids import new_id, now
from errormap_core.project import files, liveness
from errormap_core.sentences import Sentence, tr

if TYPE_CHECKING:
    from errormap_core.project.store import Project

_held: set[str] = set()
"""Holders of the leases that this process holds: a row of another holder with this process's id was left behind."""


class Lease:
    """A lease that this process holds."""

    def __init__(self, project: "Project", name: str) -> None:
        self._project = project
        self.name = name
        self.holder = new_id()

    def beat(self) -> None:
        """Give a sign of life."""
        if self._project.is_damaged:
            return
        with self._project.writing() as db:
            db.execute("UPDATE lease SET heartbeat_at = ? WHERE holder = ?", [now(), self.holder])

    def forget(self) -> None:
        """It is of a file that this process writes no more: whoever opens that again, under its new name, may take it."""
        _held.discard(self.holder)

    def release(self) -> None:
        _held.discard(self.holder)
        if self._project.is_damaged:  # nothing is written to it any more
            return
        with self._project.writing() as db:
            db.execute("DELETE FROM lease WHERE holder = ?", [self.holder])

    def release_when_free(self) -> None:
        """Give it back without waiting: where another program has locked the file, once it lets go."""
        try:
            self.release()
        except Locked:
            arguments = (self._project.path, self.holder)
            threading.Thread(target=_release_later, args=arguments, daemon=True, name="lease").start()


def _release_later(path: Path, holder: str) -> None:
    """Should the process end before, its lease is free as well."""
    while path.exists():
        try:
            files.check_file(path)  # another may have taken its place, whose way of keeping a log is its own
            db = files.connect(path, read_only=False)
            try:
                with files.told(path):
                    db.execute("DELETE FROM lease WHERE holder = ?", [holder])
                return
            finally:
                db.close()
        except Locked:
            continue  # it was waited for
        except KnownError:  # the file has gone, or cannot be written; the lease of a process that has ended is free
            return


def take_lease(project: "Project", name: str, *, purpose: Sentence) -> Lease:
    """Take the lease. Raises KnownError where a living process holds it."""
    lease = Lease(project, name)
    with project.writing() as db:
        sql = "SELECT pid, pid_started, host, purpose, heartbeat_at, holder FROM lease WHERE name = ?"
        held = db.execute(sql, [name]).fetchone()
        if held is not None and _is_held(*held[:3], heartbeat_at=held[4], holder=held[5]):
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
                "pid_started": liveness.started_at(os.getpid()),
                "host": socket.gethostname(),
                "purpose": str(purpose),
                "acquired_at": now(),
                "heartbeat_at": now(),
            }
        )
    _held.add(lease.holder)
    return lease


@contextlib.contextmanager
def project_lease(project: "Project", name: str, *, purpose: Sentence) -> Iterator[Lease]:
    """Hold the lease for the length of a block. Raises KnownError where a living process holds it."""
    lease = take_lease(project, name, purpose=purpose)
    try:
        yield lease
    finally:
        with contextlib.suppress(KnownError):  # the work is committed: a lock or a full disk does not make it not done
            lease.release()  # and the lease of a process that has ended is free


def purposes(db: Database) -> list[tuple[str, int]]:
    """What is done under leases on this machine, and by which process."""
    sql = "SELECT purpose, pid FROM lease WHERE host = ?"
    return [(row[0], row[1]) for row in db.execute(sql, [socket.gethostname()])]


def _is_held(pid: int, started: float, host: str, *, heartbeat_at: str, holder: str) -> bool:
    if pid == os.getpid() and host == socket.gethostname() and holder not in _held:
        return False
    if host != socket.gethostname():
        return liveness.gives_signs(holder, heartbeat_at)
    return liveness.is_running(pid, started)
