# Thin on purpose: each target is a line or two; the work is in the commands they call.
PYTHON ?= python3
BIN := .venv/bin
# Tests start hundreds of interpreters; without bytecode each would compile all libraries anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup demo test lint protos bench bench-accuracy clean

setup: .venv/.installed .venv-protos/.installed .venv-tritonclient/.installed

.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "foretell needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv .venv && $(BIN)/pip install --no-compile --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . && touch $@

# The oldest protoc has no wheels for newer Pythons; there, the tests of stubs say that they are skipped.
.venv-protos/.installed: protos/requirements.lock
	@mkdir -p .venv-protos
	if $(PYTHON) -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then $(PYTHON) -m venv .venv-protos && .venv-protos/bin/pip install --no-compile --quiet --disable-pip-version-check --require-hashes -r protos/requirements.lock; fi
	touch $@

# Triton's client, which cannot share an environment with us; without it, its tests say so.
.venv-tritonclient/.installed: tests/tritonclient/requirements.lock
	$(PYTHON) -m venv .venv-tritonclient
	.venv-tritonclient/bin/pip install --no-compile --quiet --disable-pip-version-check --require-hashes -r tests/tritonclient/requirements.lock || echo "tritonclient cannot be installed here: its tests are skipped"
	touch $@

demo: .venv/.installed
	$(BIN)/foretell demo

test: setup lint
	$(BIN)/pytest --numprocesses 2 --dist worksteal

lint: .venv/.installed
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy --num-workers 2

protos: .venv-protos/.installed
	.venv-protos/bin/python protos/generate.py

bench: .venv/.installed
	$(BIN)/python -m benchmarks

# make bench-accuracy DATA=../shared/data
bench-accuracy: .venv/.installed
	$(BIN)/python -m benchmarks.accuracy --data $(DATA) --out docs/accuracy.md $(OPTIONS)

clean:
	rm -rf .venv .venv-protos .venv-tritonclient
