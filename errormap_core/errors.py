"""Errors that are the world's fault and are shown as a sentence; anything else is ours and a defect."""

from typing import Any

from errormap_core.sentences import Sentence, tr

__all__ = ["KnownError", "Locked"]


class KnownError(Exception):
    """What is wrong, where it is, and what to do about it.

    Parameters
    ----------
    what : Sentence
        What is wrong, a whole sentence.
    where : Sentence or str
        File, line, field; empty where `what` says it.
    fix : Sentence or str
        What to do about it, a whole sentence.
    """

    def __init__(self, what: Sentence, *, where: Sentence | str = "", fix: Sentence | str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if str(self.where) else str(self.what)
        return f"{head} {self.fix}".strip()

    def to_json(self) -> dict[str, Any]:
        return {"what": str(self.what), "where": str(self.where), "fix": str(self.fix)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "KnownError":
        """An error that another process reported, its sentences already filled in."""
        return cls(tr("{text}", text=data["what"]), where=data["where"], fix=data["fix"])


class Locked(KnownError):
    """Another program holds the lock of the file. Nothing was done; the same can be tried again."""
