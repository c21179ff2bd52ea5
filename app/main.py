"""The entry point: commands go to the command line, everything else opens the window."""

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from errormap_core import cli

WINDOW_NEEDS = ("PySide6", "pyqtgraph", "qtawesome")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `errormap-studio`; returns its exit code. Qt is imported for the window only."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    first = arguments[0] if arguments else ""
    names = {command.name for command in cli.COMMANDS}
    is_window = first in ("", "--sample") or (first not in names and not first.startswith("-"))
    if not is_window:
        return cli.main(arguments)
    if first and first != "--sample" and not Path(first).exists() and Path(first).suffix != ".errormap":
        return cli.main(arguments)  # a mistyped command: the command line says which there are
    missing = [name for name in WINDOW_NEEDS if find_spec(name) is None]
    if missing:
        print(
            f"The window needs {', '.join(missing)}. Install it with: pip install 'errormap-studio[window]'. "
            "The commands work without it: errormap-studio --help",
            file=sys.stderr,
        )
        return cli.EXIT_WRONG
    from app.start.run import open_window

    return open_window(Path(first) if first not in ("", "--sample") else None, sample=first == "--sample")


if __name__ == "__main__":
    sys.exit(main())
