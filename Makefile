# Every target sets up what it needs by itself: virtual environments in .venv and .envs, nothing outside this folder.

VENV := .venv
BIN := $(VENV)/bin
TORCH := torch==2.13.0
JOURNEYS := .envs/sagemaker-v2 .envs/sagemaker-v3 .envs/awscli

.PHONY: setup demo test test-all check format bench docs constraints clean

setup: $(VENV)/.ready  ## the development environment

demo: setup  ## train, deploy and predict, end to end
	$(BIN)/clary demo

test: setup $(JOURNEYS:=/.ready)  ## the suite, with the journeys of unmodified AWS clients
	$(BIN)/pytest -n 3 --dist loadfile -m "not slow"

test-all: setup $(JOURNEYS:=/.ready)  ## the suite with its long tests
	$(BIN)/pytest -n 3 --dist loadfile

check: setup  ## linter, formatting, types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: setup  ## apply the formatting
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.ready-bench  ## ours against the peers, ratios printed
	$(BIN)/python -m benchmarks

docs: setup  ## the pages that are generated from the code
	$(BIN)/clary services --markdown docs/services
	$(BIN)/python tools/parameters.py

constraints: setup  ## renew the tested versions
	$(BIN)/uv pip compile pyproject.toml --extra plots --extra test --extra bench --universal --python-version 3.11 --no-annotate --no-header --upgrade -o constraints.txt

clean:
	rm -rf $(VENV) .envs .pytest_cache .mypy_cache .ruff_cache .hypothesis

# pip installs PyTorch, which uv would take with CUDA (gigabytes) wherever an index offers it; `make setup TORCH=` goes without
$(VENV)/.ready: pyproject.toml constraints.txt tools/environment
	tools/environment $(VENV) --constraint constraints.txt --editable '.[test]'
	[ -z "$(TORCH)" ] || $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt $(TORCH) || \
		echo "setup: $(TORCH) cannot be installed; what needs it, tests and benchmarks, is skipped" >&2
	$(BIN)/python -c 'from clary.algorithms import *; import clary.algorithms.trees.forest'  # compiles the kernels; numba keeps them
	touch $@

$(VENV)/.ready-bench: $(VENV)/.ready
	tools/environment $(VENV) --constraint constraints.txt --editable '.[test,bench]'
	touch $@

.envs/%/.ready: tests/journeys/environments/%.txt tools/environment
	mkdir -p .envs
	tools/environment $(@D) --requirement $<
	touch $@
