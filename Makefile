# ErrorMap Studio. `make` alone lists what there is.
# Everything runs in .venv, which packaging/set_up.py makes and keeps in step with the pinned versions.

PYTHON ?= $(firstword $(foreach name,python3.12 python3.11 python3,$(if $(shell $(name) --version 2>/dev/null),$(name))))
PY := .venv/bin/python
OUT ?= out

.DEFAULT_GOAL := help
.PHONY: help set-up set-up-dev run demo test check bench soak format pins sample sample-answers sample-proposals screenshots wheel clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

set-up:  ## what a user needs, in .venv (the other targets call it)
	@$(PYTHON) packaging/set_up.py

set-up-dev:  ## what development needs besides
	@$(PYTHON) packaging/set_up.py --dev

run: set-up  ## the window, on the sample project
	@$(PY) -m app.main --sample

demo: set-up  ## the whole job without a window: 5 failures of the sample, judged, proposed, accepted, exported
	@$(PY) -m errormap_core.cli demo

test: check  ## all checks and all tests
	QT_QPA_PLATFORM=offscreen $(PY) -m pytest

check: set-up-dev  ## what can be said without running the program: style, types, imports, pins, licences, sample
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports
	$(PY) packaging/pins.py --check
	$(PY) packaging/licences.py --check

bench: set-up-dev  ## ratios against named baselines
	QT_QPA_PLATFORM=offscreen $(PY) -m benchmarks

soak: set-up-dev  ## the tests that run for minutes, in full length
	ERRORMAP_SOAK=1 QT_QPA_PLATFORM=offscreen $(PY) -m pytest -m soak

format: set-up-dev  ## put the code into its form
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

pins:  ## write the lists of versions and licences from what .venv holds
	$(PY) packaging/pins.py
	$(PY) packaging/licences.py

sample: set-up  ## the sample project, built from its text into out/sample.errormap
	@mkdir -p $(OUT) && rm -f $(OUT)/sample.errormap
	$(PY) -c "from pathlib import Path; from errormap_core.sample.build import build_sample; build_sample(Path('$(OUT)/sample.errormap')).close()"

sample-answers: set-up-dev  ## answer the sample's questions anew with the small models
	$(PY) packaging/make_sample_answers.py

sample-proposals: set-up-dev  ## propose categories from the sample's gold analyses anew
	$(PY) packaging/make_sample_proposals.py

screenshots: set-up-dev  ## every screen, light and dark, into docs/screenshots
	QT_QPA_PLATFORM=offscreen $(PY) packaging/screenshots.py

wheel: set-up-dev  ## the wheel, in dist/
	$(PY) -m build --wheel --no-isolation

clean:  ## remove what was built; .venv and the kept build of llama.cpp stay
	rm -rf build dist $(OUT) .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
