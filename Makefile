# syncline: `make demo` draws the first pictures, `make test` runs every test. Both need cargo and nothing else:
# a missing Vulkan driver is installed (Mesa's lavapipe) or the command to install it is printed.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

SYNCLINE := target/release/syncline
PROMPT := sunset over desert dunes with distant mountains

.PHONY: help demo test test-quick test-long bench lint format clean-demo

help:
	@echo 'make demo        one picture and one panorama from the built-in model, in demo/'
	@echo 'make test        every test: test-quick, then test-long'
	@echo 'make test-quick  unit, property, law, golden and command-line tests'
	@echo 'make test-long   full-size models, jobs killed fifty times'
	@echo 'make bench       measurements, correctness before timing (BENCH="--bench name -- filter")'
	@echo 'make lint        formatting, clippy, documentation, licences'
	@echo 'make format      rustfmt'

demo: clean-demo
	@scripts/ensure-vulkan.sh --release
	cargo build --release --bin syncline
	@mkdir -p demo
	$(SYNCLINE) txt2img -p "$(PROMPT)" -o demo/picture.png
	$(SYNCLINE) panorama -p "$(PROMPT)" -o demo/panorama.png --preset draft
	@echo; echo 'The pictures are here:'; ls -1 "$$PWD"/demo/picture.png "$$PWD"/demo/panorama.png

# The command line never overwrites: a second demo would land in picture_2.png.
clean-demo:
	@rm -f demo/picture.png demo/panorama.png

test:
	@scripts/ensure-vulkan.sh
	@scripts/ensure-test-tools.sh
	@scripts/run-tests.sh quick long

test-quick test-long: test-%:
	@scripts/ensure-vulkan.sh
	@scripts/ensure-test-tools.sh
	@scripts/run-tests.sh $*

bench:
	@scripts/ensure-vulkan.sh
	cargo bench -p syncline-benches $(BENCH)

lint:
	@scripts/lint.sh

format:
	cargo fmt --all
