"""A GGUF is read for what it says of itself; whatever is wrong with one is a sentence, never a crash or a large allocation."""

import os
import struct
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errormap_core.errors import KnownError
from errormap_core.judge.catalogue import gemma_path
from errormap_core.judge.gguf_file import Left, ModelFile, read_model_file
from errormap_core.judge.memory import refuse_unfit
from tests.core.judge.gguf_making import CHAT, EMBEDDING, VISION, WEIGHTS, gguf, text, value, write


def problem_of(path: Path) -> KnownError:
    with pytest.raises(KnownError) as caught:
        read_model_file(path)
    assert caught.value.where == str(path)
    assert str(caught.value.fix)
    return caught.value


def read_or_told(path: Path) -> ModelFile | KnownError:
    """What is read of a file that can be a judge, or why it cannot; anything but a KnownError fails the test."""
    try:
        found = read_model_file(path)
        found.to_json()
        refuse_unfit(found)
    except KnownError as error:
        return error
    return found


def test_the_embedded_model_is_read_as_it_is(model: Path) -> None:
    found = read_model_file(model)
    assert (found.kind, found.architecture, found.quantisation, found.licence) == (
        "chat",
        "llama",
        "Q4_1",
        "apache-2.0",
    )
    assert (found.n_parameters, found.context_length, found.n_layers) == (134_515_008, 8192, 30)
    assert found.size_bytes == model.stat().st_size
    assert found.kv_bytes_per_token == 30 * 3 * (64 + 64) * 2
    assert found.n_vocabulary == 49_152
    assert found.missing_bytes == 0
    assert found.chat_template is not None and "<|im_start|>" in found.chat_template
    assert found.metadata["tokenizer.ggml.tokens"] == Left(49_152, "values")
    assert [name for name, _, _ in found.tensor_types] == ["Q4_1", "Q8_0", "F32"]
    refuse_unfit(found)


def test_a_large_vocabulary_is_read_in_no_time() -> None:
    path = gemma_path()
    assert path is not None, "Gemma is among the packages of development: make set-up-dev"
    began = time.process_time()
    found = read_model_file(path)
    assert time.process_time() - began < 0.5
    assert (found.kind, found.n_vocabulary, found.chat_template) == ("base", 262_144, None)
    assert (found.quantisation, found.sliding_window, found.licence) == ("Q4_K_M", 512, "gemma")
    assert found.kv_bytes_per_token == 18 * 1 * (256 + 256) * 2, "head lengths that the file gives, not derived ones"
    refuse_unfit(found)


def test_a_small_file_says_all_of_itself(tmp_path: Path) -> None:
    found = read_model_file(write(tmp_path / "tiny.gguf", CHAT))
    assert (found.name, found.licence, found.quantisation) == ("Tiny", "mit", "Q4_0")
    assert found.n_parameters == 32 * 64 + 32 * 96
    assert found.weight_bytes == 32 * 64 * 4 + 32 * 96 // 32 * 18
    assert found.kv_bytes_per_token == 4 * 2 * (4 + 4) * 2
    assert found.chat_template == "{{ messages[0].content }}"
    assert ModelFile.from_json(found.to_json()).to_json() == found.to_json()


def test_heads_may_differ_by_layer_and_some_layers_may_not_attend(tmp_path: Path) -> None:
    mixed = {**CHAT, "llama.attention.head_count_kv": [0, 2, 0, 1]}
    assert read_model_file(write(tmp_path / "a.gguf", mixed)).kv_bytes_per_token == 3 * 8 * 2
    every_fourth = {**CHAT, "llama.full_attention_interval": 4}
    assert read_model_file(write(tmp_path / "b.gguf", every_fourth)).kv_bytes_per_token == 2 * 8 * 2
    recurrent = {"general.architecture": "mamba", "mamba.block_count": 4, "mamba.embedding_length": 32}
    assert read_model_file(write(tmp_path / "c.gguf", recurrent)).kv_bytes_per_token == 0


@pytest.mark.parametrize(
    ("metadata", "kind", "sentence"),
    [
        (EMBEDDING, "embedding", "This is an embedding model"),
        ({**CHAT, "llama.pooling_type": 3}, "embedding", "This is an embedding model"),
        ({**CHAT, "llama.pooling_type": 4}, "reranker", "ranks texts"),
        ({**CHAT, "llama.pooling_type": 0}, "chat", ""),
        (VISION, "vision", "the part of a vision model that reads images"),
        ({**CHAT, "general.type": "adapter"}, "adapter", "This is an adapter"),
        ({"general.architecture": "t5"}, "translation", "encoder and a decoder"),
        ({"general.architecture": "llama"}, "base", ""),
        ({"general.architecture": "something-new", "tokenizer.chat_template": "  "}, "base", ""),
    ],
)
def test_what_a_model_is_for(tmp_path: Path, metadata: dict[str, object], kind: str, sentence: str) -> None:
    found = read_model_file(write(tmp_path / "model.gguf", metadata))
    assert found.kind == kind
    if not sentence:
        refuse_unfit(found)
        return
    with pytest.raises(KnownError) as caught:
        refuse_unfit(found)
    assert sentence in str(caught.value)


def test_a_file_without_weights_is_no_model(tmp_path: Path) -> None:
    found = read_model_file(write(tmp_path / "vocabulary.gguf", CHAT, ()))
    assert found.kind == "vocabulary"


