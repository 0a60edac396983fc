# `make run` shows Postern, `make test` checks it. See README.md.
.PHONY: build run test lint bench conformance programs stress soak fuzz packages

build:
	cargo build --release

packages:
	sh tests/setup/packages.sh

run: packages build
	POSTERN_TEST_USER=$$(sh tests/setup/user.sh) cargo run --release -q -p postern-tests --bin run-session

lint:
	cargo fmt --all -- --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy -p postern-libos --features image -- -D warnings

# The bridge by itself, as it is shipped: beside the manager's toolkit it would be built on libwayland.
test: export POSTERN_DISPLAY_FUZZ_SECONDS = 120
test: export POSTERN_BRIDGE_FUZZ_SECONDS = 120
test: packages build lint
	export POSTERN_TEST_USER=$$(sh tests/setup/user.sh); bridge=0; \
	cargo test -p postern-bridge --no-fail-fast || bridge=$$?; \
	cargo test --workspace --exclude postern-bridge --no-fail-fast && exit $$bridge

bench: packages build
	POSTERN_TEST_USER=$$(sh tests/setup/user.sh) cargo run --release -q -p postern-tests --bin bench

conformance: packages build
	POSTERN_TEST_USER=$$(sh tests/setup/user.sh) cargo run --release -q -p postern-tests --bin conformance

programs: packages build
	sh tests/setup/packages.sh programs
	POSTERN_TEST_USER=$$(sh tests/setup/user.sh) cargo test -p postern-tests --test languages \
		--test browsers --test office --test drags -- --ignored

stress: packages build
	sh tests/setup/packages.sh programs
	POSTERN_TEST_USER=$$(sh tests/setup/user.sh) cargo run --release -q -p postern-tests --bin stress

soak: packages build
	POSTERN_TEST_USER=$$(sh tests/setup/user.sh) cargo run --release -q -p postern-tests --bin soak

fuzz: packages build
	POSTERN_TEST_USER=$$(sh tests/setup/user.sh) POSTERN_FUZZ_SECONDS=600 cargo test -p postern-tests --test fuzz -- --ignored
	POSTERN_DISPLAY_FUZZ_SECONDS=600 cargo test -p postern-display --test fuzz -- --nocapture
	POSTERN_BRIDGE_FUZZ_SECONDS=600 cargo test -p postern-bridge --test fuzz -- --nocapture
