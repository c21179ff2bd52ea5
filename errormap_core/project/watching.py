"""Whether the file that a project has open is still the file of that name, and its log still its log.

A file manager, a sync tool or an editor may rename, delete or replace the file at any time. SQLite goes on writing the file
that it opened, and a log of the old name; so the steps are where nobody looks for them. Only names are asked for here and
nothing is opened: closing a file takes the locks of SQLite's connections away.
"""

import contextlib
import copy
import os
import stat
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from errormap_core.errors import KnownError
from errormap_core.ids import now
from errormap_core.project.sqlite_said import log_file
from errormap_core.sentences import Sentence, tr

Identity = tuple[int, int]

_OWN_FILES = Path("/proc/self/fd")
"""Where Linux tells the present name of each file that this process has open."""


TORN_S = 0.02

_PIECE = 1 << 22

_BEGINNING = b"SQLite format 3\x00"

_ABANDONED: set[Identity] = set()


def refuse_abandoned(path: Path) -> None:
    """Raises KnownError for a file that this process was cut off from by its log: SQLite would mix old log and new."""
    if os.path.exists(path) and identity(path) in _ABANDONED:
        raise KnownError(
            tr("This window was cut off from the log of this project and cannot open it again."),
            where=str(path),
            fix=tr("Close ErrorMap Studio and start it again."),
        )


@dataclass(frozen=True, slots=True)
class _Mark:
    """The row that says which copy of a project it is, and the page of the file that it was seen in. It may go to another
    page, as its table grows with each run."""

    row: bytes
    offset: int
    size: int


class CutOff(KnownError):
    """The file was moved, deleted or replaced while it was open, or its log was. Nothing more may be written.

    `is_written_over`: it holds something else now, so that there is nothing left to copy.
    """

    is_written_over = False
    went_in = False  # what was being written is committed: every copy has it

    def after_commit(self) -> "CutOff":
        """The same, of something that went in before it was found."""
        error = copy.copy(self)
        error.went_in = True
        return error


