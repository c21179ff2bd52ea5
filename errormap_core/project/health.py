"""Whether a project's file is sound: SQLite looks it over, and what it found is remembered by the state of the file.

The rule for who writes: a file is looked over once for each state that somebody else left it in (half a second for 500 MB),
and once a day; what this program wrote itself leaves a sound file sound. A file that was found damaged is refused until it
is another file. Readers are not held up.
"""

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from errormap_core.caches import cache_folder
from errormap_core.errors import KnownError
from errormap_core.ids import content_id, now
from errormap_core.project import damage, files
from errormap_core.project.backup_folder import DAY
from errormap_core.sentences import trn

MOST_FOUND = 20
"""So many faults are listed before the look at a file ends: one is enough to know."""

STEPS = 100_000
"""Steps of SQLite's machine between two looks at whether to go on: some milliseconds."""

Stopped = Callable[[], bool]


class LookStopped(Exception):
    """The look at a file was ended before it came to its end."""


def never() -> bool:
    return False


def look_over(path: Path, *, cancelled: Stopped = never) -> damage.DamagedFile | None:
    """Look a file over with a connection of its own, and remember what was found.

    Raises LookStopped, and KnownError where the file cannot be read for another reason than damage.
    """
    before, kept = _state(path), _remembered(path)
    reason = _quick_check(path, cancelled)
    if reason is None and kept is not None and kept["state"] == before:
        reason = kept["damage"]  # what a closer look found, and nobody wrote to the file since
    if reason is None:
        damage.forget(path)
    if before is not None and before == _state(path):  # what was written meanwhile was not looked at
        _remember(path, before, reason, checked_at=now())
    return None if reason is None else damage.found(path, reason)


def what_is_wrong(path: Path) -> damage.DamagedFile | None:
    """The damage that may be why a command failed; looks at the indexes and references too. None where there is none, or
    the file cannot be looked at."""
    try:
        error = look_over(path)
        if error is None and (reason := _deep_check(path)) is not None:
            note_damage(path, reason)
            error = damage.found(path, reason)
    except KnownError:
        return None
    return error


def note_damage(path: Path, reason: str) -> None:
    """Remember the damage that a closer look found."""
    damage.found(path, reason)
    state = _state(path)
    if state is not None:
        _remember(path, state, reason, checked_at=now())


def refuse_damaged(path: Path) -> None:
    """Raises DamagedFile where the file is damaged. Looks it over where its state is not known as sound."""
    damage.refuse(path)
    kept = _remembered(path)
    if kept is not None and kept["state"] == _state(path):
        if kept["damage"] is not None:
            raise damage.found(path, kept["damage"])
        if datetime.now(UTC) - datetime.fromisoformat(kept["checked_at"]) < DAY:
            return
    error = look_over(path)
    if error is not None:
        raise error


def known_damage(path: Path) -> damage.DamagedFile | None:
    """The damage that was found in the file as it is now, by any process. Costs next to nothing."""
    error = damage.known(path)
    if error is not None:
        return error
    kept = _remembered(path)
    if kept is not None and kept["damage"] is not None and kept["state"] == _state(path):
        return damage.found(path, kept["damage"])
    return None


def vouch(path: Path) -> None:
    """This program wrote to a file that was sound, and it is so as it is now: to be called by who looked at it before."""
    kept, state = _remembered(path), _state(path)
    if kept is None or state is None or kept["damage"] is not None or damage.known(path) is not None:
        return
    if kept["state"] != state:
        _remember(path, state, None, checked_at=kept["checked_at"])


def made_sound(path: Path) -> None:
    """This program has just made the file, or looked it over as closely as it can."""
    damage.forget(path)
    state = _state(path)
    if state is not None:
        _remember(path, state, None, checked_at=now())


def _quick_check(path: Path, cancelled: Stopped) -> str | None:
    """What SQLite finds wrong, or None."""
    try:
        files.check_file(path)  # SQLite would make a file where there is none
        with files.told(path):
            db = files.connect(path, read_only=True)
            try:
                db.conn.set_progress_handler(lambda: int(cancelled()), STEPS)
                said = [str(text) for (text,) in db.execute(f"PRAGMA quick_check({MOST_FOUND})")]
            finally:
                db.close()
    except damage.DamagedFile as error:
        return str(error.what.values["reason"])
    except sqlite3.OperationalError as error:
        if cancelled():
            raise LookStopped from error
        return str(error)
    except sqlite3.DatabaseError as error:
        return str(error)
    if said == ["ok"]:
        return None
    first = " ".join(said[0].removeprefix("*** in database main ***").split())
    more = len(said) - 1
    return first if not more else f"{first}; {trn('{n:,} more', '{n:,} more', more)}"


def _deep_check(path: Path) -> str | None:
    with files.told(path):
        db = files.connect(path, read_only=True)
        try:
            (said,) = db.execute("PRAGMA integrity_check(1)").fetchone()
            if said != "ok":
                return str(said)
            row = db.execute("PRAGMA foreign_key_check").fetchone()
            return None if row is None else f"{row[0]} refers to rows of {row[2]} that are not there"
        finally:
            db.close()


def _state(path: Path) -> list[int] | None:
    """What changes where somebody writes to the file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ino]


def _note(path: Path) -> Path:
    return cache_folder() / "health" / f"{content_id('health', os.path.realpath(path))}.json"


def _remembered(path: Path) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # no note, or none that can be read: as if new
        kept = json.loads(_note(path).read_text(encoding="utf-8"))
        datetime.fromisoformat(kept["checked_at"])
        return {name: kept[name] for name in ("state", "damage", "checked_at")}
    return None


def _remember(path: Path, state: list[int], reason: str | None, *, checked_at: str) -> None:
    note = _note(path)
    new = note.with_name(f"{note.name}.{os.getpid()}.new")
    kept = {"path": str(path), "state": state, "damage": reason, "checked_at": checked_at}
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps(kept), encoding="utf-8")
        new.replace(note)
    except OSError:  # no room in the cache: it is looked over again next time, which costs time and nothing else
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
