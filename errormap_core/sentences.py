"""Sentences that a person may see: templates with named values, through one translation function.

A sentence keeps its template and its values apart until it is shown, so that it can be stored in the
log, sent between processes and shown in another language later.
"""

import gettext
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_catalogue: gettext.NullTranslations = gettext.NullTranslations()


def use_translations(catalogue: gettext.NullTranslations) -> None:
    """Show every sentence through `catalogue` from now on."""
    global _catalogue
    _catalogue = catalogue


@dataclass(frozen=True, slots=True)
class Sentence:
    """A template with its values; `str()` translates and fills it in.

    `plural` is the template for any number but one; the number is `values["n"]`.
    """

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    plural: str | None = None

    def __str__(self) -> str:
        if self.plural is None:
            template = _catalogue.gettext(self.template)
        else:
            template = _catalogue.ngettext(self.template, self.plural, int(self.values["n"]))
        return template.format(**self.values) if self.values else template

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; values that JSON has no form for become text."""
        values = json.loads(json.dumps(dict(self.values), default=str))
        return {"template": self.template, "values": values, "plural": self.plural}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Sentence":
        return cls(data["template"], data.get("values") or {}, data.get("plural"))


def tr(template: str, **values: Any) -> Sentence:
    """A sentence to be shown: ``tr("“{name}” exists already.", name=name)``."""
    return Sentence(template, values)


def trn(singular: str, plural: str, n: int, **values: Any) -> Sentence:
    """A sentence about `n` things: ``trn("{n:,} failure", "{n:,} failures", n)``."""
    return Sentence(singular, {"n": n, **values}, plural)
