# `make` alone prints what there is. Everything works from a fresh checkout with Python 3.11+ and make, nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
# Libraries are compiled as they are first imported: compiling all of them at installation takes twice as long as it
# saves, but not keeping the result would cost every process seconds.
unexport PYTHONDONTWRITEBYTECODE

# The first of these that is new enough; `make PYTHON=/path/to/python install` takes another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$p; exit; fi; done; echo python3)
# Test processes; more than four only take turns at the same disk. A group shares what it starts.
PYTEST ?= $(BIN)/python -m pytest -q -n auto --maxprocesses=4 --dist loadgroup
PROJECT ?= demo/everfit.yaml

VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
EVERFIT := $(BIN)/everfit
SYNC := $(UV) pip install --quiet --python $(BIN)/python
# A runtime-only environment is enough to use everfit; one made for the tests serves as well.
READY := $(if $(wildcard $(VENV)/.dev),$(VENV)/.dev,$(VENV)/.runtime)
DOCS_TESTS := $(wildcard tests/architecture/test_docs_*.py) tests/architecture/test_requirements.py
# What does not run by itself is a part of the others.
BENCHMARKS = $(basename $(notdir $(shell grep -l __main__ benchmarks/*.py | sort | xargs grep -l -- --quick | grep -v __init__)))
COVER := --cov --cov-report=

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  \033[1m%-24s\033[0m %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

## Environment ---------------------------------------------------------------------------------------------------------
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "everfit needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) -V 2>&1 || true)."; \
	  echo "  fix: install one and run: make PYTHON=/path/to/python3.11 install"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "'$(PYTHON) -m venv' failed."; \
	  echo "  fix: install the venv module (on Debian and Ubuntu: apt-get install python3-venv)"; exit 1; }

$(VENV)/.uv: requirements-uv.txt | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-uv.txt
	@touch $@

$(VENV)/.runtime: requirements.txt pyproject.toml $(VENV)/.uv
	@$(SYNC) --require-hashes -r requirements.txt
	@$(SYNC) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.txt pyproject.toml $(VENV)/.uv
	@$(SYNC) --require-hashes -r requirements-dev.txt
	@$(SYNC) --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.runtime

.PHONY: venv install install-dev lock
venv: $(VENV)/.uv ## Make .venv with uv in it
install: $(READY) ## Install everfit and what it runs on into .venv, every file checked by hash
install-dev: $(VENV)/.dev ## The same with what the tests need
# What `make install` brings beyond the core: the two gradient boosting libraries that compete by default.
EXTRAS = xgboost lightgbm
LOCK = $(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 $(UPGRADE)
lock: $(VENV)/.uv ## Write the three lock files anew (UPGRADE=--upgrade takes newer versions)
	$(LOCK) --all-extras --group dev pyproject.toml --output-file requirements-dev.txt
	$(LOCK) $(addprefix --extra ,$(EXTRAS)) --constraints requirements-dev.txt pyproject.toml --output-file requirements.txt
	printf 'uv\nhatchling\neditables\n' | $(LOCK) --constraints requirements-dev.txt - --output-file requirements-uv.txt

## Use -----------------------------------------------------------------------------------------------------------------
.PHONY: demo run-data-pipeline run-training-pipeline run-deployment-pipeline check-status bench-quick
demo: $(READY) ## The whole loop on churn data: train, release, traffic, drift, labels, retraining
	@$(EVERFIT) demo
run-data-pipeline: $(READY) ## Read, check and version the data of PROJECT and train on it, all that changed
	@$(EVERFIT) run --project $(PROJECT)
run-training-pipeline: run-data-pipeline ## The same run: steps that did not change come from the cache
run-deployment-pipeline: $(READY) ## Put the newest version of PROJECT in front of traffic
	@$(EVERFIT) release --project $(PROJECT)
check-status: $(READY) ## What is installed and working, and what PROJECT is doing
	@$(EVERFIT) doctor --project $(PROJECT)
	@$(EVERFIT) status --project $(PROJECT)
bench-quick: $(VENV)/.dev ## The benchmarks, small
	@for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name --quick; done

## Checks --------------------------------------------------------------------------------------------------------------
.PHONY: test lint format fix types contracts unit integration docs coverage test-unit test-integration test-coverage
test: ## Everything that must hold, in this order
	@for target in lint format types contracts unit integration docs coverage; do \
	  echo "== $$target"; start=$$SECONDS; $(MAKE) --no-print-directory $$target; echo "   $$((SECONDS - start)) s"; done
lint: $(VENV)/.dev ## Style
	@$(BIN)/ruff check --quiet .
format: $(VENV)/.dev ## Layout (`make fix` mends it)
	@$(BIN)/ruff format --quiet --check . || { echo "  fix: make fix"; exit 1; }
fix: $(VENV)/.dev ## Mend layout and what the linter can mend
	@$(BIN)/ruff check --quiet --fix --exit-zero .
	@$(BIN)/ruff format .
types: $(VENV)/.dev ## Types, strict, tests too
	@$(BIN)/mypy
contracts: $(VENV)/.dev ## Who may import whom, and the sizes of things
	@$(BIN)/lint-imports --no-logo
	@$(PYTEST) tests/architecture $(addprefix --ignore=,$(DOCS_TESTS))
unit: $(VENV)/.dev ## Unit tests and the examples in docstrings
	@rm -f .coverage .coverage.*
	@$(PYTEST) $(COVER) tests/unit $(wildcard tests/adapters) src
integration: $(VENV)/.dev ## Whole journeys, in real processes
	@$(PYTEST) $(COVER) --cov-append tests/integration $(wildcard tests/services)
docs: $(VENV)/.dev ## Build the documentation, and check each command, setting and requirement in it
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@$(PYTEST) $(DOCS_TESTS)
coverage: $(VENV)/.dev ## Coverage of the last tests: the total, coverage.xml and htmlcov/
	@$(BIN)/coverage report --format=total | sed 's/$$/% of lines and branches/'
	@$(BIN)/coverage xml -q
	@$(BIN)/coverage html -q
test-unit: unit
test-integration: integration
test-coverage: unit integration coverage

.PHONY: reference
reference: $(VENV)/.dev ## Write docs/reference/settings.md anew from the sections' types
	@$(BIN)/python -m everfit.project.describe > $@.md && mv $@.md docs/reference/settings.md

.PHONY: clean
clean: ## Remove all that is made here: environment, demo, caches, reports
	@rm -rf $(VENV) demo site htmlcov build dist coverage.xml .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache \
	  .hypothesis .import_linter_cache
	@find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
