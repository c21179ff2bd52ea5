"""Backups of projects: made beside the work, verified, few; and putting one back.

A backup is a whole project of its own. It is copied by SQLite from one moment of the project, under a name that says that it
is unfinished, looked over, and only then renamed: what stops in between leaves nothing that could be taken for a backup.
"""

import contextlib
import os
import shutil
import sqlite3
import urllib.parse
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.ids import new_id
from errormap_core.output_paths import PROJECT, new_output, rename_new
from errormap_core.project import backup_folder, damage, files, health
from errormap_core.project.backup_folder import DAY, Backup
from errormap_core.project.health import Stopped, never
from errormap_core.project.schema import APPLICATION_ID
from errormap_core.sentences import tr

PAGES = 1_000
"""So many pages are copied between two looks at whether to go on: 4 MB."""

SPARE_BYTES = 50_000_000
"""A backup leaves at least so much room on the disk: what people do next needs it more."""

_MARK = """SELECT (SELECT max(seq) || id FROM log),
    (SELECT max(rowid) FROM record), (SELECT max(rowid) FROM analysis), (SELECT max(id) FROM judge_error),
    (SELECT max(rowid) FROM proposal),
    (SELECT count(*) || max(coalesce(finished_at, '')) || sum(status = 'running') FROM run)"""
"""What differs wherever something was decided or came in. Who holds the file, and what can be made again, is none of it."""

Told = Callable[[int, int], None]
"""Takes how many pages are copied, and of how many."""


def is_due(path: Path) -> bool:
    """Whether a day has passed since the last backup of what is at `path`, or there is none. Looks at names alone."""
    where = os.path.realpath(path)
    try:
        latest = next((backup for backup in backup_folder.all_backups() if backup.owner.path == where), None)
    except OSError:
        return True  # who makes the backup says what is wrong
    return latest is None or datetime.now(UTC) - latest.made_at > DAY


def back_up(
    path: Path, *, keep: int, most_bytes: int, cancelled: Stopped = never, told: Told | None = None
) -> Backup | None:
    """Make a backup of a project; None where there is one of this very content, or none is wanted (`keep` is 0).

    Only rows that are committed are in it, whoever writes meanwhile. Raises KnownError where it cannot be made, DamagedFile
    where the project turns out to be damaged, LookStopped where `cancelled` says so; nothing half written stays.
    """
    if keep < 1:
        return None
    files.check_file(path)  # SQLite would make a file where there is none
    with files.told(path):
        source = files.connect(path, read_only=True)
    try:
        with files.told(path):
            source.execute("BEGIN")  # one moment of the project, from here to the end
            mark = source.execute(_MARK).fetchone()
            owner = backup_folder.owner_of(path, _copy_id(source))
        with _folder_told():
            backup_folder.make_ready(owner)
            latest = backup_folder.newest_in(owner)
            if latest is not None and _mark_of(latest.path) == mark:
                return None
            _refuse_no_room(path, source)
            new = backup_folder.part_name(owner.folder)
            try:
                _create(new)
                _copy(source.conn, new, cancelled=cancelled, told=told)
                _verify(new, path, mark, cancelled=cancelled)
                backup = backup_folder.new_name(owner)
                new.rename(backup)
            finally:
                _remove(new)
            backup_folder.drop_old(owner, keep=keep, most_bytes=most_bytes)
    finally:
        source.close()
    return backup_folder.newest_in(owner)


