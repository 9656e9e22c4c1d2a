CARGO ?= cargo

# Where the binary under test, screenshots and the demonstration are.
TARGET = $(abspath $(or $(CARGO_TARGET_DIR),target))

# The program with the features of the tests: `make test` has built it so, and another set would build everything again.
BUILD_FOR_TESTS = $(CARGO) test --locked --workspace --test cli --no-run

# After a change, only what changed is compiled again. Releases and benchmarks are built without it: they are a little faster.
INCREMENTAL = CARGO_INCREMENTAL=$(or $(CARGO_INCREMENTAL),1)

# Run the steps of `test` in order, even with -j.
.NOTPARALLEL:
.PHONY: help setup run demo check test test-browser shots bench fuzz-api

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install the PostgreSQL server for tests and benchmarks, if it is missing
	sh crates/private-postgres/setup.sh

run: ## serve on http://127.0.0.1:8080, with all data in ./data
	$(INCREMENTAL) $(CARGO) run --locked --release -p porttask -- serve

demo: ## build a lifelike platform in target/demo, and serve it on http://127.0.0.1:8080
	rm -rf $(TARGET)/demo
	$(INCREMENTAL) $(CARGO) run --locked --release -p porttask -- demo --data $(TARGET)/demo

check: ## formatting, lints, crate dependencies, licences
	@$(CARGO) fmt --version >/dev/null 2>&1 && $(CARGO) clippy --version >/dev/null 2>&1 || \
		{ echo 'check: rustfmt or clippy is missing: run `rustup component add clippy rustfmt`' >&2; exit 1; }
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) test --locked -q -p porttask-tests --test architecture
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		echo '$(CARGO) deny --locked check licenses bans sources'; \
		$(CARGO) deny --locked check licenses bans sources; \
	else \
		echo 'check: cargo-deny is not installed; licences, bans and sources were not checked'; \
	fi

test: setup check ## setup, check and all tests
	$(CARGO) test --locked --workspace
	@$(MAKE) --no-print-directory test-browser

test-browser: ## test the console in Debian's Chromium, on the embedded engine; needs Node.js 18.19 or newer
	$(BUILD_FOR_TESTS)
	@cd tests/browser && PORTTASK=$(TARGET)/debug/porttask ./run.sh --test --test-concurrency=2 --test-reporter=spec *.test.mjs

shots: ## draw pages of the console (light, dark, 360 px) into target/shots: PAGES=pattern
	$(BUILD_FOR_TESTS)
	@PORTTASK=$(TARGET)/debug/porttask tests/browser/run.sh shots.mjs $(TARGET)/shots $(PAGES)

# TMPDIR selects the disk to be measured; it must not be in memory.
bench: setup ## run benchmarks: ONLY=append|views|service|access|timers|operations|billing ENGINE=sqlite|postgres FIGURE=part_of_a_name QUICK=1
	$(CARGO) run --locked --release -p porttask -- bench \
		$(if $(ONLY),--only $(ONLY)) $(if $(ENGINE),--engine $(ENGINE)) $(if $(FIGURE),--figure $(FIGURE)) \
		$(if $(filter 1,$(QUICK)),--quick)

fuzz-api: setup ## fuzz the API with valid and invalid requests (Schemathesis): FUZZ_EXAMPLES=50
	test -x target/fuzz/venv/bin/schemathesis || { python3 -m venv target/fuzz/venv && \
		target/fuzz/venv/bin/pip install --quiet -r tests/fuzz/requirements.txt; }
	$(CARGO) build --locked --release -p porttask
	$(CARGO) build --locked -p private-postgres --example server
	python3 tests/fuzz/fuzz.py target/fuzz/venv/bin/schemathesis target/release/porttask target/debug/examples/server
