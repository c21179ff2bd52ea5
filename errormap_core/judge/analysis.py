"""The analysis of one failure: its fields, their bounds, the JSON Schema that says so, and strict reading.

The same bounds hold for what a judge may write, for what a person writes, and for what is imported.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from errormap_core.errors import KnownError
from errormap_core.sentences import Sentence, tr

Verdict = Literal["error", "no_error", "unclear"]
Quality = Literal["correct", "partially_correct", "incorrect"]

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
QUALITIES: tuple[Quality, ...] = get_args(Quality)

MAX_CRITERION = 120
MAX_EVIDENCE = 200
MAX_COMMENT = 120
MAX_TITLE = 80
MAX_SUMMARY = 300
MOST_CRITERIA = 12
"""The largest value of the setting judge.max_criteria."""

SCHEMA_ID = "urn:errormap-studio:schema:analysis:1"

_LINES = str.maketrans("\n\r\t", "   ")
_UNWANTED = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Criterion:
    """Something that a correct answer needs, and how the failed answer does on it.

    `quality` is None, and `evidence` empty, where the failed answer does not attempt it.
    """

    criterion: str
    present_in_wrong: bool
    quality: Quality | None
    evidence: str
    comment: str

    def to_json(self) -> dict[str, Any]:
        return {
            "criterion": self.criterion,
            "present_in_wrong": self.present_in_wrong,
            "quality": self.quality,
            "evidence": self.evidence,
            "comment": self.comment,
        }

    @classmethod
    def from_json(cls, data: Any, *, where: str = "criterion") -> "Criterion":
        """Raises KnownError, located below `where`, for anything that the schema does not allow."""
        fields = _object(data, ("criterion", "present_in_wrong", "quality", "evidence", "comment"), where=where)
        present = fields["present_in_wrong"]
        if not isinstance(present, bool):
            raise _wrong(f"{where}.present_in_wrong", tr("It must be true or false."))
        quality = fields["quality"]
        if present and quality not in QUALITIES:
            raise _wrong(f"{where}.quality", tr("It must be one of {choices}.", choices=", ".join(QUALITIES)))
        if not present and quality is not None:
            raise _wrong(f"{where}.quality", tr("It must be null where the answer does not have the criterion."))
        evidence = _text(fields["evidence"], MAX_EVIDENCE, where=f"{where}.evidence", has_lines=True)
        if not present and evidence:
            raise _wrong(f"{where}.evidence", tr("It must be empty where the answer does not have the criterion."))
        return cls(
            criterion=_text(fields["criterion"], MAX_CRITERION, where=f"{where}.criterion", minimum=1),
            present_in_wrong=present,
            quality=cast(Quality | None, quality),
            evidence=evidence,
            comment=_text(fields["comment"], MAX_COMMENT, where=f"{where}.comment"),
        )


@dataclass(frozen=True, slots=True)
class Analysis:
    """Why one answer failed, as a judge or a person sees it."""

    required_criteria: tuple[Criterion, ...]
    error_summary: str
    error_title: str
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        return {
            "required_criteria": [criterion.to_json() for criterion in self.required_criteria],
            "error_summary": self.error_summary,
            "error_title": self.error_title,
            "verdict": self.verdict,
        }

    @classmethod
    def from_json(cls, data: Any) -> "Analysis":
        """Raises KnownError, which names the field, for anything that the published schema does not allow."""
        fields = _object(data, ("required_criteria", "error_summary", "error_title", "verdict"), where="")
        criteria = fields["required_criteria"]
        if not isinstance(criteria, list) or len(criteria) > MOST_CRITERIA:
            raise _wrong("required_criteria", tr("It must be a list of at most {n} criteria.", n=MOST_CRITERIA))
        if fields["verdict"] not in VERDICTS:
            raise _wrong("verdict", tr("It must be one of {choices}.", choices=", ".join(VERDICTS)))
        fewest = 0 if fields["verdict"] == "no_error" else 1  # nothing is wrong: there is nothing to say of it
        return cls(
            required_criteria=tuple(
                Criterion.from_json(entry, where=f"required_criteria[{place}]") for place, entry in enumerate(criteria)
            ),
            error_summary=_text(fields["error_summary"], MAX_SUMMARY, where="error_summary", minimum=fewest),
            error_title=_text(fields["error_title"], MAX_TITLE, where="error_title", minimum=fewest),
            verdict=fields["verdict"],
        )


def schema(max_criteria: int) -> dict[str, Any]:
    """JSON Schema of an analysis with at most `max_criteria` criteria.

    The fields stand in the order in which a judge writes them: what is needed and found first, the conclusion last.
    Where no error is found, there is nothing to say of it: summary and title may be empty then, and only then.
    """
    said = {"error_summary": _string(MAX_SUMMARY, minimum=1), "error_title": _string(MAX_TITLE, minimum=1)}
    return {
        **_closed(
            required_criteria={
                "type": "array",
                "maxItems": max_criteria,
                "items": {
                    "anyOf": [
                        _criterion({"const": True}, {"enum": list(QUALITIES)}, _string(MAX_EVIDENCE)),
                        _criterion({"const": False}, {"const": None}, {"const": ""}),
                    ]
                },
            },
            verdict={"enum": list(VERDICTS)},
            error_summary=_string(MAX_SUMMARY),
            error_title=_string(MAX_TITLE),
        ),
        "anyOf": [{"properties": {"verdict": {"const": "no_error"}}}, {"properties": said}],
    }


def published_schema() -> dict[str, Any]:
    """What resources/schemas/analysis.schema.json holds."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Analysis of a failed answer",
        "description": "What a correct answer needs, how the failed answer does on it, and the mistake that follows.",
        **schema(MOST_CRITERIA),
    }