def restore(backup: Path, target: Path, *, replace: bool = False) -> Path | None:
    """Put a backup at `target`. What is there is kept beside it under another name, which is returned, where `replace`
    allows that. Raises KnownError where it cannot be done; then everything is as it was."""
    _refuse_unfit(backup)
    if not (replace and os.path.lexists(target)):
        with new_output(target, PROJECT, inputs=[backup], like=backup) as new:
            with contextlib.closing(_immutable(backup)) as source:
                _copy(source, new)
        health.made_sound(target)
        return None
    if not target.is_file():
        raise KnownError(
            tr("A project is restored over a file alone."), where=str(target), fix=tr("Choose another name.")
        )
    target = Path(os.path.realpath(target))
    new = target.with_name(f".errormap-{new_id()[:8]}.part")
    kept: Path | None = None
    try:
        with _folder_told(target.parent):
            mode = target.stat().st_mode & 0o777
            _create(new)
            with contextlib.closing(_immutable(backup)) as source:
                _copy(source, new)
            os.chmod(new, mode)
            kept = _put_aside(target)
            rename_new(new, target)
    except BaseException:
        if kept is not None and not target.exists():
            _move(kept, target)
        raise
    finally:
        _remove(new)
    health.made_sound(target)
    return kept


def found_for(path: Path) -> list[Backup]:
    """The backups of a project, also those from before its file was moved or copied to `path`; the newest first.

    Raises OSError where the folder of backups cannot be read.
    """
    copy_id = None
    if path.is_file():
        with (
            contextlib.suppress(KnownError, sqlite3.DatabaseError),
            files.told(path),
        ):  # damaged: known by its place alone
            db = files.connect(path, read_only=True)
            try:
                copy_id = _copy_id(db) or None
            finally:
                db.close()
    return backup_folder.backups_of(path, copy_id)


def chosen(wanted: str, found: list[Backup]) -> Backup:
    """The backup that a person names: by its number in the list, 'latest', or its file. Raises KnownError."""
    if wanted == "latest" and found:
        return found[0]
    if wanted.isdecimal() and 1 <= int(wanted) <= len(found):
        return found[int(wanted) - 1]
    for backup in found:
        if wanted in (str(backup.path), backup.path.name):
            return backup
    raise KnownError(
        tr("There is no backup “{wanted}”.", wanted=wanted),
        where="--backup",
        fix=tr("Give its number in the list, or latest.") if found else tr("There is none of this project."),
    )


def _copy_id(db: Any) -> str:
    row = db.execute("SELECT value FROM meta WHERE key = 'copy_id'").fetchone()
    return "" if row is None else str(row[0])


