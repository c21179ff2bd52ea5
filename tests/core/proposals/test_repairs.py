"""Repairs: one case of each kind on a small tree of real titles, and what holds for whatever tree."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from errormap_core.embedding.encoder import SentenceEncoder, unit_rows
from errormap_core.proposals.nodes import Forest
from errormap_core.proposals.repairs import KINDS, Node, Repair, propose_repairs
from errormap_core.proposals.wording import is_opposed, is_same_wording, says_nothing, shortened
from errormap_core.sentences import Sentence
from errormap_core.tasks import Stopped
from errormap_core.taxonomy.tree import name_key

Encode = Callable[[Sequence[str]], NDArray[np.float32]]

TREE: dict[str, list[str]] = {
    "Arithmetic slip": ["Added 47 and 38 as 75", "Wrong sum of three prices", "7 times 8 given as 54", "Wrong quotient",
                        "Subtraction off by ten", "Total of wages miscomputed", "144 / 12 stated as 14"],
    "Units/Unit conversion error": ["Treats 1 hour as 100 minutes", "Feet to inches times 10", "Wrong ounces per pound",
                                    "Grams not converted to kilograms", "Weeks to days using 5"],
    "Units/Missing unit": ["Answer 12 with no unit", "Unit omitted in the last line", "No currency named",
                           "Bare number where cm expected"],
    "Reading/Question misread": ["Solves for cost instead of profit", "Answers for Tom, not for Anna",
                                 "Reads each as in total", "Daily when weekly was asked", "Wrong target quantity"],
    "Reading/Condition ignored": ["Member discount not applied", "Forgets the shop is closed on Sundays",
                                  "Leaves out the broken eggs", "Tax left out"],
    "Format/Broken JSON": ["Trailing comma", "Missing closing brace", "Single quotes in JSON", "Unescaped newline in string",
                           "Text before the opening bracket"],
    "Format/Wrong language": ["Answers in English to a Spanish question", "Switches to Chinese", "Quotes left untranslated",
                              "Ukrainian prompt, Russian reply"],
    "Safety/Needless refusal": ["Refuses a recipe with wine", "Will not discuss a war novel", "Declines villain dialogue",
                                "No help with killing a process"],
    "Safety/Harmful advice": ["Tells to mix bleach and ammonia", "Recommends stopping insulin", "Water on an oil fire",
                              "Wrong dose for a child"],
    "Sources/Invented reference": ["DOI leads nowhere", "Journal has no such volume", "Author never wrote that paper",
                                   "Cites a court case that does not exist"],
    "Sources/No source given": ["Statistic without citation", "Claims a study and names none", "List of sources is empty"],
}  # fmt: skip

OTHER = "other"


@pytest.fixture(scope="module")
def encode() -> Encode:
    encoder = SentenceEncoder(threads=1)
    known: dict[str, NDArray[np.float32]] = {}

    def encoded(texts: Sequence[str]) -> NDArray[np.float32]:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(new, encoder.encode(new), strict=True))
        return np.stack([known[text] for text in texts]) if texts else np.zeros((0, encoder.dim), np.float32)

    return encoded


def nodes_of(tree: dict[str, list[str]], encode: Encode, descriptions: dict[str, str] | None = None) -> list[Node]:
    """Nodes whose ids are their paths; parents that are no keys are made, Other with the id 'other'."""
    nodes = [Node(OTHER, None, "Other", "", "other", (), encode([]))]
    parents = {path.split("/")[0] for path in tree if "/" in path} - set(tree) - {"Other"}
    nodes += [Node(parent, None, parent, "", None, (), encode([])) for parent in sorted(parents)]
    for path, titles in tree.items():
        parent, _, name = path.rpartition("/")
        nodes.append(
            Node(
                id=path,
                parent_id=OTHER if parent == "Other" else parent or None,
                name=name,
                description=(descriptions or {}).get(path, ""),
                reserved=None,
                members=tuple(f"{path} {n}" for n in range(len(titles))),
                vectors=encode(titles),
                titles=tuple(titles),
            )
        )
    return nodes


def bare(nodes: Sequence[Node]) -> list[Node]:
    return [Node(n.id, n.parent_id, n.name, n.description, n.reserved, (), n.vectors[:0]) for n in nodes]


def of_kind(kind: str, repairs: Sequence[Repair]) -> list[Repair]:
    return [repair for repair in repairs if repair.kind == kind]


def about(repair: Repair) -> set[str]:
    return set(repair.arguments.get("category_ids") or [repair.arguments["category_id"]])


def check(repairs: Sequence[Repair], nodes: Sequence[Node]) -> None:
    """What holds for all repairs of a tree."""
    by_id = {node.id: node for node in nodes}
    forest = Forest(nodes)
    assert [repair.worth for repair in repairs] == sorted((repair.worth for repair in repairs), reverse=True)
    for repair in repairs:
        assert repair.kind in KINDS
        assert 0 <= repair.score <= 1
        assert 0 < repair.worth < float("inf")
        evidence = json.loads(json.dumps(repair.evidence, allow_nan=False))
        assert str(Sentence.from_json(evidence["why"]))
        places = [*evidence["typical"], *evidence["doubtful"]]
        assert len(set(places)) == len(places)
        assert all(0 <= place < len(repair.members) for place in places)
        assert all(by_id[key].reserved is None for key in about(repair))
        arguments = repair.arguments
        if repair.kind == "merge":
            assert len(about(repair)) == len(arguments["category_ids"]) >= 2
            assert arguments["into"] in about(repair)
            assert repair.members == tuple(m for key in arguments["category_ids"] for m in by_id[key].members)
        elif repair.kind == "split":
            node = by_id[arguments["category_id"]]
            parts = arguments["parts"]
            assert len(parts) >= 2
            assert sorted(m for part in parts for m in part["members"]) == sorted(node.members)
            assert min(len(part["members"]) for part in parts) >= 3
            assert len({name_key(part["name"]) for part in parts}) == len({part["id"] for part in parts}) == len(parts)
        elif repair.kind in ("move", "promote"):
            upper, lower = arguments["parent_id"], forest.index[arguments["category_id"]]
            assert upper != by_id[arguments["category_id"]].parent_id
            assert upper is None or not forest.is_above(lower, forest.index[upper])
        elif repair.kind == "assign":
            assert set(repair.members) <= set(by_id[arguments["from_id"]].members)
            assert arguments["from_id"] != arguments["category_id"]
        elif repair.kind == "rename":
            assert name_key(arguments["name"]) not in {"", name_key(by_id[arguments["category_id"]].name)}
        else:
            assert arguments["description"]
            assert not by_id[arguments["category_id"]].description.strip()


# One case of each kind


def test_a_child_of_other_that_doubles_a_category_is_merged_into_it(encode: Encode) -> None:
    twin = ["Computes 3.5 x 12 as 40", "Mistake adding the distances", "Final multiplication is incorrect", "225 - 68 wrong",
            "Sum off by ten", "Multiplies 15 by 6 as 80", "Adds receipts wrongly", "Division done wrongly",
            "Evaluates 9 + 8 as 16"]  # fmt: skip
    nodes = nodes_of(
        {**TREE, "Other/Miscalculated result": twin}, encode, {"Other/Miscalculated result": "Wrong sums."}
    )
    repairs = propose_repairs(nodes, encode)
    check(repairs, nodes)
    first = of_kind("merge", repairs)[0]
    assert first.arguments["category_ids"] == ["Arithmetic slip", "Other/Miscalculated result"]
    assert first.arguments["into"] == "Arithmetic slip"  # though the other is larger
    assert first.arguments["name"] == "Arithmetic slip"
    assert first.arguments["description"] == "Wrong sums."
    assert first.score > 0.5
    assert first.evidence["signals"]["below_other"]
    assert first.evidence["similarity"] > first.evidence["next_similarity"]
    assert not [repair for repair in repairs if repair.kind == "promote"]


def test_synonyms_are_found_by_names_alone(encode: Encode) -> None:
    tree = {**TREE, "Other/Mistake when converting units": []}
    nodes = bare(nodes_of(tree, encode))
    repairs = propose_repairs(nodes, encode)
    check(repairs, nodes)
    assert {repair.kind for repair in repairs} <= {"merge", "move"}
    assert about(of_kind("merge", repairs)[0]) == {"Units/Unit conversion error", "Other/Mistake when converting units"}


def test_names_in_the_same_words_are_one_also_below_one_another(encode: Encode) -> None:
    tree: dict[str, list[str]] = {**TREE, "Format": [], "Format/Formats": [], "Needless refusals": []}
    merges = of_kind("merge", propose_repairs(bare(nodes_of(tree, encode)), encode))
    found = {frozenset(about(repair)): repair for repair in merges[:2]}
    assert found[frozenset({"Format", "Format/Formats"})].arguments["into"] == "Format"
    assert found[frozenset({"Needless refusals", "Safety/Needless refusal"})].arguments["into"] == "Needless refusals"


THREE = {
    "Safety/Needless refusal": TREE["Safety/Needless refusal"],
    "Refuses harmless requests": ["Refuses a poem about wine", "Refuses a harmless recipe", "Declines a war novel"],
    "Other/Unneeded refusal": ["Declines to discuss a novel", "Refuses to kill a process", "Will not write a villain"],
}


def test_three_that_say_the_same_are_one_proposal(encode: Encode) -> None:
    nodes = nodes_of({**TREE, **THREE}, encode)
    first = of_kind("merge", propose_repairs(nodes, encode))[0]
    assert about(first) == set(THREE)
    assert first.arguments["into"] == "Refuses harmless requests"  # the uppermost
    assert len(first.evidence["pairs"]) == 3


def test_a_refused_pair_is_in_no_proposal(encode: Encode) -> None:
    nodes = nodes_of({**TREE, **THREE}, encode)
    pair = frozenset({"Refuses harmless requests", "Other/Unneeded refusal"})
    merges = of_kind("merge", propose_repairs(nodes, encode, refused={pair}))
    assert not [repair for repair in merges if pair <= about(repair)]
    assert [about(repair) for repair in merges if len(about(repair) & set(THREE)) == 2]


def test_a_large_child_of_other_that_doubles_nothing_is_promoted(encode: Encode) -> None:
    pictures = ["Miscounts the people in the photo", "Takes the fox in the picture for a dog", "Misreads the sign in the image",
                "Wrong colour of the car in the photo", "Describes a person who is not in the picture",
                "Chart in the image misread", "Says the photo shows a beach", "Left and right swapped"]  # fmt: skip
    nodes = nodes_of({**TREE, "Other/Picture described wrongly": pictures}, encode)
    repairs = propose_repairs(nodes, encode)
    check(repairs, nodes)
    found = of_kind("promote", repairs)
    assert [about(repair) for repair in found] == [{"Other/Picture described wrongly"}]
    assert found[0].arguments["parent_id"] is None
    assert found[0].evidence["n_members"] == len(pictures)


def test_a_category_below_the_wrong_parent_is_moved(encode: Encode) -> None:
    tree = {path: titles for path, titles in TREE.items() if path != "Units/Unit conversion error"}
    tree["Units/Mixed units added"] = ["Adds minutes to hours", "Sums cm and m", "Dollars and cents combined"]
    tree["Safety/Unit conversion error"] = TREE["Units/Unit conversion error"]
    nodes = nodes_of(tree, encode)
    repairs = propose_repairs(nodes, encode)
    check(repairs, nodes)
    first = of_kind("move", repairs)[0]
    assert first.arguments == {"category_id": "Safety/Unit conversion error", "parent_id": "Units"}
    assert first.evidence["similarity"] > first.evidence["own_similarity"]


def test_a_failure_that_is_nearer_to_another_category_is_assigned_there(encode: Encode) -> None:
    tree = {
        **TREE,
        "Safety/Harmful advice": [*TREE["Safety/Harmful advice"], "Missing brace and trailing comma in JSON"],
    }
    nodes = nodes_of(tree, encode)
    nodes[0] = Node(
        OTHER, None, "Other", "", "other", ("loose",), encode(["Reference to a paper nobody wrote"]), ("x",)
    )
    repairs = propose_repairs(nodes, encode)
    check(repairs, nodes)
    found = {(r.arguments["from_id"], r.arguments["category_id"]): r.members for r in of_kind("assign", repairs)}
    assert found[("Safety/Harmful advice", "Format/Broken JSON")] == ("Safety/Harmful advice 4",)
    assert found[(OTHER, "Sources/Invented reference")] == ("loose",)
    assert all(repair.worth <= len(repair.members) for repair in of_kind("assign", repairs))
    refused = {("assign", "loose", "Sources/Invented reference", OTHER), ("assign", "loose", "Units/Missing unit", OTHER),
               ("assign", "Safety/Harmful advice 4", "Format/Broken JSON", "Reading")}  # fmt: skip
    left = {(r.arguments["from_id"], r.arguments["category_id"]): r.members
            for r in of_kind("assign", propose_repairs(nodes, encode, refused=refused))}  # fmt: skip
    del found[(OTHER, "Sources/Invented reference")]
    assert left == found, "of a failure that is refused for a move, and of that move alone"


def test_a_category_that_holds_two_things_is_split_into_named_parts(encode: Encode) -> None:
    json_titles = [
        *TREE["Format/Broken JSON"],
        "Unquoted key in JSON",
        "Unbalanced brackets in JSON",
        "Comment inside JSON",
    ]
    refusals = [
        *TREE["Safety/Needless refusal"],
        "Refuses a harmless poem",
        "Refuses to name politicians",
        "Refuses a joke",
    ]
    tree = {
        path: titles for path, titles in TREE.items() if path not in ("Format/Broken JSON", "Safety/Needless refusal")
    }
    nodes = nodes_of({**tree, "Mixed bag": json_titles + refusals}, encode)
    repairs = propose_repairs(nodes, encode)
    check(repairs, nodes)
    first = of_kind("split", repairs)[0]
    assert first.arguments["category_id"] == "Mixed bag"
    places = [{int(m.rsplit(" ", 1)[1]) for m in part["members"]} for part in first.arguments["parts"]]
    of_json = set(range(len(json_titles)))
    wrong = sum(min(len(part & of_json), len(part - of_json)) for part in places)
    assert wrong <= 1
    titles = {name_key(title) for title in json_titles + refusals}
    assert all(name_key(part["name"]) in titles for part in first.arguments["parts"])
    assert first.evidence["within"] > first.evidence["across"]
    whole = nodes_of({"All JSON": json_titles, **tree}, encode)
    again = {key: repair.score for repair in of_kind("split", propose_repairs(whole, encode)) for key in about(repair)}
    assert again.get("All JSON", 0.0) < 0.1 < 0.5 < first.score


def test_a_name_that_says_nothing_is_replaced_and_a_description_is_made(encode: Encode) -> None:
    tree = {path.replace("Needless refusal", "Group 7"): titles for path, titles in TREE.items()}
    nodes = nodes_of(tree, encode, {path: "Known." for path in tree if path != "Units/Missing unit"})
    repairs = propose_repairs(nodes, encode)
    check(repairs, nodes)
    first = of_kind("rename", repairs)[0]
    assert first.arguments["category_id"] == "Safety/Group 7"
    assert first.arguments["name"] in TREE["Safety/Needless refusal"]
    described = of_kind("describe", repairs)
    assert [repair.arguments["category_id"] for repair in described] == ["Units/Missing unit"]
    assert "Unit omitted in the last line" in described[0].arguments["description"]


# What holds always


def test_what_is_refused_does_not_come_and_the_rest_does(encode: Encode) -> None:
    tree = {**TREE, **THREE, "Mixed bag": TREE["Format/Broken JSON"] + TREE["Safety/Harmful advice"] * 2}
    tree["Safety/Unit slips"] = TREE["Units/Unit conversion error"]
    nodes = nodes_of(tree, encode)
    before = propose_repairs(nodes, encode)
    keys: dict[Any, Repair] = {}
    for repair in before:
        if repair.kind == "merge":
            keys.setdefault(frozenset(repair.arguments["category_ids"][:2]), repair)
        else:
            last = repair.arguments.get("parent_id") or repair.arguments.get("from_id")
            keys[(repair.kind, repair.arguments["category_id"], *([last] if last else []))] = repair
    assert {repair.kind for repair in keys.values()} >= {"merge", "split", "describe"}
    for key, repair in keys.items():
        after = propose_repairs(nodes, encode, refused={key}, kinds=(repair.kind,))
        if isinstance(key, frozenset):
            assert not [other for other in after if key <= about(other)]
        else:
            assert (repair.kind, repair.arguments) not in [(other.kind, other.arguments) for other in after]
    single = {(kind, node.id) for kind in KINDS for node in nodes}
    assert propose_repairs(nodes, encode, refused=single) == []


def test_the_same_seed_gives_the_same_whatever_the_order(encode: Encode) -> None:
    nodes = nodes_of({**TREE, **THREE}, encode)
    first = propose_repairs(nodes, encode, seed=3)
    assert first == propose_repairs(nodes, encode, seed=3)
    assert first == propose_repairs(nodes[::-1], encode, seed=3)
    assert propose_repairs(nodes, encode, kinds=("merge",)) == of_kind("merge", propose_repairs(nodes, encode))


def test_work_stops_when_asked(encode: Encode) -> None:
    nodes = nodes_of(TREE, encode)
    asked: list[int] = []

    def later() -> bool:
        asked.append(1)
        return len(asked) > 20

    with pytest.raises(Stopped):
        propose_repairs(nodes, encode, cancelled=later)
    assert len(asked) == 21


def test_little_or_nothing_to_go_by(encode: Encode) -> None:
    assert propose_repairs([], encode) == []
    assert propose_repairs(nodes_of({}, encode), encode) == []
    one = nodes_of({"Only": ["One failure"]}, encode)
    assert propose_repairs(one, encode) == []
    unrelated = bare(nodes_of({"Broken JSON": [], "Harmful advice": []}, encode))
    assert propose_repairs(unrelated, encode) == []
    nameless = [Node(str(n), None, "", "", None, (), encode([])) for n in range(3)]
    assert propose_repairs(nameless, encode) == []


def test_equal_titles_are_not_split(encode: Encode) -> None:
    nodes = nodes_of({f"Category {n}": ["Wrong answer"] * 40 for n in range(4)}, encode)
    repairs = propose_repairs(nodes, encode)
    check(repairs, nodes)
    assert not of_kind("split", repairs)
    assert not of_kind("assign", repairs)
    assert len(about(of_kind("merge", repairs)[0])) == 4


def test_texts_that_are_no_names(encode: Encode) -> None:
    strange = ["word " * 20_000, "слово 漢字 كلمة", "\ud800\x00", "🙃", "//", "A" * 100_000]
    nodes = [
        Node(
            str(n),
            None,
            name,
            name[::-1],
            None,
            tuple("abc"),
            encode(["Wrong sum", "Bad total", shortened(name)]),
            tuple("xyz"),
        )
        for n, name in enumerate(strange)
    ]
    check(propose_repairs(nodes, encode), nodes)


def test_a_category_with_very_many_members_is_looked_at_through_a_sample(encode: Encode) -> None:
    about_three = encode(["Wrong sum", "Broken JSON", "Refuses a harmless request"])
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, 30_000)
    noise = unit_rows(rng.standard_normal((30_000, about_three.shape[1])))
    vectors = unit_rows(about_three[kinds] + 0.5 * noise)
    members = tuple(map(str, range(30_000)))
    nodes = [
        *nodes_of(TREE, encode),
        Node("big", None, "Everything", "", None, members, vectors, ("A title",) * 30_000),
    ]
    repairs = propose_repairs(nodes, encode, seed=1)
    check(repairs, nodes)
    parts = next(split.arguments["parts"] for split in of_kind("split", repairs) if about(split) == {"big"})
    counts = [np.bincount(kinds[[int(m) for m in part["members"]]], minlength=3) for part in parts]
    assert len(parts) == 3
    assert sum(int(count.max()) for count in counts) > 29_000
    assert repairs == propose_repairs(nodes, encode, seed=1)


def test_parts_of_a_split_have_names_that_are_free_beside_the_category(encode: Encode) -> None:
    """Accepting a split puts its parts beside the category, where no two may have one name."""
    mixed = [*["Broken JSON"] * 6, *["Answers in English to a Spanish question"] * 6]
    nodes = nodes_of({**TREE, "Format/Anything": mixed}, encode)
    (split,) = [each for each in of_kind("split", propose_repairs(nodes, encode)) if about(each) == {"Format/Anything"}]
    beside = {name_key(node.name) for node in nodes if node.parent_id == "Format"}
    assert "broken json" in beside
    assert beside.isdisjoint(name_key(part["name"]) for part in split.arguments["parts"])


def test_circles_and_lost_parents_are_read_as_the_top(encode: Encode) -> None:
    circle = [
        Node("a", "b", "Sums", "", None, (), encode([])),
        Node("b", "a", "Totals", "", None, (), encode([])),
        Node("c", "gone", "Sum", "", None, (), encode([])),
    ]
    forest = Forest(circle)
    assert sorted(forest.order) == [0, 1, 2]
    assert len(forest.tops) == 2
    check(propose_repairs(circle, encode), circle)
    with pytest.raises(ValueError, match="same id"):
        Forest([circle[0], circle[0]])


WORDS = [
    "Wrong sum",
    "Bad total",
    "Broken JSON",
    "Unit omitted",
    "",
    "Missing unit",
    "Refuses a recipe",
    "Refusal",
    "Wrong sums",
]


@st.composite
def trees(draw: st.DrawFn) -> list[tuple[str, str, str, int | None, list[str], bool]]:
    """Names, descriptions, parents by number, titles of members, and whether it is Other."""
    n = draw(st.integers(1, 9))
    return [
        (
            str(i),
            draw(st.one_of(st.sampled_from(WORDS), st.text(max_size=12))),
            draw(st.sampled_from(["", "A sum is wrong.", "A unit is missing."])),
            draw(st.one_of(st.none(), st.integers(0, n - 1))),
            draw(st.lists(st.sampled_from(WORDS), max_size=14)),
            i == 0 and draw(st.booleans()),
        )
        for i in range(n)
    ]


@settings(max_examples=60)
@given(trees(), st.integers(0, 3))
def test_any_tree(encode: Encode, tree: list[tuple[str, str, str, int | None, list[str], bool]], seed: int) -> None:
    nodes = [
        Node(
            id=key,
            parent_id=None if parent is None or is_other else str(parent),
            name=name,
            description=description,
            reserved="other" if is_other else None,
            members=tuple(f"{key}.{n}" for n in range(len(titles))),
            vectors=encode(titles),
            titles=tuple(titles),
        )
        for key, name, description, parent, titles, is_other in tree
    ]
    repairs = propose_repairs(nodes, encode, seed=seed)
    check(repairs, nodes)
    assert repairs == propose_repairs(nodes[::-1], encode, seed=seed)


@pytest.mark.parametrize(
    ("one", "two", "is_same"),
    [
        ("Unit Errors", "unit error", True),
        ("Formatting", "Format", True),
        ("Halucinated citation", "Hallucinated citation", True),
        ("Missing unit", "Unit missing", True),
        ("Sum", "Sun", False),
        ("Over-refusal", "Under-refusal", False),
        ("Input too long", "Input too short", False),
        ("", "", False),
        ("Error", "Mistake", False),
        ("漢字の誤り", "漢字の誤り", True),
    ],
)
def test_same_wording(one: str, two: str, is_same: bool) -> None:
    assert is_same_wording(one, two) is is_same
    assert is_same_wording(two, one) is is_same


@pytest.mark.parametrize(
    ("one", "two", "is_other_way"),
    [
        ("Missing unit", "Wrong unit", True),
        ("Needless tool call", "Invented tool call", True),
        ("Over-refusal", "Under-refusal", True),
        ("Answer too long", "Answer too short", True),
        ("Missing unit", "Omitted unit", False),
        ("Wrong unit", "Unit conversion", False),
        ("Broken JSON", "Malformed output", False),
    ],
)
def test_opposed_names(one: str, two: str, is_other_way: bool) -> None:
    assert is_opposed(one, two) is is_other_way
    assert is_opposed(two, one) is is_other_way


@pytest.mark.parametrize("name", ["Miscellaneous errors", "Group 7", "Type B", "Other", "", "12"])
def test_names_that_say_nothing(name: str) -> None:
    assert says_nothing(name)


@pytest.mark.parametrize("name", ["Wrong unit", "Group theory", "漢字の誤り", "Missing brace"])
def test_names_that_say_something(name: str) -> None:
    assert not says_nothing(name)
