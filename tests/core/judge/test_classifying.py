"""Classification by scores: what is taken off, what is asked in both orders, how scores become probabilities."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from errormap_core.judge.classifying import (
    MOST_CHARACTERS,
    Answer,
    Candidate,
    Classification,
    FailureText,
    Scorer,
    Weights,
    distinct_names,
    shortlist,
    weigh,
)
from errormap_core.judge.llama_judge import LlamaJudge
from tests.fakes import FakeJudge, FakeScores

UNITS, SUMS = Candidate("u", "Wrong units"), Candidate("s", "Wrong sum")
OTHER = Candidate("o", "Other")


def test_what_a_name_is_worth_without_a_failure_is_taken_off() -> None:
    judge = FakeScores(likes={"Wrong units": 9.0}, knows={"adds": {"Wrong sum": 3.0}})
    scorer = Scorer(judge, weights={"judge": Weights(0.0, 1.0, prior=1.0)})
    found = scorer.classify(FailureText("It adds badly"), [UNITS, SUMS, OTHER])
    assert found.best == "s"
    assert found.runner_up == "u"
    assert found.probabilities["s"] == pytest.approx(math.exp(3) / (math.exp(3) + 2))
    assert found.confidence == pytest.approx((math.exp(3) - 1) / (math.exp(3) + 2))
    assert sum(found.probabilities.values()) == pytest.approx(1)
    without = Scorer(judge, weights={"judge": Weights(0.0, 1.0, prior=0.0)})
    assert without.classify(FailureText("It adds badly"), [UNITS, SUMS, OTHER]).best == "u"


def test_similarities_have_a_say_where_they_are_given() -> None:
    judge = FakeScores(knows={"adds": {"Wrong sum": 1.0}})
    scorer = Scorer(judge, weights={"judge": Weights(0.0, 1.0), "both": Weights(10.0, 1.0)})
    failure = FailureText("It adds badly")
    assert scorer.classify(failure, [UNITS, SUMS]).best == "s"
    assert scorer.classify(failure, [UNITS, SUMS], similarities={"u": 0.5, "s": 0.3}).best == "u"
    assert scorer.classify(failure, [UNITS, SUMS], similarities={"u": 0.35, "s": 0.3}).best == "s"


def test_of_equals_the_first_is_the_best_and_nothing_is_sure() -> None:
    found = Scorer(FakeScores()).classify(FailureText("x"), [SUMS, UNITS])
    assert (found.best, found.runner_up, found.confidence) == ("s", "u", 0.0)


def test_one_category_alone_is_certain_and_none_is_refused() -> None:
    found = Scorer(FakeScores()).classify(FailureText("x"), [SUMS])
    assert (found.best, found.runner_up, found.confidence) == ("s", None, 1.0)
    with pytest.raises(ValueError, match="no category"):
        weigh([], Weights(1.0, 0.0))


def test_categories_of_one_name_are_told_apart_by_their_paths() -> None:
    one, two = Candidate("1", "Units", path="Physics / Units"), Candidate("2", "units", path="Cooking / units")
    assert distinct_names([one, SUMS, two]) == ["Physics / Units", "Wrong sum", "Cooking / units"]
    same = Candidate("3", "Wrong sum")
    found = Scorer(FakeScores(knows={"adds": {"Wrong sum": 3.0}})).classify(FailureText("adds"), [SUMS, same, UNITS])
    assert found.probabilities["s"] == found.probabilities["3"]


def test_a_name_with_line_breaks_and_a_long_text_stay_on_their_lines() -> None:
    judge = FakeScores()
    Scorer(judge).classify(FailureText("t", "word\n" * 3000), [Candidate("1", "Wrong\n\nunits")])
    messages, names = judge.asked[-1]
    assert names == [" Wrong units"]
    assert "\n" not in messages[1]["content"]
    assert len(messages[1]["content"]) < MOST_CHARACTERS + 20


@pytest.mark.parametrize(
    ("failure", "shown"),
    [
        (FailureText("Wrong sum.", "It adds badly."), "Wrong sum. It adds badly."),
        (FailureText("Wrong sum", ""), "Wrong sum"),
        (FailureText("", "", "What is 3 + 4?", "8"), "What is 3 + 4?. 8"),
        (FailureText("Wrong sum", "", "What is 3 + 4?", "8"), "Wrong sum"),
        (FailureText(), ""),
    ],
)
def test_title_and_summary_are_shown_and_else_task_and_answer(failure: FailureText, shown: str) -> None:
    assert failure.shown() == shown


def test_braces_in_a_failure_mean_nothing() -> None:
    judge = FakeScores()
    Scorer(judge).classify(FailureText("{text} {one}"), [SUMS, UNITS])
    assert judge.asked[-1][0][1]["content"] == "Text: {text} {one}"


def test_a_question_is_asked_in_both_orders_and_against_nothing() -> None:
    judge = FakeScores(knows={"one: Wrong units": {"Yes": 4.0}, "N/A": {"Yes": 0.5}})
    answer = Scorer(judge).same(UNITS, SUMS)
    assert answer.log_odds == pytest.approx(4.0 / 2 - 0.5), "yes in one order of two, less what is said of nothing"
    assert answer.probability == pytest.approx(1 / (1 + math.exp(-1.5)))
    assert Scorer(judge).same(SUMS, UNITS) == answer


def test_a_liking_for_the_first_of_two_names_has_no_part_in_the_better_one() -> None:
    judge = FakeScores(likes={"A": 5.0})
    assert Scorer(judge).better_name("Units", "Sums", [FailureText("Wrong sum")]).log_odds == pytest.approx(0)
    judge = FakeScores(likes={"A": 5.0}, knows={"Wrong sum\nName A: Sums": {"A": 2.0}})
    assert Scorer(judge).better_name("Sums", "Units", [FailureText("Wrong sum")]).log_odds == pytest.approx(1)
    assert Scorer(judge).better_name("Units", "Sums", [FailureText("Wrong sum")]).log_odds == pytest.approx(-1)


def test_whether_a_failure_belongs_is_asked_against_one_that_nothing_is_known_of() -> None:
    judge = FakeScores(likes={"Yes": 3.0}, knows={"adds": {"Yes": 1.0}})
    assert Scorer(judge).belongs(FailureText("It adds badly"), SUMS).log_odds == pytest.approx(1)
    assert Scorer(judge).belongs(FailureText("Something"), SUMS).log_odds == pytest.approx(0)


@given(st.floats(-1e6, 1e6))
def test_an_answer_is_a_probability(log_odds: float) -> None:
    answer = Answer(log_odds)
    assert 0 <= answer.probability <= 1
    assert 0 <= answer.confidence <= 1
    assert answer.probability == pytest.approx(1 - Answer(-log_odds).probability)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=20), st.integers(0, 25))
def test_a_short_list_holds_the_nearest_in_their_order(near: list[float], most: int) -> None:
    chosen = shortlist(np.array(near), most)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == (min(most, len(near)) if most else len(near))
    left = [near[place] for place in range(len(near)) if place not in chosen]
    assert not left or max(left) <= min(near[place] for place in chosen)


@given(st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=8, unique=True))
def test_probabilities_add_up_whatever_the_scores(scores: list[float]) -> None:
    found = weigh([str(n) for n in range(len(scores))], Weights(0.0, 1.0), scores=np.array(scores))
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert found.probabilities[found.best] == found.probabilities[str(int(np.argmax(scores)))]
    assert 0 <= found.confidence <= 1


def test_ranked_is_by_probability() -> None:
    assert Classification({"a": 0.2, "b": 0.5, "c": 0.3}).ranked == ["b", "c", "a"]


def test_what_scores_depend_on_is_named() -> None:
    identity = Scorer(FakeScores()).identity()
    assert identity["judge"]["sha256"] == FakeJudge().describe().model_sha256
    assert identity["prompt"]["id"] == "classify"
    assert identity["template"] == "plain"


# With the embedded model


def test_the_real_model_puts_a_failure_where_its_words_are(judge: LlamaJudge) -> None:
    scorer = Scorer(judge)
    categories = [
        Candidate("c", "Currency exchange"),
        Candidate("u", "Unit conversion"),
        Candidate("g", "Spelling mistake"),
    ]
    failure = FailureText("Converts units wrongly", "It converts the units kilometres to miles with the wrong factor.")
    found = scorer.classify(failure, categories)
    assert found.best == "u"
    assert scorer.classify(failure, categories[::-1]).probabilities == pytest.approx(
        dict(found.probabilities), abs=1e-9
    )
    answers = [
        scorer.same(categories[0], categories[1]),
        scorer.better_name("Unit conversion", "Spelling mistake", [failure]),
        scorer.belongs(failure, categories[1]),
    ]
    assert all(0 < answer.probability < 1 for answer in answers)
    swapped = scorer.better_name("Spelling mistake", "Unit conversion", [failure])
    assert swapped.log_odds == pytest.approx(-answers[1].log_odds, abs=1e-6)
