"""The benchmark of classification on a small file: what it draws, what it prints."""

import csv
import json
from pathlib import Path

import pytest

from benchmarks.classification import drawn, interval, main

TEXTS = {
    "exchange_rate": ("What is the exchange rate?", "Which rate do you use for euros?"),
    "lost_card": ("I lost my card.", "My card is gone."),
    "age_limit": ("How old must I be?", "Is there an age limit?"),
}


def test_draws_are_fixed_by_the_seed_and_leave_out_what_another_draws() -> None:
    rows = [{} for _ in range(50)]
    first = drawn(rows, 20, 0)
    assert first == drawn(rows, 20, 0)
    assert not set(first) & set(drawn(rows, 20, 1, but=first))


def test_the_interval_holds_the_share() -> None:
    low, high = interval([True] * 30 + [False] * 10)
    assert low < 0.75 < high
    assert interval([True] * 10) == (1.0, 1.0)


def test_the_last_line_is_one_object_with_every_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "texts.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["said", "topic"])
        writer.writerows((text, topic) for topic, texts in TEXTS.items() for text in texts)
    arguments = ["--data", str(path), "--text", "said", "--label", "topic", "--n", "6", "--shortlist", "2", "--fit"]
    assert main(arguments) == 0
    out = capsys.readouterr().out.strip().splitlines()
    result = json.loads(out[-1])
    assert [(row["method"], row["names"]) for row in result["table"]] == [
        ("embedding", "all"),
        ("judge", "all"),
        ("both", "all"),
        ("judge", "nearest 2"),
        ("both", "nearest 2"),
    ]
    assert all(row["interval"][0] <= row["accuracy"] <= row["interval"][1] for row in result["table"])
    assert all(row["cpu_s_a_text"] > 0 for row in result["table"])
    assert set(result["fits"].popitem()[1]) == {"embedding", "judge", "both"}
