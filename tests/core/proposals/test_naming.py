"""Names: cleaned titles of typical members, told apart from their siblings; the judge's, or why not."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errormap_core import tasks
from errormap_core.judge.base import CUT_OFF, Completion, Message, RecordFailed
from errormap_core.proposals.naming import (
    CUT_NAME_WORDS,
    Naming,
    clean_name,
    cut_words,
    name_by_judge,
    name_from_members,
    naming_messages,
)
from errormap_core.sentences import tr
from errormap_core.taxonomy.tree import name_key
from tests.fakes import FakeJudge


class SayingJudge(FakeJudge):
    """Answers with one value, or fails."""

    def __init__(self, value: Any) -> None:
        super().__init__(name="sayer")
        self.value = value

    def name_category(
        self, messages: Sequence[Message], *, cancelled: tasks.Cancelled = tasks.never_cancelled
    ) -> Completion:
        if self.value is None:
            raise RecordFailed(CUT_OFF, tr("It was cut off."))
        return Completion(self.value, 1, 1, 0.0, json.dumps(self.value))


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("wrong arithmetic in the last step", "Wrong arithmetic in the last step"),
        ("  “Misread the\nquestion.” ", "Misread the question"),
        ("The answer is given in the wrong unit of length", "The answer is given"),
        ("**Off by one**", "Off by one"),
        ("1", ""),
        ("…", ""),
        ("", ""),
        ("x" * 500, "X" + "x" * 79),
    ],
)
def test_titles_become_names(title: str, name: str) -> None:
    assert clean_name(title) == name


def test_a_title_that_others_share_more_is_no_name() -> None:
    named = name_from_members(
        ["Wrong answer", "Wrong unit", "Wrong unit"], ["a"], elsewhere=Counter({"wrong answer": 5})
    )
    assert named.name == "Wrong unit"
    assert named.named_by == "members"


def test_a_name_that_a_sibling_has_is_told_apart() -> None:
    summaries = ["Centimetres were taken for metres.", "Centimetres again."]
    named = name_from_members(["Wrong unit", "wrong unit"], summaries, taken={"wrong unit"})
    assert named.name == "Wrong unit (centimetres)"
    taken = {name_key(f"Wrong unit ({word})") for word in ("centimetres", "metres", "again", "were", "taken")}
    assert name_from_members(["Wrong unit"], summaries, taken=taken | {"wrong unit"}).name == "Wrong unit (2)"


def test_a_title_that_can_stay_whole_is_preferred() -> None:
    long = "Takes the value of a neighbouring row for the one that was asked"
    assert name_from_members([long, "Invents a value not in the text"], []).name == "Invents a value not in the text"
    assert name_from_members([long], []).name == "Takes the value of a neighbouring"


def test_without_titles_the_summary_speaks() -> None:
    assert name_from_members(["", "1"], ["The sum is off by ten because a carry is lost"]).name.startswith(
        "The sum is off"
    )
    assert name_from_members([], []) == Naming("Unnamed group", "", "members")


def test_the_description_quotes_and_is_cut_at_a_word() -> None:
    summaries = ["The unit is wrong.", "The unit is wrong.", "word " * 60]
    description = name_from_members(["Wrong unit"], summaries).description
    assert description.startswith("Typical failures say: “The unit is wrong.” “word word")
    assert description.endswith("word …”")
    assert len(description.split()) <= 36


@given(st.lists(st.text(max_size=60), max_size=8), st.sets(st.text(max_size=20).map(name_key), max_size=5))
def test_every_name_can_be_a_category_beside_its_siblings(titles: list[str], taken: set[str]) -> None:
    taken |= {name_key(clean_name(title)) for title in titles[::2]} | {"unnamed group"}
    named = name_from_members(titles, titles[::-1], taken=taken)
    assert name_key(named.name)
    assert name_key(named.name) not in taken
    assert len(named.name) <= 200


def test_cut_words_leaves_short_texts_alone() -> None:
    assert cut_words("a b\nc", 3) == "a b c"
    assert cut_words("a, b, c", 2) == "a, b …"


FALLBACK = Naming("Wrong unit", "Typical failures say: “x”", "members")


def test_the_judge_names() -> None:
    judge = SayingJudge({"name": "Mixes up units.", "description": "Units are confused."})
    named = name_by_judge(judge, FALLBACK, ["a text"], taken=set())
    assert named == Naming("Mixes up units", "Units are confused.", "judge:sayer")
    assert not named.is_fallback


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "cut_off"),
        ([], "no object"),
        ({"name": "1", "description": "Units are confused."}, "no name"),
        ({"name": "Name", "description": "Units are confused."}, "no name"),
        ({"name": "MIXES up units", "description": "Units are confused."}, "name taken"),
        ({"name": "Off by one", "description": " . "}, "no description"),
    ],
)
def test_an_unusable_answer_is_said(value: Any, reason: str) -> None:
    named = name_by_judge(SayingJudge(value), FALLBACK, ["a text"], taken={"mixes up units"})
    assert (named.name, named.description) == (FALLBACK.name, FALLBACK.description)
    assert named.named_by == f"members (judge:sayer: {reason})"
    assert named.is_fallback


def test_no_text_closes_its_own_mark() -> None:
    messages = naming_messages(["say </failure> {text}", "word " * 500])
    assert "<failure-2>\nsay </failure> {text}\n</failure-2>" in messages[1]["content"]
    assert len(messages[1]["content"].split()) < 100
    assert "{" not in messages[0]["content"]
    assert CUT_NAME_WORDS == 6
