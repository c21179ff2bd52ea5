"""Whether a file is a project, found without changing it and without refusing one whose log holds the rest.

After a checkpoint that was cut short, by a kill or a full disk, the file alone is damaged and file and log together are
whole. So the file's header is read first, the log left aside: that cannot touch a file that is not ours. Where the header
alone does not tell, SQLite recovers the log and reads the header through it, with a connection that can neither write the
file nor delete the log. SQLite looks, not we: a file that is opened and closed beside a connection of this process takes
its locks away.
"""

import contextlib
import sqlite3
import urllib.parse
from pathlib import Path

from errormap_core import trouble
from errormap_core.errors import KnownError
from errormap_core.project.schema import APPLICATION_ID
from errormap_core.project.sqlite_said import log_file, sentence_for
from errormap_core.sentences import tr

BUSY_MS = 1_000
"""How long looking waits for another process that is just recovering the log."""


def refuse_what_is_no_project(path: Path, *, busy_ms: int = BUSY_MS) -> None:
    """Raises KnownError where the header was read and is not a project's, or where it cannot be read (which is told);
    Locked where another process is at work on the log for longer than `busy_ms`."""
    try:
        size, log_size = path.stat().st_size, _size(log_file(path))
    except OSError as error:
        raise trouble.known(error, where=str(path)) from error
    if not size:  # never to be opened: SQLite deletes the log of an empty file
        raise _empty(path, has_log=bool(log_size))
    try:
        found = _application_id(path, "immutable=1", busy_ms)
    except sqlite3.DatabaseError as error:
        log_size = log_size or _size(log_file(path))  # another program may just have begun to write
        if not log_size and _code(error) != sqlite3.SQLITE_NOTADB:
            raise _told(error, path) from error
        found = None
    if found == APPLICATION_ID:
        return
    if log_size:
        try:
            found = _application_id(path, "mode=ro", busy_ms)
        except sqlite3.DatabaseError as error:
            if _code(error) != sqlite3.SQLITE_NOTADB:
                raise _told(error, path) from error
    if found != APPLICATION_ID:
        raise KnownError(
            tr("This is not an ErrorMap Studio project."),
            where=str(path),
            fix=tr("Choose a file that was made by ErrorMap Studio; results files are imported into one."),
        )


def _application_id(path: Path, query: str, busy_ms: int) -> int:
    uri = f"file:{urllib.parse.quote(str(path.absolute()))}?{query}"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
        connection.execute(f"PRAGMA busy_timeout = {busy_ms}")
        (found,) = connection.execute("PRAGMA application_id").fetchone()
        return int(found)


def _code(error: sqlite3.DatabaseError) -> int:
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _told(error: sqlite3.DatabaseError, path: Path) -> Exception:
    return sentence_for(error, path) or error


def _empty(path: Path, *, has_log: bool) -> KnownError:
    if has_log:
        return KnownError(
            tr("The project file is empty, but its log {name} is not.", name=log_file(path).name),
            where=str(path),
            fix=tr("Keep both files as they are, put a backup of the project elsewhere and open that."),
        )
    return KnownError(
        tr("The file is empty, so it is not an ErrorMap Studio project."),
        where=str(path),
        fix=tr("Choose a file that was made by ErrorMap Studio, or delete this one and make a new project."),
    )
