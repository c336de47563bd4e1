# make demo   builds, then debugs a small hanging program, live and from its core
# make test   everything that CI runs
# make fuzz TIME=60   each fuzzer for so many seconds
# Other targets: setup, build, lint, header, bench, bench-heap, bench-large, soak.

SHELL := /bin/bash
VENV := .cache/venv/bin

.PHONY: demo test setup build lint header bench bench-heap bench-large soak rust-test fuzz

demo: build
	tools/demo.sh

# What setup fetches and what cargo compiles do not wait for each other; processes that stand still leave room for a
# third worker on two cores.
test:
	@command -v cc >/dev/null || $(MAKE) setup
	$(MAKE) -j2 setup rust-test
	$(VENV)/python -m pytest -q -rs -n 3 --dist loadgroup tests
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

# py-heap against tools that run in the process: ten minutes.
bench-heap: setup build
	$(VENV)/python benches/heap.py

# py-heap on 1 to 50 million objects: 5 GB of memory.
bench-large: setup build
	$(VENV)/python benches/heap.py --large

# The randomised tests whole; writes docs/soak.md. Ten to thirty minutes on two cores.
soak: setup build
	$(VENV)/python tools/soak.py --seed $${SEED:-1}

# Needs cargo-fuzz. What is found lies in fuzz/artifacts; fuzz/README.md says what to do with it.
TIME ?= 60
FUZZERS := $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
fuzz:
	set -e; for name in $(FUZZERS); do mkdir -p fuzz/corpus/$$name; \
	  RUSTC_BOOTSTRAP=1 cargo fuzz run -O --sanitizer none $$name fuzz/corpus/$$name fuzz/seeds/$$name \
	    -- -max_total_time=$(TIME) -timeout=25 -rss_limit_mb=2048 -max_len=8192 -len_control=0 -print_final_stats=1; done
