"""Where a file that people asked for is written: what may stand at its name is looked at before the work, and it appears whole.

A file that is there is replaced only if it is of the kind that is written (an atlas by an atlas), never a project, an input,
a device or a folder. A link is followed: the file that it names is replaced, and the link stays. The file's mode and owner
stay; a new one gets what the umask leaves, or the mode of the file that it is made of. It is replaced by renaming, so that
readers see the old one or the new one and never half of it; further hard links to the old one keep the old content.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from errormap_core.errors import KnownError
from errormap_core.ids import new_id
from errormap_core.sentences import Sentence, tr

PROJECT_ENDING = ".errormap"

_SQLITE = b"SQLite format 3\x00"
_BESIDE_A_DATABASE = ("-wal", "-shm", "-journal")
_HEAD_BYTES = 1 << 20
_PROBE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class OutputKind:
    """A kind of file that is written where people say.

    `noun` names one in a sentence ("an atlas"); `ending` is what its name should end in. `is_own` answers from the first MiB of a
    file whether it is one that may be replaced; without it nothing that is there is.
    """

    noun: Sentence
    ending: str
    is_own: Callable[[bytes], bool] | None = None


PROJECT = OutputKind(tr("a project"), PROJECT_ENDING)
"""A new project, a copy or a restored one: it never replaces anything."""


def check_output(
    path: str | Path, kind: OutputKind, *, project: Path | None = None, inputs: Iterable[str | Path] = ()
) -> Path:
    """The file that will be written for `path`, links followed.

    Give `path` as it was typed: a slash at its end says that a folder is meant. `project` is the open project, `inputs` the
    files that are read. Raises KnownError where nothing can or may be written; nothing is changed.
    """
    text = os.fspath(path)
    _refuse_names_of_nothing(text)
    with _told(text, kind):
        try:
            found = os.stat(text)
        except FileNotFoundError as error:
            if os.path.islink(text):
                raise KnownError(
                    tr("This is a link to a file that is not there ({target}).", target=os.readlink(text)),
                    where=text,
                    fix=tr("Name that file, or remove the link."),
                ) from error
            found = None
        target = Path(os.path.realpath(text))
        _refuse_what_is_read(text, target, found, project=project, inputs=inputs)
        _refuse_by_name(text, target, kind)
        if found is not None:
            _refuse_to_replace(text, target, found, kind)
        elif kind is PROJECT:
            refuse_log_of_another(target)
        _probe(target)
    return target


@contextlib.contextmanager
def new_output(
    path: str | Path,
    kind: OutputKind,
    *,
    project: Path | None = None,
    inputs: Iterable[str | Path] = (),
    like: Path | None = None,
) -> Iterator[Path]:
    """An empty file beside the target, which the body fills; at the body's end it takes the target's name.

    With `like` a new file gets the mode of that one, so that a copy of a private file is private. If the body fails, what
    stood there before stands there still. Raises KnownError as `check_output` does, and where it cannot be written.
    """
    text = os.fspath(path)
    target = check_output(text, kind, project=project, inputs=inputs)
    new = _beside(target)
    with _told(text, kind):
        before = _stat(target)
        try:
            os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600 if before or like else 0o666))
            yield new
            _keep_owner_and_mode(new, before, like)
            _flush(new)
            _put_in_place(new, target, may_replace=before is not None)
        finally:
            for rest in (new, *_database_files(new)[1:]):
                with contextlib.suppress(OSError):  # what could not be written cannot always be taken away either
                    rest.unlink(missing_ok=True)


def write_output(
    path: str | Path,
    data: bytes,
    kind: OutputKind,
    *,
    project: Path | None = None,
    inputs: Iterable[str | Path] = (),
) -> None:
    """Write `data` to `path`, all of it or nothing. Raises KnownError as `new_output` does."""
    with new_output(path, kind, project=project, inputs=inputs) as new:
        new.write_bytes(data)


def refuse_log_of_another(path: Path) -> None:
    """Raises KnownError where a log was left beside a name that a new project is to get: SQLite would put it into that one.

    It is left where a project was moved or deleted while a program had it open, or after one that was killed.
    """
    path = Path(os.path.realpath(path))
    for ending in ("-wal", "-journal"):
        log = path.with_name(path.name + ending)
        left = _stat(log)
        if left is not None and left.st_size:
            raise KnownError(
                tr(
                    "The log {name} of another project was left here, and a new project would take its steps.",
                    name=log.name,
                ),
                where=str(path),
                fix=tr(
                    "Choose another name. The log may hold the latest steps of a project that was moved or deleted."
                ),
            )


def _refuse_names_of_nothing(text: str) -> None:
    if not text:
        raise KnownError(tr("The name of the output is empty."), fix=tr("Name a file."))
    if "\0" in text:
        raise KnownError(tr("A file's name cannot hold a NUL."), fix=tr("Choose another name."))
    if text == "-":
        raise KnownError(
            tr("“-” is not the name of a file."), fix=tr("Name a file; write ./- for one that is called so.")
        )
    ends_in_slash = text[-1] == os.sep or text[-1] == os.altsep
    if os.path.isdir(text) or ends_in_slash or os.path.basename(text) in (".", ".."):
        raise KnownError(tr("This is a folder."), where=text, fix=tr("Name a file in it."))


def _refuse_what_is_read(
    text: str,
    target: Path,
    found: os.stat_result | None,
    *,
    project: Path | None,
    inputs: Iterable[str | Path],
) -> None:
    own = () if project is None else _database_files(Path(os.path.realpath(project)))
    if any(_is_same(target, found, one) for one in own):
        raise KnownError(tr("This is the project itself."), where=text, fix=tr("Give the output a name of its own."))
    if any(_is_same(target, found, Path(one)) for one in inputs):
        raise KnownError(
            tr("The output is one of the inputs."), where=text, fix=tr("Give the output a name of its own.")
        )


def _refuse_by_name(text: str, target: Path, kind: OutputKind) -> None:
    """By the name alone: a project that another connection has open must not be opened and closed to look into it."""
    if kind is not PROJECT and target.suffix.lower() == PROJECT_ENDING:
        raise KnownError(
            tr("This name ends in .errormap, as projects do, but {kind} is written.", kind=kind.noun),
            where=text,
            fix=tr("Choose a name that ends in {ending}.", ending=kind.ending),
        )
    for ending in _BESIDE_A_DATABASE:
        base = target.name.removesuffix(ending)
        if base != target.name and (
            Path(base).suffix.lower() == PROJECT_ENDING or _is_database(target.with_name(base))
        ):
            raise KnownError(
                tr("This is the name of a file that belongs to the project {name}.", name=base),
                where=text,
                fix=tr("Choose another name."),
            )


def _refuse_to_replace(text: str, target: Path, found: os.stat_result, kind: OutputKind) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise KnownError(
            tr("This is a device or a pipe; {kind} is written into a file.", kind=kind.noun),
            where=text,
            fix=tr("Choose the name of a file."),
        )
    if kind.is_own is None:
        raise KnownError(tr("There is a file of this name already."), where=text, fix=tr("Choose another name."))
    another = tr("Choose another name, or remove that file first.")
    if is_open_here(found):
        raise KnownError(
            tr("ErrorMap Studio is using this file."), where=text, fix=tr("Choose another name.")
        )  # not looked into, either: closing it again would take the locks of a database away
    if not found.st_mode & 0o222 or not os.access(target, os.W_OK):
        raise KnownError(tr("This file is write-protected."), where=text, fix=another)
    if not os.access(target, os.R_OK):
        raise KnownError(
            tr("You may not read this file, so it cannot be checked before it is replaced."), where=text, fix=another
        )
    head = _head(target)
    if head.startswith(_SQLITE):
        raise KnownError(
            tr("This is a project or another database, not {kind}.", kind=kind.noun), where=text, fix=another
        )
    if head and not kind.is_own(head):  # an empty file has nothing to lose
        raise KnownError(
            tr("There is a file of this name, and it is not {kind}.", kind=kind.noun), where=text, fix=another
        )


def _is_same(target: Path, found: os.stat_result | None, other: Path) -> bool:
    if os.path.normcase(target) == os.path.normcase(os.path.realpath(other)):
        return True
    there = _stat(other)
    return found is not None and there is not None and os.path.samestat(found, there)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def is_open_here(found: os.stat_result) -> bool:
    """Whether this process has the file open: POSIX drops its locks on it as soon as it closes the file once more."""
    folder = next((name for name in ("/proc/self/fd", "/dev/fd") if os.path.isdir(name)), None)
    if folder is None:
        return False  # a system whose locks belong to the handle
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):  # the one that listed the folder is gone by now
            if os.path.samestat(os.fstat(int(name)), found):
                return True
    return False


def _head(path: Path) -> bytes:
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
        return file.read(_HEAD_BYTES)


def _is_database(path: Path) -> bool:
    found = _stat(path)
    if found is None or not stat.S_ISREG(found.st_mode):
        return False
    return is_open_here(found) or _head(path).startswith(_SQLITE)


def _database_files(path: Path) -> tuple[Path, ...]:
    return (path, *(path.with_name(path.name + ending) for ending in _BESIDE_A_DATABASE))


def _beside(target: Path) -> Path:
    """A name of its own, which is short: the target's may be as long as a name can be."""
    return target.with_name(f".errormap-{new_id()[:8]}.new")


