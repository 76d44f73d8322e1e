# make train [ARGS="key=value ..."]   install if needed, then train the quickstart
# make test | test-slow | lint [ARGS="..."]   install with the dev tools, then check
# make docs                           build the documentation into site/ (open site/index.html)
# make check-gpu [ARGS=FILE]          check and measure the kernels on a GPU, write a JSON file
# make clean                          remove .venv; do so to change PYTHON. Runs are kept.

PYTHON ?= python3
ARGS ?=

VENV := .venv
SPEC := setup.cfg pyproject.toml constraints.txt

.NOTPARALLEL:  # two installs into one .venv at once would break both
.PHONY: train test test-slow lint docs check-gpu clean

train: $(VENV)/.train
	$(VENV)/bin/srwm train quickstart $(ARGS)

test: $(VENV)/.dev
	$(VENV)/bin/python -m pytest $(ARGS)

test-slow: $(VENV)/.dev
	$(VENV)/bin/python -m pytest -m slow $(ARGS)

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/codespell

# The variable silences the theme's notice about its successor.
docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet

check-gpu: $(VENV)/.dev
	$(VENV)/bin/python -m launch.bench.check_gpu $(or $(ARGS),docs/results/bench/gpu.json)

clean:
	rm -rf $(VENV)

# A stamp is written last and removed first, so an install cut short does not count.
# The environment, not -c, carries the constraints: so they also hold while pip builds a
# source package (gym), where -c is not seen.
define install
rm -f $(VENV)/.train $(VENV)/.dev
PIP_CONSTRAINT=constraints.txt $(VENV)/bin/python -m pip install \
	--disable-pip-version-check --no-input --use-pep517 --editable '$(1)'
endef

$(VENV)/.train: $(SPEC) $(VENV)/.created
	$(call install,.)
	touch $@

$(VENV)/.dev: $(SPEC) $(VENV)/.created
	$(call install,.[dev])
	touch $(VENV)/.train $@

$(VENV)/.created:
	$(check_python)
	$(PYTHON) -m venv $(VENV)
	touch $@

# Expanded before the recipe's first command: a wrong Python is one line, and nothing is made.
version = $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
check_python = $(if $(filter 3.10 3.11 3.12,$(version)),,$(error \
	PYTHON=$(PYTHON) is $(or $(version),no Python); srwm needs 3.10, 3.11 or 3.12, \
	for example: make PYTHON=python3.11 $(MAKECMDGOALS)))
