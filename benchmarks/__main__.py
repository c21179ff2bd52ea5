"""Runs the benchmarks that take no data and prints their ratios: `python -m benchmarks`.

With data: benchmarks.judge, benchmarks.classification, benchmarks.proposals, benchmarks.splits. With a judge: benchmarks.arbiter.
"""

import tempfile
from pathlib import Path

from benchmarks import locked, long_texts, merges, operations, queue_stalls, sizes, stalls, window


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="errormap-bench-") as folder:
        for benchmark in (operations, sizes, window, stalls, locked, queue_stalls, long_texts):
            for text in benchmark.run(Path(folder)):
                print(text, flush=True)
    merges.main([])


if __name__ == "__main__":
    main()
