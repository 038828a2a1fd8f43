# On a machine with Python 3.11, git and make, `make run` is all there is to do. `make help` lists the rest.

PYTHON ?= python3
UV_VERSION := 0.13.8
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-installed
DEVELOPMENT := $(VENV)/.development-installed
# The servers end with this make, also when it is killed.
STACK := $(BIN)/python -m automette.stack --die-with-parent
# uv where it can be had (fast), else pip; both check every hash. Certificates are the system's.
INSTALL = install() { \
	if [ -x $(BIN)/uv ]; then $(BIN)/uv pip install --python $(BIN)/python --system-certs --compile-bytecode --require-hashes "$$@" && return; fi; \
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes "$$@"; }; install
# uv names the file that it writes in its header, so it gets plain names; no address of an index in the outputs.
COMPILE := $(BIN)/uv pip compile --system-certs --generate-hashes --universal --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links --quiet

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run demo test check lint types imports migrations openapi schema schemathesis bench lock clean install libreoffice

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

run: $(RUNTIME) libreoffice ## Start everything, render the starters, serve on PORT (default 8000) until Ctrl-C
	@exec $(STACK) run

demo: $(RUNTIME) libreoffice ## The same, then stop; fails if a document could not be rendered
	@exec $(STACK) demo

test: $(DEVELOPMENT) libreoffice ## Run the tests against real servers; ARGS="-k name" for some of them
	@exec $(STACK) exec --temporary -- $(BIN)/python -m pytest $(ARGS)

check: lint types imports migrations openapi test ## What CI runs: all of lint, types, imports, migrations, openapi, test

lint: $(DEVELOPMENT) ## Style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEVELOPMENT) ## Static types
	$(BIN)/mypy .

imports: $(DEVELOPMENT) ## Who may import whom
	$(BIN)/lint-imports

migrations: $(DEVELOPMENT) ## Is a migration missing?
	@exec $(STACK) exec --temporary -- $(BIN)/python manage.py makemigrations --check --dry-run

openapi: $(DEVELOPMENT) ## Is docs/openapi.json what the code says?
	@$(MAKE) schema SCHEMA=$(VENV)/openapi.json
	@diff -u docs/openapi.json $(VENV)/openapi.json || { echo 'docs/openapi.json is not up to date: run `make schema`.'; exit 1; }

SCHEMA := docs/openapi.json
schema: $(DEVELOPMENT) ## Write docs/openapi.json
	@exec $(STACK) exec --temporary -- $(BIN)/python manage.py spectacular \
		--validate --fail-on-warn --format openapi-json --file $(SCHEMA)

schemathesis: $(DEVELOPMENT) ## Try docs/openapi.json on the running application for SECONDS (300)
	@exec $(STACK) exec --temporary -- $(BIN)/python -m pytest -s tests/api/schemathesis_run.py

bench: $(DEVELOPMENT) ## Measure speeds and memory
	@exec $(STACK) exec --temporary -- $(BIN)/python -m bench $(ARGS)

lock: $(DEVELOPMENT) ## Write requirements*.txt anew from requirements*.in
	$(COMPILE) --upgrade requirements.in -o requirements.txt
	$(COMPILE) --upgrade requirements-dev.in -o requirements-dev.txt

clean: ## Remove what was installed and made, but not the data in .local
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache staticfiles
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

install: $(DEVELOPMENT) libreoffice ## Install what running, testing and checking need

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; $(PYTHON) is not. Name another: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Creating $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python's venv module is missing or incomplete. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) \
		|| echo "uv could not be installed; going on with pip, which is slower."

$(RUNTIME): requirements.txt | $(BIN)/python
	@echo "Installing requirements.txt ..."
	@$(INSTALL) -r requirements.txt
	@touch $@

$(DEVELOPMENT): requirements-dev.txt $(RUNTIME) | $(BIN)/python
	@echo "Installing requirements-dev.txt ..."
	@$(INSTALL) -r requirements-dev.txt
	@touch $@

# DOCX to PDF needs LibreOffice, and fonts that measure like the ones Word documents name; everything else works
# without. Never a reason to stop, and no call to apt where all of it is there.
LIBREOFFICE := libreoffice-writer-nogui
WORD_FONTS := fonts-crosextra-carlito fonts-crosextra-caladea fonts-liberation2|fonts-liberation
WORD_FONT_FILES := Carlito-Regular.ttf Caladea-Regular.ttf LiberationSans-Regular.ttf
APT := DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes apt-get -q -y -o Acquire::Retries=0 -o Acquire::http::Timeout=15 -o DPkg::Lock::Timeout=60
libreoffice:
	@office() { command -v soffice >/dev/null; }; \
	fonts() { for file in $(WORD_FONT_FILES); do \
		find /usr/share/fonts /usr/local/share/fonts -name $$file 2>/dev/null | grep -q . || return 1; done; }; \
	known() { apt-cache show "$$1" >/dev/null 2>&1; }; \
	{ office && fonts; } || { ! command -v apt-get >/dev/null || [ "$$(id -u)" != 0 ]; } || { \
		printf 'Installing what DOCX to PDF needs '; \
		{ known $(LIBREOFFICE) && known fonts-crosextra-carlito || $(APT) update; \
			office || $(APT) install --no-install-recommends $(LIBREOFFICE); \
			fonts || $(APT) install --no-install-recommends $$(for names in '$(subst $() ,' ',$(WORD_FONTS))'; do \
				for name in $$(echo "$$names" | tr '|' ' '); do known $$name && echo $$name && break; done; done); } \
			| awk '/^(Get|Unpacking|Setting up)/ && ++n % 20 == 0 { printf "."; fflush() } END { print "" }'; }; \
	office || echo "DOCX to PDF will not work: LibreOffice is not installed" \
		"(Debian: apt-get install --no-install-recommends $(LIBREOFFICE)). Everything else will."; \
	fonts || echo "Word documents in Calibri, Cambria or Arial will be set in other fonts" \
		"(Debian: apt-get install fonts-crosextra-carlito fonts-crosextra-caladea fonts-liberation2)."
