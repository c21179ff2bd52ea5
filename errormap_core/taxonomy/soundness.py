"""Whether edits leave a sound tree: asked before a step is taken back that others may have built on."""

from collections.abc import Callable, Iterable

from errormap_core.errors import KnownError
from errormap_core.sentences import tr
from errormap_core.taxonomy.edits import AnyEdit, BulkRows, BulkUpdate, Edit
from errormap_core.taxonomy.tree import Category, Tree


def refuse_unsound(tree: Tree, edits: Iterable[AnyEdit], *, assignment_ids: Callable[[str], list[int]]) -> None:
    """Raises KnownError where the edits would leave a category without a way to the top, beside another of its name,
    or failures in a category that is not in the tree.

    `assignment_ids` gives the assignments that are in a category as the project is now.
    """
    after = tree.copy()
    touched: dict[str, None] = {}
    ends: dict[int, str | None] = {}  # where assignments are after all edits; a step may move one several times
    for edit in edits:
        match edit:
            case Edit(table="category", key=key, after=None):
                after.drop(key)
                touched[key] = None
            case Edit(table="category", key=key, after=row) if row is not None:
                after.put(Category.from_row(row))
                touched[key] = None
            case BulkUpdate(table="assignment", column="category_id"):
                ends.update(dict.fromkeys(edit.ids, edit.after))
            case BulkRows(table="assignment") if edit.created:
                ends.update(zip(edit.column("id"), edit.column("category_id"), strict=True))
            case BulkRows(table="assignment"):
                ends.update(dict.fromkeys(edit.column("id")))
    filled = {category_id for category_id in ends.values() if category_id is not None}
    if any(category_id not in after for category_id in filled):
        raise _built_on()
    sound: set[str] = set()  # categories from which the top is reached
    for category_id in touched:
        category = after.get(category_id)
        if category is None or category.retired is not None:
            if after.children(category_id) or not ends.keys() >= set(assignment_ids(category_id)):
                raise _built_on()
        elif not _reaches_top(after, category, sound) or after.sibling_named(
            category.parent_id, category.name, but=[category_id]
        ):
            raise _built_on()


def _reaches_top(tree: Tree, category: Category, sound: set[str]) -> bool:
    """Whether the way up from a category leads through live ones to the top; those on it are then known to be sound."""
    way = {category.id}
    while category.parent_id is not None and category.id not in sound:
        above = tree.get(category.parent_id)
        if above is None or above.retired is not None or above.id in way:
            return False
        way.add(above.id)
        category = above
    sound |= way
    return True


def _built_on() -> KnownError:
    return KnownError(
        tr("Later steps built on this one."), fix=tr("Undo the later steps first, the latest before the others.")
    )
