"""The guard of tests/conftest.py catches what it is for: each inner test below must fail, and only those."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent

INNER = """
import multiprocessing, os, socket, subprocess, sys

def child(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

def test_connects():
    socket.socket(socket.AF_INET)

def test_swallows_the_refusal():
    try:
        socket.create_connection(("127.0.0.1", 9))
    except RuntimeError:
        pass

def test_asks_for_a_name():
    try:
        socket.getaddrinfo("localhost", 80)
    except RuntimeError:
        pass

def test_listens_on_ipv6():
    try:
        socket.socket(socket.AF_INET6).bind(("::1", 0))
    except RuntimeError:
        pass

def test_child_connects():
    child("import socket; socket.socket()")

def test_grandchild_connects():
    child("import subprocess, sys; subprocess.run([sys.executable, '-c', 'import socket; socket.socket()'])")

def test_local_sockets_are_allowed():
    a, b = socket.socketpair()
    a.close(), b.close()
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=queue.put, args=(1,))
    process.start()
    assert queue.get() == 1
    process.join()

def test_child_without_sockets_is_allowed():
    assert child("import json, sqlite3, asyncio; print(1)").stdout == "1\\n"
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The inner tests' names by outcome, from a run of pytest with our conftest.py."""
    folder = tmp_path_factory.mktemp("inner")
    shutil.copy(HERE / "conftest.py", folder)
    shutil.copytree(HERE / "offline", folder / "offline")
    (folder / "test_inner.py").write_text(INNER, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-rA", "-q", "-p", "no:cacheprovider", str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    found: dict[str, set[str]] = {"PASSED": set(), "FAILED": set(), "ERROR": set()}
    for outcome, name in re.findall(r"^(PASSED|FAILED|ERROR) \S*::(\w+)", run.stdout, flags=re.MULTILINE):
        found[outcome].add(name)
    assert found["PASSED"], run.stdout + run.stderr
    return found


@pytest.mark.parametrize(
    "name",
    [
        "test_connects",
        "test_swallows_the_refusal",
        "test_asks_for_a_name",
        "test_listens_on_ipv6",
        "test_child_connects",
        "test_grandchild_connects",
    ],
)
def test_an_internet_socket_fails_the_test(name: str, outcomes: dict[str, set[str]]) -> None:
    assert name in outcomes["FAILED"] | outcomes["ERROR"]


@pytest.mark.parametrize("name", ["test_local_sockets_are_allowed", "test_child_without_sockets_is_allowed"])
def test_what_stays_on_the_machine_is_allowed(name: str, outcomes: dict[str, set[str]]) -> None:
    assert name in outcomes["PASSED"]
    assert name not in outcomes["ERROR"]
