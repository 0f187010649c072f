# The few things that one does in this folder. `make` alone lists them.

.PHONY: help demo test bench recovery guard check containers scaling soak fuzz tools

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

bench: ## Measures the Redis queue and downloads beside their peers on this machine: docs/performance.md
	cargo run --release --manifest-path bench/Cargo.toml -- queue
	cargo run --release --manifest-path bench/Cargo.toml -- million
	cargo build --release -p recapture -p recapture-simulator --bins
	cargo run --release --manifest-path bench/Cargo.toml -- downloads

recovery: ## Measures whole recoveries beside what one would write instead: docs/performance/recovery.md
	cargo run --release --manifest-path bench/Cargo.toml -- recovery
	cargo run --release --manifest-path bench/Cargo.toml -- enumeration

# Our own code as it is released, what it depends on as the tests have built it.
GUARDED = recapture recapture-core recapture-worker
guard: tools ## Counts the instructions of hot paths, and tells what has changed (make guard BLESS=--bless: a new baseline)
	cargo run --locked --example guard $(foreach package,$(GUARDED),--config 'profile.dev.package.$(package).opt-level=3') -- $(BLESS)

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
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items
	cargo deny --all-features check bans licenses sources
