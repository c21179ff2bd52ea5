"""Choosing a category by typing: for placing failures."""

from collections.abc import Callable, Iterator

from PySide6.QtWidgets import QWidget

from app.dialogs import Picker
from errormap_core.sentences import tr, trn
from errormap_core.taxonomy.tree import Tree


class PlaceDialog(Picker):
    """The categories that fit; Enter places."""

    def __init__(self, tree: Tree, *, n: int, place: Callable[[str], object], parent: QWidget) -> None:
        paths = [(c.id, tree.place(c.id), c.description) for c in tree]

        def entries(words: list[str]) -> Iterator[tuple[str, str, str]]:
            return (entry for entry in paths if all(word in entry[1].casefold() for word in words))

        title = trn("Where does this failure belong?", "Where do these {n:,} failures belong?", n)
        super().__init__(title, parent, hint=tr("Type to find a category"), entries=entries, pick=place)
