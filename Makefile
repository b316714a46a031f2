# `make help` lists the targets. Needs Python 3.11 or newer and make; everything else is installed into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
PORT ?= 8501
HOST ?= 127.0.0.1
BIN := .venv/bin
STAMP := .venv/.installed
.DEFAULT_GOAL := help
.PHONY: help setup run demo test lint types unit slow bench schema golden clean

help: ## List the targets
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; found $$($(PYTHON) --version). Set PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@printf '#!%s/$(BIN)/python\nimport sys\n\nsys.path.insert(0, "%s")\nfrom cli.app import main  # imported, not run: its bytecode is cached\n\nmain()\n' "$(CURDIR)" "$(CURDIR)" > $(BIN)/kpi && chmod +x $(BIN)/kpi
	@$(BIN)/python -m compileall -q cli connectors jobs metrics ui  # the first command is as fast as the second
	@touch $@

setup: $(STAMP) ## Install into .venv; leaves .venv/bin/kpi

run: $(STAMP) ## Fill the demo and serve the dashboard at http://127.0.0.1:8501 (PORT=8600, KPI_PROJECT=dir)
	@test -n "$$KPI_PROJECT" || ! grep -q '^demo: true' metrics/definitions/settings.yml || $(BIN)/kpi demo || echo "The demo is not complete; the page *Data* says why."
	@$(BIN)/kpi run --host $(HOST) --port $(PORT)

demo: $(STAMP) ## Make and fill the demo project only
	@$(BIN)/kpi demo

test: $(STAMP) lint types unit ## Lint, type-check and test

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: $(STAMP)
	$(BIN)/mypy

unit: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadgroup

slow: $(STAMP) ## The long property tests
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m slow

bench: $(STAMP) ## Measure (benchmarks/README.md)
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/loading.py
	$(BIN)/python benchmarks/workload.py
	$(BIN)/python benchmarks/rolling.py
	$(BIN)/python benchmarks/alert_speed.py

schema: $(STAMP) ## Rewrite docs/schema from the models
	$(BIN)/python -c "from pathlib import Path; from metrics.catalog.schema import write; write(Path('docs/schema'))"

golden: $(STAMP) ## Rewrite the golden files; read the diff
	$(BIN)/python -m pytest -q tests -k golden --update-golden

clean: ## Remove .venv and generated data
	rm -rf .venv data/demo data/generations data/live data/*.json data/*.lock data/state.sqlite*
