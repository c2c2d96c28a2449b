# make demo | test | test-ui | lab | docs | bench: each first makes .venv and installs what it needs.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PINS := settings.ini constraints.txt setup.py sports_nb/layers/involution.cpp

# Real data is looked for only where this variable points; set it (also to nothing) to decide yourself.
ifeq ($(origin SPORTS_NB_DATA),undefined)
ifneq ($(wildcard ../shared/data),)
export SPORTS_NB_DATA := $(abspath ../shared/data)
endif
endif

.PHONY: help demo test gates mutations notebooks test-ui lab docs bench clean

help:
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 12

demo: $(VENV)/.core ## analyse a synthetic clip; says what it found and where it lies
	$(BIN)/sports_nb demo --out build/demo --force

test: gates mutations notebooks ## the gates, the mutations and every notebook

gates: $(VENV)/.dev ## notebooks clean, export in sync, imports, wheel, style
	$(BIN)/python nbs/_tools/check_nbs.py

mutations: $(VENV)/.dev ## break claims of the code one by one: a notebook must notice each
	$(BIN)/python nbs/_tools/mutations.py

notebooks: $(VENV)/.dev ## run every notebook
	$(BIN)/python nbs/_tools/run_tests.py

test-ui: $(VENV)/.dev ## the dashboards in headless Chromium; screenshots in build/screens
	nbs/_tools/system.sh chromium
	$(BIN)/python nbs/_tools/run_tests.py --only ui
	$(BIN)/python nbs/_tools/ui_check.py --browser "$$(command -v chromium || command -v chromium-browser || command -v google-chrome)"

lab: $(VENV)/.dev ## JupyterLab in nbs
	$(BIN)/jupyter lab --notebook-dir nbs $(if $(filter 0,$(shell id -u)),--allow-root)

docs: $(VENV)/.docs ## the site, in build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/python nbs/_tools/docs.py

bench: $(VENV)/.dev ## where the time goes
	@set -e; for bench in nbs/_bench/*.py; do echo "== $$bench"; $(BIN)/python $$bench; done

clean: ## what was made here, but not .venv
	rm -rf build dist _proc *.egg-info

# Installed again only when the pins changed.
install = test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); \
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e $(1) && nbs/_tools/system.sh opencv $(BIN)/python && touch $@

$(VENV)/.core: $(PINS)
	@$(call install,.)
$(VENV)/.dev: $(PINS)
	@$(call install,".[dev]") $(VENV)/.core
$(VENV)/.docs: $(PINS)
	@$(call install,".[docs]") $(VENV)/.core