def _probe(target: Path) -> None:
    """Whether a file can be made in the folder and filled: asking is the one way to know who may, and whether there is room."""
    target.parent.stat()
    with contextlib.suppress(FileNotFoundError):
        os.lstat(target)  # a name that is too long is told here
    probe = _beside(target)
    try:
        with open(probe, "xb") as file:
            file.write(bytes(_PROBE_BYTES))
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


def _keep_owner_and_mode(new: Path, before: os.stat_result | None, like: Path | None) -> None:
    wanted = before or (_stat(like) if like is not None else None)
    if wanted is None:
        return
    now = os.stat(new)
    if hasattr(os, "chown") and (wanted.st_uid, wanted.st_gid) != (now.st_uid, now.st_gid):
        with contextlib.suppress(PermissionError):  # only an administrator can give a file away
            os.chown(new, wanted.st_uid, wanted.st_gid)
    if stat.S_IMODE(wanted.st_mode) != stat.S_IMODE(os.stat(new).st_mode):
        os.chmod(new, stat.S_IMODE(wanted.st_mode))


def _flush(path: Path) -> None:
    """Bring it to the disk. A file that is write-protected, as a copy of one that is, is flushed by who may read it."""
    number = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _put_in_place(new: Path, target: Path, *, may_replace: bool) -> None:
    if may_replace:
        new.replace(target)
    else:
        rename_new(new, target)
    with contextlib.suppress(OSError):  # not every system can flush a folder
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def rename_new(new: Path, target: Path) -> None:
    """Give `new` the name `target`. Raises KnownError where somebody took the name meanwhile."""
    try:
        os.link(new, target)  # fails where the name is taken, as replacing would not
    except FileExistsError as error:
        raise KnownError(
            tr("There is a file of this name already."), where=str(target), fix=tr("Choose another name.")
        ) from error
    except OSError:  # a file system without hard links
        if target.exists():
            raise
        new.replace(target)


