"""Who proposed a category and who decided it, as its row keeps it and the atlas shows it."""

import json

from errormap_core.taxonomy.draft import Draft


def provenance(draft: Draft, *, proposed_by: dict[str, str] | None = None) -> str:
    """JSON text: proposed_by (a person who adds a category proposes it), decided_by, decided_at."""
    person = draft.facts.source_label(draft.actor)
    return json.dumps(
        {"proposed_by": proposed_by or person, "decided_by": person, "decided_at": draft.at},
        ensure_ascii=False,
        sort_keys=True,
    )
