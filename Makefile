# Every target does its own set-up. `make demo` and `make test` are all a newcomer needs.
PYTHON ?= python3
BIN := .venv/bin
DEMO := data/demo
REFERENCE := $(wildcard ../shared/data)
ifneq ($(REFERENCE),)
export EM2CRYO_REFERENCE_DATA ?= $(abspath $(REFERENCE))
endif
export EM2CRYO_COMPUTE ?= processes

.PHONY: install demo demo-data ui test test-faults lint bench screenshots clean

install: .venv/.installed

.venv/.installed: setup.cfg constraints.txt tools/check_system.py
	$(PYTHON) tools/check_system.py
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: install
	EM2CRYO_DATA=$(DEMO) $(BIN)/em2cryo run
	EM2CRYO_DATA=$(DEMO) $(BIN)/em2cryo verdicts

demo-data: install
	$(BIN)/python -m em2cryo_assets.phantom --out $(DEMO)

ui: install
	EM2CRYO_DATA=$(DEMO) $(BIN)/em2cryo ui

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy em2cryo_assets

test: lint
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile

# With 100 random kills in place of the two of `make test`.
test-faults: install
	EM2CRYO_KILLS=100 $(BIN)/pytest -n 0 -o timeout=7200 em2cryo_assets_tests/faults

bench: install
	$(BIN)/python -m em2cryo_assets_tests.benchmarks

bench-%: install
	$(BIN)/python -m em2cryo_assets_tests.benchmarks $*

screenshots: install
	$(BIN)/python tools/screenshots.py

clean:
	rm -rf $(DEMO)/store $(DEMO)/dagster_home $(DEMO)/report
