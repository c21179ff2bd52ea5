"""The benchmarks of merges and splits on small files: what they read, what they refuse, how they count."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import merges, splits
from errormap_core.errors import KnownError
from errormap_core.proposals.nodes import Forest

TAXONOMY: list[dict[str, Any]] = [
    {
        "path": "Sums / Arithmetic slip",
        "description": "A sum is wrong.",
        "members": ["Adds 2 and 2 as 5", "Sum off by ten"],
    },
    {
        "path": "Other/Calculation mistake",
        "members": [{"title": "Wrong total", "summary": "It adds badly."}, "Sum is wrong"],
    },
    {"path": "Format/Input/Output", "description": None, "members": 7},
    {"path": "Refusal"},
    {"path": "Refusal/Needless"},
]
TRUTH = [["sums/arithmetic slip", "Other/Calculation mistake"]]


def written(folder: Path, name: str, value: Any) -> Path:
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def zeros(texts: Any) -> Any:
    return np.ones((len(texts), 4), np.float32) / 2


def test_a_taxonomy_is_read_with_what_it_leaves_out(tmp_path: Path) -> None:
    found = merges.read_taxonomy(written(tmp_path, "t.json", TAXONOMY), written(tmp_path, "t.truth.json", TRUTH), zeros)
    by_id = {node.id: node for node in found.nodes}
    forest = Forest(found.nodes)
    assert {by_id[key].name for key in found.implied} == {"Sums", "Other", "Format"}
    assert by_id["Format/Input/Output"].name == "Input/Output"
    assert len(by_id["Format/Input/Output"].members) == 7
    assert by_id["Refusal/Needless"].parent_id == "Refusal"
    assert by_id["Other/Calculation mistake"].titles == ("Wrong total", "Sum is wrong")
    assert forest.under_other[forest.index["Other/Calculation mistake"]]
    assert found.truth == {frozenset({"Sums / Arithmetic slip", "Other/Calculation mistake"})}


@pytest.mark.parametrize(
    ("taxonomy", "truth", "said"),
    [
        ("{", TRUTH, "t.json: This is no JSON"),
        ({"a": 1}, TRUTH, "t.json: A list is needed"),
        ([1], TRUTH, "t.json, entry 1: An object with a path"),
        ([{"path": " / "}], TRUTH, "t.json, entry 1, path: "),
        ([{"path": "a", "description": 3}], TRUTH, "t.json, entry 1, description: "),
        ([{"path": "a"}, {"path": "b", "members": [["x"]]}], TRUTH, "t.json, entry 2, members, 1: "),
        ([{"path": "a", "members": "x"}], TRUTH, "t.json, entry 1, members: "),
        ([{"path": "a"}, {"path": " A"}], TRUTH, "t.json, entry 2, path: “ A” is there twice"),
        (TAXONOMY, [["Refusal", "Gone"]], "t.truth.json, entry 1, path: “Gone” is not in the taxonomy"),
        (TAXONOMY, [["Refusal", "refusal"]], "t.truth.json, entry 1, path: A category is not merged with itself"),
        (TAXONOMY, [["Refusal"]], "t.truth.json, entry 1: A list of two paths"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, taxonomy: Any, truth: Any, said: str) -> None:
    files = written(tmp_path, "t.json", taxonomy), written(tmp_path, "t.truth.json", truth)
    with pytest.raises(KnownError) as refused:
        merges.read_taxonomy(*files, zeros)
    assert said in str(refused.value)


def test_a_proposal_of_three_counts_its_pairs_and_is_one_proposal() -> None:
    truth = {frozenset(pair) for pair in ("ab", "ac", "xy")}
    proposals = [*(frozenset({"q", str(n)}) for n in range(9)), frozenset("abc"), frozenset("xy")]
    counted = merges.counted(proposals, truth)
    assert counted["found"] == {"10": 2, "20": 3, "30": 3, "50": 3}
    assert counted["twice"] == 0
    assert counted["of"] == 3


def test_the_taxonomies_in_the_folder_can_be_read_and_hold_enough() -> None:
    for path, truth in merges.committed():
        found = merges.read_taxonomy(path, truth, zeros)
        listed = [node for node in found.nodes if node.id not in found.implied]
        assert 30 <= len(listed) <= 60, path
        assert 12 <= len(found.truth) <= 20, path
        assert all(3 <= len(node.members) <= 25 for node in listed), path
    assert len(merges.committed()) >= 4


def test_a_given_taxonomy_is_run_and_the_last_line_is_one_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = written(tmp_path, "t.json", TAXONOMY), written(tmp_path, "t.truth.json", TRUTH)
    assert merges.main(["--taxonomy", str(files[0]), "--truth", str(files[1])]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    result = json.loads(lines[-1])
    assert result["found"] == {"10": 1, "20": 1, "30": 1, "50": 1}
    assert result["of"] == 1
    assert result["learned_on"] == "benchmarks/taxonomies"
    assert any(line.startswith("cosine of names") for line in lines)
    assert merges.main(["--taxonomy", str(tmp_path / "none.json"), "--truth", str(files[1])]) == 2
    assert "none.json: The file cannot be read" in capsys.readouterr().err


TEXTS = {
    "exchange_rate": [
        "What is the exchange rate?",
        "Which rate for euros?",
        "Rate of dollars to pounds?",
        "Is the rate good?",
    ],
    "lost_card": ["I lost my card", "My card is gone", "Card was stolen", "I cannot find my card"],
    "age_limit": ["How old must I be?", "Is there an age limit?", "Can children have an account?", "Minimum age?"],
    "top_up": ["Top up by cheque", "How do I top up?", "My top up failed", "Top up with a voucher"],
    "pin_blocked": ["My PIN is blocked", "Unblock the PIN", "Too many wrong PINs", "PIN does not work"],
    "atm_support": ["Which ATMs take it?", "Where is an ATM?", "Does the cash machine accept it?", "ATMs abroad?"],
    "refund": ["I want my money back", "Refund the purchase", "How do I get a refund?", "Shop owes me a refund"],
    "passcode": ["Forgot my passcode", "Reset the passcode", "Passcode lost", "Change my passcode"],
}


def test_splits_of_joined_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "texts.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["said", "topic"])
        writer.writerows((text, topic) for topic, texts in TEXTS.items() for text in texts)
    assert splits.main(["--data", str(path), "--text", "said", "--label", "topic", "--seeds", "2", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert result["joined"] == 3
    assert result["whole"] == 1
    assert result["share_found"] > 0.5
    assert result["purity"] > result["purity_unsplit"]
    assert splits.main(["--data", str(path), "--text", "said", "--label", "gone"]) == 2
    assert "There is no column “gone”. It has: said, topic." in capsys.readouterr().err


def test_joined_labels_are_drawn_with_the_seed() -> None:
    labels = [f"label {n}" for n in range(20)]
    vectors = np.eye(20, dtype=np.float32)
    first = splits.drawn(labels, vectors, 0, near=False)
    assert sorted(label for group in first for label in group) == sorted(labels)
    assert sorted(map(len, first)) == [1] * 4 + [2] * 5 + [3] * 2
    assert first == splits.drawn(labels, vectors, 0, near=False)
    assert first != splits.drawn(labels, vectors, 1, near=False)
