"""Who acts: the annotator of this machine, made at first start from the system's user name."""

import getpass

from errormap_core.ids import new_id
from errormap_core.project.store import Project
from errormap_core.settings import UserSettings


def initials_of(name: str) -> str:
    """First letters of a name's words: 'Ann Bee' is AB, 'ann' is AN."""
    words = name.replace("_", " ").replace(".", " ").split()
    letters = "".join(word[0] for word in words) if len(words) > 1 else name[:2]
    return letters.upper()[:4]


def ensure_user(settings: UserSettings) -> tuple[str, str, str]:
    """Id, name and initials of the annotator of this machine; made and kept where there is none yet."""
    if not settings["user.id"]:
        name = settings["user.name"] or _system_name()
        initials = settings["user.initials"] or initials_of(name)
        settings.update({"user.name": name, "user.initials": initials, "user.id": new_id()})
    return settings["user.id"], settings["user.name"], settings["user.initials"]


def actor_in(
    project: Project, settings: UserSettings, *, name: str | None = None, annotator_id: str | None = None
) -> str:
    """Source id in `project` of who acts: the one named, else this machine's annotator."""
    if name is not None and annotator_id is None:
        return project.annotator(name, initials=initials_of(name))
    user_id, user_name, initials = ensure_user(settings)
    if annotator_id is not None and annotator_id != user_id:
        return project.annotator(name or user_name, initials=initials, annotator_id=annotator_id)
    return project.annotator(name or user_name, initials=initials, annotator_id=user_id)


def _system_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a system without user names, such as some containers
        return "annotator"
