"""The vector of an analysis: that of its title, weighted, and that of its summary.

The title names the kind of mistake; the summary tells it with the names and numbers of one answer, which pull failures
of the same text together rather than those of the same mistake. On the sample's 203 gold analyses in 17 categories, 16
groups by spectral k-means agree with the gold with an adjusted Rand index of 0.14 from 'title. summary' as one text,
0.25 from the title alone, 0.23 from two parts title and one part summary. The last is taken, since a judge may give
many failures the same title.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from errormap_core.embedding.encoder import Vectors, unit_rows

TITLE_WEIGHT = 2.0
SUMMARY_WEIGHT = 1.0

RECIPE = "2 title + 1 summary"
"""What is recorded with a run; to be changed with the weights."""


class Words(NamedTuple):
    """Title and summary of an analysis."""

    title: str
    summary: str


_LETTER = re.compile(r"[^\W\d_]")

_NOTHING = frozenset(
    {"", "n a", "na", "none", "null", "nan", "unknown", "error", "title", "summary", "error title", "error summary"}
)


def says_nothing(words: Words) -> bool:
    """Whether an analysis says nothing: no letter in it, or only what stands for nothing ('N/A', 'null', a field's name)."""
    return all(
        not _LETTER.search(text) or " ".join(re.findall(r"\w+", text.casefold().replace("_", " "))) in _NOTHING
        for text in words
    )


def texts_of(words: Iterable[Words]) -> list[str]:
    """The distinct texts whose embeddings `vectors_of_words` needs."""
    return list(dict.fromkeys(text for each in words for text in each))


def vectors_of_words(words: Sequence[Words], encode: Callable[[Sequence[str]], Vectors]) -> Vectors:
    """Vectors of analyses, float32 of shape (n, dim), rows of length 1; `encode` gives those of texts.

    An empty title or summary has no part in its vector, unless both are empty.
    """
    texts = texts_of(words)
    vectors = encode(texts)
    place = {text: row for row, text in enumerate(texts)}
    weights = [
        (
            TITLE_WEIGHT * bool(each.title.strip() or not each.summary.strip()),
            SUMMARY_WEIGHT * bool(each.summary.strip()),
        )
        for each in words
    ]
    titles, summaries = ([place[each[side]] for each in words] for side in (0, 1))
    parts = np.array(weights, dtype=np.float32).reshape(-1, 2)
    return unit_rows(parts[:, :1] * vectors[titles] + parts[:, 1:] * vectors[summaries])
