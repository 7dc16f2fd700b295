# `make demo` and `make test` need nothing but Python 3.11 or newer and the network for pip.
# Every target makes what it needs in .venv; a stamp in there says what has been installed.

VENV := .venv
BIN := $(VENV)/bin
PORT ?= 5000
PYTEST_ARGS ?=
SEEDS ?= 200
SECONDS_AWAY ?= 60
RUNS ?= 12
TIMES ?= 10
FUZZ_TIMES ?= 10
ROWS ?= 100000
BENCH_URLS ?=
STACKS ?=
EXAMPLES ?= quickstart async_views celery_worker multi_tenant_budgets
BENCH_ARGS ?=
OTEL := opentelemetry-instrumentation-openai-v2==2.4b0 opentelemetry-util-genai==1.0b0 opentelemetry-sdk \
  opentelemetry-api opentelemetry-instrumentation opentelemetry-semantic-conventions wrapt

.DEFAULT_GOAL := help
.PHONY: demo test-min package types-pyright examples test test-sdks test-oldest-sdks test-faults test-single-faults test-servers test-stacks check lint types docs fuzz bench bench-budgets bench-scale bench-pages bench-storing bench-hosts prices screenshots help clean

demo: $(VENV)/.demo  ## Serve the example app with 60 days of made-up history (PORT=5000)
	@cd examples && PORT=$(PORT) exec ../$(BIN)/python -m support_desk

examples: $(VENV)/.dev  ## Run the other examples and print what their calls cost (EXAMPLES="celery_worker")
	@cd examples && for name in $(EXAMPLES); do \
	  echo "== $$name" && ../$(BIN)/python -m $$name || exit 1; \
	done

test: $(VENV)/.dev  ## Run the tests (PYTEST_ARGS="-k ledger")
	$(BIN)/python -m pytest -n auto --dist loadfile $(PYTEST_ARGS)

test-stacks: $(BIN)/python  ## Test what is recorded of litellm, langchain and others (network; STACKS="litellm")
	$(BIN)/python -m tests.stacks $(STACKS)

# The tests come last: their summary is what one looks for at the end of the output.
check: lint types docs test-oldest-sdks test  ## Everything that must hold before a merge

test-sdks: $(VENV)/.dev  ## Run the capture tests on old, former and newest versions of the SDKs (network)
	$(BIN)/python -m tests.sdk_versions oldest former newest

# The newest versions are those of the environment itself.
test-oldest-sdks: $(VENV)/.dev
	$(BIN)/python -m tests.sdk_versions --short oldest

# The lower bounds of pyproject.toml, all at once.
test-min: $(VENV)/.dev  ## Run tests on the lowest versions of Flask, SQLAlchemy and the others (network)
	$(BIN)/python -m tests.sdk_versions lowest

package: $(VENV)/.dev  ## Build wheel and sdist into dist/, check, install and use them (network)
	rm -rf dist
	$(BIN)/python -m build -o dist .
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python -m tests.package dist

# Its node comes from PyPI, pyright itself from the npm registry.
PYRIGHT = cd tests/typing && PATH=$(CURDIR)/$(VENV)/pyright/bin:$$PATH pyright
types-pyright: $(BIN)/python  ## pyright over code as users write it, and how much is typed (network: pip, npm)
	@test -d $(VENV)/pyright || $(BIN)/python -m venv $(VENV)/pyright
	$(VENV)/pyright/bin/python -m pip install -q --disable-pip-version-check . "pyright[nodejs]" httpx requests types-requests
	$(PYRIGHT) .
	@# Counts what is inside as well as what is public, so it is told and does not decide.
	-$(PYRIGHT) --ignoreexternal --verifytypes flask_llm_cost | grep score

lint: $(VENV)/.dev  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## mypy --strict over the package and over code as its users write it
	$(BIN)/mypy

docs: $(VENV)/.dev  ## Build the documentation; a warning is an error
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

fuzz: $(VENV)/.dev  ## Throw more than 100,000 malformed answers at the readers (FUZZ_TIMES=10)
	FUZZ_TIMES=$(FUZZ_TIMES) $(BIN)/python -m pytest -n auto --dist load -q tests/providers/test_fuzz.py

# Without the URLs of servers only SQLite's.
FAULT_URLS = sqlite "$$LLM_COST_TEST_POSTGRESQL_URL" "$$LLM_COST_TEST_MARIADB_URL"

test-faults: $(VENV)/.dev  ## Kill processes, lock and cut off the database, replay journals (SEEDS=200)
	@for url in $(FAULT_URLS); do \
	  for fault in crash rivals replay; do \
	    test -z "$$url" || $(BIN)/python -m tests.faults.$$fault --seeds $(SEEDS) "$$url" || exit 1; \
	  done; \
	done

