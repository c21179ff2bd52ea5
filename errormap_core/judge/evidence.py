"""Where a judge's quote is really found in an answer: exactly, or but for blanks, case, quotes and dashes."""

from collections.abc import Iterator

Span = tuple[int, int]
"""Start and end, as Python counts characters of the text."""

SHORTEST = 2
"""A quote with fewer characters that are not blanks would be found everywhere."""

_SAME = {
    **dict.fromkeys("“”„‟«»″", '"'),
    **dict.fromkeys("‘’‚‛‹›′`´", "'"),
    **dict.fromkeys("‐‑‒–—―−﹘﹣－", "-"),
    "…": "...",
}
_IGNORED = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_ENDS = "\"' "


def find_evidence(text: str, quote: str) -> list[Span]:
    """Every place in `text` that `quote` quotes, in order and without overlap.

    Exact places are preferred. Where there are none, runs of blanks are one blank, case, typographic
    quotes and dashes do not count, and quotes or an ellipsis around the quote are taken off.
    Nothing is found for a quote with fewer than 2 characters that are not blanks.
    """
    if _size(quote) < SHORTEST:
        return []
    exact = list(_places(text, quote))
    if exact:
        return exact
    folded_text, starts, ends = _folded(text)
    folded_quote = _folded(quote)[0].strip()
    for candidate in dict.fromkeys((folded_quote, _without_ends(folded_quote))):
        if _size(candidate) >= SHORTEST:
            found: list[Span] = []
            for a, b in _places(folded_text, candidate):
                if not found or starts[a] >= found[-1][1]:  # half of a folded 'ß' may have been the last's
                    found.append((starts[a], ends[b - 1]))
            if found:
                return found
    return []


def _size(quote: str) -> int:
    return sum(not character.isspace() and character not in _IGNORED for character in quote)


def _places(text: str, part: str) -> Iterator[Span]:
    at = text.find(part)
    while at >= 0:
        yield at, at + len(part)
        at = text.find(part, at + len(part))


def _without_ends(quote: str) -> str:
    while True:
        shorter = quote.strip(_ENDS).removeprefix("...").removesuffix("...")
        if shorter == quote:
            return quote
        quote = shorter


def _folded(text: str) -> tuple[str, list[int], list[int]]:
    """The text as it is compared, and for each of its characters where it began and ended in `text`.

    One character may fold to several ('ß' to 'ss'), and several to one (blanks).
    """
    characters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for place, character in enumerate(text):
        if character in _IGNORED:
            continue
        if character.isspace():
            if characters and characters[-1] == " " and ends[-1] == place:
                ends[-1] = place + 1
                continue
            folded = " "
        else:
            folded = _SAME.get(character) or character.casefold()
        for part in folded:
            characters.append(part)
            starts.append(place)
            ends.append(place + 1)
    return "".join(characters), starts, ends