def test_a_real_file_that_is_cut_off_anywhere_is_told_as_such(tmp_path: Path, model: Path) -> None:
    head = model.read_bytes()[:3_000_000]
    whole = read_model_file(model)
    path = tmp_path / "cut.gguf"
    told = set()
    for size in [4, 5, 8, 23, 24, 31, 100, 1000, 60_000, 500_000, 1_048_576, 1_700_000, 1_790_000, 2_999_999]:
        path.write_bytes(head[:size])
        problem = read_or_told(path)
        assert isinstance(problem, KnownError)
        assert "incomplete" in str(problem)
        told.add("of its weights are missing" in str(problem))
    assert told == {False, True}, "within the metadata and within the weights"
    found = read_model_file(path)
    assert found.missing_bytes == model.stat().st_size - size, "the weights end where the file does"
    assert found.metadata == whole.metadata


def test_a_made_file_that_is_cut_off_at_any_byte_is_a_sentence(tmp_path: Path) -> None:
    data = gguf(CHAT, (("w", (32,), 2),))
    path = tmp_path / "cut.gguf"
    path.write_bytes(data)
    for size in range(len(data) - 1, -1, -1):
        os.truncate(path, size)
        # What is after the last weight is padding.
        assert isinstance(read_or_told(path), KnownError) or size >= len(data) - 31, size


def test_no_gguf_no_file_no_right(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    assert "no such" in str(problem_of(path))
    path.mkdir()
    assert "folder" in str(problem_of(path))
    path.rmdir()
    path.touch()
    assert "empty" in str(problem_of(path))
    path.write_bytes(b"PK\x03\x04 and so on")
    assert "not a GGUF" in str(problem_of(path))
    path.write_bytes(b"GG")
    assert "not a GGUF" in str(problem_of(path))
    assert "File name too long" in str(problem_of(tmp_path / ("x" * 300 + ".gguf")))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.gguf")
        assert "no ordinary file" in str(problem_of(tmp_path / "pipe.gguf")), "and it is not waited for"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (gguf(CHAT, version=1), "version 1; llama.cpp reads 2 and 3"),
        (gguf(CHAT, version=0x03000000), "other byte order"),
        (gguf(CHAT, n_entries=1 << 60), "announces"),
        (gguf(CHAT, n_tensors=1 << 63), "announces"),
        (gguf(CHAT, n_entries=60_000), "incomplete"),
        (gguf({"general.alignment": 0}), "alignment"),
        (gguf({"general.alignment": 24}), "alignment"),
        (gguf({}, n_entries=1)[:24] + struct.pack("<Q", 1 << 62), "incomplete"),
        (gguf({}, n_entries=1)[:24] + struct.pack("<Q", 1 << 20) + b"k" * (1 << 20) + value(1), "too long or there twice"),
        (gguf({}, n_entries=2)[:24] + (text("a") + value(1)) * 2, "there twice"),
        (gguf({}, n_entries=1)[:24] + text("a") + struct.pack("<I", 13), "unknown type 13"),
        (gguf({}, n_entries=1)[:24] + text("a") + struct.pack("<IIQ", 9, 9, 1), "unknown type 9"),
        (gguf({}, n_entries=1)[:24] + text("a") + struct.pack("<IIQ", 9, 8, 1 << 62), "incomplete"),
        (gguf({}, n_entries=1)[:24] + text("a") + struct.pack("<IIQ", 9, 0, (1 << 64) - 1), "incomplete"),
        (gguf({}, n_tensors=1)[:24] + text("w") + struct.pack("<I2QIQ", 2, 1 << 40, 1 << 40, 0, 0), "larger than any file"),
        (gguf({}, n_tensors=1)[:24] + text("w") + struct.pack("<I", 1 << 31), "dimensions"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_without_allocating_it(tmp_path: Path, data: bytes, sentence: str) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        error = problem_of(path)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sentence in str(error)
    assert most < 16_000_000


def test_a_sparse_file_of_texts_without_end_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "sparse.gguf"
    count = 1 << 30
    with path.open("wb") as file:
        file.write(gguf({}, n_entries=1)[:24] + text("a") + struct.pack("<IIQ", 9, 8, count))
        file.truncate(1 << 34)
    began = time.monotonic()
    assert "announces" in str(problem_of(path))
    assert time.monotonic() - began < 5


@given(st.binary(max_size=400))
def test_any_bytes_after_the_magic_are_a_model_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.gguf"
    path.write_bytes(b"GGUF" + data)
    assert str(read_or_told(path))


@given(st.integers(4, len(gguf(CHAT)) - 1), st.binary(min_size=1, max_size=9))
def test_damage_anywhere_is_a_model_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, place: int, damage: bytes
) -> None:
    data = bytearray(gguf(CHAT))
    data[place : place + len(damage)] = damage
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(data)
    assert str(read_or_told(path))


def test_parts_of_a_split_model_belong_together(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        metadata = {**CHAT, "split.no": number - 1, "split.count": 3}
        write(tmp_path / f"m-{number:05}-of-00003.gguf", metadata if number == 1 else
              {"split.no": number - 1, "split.count": 3}, WEIGHTS if number > 1 else ())  # fmt: skip
    first = tmp_path / "m-00001-of-00003.gguf"
    found = read_model_file(first)
    assert (found.part, found.n_parts, found.missing_parts, found.kind) == (1, 3, (), "chat")
    assert found.n_parameters == 2 * (32 * 64 + 32 * 96)
    assert found.size_bytes == sum(p.stat().st_size for p in tmp_path.iterdir())
    refuse_unfit(found)
    second = read_model_file(tmp_path / "m-00002-of-00003.gguf")
    with pytest.raises(KnownError, match="part 2 of 3"):
        refuse_unfit(second)
    (tmp_path / "m-00003-of-00003.gguf").unlink()
    with pytest.raises(KnownError, match=r"some are missing: m-00003-of-00003\.gguf"):
        refuse_unfit(read_model_file(first))
