"""The folder of backups: which there are, of which project, how large; and which are dropped.

Every project has a folder in it, named after its file; `project.json` says which project that is. A copy of a project
elsewhere has a folder of its own, so that the one does not push out the other's backups.
"""

import contextlib
import json
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from errormap_core.caches import data_folder
from errormap_core.ids import content_id, new_id
from errormap_core.sentences import Sentence, tr, trn

DAY = timedelta(days=1)

_OWNER = "project.json"
_STAMP = re.compile(r" (\d{4}-\d\d-\d\d \d\d-\d\d-\d\d)Z(?:-(\d+))?\.errormap$")
_PART = re.compile(r"\.(\d+)-[0-9a-f]{8}\.part(?:-journal|-wal|-shm)?$")
_UNFIT = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]+')
_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Owner:
    """The project that backups are of: where its file is, and the id of this copy of it."""

    path: str
    copy_id: str

    @property
    def name(self) -> str:
        return Path(self.path).stem

    @property
    def folder(self) -> Path:
        name = _UNFIT.sub("_", self.name)[:_LONGEST_NAME].strip(" .") or "project"
        return backups_folder() / f"{name} {content_id('backups', self.path, self.copy_id)[:8]}"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that is there."""

    path: Path
    owner: Owner
    made_at: datetime
    size: int
    n: int = 1  # of several that were made in one second

    def to_json(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "project": self.owner.path,
            "made_at": self.made_at.isoformat(),
            "size": self.size,
        }


def backups_folder() -> Path:
    """Where all backups are."""
    return data_folder() / "backups"


def owner_of(path: Path, copy_id: str) -> Owner:
    return Owner(os.path.realpath(path), copy_id)


def all_backups() -> list[Backup]:
    """Every backup that is there, the newest first. Raises OSError where the folder cannot be read."""
    folder = backups_folder()
    found = []
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        owner = _owner_in(place)
        if owner is not None:
            found += _backups_in(place, owner)
    return sorted(found, key=lambda backup: (backup.made_at, backup.n), reverse=True)


def backups_of(path: Path, copy_id: str | None = None) -> list[Backup]:
    """The backups of the project at `path`, and those of the project with this copy id wherever it was; the newest first."""
    where, found = os.path.realpath(path), all_backups()
    of_path = {backup.owner.copy_id for backup in found if backup.owner.path == where}
    ids = of_path if copy_id is None else {*of_path, copy_id}
    return [backup for backup in found if backup.owner.path == where or backup.owner.copy_id in ids]


def newest_in(owner: Owner) -> Backup | None:
    """The latest backup in this project's own folder."""
    return max(_backups_in(owner.folder, owner), key=lambda backup: (backup.made_at, backup.n), default=None)


def total_size() -> int:
    """Bytes in the folder of backups."""
    return sum(backup.size for backup in all_backups())


def new_name(owner: Owner) -> Path:
    """A name for a backup that is made now."""
    made_at = datetime.now(UTC).replace(microsecond=0)
    stem = f"{owner.folder.name[:-9]} {made_at:%Y-%m-%d %H-%M-%S}Z"
    n = max((backup.n for backup in _backups_in(owner.folder, owner) if backup.made_at == made_at), default=0) + 1
    return owner.folder / (f"{stem}.errormap" if n == 1 else f"{stem}-{n}.errormap")


def part_name(folder: Path) -> Path:
    """A name for a file that is being made: it says which process makes it."""
    return folder / f".{os.getpid()}-{new_id()[:8]}.part"


def make_ready(owner: Owner) -> None:
    """Make the project's folder, for nobody else's eyes; remove what a process that was killed left. Raises OSError."""
    backups_folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    owner.folder.mkdir(exist_ok=True, mode=0o700)
    said = owner.folder / _OWNER
    if _owner_in(owner.folder) != owner:
        new = part_name(owner.folder)
        try:
            new.write_text(json.dumps({"path": owner.path, "copy_id": owner.copy_id}, indent=1), encoding="utf-8")
            new.replace(said)
        finally:
            new.unlink(missing_ok=True)
    remove_parts(owner.folder)


