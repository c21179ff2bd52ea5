"""Sampling of failures by a hash, so that models share examples and a larger ratio contains the smaller."""

import hashlib
import sqlite3


def sample_position(seed: int, dataset: str, example_id: str) -> float:
    """A number in [0, 1) that depends on nothing else; an example is in where it is under the ratio."""
    digest = hashlib.sha256(f"{seed}\x1f{dataset}\x1f{example_id}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def register_functions(connection: sqlite3.Connection) -> None:
    """Give SQL the functions that counting uses."""
    connection.create_function("sample_position", 3, sample_position, deterministic=True)
