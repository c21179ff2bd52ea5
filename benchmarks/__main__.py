"""Runs every benchmark and prints its ratios: `python -m benchmarks`."""

import tempfile
from pathlib import Path

from benchmarks import operations, window


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="errormap-bench-") as folder:
        for benchmark in (operations, window):
            for text in benchmark.run(Path(folder)):
                print(text, flush=True)


if __name__ == "__main__":
    main()
