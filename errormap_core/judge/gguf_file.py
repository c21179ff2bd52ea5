"""What a GGUF file says of its model, read without loading it: metadata and the list of tensors, never the weights.

The library `gguf` was looked at first: it makes an array of NumPy for every text of the vocabulary, which takes 2.4 s
for the embedded SmolLM2 and 12 s for Gemma's 262,144 tokens (this: 0.01 and 0.03 s), it depends on a client for the
network, it maps the file (a file that is cut off meanwhile ends the process), and of damage it tells as a KeyError or
an IndexError. A judge's file needs little of the format, so here is a strict reader of that little: arrays are skipped,
what is kept has a bound, and nothing is allocated because a count in the file says so.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3.
"""

import math
import re
import stat
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from errormap_core.errors import KnownError
from errormap_core.judge.model_file import check_model_file
from errormap_core.sentences import Sentence, tr, trn

MOST_HEADER = 1 << 28
"""The most bytes of metadata and list of tensors; Gemma's vocabulary of 262,144 takes 10 MB."""

MOST_ENTRIES = 1 << 16
MOST_TENSORS = 1 << 17
MOST_TEXTS = 1 << 22
"""The most texts in all arrays of a file together."""

MOST_PARTS = 1000

LONGEST_KEY = 1 << 16
LONGEST_TEMPLATE = 1 << 20
LONGEST_TEXT = 1 << 12
LONGEST_LIST = 1024
LONGEST_LIST_OF_TEXTS = 32
"""Longer ones are told by their length alone."""

CHAT_TEMPLATE = "tokenizer.chat_template"

_CHUNK = 1 << 20
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")
_TEXT, _ARRAY = 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}

# GGML's types of tensors: name, numbers in a block, bytes of a block.
_TENSOR_TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1),
    25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
}  # fmt: skip

# llama.cpp's names of the mixes, general.file_type.
_MIXES: dict[int, str] = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4", 39: "NVFP4", 40: "Q1_0",
}  # fmt: skip

KINDS: dict[str, Sentence] = {
    "chat": tr("chat"),
    "base": tr("base"),
    "embedding": tr("embedding"),
    "reranker": tr("reranker"),
    "vision": tr("vision"),
    "audio": tr("audio"),
    "adapter": tr("adapter"),
    "imatrix": tr("importance matrix"),
    "vocabulary": tr("vocabulary"),
    "diffusion": tr("diffusion"),
    "translation": tr("encoder-decoder"),
}
"""What a file is for. A judge can be 'chat' and, without a chat template, 'base'."""

_KINDS_BY_ARCHITECTURE = {
    **dict.fromkeys(
        ("bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2", "jina-bert-v3", "eurobert",
         "gemma-embedding", "llama-embed", "t5encoder"),
        "embedding",
    ),
    "clip": "vision",
    "wavtokenizer-dec": "audio",
    "t5": "translation",
    **dict.fromkeys(("dream", "llada", "llada-moe", "rnd1"), "diffusion"),
}  # fmt: skip
_KINDS_BY_TYPE = {"mmproj": "vision", "adapter": "adapter", "imatrix": "imatrix", "vocab": "vocabulary"}
_RERANKS = 4  # {arch}.pooling_type; 0 is none, the others make one vector of a text

