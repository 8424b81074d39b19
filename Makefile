# The verbs of this project. `make up` needs Python 3.11 or later and nothing else.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
# PyTorch's smaller build without CUDA:
#   make up TORCH_INSTALL="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
TORCH_INSTALL ?= torch==2.13.0
TEST_WORKERS ?= auto
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PACKAGES := aegisml features models_app training inference monitoring experiments

.PHONY: up run install test test-quick check openapi lock worker clean

up: $(VENV)/runtime.stamp
	@$(BIN)/python -m aegisml.up $(ARGS)

run: up

install: $(VENV)/dev.stamp

# --- what is installed -----------------------------------------------------------

# What pip finds installed already is no news.
define pip_install
	@echo "Installing $(1) ..."
	@set -o pipefail; $(BIN)/python -m pip install --disable-pip-version-check $(2) | \
	  awk '!/^Requirement already satisfied/ { print; fflush() }' || \
	  { echo "make: pip failed (see above): is the network there, and has this platform and $$($(BIN)/python --version) a wheel of the package it names?" >&2; exit 1; }
endef

$(VENV)/made.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: Python 3.11 or later is needed, '$(PYTHON)' isn't; name one with PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "make: no virtual environment can be made; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/torch.stamp: $(VENV)/made.stamp
	$(call pip_install,PyTorch (the largest part, some minutes),$(TORCH_INSTALL))
	@touch $@

$(VENV)/runtime.stamp: $(VENV)/torch.stamp requirements.lock
	$(call pip_install,what the platform needs,--require-hashes -r requirements.lock)
	@touch $@

$(VENV)/dev.stamp: $(VENV)/runtime.stamp requirements-dev.lock
	$(call pip_install,what its developers need,--require-hashes -r requirements-dev.lock)
	@touch $@

# --- checks ------------------------------------------------------------------------

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --maxprocesses=15 --cov --cov-report=term-missing:skip-covered $(ARGS)

test-quick: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --maxprocesses=15 -m "not slow" $(ARGS)

check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(PACKAGES)
	$(BIN)/lint-imports
	$(BIN)/python manage.py check --fail-level WARNING
	@echo "manage.py check --deploy, as in production"
	@key() { $(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))'; }; \
	  AEGIS__ENVIRONMENT=production AEGIS__SERVER__HTTPS=true \
	  AEGIS__SECURITY__SECRET_KEY="$$(key)" AEGIS__SECURITY__JWT_KEY="$$(key)" \
	  $(BIN)/python manage.py check --deploy --fail-level WARNING
# It also asks a database which migrations it has, and warns when none answers: none is needed.
	LOG_LEVEL=ERROR $(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	@echo "docs/openapi.yaml is what the code says"
	@fresh="$$(mktemp)"; trap 'rm -f "$$fresh"' EXIT; \
	  $(BIN)/python manage.py spectacular --file "$$fresh" --validate --fail-on-warn; \
	  diff -u docs/openapi.yaml "$$fresh" || { echo "make: docs/openapi.yaml is out of date; run: make openapi" >&2; exit 1; }

# --- made files ----------------------------------------------------------------------

openapi: $(VENV)/dev.stamp
	$(BIN)/python manage.py spectacular --file docs/openapi.yaml --validate --fail-on-warn

# Pins are kept where they still fit; delete a lock file first to upgrade everything.
lock: $(VENV)/dev.stamp
	$(BIN)/uv pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes -o requirements.lock
	$(BIN)/uv pip compile -q pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes -o requirements-dev.lock

# --- the rest --------------------------------------------------------------------------

# One more training worker, on this machine or on another with the same database and Redis.
worker: $(VENV)/runtime.stamp
	AEGIS_DATABASE_LIMITS=off $(BIN)/celery -A aegisml worker --concurrency=1 --loglevel=INFO --hostname=worker-$$$$@%h $(ARGS)

clean:
	rm -rf $(VENV) var/test var/test-* .coverage .coverage.* htmlcov \
	  .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "The platform's data in var/ is kept."
