"""What changed under a proposal since it was made, and what of it still holds: asked before it is shown and accepted."""

from collections.abc import Mapping
from typing import Any

from errormap_core.project.facts import ProjectFacts
from errormap_core.project.store import Project
from errormap_core.sentences import Sentence
from errormap_core.taxonomy.standing import standing


def staleness(project: Project, proposal_id: str) -> Sentence | None:
    """What changed since it was proposed, or None; accepting it as it was made would be refused with that.

    Raises KnownError where there is no such proposal.
    """
    facts = ProjectFacts(project.db)
    return standing(facts.proposal(proposal_id), project.tree, facts).sentence()


def refreshed(project: Project, proposal_id: str) -> Mapping[str, Any] | None:
    """The proposal's arguments as far as they hold in the tree as it is; None where nothing does.

    A Ruling with `as_is` accepts these. Raises KnownError where there is no such proposal.
    """
    facts = ProjectFacts(project.db)
    return standing(facts.proposal(proposal_id), project.tree, facts).arguments
