"""What a person says of one proposal, and what of it is kept with the decision."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from errormap_core.errors import KnownError
from errormap_core.ids import new_id
from errormap_core.sentences import tr

Verdict = Literal["accept", "edit", "reject", "skip", "unsure", "flag"]

PLACING_KINDS = ("create", "assign")
"""Kinds that bring failures into the tree that nobody placed: what a whole list is accepted of at once."""

VERDICTS: tuple[str, ...] = get_args(Verdict)

ACCEPTING = ("accept", "edit")
DECIDING = ("accept", "edit", "reject")
"""After these a proposal is done. A skipped one still waits; one that is unsure or a flag is set aside, and may be decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What was decided on one proposal. The values that are not None replace the proposal's (verdict 'edit').

    category_id : id of the category that is made, where one is.
    parent_id : where a new or moved category goes; for failures the category that they go into instead. `at_top`: at the top.
    without : what is left out: members (record ids), categories of a merge, parts of a split (their ids).
    into : of a merge, the category that stays.
    target : where a failure is placed: id of a category, or of a pending create proposal, which is then made of it alone.
        None is the first of the candidates. With `is_new`: a new category `name` below `parent_id`.
    same : what means the same as the target or the new category: categories, which are merged into it, and pending create
        proposals, which are taken for it and make no category of their own.
    parts : of a split, what differs of its parts: {"id", "name", "description", "members"}; one with another id is added.
    is_below : of a split, whether the parts go below the category rather than beside it.
    as_is : the tree changed since this was proposed, and what still holds of it is meant.
    run_id, target_run_id : the runs that proposed it and the target; filled in when the step is taken.
    """

    proposal_id: str
    verdict: Verdict
    category_id: str = field(default_factory=new_id)
    name: str | None = None
    description: str | None = None
    parent_id: str | None = None
    without: tuple[str, ...] = ()
    run_id: str | None = None
    at_top: bool = False
    into: str | None = None
    target: str | None = None
    target_run_id: str | None = None
    is_new: bool = False
    same: tuple[str, ...] = ()
    parts: tuple[Mapping[str, Any], ...] | None = None
    is_below: bool | None = None
    as_is: bool = False

    def refuse_unknown_verdict(self) -> None:
        if self.verdict not in VERDICTS:
            raise KnownError(
                tr("There is no verdict “{verdict}”.", verdict=self.verdict),
                fix=tr("Use one of {verdicts}.", verdicts=", ".join(VERDICTS)),
            )

    def details(self) -> dict[str, Any]:
        """What the ruling changed of the proposal, as JSON can hold it; empty where nothing is made of it."""
        if self.verdict not in ACCEPTING:
            return {}
        values = {name: getattr(self, name) for name in _CHANGING}
        changed = {name: value for name, value in values.items() if value not in (None, (), False)}
        if self.parts:
            changed["parts"] = [dict(part) for part in self.parts]
        if "without" in changed:
            changed["without"] = sorted(self.without)
        return changed


_CHANGING = (
    "name",
    "description",
    "parent_id",
    "at_top",
    "without",
    "into",
    "target",
    "is_new",
    "same",
    "is_below",
    "as_is",
)
