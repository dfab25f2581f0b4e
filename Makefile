# Each target does the set-up it needs; the stamps under $(VENV) keep it from being repeated.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed.stamp
WARM := $(VENV)/warm.stamp

export OPENBLAS_NUM_THREADS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test lint bench pictures clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    compile and run the handwritten-digit classifier"
	@echo "make test    lint, type-check and test everything"
	@echo "make lint    lint and type-check only"
	@echo "make bench   measure the compiler, the emulator and pruning"
	@echo "make pictures  draw the pictures of the documents anew (needs chromium)"
	@echo "make clean   remove the environment and everything cached"
	@echo
	@echo "PYTHON=python3.12 chooses the interpreter of the environment ($(VENV))."

demo: $(WARM)
	@$(BIN)/python examples/digits.py

test: lint $(WARM)
	$(BIN)/pytest -q -n 2

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

pictures: $(WARM)
	$(BIN)/python docs/make_pictures.py

bench: $(WARM)
	$(BIN)/python benchmarks/run.py
	$(BIN)/python -m benchmarks.bench_pruning

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "meshc needs Python 3.11 or newer; say: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
		|| { rm -rf $(VENV); echo "cannot make a virtual environment; on Debian: apt install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# The event engine is compiled once, here, so that no run waits for it.
$(WARM): $(INSTALLED) $(wildcard emulator/engine/*.py)
	$(BIN)/python -m emulator.warm
	@touch $@
