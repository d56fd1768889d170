# Two commands for a newcomer: `make demo` and `make test`. Both call `make setup`, which is quiet when nothing is to do.
SHELL := /bin/bash
PY := .venv/bin/python

.PHONY: setup demo test unit lint bench selftest web clean

setup:
	@bash scripts/setup

demo: setup
	@exec $(PY) -m server.cli demo

test:
	@SIDEROOM_SETUP_TESTS=1 bash scripts/setup
	@bash scripts/test

unit: setup
	@$(PY) -m pytest -q tests/unit

lint: setup
	@bash scripts/lint

bench: setup
	@bash scripts/bench

selftest: setup
	@$(PY) -m server.cli selftest

web: setup
	@cd web && PATH="$(CURDIR)/.venv/bin:$$PATH" npm run build

# What setup made. Data (var) stays: it holds recordings.
clean:
	rm -rf .venv web/node_modules web/dist tests/azurite/node_modules
