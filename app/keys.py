"""Which keys the commands have: those of the table, or those that the user gave them instead."""

from collections.abc import Callable, Iterable

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QKeySequence

from app.commands import BY_ID, COMMANDS, PAGE_OF, Command
from errormap_core.errors import KnownError
from errormap_core.sentences import tr
from errormap_core.settings import UserSettings

SETTING = "keys"

_SIGNS = {"Return": "⏎", "Enter": "⏎", "Left": "←", "Right": "→", "Up": "↑", "Down": "↓"}
"""Keys that have a sign of their own, also behind Ctrl and the like."""


class KeyMap(QObject):
    """Keys by command, kept in the user's settings; `changed` when one is given others."""

    changed = Signal()

    def __init__(self, settings: UserSettings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        kept = settings[SETTING]
        self._own: dict[str, tuple[str, ...]] = {}
        for command_id, keys in kept.items() if isinstance(kept, dict) else ():
            if command_id in BY_ID and isinstance(keys, list) and all(_is_key(key) for key in keys):
                self._own[command_id] = tuple(keys)

    def of(self, command: Command) -> tuple[str, ...]:
        """Keys of a command, in Qt's portable form ('Ctrl+M')."""
        return self._own.get(command.id, command.keys)

    def is_own(self, command: Command) -> bool:
        """Whether the user gave it other keys than the table."""
        return command.id in self._own

    def shortcuts(self, command: Command) -> list[QKeySequence]:
        return [QKeySequence(key) for key in self.of(command)]

    def text(self, command_id: str) -> str:
        """The first key as buttons show it; '' where there is none."""
        keys = self.of(BY_ID[command_id])
        return key_text(keys[0]) if keys else ""

    def titled(self, title: object, command_id: str) -> str:
        """A button's text with its key: 'Accept  ⏎'."""
        key = self.text(command_id)
        return f"{title}  {key}" if key else str(title)

    def hinted(self, sentence: object, command_id: str) -> str:
        """A tooltip with the key behind it: 'Take back this step (Ctrl+Z)'."""
        return f"{sentence}{self.bracketed(command_id)}"

    def bracketed(self, command_id: str) -> str:
        """The key as sentences take it in: ' (Ctrl+Z)'; '' where there is none."""
        key = self.text(command_id)
        return f" ({key})" if key else ""

    def follow(self, say: Callable[[], object]) -> None:
        """Have something said that has keys in it, now and whenever a command gets others. For what lives as long as the
        window; a method of a QObject is let go with it."""
        say()
        self.changed.connect(say)

    def all_text(self, command: Command) -> str:
        """All its keys in the form of this system."""
        return ", ".join(s.toString(QKeySequence.SequenceFormat.NativeText) for s in self.shortcuts(command))

    def tooltip(self, command: Command) -> str:
        """Name, what it does, and its keys."""
        name, keys = command.name, self.all_text(command)
        return f"{name} ({keys})\n{command.tip}" if keys else f"{name}\n{command.tip}"

    def change(self, command: Command, keys: Iterable[str]) -> None:
        """Give a command other keys; none is no key. Raises KnownError where another command has one of them."""
        wanted = tuple(keys)
        for key in wanted:
            if not _is_key(key):
                raise KnownError(tr("“{key}” is no key.", key=key), fix=tr("Press the key that is meant."))
            other = self.clash(command, key)
            if other is not None:
                raise KnownError(
                    tr("{key} is the key of “{name}” already.", key=key_text(key), name=other.name),
                    fix=tr("Choose another, or give “{name}” another first.", name=other.name),
                )
        own = {**self._own, command.id: wanted}
        if wanted == command.keys:
            del own[command.id]
        self._keep(own)

    def reset(self, command: Command) -> None:
        """Give a command the keys of the table again. Raises KnownError where another has got one of them."""
        self.change(command, command.keys)

    def clash(self, command: Command, key: str) -> Command | None:
        """The command that has this key where this one is used, or a key that begins with it; None: it is free."""
        new = QKeySequence(key)
        for other in COMMANDS:
            if other.id != command.id and shares_place(command, other):
                for old in self.shortcuts(other):
                    if _begins(new, old):
                        return other
        return None

    def _keep(self, own: dict[str, tuple[str, ...]]) -> None:
        self._own = own
        try:
            self._settings[SETTING] = {command_id: list(keys) for command_id, keys in own.items()}
        finally:  # they hold for this session where they cannot be saved
            self.changed.emit()


def shares_place(a: Command, b: Command) -> bool:
    """Whether two commands cannot have one key: a page's keys come before those of the window while it is shown, and one
    that has its keys on the card has none in the list of failures."""
    if a.on == b.on or PAGE_OF.get(a.on, a.on) == PAGE_OF.get(b.on, b.on):
        return True
    if {a.on, b.on} == {"review", "records"}:  # both have their keys in the record pane
        return True
    return not PAGE_OF.keys() & {a.on, b.on}


def key_text(key: str) -> str:
    """A key in the form of this system, with signs for Enter and the arrows."""
    last = key.rpartition("+")[2]
    shown = QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)
    if last not in _SIGNS:
        return shown
    plain = QKeySequence(last).toString(QKeySequence.SequenceFormat.NativeText)
    return shown.removesuffix(plain) + _SIGNS[last]


def _begins(a: QKeySequence, b: QKeySequence) -> bool:
    """Whether one of them is the other, or its beginning."""
    none = QKeySequence.SequenceMatch.NoMatch
    return a.matches(b) != none or b.matches(a) != none


def _is_key(key: object) -> bool:
    return isinstance(key, str) and bool(QKeySequence(key).toString())
