"""Opening the file itself: what is no project, what is older or newer, what cannot be written."""

import contextlib
import os
import sqlite3
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from sqlite_utils import Database

from errormap_core.errors import KnownError, Locked
from errormap_core.ids import now
from errormap_core.project import counting, damage
from errormap_core.project.sampling import register_functions
from errormap_core.project.schema import APPLICATION_ID, migrations
from errormap_core.sentences import tr

BUSY_MS = 30_000
"""How long a write waits for another process's short transaction before it gives up. A window waits less: it tries again."""


def check_file(path: Path) -> None:
    """Raises KnownError where `path` is no file that could be a project."""
    if path.is_dir():
        raise KnownError(
            tr("This is a folder, not a project."), where=str(path), fix=tr("Name the .errormap file in it.")
        )
    if not path.exists():
        raise KnownError(
            tr("There is no such project."),
            where=str(path),
            fix=tr("Check the name, or make a project by importing into a new file."),
        )
    if not _is_project(path):
        raise KnownError(
            tr("This is not an ErrorMap Studio project."),
            where=str(path),
            fix=tr("Choose a file that was made by ErrorMap Studio; results files are imported into one."),
        )


def _is_project(path: Path) -> bool:
    """Whether the file's header says so. Raises KnownError where it cannot be read.

    SQLite looks, not we: a file that is opened and closed beside a connection of this process takes its locks away.
    """
    uri = f"file:{urllib.parse.quote(str(path.absolute()))}?immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            (found,) = connection.execute("PRAGMA application_id").fetchone()
            return bool(found == APPLICATION_ID)
    except sqlite3.OperationalError as error:
        raise KnownError(
            tr("The project cannot be read ({reason}).", reason=error),
            where=str(path),
            fix=tr("Check who may read the file."),
        ) from error
    except sqlite3.DatabaseError:
        return False  # no database at all


def log_file(path: Path) -> Path:
    """SQLite's write-ahead log beside a project."""
    return path.with_name(path.name + "-wal")


def inode(path: Path) -> tuple[int, int] | None:
    """What tells a file from another of the same name; None where there is none, or the system has nothing to tell by."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found.st_ino else None


def connect(path: Path, *, read_only: bool, busy_ms: int = BUSY_MS) -> Database:
    """A connection with foreign keys enforced, in autocommit: transactions are opened by hand.

    Raises Locked where another program holds the file's lock for longer than `busy_ms`.
    """
    with told(path):
        is_ours = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
        if read_only and not is_ours:
            query = "mode=ro"
            if not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists():
                query = "immutable=1"  # nobody can write beside us there, nor can SQLite make its -shm
            uri = f"file:{urllib.parse.quote(str(path.absolute()))}?{query}"
            connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        else:  # a reader that may write to the folder, so that SQLite can clean up behind it
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA busy_timeout = {busy_ms}")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA cache_size = -65536")
            connection.execute("PRAGMA temp_store = MEMORY")
            if read_only:
                connection.execute("PRAGMA query_only = ON")
            else:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute(
                    "PRAGMA synchronous = FULL"
                )  # a decision that was shown as saved survives a power cut
            register_functions(connection)
        except BaseException:
            connection.close()
            raise
        return Database(connection)


def migrate(db: Database, path: Path, *, read_only: bool) -> Path | None:
    """Bring an older file up to date after a backup copy, whose path is returned. Raises KnownError for a newer one."""
    with told(path):
        known = [m.name for m in migrations._migrations]
        applied = [m.name for m in migrations.applied(db)]
        newer = [name for name in applied if name not in known]
        if newer:
            raise KnownError(
                tr("This project was made by a newer version of ErrorMap Studio ({newest}).", newest=newer[-1]),
                where=str(path),
                fix=tr("Open it with that version; nothing was changed."),
            )
        if applied == known and not counting.is_owed(db):
            return None
        if read_only:
            raise KnownError(
                tr("This project is of an older version and must be brought up to date first."),
                where=str(path),
                fix=tr("Open it once for editing; a backup copy is kept."),
            )
        backup = None
        db.execute("BEGIN IMMEDIATE")  # where another program holds the lock, no backup is made of what is not changed
        db.execute("ROLLBACK")
        if applied and applied != known:
            stamp = now().replace(":", "").replace("-", "").replace(".", "")
            backup = path.with_name(f"{path.name}.backup-{applied[-1].split('_')[0]}-{stamp}")
            os.close(os.open(backup, os.O_CREAT | os.O_EXCL, path.stat().st_mode & 0o777))
            with contextlib.closing(sqlite3.connect(backup)) as copy:
                db.conn.backup(copy)
        migrations.apply(db)
        counting.pay_owed(db)
        return backup


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what SQLite says of the world (full, locked, read-only, broken) into a sentence."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise _sentence_for(error, path) from error
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise damage.found(path, error) from error
        raise


def _sentence_for(error: sqlite3.OperationalError, path: Path) -> Exception:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return KnownError(
            tr("The disk is full."), where=str(path), fix=tr("Free some space and do it again; nothing was half done.")
        )
    if code == sqlite3.SQLITE_READONLY:
        return KnownError(
            tr("The project cannot be written."),
            where=str(path),
            fix=tr("Check who may write the file and its folder, or work on a copy."),
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Locked(
            tr("Another program is writing to the project and did not finish in time."),
            where=str(path),
            fix=tr("Do it again in a moment; nothing was half done."),
        )
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM):
        return KnownError(
            tr("The project cannot be read or written ({reason}).", reason=error),
            where=str(path),
            fix=tr("Check that the folder exists, that the disk is there and who may write to it."),
        )
    return error
