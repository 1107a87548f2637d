# Every target does its own set-up: nothing but Python 3.11 and make is needed. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/.installed
CODE := libs services deploy protos tests
TYPED := libs services deploy protos/generate.py
ARGS ?=

export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup up demo test test-faults chaos bench lint format protos release-protos lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 20

setup: $(INSTALLED) ## make .venv: every package pinned and checked by its hash
	@:

# uv takes a second or two, pip half a minute: pip is the way where uv has no wheel, or where only pip knows the index.
$(INSTALLED): requirements.lock requirements-uv.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	@rm -f $@
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || "$(PYTHON)" -m venv --clear .venv
	@if $(BIN)/python -m pip install -qq --no-deps --require-hashes -r requirements-uv.lock \
	    && $(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes requirements.lock; then :; else \
	    echo "setup: uv could not do it, pip is slower but will" >&2; \
	    $(BIN)/python -m pip install -qq --no-deps --require-hashes -r requirements.lock; fi
	@purelib=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	    printf '%s\n%s\n' "$(CURDIR)" "$(CURDIR)/protos/gen" > "$$purelib/plaudit.pth"
	@printf '%s\n' '#!$(CURDIR)/$(BIN)/python' 'import sys' '' 'from deploy.local.main import main' '' \
	    'if __name__ == "__main__":' '    sys.exit(main())' > $(BIN)/plaudit
	@chmod +x $(BIN)/plaudit
	@touch $@
	@echo "setup: .venv is ready"

up: setup ## start the whole system in the foreground, until Ctrl-C (ARGS="..." for options)
	@exec $(BIN)/plaudit up $(ARGS)

demo: setup ## start it, import a small simulated export, and print what it says
	@exec $(BIN)/plaudit demo $(ARGS)

test: setup ## every test but the ones that kill processes: real Postgres, NATS and gRPC
	@$(BIN)/python -m pytest tests --ignore=tests/faults --ignore=tests/bench $(ARGS)

test-faults: setup ## the tests that kill -9 services and servers
	@$(BIN)/python -m pytest tests/faults $(ARGS)

chaos: test-faults ## the same

bench: setup ## measure ingest against a bare baseline
	@exec $(BIN)/python -m tests.bench $(ARGS)

lint: setup ## every rule that a machine checks; all of them, even when one finds something
	@$(MAKE) --keep-going $(LINTS)
	@echo "lint: all good"

LINTS := lint-layout lint-style lint-types lint-borders lint-protos lint-generated lint-words lint-locks
.PHONY: $(LINTS)

lint-layout: setup
	@$(BIN)/ruff format --check $(CODE)

lint-style: setup
	@$(BIN)/ruff check -q $(CODE)

lint-types: setup
	@$(BIN)/mypy $(TYPED)

lint-borders: setup
	@$(BIN)/lint-imports --no-logo

lint-protos: setup
	@$(BIN)/buf lint protos
	@$(BIN)/buf format -d --exit-code protos
	@if test -f protos/released.binpb; then $(BIN)/buf breaking protos --against protos/released.binpb; fi

lint-generated: setup
	@$(BIN)/python protos/generate.py --check

lint-words: setup
	@git ls-files -z -- ':!protos/gen' ':!*.lock' ':!*.binpb' | xargs -0 $(BIN)/codespell

lint-locks:
	@if grep -nE '://|[a-z0-9-]\.(org|com|net|io|dev)\b' requirements*.lock; then \
	    echo "lint: a lock file names a host" >&2; exit 1; fi

format: setup ## rewrite what a machine can: layout, imports, protos
	@$(BIN)/ruff format -q $(CODE)
	@$(BIN)/ruff check -q --fix-only $(CODE)
	@$(BIN)/buf format -w protos

protos: setup ## write protos/gen from protos/plaudit
	@$(BIN)/python protos/generate.py

release-protos: setup ## take today's protos as what `buf breaking` compares with; at each release
	@$(BIN)/buf build protos -o protos/released.binpb

# No URL and no host is ever written: the lock installs from whatever index the machine is set to.
lock: setup ## pin pyproject.toml's groups again (UPGRADE=1 takes the newest that fit)
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	    $(if $(UPGRADE),--upgrade) --group pyproject.toml:dev -o requirements.lock
	@awk '/^[a-zA-Z]/ {keep = /^uv==/} keep && !/^ +#/' requirements.lock > requirements-uv.lock
	@$(MAKE) setup

clean: ## remove .venv and every cache; the data of `plaudit up` stays
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
