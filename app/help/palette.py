"""The palette: type a few letters of a command, press Enter."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from app.commands import COMMANDS, MENUS, Command
from app.dialogs import Picker
from errormap_core.sentences import tr

if TYPE_CHECKING:
    from app.window import Window


def matches(command: Command, words: list[str]) -> bool:
    """Every word stands somewhere in menu, title or tip."""
    menu = str(MENUS.get(command.menu, ""))
    text = f"{menu} {command.title} {command.tip}".replace("&", "").casefold()
    return all(word in text for word in words)


class Palette(Picker):
    """The commands that fit and can be done now."""

    def __init__(self, window: "Window") -> None:
        context = window.context()

        def entries(words: list[str]) -> Iterator[tuple[str, str, str]]:
            for command in COMMANDS:
                if command.id != "help.palette" and command.when(context) and matches(command, words):
                    keys = window.session.keys.all_text(command)
                    title = str(command.title).replace("&", "")
                    yield command.id, f"{title}    {keys}" if keys else title, str(command.tip)

        super().__init__(tr("Commands"), window, hint=tr("Type to find a command"), entries=entries, pick=window.do)
