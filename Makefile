# Two commands do everything: `make demo` runs the main job, `make test` passes the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := sweeps/unroll_depth.yaml

.PHONY: help setup data browser demo test check unit slurm chaos bench ranks gpu lock clean
.NOTPARALLEL:

help:  ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

setup: $(STAMP)  ## create .venv with the pinned packages

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "error: Python 3.11 to 3.13 is needed; try: make PYTHON=python3.11 setup" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || bash .ci/apt python3-venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

data: setup  ## find or get Fashion-MNIST
	@$(BIN)/python jobs/fetch_data.py fashion_mnist || \
	  { bash .ci/apt dataset-fashion-mnist && $(BIN)/python jobs/fetch_data.py fashion_mnist; }

browser:  ## find or get Chromium, which the report page is tested in
	@{ command -v chromium && command -v chromedriver; } >/dev/null || bash .ci/apt chromium chromium-driver

demo: data  ## run the unroll-depth sweep, shortened, on this machine
	$(BIN)/python jobs/submit.py $(DEMO) --debug

test: setup  ## set up, lint, check types and run all tests
	@$(MAKE) --no-print-directory data || [ -z "$$HW5HPC_REQUIRE_ALL" ]
	@$(MAKE) --no-print-directory browser || [ -z "$$HW5HPC_REQUIRE_ALL" ]
	@command -v zsh >/dev/null || bash .ci/apt zsh || [ -z "$$HW5HPC_REQUIRE_ALL" ]
	@$(MAKE) --no-print-directory check unit slurm

check: setup  ## linter, formatter, types, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: setup  ## the tests that need no Slurm
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist loadfile -m "not slurm" $(PYTEST_ARGS)

SLURM = OMP_NUM_THREADS=1 $(BIN)/pytest -q
# Of tests that were picked by name, none may be among these.
NONE_IS_FINE = $(if $(PYTEST_ARGS),|| [ $$? -eq 5 ])
slurm: setup  ## the tests on a real Slurm (root installs and starts one)
	@if [ -z "$$HW5HPC_REQUIRE_ALL" ] && [ "$$(id -u)" -ne 0 ] && [ ! -x /usr/sbin/slurmctld ]; then \
	  echo "no Slurm here, and only root can install it: its tests are left out"; \
	else \
	  $(SLURM) -n 3 --dist loadfile -m "slurm and not alone" $(PYTEST_ARGS) $(NONE_IS_FINE) && \
	  $(SLURM) -m "slurm and alone" $(PYTEST_ARGS) $(NONE_IS_FINE); \
	fi

chaos: setup  ## sweeps under faults of eleven kinds, compared with sweeps left alone (as root)
	$(BIN)/python tests/chaos/chaos.py $(CHAOS_ARGS)

bench: setup  ## training steps and a mixed sweep against plain loops and scripts
	$(BIN)/python tests/benchmark/bench.py $(BENCH_ARGS)

ranks: setup  ## the time of a training step against processes and threads
	$(BIN)/python tests/benchmark/step_time.py $(BENCH_ARGS)

gpu: setup  ## on a GPU: captured steps, runs side by side, and whether both keep every bit
	$(BIN)/python tests/benchmark/gpu.py $(GPU_ARGS)

lock:  ## write requirements.lock anew from pyproject.toml
	@set -e; scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; \
	$(PYTHON) -m venv $$scratch; \
	$$scratch/bin/pip install --quiet --upgrade setuptools -e '.[dev]'; \
	$$scratch/bin/pip freeze --all --exclude-editable --exclude pip > $$scratch/lock; \
	cp $$scratch/lock requirements.lock

clean:  ## remove what set-up and the tests made (never outputs/)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
