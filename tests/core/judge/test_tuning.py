"""How a model is best run here: measured once, kept, shown, refused and overridden. With the real embedded model."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from errormap_core import tasks
from errormap_core.errors import KnownError
from errormap_core.judge import starting, tuning
from errormap_core.judge.engine import EngineSettings, default_threads
from errormap_core.judge.gguf_file import read_model_file
from errormap_core.judge.starting import placements, plan_judge
from errormap_core.judge.tuning import Tuning, forget_tuning, kept_folder, known_tuning, tune, tuned_settings
from errormap_core.project.store import Project
from errormap_core.settings import UserSettings


@pytest.fixture(scope="module")
def tuned(model: Path) -> Tuning:
    tuning.BUDGET_S = 600.0  # a busy machine tries all the same
    return known_tuning(model) or tasks.driven(tune(model))


@pytest.fixture(scope="module")
def copied(model: Path, tuned: Tuning, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tuning]:
    """A model that is run from a copy; where none is faster here, another file of which one is made all the same."""
    if tuned.copy:
        return model, tuned
    own = tmp_path_factory.mktemp("copied") / "own.gguf"
    own.write_bytes(model.read_bytes() + b"\0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "WORTH", 0.0)
        return own, tasks.driven(tune(own))


def test_what_was_found_is_kept_and_told(model: Path, tuned: Tuning) -> None:
    assert known_tuning(model) == tuned
    assert tuned.prefill_tokens_per_s > 5 and tuned.decode_tokens_per_s > 1
    assert tuned.threads >= 1 and tuned.sequences >= 1 and 64 <= tuned.batch <= 512
    fastest = min(trial["seconds_a_failure"] for trial in tuned.trials if "failed" not in trial)
    assert tuned.seconds_a_failure <= fastest * tuning.WORTH**2, "what was kept is what was fast"
    assert {trial["weights"] for trial in tuned.trials} == {"as is", "q8_0"}
    data = json.loads(json.dumps(tuned.to_json()))
    assert data["seconds_a_failure"] > 0
    assert str(tuned.threads) in str(tuned.sentence())


def test_a_copy_is_a_model_of_the_same_shape_and_its_size_is_told(copied: tuple[Path, Tuning]) -> None:
    model, tuned = copied
    assert tuned.copy
    copy = read_model_file(Path(tuned.copy))
    assert copy.n_parameters == read_model_file(model).n_parameters
    assert copy.quantisation == "Q8_0"
    assert tuned.copy_bytes == Path(tuned.copy).stat().st_size
    assert tuned.to_json()["copy"] == {"format": "q8_0", "bytes": tuned.copy_bytes, "path": tuned.copy}


def test_a_copy_can_be_refused(model: Path) -> None:
    found = read_model_file(model)
    assert tuning._copies_worth_trying(found, "never") == []
    assert tuning._copies_worth_trying(found, "auto") == ["q8_0"]
    assert tuning._copies_worth_trying(found, "q4_0") == ["q4_0"]
    assert tuning._copies_worth_trying(replace(found, quantisation="Q8_0"), "auto") == []
    assert tuning._copies_worth_trying(replace(found, n_parameters=10**13), "auto") == [], "there is no room"


def test_what_is_chosen_wins_over_what_was_measured(model: Path, tuned: Tuning) -> None:
    settings = EngineSettings(model)
    assert tuned_settings(tuned, settings, chosen={}).threads == tuned.threads
    chosen = tuned_settings(tuned, settings, chosen={"threads": 3, "sequences": 5, "batch": 96, "flash": 0})
    assert (chosen.threads, chosen.sequences, chosen.batch, chosen.flash) == (3, 5, 96, 0)


def test_the_plan_says_what_answers_depend_on(project: Project, tmp_path: Path, tuned: Tuning, model: Path) -> None:
    user = UserSettings(tmp_path / "settings.json")
    plan = tasks.driven(plan_judge(project, user))
    assert plan.model == model
    assert plan.weights == tuned.weights
    assert plan.engines[0].path == (Path(tuned.copy) if tuned.copy else model)
    user["judge.copies"] = "never"
    user["judge.tuning"] = False
    plain = tasks.driven(plan_judge(project, user, threads=1))
    assert (plain.weights, plain.engines[0].path, plain.engines[0].sequences) == ("as is", model, 1)
    with plain.start() as judge:
        assert judge.describe().identity()["weights"] == "as is"


def test_what_cannot_be_run_is_told_before_it_is_tried(project: Project, tmp_path: Path, model: Path) -> None:
    user = UserSettings(tmp_path / "settings.json")
    half = tmp_path / "half.gguf"
    half.write_bytes(model.read_bytes()[: model.stat().st_size // 2])
    for path, said in ((half, "incomplete"), (tmp_path / "none.gguf", "no such")):
        with pytest.raises(KnownError, match=said):
            tasks.driven(plan_judge(project, user, model=path))


def test_a_model_too_large_for_the_memory_is_refused_with_the_numbers(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from errormap_core.judge import memory

    monkeypatch.setattr(memory, "memory_there", lambda: memory.MemoryThere(50 << 20, 1 << 30))
    with pytest.raises(KnownError, match="needs about"):
        tasks.driven(plan_judge(project, UserSettings(tmp_path / "settings.json")))


def test_the_cores_are_shared_among_engines(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    settings = EngineSettings(model, threads=8)
    assert placements(settings, 1) == (settings,)
    monkeypatch.setattr(starting, "_memory_nodes", lambda: [[0, 1, 2, 3], [4, 5, 6, 7]])
    first, second = placements(settings, 2)
    assert (first.cpus, second.cpus) == ((0, 1, 2, 3), (4, 5, 6, 7))
    assert first.threads == second.threads == 4
    monkeypatch.setattr(starting, "_memory_nodes", lambda: [[0, 1]])
    assert [engine.cpus for engine in placements(settings, 3)] == [(), (), ()]
    assert default_threads() >= 1


def test_gpus_are_one_an_engine(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    class Two:
        gpus = ("one", "two")

    monkeypatch.setattr(starting, "ask_devices", Two)
    engines = placements(EngineSettings(model, threads=8, gpu_layers=-1), 2)
    assert [engine.main_gpu for engine in engines] == [0, 1]
    assert engines[1].load_request()["placement"]["main_gpu"] == 1


def test_stopping_leaves_nothing_behind(model: Path) -> None:
    kept_folder().mkdir(parents=True, exist_ok=True)
    before = set(kept_folder().iterdir())
    with pytest.raises(tasks.Stopped):
        tasks.driven(tune(model, cancelled=lambda: True))
    assert set(kept_folder().iterdir()) == before


def test_what_was_measured_is_forgotten_with_the_copy(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERRORMAP_STUDIO_CACHE", str(tmp_path))
    own = tmp_path / "own.gguf"
    shutil.copy(model, own)
    monkeypatch.setattr(tuning, "BUDGET_S", 0.1)  # the first measurement will do
    tasks.driven(tune(own, copies="never"))
    assert known_tuning(own, copies="never") is not None
    assert forget_tuning(own) > 0
    assert known_tuning(own, copies="never") is None
    assert list(kept_folder().iterdir()) == []


def test_a_copy_that_somebody_removed_is_made_again(tmp_path: Path, copied: tuple[Path, Tuning]) -> None:
    model, tuned = copied
    aside = tmp_path / "aside.gguf"
    shutil.move(tuned.copy, aside)
    assert known_tuning(model) is None
    shutil.move(aside, tuned.copy)
    assert known_tuning(model) == tuned
