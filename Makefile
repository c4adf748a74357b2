# Everything a developer or a user does with a checkout. `make help` lists it.
# A fresh machine needs make and Python >= 3.11; the rest is put into .venv, at the versions in the lock files.

VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
CODE := $(wildcard src tests bench monitoring .githooks hatch_build.py)
# The first Python that is new enough; name another with `make PYTHON=/path/to/python …` after `make clean`.
PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,$(shell \
    $(name) -c 'import sys; sys.version_info >= (3, 11) and print("$(name)")' 2>/dev/null)))
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-emit-find-links --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)
# What shares an expensive fixture stays on one worker, see tests/workers.py; WORKERS=0 runs all in one process.
WORKERS := auto
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder
# hatch_build.py needs npm, and takes it from PyPI where the machine has none.
INSTALL_NODE := command -v npm >/dev/null || \
    $(UV) pip install --quiet --python $(BIN)/python --require-hashes --requirements requirements-node.lock
INSTALL_PROJECT := $(UV) pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps --editable .

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run setup servers test quick soak check lint audit secrets licences sbom format bench compare eval build dashboard screenshots index chart lock clean

help: ## Say what there is to make
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sort | \
	    awk -F ':.*## ' '{printf "  \033[1mmake %-11s\033[0m %s\n", $$1, $$2}'

run: $(VENV)/.runtime ## Serve on http://localhost:8080 with SQLite (ARGS="--demo" for 90 days of alerts)
	@exec $(BIN)/alert-history serve $(ARGS)

setup: $(VENV)/.dev ## Make .venv with all that development needs
	@echo "Ready: source $(BIN)/activate; $(BIN)/pre-commit install checks each commit and its message"

servers: ## Install the servers that tests run against (apt), where they are lacking
	@tests/install-servers

test: $(VENV)/.dev servers ## Run the tests against real servers (ARGS="-k retention" for some)
	@exec $(PYTEST) $(ARGS)

quick: $(VENV)/.dev ## Run in a minute what needs no server
	@exec $(PYTEST) -m "not long" $(ARGS) tests/unit

soak: $(VENV)/.dev servers ## Crash the publisher in 1 000 stories on each database (CRASH_CASES=9000 for more)
	@exec env CRASH_CASES=$(or $(CRASH_CASES),1000) $(BIN)/python -m pytest -n 2 --dist load --timeout 0 $(ARGS) \
	    tests/conformance/test_crashes.py

check: lint secrets licences audit test ## All that CI asks: format, lint, types, layers, supply, tests (the docs' among them)

lint: $(VENV)/.dev ## Format, lint, types and layers, without tests
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports --no-logo

audit: $(VENV)/.dev ## Ask whether a vulnerability is known in what the lock files hold (AUDIT_URL=… another OSV)
	@$(BIN)/python -m tests.supply.audit

secrets: $(VENV)/.dev ## Look for secrets in all files (ACCEPT=1: those that are there are made up)
	@$(BIN)/python -m tests.supply.secret_scan $(if $(ACCEPT),--accept)

licences: $(VENV)/.dev ## Check the licences of all that comes with us
	@$(BIN)/python -m tests.supply.licences

format: $(VENV)/.dev ## Format the code and mend what ruff can mend
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

bench: $(VENV)/.dev servers ## Measure speed and memory; prints a table
	@exec $(BIN)/python bench/run.py $(ARGS)

compare: $(VENV)/.dev servers ## Measure this checkout beside an older one, in turn (ARGS="REVISION --rounds 7")
	@exec $(BIN)/python -m bench.against $(ARGS)

eval: $(VENV)/.dev ## Score classifications on labelled alerts; with LLM_PROXY_URL the model's, too
	@exec $(BIN)/python -m tests.evaluation $(ARGS)

build: $(VENV)/.dev ## Build the wheel and the source archive into dist/
	$(BIN)/hatchling build -d dist

sbom: $(VENV)/.dev ## Write the bill of materials of a release into dist/, as CycloneDX
	@$(BIN)/python -m tests.supply.materials dist/alert-history.cdx.json

dashboard: $(VENV)/.dev ## Write the Grafana dashboard anew from monitoring/dashboard.py
	$(BIN)/python -m monitoring.dashboard

screenshots: $(VENV)/.dev ## Take a picture of every page, in every state, into screenshots/
	@exec $(BIN)/python -m tests.browser.screenshots

index: $(VENV)/.dev ## Write anew which tests hold which module: tests/INDEX.md
	$(BIN)/python -m tests.index

chart: dashboard ## Copy monitoring/ into the Helm chart, and its values into its README
	$(BIN)/python -m tests.chart.documents

lock: $(UV) ## Write the lock files anew (UPGRADE=1 for newer versions)
	$(COMPILE) --group build --output-file requirements-build.lock
	$(COMPILE) --group node --output-file requirements-node.lock
	$(COMPILE) pyproject.toml --output-file requirements.lock
	$(COMPILE) pyproject.toml --all-extras --group dev --constraint requirements.lock \
	    --constraint requirements-build.lock --output-file requirements-dev.lock
	$(COMPILE) bench/alerta.in --output-file bench/alerta.lock

clean: ## Remove .venv, dist and caches; databases stay
	rm -rf $(VENV) dist build .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

$(UV): requirements-build.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed. Install it, or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$(PYTHON) can't make virtual environments. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-build.lock
	@touch $@

# Adds to what is there, so that a development environment stays one.
$(VENV)/.runtime: requirements.lock pyproject.toml package-lock.json hatch_build.py $(UV)
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes --requirements requirements.lock
	@$(INSTALL_NODE)
	@$(INSTALL_PROJECT)
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml package-lock.json hatch_build.py $(UV)
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements-dev.lock
	@$(INSTALL_NODE)
	@$(INSTALL_PROJECT)
	@touch $@ $(VENV)/.runtime
