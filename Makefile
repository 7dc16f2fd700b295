# `make demo` and `make test` need nothing but Python 3.11 or newer and the network for pip.
# Every target makes what it needs in .venv; a stamp in there says what has been installed.

VENV := .venv
BIN := $(VENV)/bin
PORT ?= 5000
PYTEST_ARGS ?=
SEEDS ?= 200
FUZZ_TIMES ?= 10
STACKS ?=
BENCH_ARGS ?=
OTEL := opentelemetry-instrumentation-openai-v2==2.4b0 opentelemetry-util-genai==1.0b0 opentelemetry-sdk \
  opentelemetry-api opentelemetry-instrumentation opentelemetry-semantic-conventions wrapt

.DEFAULT_GOAL := help
.PHONY: demo test test-sdks test-oldest-sdks test-faults test-stacks check lint types docs fuzz bench bench-budgets prices screenshots help clean

demo: $(VENV)/.demo  ## Serve the example app with 60 days of made-up history (PORT=5000)
	@cd examples && PORT=$(PORT) exec ../$(BIN)/python -m support_desk

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

test-faults: $(VENV)/.dev  ## Kill processes at named points and compare the ledger with what had returned (SEEDS=200)
	@for url in sqlite "$$LLM_COST_TEST_POSTGRESQL_URL" "$$LLM_COST_TEST_MARIADB_URL"; do \
	  test -z "$$url" || $(BIN)/python -m tests.faults.crash --seeds $(SEEDS) "$$url" || exit 1; \
	done

# OpenTelemetry's instrumentation is the yardstick: beside the environment, so that nothing else sees it.
bench: $(VENV)/.dev  ## Measure what the tracker adds to a call, beside OpenTelemetry's (prints numbers)
	@test -d $(VENV)/.otel || $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps \
	  --target $(VENV)/.otel $(OTEL) || echo "OpenTelemetry could not be installed: no yardstick." >&2
	$(BIN)/python -m tests.benchmarks.bench_pricing
	PYTHONPATH=$(VENV)/.otel $(BIN)/python -m tests.benchmarks.bench_overhead

bench-budgets: $(VENV)/.dev  ## Many processes at one limit: overshoot, throughput, added time (BENCH_ARGS="--workers 16")
	$(BIN)/python -m tests.benchmarks.bench_budgets $(BENCH_ARGS)

prices: $(VENV)/.dev  ## Regenerate the bundled price list from the published sources (network)
	$(BIN)/python -m flask_llm_cost.pricing.build

screenshots: $(VENV)/.dev  ## Take the README's screenshots of the running example (needs Chromium)
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
