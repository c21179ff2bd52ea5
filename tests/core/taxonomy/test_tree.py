"""The tree as values: siblings stay in order, whatever is put, moved, retired and dropped."""

from hypothesis import given
from hypothesis import strategies as st

from errormap_core.taxonomy.tree import Category, Tree

KEYS = [f"c{i}" for i in range(9)]


@st.composite
def categories(draw: st.DrawFn) -> Category:
    return Category(
        id=draw(st.sampled_from(KEYS)),
        parent_id=draw(st.sampled_from([None, "above", "beside"])),
        position=float(draw(st.integers(-2, 2))),
        name="A name",
        reserved=draw(st.sampled_from([None, None, "other"])),
        retired=draw(st.sampled_from([None, None, "merged"])),
    )


@given(st.lists(st.tuples(categories(), st.booleans()), max_size=40))
def test_siblings_are_in_the_order_in_which_they_would_be_read(steps: list[tuple[Category, bool]]) -> None:
    tree, kept = Tree(), dict[str, Category]()
    for category, is_dropped in steps:
        if is_dropped and category.id in kept:
            tree.drop(category.id)
            del kept[category.id]
        else:
            tree.put(category)
            kept[category.id] = category
        read = Tree(kept.values())
        assert [tree.children(parent) for parent in (None, "above", "beside")] == [
            read.children(parent) for parent in (None, "above", "beside")
        ]
        assert all(tree.get(key) == kept.get(key) for key in KEYS)
        assert len(tree) == len(read)