def cleaned(value: Any) -> Any:
    """`value` with control characters and halves of surrogate pairs in its texts made blanks, and the ends stripped.

    A judge's words may hold what neither a database nor a screen takes.
    """
    if isinstance(value, str):
        whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return _UNWANTED.sub(" ", whole).strip()
    if isinstance(value, list):
        return [cleaned(entry) for entry in value]
    if isinstance(value, dict):
        return {key: cleaned(entry) for key, entry in value.items()}
    return value


def _criterion(present: dict[str, Any], quality: dict[str, Any], evidence: dict[str, Any]) -> dict[str, Any]:
    return _closed(
        criterion=_string(MAX_CRITERION, minimum=1),
        present_in_wrong=present,
        quality=quality,
        evidence=evidence,
        comment=_string(MAX_COMMENT),
    )


def _closed(**properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _string(maximum: int, minimum: int = 0) -> dict[str, Any]:
    return {"type": "string", "minLength": minimum, "maxLength": maximum}


def _object(data: Any, names: tuple[str, ...], *, where: str) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise _wrong(where, tr("It must be a JSON object."))
    missing = [name for name in names if name not in data]
    if missing:
        raise _wrong(where, tr("It lacks {fields}.", fields=", ".join(missing)))
    unknown = [str(name) for name in data if name not in names]
    if unknown:
        raise _wrong(where, tr("It has unknown fields: {fields}.", fields=", ".join(unknown)))
    return data


def _text(value: Any, maximum: int, *, where: str, minimum: int = 0, has_lines: bool = False) -> str:
    """A text that is kept as it is; with `has_lines` it may hold line breaks and tabs, as a quote of an answer does."""
    if not isinstance(value, str) or not minimum <= len(value) <= maximum or (minimum and not value.strip()):
        raise _wrong(where, tr("It must be a text of {low} to {high} characters.", low=minimum, high=maximum))
    plain = value.translate(_LINES) if has_lines else value
    if plain != cleaned_text(plain):
        raise _wrong(where, tr("It must not hold control characters."))
    return value


def cleaned_text(value: str) -> str:
    """`value` without what a database or a screen does not take; the ends are left."""
    return _UNWANTED.sub(" ", value)


def _wrong(where: str, fix: Sentence) -> KnownError:
    return KnownError(tr("This is not an analysis."), where=where, fix=fix)