class FileWatch:
    """Watches the file of one open project. Once it is cut off it stays so, also where the file comes back: somebody may
    have written to it meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.real = Path(os.path.realpath(path))
        self._lost: CutOff | None = None
        self._file = identity(self.real)
        self._log: Identity | None = None
        self._shm: Identity | None = None
        self._aside: list[Path] = []
        self._mark: _Mark | None = None
        self._written: tuple[int, int] | None = None
        self._has_log = os.access(self.real.parent, os.W_OK)  # else it may be read without one, and others' come and go
        self._looking = threading.Lock()  # the window's thread and that of the checkpoints both look
        self.mode = stat.S_IMODE(os.stat(self.real).st_mode)

    def remember(self, *, copy_id: str, page: int, page_size: int) -> None:
        """What tells that the content is still the project's: its id, which stands in this page (from 1) of the file."""
        mark = _Mark(b"copy_id" + copy_id.encode(), (page - 1) * page_size, page_size)  # key and value, side by side
        self._mark = mark if self._holds(mark) else None

    @property
    def lost(self) -> CutOff | None:
        """What was found by the last look."""
        return self._lost

    def look(self) -> CutOff | None:
        """What happened to the file, if anything. Raises KnownError where the system cannot tell."""
        with self._looking:
            if self._lost is None and self._file is not None:
                self._lost = self._find()
            return self._lost

    def peek(self) -> CutOff | None:
        """The same after a commit, which is done: that the system cannot tell is left to the next look."""
        with contextlib.suppress(KnownError):
            self.look()
        return self._lost

    def _find(self) -> CutOff | None:
        try:
            found = identity(self.real)
            log = identity(log_file(self.real))
            if found == self._file:
                if self._is_written_over():
                    self._set_log_aside()
                    return self._written_over()
                if not self._has_log:
                    return None
                if self._log is None:
                    self._log, self._shm = log, identity(self._shm_file())
                return None if log == self._log else self._without_log()
        except OSError as error:
            raise KnownError(
                tr(
                    "Whether the project file is still in its place cannot be found out ({reason}).",
                    reason=error.strerror or error,
                ),
                where=str(self._path),
                fix=tr("Check that the disk is still connected. Nothing was written; it is tried again."),
            ) from error
        if found is None:
            return self._moved()
        self._set_log_aside()
        return self._replaced()

    def _moved(self) -> CutOff:
        there = self._whereabouts()
        fix = tr("Save a copy (File menu): it holds every step. The file itself may lack the latest ones.")
        if there is not None:
            what = tr(
                "The project file was moved or renamed while it was open; it is {there} now. Nothing more is written to it.",
                there=there,
            )
        elif self._is_deleted():
            what = tr("The project file was deleted while it was open. Nothing more is written.")
            fix = tr("Save a copy (File menu): it holds every step.")
        else:
            what = tr("The project file was moved or deleted while it was open. Nothing more is written.")
        return CutOff(what, where=str(self._path), fix=fix)

    def _replaced(self) -> CutOff:
        there = self._whereabouts()
        rest: Sentence | str = "" if there is None else tr(" The project itself is {there} now.", there=there)
        return CutOff(
            tr(
                "Another file took the place of the project while it was open. Nothing more is written.{rest}",
                rest=rest,
            ),
            where=str(self._path),
            fix=tr("Save a copy under another name (File menu): it holds every step. The new file is left as it is."),
        )

    def _is_written_over(self) -> bool:
        """Whether another program wrote something else into the very file, as `cp` and some sync tools do."""
        if self._mark is None:
            return False
        found = os.stat(self.real)
        written = (found.st_mtime_ns, found.st_size)
        if written == self._written:
            return False
        if not self._holds(self._mark):
            time.sleep(TORN_S)  # a checkpoint may just have been writing that page
            if not self._holds(self._mark):
                page = self._page_of(self._mark)
                if page is None:
                    return not self._is_on_its_way(self._mark)
                self._mark = replace(self._mark, offset=page)
        self._written = written
        return False

    def _page_of(self, mark: "_Mark") -> int | None:
        """Where the page is that holds the row now, anywhere in the file; None where none does."""
        for number in self._own_numbers():
            at = _found_in(int(number), mark.row)
            return None if at is None else at - at % mark.size
        return mark.offset

    def _is_on_its_way(self, mark: "_Mark") -> bool:
        """Whether the row is in our log, of a file that begins as a project: a checkpoint puts in page after page."""
        begins = any(os.pread(int(number), len(_BEGINNING), 0) == _BEGINNING for number in self._own_numbers())
        return begins and any(
            _found_in(int(number), mark.row) is not None
            for number in self._own_numbers(self._log or identity(log_file(self.real)))
        )

    def _holds(self, mark: "_Mark") -> bool:
        """Whether the file has the project's id in its place, read without opening it: closing would take locks away. True
        where it cannot be read so."""
        for number in self._own_numbers():
            try:
                return mark.row in os.pread(int(number), mark.size, mark.offset)
            except OSError:
                continue  # just closed
        return True

    def _written_over(self) -> CutOff:
        lost = CutOff(
            tr(
                "Another program wrote over the project file while it was open. Nothing more is written. What it held before "
                "is in part overwritten."
            ),
            where=str(self._path),
            fix=tr("Restore a backup (File menu). Keep the files named {name} until then.", name=self._aside_names()),
        )
        lost.is_written_over = True
        return lost

    def _aside_names(self) -> str:
        return ", ".join(file.name for file in self._aside) or log_file(self.real).name

    def _without_log(self) -> CutOff:
        return CutOff(
            tr(
                "The project's log {name} was deleted or replaced while the project was open. Nothing more is written.",
                name=log_file(self.real).name,
            ),
            where=str(self._path),
            fix=tr("Save a copy (File menu): it holds the steps taken here. Then close the project and open it again."),
        )

    def _whereabouts(self) -> str | None:
        """The present name of the file that is open; None where it has none, or nobody can tell."""
        for name in self._own_names():
            with contextlib.suppress(OSError):
                if identity(Path(name)) == self._file:
                    return name
        with contextlib.suppress(OSError), os.scandir(self.real.parent) as entries:
            for entry in entries:
                if (
                    self._file is not None
                    and entry.inode() == self._file[1]
                    and identity(Path(entry.path)) == self._file
                ):
                    return entry.path
        return None

    def _own_names(self) -> list[str]:
        found: list[str] = []
        for number in self._own_numbers():
            with contextlib.suppress(OSError):
                found.append(os.readlink(_OWN_FILES / number))
        return found

    def _own_numbers(self, file: Identity | None = None) -> list[str]:
        """The numbers under which this process has the file open, or another of its own."""
        wanted = file or self._file
        found: list[str] = []
        with contextlib.suppress(OSError):
            for number in os.listdir(_OWN_FILES):
                with contextlib.suppress(OSError):
                    if identity(_OWN_FILES / number) == wanted:
                        found.append(number)
        return found

    def _is_deleted(self) -> bool:
        for number in self._own_numbers():
            with contextlib.suppress(OSError):
                return os.stat(_OWN_FILES / number).st_nlink == 0
        return False

    def _shm_file(self) -> Path:
        return self.real.with_name(self.real.name + "-shm")

    def _set_log_aside(self) -> None:
        """Take our log away from the file that has its name now: SQLite would put it into that one on its next opening.

        The connections go on with it. Where it cannot be renamed it stays: the folder is not ours to write then.
        """
        stamp = "".join(c for c in now() if c.isalnum())
        for file, was in ((log_file(self.real), self._log), (self._shm_file(), self._shm)):
            with contextlib.suppress(OSError):
                if was is not None and identity(file) == was:
                    suffix = file.name[len(self.real.name) :]
                    self._aside.append(file.rename(file.with_name(f"{self.real.name}.set-aside-{stamp}{suffix}")))

    def is_in_place(self) -> bool:
        """Whether the file itself has its name, whatever became of its log."""
        with contextlib.suppress(OSError):
            return identity(self.real) == self._file
        return True  # nobody can tell

    def abandon(self) -> None:
        """Its connections stay open to the end of the process: no other may use what they share with a new one."""
        if self._file is not None:
            _ABANDONED.add(self._file)

    def drop_log(self) -> None:
        """Delete our log once a copy holds all of it: whatever gets the file's name later must not find it."""
        for file, was in ((log_file(self.real), self._log), (self._shm_file(), self._shm)):
            with contextlib.suppress(OSError):
                if was is not None and identity(file) == was:
                    file.unlink()
        for file in self._aside:
            file.unlink(missing_ok=True)


def _found_in(number: int, row: bytes) -> int | None:
    """Where these bytes are in an open file, which is read in pieces."""
    at, rest = 0, b""
    while piece := os.pread(number, _PIECE, at):
        place = (rest + piece).find(row)
        if place >= 0:
            return at - len(rest) + place
        at, rest = at + len(piece), piece[-len(row) :]
    return None


def identity(path: Path) -> Identity | None:
    """What tells a file from another of the same name; None where there is none, or the system has nothing to tell by.

    Raises OSError where the system cannot say, as where a network disk does not answer.
    """
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (found.st_dev, found.st_ino) if found.st_ino else None
