"""Icons of one set (Phosphor, from qtawesome), coloured from the palette."""

import qtawesome
from PySide6.QtGui import QIcon

from app.theme import Scheme


def icon(name: str, scheme: Scheme) -> QIcon:
    """The icon called `name` ('git-merge') in the colour of the text."""
    return qtawesome.icon(f"ph.{name}", color=scheme.text, color_disabled=scheme.muted)
