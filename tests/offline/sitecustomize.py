"""No program under test opens an internet socket: an audit hook that refuses them and writes each try down.

tests/conftest.py installs it in the test process. Child processes of Python find this file on PYTHONPATH and
install it by themselves, because its name is the one that Python imports at its start.
"""

import os
import sys
import traceback
from typing import Any

LOG_VARIABLE = "ERRORMAP_FORBID_SOCKETS"
_INTERNET = (2, 10, 23, 30)  # AF_INET, and AF_INET6 on Linux, Windows and macOS; importing socket would cost time
_LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo")
_USES = ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg")


class InternetSocketError(RuntimeError):
    """Raised where a program under test asks for an internet socket."""


def _is_internet(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "socket.__new__":
        return arguments[1] in _INTERNET
    if event in _USES:
        return int(arguments[0].family) in _INTERNET
    return event in _LOOKUPS


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if not event.startswith("socket.") or not _is_internet(event, arguments):
        return
    log = os.environ.get(LOG_VARIABLE)
    if not log:
        return
    where = "".join(traceback.format_stack(sys._getframe(1), limit=8))
    text = f"{event}{arguments[1:]!r} in process {os.getpid()} ({' '.join(sys.orig_argv[:6])})\n{where}\n"
    with open(log, "a", encoding="utf-8") as file:
        file.write(text)
    raise InternetSocketError(text)


if os.environ.get(LOG_VARIABLE):
    sys.addaudithook(_refuse)
