"""GGUF files made by hand, small and of any kind, for tests of what reads them."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Tensor = tuple[str, tuple[int, ...], int]
"""Name, dimensions, GGML's number of the type."""

F32, Q4_0 = 0, 2
BLOCKS = {F32: (1, 4), Q4_0: (32, 18)}
WEIGHTS: tuple[Tensor, ...] = (("token_embd.weight", (32, 64), F32), ("blk.0.ffn_up.weight", (32, 96), Q4_0))

CHAT = {
    "general.architecture": "llama",
    "general.name": "Tiny",
    "general.license": "mit",
    "general.file_type": 2,
    "llama.block_count": 4,
    "llama.context_length": 2048,
    "llama.embedding_length": 32,
    "llama.feed_forward_length": 96,
    "llama.attention.head_count": 8,
    "llama.attention.head_count_kv": 2,
    "tokenizer.ggml.tokens": [f"t{n}" for n in range(64)],
    "tokenizer.chat_template": "{{ messages[0].content }}",
}
EMBEDDING = {"general.architecture": "bert", "bert.pooling_type": 1, "bert.block_count": 2}
VISION = {"general.architecture": "clip", "general.type": "mmproj", "clip.has_vision_encoder": True}


def gguf(
    metadata: Mapping[str, Any],
    tensors: Sequence[Tensor] = WEIGHTS,
    *,
    version: int = 3,
    n_tensors: int | None = None,
    n_entries: int | None = None,
) -> bytes:
    """The bytes of a file; the counts of its head may be told otherwise than they are."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors) if n_tensors is None else n_tensors,
                                 len(metadata) if n_entries is None else n_entries)  # fmt: skip
    body = b"".join(text(key) + value(v) for key, v in metadata.items())
    offset, infos = 0, b""
    for name, dimensions, kind in tensors:
        infos += text(name) + struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
        infos += struct.pack("<IQ", kind, offset)
        offset += padded(n_bytes(dimensions, kind))
    whole = head + body + infos
    return whole + b"\0" * (padded(len(whole)) - len(whole) + offset)


def write(path: Path, metadata: Mapping[str, Any], tensors: Sequence[Tensor] = WEIGHTS, **options: Any) -> Path:
    path.write_bytes(gguf(metadata, tensors, **options))
    return path


def padded(n: int) -> int:
    return -(-n // 32) * 32


def n_bytes(dimensions: Sequence[int], kind: int) -> int:
    n = 1
    for size in dimensions:
        n *= size
    block, width = BLOCKS[kind]
    return n // block * width


def text(said: str) -> bytes:
    data = said.encode()
    return struct.pack("<Q", len(data)) + data


def value(v: Any) -> bytes:
    kind, data = typed(v)
    return struct.pack("<I", kind) + data


def typed(v: Any) -> tuple[int, bytes]:
    match v:
        case bool():
            return 7, struct.pack("<?", v)
        case int():
            return (4, struct.pack("<I", v)) if 0 <= v < 1 << 32 else (11, struct.pack("<q", v))
        case float():
            return 6, struct.pack("<f", v)
        case str():
            return 8, text(v)
        case list():
            items = [typed(item) for item in v]
            kind = items[0][0] if items else 4
            return 9, struct.pack("<IQ", kind, len(v)) + b"".join(data for _, data in items)
    raise TypeError(v)
