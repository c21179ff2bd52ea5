"""Copies of weights in a faster format: which there are, how much room they take, and which of them go.

They lie in the user's cache and can be made again by a measurement. All together they take no more than a setting allows:
the one that was used longest ago goes first. One whose model is gone, or that no measurement names any more, goes as well.
None goes that an engine runs on, in whatever process.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errormap_core.caches import cache_folder
from errormap_core.judge.memory import size_text
from errormap_core.project.liveness import is_running, started_at
from errormap_core.sentences import Sentence, tr, trn

_USE = ".use"

_UNNAMED_S = 3600.0
"""A copy that no measurement names may be one that is being measured: it is left alone for so long."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of a model's weights. `model` is where its source was, '' where no measurement names the copy."""

    path: Path
    n_bytes: int
    model: str
    used_at: float
    is_in_use: bool

    @property
    def is_stale(self) -> bool:
        """Whether it is of no use any more: its model is gone, or no measurement names it."""
        if self.model:
            return not Path(self.model).exists()
        return time.time() - self.used_at > _UNNAMED_S

    def to_json(self) -> dict[str, Any]:
        return {"path": str(self.path), "bytes": self.n_bytes, "model": self.model, "in_use": self.is_in_use}


def kept_folder() -> Path:
    """Where measurements and copies are kept."""
    return cache_folder() / "judge"


def kept_copies() -> list[Copy]:
    """All copies, the one that was used last first."""
    folder = kept_folder()
    models = _models(folder)
    found = []
    for path in folder.glob("*.gguf"):
        with contextlib.suppress(FileNotFoundError):  # another process dropped it meanwhile
            kept = path.stat()
            found.append(Copy(path, kept.st_size, models.get(path.name, ""), kept.st_mtime, _is_in_use(path)))
    return sorted(found, key=lambda copy: (-copy.used_at, copy.path.name))


def drop_copies(most_bytes: int, *, keep: Path | None = None) -> list[Copy]:
    """Remove stale copies, and the oldest until all together take no more than `most_bytes`; returns what was removed."""
    gone: list[Copy] = []
    left = 0
    for copy in kept_copies():
        is_kept = copy.is_in_use or (keep is not None and copy.path == keep)
        if not is_kept and (copy.is_stale or left + copy.n_bytes > most_bytes):
            with contextlib.suppress(OSError):  # Windows removes no file that is open
                copy.path.unlink()
                gone.append(copy)
                continue
        left += copy.n_bytes
    return gone


@contextlib.contextmanager
def in_use(path: Path) -> Iterator[None]:
    """While an engine runs on a copy; of a model that is no copy nothing is kept."""
    if path.parent != kept_folder():
        yield
        return
    pid = os.getpid()
    mark = path.with_name(f"{path.name}.{pid}-{time.monotonic_ns()}{_USE}")
    mark.write_text(json.dumps([pid, started_at(pid)]), encoding="ascii")
    with contextlib.suppress(OSError):  # used now: it is the last to go
        os.utime(path)
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)


def say_copies(copies: list[Copy], most_bytes: int) -> Sentence:
    """'2 copies of weights in a faster format take 139 MB of at most 10 GB, in …'"""
    return trn(
        "{n:,} copy of weights in a faster format takes {size} of at most {most}, in {folder}.",
        "{n:,} copies of weights in a faster format take {size} of at most {most}, in {folder}.",
        len(copies),
        size=size_text(sum(copy.n_bytes for copy in copies)),
        most=size_text(most_bytes),
        folder=kept_folder(),
    )


def say_dropped(copies: list[Copy]) -> Sentence:
    """What was removed."""
    return tr(
        "Removed {copies} from the cache ({size}).",
        copies=trn("{n:,} copy of weights", "{n:,} copies of weights", len(copies)),
        size=size_text(sum(copy.n_bytes for copy in copies)),
    )


def _models(folder: Path) -> dict[str, str]:
    """Where the source of each copy was, by the copy's name, as the measurements say."""
    found: dict[str, str] = {}
    for path in folder.glob("*.json"):
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # removed meanwhile, or of another version
            continue
        if isinstance(said, dict) and isinstance(said.get("copy"), str) and said["copy"]:
            found[Path(said["copy"]).name] = str(said.get("model", ""))
    return found


def _is_in_use(path: Path) -> bool:
    is_used = False
    for mark in path.parent.glob(f"{path.name}.*{_USE}"):
        try:
            pid, started = json.loads(mark.read_text(encoding="ascii"))
        except (OSError, ValueError):  # it ended meanwhile
            continue
        if is_running(pid, started):
            is_used = True
        else:
            mark.unlink(missing_ok=True)
    return is_used