_PART = re.compile(r"^(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Left:
    """A value that was skipped: `n` characters of a text, or `n` items of a list."""

    n: int
    of: str

    def __str__(self) -> str:
        if self.of == "characters":
            return str(trn("{n:,} byte of text", "{n:,} bytes of text", self.n))
        return str(trn("{n:,} value", "{n:,} values", self.n))


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model as its file tells of it; sizes in bytes, lengths in tokens.

    Attributes
    ----------
    kind : str
        A key of KINDS.
    size_bytes, weight_bytes : int
        Of all parts that are there; the weights alone.
    quantisation : str
        The mix that the file names ('Q4_K_M'), else the type of most of its weights.
    tensor_types : tuple of (str, int, int)
        Type, number of tensors, bytes; the largest share first.
    context_length : int
        That the model was made for; 0 where the file does not say.
    kv_bytes_per_token : int
        What a token of context takes in the cache of keys and values, as f16, all layers at full length.
    sliding_window : int
        Tokens that some of the layers see; 0 where all see all. llama.cpp keeps the full length for them unless told
        otherwise.
    missing_bytes : int
        How much of the weights lies behind the end of the file: it was cut off.
    missing_parts : tuple of str
        Names of parts of a split model that are not beside the first.
    metadata : dict
        Keys to numbers, texts, flags, lists of them; long ones are `Left`.
    """

    path: Path
    kind: str
    architecture: str
    name: str
    size_bytes: int
    weight_bytes: int
    n_parameters: int
    quantisation: str
    tensor_types: tuple[tuple[str, int, int], ...]
    context_length: int
    n_layers: int
    n_embedding: int
    n_feed_forward: int
    n_heads: int
    n_vocabulary: int
    kv_bytes_per_token: int
    sliding_window: int
    licence: str
    chat_template: str | None
    missing_bytes: int = 0
    part: int = 1
    n_parts: int = 1
    missing_parts: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; what was left out of the metadata is told in words."""
        names = [name for name in self.__slots__ if name not in ("path", "metadata", "tensor_types")]
        return {
            "path": str(self.path),
            **{name: getattr(self, name) for name in names},
            "tensor_types": [list(row) for row in self.tensor_types],
            "metadata": {key: _json_value(value) for key, value in self.metadata.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ModelFile":
        return cls(
            **{
                **data,
                "path": Path(data["path"]),
                "tensor_types": tuple(tuple(row) for row in data["tensor_types"]),
                "missing_parts": tuple(data["missing_parts"]),
            }
        )


class _Cut(Exception):
    """The file ends before what it announces."""


class _Damaged(Exception):
    """The file says what cannot be; the sentence says what."""

    def __init__(self, what: Sentence) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True, slots=True)
class _Tensor:
    type_name: str
    n_elements: int
    n_bytes: int
    offset: int


@dataclass(frozen=True, slots=True)
class _Header:
    """One file: metadata, tensors, and how many bytes of them lie behind its end."""

    size: int
    metadata: dict[str, Any]
    tensors: list[_Tensor]
    missing_bytes: int


def read_model_file(path: Path) -> ModelFile:
    """What the GGUF at `path` says of its model; of a split model `path` is the first part.

    A model whose weights are cut off is returned with `missing_bytes`. Raises KnownError for what is missing, is no
    GGUF, ends within its metadata, is damaged, of another byte order or of a version that llama.cpp does not read.
    """
    header = _read(path)
    parts = [header]
    part, n_parts = _part_of(header.metadata)
    missing: list[str] = []
    if n_parts > 1 and part == 1:
        for other in _other_parts(path, n_parts):
            if other.exists():
                parts.append(_read(other))
            else:
                missing.append(other.name)
    return _model(path, parts, part=part, n_parts=n_parts, missing=missing)


def part_of_name(path: Path) -> tuple[int, int]:
    """Number and count of the parts that a file's name says it is one of; (1, 1) for a whole model."""
    match = _PART.match(path.name)
    return (int(match["number"]), int(match["count"])) if match else (1, 1)


# One file


def _read(path: Path) -> _Header:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # to open a pipe would wait for its writer
            raise _known(path, tr("This is no ordinary file."), tr("Name a .gguf file."))
    except FileNotFoundError:
        pass  # told by the check below
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _known(path, tr("The model cannot be read ({reason}).", reason=reason), tr("Check its name.")) from error
    check_model_file(path)
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            return _header(_Source(file, size), size)
    except OSError as error:
        raise _known(
            path, tr("The model cannot be read ({reason}).", reason=error.strerror), tr("Check who may read it.")
        ) from error
    except _Cut as error:
        raise _known(
            path,
            tr("This model is incomplete: the file ends within what it says of itself."),
            tr("Download it again, and compare its size with the original's."),
        ) from error
    except _Damaged as error:
        raise _known(path, error.what, tr("Download it again, or choose another version of it.")) from error


def _header(source: "_Source", size: int) -> _Header:
    source.skip(4)  # the magic, which was looked at
    version = source.u32()
    if version & 0xFFFF == 0:
        raise _Damaged(tr("This GGUF file is for machines of the other byte order."))
    if version not in (2, 3):
        raise _Damaged(tr("This GGUF file has version {version:,}; llama.cpp reads 2 and 3.", version=version))
    n_tensors, n_entries = source.u64(), source.u64()
    if n_tensors > MOST_TENSORS or n_entries > MOST_ENTRIES:
        raise _Damaged(
            tr(
                "This GGUF file is damaged: it announces {tensors:,} tensors and {entries:,} entries of metadata.",
                tensors=n_tensors,
                entries=n_entries,
            )
        )
    metadata: dict[str, Any] = {}
    for _ in range(n_entries):
        key = source.text(LONGEST_KEY)
        if not isinstance(key, str) or key in metadata:
            raise _Damaged(tr("This GGUF file is damaged: a key of its metadata is too long or there twice."))
        metadata[key] = _value(source, key)
    tensors = [_tensor(source) for _ in range(n_tensors)]
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20 or alignment & (alignment - 1):
        raise _Damaged(tr("This GGUF file is damaged: its alignment is {value}.", value=alignment))
    start = -(-source.position // alignment) * alignment
    end = max((start + t.offset + t.n_bytes for t in tensors), default=0)
    return _Header(size, metadata, tensors, max(0, end - size))


def _value(source: "_Source", key: str) -> Any:
    kind = source.u32()
    if kind == _TEXT:
        return source.text(LONGEST_TEMPLATE if key.startswith(CHAT_TEMPLATE) else LONGEST_TEXT)
    if kind != _ARRAY:
        return source.scalars(kind, 1)[0]
    kind, n = source.u32(), source.u64()
    if kind == _TEXT:
        if n <= LONGEST_LIST_OF_TEXTS:
            return [source.text(LONGEST_TEXT) for _ in range(n)]
        source.skip_texts(n)
    elif n <= LONGEST_LIST:
        return list(source.scalars(kind, n))
    else:
        source.skip(n * source.width(kind))
    return Left(n, "values")


def _tensor(source: "_Source") -> _Tensor:
    source.text(LONGEST_KEY)
    n_dimensions = source.u32()
    if n_dimensions > 4:
        raise _Damaged(tr("This GGUF file is damaged: a tensor has {n:,} dimensions.", n=n_dimensions))
    n_elements = math.prod(source.u64() for _ in range(n_dimensions))
    kind, offset = source.u32(), source.u64()
    if n_elements >= 1 << 62 or offset >= 1 << 62:
        raise _Damaged(tr("This GGUF file is damaged: a tensor is larger than any file."))
    # Of a type that came after this table only the place is known; llama.cpp says whether it knows it.
    name, block, width = _TENSOR_TYPES.get(kind, (f"type {kind}", 1, 0))
    return _Tensor(name, n_elements, n_elements // block * width, offset)


class _Source:
    """Reads forward through a file in chunks; what the file does not have is never allocated.

    Every method raises _Cut where the file ends first, and _Damaged where a bound is passed.
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size
        self._buffer = b""
        self._at = 0  # may be past the buffer, after a skip
        self._base = 0  # where in the file the buffer begins
        self._n_texts = 0

    @property
    def position(self) -> int:
        return self._base + self._at

    def take(self, n: int) -> bytes:
        if self._at + n > len(self._buffer):
            self._fill(n)
        taken = self._buffer[self._at : self._at + n]
        self._at += n
        return taken

    def skip(self, n: int) -> None:
        self._at += n
        if self.position > self._size:
            raise _Cut

    def u32(self) -> int:
        return int(_U32.unpack(self.take(4))[0])

    def u64(self) -> int:
        return int(_U64.unpack(self.take(8))[0])

    def text(self, longest: int) -> str | Left:
        n = self.u64()
        if n > longest:
            self.skip(n)
            return Left(n, "characters")
        return self.take(n).decode("utf-8", "replace")

    def width(self, kind: int) -> int:
        if kind not in _SCALARS:
            raise _Damaged(tr("This GGUF file is damaged: its metadata has a value of the unknown type {n:,}.", n=kind))
        return struct.calcsize("<" + _SCALARS[kind])

    def scalars(self, kind: int, n: int) -> tuple[Any, ...]:
        return struct.unpack(f"<{n}{_SCALARS.get(kind, 'B')}", self.take(n * self.width(kind)))

    def skip_texts(self, n: int) -> None:
        """Over `n` texts with their lengths: the one loop that has to be quick, a vocabulary is most of a header."""
        self._n_texts += n
        if n * 8 > self._size:
            raise _Cut
        if self._n_texts > MOST_TEXTS:
            raise _Damaged(tr("This GGUF file is damaged: its metadata announces {n:,} texts.", n=self._n_texts))
        unpack, buffer, at = _U64.unpack_from, self._buffer, self._at
        last = len(buffer) - 8
        for _ in range(n):
            if at > last:
                self._at = at
                self._fill(8)
                buffer, at = self._buffer, self._at
                last = len(buffer) - 8
            at += 8 + unpack(buffer, at)[0]
        self._at = at
        self.skip(0)

    def _fill(self, n: int) -> None:
        """Have `n` bytes from here on in the buffer."""
        position = self.position
        if position + n > self._size:
            raise _Cut
        if position + n > MOST_HEADER:
            raise _Damaged(tr("This GGUF file is damaged: its metadata does not end."))
        self._file.seek(position)
        self._buffer = self._file.read(max(n, _CHUNK))
        self._base, self._at = position, 0
        if len(self._buffer) < n:  # it was cut off since its size was asked for
            raise _Cut


# A model of one or more files


def _model(path: Path, parts: Sequence[_Header], *, part: int, n_parts: int, missing: Sequence[str]) -> ModelFile:
    metadata = parts[0].metadata
    tensors = [tensor for header in parts for tensor in header.tensors]
    architecture = _text(metadata, "general.architecture")
    kind = _kind(metadata, architecture, has_weights=bool(tensors), is_part=n_parts > 1)

    def number(key: str, default: int = 0) -> int:
        return max(_numbers(metadata.get(f"{architecture}.{key}")), default=default)

    template = metadata.get(CHAT_TEMPLATE)
    n_bytes: Counter[str] = Counter()
    for tensor in tensors:
        n_bytes[tensor.type_name] += tensor.n_bytes
    n_of = Counter(tensor.type_name for tensor in tensors)
    rows = tuple((name, n_of[name], n) for name, n in n_bytes.most_common())
    mix = metadata.get("general.file_type")
    named = _MIXES.get(mix) if isinstance(mix, int) else None
    vocabulary = metadata.get("tokenizer.ggml.tokens")
    n_vocabulary = vocabulary.n if isinstance(vocabulary, Left) else len(vocabulary or ())
    return ModelFile(
        path=path,
        kind=kind,
        architecture=architecture,
        name=_text(metadata, "general.name") or path.stem,
        size_bytes=sum(header.size for header in parts),
        weight_bytes=sum(n_bytes.values()),
        n_parameters=sum(tensor.n_elements for tensor in tensors),
        quantisation=named or (rows[0][0] if rows else ""),
        tensor_types=rows,
        context_length=number("context_length"),
        n_layers=number("block_count"),
        n_embedding=number("embedding_length"),
        n_feed_forward=number("feed_forward_length"),
        n_heads=number("attention.head_count"),
        n_vocabulary=n_vocabulary or number("vocab_size"),
        kv_bytes_per_token=_kv_bytes(metadata, architecture),
        sliding_window=number("attention.sliding_window"),
        licence=_licence(metadata),
        chat_template=template if isinstance(template, str) and template.strip() else None,
        missing_bytes=sum(header.missing_bytes for header in parts),
        part=part,
        n_parts=n_parts,
        missing_parts=tuple(missing),
        metadata=metadata,
    )


def _kind(metadata: Mapping[str, Any], architecture: str, *, has_weights: bool, is_part: bool) -> str:
    by_type = _KINDS_BY_TYPE.get(_text(metadata, "general.type"))
    if by_type or architecture in _KINDS_BY_ARCHITECTURE:
        return by_type or _KINDS_BY_ARCHITECTURE[architecture]
    pooling = metadata.get(f"{architecture}.pooling_type")
    if isinstance(pooling, int) and pooling > 0:
        return "reranker" if pooling == _RERANKS else "embedding"
    if not has_weights and not is_part:  # the first part of a split model may hold metadata alone
        return "vocabulary"
    template = metadata.get(CHAT_TEMPLATE)
    return "chat" if template is not None and str(template).strip() else "base"


def _kv_bytes(metadata: Mapping[str, Any], architecture: str) -> int:
    """Bytes of keys and values a token, two a number (f16), of the layers that attend."""

    def values(key: str) -> list[int]:
        return _numbers(metadata.get(f"{architecture}.{key}"))

    n_layers = max(values("block_count"), default=0)
    heads = values("attention.head_count")
    kv_heads = values("attention.head_count_kv") or heads
    if not heads or not n_layers:
        return 0  # a recurrent model: its state does not grow with the context
    embedding = max(values("embedding_length"), default=0)
    own = embedding // max(1, *heads)
    width = max(values("attention.key_length"), default=own) + max(values("attention.value_length"), default=own)
    n_attending = n_layers // max(1, *values("full_attention_interval"), 1)  # the other layers are recurrent
    n_heads = sum(kv_heads[:n_layers]) if len(kv_heads) > 1 else kv_heads[0] * n_attending
    return 2 * n_heads * width


def _licence(metadata: Mapping[str, Any]) -> str:
    said = metadata.get("general.license")
    if isinstance(said, list):
        return ", ".join(str(part) for part in said)
    name = _text(metadata, "general.license.name")
    text = said if isinstance(said, str) else ""
    return name if name and text.casefold() in ("", "other") else text


def _part_of(metadata: Mapping[str, Any]) -> tuple[int, int]:
    n = max(_numbers(metadata.get("split.count")), default=1)
    number = max(_numbers(metadata.get("split.no")), default=0) + 1
    return (number, n) if 1 < n <= MOST_PARTS and number <= n else (1, 1)


def _other_parts(path: Path, n_parts: int) -> Iterator[Path]:
    match = _PART.match(path.name)
    stem = match["stem"] if match else path.stem
    for number in range(2, n_parts + 1):
        yield path.with_name(f"{stem}-{number:05}-of-{n_parts:05}.gguf")


def _numbers(value: Any) -> list[int]:
    """The whole numbers of a value, none below 0; a list that was too long to keep has none."""
    values = value if isinstance(value, list) else [value]
    return [max(0, v) for v in values if isinstance(v, int)]


def _text(metadata: Mapping[str, Any], key: str) -> str:
    value = metadata.get(key)
    return " ".join(value.split()) if isinstance(value, str) else ""


def _json_value(value: Any) -> Any:
    if isinstance(value, Left) or (isinstance(value, float) and not math.isfinite(value)):
        return str(value)
    return [_json_value(v) for v in value] if isinstance(value, list) else value


def _known(path: Path, what: Sentence, fix: Sentence) -> KnownError:
    return KnownError(what, where=str(path), fix=fix)
