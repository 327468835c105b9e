# Every target that needs Python sets up .venv first; PYTHON=python3.12 chooses another interpreter.

PYTHON ?= python3
BIN = .venv/bin
READY = .venv/.ready
PIP_INSTALL = $(BIN)/python -m pip --disable-pip-version-check install

# Settings of a person's own shell that would send packages past .venv.
unexport PIP_PREFIX PIP_REQUIRE_HASHES PIP_ROOT PIP_TARGET PIP_USER PYTHONHOME PYTHONPATH

.PHONY: help demo demo-sendgrid serve test soak fuzz load check bench lock clean

help:
	@echo 'make demo    a clinic with example people, its letters in a folder: nothing is sent'
	@echo 'make demo-sendgrid  the way by SendGrid, with a SendGrid of our own on this machine'
	@echo 'make serve   the same clinic at work, with its pages and links to sign in: nothing is sent'
	@echo 'make test    every test, and which ones were skipped and why'
	@echo 'make soak    kill -9 at every step in every trouble, for 10 to 30 minutes (SEED=1 KILLS=500: less)'
	@echo 'make fuzz    a hundred thousand spoilt inputs, for ten minutes or more (SEED=1 INPUTS=10000: less)'
	@echo 'make load    readers and a flood of events while 10,000 letters go out, for two minutes'
	@echo 'make check   style, types, and the course itself'
	@echo 'make bench   how fast it plans and sends, in some minutes (FULL=1: with a million people)'
	@echo 'make lock    both lock files anew from pyproject.toml (UPGRADE=1: newest releases)'
	@echo 'make clean   removes what make made; never var/, where the letters and the database are'

demo: $(READY)
	@$(BIN)/physiopost demo

demo-sendgrid: $(READY)
	@$(BIN)/python tests/demo_sendgrid.py

serve: $(READY)
	@$(BIN)/python tests/demo_clinic.py

test: $(READY)
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -rs

soak: $(READY)
	@$(BIN)/python tests/soak.py $(if $(SEED),--seed $(SEED)) $(if $(KILLS),--kills $(KILLS))

fuzz: $(READY)
	@$(BIN)/python tests/fuzz.py $(if $(SEED),--seed $(SEED)) $(if $(INPUTS),--inputs $(INPUTS))

load: $(READY)
	@$(BIN)/python tests/load.py $(if $(PEOPLE),--people $(PEOPLE))

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy scheduler tests
	$(BIN)/physiopost check

bench: $(READY)
	@$(BIN)/physiopost bench
	@$(BIN)/python tests/bench_delivery.py $(if $(FULL),--full)
	@$(BIN)/python tests/bench_pages.py

$(READY): pyproject.toml requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Physiopost needs Python 3.11 or newer; say which one with make PYTHON=...' >&2; exit 1; }
	@echo 'Setting up .venv (a minute or two the first time) ...'
	@$(PYTHON) -m venv .venv
	@$(PIP_INSTALL) -qq --require-hashes -r requirements-dev.lock || \
		{ echo 'That failed. All that pip has to say: $(PIP_INSTALL) --require-hashes -r requirements-dev.lock' >&2; exit 1; }
	@$(PIP_INSTALL) -qq --no-deps --no-build-isolation -e .
	@touch $@
	@echo '.venv is ready.'

# requirements.lock also holds what PostgreSQL and the building of the program need.
# The compiler reads no dependency groups, so the dev group goes in through the pipe.
LOCK = $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
	--no-emit-trusted-host --no-emit-find-links $(if $(UPGRADE),--upgrade)
DEV_GROUP = import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"], sep="\n")

lock: export CUSTOM_COMPILE_COMMAND = make lock
lock: $(READY)
	$(LOCK) --extra postgresql --build-deps-for wheel --output-file requirements.lock pyproject.toml
	$(BIN)/python -c '$(DEV_GROUP)' | \
		$(LOCK) --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml -

clean:
	rm -rf .venv dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find scheduler tests -name __pycache__ -prune -exec rm -rf {} +
