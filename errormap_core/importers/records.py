"""What importers yield: records as a file gives them, and located problems of rows."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from errormap_core.ids import content_id
from errormap_core.sentences import Sentence, tr


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One answer of one model to one example, as a file gives it. `score` is the chosen one of `metrics`."""

    dataset: str
    model: str
    example_id: str
    input_text: str
    output_text: str
    score: float
    source_file: str
    source_line: int
    correct_answer: str | None = None
    attempt: int = 1
    messages: Any = None
    metrics: dict[str, float] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return content_id("record", self.dataset, self.model, self.example_id, self.attempt)

    def content_hash(self) -> str:
        """sha256 of what the record says beside its key; another hash is other content."""
        content = [self.input_text, self.output_text, self.messages, self.correct_answer, self.score]
        text = json.dumps([*content, self.metrics, self.extra], ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Something wrong with a row. `line` is where the row begins in the file; `is_kept`: it was imported all the same.
    `n_lines` are left out with it, where nobody can say how many rows they are."""

    file: str
    line: int
    field: str
    code: str
    sentence: Sentence
    is_kept: bool = False
    n_lines: int = 1

    def __str__(self) -> str:
        where = tr("{file}, line {line:,}, {field}", file=self.file, line=self.line, field=self.field)
        if not self.field:
            where = tr("{file}, line {line:,}", file=self.file, line=self.line)
        return f"{where}: {self.sentence}"

    def to_json(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "line": self.line,
            "field": self.field,
            "code": self.code,
            "sentence": str(self.sentence),
            "text": str(self),
            "is_kept": self.is_kept,
        }
