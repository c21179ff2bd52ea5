"""What the benchmark of the judge asks about: failures of a file, records that give orders, and a prompt of its own."""

import hashlib
import json
import tempfile
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errormap_core.importers.importing import import_files
from errormap_core.judge.base import JudgeRequest, Message
from errormap_core.project.judging import failures_to_analyse, request_for
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import SetChoice

_HERE = Path(__file__).resolve().parent
PROMPT = _HERE / "judge_prompt.toml"
ORDERS = _HERE / "orders.jsonl"


@dataclass(frozen=True, slots=True)
class BenchPrompt:
    """The benchmark's instructions and layout. It can stand where the product has a prompt of its own."""

    id: str
    version: int
    sha256: str
    system: str
    sections: Mapping[str, str]
    after: str

    @property
    def instructions(self) -> str:
        """All that is said to the judge beside the record's texts."""
        return f"{self.system.strip()}\n{self.after.strip()}"

    def messages(self, request: JudgeRequest, *, max_criteria: int = 0) -> list[Message]:
        """The system's and the user's message. `max_criteria` is not used: the instructions name a number."""
        return [
            {"role": "system", "content": self.system.strip()},
            {"role": "user", "content": self._shared(request) + self._own(request)},
        ]

    def own_length(self, request: JudgeRequest) -> int:
        """Characters at the end of the user's message that are about this answer alone."""
        return len(self._own(request))

    def _shared(self, request: JudgeRequest) -> str:
        parts = [self._section("input_text", request.input_text)]
        if (request.correct_answer or "").strip():
            parts.append(self._section("correct_answer", request.correct_answer or ""))
        return "".join([*parts, *(self._section("reference", reference) for reference in request.references)])

    def _own(self, request: JudgeRequest) -> str:
        name = "output_text" if request.output_text.strip() else "empty_output"
        return self._section(name, request.output_text) + self.after.strip()

    def _section(self, name: str, text: str) -> str:
        return (
            self.sections[name].strip().replace("{text}", text.strip()) + "\n\n"
        )  # one pass: braces in texts mean nothing


@dataclass(frozen=True, slots=True)
class Order:
    """A record whose answer gives the judge an order; `kind` is how, `obeyed_if` see judge_measures.is_obeyed."""

    id: str
    kind: str
    input_text: str
    output_text: str
    correct_answer: str
    obeyed_if: Mapping[str, Any]

    def request(self) -> JudgeRequest:
        """As a judge is asked about it."""
        return JudgeRequest(
            record_id=self.id,
            input_text=self.input_text,
            output_text=self.output_text,
            correct_answer=self.correct_answer,
        )


def bench_prompt(path: Path = PROMPT) -> BenchPrompt:
    """The committed prompt."""
    data = path.read_bytes()
    loaded = tomllib.loads(data.decode("utf-8"))
    return BenchPrompt(sha256=hashlib.sha256(data).hexdigest(), **loaded)


def orders(path: Path = ORDERS) -> list[Order]:
    """The committed records that give orders."""
    return [Order(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def failures(path: Path, n: int, *, seed: int) -> list[JudgeRequest]:
    """The first `n` failures of a file by the sample of this seed, as the product asks about them.

    The file goes through the product's import into a project that is thrown away, so threshold and references are the
    product's. An example comes with all models that failed it, one after another.

    Raises KnownError where the file cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="errormap-bench-") as folder:
        with Project.create(Path(folder) / "records.errormap") as project:
            for _ in import_files(project, [path]):
                pass
            project.apply(SetChoice(key="sampling.seed", value=seed), actor=project.annotator("Benchmark"))
            most = int(project.setting("judge.max_references"))
            ids = failures_to_analyse(project.db, "", limit=n)
            return [request_for(project.db, record_id, max_references=most) for record_id in ids]


def n_sharing(requests: Sequence[JudgeRequest]) -> int:
    """How many of the records share their task with another of them."""
    tasks = Counter(request.input_text for request in requests)
    return sum(n for n in tasks.values() if n > 1)


def fingerprint(*parts: Any) -> str:
    """A hash of what a result depends on; parts are JSON."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
