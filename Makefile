# Every target works on a machine with Rust, one CPython (3.10 or newer), Node.js and apt; what else it needs, it installs.
# Nothing is installed outside this directory except Debian's chromium and the caches of the package managers.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

PYTHON ?= python3
VENV := .venv
# The lock is complete, so nothing is resolved: older versions of pip, given an extra of a pinned package, look for its newest.
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all:
# Built from source, because no registry has a binary that understands today's Cargo.lock; the version is in the path, so
# that a change of version is a missing file.
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := .tools/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
CARGO_FUZZ_VERSION := 0.13.2
CARGO_FUZZ := .tools/cargo-fuzz-$(CARGO_FUZZ_VERSION)/bin/cargo-fuzz
CRATES := .tools/crates-fetched
MODEL := tests/model/Cargo.toml
MODEL_CRATES := .tools/model-crates-fetched
CHROMIUM := /usr/bin/chromium
CLIENTS := tests/clients/node_modules/.package-lock.json
CHAT := examples/chat/node_modules/.package-lock.json
GATES := rustfmt clippy core-tree deny notices locks ruff mypy stubtest

.PHONY: help
help: ## list the targets
	@grep --extended-regexp '^[a-z-]+:.*## ' Makefile | sed --regexp-extended 's/^([a-z-]+):.*## /\1\t/' | expand --tabs=10

# The steps wait for the network most of the time, so they run side by side.
.PHONY: setup
setup: ## install what the other targets need (they do this by themselves)
	@$(MAKE) --no-print-directory --silent --jobs=4 setup-steps

.PHONY: setup-steps
setup-steps: $(VENV)/.installed $(CRATES) $(MODEL_CRATES) $(CARGO_DENY) $(CHROMIUM) $(CLIENTS) $(CHAT)

$(VENV)/.installed: requirements/dev.txt
	echo 'setup: $(VENV)'
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python $(PIP_INSTALL) --requirement $<
	touch $@

# The gates read the crates of every platform and run offline.
$(CRATES): Cargo.lock
	echo 'setup: crates'
	cargo fetch --locked --quiet
	mkdir -p $(@D)
	touch $@

$(MODEL_CRATES): tests/model/Cargo.lock
	cargo fetch --locked --quiet --manifest-path $(MODEL)
	mkdir -p $(@D)
	touch $@

$(CARGO_DENY):
	rm -rf .tools/cargo-deny-*
	echo 'setup: cargo-deny $(CARGO_DENY_VERSION) (about 100 seconds of compiling)'
	CARGO_PROFILE_DEV_DEBUG=false cargo install cargo-deny --version $(CARGO_DENY_VERSION) --locked --debug --quiet \
	  --no-default-features --no-track --root .tools/cargo-deny-$(CARGO_DENY_VERSION) 2>&1 | { grep -v 'be sure to add' || true; }

$(CHROMIUM):
	echo 'setup: chromium'
	.ci/install_chromium

# npm writes this file last, so it is newer than the lock exactly when the installation is complete.
%/node_modules/.package-lock.json: %/package-lock.json
	echo 'setup: $*/node_modules'
	cd $* && npm ci --silent
	touch $@

.PHONY: develop
develop: setup ## build the extension into .venv (dev profile, with the clock of simulations)
	@PIP_QUIET=1 VIRTUAL_ENV=$(CURDIR)/$(VENV) $(VENV)/bin/maturin develop --quiet --features python,testing

.PHONY: lint
lint: develop ## run the gates, .ci/*
	@for gate in $(GATES); do echo "gate: $$gate"; .ci/$$gate; done

.PHONY: test
test: lint ## run the gates and every test
	cargo test --locked --quiet --features testing
	cargo test --locked --quiet --manifest-path $(MODEL) --target-dir target/model
	$(VENV)/bin/pytest --quiet --cov --cov-report=term:skip-covered
	@test -x $(CHROMIUM) || { echo 'test: the browser tests need $(CHROMIUM): sudo apt-get install chromium' >&2; exit 1; }
	npm --prefix tests/clients test

# The worker of Azure Functions needs it; without it, that one test says so and is skipped. A shim of pyenv may stand for a
# version that is not chosen, so pyenv's own directories come first.
PYTHON_OF_FUNCTIONS ?= $(firstword $(wildcard $(HOME)/.pyenv/versions/3.13*/bin/python3.13) $(shell command -v python3.13))

# A separate environment, because a third of its packages serve nothing else.
.PHONY: hosts
hosts: setup .venv-hosts/.installed $(if $(PYTHON_OF_FUNCTIONS),.venv-functions/.installed) ## prove the package in more servers, frameworks, task queues and a notebook
	@PIP_QUIET=1 VIRTUAL_ENV=$(CURDIR)/.venv-hosts .venv-hosts/bin/maturin develop --quiet --features python,testing
	.venv-hosts/bin/pytest --quiet tests/hosts

