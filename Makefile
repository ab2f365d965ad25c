# Two commands do all the set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# One worker for each of two cores; engines start containers no faster with more.
WORKERS ?= 2

.PHONY: help demo test swarm soak check bench load docs format clean
help:  ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

demo: .venv/.test engine  ## build, start, test and remove the example project
	$(BIN)/python -m pytest -v -p no:randomly -p no:cacheprovider -c examples/shop/pytest.ini examples/shop

# Its many processes would compile everything once more each, where bytecode is not to be written.
test: export PYTHONDONTWRITEBYTECODE =
test: .venv/.test engine registry  ## the whole suite, in random order and in parallel
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)
	$(if $(ARGS),,$(MAKE) swarm)

# By itself: an engine that leaves a swarm forgets the names of all containers that run.
swarm: .venv/.test engine  ## services of a swarm that is made for the tests; nothing else may run on the engine
	$(BIN)/python -m pytest tests/swarm

KILLS ?= 100
soak: .venv/.test engine  ## runs that are killed at random moments, 100 of them or KILLS=; nothing may be left after 5 s
	DOCKERKIT_KILLS=$(KILLS) $(BIN)/python -m pytest -p no:randomly -s -k random_moments tests/faults/test_kill.py $(ARGS)

check: .venv/.check  ## lint, types, layers, docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir .venv/site

bench: .venv/bench/.ready engine  ## measure, beside other plugins and the bare engine; shorter with ARGS=--quick
	.venv/bench/bin/python benchmarks/run.py $(ARGS)

load: .venv/.test engine  ## what becomes of 1,000 containers and of 64 at once; a tenth with ARGS='--scale 0.1'
	$(BIN)/python benchmarks/load.py $(ARGS)

docs: .venv/.check  ## the documentation, served on this machine
	$(BIN)/mkdocs serve

format: .venv/.check  ## put the code into form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove what the other commands have made here; images stay
	rm -rf .venv site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.PHONY: engine
engine:
	@sh scripts/ensure-engine.sh
	@$(PYTHON) scripts/base-images.py

.PHONY: registry
registry: | .venv/bin/python
	@sh scripts/registry.sh

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.test: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --upgrade pip  # --group is there from 25.1 on
	$(BIN)/python -m pip install --quiet --editable . --group test
	@touch $@

.venv/.check: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --upgrade pip  # --group is there from 25.1 on
	$(BIN)/python -m pip install --quiet --editable . --group test --group check --group docs
	@touch $@

# The other plugins have an environment of their own. One that cannot be had here is left out of the measurements.
PEERS := pytest-docker pytest-docker-tools pytest-container testcontainers
.venv/bench/.ready: pyproject.toml | .venv/bin/python
	$(PYTHON) -m venv .venv/bench
	.venv/bench/bin/python -m pip install --quiet --upgrade pip
	.venv/bench/bin/python -m pip install --quiet --editable '.[xdist]'
	.venv/bench/bin/python -m pip install --quiet --group bench || for peer in $(PEERS); do \
	  .venv/bench/bin/python -m pip install --quiet "$$peer" || echo "$$peer cannot be installed: left out"; done
	@touch $@