@contextlib.contextmanager
def _told(text: str, kind: OutputKind) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _sentence_for(error, text, kind) from error


def _sentence_for(error: OSError, text: str, kind: OutputKind) -> KnownError:
    folder = os.path.dirname(text) or os.curdir
    match error.errno:
        case errno.ENOENT:
            return KnownError(tr("There is no such folder."), where=folder, fix=tr("Make it, or choose another."))
        case errno.ENOTDIR:
            return KnownError(tr("A part of this path is not a folder."), where=text, fix=tr("Choose another folder."))
        case errno.ENAMETOOLONG:
            return KnownError(tr("This name is too long."), where=text, fix=tr("Choose a shorter one."))
        case errno.ELOOP:
            return KnownError(
                tr("This is a link that leads back to itself."), where=text, fix=tr("Choose another name.")
            )
        case errno.ENOSPC | errno.EDQUOT:
            return KnownError(
                tr("The disk has no room for {kind}.", kind=kind.noun),
                where=folder,
                fix=tr("Free some space, or choose a folder on another disk."),
            )
        case errno.EACCES | errno.EPERM:
            return KnownError(
                tr("You may not write in this folder."), where=folder, fix=tr("Choose another, or change who may.")
            )
        case errno.EROFS:
            return KnownError(tr("This disk can only be read."), where=folder, fix=tr("Choose a folder elsewhere."))
        case _:
            return KnownError(
                tr("The file cannot be written ({reason}).", reason=error.strerror or error),
                where=text,
                fix=tr("Choose another name or folder."),
            )
