import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from errormap_core.errors import KnownError
from errormap_core.judge import analysis as analyses
from errormap_core.judge.analysis import Analysis, Criterion, cleaned, published_schema
from errormap_core.resources import resource_path


def texts(most: int, least: int = 0) -> st.SearchStrategy[str]:
    allowed = st.characters(exclude_categories=["Cs", "Cc"])
    return st.text(allowed, min_size=least, max_size=most).filter(lambda text: not least or bool(text.strip()))


@st.composite
def criteria(draw: st.DrawFn) -> Criterion:
    present = draw(st.booleans())
    return Criterion(
        draw(texts(analyses.MAX_CRITERION, 1)),
        present,
        draw(st.sampled_from(analyses.QUALITIES)) if present else None,
        draw(texts(analyses.MAX_EVIDENCE)) if present else "",
        draw(texts(analyses.MAX_COMMENT)),
    )


any_analysis = st.builds(
    Analysis,
    st.lists(criteria(), max_size=4).map(tuple),
    texts(analyses.MAX_SUMMARY, 1),
    texts(analyses.MAX_TITLE, 1),
    st.sampled_from(analyses.VERDICTS),
)

GOOD: dict[str, Any] = {
    "required_criteria": [
        {
            "criterion": "Adds",
            "present_in_wrong": True,
            "quality": "incorrect",
            "evidence": "2 + 2 = 5",
            "comment": "4",
        },
        {"criterion": "Says it", "present_in_wrong": False, "quality": None, "evidence": "", "comment": ""},
    ],
    "error_summary": "It adds wrongly.",
    "error_title": "Wrong sum",
    "verdict": "error",
}


@given(any_analysis)
def test_what_is_written_is_read_again_and_fits_the_published_schema(analysis: Analysis) -> None:
    written = json.loads(json.dumps(analysis.to_json()))
    assert Analysis.from_json(written) == analysis
    jsonschema.validate(written, published_schema())


def test_the_published_schema_is_this_one() -> None:
    published = json.loads(resource_path("schemas", "analysis.schema.json").read_text(encoding="utf-8"))
    assert published == published_schema()
    jsonschema.Draft202012Validator.check_schema(published)


def change(path: str, value: Any) -> dict[str, Any]:
    data: Any = json.loads(json.dumps(GOOD))
    at = data
    *parts, last = path.replace("[", ".").replace("]", "").split(".")
    for part in parts:
        at = at[int(part)] if part.isdigit() else at[part]
    if value is KeyError:
        del at[last]
    else:
        at[last] = value
    return dict(data)


# What a JSON Schema has no words for.
BEYOND_SCHEMA = ["  ", "a\nb", "half \ud83d"]


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("verdict", "wrong", "verdict"),
        ("error_title", "", "error_title"),
        ("error_title", BEYOND_SCHEMA[0], "error_title"),
        ("error_title", "x" * 81, "error_title"),
        ("error_title", 3, "error_title"),
        ("error_summary", BEYOND_SCHEMA[1], "error_summary"),
        ("error_summary", BEYOND_SCHEMA[2], "error_summary"),
        ("required_criteria", {}, "required_criteria"),
        ("required_criteria[0].quality", "good", "required_criteria[0].quality"),
        ("required_criteria[0].quality", None, "required_criteria[0].quality"),
        ("required_criteria[1].quality", "correct", "required_criteria[1].quality"),
        ("required_criteria[1].evidence", "said", "required_criteria[1].evidence"),
        ("required_criteria[0].present_in_wrong", 1, "required_criteria[0].present_in_wrong"),
        ("required_criteria[1].comment", KeyError, "required_criteria[1]"),
        ("required_criteria[1].more", 1, "required_criteria[1]"),
        ("more", 1, ""),
    ],
)
def test_what_is_wrong_is_located_and_the_schema_refuses_it_too(path: str, value: Any, where: str) -> None:
    assert Analysis.from_json(GOOD).error_title == "Wrong sum"
    with pytest.raises(KnownError) as caught:
        Analysis.from_json(change(path, value))
    assert caught.value.where == where
    if value not in BEYOND_SCHEMA:
        assert not jsonschema.Draft202012Validator(published_schema()).is_valid(change(path, value))


def test_only_where_no_error_is_found_there_is_nothing_to_say() -> None:
    published = jsonschema.Draft202012Validator(published_schema())
    empty = {**GOOD, "error_title": "", "error_summary": ""}
    assert Analysis.from_json({**empty, "verdict": "no_error"}).error_title == ""
    assert published.is_valid({**empty, "verdict": "no_error"})
    for verdict in ("error", "unclear"):
        assert not published.is_valid({**empty, "verdict": verdict})
        with pytest.raises(KnownError, match="error_summary"):
            Analysis.from_json({**empty, "verdict": verdict})


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5))
def test_cleaned_texts_can_be_stored(value: Any) -> None:
    text = json.dumps(cleaned(value if not isinstance(value, dict) else list(value.values())), ensure_ascii=False)
    assert not any(ord(character) < 0x20 for character in text)
    text.encode("utf-8")


def test_cleaned_keeps_characters_beyond_the_first_plane() -> None:
    assert cleaned(["a\ud83d\ude00 ", "\ud83d"]) == ["a😀", "�"]