def remove_parts(folder: Path) -> None:
    """Remove unfinished files whose process has ended."""
    for path in folder.iterdir():
        made_by = _PART.search(path.name)
        if made_by is not None and not psutil.pid_exists(int(made_by[1])):
            path.unlink(missing_ok=True)


def drop_old(owner: Owner, *, keep: int, most_bytes: int) -> list[Backup]:
    """Drop what is more than `keep` of this project, then the oldest of all until the rest is at most `most_bytes`; the
    last backup of a project always stays. Returns what was dropped. Raises OSError.

    Of those that are kept some are the last of days before the latest: opening and closing a project all afternoon must not
    drop what it was yesterday."""
    everything = all_backups()
    n_left: dict[Path, int] = {}
    for backup in everything:
        n_left[backup.path.parent] = n_left.get(backup.path.parent, 0) + 1
    own = [backup for backup in everything if backup.owner == owner]
    kept = _kept(own, max(1, keep))
    dropped = [backup for backup in own if backup not in kept]
    total = sum(backup.size for backup in everything) - sum(backup.size for backup in dropped)
    for backup in dropped:
        n_left[backup.path.parent] -= 1
    for backup in reversed(everything):
        if total > most_bytes and backup not in dropped and n_left[backup.path.parent] > 1:
            dropped.append(backup)
            n_left[backup.path.parent] -= 1
            total -= backup.size
    for backup in dropped:
        backup.path.unlink(missing_ok=True)
    return dropped


def _kept(own: Sequence[Backup], keep: int) -> Collection[Backup]:
    """Which of a project's backups, the newest first, are kept: the last of each of keep // 2 days before the latest, and
    the newest."""
    last_of: dict[date, Backup] = {}
    for backup in own:
        last_of.setdefault(backup.made_at.astimezone().date(), backup)
    of_days = list(last_of.values())[1 : 1 + keep // 2]
    newest = [backup for backup in own if backup not in of_days]
    return {*of_days, *newest[: keep - len(of_days)]}


def shown_time(moment: datetime) -> str:
    """A time as people read it, where they are."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def shown_size(n: int) -> str:
    """A size as people read it."""
    return f"{n / 1e6:,.1f} MB" if n < 1e9 else f"{n / 1e9:,.2f} GB"


def way_back(path: Path) -> Sentence:
    """What can be done about a damaged project: only what is so."""
    try:
        found: Sequence[Backup] = backups_of(path)
    except OSError as error:
        return tr(
            "The folder of backups cannot be read ({reason}). “check --repair” makes a repaired copy.",
            reason=error.strerror,
        )
    if not found:
        return tr(
            "There is no backup of it. “Repair into a copy” in the File menu, or “errormap-studio check {path} --repair”, "
            "saves what can be read.",
            path=path,
        )
    return trn(
        "There is {n:,} backup, of {when}: “Restore a backup” in the File menu, or “errormap-studio restore {path}”. "
        "Or let “check --repair” save what can be read into a copy.",
        "There are {n:,} backups, the latest of {when}: “Restore a backup” in the File menu, or “errormap-studio restore "
        "{path}”. Or let “check --repair” save what can be read into a copy.",
        len(found),
        when=shown_time(found[0].made_at),
        path=path,
    )


def _owner_in(folder: Path) -> Owner | None:
    """Whose folder it is; None where that is not said. Backups in a folder that lost its note are left alone."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        said = json.loads((folder / _OWNER).read_text(encoding="utf-8"))
        return Owner(str(said["path"]), str(said["copy_id"]))
    return None


def _backups_in(folder: Path, owner: Owner) -> list[Backup]:
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        stamp = _STAMP.search(path.name)
        if stamp is None:
            continue
        with contextlib.suppress(FileNotFoundError, ValueError):  # dropped by another process meanwhile; no such date
            made_at = datetime.strptime(stamp[1], "%Y-%m-%d %H-%M-%S").replace(tzinfo=UTC)
            found.append(Backup(path, owner, made_at, path.stat().st_size, int(stamp[2] or 1)))
    return found
