"""Opening the file itself: what is no project, what is older or newer, what cannot be written."""

import contextlib
import os
import sqlite3
import stat
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from sqlite_utils import Database

from errormap_core import trouble
from errormap_core.errors import KnownError
from errormap_core.ids import now
from errormap_core.output_paths import refuse_log_of_another
from errormap_core.project import counting, looking
from errormap_core.project.sampling import register_functions
from errormap_core.project.schema import migrations
from errormap_core.project.sqlite_said import log_file, sentence_for
from errormap_core.sentences import tr

BUSY_MS = 30_000
"""How long a write waits for another process's short transaction before it gives up. A window waits less: it tries again."""


ADDED_TO_NAMES = len(".new-12345678-journal")
"""So many letters SQLite and we put behind the name of a project that is being made."""


def check_file(path: Path, *, busy_ms: int = looking.BUSY_MS) -> None:
    """Raises KnownError where `path` is no file that could be a project."""
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise KnownError(
            tr("There is no such project."),
            where=str(path),
            fix=tr("Check the name, or make a project by importing into a new file."),
        ) from error
    except OSError as error:
        raise trouble.known(error, where=str(path)) from error
    if is_folder:
        raise KnownError(
            tr("This is a folder, not a project."), where=str(path), fix=tr("Name the .errormap file in it.")
        )
    looking.refuse_what_is_no_project(path, busy_ms=busy_ms)


def check_new(path: Path) -> None:
    """Raises KnownError where no project can be made at `path`: the name is taken, or is none."""
    try:
        path.stat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise trouble.known(error, where=str(path)) from error
    else:
        raise KnownError(tr("There is a file of this name already."), where=str(path), fix=tr("Choose another name."))
    if not path.parent.is_dir():
        raise KnownError(tr("There is no such folder."), where=str(path.parent), fix=tr("Make it, or choose another."))
    if (long := trouble.too_long(path, ADDED_TO_NAMES)) is not None:
        raise trouble.known(long, where=str(path))
    refuse_log_of_another(path)


def connect(
    path: Path, *, read_only: bool, busy_ms: int = BUSY_MS, makes: bool = False, leaves_log: bool = False
) -> Database:
    """A connection with foreign keys enforced, in autocommit: transactions are opened by hand. Only with `makes` a file is
    made where there is none: one that was moved away must not come back empty. With `leaves_log` a reader who is the last to
    close does not put a log that was left into the file.

    Raises Locked where another program holds the file's lock for longer than `busy_ms`.
    """
    with told(path):
        is_ours = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
        query = "mode=rwc" if makes else "mode=rw"  # a reader too, so that SQLite can clean up behind it
        is_left = leaves_log and log_file(path).exists()
        if read_only and (not is_ours or is_left):
            query = "mode=ro"
            if not os.access(path.parent, os.W_OK) and not log_file(path).exists():
                query = "immutable=1"  # nobody can write beside us there, nor can SQLite make its -shm
        uri = f"file:{urllib.parse.quote(str(path.absolute()))}?{query}"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
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
            try:
                with contextlib.closing(sqlite3.connect(backup)) as copy:
                    db.conn.backup(copy)
            except BaseException:  # half a copy is none
                backup.unlink(missing_ok=True)
                raise
        migrations.apply(db)
        counting.pay_owed(db)
        return backup


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what SQLite says of the world (full, locked, read-only, broken) into a sentence."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if (found := sentence_for(error, path)) is None:
            raise
        raise found from error
