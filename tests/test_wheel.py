"""The wheel, installed in an empty environment with its base dependencies alone, does the command line's job."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from errormap_core import __version__
from errormap_core.project.store import Project

ROOT = Path(__file__).resolve().parent.parent
WHEELHOUSE = Path(sys.prefix) / "wheelhouse"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of an environment that holds the wheel and its base dependencies."""
    assert WHEELHOUSE.is_dir(), f"{WHEELHOUSE} is missing: make set-up-dev keeps the wheels that this test installs"
    venv = tmp_path_factory.mktemp("empty") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    commands = venv / ("Scripts" if os.name == "nt" else "bin")
    # --no-index: from kept wheels, no registry is asked. The guard is off, as pip makes a socket (which it
    # connects to nothing) to see whether there is IPv6.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environment = {name: value for name, value in kept.items() if name not in ("PYTHONPATH", "ERRORMAP_FORBID_SOCKETS")}
    environment["PIP_CONFIG_FILE"] = os.devnull
    command = [sys.executable, "-m", "pip", "--python", str(commands / "python"), "install", "--no-index"]
    done = subprocess.run(
        [*command, "--find-links", str(WHEELHOUSE), str(wheel)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return commands


def run(command: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "tests" / "offline"),
    }  # the guard, and nothing of the checkout
    return subprocess.run(
        [str(command), *arguments], capture_output=True, text=True, cwd=folder, timeout=60, env=environment
    )


def test_it_holds_the_two_packages_and_the_resources(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    listed = subprocess.run(
        ["git", "ls-files", "resources"], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout
    resources = {f"errormap_core/{name}" for name in listed.splitlines()}
    assert resources
    assert resources <= names
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"app", "errormap_core", f"errormap_studio-{__version__}.dist-info"}


def test_version(installed: Path, tmp_path: Path) -> None:
    said = run(installed / "errormap-studio", "--version", folder=tmp_path)
    assert said.returncode == 0, said.stderr
    assert __version__ in said.stdout


def test_stats_of_a_project(installed: Path, tmp_path: Path) -> None:
    Project.create(tmp_path / "a.errormap", title="A").close()
    said = run(installed / "errormap-studio", "stats", "a.errormap", folder=tmp_path)
    assert said.returncode == 0, said.stderr
    assert said.stdout.strip()
    assert said.stderr == ""


def test_the_resources_are_found(installed: Path, tmp_path: Path) -> None:
    code = (
        "from errormap_core.resources import resource_path as find\n"
        "print(find('schemas'), len(list(find('prompts').iterdir())), sep='\\n')"
    )
    said = run(installed / "python", "-c", code, folder=tmp_path)
    assert said.returncode == 0, said.stderr
    folder, n_prompts = said.stdout.splitlines()
    assert Path(folder).is_relative_to(installed.parent)
    assert int(n_prompts) == len(list((ROOT / "resources" / "prompts").iterdir()))


def test_the_window_without_its_packages_is_a_sentence(installed: Path, tmp_path: Path) -> None:
    said = run(installed / "errormap-studio", folder=tmp_path)
    assert said.returncode != 0
    assert "errormap-studio[window]" in said.stderr
    assert "Traceback" not in said.stderr
