"""What a category may be named: the rule that editing and import share."""

import re

from errormap_core.errors import KnownError
from errormap_core.sentences import tr
from errormap_core.taxonomy.tree import name_key

MAX_NAME = 200

_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters and halves of characters. Line ends and tabs, which are among them, become spaces first."""


def checked_name(name: str) -> str:
    """A category's name on one line, without spaces around it. Raises KnownError where it is empty, too long or no text."""
    name = " ".join(name.split())
    if not name_key(name):
        raise KnownError(tr("A category needs a name."), fix=tr("Write a few words, about five."))
    if _NO_TEXT.search(name):
        raise KnownError(
            tr("That name holds a control character or half of a character."),
            fix=tr("Type the name instead of pasting it."),
        )
    if len(name) > MAX_NAME:
        raise KnownError(
            tr("That name has {n:,} characters.", n=len(name)),
            fix=tr("Use at most {most:,}; the rest belongs into the description.", most=MAX_NAME),
        )
    return name


def fitted_name(name: str) -> str:
    """The nearest name that the rule admits; '' where nothing of it is left."""
    if len(name) > 100 * MAX_NAME:  # whatever follows is cut off anyway
        name = name[: 100 * MAX_NAME]
    name = " ".join(_NO_TEXT.sub(" ", name).split())
    if not name_key(name):
        return ""
    return name if len(name) <= MAX_NAME else name[: MAX_NAME - 1].rstrip() + "…"
