"""Runs the benchmarks that take no records and prints their ratios: `python -m benchmarks`. The judge's is benchmarks.judge."""

import tempfile
from pathlib import Path

from benchmarks import operations, stalls, window


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="errormap-bench-") as folder:
        for benchmark in (operations, window, stalls):
            for text in benchmark.run(Path(folder)):
                print(text, flush=True)


if __name__ == "__main__":
    main()
