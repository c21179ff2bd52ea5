"""The real encoder on a few texts; folders that hold none; the cache in the project."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from errormap_core.embedding import encoder as encoders
from errormap_core.embedding.cache import COMMIT_EVERY, embed, text_hash, vectors_of
from errormap_core.embedding.encoder import SentenceEncoder, Vectors, embedded_encoder_path, unit_rows
from errormap_core.errors import KnownError
from errormap_core.project.proposing import cached_vectors
from errormap_core.project.store import Project

TEXTS = ["Wrong arithmetic. The sum is off by ten.", "", "The addition went wrong.", "Answers in French. Not asked."]


class Counting:
    """The real encoder, with the texts that it was asked for."""

    def __init__(self, real: SentenceEncoder) -> None:
        self._real = real
        self.asked: list[str] = []
        self.name, self.dim, self.threads = real.name, real.dim, real.threads

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        return self._real.encode(texts)


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder(threads=1)


def test_rows_have_length_one_and_nearness_means_likeness(encoder: SentenceEncoder) -> None:
    vectors = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (4, encoder.dim) == (4, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[2] > vectors[0] @ vectors[3] + 0.2


def test_the_same_texts_give_the_same_bytes(encoder: SentenceEncoder) -> None:
    other = SentenceEncoder(embedded_encoder_path(), threads=1)
    assert encoder.encode(TEXTS).tobytes() == other.encode(TEXTS).tobytes()
    assert other.name.endswith(encoder.name.partition("@")[2])


def test_no_texts_give_no_rows(encoder: SentenceEncoder) -> None:
    assert encoder.encode([]).shape == (0, 384)


def test_the_name_tells_model_and_weights(encoder: SentenceEncoder) -> None:
    label, _, digest = encoder.name.partition("@")
    assert label == "all-MiniLM-L6-v2"
    assert len(digest) == 64
    assert set(digest) <= set("0123456789abcdef")


def test_other_weights_have_another_name(tmp_path: Path, encoder: SentenceEncoder) -> None:
    folder = tmp_path / "all-MiniLM-L6-v2"
    folder.mkdir()
    shutil.copy(embedded_encoder_path() / "modules.json", folder)
    (folder / "model.safetensors").write_bytes(b"other")
    one = SentenceEncoder(folder).name
    (folder / "extra.bin").write_bytes(b"more")
    assert len({one, SentenceEncoder(folder).name, encoder.name}) == 3


def test_a_row_of_zeros_gets_a_direction() -> None:
    assert np.allclose(unit_rows(np.array([[0.0, 0.0], [3.0, 4.0]])), [[1, 0], [0.6, 0.8]])


@pytest.mark.parametrize("case", ["missing", "file", "empty", "no weights", "modules.json is no JSON"])
def test_a_folder_without_a_model_is_refused(tmp_path: Path, case: str) -> None:
    folder = tmp_path / "encoder"
    if case == "file":
        folder.write_text("not a folder")
    elif case != "missing":
        folder.mkdir()
    if case == "no weights":
        shutil.copy(embedded_encoder_path() / "modules.json", folder)
    if case.startswith("modules"):
        (folder / "modules.json").write_text("{")
        (folder / "model.safetensors").write_bytes(b"x")
    with pytest.raises(KnownError) as refused:
        SentenceEncoder(folder)
    assert refused.value.where == str(folder)
    assert str(refused.value.fix)


def test_damaged_weights_are_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    shutil.copytree(embedded_encoder_path(), folder, ignore=shutil.ignore_patterns("model.safetensors"))
    (folder / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(KnownError, match="cannot be loaded"):
        SentenceEncoder(folder).encode(["text"])


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "EMBEDDED_PACKAGE", "no_such_package_here")
    with pytest.raises(KnownError) as refused:
        SentenceEncoder()
    assert "errormap-studio[encoder]" in str(refused.value)


def test_each_text_is_encoded_once(project: Project, encoder: SentenceEncoder) -> None:
    counting = Counting(encoder)
    first = list(embed(project, [*TEXTS, TEXTS[0]], counting))
    assert sorted(counting.asked) == sorted(TEXTS)
    assert first[-1].counts == {"encoded": 4, "cached": 0}
    counting.asked.clear()
    again = list(embed(project, [*TEXTS, "A new one"], counting))
    assert counting.asked == ["A new one"]
    assert again[-1].counts == {"encoded": 1, "cached": 4}
    counting.asked.clear()
    assert [p.done for p in embed(project, TEXTS, counting)] == [0]
    assert counting.asked == []


def test_kept_vectors_are_those_of_the_encoder(project: Project, encoder: SentenceEncoder) -> None:
    list(embed(project, TEXTS, encoder))
    kept = vectors_of(project, TEXTS[::-1], encoder)
    assert np.allclose(kept[::-1], encoder.encode(TEXTS), atol=1e-6)
    blob = cached_vectors(project.db, encoder.name, [text_hash(TEXTS[0])])[text_hash(TEXTS[0])]
    assert np.frombuffer(blob, "<f4").tolist() == kept[-1].tolist()
    assert vectors_of(project, [], encoder).shape == (0, 384)


def test_another_encoder_keeps_its_own(project: Project, encoder: SentenceEncoder) -> None:
    list(embed(project, TEXTS, encoder))
    counting = Counting(encoder)
    counting.name = "another"
    list(embed(project, TEXTS, counting))
    assert len(counting.asked) == len(TEXTS)


def test_stopping_keeps_the_batches_so_far(project: Project, encoder: SentenceEncoder) -> None:
    texts = [f"text {i}" for i in range(COMMIT_EVERY + 5)]
    work = embed(project, texts, encoder)
    next(work)
    assert next(work).done == COMMIT_EVERY
    work.close()
    counting = Counting(encoder)
    list(embed(project, texts, counting, lambda: True))
    assert counting.asked == []
    list(embed(project, texts, counting))
    assert len(counting.asked) == 5