def _refuse_no_room(path: Path, source: Any) -> None:
    (n_pages,), (page_size,) = (source.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
    folder, needed = backup_folder.backups_folder(), n_pages * page_size + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise KnownError(
            tr(
                "There is no room for a backup of {name}: it takes {needed}, and {free} are free.",
                name=path.name,
                needed=backup_folder.shown_size(needed),
                free=backup_folder.shown_size(free),
            ),
            where=str(folder),
            fix=tr("Free some space. Your work is saved in the project itself."),
        )


def _create(new: Path) -> None:
    """An empty file for nobody else's eyes, to be written also where what it is a copy of may not be."""
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _copy(source: sqlite3.Connection, new: Path, *, cancelled: Stopped = never, told: Told | None = None) -> None:
    def step(_: int, left: int, total: int) -> None:
        if cancelled():
            raise health.LookStopped
        if told is not None:
            told(total - left, total)

    try:
        with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as copy:
            copy.execute("PRAGMA journal_mode = OFF")  # nothing to go back to: it is given up as a whole
            source.backup(copy, pages=PAGES, progress=step)
            with contextlib.suppress(
                sqlite3.DatabaseError
            ):  # of a damaged project; that is told where it is looked over
                copy.execute("DELETE FROM lease")  # whoever has the project open has not its backup
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
            raise KnownError(
                tr("The disk is full."), where=str(new.parent), fix=tr("Free some space; nothing was half done.")
            ) from error
        raise KnownError(
            tr("The copy cannot be written ({reason}).", reason=error),
            where=str(new.parent),
            fix=tr("Check who may write there, and that the disk is there."),
        ) from error
    with new.open("rb") as written:
        os.fsync(written.fileno())


def _verify(new: Path, path: Path, mark: Any, *, cancelled: Stopped = never) -> None:
    """Raises DamagedFile where the copy, which is the project page by page, is not sound; LookStopped as `cancelled` says."""
    with contextlib.closing(_immutable(new)) as copy:
        copy.set_progress_handler(lambda: int(cancelled()), health.STEPS)
        try:
            (found,) = copy.execute("PRAGMA application_id").fetchone()
            said = [str(text) for (text,) in copy.execute("PRAGMA quick_check(1)")]
            same = copy.execute(_MARK).fetchone() == mark
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
                raise health.LookStopped from error
            raise damage.found(path, error) from error
    if said != ["ok"]:
        raise damage.found(path, said[0])
    if found != APPLICATION_ID or not same:
        raise KnownError(
            tr("The copy does not hold what the project does."), where=str(new.parent), fix=tr("Check the disk.")
        )


def _refuse_unfit(backup: Path) -> None:
    """Raises KnownError where the backup itself is no sound project."""
    if not backup.is_file():
        raise KnownError(tr("There is no such backup."), where=str(backup), fix=tr("Choose another one."))
    try:
        with contextlib.closing(_immutable(backup)) as copy:
            (found,) = copy.execute("PRAGMA application_id").fetchone()
            said = [str(text) for (text,) in copy.execute("PRAGMA quick_check(1)")]
    except sqlite3.DatabaseError as error:
        said, found = [str(error)], APPLICATION_ID
    if said != ["ok"] or found != APPLICATION_ID:
        raise KnownError(
            tr("This backup is damaged itself ({reason}).", reason=said[0]),
            where=str(backup),
            fix=tr("Choose an older one."),
        )


def _mark_of(backup: Path) -> Any:
    """What a backup holds, to compare; None where it cannot be read (then it is none)."""
    try:
        with contextlib.closing(_immutable(backup)) as copy:
            return copy.execute(_MARK).fetchone()
    except sqlite3.DatabaseError:
        return None


def _immutable(path: Path) -> sqlite3.Connection:
    """A connection to a file that nobody writes to; it makes no files beside it."""
    return sqlite3.connect(f"file:{urllib.parse.quote(str(path.absolute()))}?immutable=1", uri=True)


def _put_aside(target: Path) -> Path:
    """Give what is at `target` another name, its log too; nobody may have it open."""
    _refuse_in_use(target)
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S}Z"
    kept, n = target.with_name(f"{target.stem}.replaced-{stamp}{target.suffix}"), 1
    while os.path.lexists(kept):
        n += 1
        kept = target.with_name(f"{target.stem}.replaced-{stamp}-{n}{target.suffix}")
    _move(target, kept)
    return kept


def _move(path: Path, to: Path) -> None:
    for end in ("-wal", "-shm", ""):
        part = Path(f"{path}{end}")
        if part.exists():
            part.rename(f"{to}{end}")


def _refuse_in_use(target: Path) -> None:
    """Raises KnownError where another program has the file open, as far as SQLite can tell.

    What is damaged beyond that is taken to be free: SQLite then tells nobody else apart either.
    """
    try:
        with contextlib.closing(sqlite3.connect(target, isolation_level=None, timeout=1.0)) as connection:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise KnownError(
                tr("Another window or command has the project open."),
                where=str(target),
                fix=tr("Close it there first."),
            ) from error
    except sqlite3.DatabaseError:
        pass  # damaged, which is why something else takes its place


def _remove(new: Path) -> None:
    for end in ("", "-journal", "-wal", "-shm"):
        with contextlib.suppress(OSError):  # what cannot be removed now is removed the next time
            Path(f"{new}{end}").unlink(missing_ok=True)


@contextlib.contextmanager
def _folder_told(folder: Path | None = None) -> Iterator[None]:
    """Turn what the system says of the folder into a sentence."""
    try:
        yield
    except OSError as error:
        raise KnownError(
            tr("The backup cannot be written ({reason}).", reason=error.strerror or error),
            where=str(error.filename or folder or backup_folder.backups_folder()),
            fix=tr("Check that the folder is there, who may write to it, and that there is room."),
        ) from error
