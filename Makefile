# Two commands: `make app` opens the workbench in a browser, `make test` runs every test. `make help` lists the rest.
# The stamp .venv/installed stands for "everything in requirements.lock is installed"; `.venv` is its alias.

PYTHON ?= python3
BIN    := .venv/bin
STAMP  := .venv/installed
# The room whose narrow functions carry array shapes: its tests run a second time with every shape checked. The lattices are
# not checked so: the checker's wrappers get in the way of kernels that numba pickles into its cache.
SHAPED := tests/quantizers

.PHONY: help .venv app test test-units test-browser test-notebooks heavy mutants lint docs notebooks bench wheel lock clean

help: ## print this list
	@awk 'BEGIN {FS = ":.*## "} /^[.a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

.venv: $(STAMP) ## create the virtual environment and install into it

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null || { \
	  echo "The workbench needs Python 3.11 to 3.14, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || echo missing)." >&2; \
	  for fit in python3.13 python3.12 python3.11 python3.14; do \
	    if command -v $$fit >/dev/null 2>&1; then echo "Here is one that fits: make PYTHON=$$fit $(MAKECMDGOALS)" >&2; exit 1; fi; \
	  done; \
	  echo "Install one (https://www.python.org/downloads/), then: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@echo "Compiling the search kernels, once ..."
	@$(BIN)/python -c "from workbench.tasks.rehearse import rehearse_first_use; rehearse_first_use()"
	@touch $(STAMP)

app: .venv ## open the workbench in the browser
	$(BIN)/python app.py

test: test-units test-browser test-notebooks ## run every test

test-units: .venv ## run the tests that need no browser and no notebook
	$(BIN)/python -m pytest --ignore=tests/e2e
	$(BIN)/python -m pytest $(SHAPED) -m "not rejects and not slow and not heavy" --jaxtyping-packages=workbench.quantizers,beartype.beartype

test-browser: .venv ## drive the app in a real browser
	$(BIN)/python -m pytest tests/e2e

test-notebooks: .venv ## run the tutorials
	@if ls notebooks/*.ipynb >/dev/null 2>&1; then $(BIN)/python -m pytest --nbval-lax notebooks; fi

heavy: .venv ## run the tests that take minutes to hours each
	$(BIN)/python -m pytest -m heavy

mutants: .venv ## change the code in 300 places, one at a time, and count the changes that the tests notice (an hour)
	$(BIN)/python tests/mutants.py

lint: .venv ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

docs: .venv ## build the documentation into docs/_build/html; a warning is an error
	$(BIN)/python -m sphinx -b html -W --keep-going -q docs docs/_build/html
	@echo "docs/_build/html/index.html"

notebooks: .venv ## open the tutorials in the browser
	$(BIN)/jupyter lab notebooks

bench: .venv ## measure the nearest-codeword search on this machine
	$(BIN)/python -m workbench bench search

wheel: .venv ## build the wheel into dist
	$(BIN)/python -m pip wheel --disable-pip-version-check --quiet --no-deps --no-build-isolation --wheel-dir dist .

lock: ## bring requirements.lock up to pyproject.toml (needs uv); UPGRADE=1 takes the newest of everything
	@command -v uv >/dev/null 2>&1 || { echo "make lock needs uv: https://docs.astral.sh/uv/" >&2; exit 1; }
	cp requirements.lock requirements.lock.new
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-emit-index-url --no-emit-find-links --quiet $(if $(UPGRADE),--upgrade) --output-file requirements.lock.new
	{ echo "# Every package with its hashes, for Linux (x86-64, aarch64) and macOS (Apple silicon). Made by: make lock"; \
	  cat requirements.lock.new; } > requirements.lock
	rm requirements.lock.new

clean: ## remove the virtual environment, what was built, and every cache in this folder, compiled kernels included
	rm -rf .venv build dist docs/_build docs/generated *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name .git -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -prune -exec rm -rf {} +
