"""Where the files that travel with the program are: prompts, schemas, icons, the sample, translations."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_path(*parts: str) -> Path:
    """Path of a file or folder in resources/, in a checkout or in an installed wheel.

    The wheel carries resources/ inside this package (pyproject.toml, force-include).
    """
    installed = _PACKAGE / "resources"
    root = installed if installed.is_dir() else _PACKAGE.parent / "resources"
    return root.joinpath(*parts)
