"""What is known of damaged files in this process, and how it is told: nothing is written to a file found damaged."""

import os
from pathlib import Path

from errormap_core.errors import KnownError
from errormap_core.project.backup_folder import way_back
from errormap_core.sentences import tr

__all__ = ["DamagedFile", "forget", "found", "known", "refuse"]


class DamagedFile(KnownError):
    """A project whose file is damaged: what it holds is to be repaired into a copy, or a backup restored."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(
            tr("The project file is damaged ({reason}). Nothing is written to it.", reason=reason),
            where=str(path),
            fix=way_back(path),
        )
        self.path = path


_found: dict[tuple[str, int], str] = {}
"""What was found, by name and inode, so that a file that was put in the place of a damaged one is not taken for it."""


def found(path: Path, reason: object) -> DamagedFile:
    """Keep in mind that this file is damaged; returns the error that says so."""
    key = _key(path)
    if key is not None:
        _found[key] = str(reason)
    return DamagedFile(path, reason)


def known(path: Path) -> DamagedFile | None:
    """The damage that was found in this file, by this process."""
    key = _key(path) if _found else None
    reason = None if key is None else _found.get(key)
    return None if reason is None else DamagedFile(path, reason)


def refuse(path: Path) -> None:
    """Raises DamagedFile where damage was found in this file."""
    error = known(path)
    if error is not None:
        raise error


def forget(path: Path) -> None:
    """It was looked at again, and is sound."""
    key = _key(path)
    if key is not None:
        _found.pop(key, None)


def _key(path: Path) -> tuple[str, int] | None:
    try:
        return os.path.realpath(path), os.stat(path).st_ino
    except OSError:
        return None
