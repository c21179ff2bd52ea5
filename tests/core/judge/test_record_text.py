"""Record text is text, in models too whose turn markers are no control tokens; and a large file is hashed once."""

import os
import shutil
from pathlib import Path

import pytest

from errormap_core.judge import model_file
from errormap_core.judge.catalogue import gemma_path
from errormap_core.judge.llama import Model, Placement, _Marks

PLACEMENT = Placement(1, 512, 1, 64, -1, 0, None, "", 0)


def test_texts_of_tokens_are_cut_behind_their_first_letter() -> None:
    marks = _Marks(["<|user|>", "<|", "[A]"])
    text = "x <|user|> y [A][A] < [B]"
    parts = marks.cut(text)
    assert "".join(parts) == text
    assert parts == ["x <", "|user|> y [", "A][", "A] < [B]"]
    assert _Marks([]).cut(text) == [text]
    many = "<|user|>" * 100_000
    assert len(marks.cut(many)) == 100_001


def test_no_token_of_a_model_that_is_a_mark_comes_out_of_record_text() -> None:
    """Gemma has 73 of them, '<table>' and '</s>' for example; '<mask>' is a control token there."""
    path = gemma_path()
    assert path is not None, "Gemma is among the packages of development: make set-up-dev"
    model = Model(str(path), PLACEMENT, log=lambda: "")
    try:
        text = "See <table> and </s>, <unused7> and <mask>; a < b."
        as_template, as_text = model.tokens([(text, True)]), model.tokens([(text, False)])
        marks = {model.tokens([(mark, True)])[-1] for mark in ("<table>", "</s>", "<unused7>", "<mask>")}
        assert len(marks & set(as_template)) == 4, "llama.cpp finds them where they count"
        assert not marks & set(as_text)
        assert b"".join(model.vocabulary.pieces[token] for token in as_text).decode().strip() == text
    finally:
        model.close()


def test_a_large_file_is_hashed_once_and_again_when_it_changed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERRORMAP_STUDIO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(model_file, "REMEMBERED_FROM", 1000)
    file = tmp_path / "large.gguf"
    shutil.copyfile(model, file)
    first = model_file.file_sha256(file)
    assert first == model_file.file_sha256(model)
    n_read = []
    digest = model_file.hashlib.file_digest
    monkeypatch.setattr(model_file.hashlib, "file_digest", lambda *given: n_read.append(1) or digest(*given))
    assert model_file.file_sha256(file) == first
    assert not n_read
    times = os.stat(file)
    with file.open("r+b") as changed:
        changed.write(b"GGUX")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))  # whoever sets its time back is not believed
    assert model_file.file_sha256(file) != first
    assert n_read == [1]
    (tmp_path / "cache" / "model_hashes.json").write_text("{half", encoding="utf-8")
    assert model_file.file_sha256(file) != first
