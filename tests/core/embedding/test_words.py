"""Vectors of analyses: two parts title, one part summary; what is empty has no part."""

from collections.abc import Sequence

import numpy as np

from errormap_core.embedding.encoder import Vectors
from errormap_core.embedding.words import Words, texts_of, vectors_of_words

AXES = {"title": (1, 0, 0), "summary": (0, 1, 0), "": (0, 0, 1)}


def encode(texts: Sequence[str]) -> Vectors:
    return np.array([AXES[text] for text in texts], dtype=np.float32)


def test_the_title_counts_twice_and_what_is_empty_not_at_all() -> None:
    words = [Words("title", "summary"), Words("title", ""), Words("", "summary"), Words("", "")]
    vectors = vectors_of_words(words, encode)
    root = 5**0.5
    assert np.allclose(vectors, [(2 / root, 1 / root, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)])
    assert vectors.dtype == np.float32


def test_each_text_is_asked_for_once() -> None:
    assert texts_of([Words("title", "summary"), Words("title", "title")]) == ["title", "summary"]


def test_no_analysis_has_no_vector() -> None:
    def nothing(texts: Sequence[str]) -> Vectors:
        assert not texts
        return np.zeros((0, 3), np.float32)

    assert vectors_of_words([], nothing).shape == (0, 3)
