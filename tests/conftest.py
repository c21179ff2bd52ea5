"""What holds for every test: offline, one thread, no screen, settings of its own.

Any test that opens an internet socket fails, its child processes included (tests/offline/sitecustomize.py).
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

_OFFLINE = Path(__file__).resolve().parent / "offline"
_LOG = Path(tempfile.mkdtemp(prefix="errormap-studio-tests-")) / "sockets.log"
_LOG.touch()

# Set while conftest.py loads, before any library under test can be imported and read them.
os.environ.update(
    {
        "ERRORMAP_FORBID_SOCKETS": str(_LOG),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(_OFFLINE), os.environ.get("PYTHONPATH")])),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "1",
        "QT_QPA_PLATFORM": "offscreen",
    }
)
sys.path.insert(0, str(_OFFLINE))
if "sitecustomize" in sys.modules:  # another package's, which Python took at its start
    del sys.modules["sitecustomize"]
import sitecustomize  # noqa: E402, F401

# A shared machine can be slow for a moment; what is slow by itself shows in the benchmarks.
hypothesis.settings.register_profile("here", deadline=None, print_blob=True)
hypothesis.settings.load_profile("here")


@pytest.fixture(autouse=True)
def _no_internet_socket() -> Iterator[None]:
    """Fails the test that opened one, or whose children did, even where the program swallowed the refusal."""
    before = _LOG.stat().st_size
    yield
    if _LOG.stat().st_size > before:
        with _LOG.open(encoding="utf-8", errors="replace") as log:
            log.seek(before)
            pytest.fail(f"An internet socket was asked for:\n{log.read()}", pytrace=False)


@pytest.fixture(autouse=True)
def _own_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the settings, the sample or the backups of the person who runs it."""
    monkeypatch.setenv("ERRORMAP_STUDIO_CONFIG", str(tmp_path_factory.mktemp("config")))
    monkeypatch.setenv("ERRORMAP_STUDIO_DATA", str(tmp_path_factory.mktemp("data")))


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is measured of a model is measured once for all tests, and forgotten after them."""
    os.environ["ERRORMAP_STUDIO_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["ERRORMAP_STUDIO_DATA"] = str(tmp_path_factory.mktemp("data"))  # of threads that outlive their test


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A socket asked for outside any test (while modules are imported, in a shared fixture) fails the run as well."""
    tries = _LOG.read_text(encoding="utf-8", errors="replace")
    shutil.rmtree(_LOG.parent)
    if tries and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nAn internet socket was asked for outside any test:\n{tries}", file=sys.stderr)
