# make demo    fine-tune MiniLM on Reuters R8 and export it for TensorFlow Serving
# make test    the test suite
# make test-all    the tests that take long, and cases that are like one of `make test`, too
# make lint    ruff
# make types   pyright on kerasft/
# make docs    the tables of docs/config.md from the schema, and the site in build/site
# make pins    write requirements/py*.txt anew (PYTHONS: one interpreter of each version)
# make clean   remove .venv and everything else that these make; runs and exports stay
# PYTHON=...   the interpreter that .venv is made with; otherwise the first of 3.11 to 3.13 that is found

PYTHON ?=
PYTHONS ?= python3.11 python3.12 python3.13
BIN := .venv/bin/python
# Older pips build some packages by a way that current setuptools no longer knows, unless told otherwise.
PIP := $(BIN) -m pip install --quiet --quiet --use-pep517 --disable-pip-version-check
PINS := requirements/py$$($(BIN) -c 'import sys; print("%d%d" % sys.version_info[:2])').txt
NEEDS := setup.cfg pyproject.toml $(wildcard requirements/*.txt)

.PHONY: demo test test-all lint types docs pins clean

demo: .venv/.runtime
	.venv/bin/kerasft train configs/quickstart.yaml --overwrite
	@echo "your own data: .venv/bin/kerasft train my.yaml (or: . .venv/bin/activate, and then kerasft train my.yaml)"

test: .venv/.test
	$(BIN) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --durations 20

test-all: test
	$(BIN) -m pytest -m long --durations 15

lint: .venv/.test
	$(BIN) -m ruff check .
	$(BIN) -m ruff format --check .

# Without the variable pyright asks a server whether there is a newer release.
types: .venv/.test
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN) -m pyright --pythonpath $(BIN)

# Without --quiet, which hides warnings from `strict` and lets a broken link pass.
docs: .venv/.docs
	sed -i '/<!-- keys -->/q' docs/config.md
	$(BIN) -m kerasft config --keys >> docs/config.md
	NO_MKDOCS_2_WARNING=1 $(BIN) -m mkdocs build

pins: .venv/.runtime
	$(BIN) requirements/pin.py $(PYTHONS)

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@for python in $(or $(PYTHON),python3 python3.12 python3.11 python3.13); do \
	  if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
	    echo "making .venv with $$("$$python" --version)"; \
	    "$$python" -m venv .venv && exit; \
	    rm -rf .venv; exit 1; \
	  fi; \
	done; \
	echo "error: PYTHON=$(or $(PYTHON),python3) is not Python 3.11, 3.12 or 3.13; make PYTHON=/path/to/python3.11" >&2; \
	exit 2

.venv/.runtime: $(NEEDS) | .venv/bin/python
	@echo "installing what kerasft needs into .venv (about 2 GB, a few minutes)"
	@$(PIP) --constraint $(PINS) --editable .
	@touch $@

.venv/.test: .venv/.runtime
	@echo "installing what its tests need"
	@$(PIP) --constraint $(PINS) --editable '.[test]'
	@touch $@

.venv/.docs: .venv/.runtime
	@echo "installing what the site of docs/ needs"
	@$(PIP) --constraint $(PINS) --editable '.[docs]'
	@touch $@
