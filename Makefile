# make sweep and make test build what they need; both work again when called again.
# PYTHON=python3.12 picks another interpreter, VENV another place, ARGS="--preset report" other options of the sweep.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: sweep test test-all selfcheck readme reference clean

sweep: $(VENV)/.installed
	$(BIN)/python -m harness.sweep $(ARGS)

test: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not slow" -n 2

test-all: $(VENV)/.installed-dev
	$(BIN)/python -m pytest

selfcheck: $(VENV)/.installed
	$(BIN)/python -m harness.selfcheck

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "demreg-bench needs Python 3.11 or newer: $(PYTHON) is not on the PATH (set PYTHON=...)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "demreg-bench needs Python 3.11 or newer: $(PYTHON) is $$($(PYTHON) -V) (set PYTHON=...)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) can't make a virtual environment; on Debian: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e . || { echo "installing demreg-bench failed: is a Python package index within reach (network, proxy)?"; exit 1; }
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]' || { echo "installing the test tools failed: is a Python package index within reach (network, proxy)?"; exit 1; }
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info
