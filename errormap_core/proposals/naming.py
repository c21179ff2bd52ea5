"""Names and descriptions of groups: from their most typical members, or from the judge; and which of the two it was."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from errormap_core.judge.base import Judge, Message, RecordFailed
from errormap_core.judge.prompts import Prompt, load_prompt
from errormap_core.sentences import tr
from errormap_core.tasks import Cancelled, never_cancelled
from errormap_core.taxonomy.tree import name_key

BY_MEMBERS = "members"
MOST_NAME_WORDS = 8
"""A title of so many words is a name as it is; of a longer one the first CUT_NAME_WORDS are taken."""

CUT_NAME_WORDS = 6
MOST_NAME_LETTERS = 80
MOST_DESCRIPTION_WORDS = 30
PROMPT_ID = "name_category"
PROMPT_VERSION = 1
SHOWN_TO_JUDGE = 6
"""Typical members that the judge is shown; with MOST_MEMBER_WORDS they fit a context of 1,024 tokens."""

MOST_MEMBER_WORDS = 60
FIELDS = ("name", "description")

_LETTERS = re.compile(r"[^\W\d_]{2,}")
_WORD = re.compile(r"[^\W\d_][\w'’-]+")
_EDGES = " \t.,;:!?\"'“”‘’`*#_-–—()[]{}<>/\\|"
_WEAK_ENDS = frozenset(
    "a an and as at by for from i in into is it my of on or that the their this to was were with".split()
)
_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Naming:
    """A name (about five words), a description (about thirty), and who gave them.

    `named_by` is 'members', 'judge:MODEL', or 'members (judge:MODEL: REASON)' where the judge's answer was unusable.
    """

    name: str
    description: str
    named_by: str

    @property
    def is_fallback(self) -> bool:
        return self.named_by.startswith(f"{BY_MEMBERS} (")


def clean_name(title: str) -> str:
    """A title as a name: one line, no quotes or full stop around it, at most MOST_NAME_WORDS words; '' where nothing
    with two letters is left."""
    words = _words(title)
    cut = words if len(words) <= MOST_NAME_WORDS else words[:CUT_NAME_WORDS]
    while len(cut) < len(words) and len(cut) > 1 and cut[-1].casefold().strip(_EDGES) in _WEAK_ENDS:
        cut.pop()
    name = " ".join(cut)[:MOST_NAME_LETTERS].strip(_EDGES)
    if not _LETTERS.search(name):
        return ""
    return name[0].upper() + name[1:]


def _words(title: str) -> list[str]:
    return " ".join(title.split()).strip(_EDGES).split()


def cut_words(text: str, most: int) -> str:
    """The first `most` words on one line, with an ellipsis where more follow."""
    words = text.split()
    return " ".join(words) if len(words) <= most else " ".join(words[:most]).rstrip(_EDGES) + " …"


def name_from_members(
    titles: Sequence[str],
    summaries: Sequence[str],
    *,
    elsewhere: Counter[str] | None = None,
    taken: Collection[str] = (),
) -> Naming:
    """Name a group by its most typical members; `titles` and `summaries` are theirs, the most typical first.

    The name is the first title that is not said more often in the groups beside it (`elsewhere` counts their titles,
    case-folded) and that no sibling has (`taken`: their name_key), one that need not be cut before one that must. Where
    there is none, a word of the members that tells the group apart is added to the first title, and at last a number.
    """
    inside = Counter(title.casefold() for title in titles)
    outside = elsewhere or Counter()
    candidates = [clean_name(title) for title in titles]
    distinctive = [
        name
        for name, title in zip(candidates, titles, strict=True)
        if name and inside[title.casefold()] >= outside[title.casefold()]
    ]
    described = _quoting(summaries)
    whole = {clean_name(title) for title in titles if len(_words(title)) <= MOST_NAME_WORDS}
    ranked_names = (sorted(names, key=lambda name: name not in whole) for names in (distinctive, candidates))
    for name in (name for names in ranked_names for name in names):
        if name and name_key(name) not in taken:
            return Naming(name, described, BY_MEMBERS)
    spoken = next((name for name in candidates if name), "") or clean_name(next(iter(summaries), ""))
    base = spoken or str(tr("Unnamed group"))
    words = Counter(word for text in (*titles, *summaries) for word in dict.fromkeys(_WORD.findall(text.casefold())))
    ranked = sorted((word for word in words if 3 < len(word) <= 20), key=lambda word: (-words[word], word))
    known = set(base.casefold().split()) | _WEAK_ENDS
    for name in (base, *(f"{base} ({word})" for word in ranked if word not in known)):
        if name_key(name) not in taken:
            return Naming(name, described, BY_MEMBERS)
    number = 2
    while name_key(f"{base} ({number})") in taken:
        number += 1
    return Naming(f"{base} ({number})", described, BY_MEMBERS)


def name_by_judge(
    judge: Judge,
    fallback: Naming,
    members: Sequence[str],
    *,
    taken: Collection[str],
    cancelled: Cancelled = never_cancelled,
) -> Naming:
    """The judge's name for a group of texts, the most typical first, or `fallback`, which then says why.

    Raises judge.base.Cancelled where the work was asked to stop, and KnownError where the judge cannot work at all.
    """
    by = f"judge:{judge.describe().name}"

    def instead(reason: str) -> Naming:
        return Naming(fallback.name, fallback.description, f"{BY_MEMBERS} ({by}: {reason})")

    try:
        asked = naming_messages(members)
        answer = judge.name_category(asked, cancelled=cancelled).value
    except RecordFailed as failed:
        return instead(failed.code)
    if not isinstance(answer, dict):
        return instead("no object")
    name = clean_name(str(answer.get("name", "")))
    description = cut_words(str(answer.get("description", "")), MOST_DESCRIPTION_WORDS + 10)
    if not name or name_key(name) in FIELDS:  # a small model fills a field with its own name
        return instead("no name")
    if name_key(name) in taken:
        return instead("name taken")
    if not _LETTERS.search(description):
        return instead("no description")
    return Naming(name, description, by)


def naming_messages(members: Sequence[str], prompt: Prompt | None = None) -> list[Message]:
    """The system's and the user's message about a group. Texts go in as they are; none can close its own mark."""
    prompt = prompt or naming_prompt()
    texts = [cut_words(text, MOST_MEMBER_WORDS) for text in members[:SHOWN_TO_JUDGE]]
    together, fence, number = "\n".join(texts).casefold(), "", 1
    while f"failure{fence}>" in together:
        number += 1
        fence = f"-{number}"
    parts = [_filled(prompt.sections["member"], {"text": text, "fence": fence}).strip("\n") for text in texts]
    return [
        {"role": "system", "content": prompt.system.strip()},
        {"role": "user", "content": "\n".join([*parts, prompt.after.strip("\n")])},
    ]


def naming_prompt() -> Prompt:
    """The prompt that is used, with its version and hash."""
    return load_prompt(PROMPT_ID, PROMPT_VERSION)


def _quoting(summaries: Sequence[str]) -> str:
    """The summaries of the most typical members, as many as about thirty words hold."""
    quoted: list[str] = []
    left = MOST_DESCRIPTION_WORDS
    for summary in dict.fromkeys(" ".join(text.split()) for text in summaries):
        if not summary or left < MOST_DESCRIPTION_WORDS // 3:
            continue
        quoted.append(f"“{cut_words(summary, left)}”")
        left -= min(left, len(summary.split()))
        if len(quoted) == 3:
            break
    return str(tr("Typical failures say: {quotes}", quotes=" ".join(quoted))) if quoted else ""


def _filled(template: str, values: dict[str, str]) -> str:
    return _FIELD.sub(lambda found: values[found[1]], template)