# Those of docs/reliability.md that `make test` runs once: what depends on chance shows in the tenth run.
test-single-faults: $(VENV)/.dev  ## Fill disks, jump clocks, spoil journals, kill tasks ..., again and again (TIMES=10)
	@for time in $$(seq $(TIMES)); do \
	  echo "== $$time of $(TIMES)" && $(BIN)/python -m pytest -q -n auto --dist loadfile \
	    tests/faults tests/runs tests/ingest tests/journal $(PYTEST_ARGS) || exit 1; \
	done

# Starts PostgreSQL, MariaDB, PgBouncer and network namespaces of its own: as root on Debian, like .ci/run.
test-servers: $(VENV)/.dev  ## Stop servers for a minute, kill gunicorn's workers, pool connections (SECONDS_AWAY=60 RUNS=12)
	@for kind in postgresql mariadb; do \
	  $(BIN)/python -m tests.faults.outage --seconds $(SECONDS_AWAY) $$kind || exit 1; \
	done
	@for url in $(FAULT_URLS); do \
	  test -z "$$url" || $(BIN)/python -m tests.faults.serving --seeds $(RUNS) "$$url" || exit 1; \
	done
	$(BIN)/python -m tests.faults.pooler --seeds $(RUNS)
	$(BIN)/python -m tests.faults.machines --seeds $(RUNS)
	LLM_COST_TEST_SECONDS_LOCKED=30 $(BIN)/python -m pytest -q tests/faults/test_locks.py

# OpenTelemetry's instrumentation is the yardstick: beside the environment, so that nothing else sees it.
bench: $(VENV)/.dev  ## Measure what the tracker adds to a call, beside OpenTelemetry's (prints numbers)
	@test -d $(VENV)/.otel || $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps \
	  --target $(VENV)/.otel $(OTEL) || echo "OpenTelemetry could not be installed: no yardstick." >&2
	$(BIN)/python -m tests.benchmarks.bench_pricing
	PYTHONPATH=$(VENV)/.otel $(BIN)/python -m tests.benchmarks.bench_overhead

bench-budgets: $(VENV)/.dev  ## Many processes at one limit: overshoot, throughput, added time (BENCH_ARGS="--workers 16")
	$(BIN)/python -m tests.benchmarks.bench_budgets $(BENCH_ARGS)

bench-scale: $(VENV)/.dev  ## Time the dashboard's questions on a year of made-up calls (ROWS=100000 BENCH_URLS="...")
	$(BIN)/python -m tests.benchmarks.bench_scale --rows $(ROWS) $(BENCH_URLS)

bench-pages: $(VENV)/.dev  ## Time whole pages of the dashboard in databases that bench-scale has filled (BENCH_URLS="...")
	$(BIN)/python -m tests.benchmarks.bench_pages $(BENCH_URLS)

bench-storing: $(VENV)/.dev  ## Measure how fast calls are stored, beside the same rows by hand (BENCH_URLS="...")
	$(BIN)/python -m tests.benchmarks.bench_scale --storing $(BENCH_URLS)

bench-hosts: $(VENV)/.dev  ## Let eight processes of two hosts store calls at once (BENCH_URLS="..." of empty databases)
	$(BIN)/python -m tests.benchmarks.bench_hosts $(BENCH_URLS)

prices: $(VENV)/.dev  ## Regenerate the bundled price list from the published sources (network)
	$(BIN)/python -m flask_llm_cost.pricing.build

screenshots: $(VENV)/.dev  ## Take the documentation's screenshots of the running example (needs Chromium)
	$(BIN)/python docs/make_screenshots.py

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

clean:  ## Remove the virtual environment, caches, built files and the demo's database
	rm -rf $(VENV) docs/_build build dist examples/instance
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The first Python that is new enough. `python3.11` may exist without working (a pyenv shim), so it is tried.
$(BIN)/python:
	@for python in python3.11 python3 python; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Making $(VENV) with $$(command -v $$python)"; \
	    $$python -m venv $(VENV) && exit 0; \
	    echo "Python could not make a virtual environment. On Debian: apt-get install python3-venv" >&2; \
	    rm -rf $(VENV); exit 1; \
	  fi; \
	done; \
	echo "Python 3.11 or newer is needed, and neither python3.11 nor python3 is one." >&2; exit 1

$(VENV)/.demo: pyproject.toml examples/support_desk/requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e . -r examples/support_desk/requirements.txt
	@touch $@

# What the tests need contains what the demo needs.
$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[dev]"
	@touch $@ $(VENV)/.demo
