"""Fine-tuning of the encoder on texts without labels, one epoch: what it would add. The product does not do it.

Partitions of several seeds vote: a neighbour that most of them put beside a text is taken for one that says the same
(InfoNCE, van den Oord et al., 2018); pairs that some of them join are not taken for different ones.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from errormap_core.embedding.encoder import Vectors, embedded_encoder_path, unit_rows
from errormap_core.proposals.partition import partition
from errormap_core.proposals.splitting import nearest, neighbour_graphs

N_PARTITIONS = 6
LEAST_VOTES = 4
MOST_VOTES_APART = 1
NEIGHBOURS = 15
BATCH = 64
TEMPERATURE = 0.07
RATE = 3e-5
DROPPED_WORDS = 0.1


def tuned_vectors(texts: Sequence[str], vectors: Vectors, *, seed: int = 0) -> Vectors:
    """Vectors of the texts after one epoch over them, shape (n, d): minutes of processor time."""
    import torch
    from sentence_transformers import SentenceTransformer

    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    votes = _partitions(vectors, seed)
    index, _ = nearest(vectors, NEIGHBOURS)
    together = _together(votes, index)
    model = SentenceTransformer(str(embedded_encoder_path()), device="cpu", local_files_only=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    model.train()
    order = rng.permutation(len(texts))
    for start in range(0, len(order), BATCH):
        rows = np.array([row for row in order[start : start + BATCH] if (together[row] >= LEAST_VOTES).any()])
        if len(rows) < 2:
            continue
        partners = np.array([rng.choice(index[row][together[row] >= LEAST_VOTES]) for row in rows])
        one = _encoded(model, [_thinned(texts[row], rng) for row in rows])
        two = _encoded(model, [_thinned(texts[row], rng) for row in partners])
        scores = one @ two.T / TEMPERATURE
        alike = (votes[:, rows][:, :, None] == votes[:, partners][:, None, :]).sum(axis=0) > MOST_VOTES_APART
        np.fill_diagonal(alike, False)
        scores = scores.masked_fill(torch.from_numpy(alike), -1e4)
        loss = torch.nn.functional.cross_entropy(scores, torch.arange(len(rows)))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.eval()
    return unit_rows(model.encode(list(texts), batch_size=32, show_progress_bar=False, convert_to_numpy=True))


def _partitions(vectors: Vectors, seed: int) -> NDArray[np.int64]:
    graphs, copies = neighbour_graphs(vectors), np.ones(len(vectors), np.int64)
    found = [
        partition(vectors, graphs, copies, max_groups=max(2, len(vectors) // 3), min_size=3, seed=seed + number)
        for number in range(N_PARTITIONS)
    ]
    return np.stack([split.labels if split is not None else np.zeros(len(vectors), np.int64) for split in found])


def _together(votes: NDArray[np.int64], index: NDArray[np.int64]) -> NDArray[np.int64]:
    """In how many partitions each text is with each of its neighbours, shape (n, NEIGHBOURS)."""
    return np.asarray(sum((labels[index] == labels[:, None]).astype(np.int64) for labels in votes))


def _encoded(model: object, texts: Sequence[str]) -> object:
    import torch

    features = model.preprocess(list(texts))  # type: ignore[attr-defined]
    return torch.nn.functional.normalize(model(features)["sentence_embedding"], dim=1)  # type: ignore[operator]


def _thinned(text: str, rng: np.random.Generator) -> str:
    words = text.split()
    kept = [word for word in words if rng.random() >= DROPPED_WORDS]
    return " ".join(kept or words)
