# Everything runs from a virtual environment that these targets build by themselves; a second call is instant.
#
#   make demo | test | lint | types | bench | docs | wheels | format | coverage | clean
#   make bench-peers                the same workloads on other engines too, each in an environment of its own
#   make bench-growth               how the cost of a bar grows with bars, symbols, orders and monitors
#   make instructions               bytecode instructions an event costs, beside those on record
#   make bench-live                 latency, throughput, restart and memory of the live engine
#   make crash KILLS=300 PER_POINT=10  kill -9 of a paper run, at each named point and at random instants
#   make crash BROKER=alpaca PER_POINT=10  the same with that broker's adapter, at its sandbox
#   make day BROKER=alpaca SEED=0 FAULTS=200  a trading day at a broker's sandbox, with that many faults
#   make power-loss IMAGES=5000     the journal on that many disks after a power loss
#   make simulate DAYS=1000 SEED=0  days of a live run on a virtual clock, with everything that can go wrong
#   make test PYTHON=python3.12     another interpreter, in an environment of its own (.venv-python3.12)

ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 && echo $$p && break; done)
VENV ?= .venv
else
VENV ?= .venv-$(notdir $(PYTHON))
endif

DISTS := $(sort $(patsubst %/pyproject.toml,%,$(wildcard alphaweave-*/pyproject.toml)))
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO  := examples/demo.yaml
DAYS  ?= 1000
SEED  ?= 0
KILLS ?= 300
PER_POINT ?= 10
IMAGES ?= 5000
FAULTS ?= 200
WORKERS ?= 2
# A test compares what differs, and reaches what a type rules out, on purpose.
LENIENT := --no-strict-equality --no-warn-unreachable --no-warn-unused-ignores --no-warn-return-any

PEERS := $(patsubst benchmarks/peers/%.txt,build/peers/%/.installed,$(wildcard benchmarks/peers/*.txt))

.PHONY: demo test lint types bench bench-growth bench-peers bench-live instructions simulate day crash power-loss docs wheels format coverage clean
.DELETE_ON_ERROR:

demo: $(STAMP)
	$(BIN)/alphaweave run $(DEMO) --summary output/demo.summary.json

# The files are handed out in their order, in which those that take longest come early.
test: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy $(DISTS:%=%/src) conftest.py tools $(wildcard benchmarks examples)
	@for tests in $(wildcard tests $(DISTS:%=%/tests)); do echo "mypy $$tests"; \
		(cd $$tests && $(abspath $(BIN))/mypy --config-file $(CURDIR)/pyproject.toml $(LENIENT) \
			--explicit-package-bases --cache-dir $(CURDIR)/.mypy_cache/$$tests .) || exit 1; done

bench: $(STAMP)
	$(BIN)/python benchmarks/run.py $(ARGS)

bench-growth: $(STAMP)
	$(BIN)/python benchmarks/growth.py $(ARGS)

bench-peers: $(STAMP) $(PEERS)
	$(BIN)/python benchmarks/side_by_side.py --environments build/peers $(ARGS)

build/peers/%/.installed: benchmarks/peers/%.txt
	$(PYTHON) -m venv build/peers/$*
	build/peers/$*/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

bench-live: $(STAMP)
	$(BIN)/python benchmarks/live.py $(ARGS)

instructions: $(STAMP)
	$(BIN)/python benchmarks/instructions.py $(ARGS)

simulate: $(STAMP)
	cd tests && $(abspath $(BIN))/python -m simulation --days $(DAYS) --seed $(SEED) --workers $(WORKERS) $(ARGS)

day: $(STAMP)
	cd tests && $(abspath $(BIN))/python -m venue_day --broker $(or $(BROKER),alpaca) --seed $(SEED) --faults $(FAULTS) $(ARGS)

crash: $(STAMP)
	cd tests && $(abspath $(BIN))/python -m $(if $(BROKER),venue_crash --broker $(BROKER),crash --kills $(KILLS)) \
		--per-point $(PER_POINT) --seed $(SEED) $(ARGS)

power-loss: $(STAMP)
	ALPHAWEAVE_POWER_LOSS_IMAGES=$(IMAGES) $(BIN)/python -m pytest -q -k power alphaweave-core/tests/live/test_journal_disk.py $(ARGS)

docs: $(STAMP)
	$(BIN)/python tools/check_docs.py

wheels: $(STAMP)
	$(BIN)/python tools/check_wheels.py --demo $(DEMO) $(ARGS)

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

coverage: $(STAMP)
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage report

# Entry points are read at install time, so a changed pyproject.toml means installing again.
$(STAMP): pyproject.toml constraints.txt $(DISTS:%=%/pyproject.toml)
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 on PATH; name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 2; }
	@echo "Setting up $(VENV) with $(PYTHON), once ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=25.1"  # the first that knows --group
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev $(DISTS:%=--editable ./%)
	@touch $@

clean:
	rm -rf .venv .venv-* output dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
