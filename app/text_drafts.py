"""What was written in a dialog that was closed without saving: kept, so that Esc loses nothing.

A dialog that opens again shows its draft and says so. Drafts are kept by project in the user's settings until they are saved
or discarded; what is too large for that, such as the parts of a split, as long as the project is open.
"""

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QObject, Signal

from errormap_core.errors import KnownError
from errormap_core.settings import UserSettings

SETTING = "look.drafts"

MOST_PROJECTS = 20
"""Drafts of the projects opened last are kept, of so many."""


class TextDrafts(QObject):
    """Drafts of the open project by key. `failed`: they could not be saved, and hold until the program ends."""

    failed = Signal(object)  # KnownError
    kept = Signal()  # what was written in a dialog is a draft now

    def __init__(self, settings: UserSettings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self._project = ""
        self._here: dict[str, Mapping[str, Any]] = {}

    def open(self, project: str) -> None:
        """Have the drafts of this project from now on."""
        self._project, self._here = project, {}

    def get(self, key: str) -> Mapping[str, Any] | None:
        """What was written and not saved."""
        found = self._here.get(key, self._saved().get(self._project, {}).get(key))
        return found if isinstance(found, Mapping) else None

    def keep(self, key: str, values: Mapping[str, Any], *, is_lasting: bool = True) -> None:
        """Keep what was written; with `is_lasting` False only while the project is open."""
        if is_lasting:
            self._save({**self._saved().get(self._project, {}), key: dict(values)})
        else:
            self._here[key] = values
        self.kept.emit()

    def drop(self, key: str) -> None:
        """Forget it: it was saved, or discarded."""
        self._here.pop(key, None)
        own = dict(self._saved().get(self._project, {}))
        if own.pop(key, None) is not None:
            self._save(own)

    def _saved(self) -> dict[str, dict[str, Any]]:
        saved = self._settings[SETTING]
        return {k: v for k, v in saved.items() if isinstance(v, dict)} if isinstance(saved, dict) else {}

    def _save(self, own: Mapping[str, Any]) -> None:
        others = {key: value for key, value in self._saved().items() if key != self._project}
        kept = dict(list(others.items())[-(MOST_PROJECTS - 1) :])
        if own:
            kept[self._project] = dict(own)
        try:
            self._settings[SETTING] = kept
        except KnownError as error:
            self.failed.emit(error)
