# make demo   builds, then debugs a small hanging program, live and from its core
# make test   everything that CI runs
# Other targets: setup, build, lint, header, bench.

SHELL := /bin/bash
VENV := .cache/venv/bin

.PHONY: demo test setup build lint header bench rust-test

demo: build
	tools/demo.sh

test: setup build rust-test
	$(VENV)/python -m pytest -q -rs -n 2 --dist loadgroup tests
	@cat .cache/missing.txt 2>/dev/null || true

rust-test: build
	cargo test --release --quiet

# What tests and benches need beside GDB and a Rust toolchain: interpreters, peers, a virtual environment.
setup:
	tools/setup.sh

build:
	cargo build --release --quiet

lint: setup
	cargo fmt --check
	cargo clippy --release --all-targets --quiet -- -D warnings
	$(VENV)/ruff check gdb-scripts tests tools benches

# Renews the committed C header from what the build has generated.
header: build
	cp "$$(ls -t target/release/build/pyext-*/out/pyext.h | head -1)" include/pyext.h

bench: setup build
	$(VENV)/python benches/stacks.py
