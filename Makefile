# The few things that one does in this folder. `make` alone lists them.

.PHONY: help demo test bench recovery smoke guard check containers scaling soak fuzz tools

help: ## Lists the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: ## Runs a whole recovery against the simulated Zoom
	cargo run -- demo

tools: ## Installs what the tests need beside the Rust toolchain
	./tests/install-tools

test: tools ## Runs all tests
	cargo test --workspace --all-features --no-fail-fast

soak: tools ## Kills, cuts and freezes the shared queue for SOAK seconds (default: an hour)
	SOAK=$${SOAK:-3600} SOAK_CUT=$${SOAK_CUT:-20} cargo test --test system -- soak a_cut_that_outlasts --nocapture --include-ignored

BENCH = cargo run --release --manifest-path bench/Cargo.toml --
bench: ## Measures everything beside its peers on this machine, for hours (SHORT=--short: for minutes): docs/performance.md
	cargo build --release --locked --workspace --bins
	$(BENCH) queue $(SHORT)
	$(BENCH) million $(if $(SHORT),--jobs 100000)
	$(BENCH) serve
	$(BENCH) downloads $(SHORT)
	$(BENCH) downloads $(if $(SHORT),--files 2 --rounds 1,--files 10) --megabytes 1000
	$(MAKE) recovery

recovery: ## The part of it that measures whole recoveries: docs/performance/recovery.md
	$(BENCH) recovery $(SHORT)
	$(BENCH) enumeration $(SHORT)
	$(BENCH) enumeration $(SHORT) --meetings 100000 --latency 150

# Whether the measurements run, with what the tests have built.
smoke:
	cargo build --locked --workspace --all-features --bins
	cargo run --manifest-path bench/Cargo.toml --target-dir "$${CARGO_TARGET_DIR:-target}" -- smoke

guard: tools ## Counts the instructions of hot paths, and tells what has changed (make guard BLESS=--bless: a new baseline)
	cargo run --locked --example guard -- $(BLESS)

fuzz: ## Runs every fuzz test with a million cases each (FUZZ_CASES)
	FUZZ_CASES=$${FUZZ_CASES:-1000000} cargo test --release --workspace --lib --all-features -- fuzz

containers: ## Builds the image and tests the composition: the demo, scaled, killed, cut off, restarted
	./tests/compose/run

scaling: ## Measures how throughput grows with workers, in containers: some ten minutes, on a machine with nothing else to do
	./tests/compose/run --ignored

check: ## Formatting, lints, documentation, licences: what CI checks beside the tests
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	cargo fmt --manifest-path bench/Cargo.toml --check
	cargo clippy --manifest-path bench/Cargo.toml --target-dir "$${CARGO_TARGET_DIR:-target}" --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps --document-private-items
	cargo deny --all-features check bans licenses sources
