import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errormap_core.judge.evidence import find_evidence

TEXT = "He said “3 × 4 = 12 – and 12 + 2 = 15”.\nSo the answer  is\n\t15. STRASSE or Straße? Don’t ask…"


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("12 + 2 = 15", ["12 + 2 = 15"]),
        ("15", ["15", "15"]),
        ("the answer is 15", ["the answer  is\n\t15"]),
        ('"3 × 4 = 12 - and 12 + 2 = 15"', ["“3 × 4 = 12 – and 12 + 2 = 15”"]),
        ("'3 × 4 = 12'", ["3 × 4 = 12"]),
        ("...and 12 + 2…", ["and 12 + 2"]),
        ("“… the ANSWER is …”", ["the answer  is"]),
        ("strasse", ["STRASSE", "Straße"]),
        ("don't ask...", ["Don’t ask…"]),
        ("16", []),
        ("", []),
        (" 1 ", []),
        ("“1”", []),
        ("......", []),
    ],
)
def test_quotes_are_found_where_they_are(quote: str, found: list[str]) -> None:
    assert [TEXT[a:b] for a, b in find_evidence(TEXT, quote)] == found


@given(st.text(), st.text(), st.text())
def test_what_was_cut_out_is_found_again(before: str, quote: str, after: str) -> None:
    text = before + quote + after
    spans = find_evidence(text, quote)
    visible = [c for c in quote if not c.isspace() and c not in "\u00ad\u200b\u200c\u200d\u2060\ufeff"]
    if len(visible) < 2:
        assert spans == []
    else:
        assert spans
        assert all(text[a:b] == quote for a, b in spans)


@given(
    st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8), min_size=2, max_size=8), st.data()
)
def test_blanks_case_and_marks_around_it_do_not_matter(words: list[str], data: st.DataObject) -> None:
    text = "\n ".join(words)
    start = data.draw(st.integers(0, len(words) - 2))
    end = data.draw(st.integers(start + 2, len(words)))
    left, right = data.draw(st.sampled_from([("“", "”"), ("... ", " ..."), ("'", "'"), ("", "")]))
    spans = find_evidence(text, left + " ".join(words[start:end]).upper() + right)
    wanted = "".join("".join(words[start:end]).upper().casefold().split())
    if wanted == "".join(words[start:end]).casefold():
        assert spans
        assert all("".join(text[a:b].casefold().split()) == wanted for a, b in spans)


ALIKE = st.text(st.sampled_from('sSßaA “"…. -–\n'), max_size=12)


@given(ALIKE, ALIKE)
def test_spans_are_in_order_and_apart(text: str, quote: str) -> None:
    spans = find_evidence(text, quote)
    assert all(0 <= a < b <= len(text) for a, b in spans)
    assert all(one[1] <= two[0] for one, two in itertools.pairwise(spans))
