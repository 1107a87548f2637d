# Every target does its own set-up: nothing but Python 3.11 and make is needed. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/.installed
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup lock

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

setup: $(INSTALLED) ## the virtual environment .venv, pinned and checked by hash
	@:

# uv takes a second or two, pip half a minute: pip is the way where uv has no wheel, or where only pip knows the index.
$(INSTALLED): requirements.lock requirements-uv.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@rm -f $@
	@test -x $(BIN)/python || "$(PYTHON)" -m venv .venv
	@if $(BIN)/python -m pip install -q --no-deps --require-hashes -r requirements-uv.lock \
	    && $(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes requirements.lock; then :; else \
	    echo "setup: uv could not do it, pip is slower but will" >&2; \
	    $(BIN)/python -m pip install -q --no-deps --require-hashes -r requirements.lock; fi
	@purelib=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	    printf '%s\n%s\n' "$(CURDIR)" "$(CURDIR)/protos/gen" > "$$purelib/plaudit.pth"
	@printf '%s\n' '#!$(CURDIR)/$(BIN)/python' 'import sys' '' 'from deploy.local.main import main' '' \
	    'sys.exit(main())' > $(BIN)/plaudit
	@chmod +x $(BIN)/plaudit
	@touch $@
	@echo "setup: .venv is ready"

# No URL and no host is ever written: a lock installs from whatever index the machine is set to.
lock: setup ## pin pyproject.toml's groups again (UPGRADE=1 takes the newest that fit)
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	    $(if $(UPGRADE),--upgrade) --group pyproject.toml:dev -o requirements.lock
	@awk '/^[a-zA-Z]/ {keep = /^uv==/} keep && !/^ +#/' requirements.lock > requirements-uv.lock
	@$(MAKE) setup