.venv-hosts/.installed: requirements/dev.txt requirements/hosts.txt
	echo 'setup: .venv-hosts'
	$(PYTHON) -m venv --clear .venv-hosts
	.venv-hosts/bin/python $(PIP_INSTALL) --requirement requirements/dev.txt --requirement requirements/hosts.txt
	touch $@

.venv-functions/.installed: requirements/functions.txt
	echo 'setup: .venv-functions'
	$(PYTHON_OF_FUNCTIONS) -m venv --clear .venv-functions
	.venv-functions/bin/python $(PIP_INSTALL) --requirement requirements/functions.txt
	touch $@

# Replay one day with HUBPASS_SEED=<seed> cargo test --features testing --test simulation the_day_of_the_seed.
.PHONY: chaos
chaos: setup ## ten thousand simulated days of trouble
	cargo test --locked --features testing --config profile.dev.package.hubpass.opt-level=2 --test simulation -- --ignored --nocapture

# A nightly compiler is what cargo-fuzz needs and nothing else here does, so it is asked for and not installed.
.PHONY: nightly
nightly:
	@cargo +nightly --version >/dev/null 2>&1 || \
	  { echo 'fuzz: cargo-fuzz needs a nightly Rust: rustup toolchain install nightly' >&2; exit 2; }

$(CARGO_FUZZ): | nightly
	rm -rf .tools/cargo-fuzz-*
	echo 'setup: cargo-fuzz $(CARGO_FUZZ_VERSION) (about a minute of compiling)'
	CARGO_PROFILE_DEV_DEBUG=false cargo install cargo-fuzz --version $(CARGO_FUZZ_VERSION) --locked --debug --quiet \
	  --no-track --root .tools/cargo-fuzz-$(CARGO_FUZZ_VERSION) 2>&1 | { grep -v 'be sure to add' || true; }

# The inputs of fuzz/corpus are run again on each `make test`; what a run adds to them stays in target/ until `make corpus`.
.PHONY: fuzz
fuzz: nightly $(CARGO_FUZZ) ## try random inputs, FUZZ_SECONDS (60) for each target
	@.ci/fuzz run

.PHONY: corpus
corpus: setup nightly $(CARGO_FUZZ) ## keep in fuzz/corpus what `make fuzz` has reached and nothing there does
	@.ci/fuzz keep

.PHONY: coverage
coverage: setup ## report the coverage of the Rust core by its own tests
	@.ci/rust_coverage

.PHONY: demo
demo: develop ## chat in two browser tabs against the local Azure; Ctrl-C ends it
	@exec $(VENV)/bin/python examples/chat/demo.py

# A separate environment with the release build, because speed of a dev build says nothing.
.PHONY: bench
bench: setup ## measure against the stated ratios
	cargo bench --locked --bench sign
	.ci/install_release_build .venv-bench
	.venv-bench/bin/python benches/negotiate.py
	.venv-bench/bin/python benches/routes.py
	.venv-bench/bin/python benches/import_time.py
	.venv-bench/bin/python benches/identity.py
	.venv-bench/bin/python benches/leaks.py

.PHONY: wheel
wheel: setup $(VENV)/.installed-release ## build and prove dist/*.whl and dist/*.tar.gz
	$(VENV)/bin/python .ci/build_wheel.py

$(VENV)/.installed-release: requirements/release.txt $(VENV)/.installed
	$(VENV)/bin/python $(PIP_INSTALL) --requirement $<
	touch $@

# The locks hold for every supported Python and name no registry host, so that any mirror will do.
.PHONY: lock
lock: setup $(VENV)/.installed-release ## resolve the Python locks again and rewrite THIRD_PARTY_NOTICES
	$(VENV)/bin/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --python-version 3.10 \
	  --custom-compile-command 'make lock' --extra emulator --group development pyproject.toml --output-file requirements/dev.txt
	$(VENV)/bin/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --python-version 3.10 \
	  --custom-compile-command 'make lock' --constraint requirements/dev.txt --group release --output-file requirements/release.txt
	$(VENV)/bin/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --python-version 3.10 \
	  --custom-compile-command 'make lock' --constraint requirements/dev.txt --group hosts --output-file requirements/hosts.txt
	$(VENV)/bin/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --python-version 3.13 \
	  --custom-compile-command 'make lock' --constraint requirements/dev.txt --group functions --output-file requirements/functions.txt
	$(VENV)/bin/python .ci/third_party_notices.py

.PHONY: notices
notices: ## rewrite THIRD_PARTY_NOTICES after a change of Cargo.lock
	$(PYTHON) .ci/third_party_notices.py

.PHONY: clean
clean: ## remove everything that these targets made in this directory
	rm -rf target fuzz/artifacts dist .venv .venv-bench .venv-hosts .venv-functions .tools .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -rf .coverage*
	rm -rf tests/clients/node_modules examples/chat/node_modules
	rm -f python/hubpass/_native.abi3.so
	find .ci benches examples python tests -name __pycache__ -prune -exec rm -rf {} +
