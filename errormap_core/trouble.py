"""What the world says no to: a full disk, a quota, a disk for reading only, a name too long. One table of sentences.

SQLite hides the system's reason behind a few codes of its own, and some of them mean several things. So the folder
is asked: what happens where a small file is written into it.
"""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from errormap_core.errors import KnownError
from errormap_core.sentences import Sentence, tr

PROBE_BYTES = 1 << 20
NEARLY_FULL_BYTES = 1 << 20
"""What is left on a disk where a write failed; less than this, and the disk is why."""

_FORBIDDEN = (
    tr("You have no permission to read or write it."),
    tr("Check who may read and write the file and its folder."),
)

_SAID: dict[int, tuple[Sentence, Sentence]] = {
    errno.ENOSPC: (tr("The disk is full."), tr("Free some space and do it again; nothing was half done.")),
    errno.EDQUOT: (
        tr("Your disk quota is used up."),
        tr("Delete files of yours or ask for a larger quota, and do it again; nothing was half done."),
    ),
    errno.EROFS: (tr("The disk can only be read."), tr("Choose a folder on another disk, or work on a copy there.")),
    errno.EFBIG: (
        tr("The file would become larger than this account or disk allows."),
        tr("Raise the limit on the size of files (ulimit -f), or choose another disk; nothing was half done."),
    ),
    errno.ENAMETOOLONG: (tr("The name is too long."), tr("Choose a shorter one.")),
    errno.EACCES: (
        tr("You have no permission to read or write it."),
        tr("Check who may read and write the file and its folder."),
    ),
    errno.EPERM: (
        tr("You have no permission to read or write it."),
        tr("Check who may read and write the file and its folder."),
    ),
    errno.ENOENT: (tr("There is no such file or folder."), tr("Check the name.")),
    errno.ENOTDIR: (tr("A part of the path is a file, not a folder."), tr("Check the name.")),
    errno.EISDIR: (tr("This is a folder, not a file."), tr("Name a file in it.")),
    errno.EMFILE: (tr("Too many files are open."), tr("Close other programs and do it again.")),
    errno.EIO: (tr("The disk reports an error."), tr("Copy what you can to another disk, then check this one.")),
}


class DiskError(KnownError):
    """The disk, or who may use it, is why something could not be read or written: the files themselves are not at fault."""


def known(error: OSError, *, where: Sentence | str = "") -> DiskError:
    """The sentence for what the system said; `where` is used where the error names no file."""
    named = getattr(error, "filename", None)
    place = os.fsdecode(named) if isinstance(named, bytes) else str(named) if named else where
    if error.errno in _SAID:
        what, fix = _SAID[error.errno]
        return DiskError(what, where=place, fix=fix)
    reason = error.strerror or error
    return DiskError(
        tr("A file cannot be read or written ({reason}).", reason=reason),
        where=place,
        fix=tr("Check its name and content."),
    )


def undecodable(error: UnicodeError) -> KnownError:
    """The sentence for text that is none."""
    return KnownError(
        tr("A file cannot be read or written ({reason}).", reason=error), fix=tr("Check its name and content.")
    )


def obstacle(path: Path) -> OSError | None:
    """What keeps a file at `path` from being written or from growing, found by writing another beside it; None: nothing.

    To be asked after a write failed: it costs a file that is made and deleted. `path` itself is not opened, since closing
    it would take the locks of SQLite's connections away.
    """
    folder = path.parent
    if (long := too_long(path, len("-journal"))) is not None:
        return long
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as probe:
            left = PROBE_BYTES
            while left > 0:  # a disk with little room takes a part and says so at the next
                left -= probe.write(bytes(left))
            os.fsync(probe.fileno())
    except OSError as error:
        return OSError(error.errno, error.strerror, str(folder))
    if _largest_allowed() is not None and any(_is_at(path, suffix) for suffix in ("", "-wal")):
        return OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    with contextlib.suppress(OSError):
        if shutil.disk_usage(folder).free < NEARLY_FULL_BYTES:
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    return None


def too_long(path: Path, more: int) -> OSError | None:
    """Whether the folder's system takes no name of this length and `more` bytes."""
    limit = 255
    if hasattr(os, "pathconf"):
        with contextlib.suppress(OSError, ValueError):
            limit = os.pathconf(path.parent, "PC_NAME_MAX")
    if len(os.fsencode(path.name)) + more <= limit:
        return None
    return OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), str(path))


def _largest_allowed() -> int | None:
    """How large a file may become, where the account is limited."""
    try:
        import resource
    except ImportError:  # a system without such limits
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return None if soft == resource.RLIM_INFINITY else soft


def _is_at(path: Path, suffix: str) -> bool:
    """Whether this file of a project has come to the limit."""
    limit = _largest_allowed()
    try:
        size = path.with_name(path.name + suffix).stat().st_size
    except OSError:
        return False
    return limit is not None and size + PROBE_BYTES > limit


@contextlib.contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A folder for files of the moment. Raises DiskError, which says so, where they cannot be written there."""
    try:
        folder = tempfile.TemporaryDirectory(prefix=prefix)
    except OSError as error:
        raise _temporary(known(error)) from error
    with folder as name:
        try:
            yield Path(name)
        except DiskError as error:
            raise (_temporary(error) if str(error.where).startswith(name) else error) from error
        except OSError as error:
            if str(error.filename or "").startswith(name):
                raise _temporary(known(error)) from error
            raise


def _temporary(error: KnownError) -> DiskError:
    return DiskError(
        tr("Temporary files cannot be written. {what}", what=error.what),
        where=error.where,
        fix=tr(
            "Free some space there, or name another folder in the environment's TMPDIR. The project is not affected."
        ),
    )
