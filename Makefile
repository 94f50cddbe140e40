# Each target sets up what it needs in .venv when that is missing or older than pyproject.toml.
PYTHON ?= python3
BIN := .venv/bin
BASE := .venv/.base
DEV := .venv/.dev
INPUTS := pyproject.toml constraints.txt setup.sh

.PHONY: help setup setup-dev study sample-report lab docs test test-cpus quick parity soak lint constraints clean \
	clean-results

help:
	@echo "make study      the whole study on the embedded videos; ends with the report's path"
	@echo "make lab        JupyterLab on the notebooks        make sample-report   the study's pages into reports/sample/"
	@echo "make docs       the documentation, without a network, into site/"
	@echo "make test       every test             make quick   those under a minute     make soak   the long ones"
	@echo "make parity     networks beside their originals: the largest differences, as a table"
	@echo "make lint       style, docstrings and types; CI asks for them first"
	@echo "make test-cpus  those of networks and training as on smaller CPUs; CI runs them too"
	@echo "make setup      .venv for study and lab            make setup-dev   .venv for the tests too"
	@echo "make clean      removes .venv and caches, no data and no run"
	@echo "make clean-results   lists data/, runs/ and the reports, and deletes them when you say so"

$(BASE): $(INPUTS)
	@sh setup.sh "$(PYTHON)" base

$(DEV): $(INPUTS)
	@sh setup.sh "$(PYTHON)" dev

setup: $(BASE)
setup-dev: $(DEV)

study: $(BASE)
	$(BIN)/har study demo

# The pages of the last `make study`, for the documentation: at most 3 MB, see tests/study. Its pictures
# are taken by Chromium.
sample-report: $(DEV)
	rm -rf reports/sample
	$(BIN)/har report demo --out reports/sample --previews 650kB
	$(BIN)/python docs/screenshots.py

# In a container one is root; the server listens to this machine alone and wants its token.
lab: $(BASE)
	$(BIN)/jupyter lab notebooks $(if $(filter 0,$(shell id -u)),--allow-root)

# Two processes: most tests keep one core busy. Those of a file, which share fixtures, stay together.
PYTEST := $(BIN)/pytest -n 2 --dist loadfile --durations 30 --durations-min 10

docs: $(DEV)
	$(BIN)/mkdocs build
	@echo "open site/index.html, or with its search: $(BIN)/python -m http.server --directory site"

test: $(DEV)
	$(PYTEST) -m "not soak"

# What computes, as on an ordinary CPU without AVX-512 (where it has none, that is `make test`), and
# without oneDNN.
COMPUTES := tests/test_machine.py tests/models tests/training tests/study/test_study.py \
	tests/study/test_model_run.py
# The comparisons with the originals are of the networks' structure: once is enough.
ORIGINALS := --ignore-glob='*/test_parity_*.py'
# A CPU with bfloat16 that oneDNN is held from using is no real one: TensorFlow asks the CPU itself, and
# then finds no kernel. `har` refuses bfloat16 there in a line; the second run tests it without oneDNN.
test-cpus: $(DEV)
	if grep -qs avx512 /proc/cpuinfo; then \
		ONEDNN_MAX_CPU_ISA=AVX2 $(PYTEST) -m "not soak" -k "not bfloat16" $(COMPUTES) $(ORIGINALS); \
	else echo "no AVX-512 here: make test was the run without it"; fi
	TF_ENABLE_ONEDNN_OPTS=0 $(PYTEST) -m "not soak" $(COMPUTES) $(ORIGINALS)

# Beside the originals, narrow or of few blocks; `make soak` has them at full size.
parity: $(DEV)
	$(PYTEST) -k "not full_size" tests/models/test_parity_*.py tests/models/test_backends.py

quick: $(DEV)
	$(BIN)/pytest -m quick

soak: $(DEV)
	$(BIN)/pytest -m soak --timeout 7200

# What CI asks first: style and docstrings, layout, types.
lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Local version labels (+cpu) and the tools of the environment itself are no pins of ours.
constraints: $(DEV)
	$(BIN)/pip freeze --exclude-editable | grep -viE '^(pip|setuptools|wheel)==' | sed 's/+cpu$$//' > .venv/freeze
	(sed -n '/^#/p' constraints.txt; cat .venv/freeze) > .venv/pins && mv .venv/pins constraints.txt

# What cost hours stays: videos, trained runs and their reports.
RESULTS := $(wildcard data runs reports)

clean:
	rm -rf .venv build site harlib.egg-info .pytest_cache .ruff_cache .mypy_cache
	find harlib tests benchmarks docs notebooks -name __pycache__ -prune -exec rm -rf {} +
	@echo "left as they are: data/, runs/ and reports/ (make clean-results)"

clean-results:
	@$(if $(RESULTS),du -sh $(RESULTS),echo "there are no data, runs or reports")
	@printf "Delete data/, runs/ and all reports, for good? Type delete: "; read answer; \
	if [ "$$answer" = delete ]; then \
	  rm -rf data runs && find reports -mindepth 1 -maxdepth 1 ! -name template ! -name sample -exec rm -rf {} +; \
	else echo "nothing was deleted"; fi
