CARGO ?= cargo

# The steps of `test` follow each other, also under -j.
.NOTPARALLEL:
.PHONY: help setup run check test bench fuzz-api

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install the PostgreSQL server that tests and measurements start, if it is missing
	sh crates/private-postgres/setup.sh

run: ## serve on http://127.0.0.1:8080, with everything kept in ./data
	$(CARGO) run --locked --release -p porttask -- serve

check: ## format, lints, who may use whom, licences
	@$(CARGO) fmt --version >/dev/null 2>&1 && $(CARGO) clippy --version >/dev/null 2>&1 || \
		{ echo 'check: rustfmt or clippy is missing: run `rustup component add clippy rustfmt`' >&2; exit 1; }
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) test --locked -q -p porttask-tests --test architecture
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		echo '$(CARGO) deny --locked check licenses bans sources'; \
		$(CARGO) deny --locked check licenses bans sources; \
	else \
		echo 'check: cargo-deny is not installed; licences, bans and sources were left out'; \
	fi

test: setup check ## everything that must hold: setup, check and all tests
	$(CARGO) test --locked --workspace

# TMPDIR chooses the disk that is measured; it must not be one in memory.
bench: setup ## measure this machine: ONLY=append|views|service|access ENGINE=sqlite|postgres FIGURE=part_of_a_name QUICK=1
	$(CARGO) run --locked --release -p porttask -- bench \
		$(if $(ONLY),--only $(ONLY)) $(if $(ENGINE),--engine $(ENGINE)) $(if $(FIGURE),--figure $(FIGURE)) \
		$(if $(filter 1,$(QUICK)),--quick)

fuzz-api: setup ## ask the service everything its document allows and much that it does not: FUZZ_EXAMPLES=50
	test -x target/fuzz/venv/bin/schemathesis || { python3 -m venv target/fuzz/venv && \
		target/fuzz/venv/bin/pip install --quiet -r tests/fuzz/requirements.txt; }
	$(CARGO) build --locked --release -p porttask
	$(CARGO) build --locked -p private-postgres --example server
	python3 tests/fuzz/fuzz.py target/fuzz/venv/bin/schemathesis target/release/porttask target/debug/examples/server
