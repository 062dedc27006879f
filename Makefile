# Every command of the project. `make demo` and `make test` set up the virtual environment by themselves.
PYTHON      ?= python3
VENV        ?= .venv
CONSTRAINTS ?= constraints.txt
OUT         ?= runs/digits
OWN         ?= runs/places
PY          := $(VENV)/bin/python
STAMP       := $(VENV)/.ready

.PHONY: demo test slow lint bench docs clean

$(STAMP): pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) torch
	$(PY) -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[dev,fast,boosting,vision,data,track,export,hub,docs,cluster]'
	touch $@

demo: $(STAMP)
	$(VENV)/bin/manylabel run digits --seeds 2 --fraction 0.2 --out $(OUT)
	mkdir -p $(OWN)
	$(VENV)/bin/manylabel data example $(OWN)/places.csv
	$(VENV)/bin/manylabel data example $(OWN)/test.csv --rows 200 --seed 1
	$(VENV)/bin/manylabel fit $(OWN)/places.csv --labels tags --out $(OWN)/model --overwrite --validation 0.2
	$(VENV)/bin/manylabel evaluate $(OWN)/model $(OWN)/test.csv --train $(OWN)/places.csv --out $(OWN)/report
	$(VENV)/bin/manylabel predict $(OWN)/model $(OWN)/test.csv --id name --out $(OWN)/predictions.csv

test: $(STAMP) lint
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 $(ARGS)

slow: $(STAMP)
	OMP_NUM_THREADS=1 $(PY) -m pytest -m slow $(ARGS)

lint: $(STAMP)
	$(VENV)/bin/ruff check src tests benchmarks docs/rendering
	$(VENV)/bin/ruff format --check src tests benchmarks docs/rendering
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: $(STAMP)
	$(PY) -m benchmarks.losses --threads 1,2 $(ARGS)

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict

clean:
	rm -rf $(VENV) runs site .pytest_cache .mypy_cache .ruff_cache
