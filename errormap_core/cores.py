"""Judge and encoder never compete for a machine's cores: while anything encodes, judges wait.

Threads of llama.cpp that wait for each other spin, and beside other heavy work one token may take as long as seventy. So
whoever encodes holds a lock that all processes of this user see, and a judge that runs pauses meanwhile; encoding is short.
The system takes the lock of a process that dies.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from errormap_core.caches import cache_folder


def _lock() -> FileLock:
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "encoding.lock", is_singleton=False)


@contextlib.contextmanager
def encoding() -> Iterator[None]:
    """Hold the cores for encoding; waits for another that encodes."""
    with _lock():
        yield


def is_encoding() -> bool:
    """Whether any process encodes just now."""
    with contextlib.suppress(OSError):  # no folder to lock in: nobody can have told
        if not Path(_lock().lock_file).exists():
            return False
        try:
            with _lock().acquire(timeout=0):
                return False
        except Timeout:
            return True
    return False
