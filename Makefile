# The commands of the project. Needs Python 3.11 or later and make, nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
OUT    ?= microcalc-demo

.PHONY: help demo test slow check format bench verify-r clean

help:
	@echo "make demo      the whole study on synthetic phantoms: minutes, into $(OUT)/"
	@echo "make test      the tests"
	@echo "make slow      the tests that run long"
	@echo "make check     format, lint, types, tests: what CI runs first"
	@echo "make bench     the benchmarks; figures stand in benchmarks/README.md"
	@echo "make verify-r  compare the statistics live with R (pROC, geepack)"

# One stamp for each set of packages: installed once, again when pyproject.toml changes.
$(VENV)/.train: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[train]'
	touch $@

$(VENV)/.dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/.train

demo: $(VENV)/.train
	$(BIN)/microcalc demo --out $(OUT)

test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m "not slow" -n 2 --dist loadfile

slow: $(VENV)/.dev
	$(BIN)/python -m pytest -q -m slow

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(MAKE) test

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.train
	$(BIN)/python -m benchmarks.read
	$(BIN)/python -m benchmarks.statistics
	$(BIN)/python -m benchmarks.cohort
	$(BIN)/python -m benchmarks.intake
	$(BIN)/python -m benchmarks.reading
	$(BIN)/python -m benchmarks.reader
	$(BIN)/python -m benchmarks.page

verify-r: $(VENV)/.dev
	$(BIN)/python -m benchmarks.verify_r

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
