"""Every argument of the command line once: its flags, and what argparse is told of it."""

import argparse
from collections.abc import Callable
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.project.pending import KINDS
from errormap_core.settings import setting


def _count(text: str) -> int:
    """A whole number, at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"“{text}” is no whole number of at least 1")
    return int(text)


def _as_setting(key: str) -> Callable[[str], Any]:
    """What turns an argument into a value of a setting; what is no such value is said with what is expected."""

    def convert(text: str) -> Any:
        try:
            return setting(key).check(text)
        except KnownError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return convert


ARGUMENTS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "project": (("project",), {"metavar": "PROJECT", "help": "the .errormap file"}),
    "target": (("target",), {"metavar": "TARGET", "help": "the new file; nothing may be there yet"}),
    "files": (
        ("files",),
        {"metavar": "FILE", "nargs": "+", "help": "CSV with example_id, model, input_text, output_text, score, and perhaps correct_answer; or an atlas (JSON)"},
    ),
    "dataset": (("--dataset",), {"metavar": "NAME", "help": "name of the dataset (default: the file's name)"}),
    "on_error": (
        ("--on-error",),
        {"choices": ("keep", "rollback"), "default": "keep", "help": "keep the good rows of a file with broken ones, or import none of it (default: keep)"},
    ),
    "on_conflict": (
        ("--on-conflict",),
        {"choices": ("keep", "replace"), "default": "keep", "help": "a record that is there with other content is kept, or replaced and its analyses outdated (default: keep)"},
    ),
    "threshold": (
        ("--threshold",),
        {"action": "append", "metavar": "DATASET=X", "help": "success threshold of a dataset; a score under it is a failure (default: 0.7 of the mean score)"},
    ),
    "ratio": (("--ratio",), {"type": _as_setting("sampling.ratio"), "metavar": "R", "help": "share of the failed examples that is analysed, 0 to 1"}),
    "seed": (("--seed",), {"type": _as_setting("sampling.seed"), "metavar": "N", "help": "another seed samples other examples"}),
    "models": (("--models",), {"metavar": "A,B", "help": "models to analyse (default: all)"}),
    "model": (("--model",), {"metavar": "GGUF", "help": "the judge's model file (default: the embedded SmolLM2-135M)"}),
    "threads": (("--threads",), {"type": _as_setting("judge.threads"), "metavar": "N", "help": "threads of the judge (default: half of the cores)"}),
    "context": (("--context",), {"type": _as_setting("judge.context"), "metavar": "N", "help": "tokens of prompt and answer together"}),
    "gpu_layers": (("--gpu-layers",), {"type": _as_setting("judge.gpu_layers"), "metavar": "N", "help": "layers on the GPU; -1 for all"}),
    "watch": (("--watch",), {"action": "store_true", "help": "go on, and choose again whenever the project changes"}),
    "kinds": (("--kind",), {"action": "append", "dest": "kinds", "choices": KINDS, "help": "proposals of this kind; may be repeated (default: all but place)"}),
    "decisions": (("--file",), {"dest": "decisions", "metavar": "JSONL", "required": True, "help": "decisions, one a line: {\"proposal\": ID, \"verdict\": \"accept\"}"}),
    "limit": (("--limit",), {"type": _count, "metavar": "N", "help": "at most so many"}),
    "method": (
        ("--method",),
        {"choices": ("embedding", "judge", "both"), "help": "nearest words, the judge's scores, or both; kept as the project's setting"},
    ),
    "retry": (("--retry",), {"action": "store_true", "help": "also the records that failed before"}),
    "again": (("--again",), {"action": "store_true", "help": "also the failures that another judge has analysed or a person has placed"}),
    "gold": (("--gold",), {"metavar": "DIR", "help": "folder with taxonomy.json and analyses.jsonl (docs/gold.md)"}),
    "prompt": (("--prompt",), {"metavar": "NAME", "help": "the prompt: full, quick, or one of the project's own (default: as the project says)"}),
    "tried": (("--record",), {"dest": "tried", "metavar": "ID", "help": "the failure (default: the first that waits)"}),
    "only_records": (("--only",), {"dest": "only_records", "action": "append", "metavar": "ID", "help": "just this record, whoever analysed it; may be repeated"}),
    "first": (("--first",), {"action": "append", "metavar": "ID", "help": "take this record before the others, also within --limit; may be repeated"}),
    "estimate": (("--estimate",), {"action": "store_true", "help": "say how many tokens and how long it will take, and analyse nothing"}),
    "anew": (("--again",), {"dest": "anew", "action": "store_true", "help": "measure again what was measured before"}),
    "forget": (("--forget",), {"action": "store_true", "help": "forget what was measured, and remove the copies of the weights"}),
    "of_gold": (("--gold",), {"metavar": "DIR", "help": "just the failures that these gold analyses are about, whoever analysed them (docs/gold.md)"}),
    "judge_run": (("judge_run",), {"metavar": "RUN", "nargs": "?", "help": "id or name of a judge run, or the beginning of one"}),
    "latest": (("--latest",), {"action": "store_true", "help": "the latest run counts, as where none was chosen"}),
    "two_runs": (("two_runs",), {"metavar": "RUN", "nargs": 2, "help": "ids or names of two judge runs, or their beginnings"}),
    "runs": (("--run",), {"action": "append", "dest": "runs", "metavar": "RUN", "help": "check this run; may be repeated (default: all)"}),
    "common": (("--common",), {"action": "store_true", "help": "only the failures that all of these runs analysed"}),
    "set": (("--set",), {"action": "append", "metavar": "KEY=VALUE", "help": "a setting of the project; may be repeated"}),
    "ids": (("ids",), {"metavar": "ID", "nargs": "*", "help": "ids of proposals"}),
    "all": (("--all",), {"action": "store_true", "help": "all that wait for a decision"}),
    "output": (("-o", "--output"), {"metavar": "FILE", "required": True, "help": "where the atlas is written (JSON)"}),
    "examples": (
        ("--examples",),
        {"type": _count, "default": 0, "metavar": "N", "help": "include up to N failures a category, with their texts (default: none)"},
    ),
    "with_history": (("--with-history",), {"action": "store_true", "help": "include the steps that were taken"}),
    "repair": (("--repair",), {"action": "store_true", "help": "make a repaired copy: all rows that can be read; the project stays as it is"}),
    "copy": (("-o", "--output"), {"dest": "copy", "metavar": "FILE", "help": "where the copy goes; nothing may be there"}),
    "backup": (("--backup",), {"dest": "wanted", "metavar": "N", "help": "the backup to put back: its number in the list, its file, or latest; what is there is kept beside it"}),
    "replay": (("--replay",), {"action": "store_true", "help": "also take every step of the log again and compare"}),
    "folders": (("--folder",), {"action": "append", "dest": "folders", "metavar": "DIR", "help": "look for GGUF files here instead of in your folders; may be repeated"}),
    "name": (("name",), {"metavar": "NAME", "help": "full, quick, or one of the project's own"}),
    "record": (("--record",), {"metavar": "ID", "help": "fill it in for this record (default: first, the first failure)"}),
    "edit": (("--edit",), {"metavar": "FILE", "help": "keep this file (TOML) as the project's own prompt of that name"}),
    "write": (("--write",), {"metavar": "FILE", "help": "write the prompt as a file to edit (TOML)"}),
    "use": (("--use",), {"action": "store_true", "help": "the judge uses it from its next run on"}),
    "remove": (("--remove",), {"action": "store_true", "help": "remove it from the project; what was made with it stays"}),
    "folder": (("--folder",), {"metavar": "DIR", "help": "where the demo's files go (default: a temporary folder)"}),
}  # fmt: skip
