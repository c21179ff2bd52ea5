"""Embeddings kept in the project by the hash of their text and the encoder's name; each text is encoded once."""

import hashlib
from collections.abc import Callable, Generator, Iterable, Sequence

import numpy as np

from errormap_core.embedding.encoder import Encoder, Vectors
from errormap_core.project.proposing import cached_hashes, cached_vectors, save_vectors
from errormap_core.project.store import Project
from errormap_core.sentences import tr
from errormap_core.tasks import Cancelled, Progress, never_cancelled

COMMIT_EVERY = 128
"""Texts of one transaction: about a second of work, and all that a crash can lose."""

_READ_AT_ONCE = 2000
_STORED = np.dtype("<f4")


def text_hash(text: str) -> str:
    """SHA-256 of the text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def embed(
    project: Project, texts: Iterable[str], encoder: Encoder, cancelled: Cancelled = never_cancelled
) -> Generator[Progress, None, int]:
    """Encode those of `texts` that have no vector yet; each batch is committed before its Progress is yielded.

    Returns how many were encoded. They are taken in the order of their text, so that the same texts share
    batches whatever order they came in.
    """
    wanted = {text_hash(text): text for text in texts}
    hashes = list(wanted)
    for start in range(0, len(hashes), _READ_AT_ONCE):
        if cancelled():
            return 0
        for known in cached_hashes(project.db, encoder.name, hashes[start : start + _READ_AT_ONCE]):
            del wanted[known]
    missing = sorted(wanted.items(), key=lambda item: (len(item[1]), item[1]))  # long ones together pad less
    total = len(missing)
    yield Progress("embed", 0, total, tr("Embedding"), {"encoded": 0, "cached": len(hashes) - total})
    done = 0
    for start in range(0, total, COMMIT_EVERY):
        if cancelled():
            break
        batch = missing[start : start + COMMIT_EVERY]
        vectors = encoder.encode([text for _, text in batch])
        with project.writing() as db:
            save_vectors(
                db,
                encoder.name,
                {key: row.astype(_STORED).tobytes() for (key, _), row in zip(batch, vectors, strict=True)},
            )
        done += len(batch)
        yield Progress("embed", done, total, tr("Embedding"), {"encoded": done, "cached": len(hashes) - total})
    return done


def vectors_of(
    project: Project, texts: Sequence[str], encoder: Encoder, pause: Callable[[], None] = lambda: None
) -> Vectors:
    """The kept vectors of `texts`, float32 of shape (n, dim), in their order. Raises KeyError where one is missing.

    `pause` is called between steps and may raise to end the work.
    """
    if not texts:
        return np.zeros((0, encoder.dim), np.float32)
    hashes = [text_hash(text) for text in texts]
    distinct = list(dict.fromkeys(hashes))
    kept: dict[str, Vectors] = {}
    for start in range(0, len(distinct), _READ_AT_ONCE):
        pause()
        found = cached_vectors(project.db, encoder.name, distinct[start : start + _READ_AT_ONCE])
        kept.update({key: np.frombuffer(blob, dtype=_STORED) for key, blob in found.items()})
    return np.stack([kept[key] for key in hashes]).astype(np.float32)
