# `make help` lists the targets. Needs Python 3.11 or newer and make; everything else is installed into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
PORT ?= 8501
HOST ?= 127.0.0.1
BIN := .venv/bin
STAMP := .venv/.installed
ENGINES := .venv/.engines
# On all cores, which pip does not; what a library has that is no Python of this version is no matter, as with pip.
COMPILE = $(BIN)/python -m compileall -qq -j 0 -x '/tests/' .venv/lib || true
UV := uv==0.13.9
# One answer for Linux, macOS and every Python from 3.11 on; what differs gets an environment marker that pip reads.
RESOLVE := pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'
.DEFAULT_GOAL := help
.PHONY: help setup lock run demo test lint types unit slow prove bench schema golden clean
# `make prove engine` is `make prove AREA=engine`: the second word is no target then.
ifeq (prove,$(firstword $(MAKECMDGOALS)))
AREA ?= $(word 2,$(MAKECMDGOALS))
.PHONY: $(AREA)
$(eval $(AREA):;@:)
endif

help: ## List the targets
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements.lock Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; found $$($(PYTHON) --version). Set PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements.lock
	@printf '#!%s/$(BIN)/python\nimport sys\n\nsys.path.insert(0, "%s")\nfrom cli.app import command  # imported, not run: its bytecode is cached\n\ncommand()\n' "$(CURDIR)" "$(CURDIR)" > $(BIN)/kpi && chmod +x $(BIN)/kpi
	@$(COMPILE)
	@$(BIN)/python -m compileall -q api cli connectors jobs metrics ui  # the first command is as fast as the second
	@touch $@

$(ENGINES): $(STAMP) requirements-clickhouse.txt requirements-spark.txt requirements-spark-server.txt
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -r requirements-clickhouse.txt -r requirements-spark.txt
	@! command -v java > /dev/null || \
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --no-deps --upgrade --target .venv/spark -r requirements-spark-server.txt
	@$(COMPILE)
	@touch $@

setup: $(STAMP) ## Install into .venv; leaves .venv/bin/kpi

lock: ## Renew both locks from requirements.txt; ALL=1 takes newer versions of what it does not pin
	@test -x .venv-lock/bin/python || $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check $(UV)
	.venv-lock/bin/uv $(RESOLVE) $(if $(ALL),--upgrade) requirements.txt -o requirements.lock
	sed '/^# Tests and checks/,$$d' requirements.txt | .venv-lock/bin/uv $(RESOLVE) --no-annotate -c requirements.lock - -o requirements-runtime.lock

run: $(STAMP) ## Fill the demo and serve the dashboard at http://127.0.0.1:8501 (PORT=8600, KPI_PROJECT=dir)
	@test -n "$$KPI_PROJECT" || ! grep -q '^demo: true' metrics/definitions/settings.yml || $(BIN)/kpi demo || echo "The demo is not complete; the page *Data* says why."
	@$(BIN)/kpi run --host $(HOST) --port $(PORT) $(OPEN)

demo: $(STAMP) ## Make and fill the demo project only
	@$(BIN)/kpi demo

test: $(STAMP) lint types unit ## Lint, type-check, test and print the coverage

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: $(STAMP)
	$(BIN)/mypy --num-workers 2

unit slow: export OPENBLAS_NUM_THREADS = 1
# What pytest makes of 200 files is kept: each process would make it again.
unit slow: export PYTHONDONTWRITEBYTECODE =
# A test that hangs says where, and fails; the longest takes a quarter of this.
unit slow: export PYTEST_ADDOPTS += -o faulthandler_timeout=400 -o faulthandler_exit_on_timeout=true
unit: $(STAMP)
	$(BIN)/python -m slipcover -m pytest -n 3 --durations=20  # the third fills the pauses in which the others wait

slow: $(ENGINES) ## What takes long, more random cases of each property, and the ways that `make test` left
	KPI_CASES=slow $(BIN)/python -m pytest -n 3 --durations=20 -m "slow or sampled or breadth" --after-test

prove: $(ENGINES) ## All random cases of an area, kept in docs/proofs: make prove engine (SEED=7)
	$(BIN)/python benchmarks/prove.py $(or $(AREA),--help) $(if $(SEED),--seed $(SEED))

bench: $(STAMP) ## Measure, and fail where a limit is missed (docs/performance.md; SCALE=10M)
	$(BIN)/python benchmarks/loading.py
	$(BIN)/python benchmarks/table.py $(if $(SCALE),--scale $(SCALE)) $(if $(TOOLS),--tools $(TOOLS))

schema: $(STAMP) ## Rewrite docs/schema from the models
	$(BIN)/python -c "from pathlib import Path; from metrics.catalog.schema import write; write(Path('docs/schema'))"
	$(BIN)/python -c "import json; from pathlib import Path; from api.routes import description; Path('docs/schema/openapi.json').write_text(json.dumps(description(), indent=1, sort_keys=True) + '\n')"

golden: $(STAMP) ## Rewrite the golden files and the net; read the diff
	$(BIN)/python -m pytest -q -m "slow or not slow" tests -k "golden or recorded" --update-golden

clean: ## Remove .venv and generated data
	rm -rf .venv .venv-lock data/demo data/generations data/live data/*.json data/*.lock data/state.sqlite*
