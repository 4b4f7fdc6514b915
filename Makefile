# `make demo` and `make test` need Python 3.11+ and a package index; the environment is made on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-cluster lint check bench faults clean

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip setuptools wheel
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	DS_BUILD_OPS=0 $(BIN)/python -m pip install --quiet --no-build-isolation --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

demo: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/demo.sh

# files in the order of tests/conftest.py; bytecode of the tests is kept, whatever the environment says
test: $(READY)
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder

# several hosts made of namespaces, on this machine; needs root and the packages that CONTRIBUTING.md names
test-cluster: $(READY)
	$(BIN)/python -m pytest tests/cluster -rs --durations=10

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint test

bench: $(READY)
	$(BIN)/python benchmarks/bench_masking.py
	$(BIN)/python benchmarks/bench_collator.py
	$(BIN)/python benchmarks/bench_batches.py
	$(BIN)/python benchmarks/bench_preparation.py

# 50 kills at random moments and every fault of tests/faults/entries.py, against undisturbed runs; for some of them root is needed
faults: $(READY)
	$(BIN)/python tests/faults/inject.py --moments 50

clean:
	rm -rf runs/demo
