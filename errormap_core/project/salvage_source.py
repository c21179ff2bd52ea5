"""A damaged file that SQLite does not open any more, made readable: a working copy with its length and list of tables mended.

A file that was cut off is made as long as it says it is. Where the list of tables cannot be read, it is taken page by page
from a backup of the project, else from a new project: the same program makes the same list in the same places. What does
not fit then shows when rows are read: they are no rows of those tables.
"""

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from errormap_core.errors import KnownError
from errormap_core.project import backup_folder, files
from errormap_core.project.store import Project

PAGE_SIZES = {2**n for n in range(9, 17)}
_HEADER = 100


@contextlib.contextmanager
def readable(path: Path, folder: Path) -> Iterator[Path]:
    """The file itself where its list of tables can be read, else a working copy in `folder`, gone at the end.

    The copy is made of the file's bytes: no connection of this process may be open on it.
    """
    if _has_tables(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix=".errormap-", dir=folder) as name:
        copy = Path(name) / "working.errormap"
        _copy_bytes(path, copy)
        _mend_length(copy)
        for donor in () if _has_tables(copy) else _donors(path, Path(name)):
            _copy_bytes(path, copy)
            _graft_tables(copy, donor)
            if _has_tables(copy):
                break
        yield copy


def _has_tables(path: Path) -> bool:
    try:
        with files.told(path):
            db = files.connect(path, read_only=True, leaves_log=True)
            try:
                (n,) = db.execute("SELECT count(*) FROM sqlite_master WHERE name IN ('record', 'log')").fetchone()
                return bool(n == 2)
            finally:
                db.close()
    except (KnownError, sqlite3.DatabaseError):
        return False


def _copy_bytes(path: Path, copy: Path) -> None:
    for end in ("", "-wal", "-shm"):
        Path(f"{copy}{end}").unlink(missing_ok=True)
    shutil.copyfile(path, copy)
    with contextlib.suppress(FileNotFoundError):
        shutil.copyfile(f"{path}-wal", f"{copy}-wal")


def _mend_length(copy: Path) -> None:
    with copy.open("rb+") as file:
        header = file.read(_HEADER)
        size = _page_size(header)
        wanted = int.from_bytes(header[28:32], "big") * size
        length = file.seek(0, 2)
        if length % size:
            file.truncate(length - length % size)
        if length < wanted <= 2 * length + size * 1_000:
            file.truncate(wanted)


def _page_size(header: bytes) -> int:
    size = int.from_bytes(header[16:18], "big")
    size = 65_536 if size == 1 else size
    return size if size in PAGE_SIZES else 4096


def _donors(path: Path, folder: Path) -> Iterator[Path]:
    """Files whose lists of tables may stand in the same places."""
    with contextlib.suppress(OSError):
        for backup in backup_folder.backups_of(path):
            yield backup.path
    fresh = folder / "new.errormap"
    Project.create(fresh).close()
    yield fresh


def _graft_tables(copy: Path, donor: Path) -> None:
    """Put the pages of the donor's list of tables where they are in the donor."""
    with donor.open("rb") as given, copy.open("rb+") as file:
        header = given.read(_HEADER)
        size = _page_size(header)
        n_pages = file.seek(0, 2) // size
        todo, pages = [1], list[tuple[int, bytes]]()
        while todo and len(pages) < 1_000:
            number = todo.pop()
            given.seek((number - 1) * size)
            page = given.read(size)
            pages.append((number, page))
            at = _HEADER if number == 1 else 0
            if page[at] == 5:  # an inner page: its children
                n = int.from_bytes(page[at + 3 : at + 5], "big")
                todo.append(int.from_bytes(page[at + 8 : at + 12], "big"))
                for i in range(n):
                    cell = int.from_bytes(page[at + 12 + 2 * i : at + 14 + 2 * i], "big")
                    todo.append(int.from_bytes(page[cell : cell + 4], "big"))
        for number, page in pages:
            if number == 1:  # as many pages as there are, and none of them free
                page = page[:28] + n_pages.to_bytes(4, "big") + bytes(8) + page[40:]
            file.seek((number - 1) * size)
            file.write(page)
        file.truncate(max(n_pages, *(number for number, _ in pages)) * size)
