"""The fixed split of examples into two halves: one to look at while prompts are written, one that scores them.

It depends on dataset and example alone, never on a project, its seeds or its runs: a prompt that was tuned on one
machine is scored on cases that nobody tuned it on, on any other. All models' answers to an example are in one half.
"""

import hashlib
from typing import Literal

Split = Literal["development", "test"]

SPLITS: tuple[Split, ...] = ("development", "test")

_SALT = "errormap-studio judge check 1"
"""So that the halves have nothing to do with the sampling of failures; never to be changed."""


def split_of(dataset: str, example_id: str) -> Split:
    """The half in which an example is, about as many in each."""
    digest = hashlib.sha256("\x1f".join([_SALT, dataset, example_id]).encode("utf-8", "surrogatepass")).digest()
    return "development" if digest[0] < 128 else "test"
